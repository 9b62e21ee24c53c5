//! What was sent to a store and what it said, and the memory driver as the judge of both.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use annals_core::command::Outcome;
use annals_core::commit::{Commit, Receipt};
use annals_core::id::StoreId;
use annals_core::port::EventStore as _;
use annals_core::port::event_store::AppendError;
use annals_store_memory::MemoryEventStore;
use pollster::block_on;

use super::everything::everything;
use super::seed::Seed;
use super::stepped::Stepped;
use super::support::accept;
use super::workload::Workload;

#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) memory: MemoryEventStore,
    store: Option<StoreId>,
    pub(crate) workload: Workload,
    /// All commits that were accepted, in order.
    accepted: Vec<(Commit, Receipt)>,
    /// Which of them were reported as durable.
    durable: Arc<Mutex<BTreeSet<usize>>>,
}

impl Model {
    pub(crate) fn new(seed: &mut Seed) -> Self {
        Self {
            memory: MemoryEventStore::new(StoreId::new(uuid::Uuid::nil())),
            store: None,
            workload: Workload::new(seed.fork()),
            accepted: Vec::new(),
            durable: Arc::default(),
        }
    }

    pub(crate) fn accepted_count(&self) -> usize {
        self.accepted.len()
    }

    pub(crate) fn durable_count(&self) -> usize {
        self.durable.lock().unwrap().last().map_or(0, |last| last + 1)
    }

    /// Sends the next commit, and compares the answer with the memory driver's. `Err`: the store did
    /// not take it.
    pub(crate) fn append(&mut self, stepped: &Stepped) -> Result<(), AppendError> {
        let commit = self.workload.commit(&self.memory);
        let answer = accept(&stepped.store, commit.clone());
        if let Err(error @ (AppendError::Unavailable(_) | AppendError::OutcomeUnknown(_))) = answer
        {
            return Err(error);
        }
        let expected = block_on(self.memory.append(commit.clone()));
        let (accepted, expected) = match (answer, expected) {
            (Ok(accepted), Ok(expected)) => (accepted, expected),
            (Err(error), Err(expected)) => {
                assert_eq!(format!("{error:?}"), format!("{expected:?}"), "{commit:?}");
                return Ok(());
            }
            (answer, expected) => panic!("{answer:?}, not {expected:?}, to {commit:?}"),
        };
        assert_eq!(accepted.receipt, expected.receipt, "{commit:?}");
        let is_rejected =
            commit.command.as_ref().is_some_and(|command| command.outcome != Outcome::Accepted);
        let has_ids = commit.streams.iter().flat_map(|it| &it.events).any(|it| it.id.is_some());
        let earlier = has_ids.then(|| {
            let same = |(_, receipt): &(Commit, Receipt)| *receipt == accepted.receipt;
            self.accepted.iter().position(same)
        });
        let number = earlier.flatten().unwrap_or(self.accepted.len());
        if number == self.accepted.len() {
            self.accepted.push((commit, accepted.receipt));
        }
        // What was rejected may be lost although it counts as durable.
        if !is_rejected {
            let durable = Arc::clone(&self.durable);
            accepted.durability.on_done(move |outcome| {
                if outcome.is_ok() {
                    durable.lock().unwrap().insert(number);
                }
            });
        }
        Ok(())
    }

    /// Forgets what was accepted after the first `count` commits: a crash did, too.
    #[track_caller]
    pub(crate) fn keep(&mut self, store: StoreId, count: u64) {
        let count = usize::try_from(count).unwrap();
        let accepted_count = self.accepted.len();
        assert!(count <= accepted_count, "{count} of {accepted_count} commits are there");
        let durable_count = self.durable_count();
        assert!(count >= durable_count, "{count} of {durable_count} durable commits are there");
        assert!(self.store.is_none_or(|before| before == store) || durable_count == 0);
        self.store = Some(store);
        self.accepted.truncate(count);
        self.memory = MemoryEventStore::new(store);
        for (commit, receipt) in &self.accepted {
            let accepted = block_on(self.memory.append(commit.clone())).unwrap();
            assert_eq!(accepted.receipt, *receipt);
        }
    }

    /// Fails unless the store says of everything what the memory driver says.
    #[track_caller]
    pub(crate) fn assert_same(&self, stepped: &Stepped, seed: &mut Seed, what: &str) {
        let seed = seed.fork();
        let ids_count = self.workload.ids_count();
        let found = everything(&stepped.store, seed.clone(), ids_count);
        found.assert_dense(ids_count);
        assert_eq!(found.commits.len(), self.accepted.len(), "{what}");
        let expected = everything(&self.memory, seed, ids_count).without_made_ids(ids_count);
        found.without_made_ids(ids_count).assert_same(&expected, what);
    }
}
