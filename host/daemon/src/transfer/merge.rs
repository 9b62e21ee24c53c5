//! The commits of all partitions as one sequence in which each can be appended after those before it.
//!
//! ```text
//!   partition 0   ─ c0 ─ c1 ─ c2 ─►┐  first of each: ready, when as many events of each partition
//!   partition 1   ─ c0 ─ c1 ──────►├─►  it writes are exported as are before its own
//!   partition 2   ─ c0 ─ c1 ─ c2 ─►┘  of those that are ready, the earliest
//! ```
//!
//! A commit may write to streams of several partitions, and has a number in one. Positions have no
//! hole, so they say how many events of a partition come before a commit. In the order in which the
//! store accepted the commits each was ready in its turn, so one always is. Times never go back in a
//! partition: the earliest of all is always ready, and the sequence is in the order of time as well.
//!
//! What no position tells, [`Foresight`] tells.

use annals_core::commit::RecordedCommit;
use annals_core::place::Partition;
use annals_core::port::EventStore;
use futures_util::future::try_join_all;

use super::count::{commits_counts, index_of, partitions_of};
use super::error::ExportError;
use super::foresight::{Foresight, Order};
use super::queue::{Queue, Waiting};
use super::retry::reading;

/// Most bytes of commits in memory, of all partitions together: one commit of each is kept whatever
/// its size, and a page is added while it is read.
const AHEAD_BYTES_MAX: usize = 64 << 20;

/// As many commits of each partition are read ahead, where memory allows: [`Foresight`] looks so far.
const AHEAD_COMMITS: usize = 1_024;

/// The commits that a store held at a time, one after the other.
#[derive(Debug)]
pub(super) struct Merge<'a> {
    store: &'a dyn EventStore,
    queues: Vec<Queue>,
    foresight: Foresight,
    /// Per partition: how many events have been given out, and how many there were in the beginning.
    events_counts: Vec<u64>,
    events_before: Vec<u64>,
    /// How many commits there will be, if all are given out.
    pub(super) commits_total: u64,
}

/// What is between a commit and its turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Turn {
    Now,
    Later,
    /// Another commit has taken its place in a partition.
    Passed {
        partition: Partition,
        events_count: u64,
    },
}

impl<'a> Merge<'a> {
    /// Looks how much there is. Every commit that was durable before is given out. One that became
    /// durable while this looked may be too, together with all that it depends on.
    pub(super) async fn begin(store: &'a dyn EventStore) -> Result<Self, ExportError> {
        // What was there is counted before what will be read: where the sequence ends before the
        // first, something is missing. Between the two other commits may have been appended.
        let heads = partitions_of(store).map(|partition| reading(move || store.head(partition)));
        let heads = try_join_all(heads).await?;
        let events_before =
            heads.into_iter().map(|head| head.map_or(0, |head| head.get().saturating_add(1)));
        let events_before: Vec<u64> = events_before.collect();
        let counts = commits_counts(store).await?;
        // In a store of one partition nothing is looked at but the next commit.
        let ahead_count = if counts.len() > 1 { AHEAD_COMMITS } else { 1 };
        let queues = partitions_of(store).zip(&counts);
        let queue = |(partition, end): (Partition, &u64)| Queue::new(partition, *end, ahead_count);
        Ok(Self {
            store,
            queues: queues.map(queue).collect(),
            foresight: Foresight::new(store.capabilities()),
            events_counts: vec![0; events_before.len()],
            events_before,
            commits_total: counts.iter().fold(0, |sum, count| sum.saturating_add(*count)),
        })
    }

    /// Whether the next commit waits for a read.
    pub(super) fn is_low(&self) -> bool {
        self.queues.iter().any(|queue| queue.is_low(self.bytes_max()))
    }

    /// The next commit and its partition; `None` when there is none, or when it depends on one that
    /// was appended after the beginning.
    pub(super) async fn next(
        &mut self,
    ) -> Result<Option<(Partition, RecordedCommit)>, ExportError> {
        if self.is_low() {
            self.read_on().await?;
        }
        let Some(partition) = self.choose()? else {
            return self.end().map(|()| None);
        };
        let queue = self.queues.get_mut(index_of(partition));
        let Some(recorded) = queue.and_then(Queue::pop) else {
            return Ok(None);
        };
        self.foresight.remove(partition, &recorded);
        let capabilities = self.store.capabilities();
        for append in &recorded.commit.streams {
            let count =
                self.events_counts.get_mut(index_of(capabilities.partition_of(&append.stream)));
            if let Some(count) = count {
                *count += u64::try_from(append.events.len()).unwrap_or(u64::MAX);
            }
        }
        Ok(Some((partition, recorded)))
    }

    /// Bytes of commits in memory per partition.
    fn bytes_max(&self) -> usize {
        AHEAD_BYTES_MAX / self.queues.len().max(1)
    }

    /// Reads a page of each partition of which little is left.
    async fn read_on(&mut self) -> Result<(), ExportError> {
        let (store, bytes_max) = (self.store, self.bytes_max());
        let is_low: Vec<_> = self.queues.iter().map(|queue| queue.is_low(bytes_max)).collect();
        let low = self.queues.iter_mut().zip(&is_low).filter(|(_, is_low)| **is_low);
        let reads = low.map(|(queue, _)| queue.read_on(store, bytes_max));
        let mut added = try_join_all(reads).await?.into_iter();
        for ((partition, queue), is_low) in partitions_of(store).zip(&self.queues).zip(is_low) {
            let added = if is_low { added.next().unwrap_or_default() } else { 0 };
            for recorded in queue.last(added) {
                self.foresight.add(partition, recorded);
            }
        }
        Ok(())
    }

    fn firsts(&self) -> impl Iterator<Item = (Partition, &Waiting)> {
        let queues = partitions_of(self.store).zip(&self.queues);
        queues.filter_map(|(partition, queue)| Some((partition, queue.first()?)))
    }

    /// The partition whose first commit comes next; `None` when none is ready.
    fn choose(&self) -> Result<Option<Partition>, ExportError> {
        let mut ready = Vec::new();
        for (partition, waiting) in self.firsts() {
            match self.turn(partition, waiting) {
                Turn::Now => ready.push((waiting.recorded.commit.recorded_at, partition)),
                Turn::Later => {}
                Turn::Passed { partition: other, events_count } => {
                    let what = format!(
                        "it is at position {events_count} of partition {other}, and so is another"
                    );
                    let number = waiting.recorded.number;
                    return Err(ExportError::OutOfPlace { partition, number, what });
                }
            }
        }
        ready.sort_unstable();
        let order = |partition: Partition| {
            let first = self.queues.get(index_of(partition)).and_then(Queue::first);
            first.map_or(Order::Later, |it| self.foresight.order(partition, &it.recorded))
        };
        let mut best = None;
        for (_, partition) in ready {
            let order = order(partition);
            best = best.filter(|(before, _)| *before <= order).or(Some((order, partition)));
            if order == Order::Now {
                break;
            }
        }
        // When all wait for others: for what came after the beginning, if nothing of before is left.
        // Else for each other, and nothing is known better than their times.
        let is_after_end =
            matches!(best, Some((Order::Later, _))) && self.first_missing().is_none();
        Ok(best.filter(|_| !is_after_end).map(|(_, partition)| partition))
    }

    /// Whether the first commit of a partition can be given out.
    fn turn(&self, own: Partition, waiting: &Waiting) -> Turn {
        let events_count_of =
            |partition| self.events_counts.get(index_of(partition)).copied().unwrap_or_default();
        let place = waiting.recorded.first_position.get();
        let mut turn = compare(own, place, events_count_of(own));
        for need in &waiting.needs {
            let (partition, count) = (need.partition, events_count_of(need.partition));
            let needed = if !need.is_written && count > need.events_count {
                Turn::Now
            } else {
                compare(partition, need.events_count, count)
            };
            let first = self.queues.get(index_of(partition)).and_then(Queue::first);
            // A commit without events is where the next event is, and was before it.
            let is_first_before = need.is_written
                && first.is_some_and(|it| it.recorded.first_position.get() <= need.events_count);
            turn = match (turn, needed) {
                (Turn::Passed { .. }, _) => return turn,
                (_, passed @ Turn::Passed { .. }) => return passed,
                (Turn::Now, Turn::Now) if !is_first_before => Turn::Now,
                _ => Turn::Later,
            };
        }
        turn
    }

    /// A partition of which not all was given out that was there in the beginning, and how many events
    /// were.
    fn first_missing(&self) -> Option<(Partition, u64)> {
        let counts = self.events_counts.iter().zip(&self.events_before);
        let mut missing = partitions_of(self.store).zip(counts);
        let missing = missing.find(|(_, (count, before))| count < before);
        missing.map(|(partition, (count, _))| (partition, *count))
    }

    /// Nothing is ready: everything was given out, or the rest depends on what came later. What was
    /// there in the beginning must have been given out.
    fn end(&self) -> Result<(), ExportError> {
        let Some((partition, count)) = self.first_missing() else { return Ok(()) };
        let firsts = self.firsts().map(|(own, it)| (it.recorded.commit.recorded_at, own, it));
        let first = firsts.min_by_key(|(recorded_at, own, _)| (*recorded_at, *own));
        let what =
            format!("no commit holds the event at position {count} of partition {partition}");
        let (own, number) = first.map_or((partition, 0), |(_, own, it)| (own, it.recorded.number));
        Err(ExportError::OutOfPlace { partition: own, number, what })
    }
}

fn compare(partition: Partition, place: u64, events_count: u64) -> Turn {
    match place.cmp(&events_count) {
        std::cmp::Ordering::Equal => Turn::Now,
        std::cmp::Ordering::Greater => Turn::Later,
        std::cmp::Ordering::Less => Turn::Passed { partition, events_count: place },
    }
}
