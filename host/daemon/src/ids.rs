//! Ids and random keys: the one place that asks for randomness.

use annals_core::id::IdGenerator;
use uuid::Uuid;

/// Makes UUIDs of version 7: ordered by time, unique by chance.
#[derive(Debug, Clone, Copy, Default)]
pub struct RandomIds;

impl IdGenerator for RandomIds {
    #[expect(clippy::disallowed_methods, reason = "the generator that everybody else is given")]
    fn next_uuid(&self) -> Uuid {
        Uuid::now_v7()
    }
}

/// 32 unpredictable bytes.
#[expect(clippy::disallowed_methods, reason = "keys must not be ordered by time")]
pub(crate) fn random_key() -> [u8; 32] {
    use sha2::Digest as _;
    // A UUID of version 4 has 122 random bits; four of them make more than 256, and the hash
    // spreads them.
    let mut hash = sha2::Sha256::new();
    for _ in 0..4 {
        hash.update(Uuid::new_v4().as_bytes());
    }
    hash.finalize().into()
}
