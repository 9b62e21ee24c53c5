//! Appending runs of commits, and finding out what became of those that failed.
//!
//! ```text
//!   run ─► append all at once ─► those that failed ─► are they there? ─► append the rest again
//!                                     ▲                                       │
//!                                     └── as long as there are fewer, or a wait may help ──┘
//! ```
//! A commit whose outcome nobody knows is looked for among the commits that came into its partition
//! since the run began, which works whatever ids a store remembers.

use std::collections::{BTreeSet, HashMap};

use annals_core::commit::{Accepted, RecordedCommit};
use annals_core::durability::DurabilityLost;
use annals_core::id::Digest;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::Partition;
use annals_core::port::EventStore;
use annals_core::port::event_store::AppendError;
use annals_core::time::Timestamp;
use futures_util::StreamExt as _;
use futures_util::stream::FuturesOrdered;
use tokio::task::unconstrained;

use super::content::fingerprint;
use super::count::index_of;
use super::error::ImportError;
use super::gather::Gathered;
use super::retry::{Backoff, reading};
use super::route::{Pending, Places, Route};
use super::run::{IN_FLIGHT_COMMITS_MAX, Run};

/// Appends runs of commits, and waits for the disk now and then.
#[derive(Debug)]
pub(super) struct Appender<'a> {
    store: &'a dyn EventStore,
    source: String,
    route: Route,
    bytes_max: usize,
    /// How many commits each partition has.
    commits_counts: Vec<u64>,
    /// No commit that is in the store or was given to it was recorded later.
    latest: Timestamp,
    /// What was accepted and is not known to be durable.
    unsettled_count: usize,
    unsettled_bytes: usize,
    pub(super) appended_count: u64,
}

/// A commit of a run that is not in the store yet.
struct Failed {
    /// Which one of the run.
    index: usize,
    error: AppendError,
}

impl<'a> Appender<'a> {
    /// An appender to a store whose partitions have so many commits.
    pub(super) fn new(
        store: &'a dyn EventStore,
        source: String,
        route: Route,
        (bytes_max, commits_counts): (usize, Vec<u64>),
    ) -> Self {
        Self {
            store,
            source,
            route,
            bytes_max,
            commits_counts,
            latest: Timestamp::default(),
            unsettled_count: 0,
            unsettled_bytes: 0,
            appended_count: 0,
        }
    }

    /// Appends a run. Returns when each of its commits was recorded.
    pub(super) async fn append(&mut self, run: &Run) -> Result<Vec<Timestamp>, ImportError> {
        let is_full = self.unsettled_count + run.commits.len() > IN_FLIGHT_COMMITS_MAX
            || self.unsettled_bytes.saturating_add(run.bytes_count) > self.bytes_max;
        // What depends on several partitions follows what is durable in all of them, and is durable
        // before what depends on it.
        if is_full || run.is_across {
            self.settle().await?;
        }
        for Pending { gathered, .. } in &run.commits {
            self.latest = self.latest.max(gathered.recorded.commit.recorded_at);
        }
        let times = self.append_until_there(&run.commits).await?;
        for Pending { gathered, .. } in &run.commits {
            let partition = self.route.partition_of(&gathered.recorded.commit);
            if let Some(count) = self.commits_counts.get_mut(index_of(partition)) {
                *count += 1;
            }
            self.appended_count += 1;
        }
        self.unsettled_count += run.commits.len();
        self.unsettled_bytes = self.unsettled_bytes.saturating_add(run.bytes_count);
        let is_full =
            self.unsettled_count >= IN_FLIGHT_COMMITS_MAX || self.unsettled_bytes >= self.bytes_max;
        if is_full || run.is_across {
            self.settle().await?;
        }
        Ok(times)
    }

    /// A commit that was there already was recorded at this time.
    pub(super) fn reach(&mut self, recorded_at: Timestamp) {
        self.latest = self.latest.max(recorded_at);
    }

    /// Waits until everything that was appended is durable, rejected commands too.
    pub(super) async fn settle(&mut self) -> Result<(), DurabilityLost> {
        if self.unsettled_count > 0 {
            self.store.flush().await?;
        }
        (self.unsettled_count, self.unsettled_bytes) = (0, 0);
        Ok(())
    }

    /// Appends the commits of a run, again where the store failed for a moment.
    async fn append_until_there(&self, commits: &[Pending]) -> Result<Vec<Timestamp>, ImportError> {
        let mut times = vec![None; commits.len()];
        let mut left: Vec<usize> = (0..commits.len()).collect();
        let mut backoff = Backoff::default();
        while !left.is_empty() {
            let mut failed = self.append_all(commits, &left, &mut times).await?;
            self.look_for(commits, &mut failed, &mut times).await?;
            let Some(first) = failed.first() else { break };
            let is_transient = failed.iter().any(|it| is_transient(&it.error));
            let has_progress = failed.len() < left.len();
            if has_progress {
                backoff = Backoff::default();
            }
            // What is refused because one before it failed is not refused once that is there.
            let is_hopeful = if is_transient { backoff.wait().await } else { has_progress };
            if !is_hopeful {
                let line = commits.get(first.index).map_or(0, |it| it.gathered.line);
                let error = failed.into_iter().map(|it| it.error).next();
                let source = error.unwrap_or(AppendError::Empty);
                return Err(ImportError::Refused { line, source });
            }
            left = failed.into_iter().map(|it| it.index).collect();
        }
        Ok(times.into_iter().flatten().collect())
    }

    /// Appends the commits of these indexes, all at once and in order. Returns those that failed, in
    /// order.
    async fn append_all(
        &self,
        commits: &[Pending],
        indexes: &[usize],
        times: &mut [Option<Timestamp>],
    ) -> Result<Vec<Failed>, ImportError> {
        let gathered = |index: usize| commits.get(index).map(|pending| &pending.gathered);
        let appends = indexes.iter().filter_map(|index| gathered(*index));
        // Polled in the order in which they were put in: the store is called in the order of the run.
        // Tokio would interrupt a task that takes many turns, and what is interrupted comes to the
        // store behind what follows it.
        let mut appends: FuturesOrdered<_> = appends
            .map(|it| unconstrained(self.store.append(it.recorded.commit.clone())))
            .collect();
        let (mut failed, mut moved) = (Vec::new(), None);
        for index in indexes.iter().copied() {
            let Some(outcome) = appends.next().await else { break };
            let Some(gathered) = gathered(index) else { break };
            match outcome {
                Ok(accepted) => {
                    let is_right = self.is_right(gathered, &accepted);
                    moved = moved.or((!is_right).then_some(gathered.line));
                    if let Some(time) = times.get_mut(index) {
                        *time = Some(accepted.receipt.recorded_at);
                    }
                }
                Err(error) => failed.push(Failed { index, error }),
            }
        }
        moved.map_or(Ok(failed), |line| Err(ImportError::Moved { line }))
    }

    fn is_right(&self, gathered: &Gathered, accepted: &Accepted) -> bool {
        self.route.is_right(gathered, accepted, self.latest)
    }

    /// Removes those from `failed` that are in the store.
    async fn look_for(
        &self,
        commits: &[Pending],
        failed: &mut Vec<Failed>,
        times: &mut [Option<Timestamp>],
    ) -> Result<(), ImportError> {
        if failed.is_empty() {
            return Ok(());
        }
        // What was accepted is seen once it is durable.
        self.store.flush().await?;
        let gathered = |index: usize| commits.get(index).map(|pending| &pending.gathered);
        let of = |failed: &Failed| gathered(failed.index).map(|it| &it.recorded.commit);
        let partitions: BTreeSet<Partition> =
            failed.iter().filter_map(of).map(|it| self.route.partition_of(it)).collect();
        let mut there = HashMap::new();
        for partition in partitions {
            self.read_since(partition, &mut there).await?;
        }
        let mut moved = None;
        failed.retain(|it| {
            let Some(gathered) = gathered(it.index) else { return false };
            let content = fingerprint(&self.source, &gathered.recorded);
            let Some(found) = content.ok().and_then(|content| there.get(&content)) else {
                return true;
            };
            let is_same = *found == gathered.recorded;
            let is_right = match self.route.places {
                Places::Same => is_same,
                Places::Other => found.commit.recorded_at <= self.latest,
            };
            moved = moved.or((!is_right).then_some(gathered.line));
            if let Some(time) = times.get_mut(it.index) {
                *time = Some(found.commit.recorded_at);
            }
            false
        });
        moved.map_or(Ok(()), |line| Err(ImportError::Moved { line }))
    }

    /// Reads the commits that came into a partition since the run began.
    async fn read_since(
        &self,
        partition: Partition,
        there: &mut HashMap<Digest, RecordedCommit>,
    ) -> Result<(), ImportError> {
        let mut number = self.commits_counts.get(index_of(partition)).copied().unwrap_or_default();
        loop {
            let read = || self.store.read_commits(partition, number, READ_EVENTS_MAX);
            let page = reading(read).await?;
            let Some(last) = page.last() else { return Ok(()) };
            number = last.number.saturating_add(1);
            for found in page {
                let content = fingerprint(&self.source, &found);
                let content = content.map_err(|_| ImportError::NotTheSame { partition })?;
                there.insert(content, found);
            }
        }
    }
}

/// Whether the same append may succeed later.
const fn is_transient(error: &AppendError) -> bool {
    matches!(error, AppendError::Unavailable(_) | AppendError::OutcomeUnknown(_))
}
