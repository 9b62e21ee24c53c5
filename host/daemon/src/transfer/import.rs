//! Reading an export into a store.
//!
//! ```text
//!   reading.rs ─► a wave ─► target.rs: there already? ─► run.rs: together or after ─► append.rs
//!        └─ the next wave is read while the one before is appended             verify.rs ◄┘
//! ```

use annals_core::port::{EventStore, StateStores};
use annals_core::time::Timestamp;
use serde::Serialize;

use super::append::Appender;
use super::content::Contents;
use super::error::{ImportError, LineFault};
use super::file::ExportFile;
use super::mark::Mark;
use super::reading::Reading;
use super::route::{Pending, Places, Route};
use super::run::{IN_FLIGHT_COMMITS_MAX, Run, in_flight_bytes_max};
use super::target::Targets;
use super::totals::{Exported, Progress, Tally};
use super::verify::{verify_contents, verify_places};

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// What the export holds, and the store now too.
    #[serde(flatten)]
    pub export: Exported,
    /// How many commits were appended. The others were there already.
    pub appended_count: u64,
    /// How many partitions the store has. When it is another number than the export has, events have
    /// other positions in it.
    pub store_partitions_count: u32,
    /// How many commits have a later time than they had, because one that is recorded before them in
    /// the same partition has it. Only where the number of partitions is another.
    pub times_moved_count: u64,
}

impl ExportFile<'_> {
    /// Appends every commit that `store` does not have, in order, then reads the store again and
    /// compares it with the export.
    ///
    /// The store must be empty or hold a part of exactly this export, as an import that ended early
    /// leaves it: it goes on when it is run again. In it, streams, revisions, ids, commands, claims and
    /// times are those of the store that was exported; only the id of the store is its own. Positions
    /// are the same if it has as many partitions. If not, each commit goes to the partition of its
    /// stream, and a time may be moved forward to that of a commit before.
    ///
    /// From the first append to the end of the comparison there is a note in `states` that keeps a
    /// daemon from serving the store.
    ///
    /// # Errors
    /// Each variant of [`ImportError`]. What was appended before is durable.
    pub async fn import_into(
        mut self,
        store: &dyn EventStore,
        states: &dyn StateStores,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Imported, ImportError> {
        let mark = Mark::open(states).await.map_err(ImportError::Mark)?;
        let route = Route::new(self.partitions_count(), store.capabilities());
        let source = self.source().to_owned();
        let targets = Targets::look(store, route.places).await?;
        let bytes_max = in_flight_bytes_max(store.capabilities());
        let limits = (bytes_max, targets.found_counts());
        let mut import = Import {
            store,
            mark: &mark,
            is_marked: false,
            route,
            targets: Some(targets),
            held: Vec::new(),
            met_count: 0,
            bytes_max,
            appender: Appender::new(store, source.clone(), route, limits),
            source,
            contents: Contents::default(),
            times_moved_count: 0,
        };
        let mut reading = Reading::new(&mut self);
        let read = import.run(&mut reading, progress).await;
        // Also when it ended early: what is said to be in the store is durable.
        import.appender.settle().await?;
        let foot = read?;
        let tallies = reading.tallies;
        match route.places {
            Places::Same => verify_places(store, &import.source, &tallies, progress).await?,
            Places::Other => {
                verify_contents(store, &import.source, &import.contents, progress).await?;
            }
        }
        // Also if the export was changed: all of it is there.
        mark.end().await.map_err(ImportError::Mark)?;
        let actual = self.sha256();
        if foot.sha256 != actual {
            return Err(ImportError::Changed { told: foot.sha256, actual });
        }
        Ok(Imported {
            export: Exported {
                store: self.store(),
                commits_count: foot.commits_count,
                events_count: foot.events_count,
                bytes_count: self.bytes_count,
                sha256: actual,
                partitions: tallies.iter().map(Tally::totals).collect(),
            },
            appended_count: import.appender.appended_count,
            store_partitions_count: store.capabilities().partitions_count,
            times_moved_count: import.times_moved_count,
        })
    }
}

/// An import under way.
struct Import<'a> {
    store: &'a dyn EventStore,
    mark: &'a Mark,
    is_marked: bool,
    source: String,
    route: Route,
    /// What is in the store already, until all of it was met in the export. Before that nothing is
    /// appended, so that a store with something else is left alone.
    targets: Option<Targets>,
    /// Commits that are not there, and where in their partition.
    held: Vec<(Pending, u64)>,
    /// How many commits came before the first of them, all of which are there.
    met_count: u64,
    bytes_max: usize,
    appender: Appender<'a>,
    /// What the store must hold in the end, where places are others.
    contents: Contents,
    times_moved_count: u64,
}

impl Import<'_> {
    /// Imports all commits and returns what the last line says.
    async fn run(
        &mut self,
        reading: &mut Reading<'_, '_>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<super::line::Foot, ImportError> {
        let bytes_max = self.bytes_max;
        let mut wave = reading.read(bytes_max, progress).await;
        loop {
            let Some(end) = wave.end.take() else {
                let (taken, next) =
                    tokio::join!(self.take(wave.commits), reading.read(bytes_max, progress));
                taken?;
                wave = next;
                continue;
            };
            self.take(wave.commits).await?;
            let foot = end.map_err(|error| self.ended_early(error))?;
            let not_met = self.targets.as_ref().and_then(Targets::not_met);
            return not_met.map_or(Ok(foot), Err);
        }
    }

    /// Says how many first commits of the export are in the store.
    fn ended_early(&self, error: ImportError) -> ImportError {
        match error {
            ImportError::EndsEarly { lines_count, .. } if !self.held.is_empty() => {
                ImportError::EndsEarly { lines_count, commits_count: self.met_count }
            }
            error => error,
        }
    }

    /// Takes the next commits: compares them with what the store holds, or appends them.
    async fn take(&mut self, commits: Vec<Pending>) -> Result<(), ImportError> {
        let mut absent = Vec::new();
        for pending in commits {
            if self.targets.is_none() {
                absent.push(pending);
                continue;
            }
            self.meet(pending).await?;
            if self.targets.as_ref().is_some_and(Targets::are_met) {
                self.targets = None;
                absent.extend(std::mem::take(&mut self.held).into_iter().map(|(it, _)| it));
            }
        }
        self.append(absent).await
    }

    /// Looks whether a commit is there.
    async fn meet(&mut self, pending: Pending) -> Result<(), ImportError> {
        let Some(targets) = &mut self.targets else { return Ok(()) };
        let recorded = &pending.gathered.recorded;
        let partition = self.route.partition_of(&recorded.commit);
        let met = targets.meet(self.store, &self.source, (partition, recorded)).await?;
        if let Some(recorded_at) = met {
            self.appender.reach(recorded_at);
            self.met_count += u64::from(self.held.is_empty());
            return self.count(&pending, recorded_at);
        }
        let number = targets.export_count(partition).saturating_sub(1);
        self.held.push((pending, number));
        // More than an import can have had in flight when it ended were left out.
        let held_bytes = self.held.iter().skip(1).map(|(held, _)| held.bytes_count);
        let is_too_much =
            self.held.len() > IN_FLIGHT_COMMITS_MAX || held_bytes.sum::<usize>() > self.bytes_max;
        if !is_too_much || targets.are_met() {
            return Ok(());
        }
        Err(match (targets.other_content(), self.held.first()) {
            (None, Some((first, number))) => {
                let partition = self.route.partition_of(&first.gathered.recorded.commit);
                ImportError::Gap { partition, number: *number }
            }
            (other, _) => other.unwrap_or(ImportError::Gap { partition, number }),
        })
    }

    async fn append(&mut self, commits: Vec<Pending>) -> Result<(), ImportError> {
        let mut run = Run::new(self.route, self.bytes_max);
        for pending in commits {
            if !run.has_room_for(&pending) {
                let next = Run::new(self.route, self.bytes_max);
                self.append_run(std::mem::replace(&mut run, next)).await?;
            }
            run.push(pending);
        }
        self.append_run(run).await
    }

    async fn append_run(&mut self, run: Run) -> Result<(), ImportError> {
        if run.commits.is_empty() {
            return Ok(());
        }
        if !self.is_marked {
            self.mark.begin(&self.source).await.map_err(ImportError::Mark)?;
            self.is_marked = true;
        }
        let times = self.appender.append(&run).await?;
        for (pending, recorded_at) in run.commits.iter().zip(times) {
            self.count(pending, recorded_at)?;
        }
        Ok(())
    }

    /// Counts a commit that is in the store, recorded at a time.
    fn count(&mut self, pending: &Pending, recorded_at: Timestamp) -> Result<(), ImportError> {
        if self.route.places == Places::Same {
            return Ok(());
        }
        let line = pending.gathered.line;
        let recorded = &pending.gathered.recorded;
        let added = self.contents.add(&self.source, recorded, recorded_at);
        added.map_err(|inexact| {
            let fault = LineFault::invalid("data", &inexact.0);
            ImportError::BadLine { line, fault }
        })?;
        self.times_moved_count += u64::from(recorded_at > recorded.commit.recorded_at);
        Ok(())
    }
}
