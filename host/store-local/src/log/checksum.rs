//! CRC-32C (Castagnoli; RFC 3720, appendix B.4), in parts that need not lie together.

use crc_fast::{CrcAlgorithm, Digest};

/// The checksum of `bytes`.
pub(crate) fn crc32c(bytes: &[u8]) -> u32 {
    crc32c_append(0, bytes)
}

/// The checksum of what `crc` is the checksum of, and then `bytes`.
pub(crate) fn crc32c_append(crc: u32, bytes: &[u8]) -> u32 {
    let mut digest = Digest::new_with_init_state(CrcAlgorithm::Crc32Iscsi, (!crc).into());
    digest.update(bytes);
    // The crate gives every checksum as 64 bits; one of 32 fits its lower half.
    u32::try_from(digest.finalize()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_the_checksum_of_the_standard_and_of_another_implementation() {
        // Guards every file on a disk against a change of the crate.
        assert_eq!(crc32c(b"123456789"), 0xe306_9283);
        assert_eq!(crc32c(&[0; 32]), 0x8a91_36aa);
        let bytes: Vec<u8> = (0..10_000_u32).map(|at| at.to_le_bytes()[0] ^ 0x5a).collect();
        for count in (0..600).chain([4_092, 9_999]) {
            let (left, right) = bytes[..count].split_at(count / 3);
            let expected = ::crc32c::crc32c(&bytes[..count]);
            assert_eq!(crc32c(&bytes[..count]), expected, "{count}");
            assert_eq!(crc32c_append(crc32c(left), right), expected, "{count}");
        }
    }
}
