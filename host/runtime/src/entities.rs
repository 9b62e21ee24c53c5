//! Handles of resident things: found by index, told apart by generation.

use annals_core::port::guest::EntityHandle;

/// Values by handle. A handle of a removed value never names a later one.
#[derive(Debug)]
pub(crate) struct Entities<T> {
    slots: Vec<Slot<T>>,
    // Invariant: each index is in `slots`, and the slot has no value.
    free: Vec<u32>,
}

#[derive(Debug)]
struct Slot<T> {
    generation: u32,
    value: Option<T>,
}

impl<T: Copy> Entities<T> {
    pub(crate) fn new() -> Self {
        Self { slots: Vec::new(), free: Vec::new() }
    }

    pub(crate) fn count(&self) -> usize {
        self.slots.len().saturating_sub(self.free.len())
    }

    /// Keeps `value`. `None` when there are already `u32::MAX` values.
    pub(crate) fn insert(&mut self, value: T) -> Option<EntityHandle> {
        if let Some(index) = self.free.pop() {
            let slot = self.slots.get_mut(usize::try_from(index).ok()?)?;
            slot.value = Some(value);
            return Some(handle(index, slot.generation));
        }
        let index = u32::try_from(self.slots.len()).ok()?;
        self.slots.push(Slot { generation: 0, value: Some(value) });
        Some(handle(index, 0))
    }

    pub(crate) fn get(&self, handle: EntityHandle) -> Option<T> {
        let (index, generation) = parts(handle)?;
        let slot = self.slots.get(index)?;
        slot.value.filter(|_| slot.generation == generation)
    }

    pub(crate) fn remove(&mut self, handle: EntityHandle) -> Option<T> {
        let (index, generation) = parts(handle)?;
        let slot = self.slots.get_mut(index)?;
        if slot.generation != generation {
            return None;
        }
        let value = slot.value.take()?;
        slot.generation = slot.generation.wrapping_add(1);
        self.free.push(u32::try_from(index).ok()?);
        Some(value)
    }
}

fn handle(index: u32, generation: u32) -> EntityHandle {
    EntityHandle(u64::from(generation) << 32 | u64::from(index))
}

fn parts(handle: EntityHandle) -> Option<(usize, u32)> {
    let index = usize::try_from(handle.0 & u64::from(u32::MAX)).ok()?;
    let generation = u32::try_from(handle.0 >> 32).ok()?;
    Some((index, generation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_of_a_removed_value_names_nothing_even_when_its_slot_is_used_again() {
        // Guards that one stream's command never reaches another stream's entity.
        let mut entities = Entities::new();
        let first = entities.insert('a').unwrap();
        let other = entities.insert('b').unwrap();
        assert_eq!(entities.remove(first), Some('a'));
        let second = entities.insert('c').unwrap();
        assert_eq!(
            [first, second, other].map(|handle| entities.get(handle)),
            [None, Some('c'), Some('b')]
        );
        assert_eq!(entities.remove(first), None);
        assert_eq!(entities.count(), 2);
    }
}
