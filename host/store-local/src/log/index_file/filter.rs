//! A filter of hashes: says surely when a segment has nothing of a stream, an id or a claim.
//!
//! A split block Bloom filter (Putze, Sanders and Singler, 2007; the shape is that of Apache Parquet's):
//! a hash picks one block of eight words of 32 bits, and one bit of each word. One look is one line of
//! memory.

/// How long one block is.
pub(crate) const BLOCK_BYTES: usize = 32;

/// Bits per hash: about one in three hundred looks is in vain.
const BITS_PER_HASH: usize = 12;

/// One odd number per word of a block, to pick its bit by multiplying.
const SALTS: [u32; 8] = [
    0x47b6_137b,
    0x4497_4d91,
    0x8824_ad5b,
    0xa2b7_289d,
    0x7054_95c7,
    0x2df1_424b,
    0x9efc_4947,
    0x5c6b_fb31,
];

/// A filter in memory.
#[derive(Debug)]
pub(crate) struct Filter {
    blocks: Vec<u8>,
    blocks_count: usize,
}

impl Filter {
    /// From the bytes of a whole number of blocks.
    pub(crate) fn new(blocks: Vec<u8>) -> Self {
        Self { blocks_count: blocks.len() / BLOCK_BYTES, blocks }
    }

    pub(crate) fn may_have(&self, hash: u64) -> bool {
        let start = block_of(hash, self.blocks_count) * BLOCK_BYTES;
        self.blocks.get(start..start + BLOCK_BYTES).is_none_or(|block| may_have(block, hash))
    }
}

/// The filter of `hashes`.
pub(crate) fn build(hashes: impl ExactSizeIterator<Item = u64>) -> Vec<u8> {
    let bytes = (hashes.len() * BITS_PER_HASH).div_ceil(8);
    let mut blocks = vec![0; bytes.div_ceil(BLOCK_BYTES).max(1) * BLOCK_BYTES];
    let blocks_count = blocks.len() / BLOCK_BYTES;
    for hash in hashes {
        let start = block_of(hash, blocks_count) * BLOCK_BYTES;
        let block = blocks.get_mut(start..start + BLOCK_BYTES).unwrap_or_default();
        for (word, bit) in block.chunks_exact_mut(4).zip(bits(hash)) {
            if let Ok(bytes) = <[u8; 4]>::try_from(&*word) {
                word.copy_from_slice(&(u32::from_le_bytes(bytes) | bit).to_le_bytes());
            }
        }
    }
    blocks
}

/// Which block tells of `hash`.
pub(crate) fn block_of(hash: u64, blocks_count: usize) -> usize {
    let high = hash >> 32;
    let count = u64::try_from(blocks_count).unwrap_or(u64::MAX);
    usize::try_from(high.wrapping_mul(count) >> 32).unwrap_or_default()
}

/// Whether `hash` may be in a filter, of which this is the block that tells.
pub(crate) fn may_have(block: &[u8], hash: u64) -> bool {
    block.chunks_exact(4).zip(bits(hash)).all(|(word, bit)| {
        <[u8; 4]>::try_from(word).is_ok_and(|bytes| u32::from_le_bytes(bytes) & bit != 0)
    })
}

fn bits(hash: u64) -> impl Iterator<Item = u32> {
    let [a, b, c, d, ..] = hash.to_le_bytes();
    let low = u32::from_le_bytes([a, b, c, d]);
    SALTS.into_iter().map(move |salt| 1 << (low.wrapping_mul(salt) >> 27))
}

#[cfg(test)]
mod tests {
    use std::hash::Hasher as _;

    use siphasher::sip::SipHasher13;

    use super::*;

    fn hash(number: u64) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(1, 2);
        hasher.write_u64(number);
        hasher.finish()
    }

    #[test]
    fn knows_all_it_holds_and_few_others() {
        // Guards look-ups: a hash that is held is never denied; one that is not costs a look rarely.
        let count = 20_000;
        let filter = build((0..count).map(hash).collect::<Vec<_>>().into_iter());
        let blocks_count = filter.len() / BLOCK_BYTES;
        let look = |number| {
            let hash = hash(number);
            let start = block_of(hash, blocks_count) * BLOCK_BYTES;
            may_have(&filter[start..start + BLOCK_BYTES], hash)
        };
        assert!((0..count).all(look));
        let in_vain = (count..2 * count).filter(|&number| look(number)).count();
        assert!((1..200).contains(&in_vain), "{in_vain} of {count}");
        assert_eq!(build(std::iter::empty::<u64>().collect::<Vec<_>>().into_iter()), [0; 32]);
    }
}
