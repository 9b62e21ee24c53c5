//! A store on a simulated folder whose workers take their steps on the thread of the test, in an
//! order that a seed decides.

use std::sync::Mutex;

use annals_core::id::IdGenerator;
use uuid::Uuid;

use super::seed::Seed;
use super::simulated_folder::SimulatedFolder;
use crate::log::store::Workers;
use crate::log::worker::{Step, WhenIdle};
use crate::{LocalEventStore, LogError, LogOptions, RecoveryReport, WhenMissing};

/// Segments as small as they can be.
pub(crate) const TINY: LogOptions = LogOptions {
    segment_bytes: 4 << 10,
    index_cache_bytes_max: 1 << 20,
    filter_bytes_max: 1 << 20,
};

/// Tiny segments, and no memory for what is in index files.
pub(crate) const TINY_UNCACHED: LogOptions =
    LogOptions { segment_bytes: 4 << 10, index_cache_bytes_max: 0, filter_bytes_max: 0 };

/// Ids that a seed decides.
#[derive(Debug)]
pub(crate) struct SeededIds(Mutex<Seed>);

impl SeededIds {
    pub(crate) const fn new(seed: Seed) -> Self {
        Self(Mutex::new(seed))
    }
}

impl IdGenerator for SeededIds {
    fn next_uuid(&self) -> Uuid {
        let mut seed = self.0.lock().unwrap();
        Uuid::from_u64_pair(seed.next(), seed.next())
    }
}

pub(crate) struct Stepped {
    pub(crate) store: LocalEventStore,
    pub(crate) workers: Workers,
}

impl Stepped {
    pub(crate) fn open(
        folder: &SimulatedFolder,
        ids: &SeededIds,
        options: LogOptions,
    ) -> Result<(Self, RecoveryReport), LogError> {
        let create = WhenMissing::Create;
        let (store, workers, report) =
            LocalEventStore::open_parts(folder.share(), create, ids, options)?;
        Ok((Self { store, workers }, report))
    }

    /// Lets one of the workers do something.
    pub(crate) fn step(&mut self, seed: &mut Seed) {
        match seed.below(4) {
            0 | 1 => self.write(),
            2 => self.keep_space(),
            _ => self.seal(),
        };
    }

    pub(crate) fn write(&mut self) -> Step {
        self.workers.writer.step(WhenIdle::Return)
    }

    pub(crate) fn keep_space(&mut self) -> Step {
        self.workers.space.step(WhenIdle::Return)
    }

    pub(crate) fn seal(&mut self) -> Step {
        self.workers.sealer.step(WhenIdle::Return)
    }

    /// Lets all workers do all there is to do.
    pub(crate) fn settle(&mut self) {
        while [self.write(), self.keep_space(), self.seal()].contains(&Step::Worked) {}
    }

    /// Makes all that was accepted durable, and nothing else.
    pub(crate) fn flush(&mut self) {
        while self.write() == Step::Worked {}
    }

    /// Closes the store as its threads would.
    pub(crate) fn close(self) {
        let Self { store, mut workers } = self;
        drop(store);
        while workers.writer.step(WhenIdle::Return) == Step::Worked {}
        while workers.space.step(WhenIdle::Return) == Step::Worked {}
        while workers.sealer.step(WhenIdle::Return) == Step::Worked {}
    }
}
