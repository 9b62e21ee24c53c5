//! A guest of one aggregate version with the entities resident in it.

use std::collections::hash_map::Entry;
use std::rc::Rc;
use std::sync::Arc;

use annals_core::columns::History;
use annals_core::place::{ActualRevision, Revision};
use annals_core::port::guest::{AggregateGuest, EntityHandle, GuestFailure};
use annals_core::stream::StreamId;
use lru::LruCache;
use tracing::{info, warn};

use super::run::ShardState;
use crate::catalog::ActiveAggregate;

/// A guest and its residents.
pub(super) struct Sandbox {
    pub(super) guest: Box<dyn AggregateGuest>,
    pub(super) residents: LruCache<StreamId, Resident>,
    pub(super) active: Arc<ActiveAggregate>,
    /// Differs from every other sandbox of the shard.
    pub(super) number: u64,
    /// Kept to reuse its memory.
    pub(super) history: History,
}

/// An entity in memory.
#[derive(Debug, Clone, Copy)]
pub(super) struct Resident {
    pub(super) entity: EntityHandle,
    /// Where its stream ended when it last evolved; the store may be ahead when there are several
    /// hosts.
    pub(super) revision: ActualRevision,
}

impl Sandbox {
    /// Makes `entity` resident; the least recently used one goes when there are too many.
    pub(super) fn insert(
        &mut self,
        stream: &StreamId,
        resident: Resident,
    ) -> Result<(), GuestFailure> {
        if let Some((_, gone)) = self.residents.push(stream.clone(), resident) {
            self.guest.remove(gone.entity)?;
        }
        Ok(())
    }

    /// Lets an entity go.
    pub(super) fn remove(&mut self, stream: &StreamId) -> Result<(), GuestFailure> {
        match self.residents.pop(stream) {
            Some(gone) => self.guest.remove(gone.entity),
            None => Ok(()),
        }
    }

    /// An emptied history to fill and give to the guest.
    pub(super) fn take_history(&mut self, first_revision: Revision) -> History {
        let mut history =
            std::mem::replace(&mut self.history, History::starting_at(Revision::FIRST));
        history.restart_at(first_revision);
        history
    }

    /// Whether the guest's memory, which never shrinks, is three quarters full, and dropping
    /// residents would help.
    fn is_nearly_full(&self) -> bool {
        self.residents.len() > 1
            && self.guest.memory_bytes() > self.guest.memory_bytes_max() / 4 * 3
    }
}

impl ShardState {
    /// Replaces a nearly full sandbox by a fresh one, before a command of some innocent stream hits
    /// the limit. Called between jobs.
    pub(super) fn make_room(&self, active: &ActiveAggregate) {
        let mut sandboxes = self.sandboxes.borrow_mut();
        if sandboxes.get(&active.generation).is_some_and(Sandbox::is_nearly_full) {
            let name = &active.description.name;
            info!(plugin = %name, "sandbox is nearly full; its residents are let go");
            sandboxes.remove(&active.generation);
        }
    }

    /// Calls `work` with the sandbox of `active`, making one when there is none. On a failure the
    /// sandbox is dropped with all its residents; other plugins are untouched.
    pub(super) fn with_sandbox<T>(
        self: &Rc<Self>,
        active: &Arc<ActiveAggregate>,
        work: impl FnOnce(&mut Sandbox) -> Result<T, GuestFailure>,
    ) -> Result<T, GuestFailure> {
        let name = &active.description.name;
        let mut sandboxes = self.sandboxes.borrow_mut();
        let sandbox = match sandboxes.entry(active.generation) {
            Entry::Occupied(found) => found.into_mut(),
            Entry::Vacant(place) => {
                let number = self.sandboxes_count.get() + 1;
                self.sandboxes_count.set(number);
                place.insert(Sandbox {
                    guest: active.guest()?,
                    residents: LruCache::new(self.context.options.residents_max(name)),
                    active: Arc::clone(active),
                    number,
                    history: History::starting_at(Revision::FIRST),
                })
            }
        };
        let result = work(sandbox);
        if let Err(failure) = &result {
            warn!(plugin = %name, error = %failure, "plugin failed; its sandbox is dropped");
            if !self.is_apart() {
                active.pace.failed();
            }
            sandboxes.remove(&active.generation);
        }
        result
    }

    /// Lets the entity of a stream go that runs elsewhere from now on, making no sandbox for that.
    pub(super) fn let_go(self: &Rc<Self>, active: &Arc<ActiveAggregate>, stream: &StreamId) {
        let is_resident = {
            let sandboxes = self.sandboxes.borrow();
            let sandbox = sandboxes.get(&active.generation);
            sandbox.is_some_and(|sandbox| sandbox.residents.contains(stream))
        };
        if is_resident {
            self.forget(active, stream);
        }
    }

    /// Lets the entity of a stream go, if it is resident. A failure drops the sandbox, which lets
    /// all go.
    pub(super) fn forget(self: &Rc<Self>, active: &Arc<ActiveAggregate>, stream: &StreamId) {
        if let Err(failure) = self.with_sandbox(active, |sandbox| sandbox.remove(stream)) {
            warn!(%stream, error = %failure, "entity could not be removed");
        }
    }
}
