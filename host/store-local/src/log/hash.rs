//! Hashes of names and ids that are the same at every start of a store: what an index file is sorted
//! by, and what a filter holds.
//!
//! SipHash-1-3 (Aumasson and Bernstein, 2012) keyed by the store's id. A hit is always verified by
//! the name or the id itself, so a collision costs time and nothing else.

use std::hash::Hasher as _;

use annals_core::id::StoreId;
use siphasher::sip::SipHasher13;
use uuid::Uuid;

/// What is hashed, so that equal bytes of two kinds have two hashes.
const STREAM: u8 = 0;
const COMMAND_ID: u8 = 1;
const EVENT_ID: u8 = 2;
const CLAIM: u8 = 3;
const SALT: u8 = 4;

#[derive(Debug, Clone, Copy)]
pub(crate) struct StableHasher {
    high: u64,
    low: u64,
}

/// What of a stream an id is remembered for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum IdKind {
    Command,
    Event,
}

impl StableHasher {
    pub(crate) fn new(store: StoreId) -> Self {
        let (high, low) = store.uuid().as_u64_pair();
        Self { high, low }
    }

    pub(crate) fn stream(&self, stream: &str) -> u64 {
        let mut hasher = self.start(STREAM);
        hasher.write(stream.as_bytes());
        hasher.finish()
    }

    /// The hash of an id that a stream remembers.
    pub(crate) fn id(&self, kind: IdKind, stream_hash: u64, id: Uuid) -> u64 {
        let mut hasher = self.start(match kind {
            IdKind::Command => COMMAND_ID,
            IdKind::Event => EVENT_ID,
        });
        hasher.write(&stream_hash.to_le_bytes());
        hasher.write(id.as_bytes());
        hasher.finish()
    }

    pub(crate) fn claim(&self, scope: &str, key: &str) -> u64 {
        let mut hasher = self.start(CLAIM);
        hasher.write(scope.as_bytes());
        // No text has this byte: scope and key cannot be cut differently.
        hasher.write(&[0xff]);
        hasher.write(key.as_bytes());
        hasher.finish()
    }

    /// The salt of the segment that begins with a commit. `seed` differs at every start of the store,
    /// so that no two files ever have the same one.
    pub(crate) fn salt(&self, seed: u64, first_commit: u64) -> u64 {
        let mut hasher = self.start(SALT);
        hasher.write(&seed.to_le_bytes());
        hasher.write(&first_commit.to_le_bytes());
        hasher.finish()
    }

    fn start(&self, what: u8) -> SipHasher13 {
        let mut hasher = SipHasher13::new_with_keys(self.high, self.low);
        hasher.write(&[what]);
        hasher
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_never_change_and_keep_kinds_apart() {
        // Guards every index file on a disk: a changed hash would find nothing in it.
        let hasher = StableHasher::new(StoreId::new(Uuid::from_u128(7)));
        let id = Uuid::from_u128(9);
        let hashes = [
            hasher.stream("account/a1"),
            hasher.id(IdKind::Command, 1, id),
            hasher.id(IdKind::Event, 1, id),
            hasher.claim("e-mail", "ada"),
            hasher.claim("e-mai", "lada"),
        ];
        let expected: [u64; 5] = [
            5_480_879_405_390_529_172,
            8_291_017_289_538_926_420,
            3_125_619_366_970_749_053,
            10_707_927_767_250_559_813,
            442_051_660_307_135_273,
        ];
        assert_eq!(hashes, expected);
        let other = StableHasher::new(StoreId::new(Uuid::from_u128(8)));
        assert_ne!(other.stream("account/a1"), hashes[0]);
    }
}
