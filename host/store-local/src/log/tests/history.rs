//! A log in memory that lives through several processes, and a model of what it must hold.

use annals_core::port::EventStore as _;
use annals_core::port::event_store::AppendError;

use super::model::Model;
use super::seed::Seed;
use super::simulated_folder::SimulatedFolder;
use super::stepped::{SeededIds, Stepped, TINY};
use crate::{LogError, RecoveryReport};

pub(crate) struct History {
    pub(crate) seed: Seed,
    pub(crate) ids: SeededIds,
    pub(crate) folder: SimulatedFolder,
    pub(crate) model: Model,
}

impl History {
    pub(crate) fn new(number: u64) -> Self {
        let mut seed = Seed::new(number);
        Self {
            ids: SeededIds::new(seed.fork()),
            folder: SimulatedFolder::new(),
            model: Model::new(&mut seed),
            seed,
        }
    }

    pub(crate) fn open(&self) -> Result<(Stepped, RecoveryReport), LogError> {
        Stepped::open(&self.folder, &self.ids, TINY)
    }

    /// Opens a log of which nothing is known yet.
    pub(crate) fn open_first(&mut self) -> Stepped {
        let (stepped, _) = self.open().unwrap();
        self.model.keep(stepped.store.store_id(), 0);
        stepped
    }

    /// Sends commits and lets the workers do steps, until all are sent or one is not taken.
    pub(crate) fn work(
        &mut self,
        stepped: &mut Stepped,
        commits_count: usize,
    ) -> Result<(), AppendError> {
        let mut sent_count = 0;
        while sent_count < commits_count {
            if self.seed.percent(40) {
                sent_count += 1;
                self.model.append(stepped)?;
            } else {
                stepped.step(&mut self.seed);
            }
        }
        Ok(())
    }

    /// Opens the log after whatever happened to it, and compares all of it.
    #[track_caller]
    pub(crate) fn recover(&mut self, what: &str) -> (Stepped, RecoveryReport) {
        let (mut stepped, report) = self.open().expect("nothing is to fail");
        self.model.keep(stepped.store.store_id(), report.commits_count);
        stepped.flush();
        self.model.assert_same(&stepped, &mut self.seed, what);
        (stepped, report)
    }

    /// Ends the process; mostly the power goes with it.
    pub(crate) fn end(&mut self) {
        if self.seed.percent(25) {
            self.folder.kill();
        } else {
            self.folder.lose_power(&mut self.seed);
        }
    }
}
