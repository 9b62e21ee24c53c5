//! What a runner wants to commit: instances as they are to be, and with them all rows that say the same
//! in another order.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals_core::port::StateStore;
use annals_core::port::state_store::{
    RowKey, StateCapabilities, StateCondition, StateError, StateWrite,
};
use annals_core::time::Timestamp;
use bytes::Bytes;

use super::instance::{Instance, Pending};
use super::tables;

/// Instances that are read and changed together.
#[derive(Debug, Default)]
pub(super) struct Draft {
    slots: BTreeMap<Arc<str>, Slot>,
    writes: Vec<StateWrite>,
    /// Whose outcome of a command is handled.
    answered: Vec<Arc<str>>,
    /// Written last, instead of what was said of the same row before.
    last: Option<StateWrite>,
    conditions: Vec<StateCondition>,
    bytes_count: usize,
    rows_count: usize,
}

/// One instance.
#[derive(Debug)]
struct Slot {
    before: Stored,
    now: Option<Instance>,
    /// What is to be written; `None`: it is as it was.
    encoded: Option<Bytes>,
    /// Most rows that writing it changes.
    rows_count: usize,
}

/// What is stored about an instance beside itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Stored {
    parts_count: u16,
    due: Option<Timestamp>,
    is_working: bool,
    is_parked: bool,
    is_running: bool,
    over_at: Option<Timestamp>,
}

impl Stored {
    fn of(instance: &Instance, parts_count: u16) -> Self {
        Self {
            parts_count,
            due: instance.next_due(),
            is_working: instance.next_command().is_some(),
            is_parked: instance.parked.is_some(),
            is_running: instance.is_running(),
            over_at: instance.is_over().then_some(instance.ended_at).flatten(),
        }
    }
}

/// By how much the numbers of instances change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Changed {
    pub(super) running: i64,
    pub(super) parked: i64,
    pub(super) over: i64,
}

/// An instance would be too large.
#[derive(Debug, thiserror::Error)]
#[error(
    "the instance would have {size} bytes with its timers, commands and what waits, at most {max} are \
     allowed"
)]
pub(super) struct InstanceTooLarge {
    pub(super) size: usize,
    pub(super) max: usize,
}

impl Draft {
    /// Reads the instances that are not in here yet.
    pub(super) async fn load(
        &mut self,
        state: &dyn StateStore,
        ids: impl IntoIterator<Item = &Arc<str>>,
    ) -> Result<(), StateError> {
        let mut missing: Vec<_> = ids.into_iter().map(Arc::clone).collect();
        missing.retain(|id| !self.slots.contains_key(id));
        missing.sort_unstable();
        missing.dedup();
        for (id, found) in missing.iter().zip(tables::get_many(state, &missing).await?) {
            let before =
                found.as_ref().map_or_else(Stored::default, |(it, parts)| Stored::of(it, *parts));
            let now = found.map(|(instance, _)| instance);
            self.slots.insert(Arc::clone(id), Slot { before, now, encoded: None, rows_count: 0 });
        }
        Ok(())
    }

    pub(super) fn get(&self, id: &str) -> Option<&Instance> {
        self.slots.get(id)?.now.as_ref()
    }

    /// Replaces an instance that was loaded, or begins one. It may have `bytes_max` bytes.
    pub(super) fn put(
        &mut self,
        instance: Instance,
        bytes_max: usize,
    ) -> Result<(), InstanceTooLarge> {
        // The instance, its places in `due`, `ended`, `working` and `parked`: two each at most.
        const ROWS: usize = 9;
        let encoded = tables::encode(&instance);
        let size = encoded.len();
        if size > bytes_max {
            return Err(InstanceTooLarge { size, max: bytes_max });
        }
        if let Some(slot) = self.slots.get_mut(&instance.id) {
            self.bytes_count += size;
            self.bytes_count -= slot.encoded.as_ref().map_or(0, Bytes::len);
            let parts_count = usize::from(slot.before.parts_count).max(tables::parts_count(size));
            self.rows_count += ROWS + parts_count;
            self.rows_count -= slot.rows_count;
            slot.rows_count = ROWS + parts_count;
            (slot.now, slot.encoded) = (Some(instance), Some(encoded));
        }
        Ok(())
    }

    /// Writes a row at last, instead of what this was given before.
    pub(super) fn write_last(&mut self, write: StateWrite) {
        self.last = Some(write);
    }

    /// What must hold beside that the process manager is this host's.
    pub(super) fn expect(&mut self, condition: StateCondition) {
        self.conditions.push(condition);
    }

    pub(super) fn conditions(&self) -> &[StateCondition] {
        &self.conditions
    }

    /// Adds a write of another row.
    pub(super) fn write(&mut self, write: StateWrite) {
        self.writes.push(write);
    }

    /// Notes that the outcome of a command of an instance is handled.
    pub(super) fn has_answered(&mut self, instance: &Arc<str>) {
        self.answered.push(Arc::clone(instance));
    }

    /// Whose outcome of a command is handled.
    pub(super) fn answered(&self) -> &[Arc<str>] {
        &self.answered
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rows_count == 0 && self.writes.is_empty() && self.last.is_none()
    }

    /// Whether it should be committed before another instance changes.
    pub(super) fn is_full(&self, capabilities: &StateCapabilities) -> bool {
        // Room for the largest instance, counters, places and conditions.
        const ROWS_TO_SPARE: usize = 35;
        const BYTES_MAX: usize = 512 << 10;
        let rows_max = capabilities.commit_rows_max.saturating_sub(ROWS_TO_SPARE);
        let rows_count = self.rows_count + self.writes.len();
        rows_count >= rows_max || self.bytes_count >= BYTES_MAX
    }

    /// All writes, and how numbers of instances change.
    pub(super) fn writes(&self) -> (Vec<StateWrite>, Changed) {
        let (mut writes, mut changed) = (self.writes.clone(), Changed::default());
        for (id, slot) in &self.slots {
            let (Some(now), Some(encoded)) = (&slot.now, &slot.encoded) else { continue };
            let (rows, parts_count) = tables::put(id, encoded, slot.before.parts_count);
            writes.extend(rows);
            let (before, now) = (slot.before, Stored::of(now, parts_count));
            let timed = |table, at| tables::row(table, tables::timed_key(at, id));
            let named = |table| tables::row(table, tables::text_key(id));
            replace(&mut writes, [before.due, now.due], |at| timed(tables::DUE, at));
            replace(&mut writes, [before.over_at, now.over_at], |at| timed(tables::ENDED, at));
            let working = [before.is_working, now.is_working].map(|it| it.then_some(()));
            replace(&mut writes, working, |()| named(tables::WORKING));
            let parked = [before.is_parked, now.is_parked].map(|it| it.then_some(()));
            replace(&mut writes, parked, |()| named(tables::PARKED));
            changed.running += i64::from(now.is_running) - i64::from(before.is_running);
            changed.parked += i64::from(now.is_parked) - i64::from(before.is_parked);
            changed.over += i64::from(now.over_at.is_some()) - i64::from(before.over_at.is_some());
        }
        writes.extend(changed.writes());
        writes.extend(self.last.clone());
        (writes, changed)
    }

    /// Per instance that changes: its name, and the command that it has sent next.
    pub(super) fn next_commands(&self) -> impl Iterator<Item = (&Arc<str>, Option<&Pending>)> {
        let changed = self.slots.iter().filter(|(_, slot)| slot.encoded.is_some());
        changed.map(|(id, slot)| (id, slot.now.as_ref().and_then(Instance::next_command)))
    }
}

impl Changed {
    /// The writes that count.
    pub(super) fn writes(self) -> impl Iterator<Item = StateWrite> {
        let named = [("running", self.running), ("parked", self.parked), ("over", self.over)];
        let changed = named.into_iter().filter(|(_, by)| *by != 0);
        changed.map(|(name, by)| StateWrite::Add(tables::row(tables::FIGURES, name), by))
    }
}

/// Moves a row of an index.
fn replace<T: PartialEq>(
    writes: &mut Vec<StateWrite>,
    [before, now]: [Option<T>; 2],
    row: impl Fn(T) -> RowKey,
) {
    if before != now {
        writes.extend(before.map(|it| StateWrite::Delete(row(it))));
        writes.extend(now.map(|it| StateWrite::Put(row(it), Bytes::new())));
    }
}
