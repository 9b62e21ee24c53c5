//! Writing: one group of commits at a time per partition.
//!
//! ```text
//! load what the group needs ─► stage ─► TransactWriteItems ─► reply
//!        ▲                                   │ refused: another writer was faster,
//!        └────── forget what was wrong ──────┘ or the same transaction is tried again
//! ```
//! Refusals are answered only once the group is written, since a commit may be refused for what
//! another one of its group wrote.

mod execute;
mod prepare;

use std::collections::{BTreeMap, VecDeque};
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use annals_core::commit::{Accepted, Commit, Receipt};
use annals_core::durability::Durability;
use annals_core::error::DriverError;
use annals_core::place::{Partition, Position};
use annals_core::port::event_store::{AppendError, ReadError};
use annals_core::stream::StreamId;
use hashbrown::HashSet;
use lru::LruCache;
use tokio::sync::{OwnedMutexGuard, mpsc, oneshot};

use super::plan::{About, FeedTail};
use super::store::Shared;
use super::streams::StreamTail;
use execute::Executed;
use prepare::Prepared;

/// Most commits waiting for the writer of a partition. Further appends wait before they queue.
pub(super) const APPENDS_QUEUED_MAX: usize = 1_024;

/// Most commits of one group: each needs an action of its own, and one is the feed's.
const GROUP_COMMITS_MAX: usize = 99;

/// Most streams per partition whose ends are kept in memory.
const TAILS_MAX: NonZeroUsize = NonZeroUsize::new(10_000).unwrap();

/// After this many groups in a row a writer pauses, so that a writer on another host, which can only
/// write after seeing the last item, gets a turn.
const GROUPS_IN_A_ROW_MAX: u32 = 32;

/// A commit and whoever waits for its outcome.
#[derive(Debug)]
pub(super) struct Pending {
    pub(super) commit: Commit,
    pub(super) reply: oneshot::Sender<Result<Accepted, AppendError>>,
}

/// What a writer knows of its partition.
#[derive(Debug)]
pub(super) struct PartitionState {
    /// Where the feed ends; `None` when it must be looked up.
    feed: Option<FeedTail>,
    /// Where streams end, as far as this host knows: others may have written since.
    tails: LruCache<StreamId, StreamTail>,
    groups_in_a_row: u32,
}

impl Default for PartitionState {
    fn default() -> Self {
        Self { feed: None, tails: LruCache::new(TAILS_MAX), groups_in_a_row: 0 }
    }
}

/// The partitions a group writes, locked in their order.
pub(super) type Locked = BTreeMap<Partition, OwnedMutexGuard<PartitionState>>;

/// What becomes of one commit of a group.
pub(super) enum Answer {
    /// It is in the transaction.
    Staged(Receipt),
    /// It was appended before.
    Repeated(Receipt),
    Refused(AppendError),
}

impl Shared {
    /// Writes what is queued for one partition until nobody can queue any more.
    pub(super) async fn write_partition(
        self: Arc<Self>,
        partition: Partition,
        mut queue: mpsc::Receiver<Pending>,
    ) {
        while let Some(first) = queue.recv().await {
            let mut batch = VecDeque::from([first]);
            let mut locked = self.lock([partition]).await;
            while !batch.is_empty() {
                while batch.len() < GROUP_COMMITS_MAX
                    && let Ok(next) = queue.try_recv()
                {
                    batch.push_back(next);
                }
                self.write_group(&mut locked, &mut batch).await;
            }
            drop(locked);
        }
    }

    /// Writes a commit of several partitions, alone.
    pub(super) async fn write_across(&self, partitions: Vec<Partition>, pending: Pending) {
        let mut locked = self.lock(partitions).await;
        let mut batch = VecDeque::from([pending]);
        while !batch.is_empty() {
            self.write_group(&mut locked, &mut batch).await;
        }
    }

    /// Locks partitions in their order, so that no two writers wait for each other.
    async fn lock(&self, partitions: impl IntoIterator<Item = Partition>) -> Locked {
        let mut partitions: Vec<_> = partitions.into_iter().collect();
        partitions.sort();
        partitions.dedup();
        let mut locked = Locked::new();
        for partition in partitions {
            let index = usize::try_from(partition.0).unwrap_or(usize::MAX);
            if let Some(state) = self.partitions.get(index) {
                locked.insert(partition, Arc::clone(state).lock_owned().await);
            }
        }
        locked
    }

    /// Writes the first commits of `batch` and answers them. At least one is answered.
    async fn write_group(&self, locked: &mut Locked, batch: &mut VecDeque<Pending>) {
        let mut backoff = self.client.backoff();
        let mut fresh = HashSet::new();
        let mut failures: u32 = 0;
        self.take_turns(locked).await;
        loop {
            let prepared = match self.prepare(locked, batch, &mut fresh).await {
                Ok(prepared) => prepared,
                Err(error) => return fail_all(batch, &error),
            };
            if prepared.group.is_empty() {
                return answer(batch, prepared.answers);
            }
            match self.execute(&prepared.group).await {
                Executed::Done => {
                    self.written(locked, &prepared);
                    return answer(batch, prepared.answers);
                }
                Executed::Contended(contention) => {
                    forget(locked, &mut fresh, &contention.about);
                    learn(locked, &contention.seen);
                    failures += 1;
                    // At once while it is only that another host was faster: its item is known now.
                    let is_quick = failures <= QUICK_RETRIES_MAX && !contention.is_slow;
                    if !is_quick && !self.client.wait(&mut backoff).await {
                        let cause = "other writers were faster until the time was over";
                        return fail_group(batch, prepared, || {
                            AppendError::Unavailable(DriverError::new(cause))
                        });
                    }
                }
                Executed::NotDone(error) => {
                    forget_all(locked);
                    let error = || AppendError::Unavailable(error.clone());
                    return fail_group(batch, prepared, error);
                }
                Executed::Unknown(error) => {
                    forget_all(locked);
                    let error = || AppendError::OutcomeUnknown(error.clone());
                    return fail_group(batch, prepared, error);
                }
            }
        }
    }

    /// Pauses now and then for about as long as a transaction takes.
    async fn take_turns(&self, locked: &mut Locked) {
        let mut is_due = false;
        for state in locked.values_mut() {
            state.groups_in_a_row += 1;
            if state.groups_in_a_row > GROUPS_IN_A_ROW_MAX {
                state.groups_in_a_row = 0;
                is_due = true;
            }
        }
        if is_due {
            self.client.pause(TURN).await;
        }
    }

    /// Remembers what a group wrote.
    fn written(&self, locked: &mut Locked, prepared: &Prepared) {
        for (partition, tail) in prepared.group.feeds_after() {
            if let Some(state) = locked.get_mut(&partition) {
                state.feed = Some(tail);
            }
            if let Some(last) = tail.place.first.checked_sub(1) {
                self.news.tell(partition, Position::new(last));
            }
        }
        for (stream, tail) in &prepared.group.tails {
            let partition = self.capabilities.partition_of(stream);
            if let Some(state) = locked.get_mut(&partition) {
                state.tails.put(stream.clone(), *tail);
            }
        }
        for (stream, number, place, ids) in &prepared.group.heads {
            self.windows.written(stream, *number, *place, ids.clone());
        }
    }
}

/// Takes over where feeds end, as the items in the way say.
fn learn(locked: &mut Locked, seen: &[(Partition, FeedTail)]) {
    for (partition, tail) in seen {
        if let Some(state) = locked.get_mut(partition) {
            state.feed = Some(*tail);
        }
    }
}

/// Conflicts after which a group is written again without a wait.
const QUICK_RETRIES_MAX: u32 = 8;

/// How long a writer pauses for the others: a transaction takes about half of it.
const TURN: Duration = Duration::from_millis(20);

/// Forgets what the refusal of a transaction showed to be wrong.
fn forget(locked: &mut Locked, fresh: &mut HashSet<StreamId>, about: &[About]) {
    for about in about {
        match about {
            About::Feed(partition) => {
                if let Some(state) = locked.get_mut(partition) {
                    state.feed = None;
                }
            }
            About::Stream(stream) => {
                fresh.remove(stream);
                for state in locked.values_mut() {
                    state.tails.pop(stream);
                }
            }
            // Claims are read for every attempt.
            About::Claim(_) => {}
        }
    }
}

fn forget_all(locked: &mut Locked) {
    for state in locked.values_mut() {
        state.feed = None;
        state.tails.clear();
    }
}

/// Answers the first commits of a batch.
fn answer(batch: &mut VecDeque<Pending>, answers: Vec<Answer>) {
    for answer in answers {
        let Some(pending) = batch.pop_front() else { return };
        let answer = match answer {
            Answer::Staged(receipt) | Answer::Repeated(receipt) => {
                Ok(Accepted { receipt, durability: Durability::done() })
            }
            Answer::Refused(error) => Err(error),
        };
        // Whoever asked may have gone away; what is written is written.
        drop(pending.reply.send(answer));
    }
}

/// Answers a group whose transaction did not succeed. What is not in it depends on it, so it was not
/// decided either: it may be tried again.
fn fail_group(batch: &mut VecDeque<Pending>, prepared: Prepared, error: impl Fn() -> AppendError) {
    let failed = prepared.answers.into_iter().map(|answer| match answer {
        Answer::Repeated(receipt) => Answer::Repeated(receipt),
        Answer::Staged(_) => Answer::Refused(error()),
        Answer::Refused(_) => {
            let cause = DriverError::new("the commits before it in its group were not written");
            Answer::Refused(AppendError::Unavailable(cause))
        }
    });
    answer(batch, failed.collect());
}

/// Answers all commits of a batch that could not even be looked at.
fn fail_all(batch: &mut VecDeque<Pending>, error: &ReadError) {
    for pending in batch.drain(..) {
        let cause = DriverError::with_source("the streams cannot be read", error.clone());
        drop(pending.reply.send(Err(AppendError::Unavailable(cause))));
    }
}
