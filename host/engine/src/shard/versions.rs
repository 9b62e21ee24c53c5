//! Which version of a plugin a shard runs: the newest it has seen, and never an older one again.
//!
//! ```text
//!   job of version 1  ├── decide ── append ······ evolve ─┤  its sandbox goes with its last job
//!   job of version 2               ├── load ── decide ── append ── evolve ─┤
//! ```
//! A job ends on the version it began with, in a sandbox that is still there, while jobs of other
//! streams run on the next version. One stream is worked on by one job at a time, so no two versions
//! ever decide for it at once.

use std::collections::HashMap;
use std::rc::Rc;
use std::sync::Arc;

use annals_core::name::PluginName;
use tracing::debug;

use super::run::ShardState;
use crate::catalog::ActiveAggregate;

/// The versions a shard runs.
#[derive(Debug, Default)]
pub(super) struct Versions {
    /// By plugin: what its next job runs on. Invariant: the generation of a plugin only grows.
    newest: HashMap<PluginName, Arc<ActiveAggregate>>,
    /// By generation: how many jobs began and did not end. Invariant: never 0.
    jobs_counts: HashMap<u64, usize>,
}

impl ShardState {
    /// The version a job runs on that was sent for `active`; to be given to [`Self::end`].
    pub(super) fn begin(&self, active: Arc<ActiveAggregate>) -> Arc<ActiveAggregate> {
        let active = self.newest(active);
        let mut versions = self.versions.borrow_mut();
        *versions.jobs_counts.entry(active.generation).or_default() += 1;
        active
    }

    /// Ends a job; the last one of a version that is no longer the newest takes its sandbox along.
    pub(super) fn end(&self, active: &ActiveAggregate) {
        let generation = active.generation;
        let is_newest = {
            let mut versions = self.versions.borrow_mut();
            let jobs_count = versions.jobs_counts.get(&generation).copied().unwrap_or_default();
            if jobs_count > 1 {
                versions.jobs_counts.insert(generation, jobs_count - 1);
                return;
            }
            versions.jobs_counts.remove(&generation);
            let newest = versions.newest.get(&active.description.name);
            newest.is_some_and(|newest| newest.generation == generation)
        };
        if !is_newest {
            self.sandboxes.borrow_mut().remove(&generation);
        }
    }

    fn newest(&self, active: Arc<ActiveAggregate>) -> Arc<ActiveAggregate> {
        let name = &active.description.name;
        let known = self.versions.borrow().newest.get(name).map(Arc::clone);
        match known {
            Some(known) if known.generation > active.generation => return known,
            // The same version, perhaps with upcasters that lead to none of its events.
            Some(known) if known.generation == active.generation => return active,
            Some(_) => {}
            None => match self.context.catalog.get(name) {
                // It was removed after the job was sent: the job still runs, and leaves nothing here.
                None => return active,
                Some(current) if current.generation > active.generation => {
                    self.adopt(&current);
                    return current;
                }
                Some(_) => {}
            },
        }
        self.adopt(&active);
        active
    }

    /// Moves to the versions that are active now, and lets go of what was removed.
    pub(super) fn follow_catalog(self: &Rc<Self>) {
        let known: Vec<_> = self.versions.borrow().newest.values().map(Arc::clone).collect();
        for known in known {
            let name = &known.description.name;
            match self.context.catalog.get(name) {
                Some(active) if active.generation > known.generation => self.adopt(&active),
                Some(_) => {}
                None => {
                    self.versions.borrow_mut().newest.remove(name);
                    self.let_go_if_idle(known.generation);
                }
            }
        }
    }

    /// Makes `active` what the next jobs of its plugin run on.
    fn adopt(&self, active: &Arc<ActiveAggregate>) {
        let name = &active.description.name;
        let mut versions = self.versions.borrow_mut();
        let before = versions.newest.insert(name.clone(), Arc::clone(active));
        drop(versions);
        if let Some(before) = before {
            debug_assert!(before.generation < active.generation, "a shard went back");
            debug!(plugin = %name, version = %active.description.version, "shard swaps plugin");
            self.let_go_if_idle(before.generation);
        }
    }

    fn let_go_if_idle(&self, generation: u64) {
        if !self.versions.borrow().jobs_counts.contains_key(&generation) {
            self.sandboxes.borrow_mut().remove(&generation);
        }
    }
}
