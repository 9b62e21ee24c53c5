//! Which commit has an id: twelve bytes per id, whatever the id is.
//!
//! Only a keyed hash of the id and its stream is kept, so a hit must be verified in the frame.

use hashbrown::HashTable;

#[derive(Debug, Default)]
pub(crate) struct IdTable {
    slots: HashTable<Slot>,
}

/// Low and high half of the hash, and the commit; three words, to need no padding.
#[derive(Debug, Clone, Copy)]
struct Slot {
    hash: [u32; 2],
    commit: u32,
}

impl Slot {
    fn hash(&self) -> u64 {
        let [low, high] = self.hash.map(u64::from);
        high << 32 | low
    }
}

impl IdTable {
    pub(crate) fn insert(&mut self, hash: u64, commit: u32) {
        let [a, b, c, d, e, f, g, h] = hash.to_le_bytes();
        let slot = Slot {
            hash: [u32::from_le_bytes([a, b, c, d]), u32::from_le_bytes([e, f, g, h])],
            commit,
        };
        self.slots.insert_unique(hash, slot, Slot::hash);
    }

    /// The commits with this hash: the caller looks whether one of them has the id.
    pub(crate) fn candidates(&self, hash: u64) -> Vec<u32> {
        let slots = self.slots.iter_hash(hash).filter(|slot| slot.hash() == hash);
        slots.map(|slot| slot.commit).collect()
    }

    /// All hashes with their commits, in no order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (u64, u32)> {
        self.slots.iter().map(|slot| (slot.hash(), slot.commit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_commits_of_a_hash_are_candidates_and_no_others() {
        // Guards against refusing a new command because another has the same hash.
        let mut table = IdTable::default();
        table.insert(u64::MAX - 5, 1);
        table.insert(u64::MAX - 5, 2);
        table.insert(u64::MAX - 6, 3);
        let mut candidates = table.candidates(u64::MAX - 5);
        candidates.sort_unstable();
        assert_eq!(candidates, [1, 2]);
        assert!(table.candidates(7).is_empty());
        assert_eq!(table.iter().len(), 3);
    }
}
