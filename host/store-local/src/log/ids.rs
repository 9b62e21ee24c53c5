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

    /// The commit with this hash that `verify` confirms.
    pub(crate) fn find<E>(
        &self,
        hash: u64,
        mut verify: impl FnMut(u32) -> Result<bool, E>,
    ) -> Result<Option<u32>, E> {
        let mut failed = None;
        let slot = self.slots.find(hash, |slot| {
            slot.hash() == hash
                && verify(slot.commit).unwrap_or_else(|error| {
                    failed = Some(error);
                    true
                })
        });
        match failed {
            Some(error) => Err(error),
            None => Ok(slot.map(|slot| slot.commit)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_collision_is_told_apart_by_verifying() {
        // Guards against refusing a new command because another has the same hash.
        let mut table = IdTable::default();
        table.insert(u64::MAX - 5, 1);
        table.insert(u64::MAX - 5, 2);
        let find = |wanted| table.find(u64::MAX - 5, |commit| Ok::<_, ()>(commit == wanted));
        assert_eq!(find(1), Ok(Some(1)));
        assert_eq!(find(2), Ok(Some(2)));
        assert_eq!(find(3), Ok(None));
        assert_eq!(table.find(7, |_| Ok::<_, ()>(true)), Ok(None));
        assert_eq!(table.find(u64::MAX - 5, |_| Err("broken")), Err("broken"));
    }
}
