//! A guest of one aggregate version with the entities resident in it.

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
        history.first_revision = first_revision;
        history.event_types.clear();
        history.recorded_at.clear();
        history.data.clear();
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
    /// The newest of `active` and the version the shard runs.
    pub(super) fn newest(&self, active: Arc<ActiveAggregate>) -> Arc<ActiveAggregate> {
        let sandboxes = self.sandboxes.borrow();
        match sandboxes.get(&active.description.name) {
            Some(sandbox) if sandbox.active.generation > active.generation => {
                Arc::clone(&sandbox.active)
            }
            _ => active,
        }
    }

    /// Replaces a nearly full sandbox by a fresh one, before a command of some innocent stream hits
    /// the limit. Called between jobs.
    pub(super) fn make_room(&self, active: &ActiveAggregate) {
        let mut sandboxes = self.sandboxes.borrow_mut();
        let name = &active.description.name;
        if sandboxes.get(name).is_some_and(Sandbox::is_nearly_full) {
            info!(plugin = %name, "sandbox is nearly full; its residents are let go");
            sandboxes.remove(name);
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
        if let Some(sandbox) = sandboxes.get(name) {
            let is_older = sandbox.active.generation != active.generation;
            if is_older {
                info!(plugin = %name, version = %active.description.version, "shard swaps plugin");
            }
            if is_older {
                sandboxes.remove(name);
            }
        }
        if !sandboxes.contains_key(name) {
            let number = self.sandboxes_count.get() + 1;
            self.sandboxes_count.set(number);
            let sandbox = Sandbox {
                guest: active.plugin.aggregate()?,
                residents: LruCache::new(self.context.options.residents_max(name)),
                active: Arc::clone(active),
                number,
                history: History::starting_at(Revision::FIRST),
            };
            sandboxes.insert(name.clone(), sandbox);
        }
        let Some(sandbox) = sandboxes.get_mut(name) else {
            let cause = "the sandbox is gone".to_owned();
            return Err(GuestFailure::Contract { plugin: name.to_string(), call: "new", cause });
        };
        let result = work(sandbox);
        if let Err(failure) = &result {
            warn!(plugin = %name, error = %failure, "plugin failed; its sandbox is dropped");
            if !self.is_apart() {
                active.pace.failed();
            }
            sandboxes.remove(name);
        }
        result
    }

    /// Lets the entity of a stream go that runs elsewhere from now on, making no sandbox for that.
    pub(super) fn let_go(self: &Rc<Self>, active: &Arc<ActiveAggregate>, stream: &StreamId) {
        let is_resident = {
            let sandboxes = self.sandboxes.borrow();
            let sandbox = sandboxes.get(&active.description.name);
            sandbox.is_some_and(|sandbox| {
                sandbox.active.generation == active.generation && sandbox.residents.contains(stream)
            })
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
