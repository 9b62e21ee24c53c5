//! From the lines of an export to commits in the order in which they are appended.

use annals_core::place::Partition;
use annals_core::port::event_store::{Capabilities, CommandIdsRemembered};

use super::count::index_of;
use super::error::{ImportError, Inexact, LineFault};
use super::file::{ExportFile, Numbered};
use super::gather::{Gathered, Gathering, Wrong};
use super::line::{END, Foot};
use super::route::Pending;
use super::run::IN_FLIGHT_COMMITS_MAX;
use super::totals::{Progress, Step, Tally};

/// Progress is told after so many lines.
const PROGRESS_LINES: u64 = 1_000;

/// Some commits of an export.
#[derive(Debug)]
pub(super) struct Wave {
    pub(super) commits: Vec<Pending>,
    /// What the last line says, or why there is no last line; `None` when more commits follow.
    pub(super) end: Option<Result<Foot, ImportError>>,
}

/// An export that is being read.
#[derive(Debug)]
pub(super) struct Reading<'f, 'a> {
    pub(super) file: &'f mut ExportFile<'a>,
    gathering: Gathering,
    /// The store that was exported.
    source: Capabilities,
    /// By partition of that store.
    pub(super) tallies: Vec<Tally>,
    events_counts: Vec<u64>,
    /// The lines of a commit; kept to save memory.
    text: Vec<u8>,
}

impl<'f, 'a> Reading<'f, 'a> {
    pub(super) fn new(file: &'f mut ExportFile<'a>) -> Self {
        let partitions_count = file.partitions_count();
        // Ids are the business of the store that is imported into.
        let command_ids_remembered = CommandIdsRemembered::All;
        let tallies: Vec<_> = (0..partitions_count).map(Partition).map(Tally::of).collect();
        Self {
            file,
            gathering: Gathering::default(),
            source: Capabilities { partitions_count, command_ids_remembered },
            events_counts: vec![0; tallies.len()],
            tallies,
            text: Vec::new(),
        }
    }

    /// Reads as many commits as may be in flight, up to `bytes_max` bytes of lines.
    pub(super) async fn read(
        &mut self,
        bytes_max: usize,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Wave {
        let (mut commits, mut bytes_count) = (Vec::new(), 0_usize);
        while commits.len() < IN_FLIGHT_COMMITS_MAX && bytes_count < bytes_max {
            match self.read_line(progress).await {
                Ok(Read::Commit(pending)) => {
                    bytes_count = bytes_count.saturating_add(pending.bytes_count);
                    commits.push(*pending);
                }
                Ok(Read::Nothing) => {}
                Ok(Read::End(foot)) => return Wave { commits, end: Some(Ok(foot)) },
                Err(error) => return Wave { commits, end: Some(Err(error)) },
            }
        }
        Wave { commits, end: None }
    }

    async fn read_line(
        &mut self,
        progress: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Read, ImportError> {
        let Some(Numbered { number, bytes_count, line }) = self.file.next_line().await? else {
            let (lines_count, commits_count) = (self.file.lines_count, self.counts().0);
            return Err(ImportError::EndsEarly { lines_count, commits_count });
        };
        let bad = |fault| ImportError::BadLine { line: number, fault };
        if line.kind == END {
            if self.gathering.is_open() {
                let expected = "an event of the commit that has begun".to_owned();
                return Err(bad(LineFault::OutOfOrder { expected }));
            }
            let foot = line.data().map_err(bad)?;
            self.end(&foot).map_err(bad)?;
            let after_end = |line| ImportError::BadLine { line, fault: LineFault::AfterEnd };
            return match self.file.next_line().await? {
                None => Ok(Read::End(foot)),
                Some(after) => Err(after_end(after.number)),
            };
        }
        let gathered = self.gathering.add(number, line, bytes_count);
        let gathered =
            gathered.map_err(|Wrong { line, fault }| ImportError::BadLine { line, fault })?;
        let pending = gathered.map(|gathered| self.count(gathered)).transpose()?;
        if number.is_multiple_of(PROGRESS_LINES) {
            let (commits_count, events_count) = self.counts();
            let bytes_count = self.file.bytes_count;
            let (step, commits_total) = (Step::Importing, None);
            progress(Progress { step, commits_count, commits_total, events_count, bytes_count });
        }
        Ok(pending.map_or(Read::Nothing, |pending| Read::Commit(Box::new(pending))))
    }

    fn counts(&self) -> (u64, u64) {
        Tally::counts(&self.tallies)
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

    /// Counts the next whole commit, which must be the next of its partition.
    fn count(&mut self, gathered: Gathered) -> Result<Pending, ImportError> {
        let Gathered { line, partition, recorded } = &gathered;
        let bad = |fault| ImportError::BadLine { line: *line, fault };
        let out_of_order = |expected| bad(LineFault::OutOfOrder { expected });
        let index = index_of(*partition);
        let Some(tally) = self.tallies.get_mut(index) else {
            let partitions_count = self.source.partitions_count;
            return Err(out_of_order(format!("a partition below {partitions_count}")));
        };
        let next_number = tally.commits_count;
        if recorded.number != next_number {
            return Err(out_of_order(format!("commit {next_number} of partition {partition}")));
        }
        let commit = &recorded.commit;
        let home = commit.home().map(|stream| self.source.partition_of(stream));
        if let Some(home) = home.filter(|home| home != partition) {
            return Err(bad(contradiction("annalspartition", partition, &home)));
        }
        let events_count = self.events_counts.get(index).copied().unwrap_or_default();
        let position = recorded.first_position.get();
        if position != events_count {
            return Err(bad(contradiction("annalsposition", &position, &events_count)));
        }
        for append in &commit.streams {
            let partition = self.source.partition_of(&append.stream);
            if let Some(count) = self.events_counts.get_mut(index_of(partition)) {
                *count += u64::try_from(append.events.len()).unwrap_or(u64::MAX);
            }
        }
        self.text.clear();
        let added = tally.add(self.file.source(), recorded, &mut self.text);
        added.map_err(|Inexact(what)| bad(LineFault::invalid("data", &what)))?;
        Ok(Pending { gathered, bytes_count: self.text.len() })
    }
}

/// What a line ends.
#[derive(Debug)]
enum Read {
    Nothing,
    Commit(Box<Pending>),
    End(Foot),
}

fn contradiction(
    name: &str,
    found: &dyn std::fmt::Display,
    expected: &dyn std::fmt::Display,
) -> LineFault {
    LineFault::Contradiction {
        name: name.to_owned(),
        found: format!("`{found}`"),
        expected: format!("`{expected}`"),
    }
}
