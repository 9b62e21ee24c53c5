//! HMAC with SHA-256 (RFC 2104), over parts of known number.

use sha2::{Digest as _, Sha256};

/// Length of a code, in bytes.
pub(super) const LENGTH: usize = 32;

/// Block length of SHA-256, in bytes.
const BLOCK_LENGTH: usize = 64;

/// The code of `parts` under `key`. Each part's length goes in before it, so that no two lists of
/// parts look alike.
pub(super) fn of(key: &[u8; 32], parts: [&[u8]; 2]) -> [u8; LENGTH] {
    let mut hmac = Hmac::new(key);
    for part in parts {
        let length = u64::try_from(part.len()).unwrap_or(u64::MAX);
        hmac.inner.update(length.to_le_bytes());
        hmac.inner.update(part);
    }
    hmac.finish()
}

/// Whether `code` is the code of `parts` under `key`. Takes the same time for every wrong code.
pub(super) fn verify(key: &[u8; 32], parts: [&[u8]; 2], code: &[u8]) -> bool {
    let expected = of(key, parts);
    let difference = expected.iter().zip(code).fold(0, |difference, (a, b)| difference | (a ^ b));
    code.len() == LENGTH && difference == 0
}

struct Hmac {
    inner: Sha256,
    outer: Sha256,
}

impl Hmac {
    fn new(key: &[u8; 32]) -> Self {
        let padded = |mask: u8| {
            let mut block = [mask; BLOCK_LENGTH];
            for (byte, key) in block.iter_mut().zip(key) {
                *byte ^= key;
            }
            Sha256::new_with_prefix(block)
        };
        Self { inner: padded(0x36), outer: padded(0x5c) }
    }

    fn finish(self) -> [u8; LENGTH] {
        let Self { inner, mut outer } = self;
        outer.update(inner.finalize());
        outer.finalize().into()
    }
}

#[cfg(test)]
mod tests {
    use annals_core::id::Digest;

    use super::*;

    #[test]
    fn agrees_with_the_standard() {
        // Guards the construction, with test case 1 of RFC 4231. Its key of 20 bytes is ours with
        // zeros after it, as HMAC pads every key.
        let mut key = [0; 32];
        key[..20].fill(0x0b);
        let mut hmac = Hmac::new(&key);
        hmac.inner.update(b"Hi There");
        assert_eq!(
            Digest::from_bytes(hmac.finish()).to_string(),
            "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"
        );
    }

    #[test]
    fn accepts_its_own_code_only() {
        // Guards against forged files: another key, other parts, another cut between parts, another
        // length.
        let key = [1; 32];
        let code = of(&key, [b"ab", b"c"]);
        assert!(verify(&key, [b"ab", b"c"], &code));
        assert!(!verify(&[2; 32], [b"ab", b"c"], &code));
        assert!(!verify(&key, [b"ab", b"d"], &code));
        assert!(!verify(&key, [b"a", b"bc"], &code));
        assert!(!verify(&key, [b"ab", b"c"], &code[..31]));
        assert!(!verify(&key, [b"ab", b"c"], &[]));
    }
}
