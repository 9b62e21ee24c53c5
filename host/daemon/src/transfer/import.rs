//! Reading an export into a store.

use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::Partition;
use annals_core::port::EventStore;
use serde::Serialize;

use super::append::Appender;
use super::error::{ImportError, Inexact, LineFault};
use super::file::{ExportFile, Numbered};
use super::gather::{Gathered, Gathering, Wrong};
use super::line::{END, Foot};
use super::target::Target;
use super::totals::{Exported, Progress, Step, Tally};

/// Progress is told after so many lines.
const PROGRESS_LINES: u64 = 1_000;

/// What an import did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Imported {
    /// What the export holds, and the store now too.
    #[serde(flatten)]
    pub export: Exported,
    /// How many commits were appended. The others were there already.
    pub appended_count: u64,
}

impl ExportFile<'_> {
    /// Appends every commit that `store` does not have, in order, then reads the store again and
    /// compares it with the export.
    ///
    /// The store must be empty or hold a part of exactly this export from its beginning, so an import
    /// that ended early goes on when it is run again. In it, positions, revisions, times, ids, commands
    /// and claims are those of the store that was exported; only the id of the store is its own.
    ///
    /// # Errors
    /// Each variant of [`ImportError`]. What was appended before is durable.
    pub async fn import_into(
        mut self,
        store: &dyn EventStore,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Imported, ImportError> {
        let (export, store_has) = (self.partitions_count(), store.capabilities().partitions_count);
        if export != store_has {
            return Err(ImportError::OtherPartitions { export, store: store_has });
        }
        let mut targets = Vec::new();
        for partition in (0..export).map(Partition) {
            targets.push(Target::look(store, partition).await?);
        }
        let appender = Appender::new(store);
        let text = Vec::new();
        let mut import = Import { store, targets, current: 0, appender, text };
        let read = import.read(&mut self, progress).await;
        // Also when it ended early: what is said to be in the store is durable.
        import.appender.settle().await?;
        let foot = read?;
        for target in &import.targets {
            verify(store, self.source(), &target.tally, progress).await?;
        }
        let actual = self.sha256();
        if foot.sha256 != actual {
            return Err(ImportError::Changed { told: foot.sha256, actual });
        }
        let partitions = import.targets.iter().map(|target| target.tally.totals()).collect();
        Ok(Imported {
            export: Exported {
                store: self.store(),
                commits_count: foot.commits_count,
                events_count: foot.events_count,
                bytes_count: self.bytes_count,
                sha256: actual,
                partitions,
            },
            appended_count: import.appender.appended_count,
        })
    }
}

/// An import under way.
struct Import<'a> {
    store: &'a dyn EventStore,
    /// By number of the partition.
    targets: Vec<Target>,
    /// The partition whose commits are read.
    current: usize,
    appender: Appender<'a>,
    /// The lines of a commit; kept to save memory.
    text: Vec<u8>,
}

impl Import<'_> {
    /// Reads to the last line and returns what it says.
    async fn read(
        &mut self,
        file: &mut ExportFile<'_>,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Foot, ImportError> {
        let mut gathering = Gathering::default();
        while let Some(Numbered { number, bytes_count, line }) = file.next_line().await? {
            let bad = |fault| ImportError::BadLine { line: number, fault };
            if line.kind == END {
                if gathering.is_open() {
                    let expected = "an event of the commit that has begun".to_owned();
                    return Err(bad(LineFault::OutOfOrder { expected }));
                }
                let foot = line.data().map_err(bad)?;
                self.end(&foot).map_err(bad)?;
                self.pass_to(self.targets.len())?;
                let after_end = |line| ImportError::BadLine { line, fault: LineFault::AfterEnd };
                return match file.next_line().await? {
                    None => Ok(foot),
                    Some(after) => Err(after_end(after.number)),
                };
            }
            let gathered = gathering.add(number, line, bytes_count);
            let gathered =
                gathered.map_err(|Wrong { line, fault }| ImportError::BadLine { line, fault })?;
            if let Some(gathered) = gathered {
                self.take(file.source(), gathered).await?;
            }
            if number.is_multiple_of(PROGRESS_LINES) {
                progress(self.progress(file.bytes_count));
            }
        }
        let lines_count = file.lines_count;
        Err(ImportError::EndsEarly { lines_count, commits_count: self.counts().0 })
    }

    fn counts(&self) -> (u64, u64) {
        let tallies = self.targets.iter().map(|target| &target.tally);
        tallies.fold((0, 0), |(commits, events), tally| {
            (commits + tally.commits_count, events + tally.events_count)
        })
    }

    fn progress(&self, bytes_count: u64) -> Progress {
        let (commits_count, events_count) = self.counts();
        Progress { step: Step::Importing, commits_count, events_count, bytes_count }
    }

    /// The last line agrees with the lines before it.
    fn end(&self, foot: &Foot) -> Result<(), LineFault> {
        let (commits_count, events_count) = self.counts();
        let counts = [
            ("commits", foot.commits_count, commits_count),
            ("events", foot.events_count, events_count),
        ];
        for (what, told, actual) in counts {
            if told != actual {
                return Err(LineFault::OtherCount { what, told, actual });
            }
        }
        Ok(())
    }

    /// Takes the next whole commit: compares it with what the store holds, or appends it.
    async fn take(&mut self, source: &str, gathered: Gathered) -> Result<(), ImportError> {
        let (line, partition) = (gathered.line, gathered.partition);
        let index = usize::try_from(partition.0).unwrap_or(usize::MAX);
        let out_of_order =
            |expected| ImportError::BadLine { line, fault: LineFault::OutOfOrder { expected } };
        if index < self.current {
            return Err(out_of_order(format!("a commit of partition {}", self.current)));
        }
        self.pass_to(index)?;
        let is_later_empty =
            self.targets.iter().skip(index + 1).all(|target| target.found_count == 0);
        let Some(target) = self.targets.get_mut(index) else {
            return Err(out_of_order(format!("a partition below {index}")));
        };
        let number = gathered.recorded.number;
        let next_number = target.tally.commits_count;
        if number != next_number {
            return Err(out_of_order(format!("commit {next_number} of partition {partition}")));
        }
        self.text.clear();
        let added = target.tally.add(source, &gathered.recorded, &mut self.text);
        added.map_err(|Inexact(what)| ImportError::BadLine {
            line,
            fault: LineFault::invalid("data", &what),
        })?;
        let other_content = Err(ImportError::OtherContent { partition, number });
        if number < target.found_count {
            let is_there = target.holds(self.store, &gathered.recorded).await?;
            return if is_there { Ok(()) } else { other_content };
        }
        // An import goes from partition to partition: it left nothing in a later one.
        if !is_later_empty {
            return other_content;
        }
        self.appender.append(gathered, self.text.len()).await
    }

    /// Ends the partitions before this one: the store has no more of them than the export.
    fn pass_to(&mut self, index: usize) -> Result<(), ImportError> {
        let passed = self.targets.iter().take(index).skip(self.current);
        for Target { partition, found_count, tally, .. } in passed {
            if *found_count > tally.commits_count {
                let (export, store) = (tally.commits_count, *found_count);
                return Err(ImportError::Ahead { partition: *partition, export, store });
            }
        }
        self.current = self.current.max(index);
        Ok(())
    }
}

/// Reads a partition again and compares it with the export.
async fn verify(
    store: &dyn EventStore,
    source: &str,
    expected: &Tally,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), ImportError> {
    let expected = expected.totals();
    let partition = expected.partition;
    let mut tally = Tally::of(partition);
    let mut text = Vec::new();
    let mut bytes_count = 0;
    loop {
        let page = store.read_commits(partition, tally.commits_count, READ_EVENTS_MAX).await?;
        if page.is_empty() {
            break;
        }
        for recorded in &page {
            text.clear();
            let added = tally.add(source, recorded, &mut text);
            added.map_err(|_| ImportError::NotTheSame { partition })?;
            bytes_count += u64::try_from(text.len()).unwrap_or(u64::MAX);
        }
        let (commits_count, events_count) = (tally.commits_count, tally.events_count);
        progress(Progress { step: Step::Verifying, commits_count, events_count, bytes_count });
    }
    let is_the_same = tally.totals() == expected;
    if is_the_same { Ok(()) } else { Err(ImportError::NotTheSame { partition }) }
}
