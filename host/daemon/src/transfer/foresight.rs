//! What the commits read ahead say about the order of commits that no position tells.
//!
//! Two kinds of commits of different partitions have an order and no position in common:
//! - one only expects something of a stream, and another writes to that stream afterwards;
//! - one releases a name, and another claims it afterwards.
//!
//! Their times tell, except when they are equal, or when hosts' clocks or queues differ a little. So
//! a commit waits for one that was read ahead when the other order could not have been accepted.

use std::collections::HashMap;
use std::sync::Arc;

use annals_core::commit::{Claim, RecordedCommit, Release};
use annals_core::place::{ExpectedRevision, Partition};
use annals_core::port::event_store::Capabilities;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;

use super::holders::{Holders, Known};

/// How far times may be apart, in milliseconds, of commits whose order is not that of their times.
const TIMES_APART_MS_MAX: u64 = 60_000;

/// What is known of the commits read ahead.
#[derive(Debug)]
pub(super) struct Foresight {
    capabilities: Capabilities,
    /// By stream: commits of other partitions that expect something of it and do not write it.
    looks: HashMap<StreamId, Vec<Look>>,
    /// By scope and key: claims and releases. Those of a partition are in order.
    names: HashMap<(Arc<str>, Arc<str>), Vec<Naming>>,
    holders: Holders,
}

/// A commit that was read ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Place {
    partition: Partition,
    number: u64,
    recorded_at: Timestamp,
}

/// Whether a commit can be next.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// As far as is known.
    Now,
    /// Not if all that matters was read ahead and is remembered.
    PerhapsLater,
    /// Another one is before it.
    Later,
}

#[derive(Debug)]
struct Look {
    at: Place,
    expected: ExpectedRevision,
}

#[derive(Debug)]
struct Naming {
    at: Place,
    stream: StreamId,
    what: What,
}

#[derive(Debug)]
enum What {
    Release,
    Claim { expires_at: Option<Timestamp> },
}

impl Naming {
    const fn is_release(&self) -> bool {
        matches!(self.what, What::Release)
    }

    const fn expires_at(&self) -> Option<Timestamp> {
        match self.what {
            What::Release => None,
            What::Claim { expires_at } => expires_at,
        }
    }
}

impl Place {
    fn of(partition: Partition, recorded: &RecordedCommit) -> Self {
        let RecordedCommit { number, commit, .. } = recorded;
        Self { partition, number: *number, recorded_at: commit.recorded_at }
    }

    /// Whether it is not, or not known to be, before another one.
    fn may_be_after(&self, other: Self) -> bool {
        self.partition != other.partition || self.number > other.number
    }

    /// Whether it is of another partition and may have been accepted before, in spite of its time.
    fn may_be_before(&self, other: Self) -> bool {
        let apart_ms = self.recorded_at.ms().abs_diff(other.recorded_at.ms());
        self.partition != other.partition && apart_ms <= TIMES_APART_MS_MAX
    }
}

impl Foresight {
    pub(super) fn new(capabilities: Capabilities) -> Self {
        let holders = Holders::default();
        Self { capabilities, looks: HashMap::new(), names: HashMap::new(), holders }
    }

    /// Adds a commit that was read after all others of its partition.
    pub(super) fn add(&mut self, partition: Partition, recorded: &RecordedCommit) {
        // In a store of one partition, numbers tell all.
        if self.capabilities.partitions_count < 2 {
            return;
        }
        let at = Place::of(partition, recorded);
        let commit = &recorded.commit;
        for append in commit.streams.iter().filter(|append| append.events.is_empty()) {
            if self.capabilities.partition_of(&append.stream) != partition {
                let look = Look { at, expected: append.expected };
                self.looks.entry(append.stream.clone()).or_default().push(look);
            }
        }
        let releases = commit.releases.iter();
        let releases = releases.map(|it| (&it.scope, &it.key, &it.stream, What::Release));
        let claims = commit.claims.iter().map(|it| {
            let what = What::Claim { expires_at: it.expires_at };
            (&it.scope, &it.key, &it.stream, what)
        });
        for (scope, key, stream, what) in releases.chain(claims) {
            let name = (Arc::clone(scope), Arc::clone(key));
            let naming = Naming { at, stream: stream.clone(), what };
            self.names.entry(name).or_default().push(naming);
        }
    }

    /// Removes a commit that is exported.
    pub(super) fn remove(&mut self, partition: Partition, recorded: &RecordedCommit) {
        if self.capabilities.partitions_count < 2 {
            return;
        }
        let at = Place::of(partition, recorded);
        let commit = &recorded.commit;
        self.holders.record(commit);
        for append in commit.streams.iter().filter(|append| append.events.is_empty()) {
            if let Some(looks) = self.looks.get_mut(&append.stream) {
                looks.retain(|look| look.at != at);
                if looks.is_empty() {
                    self.looks.remove(&append.stream);
                }
            }
        }
        let releases = commit.releases.iter().map(|it| (&it.scope, &it.key));
        let claims = commit.claims.iter().map(|it| (&it.scope, &it.key));
        for (scope, key) in releases.chain(claims) {
            let name = (Arc::clone(scope), Arc::clone(key));
            if let Some(namings) = self.names.get_mut(&name) {
                namings.retain(|naming| naming.at != at);
                if namings.is_empty() {
                    self.names.remove(&name);
                }
            }
        }
    }

    /// Whether the first commit of a partition comes after one that was read ahead of another.
    pub(super) fn order(&self, partition: Partition, recorded: &RecordedCommit) -> Order {
        let at = Place::of(partition, recorded);
        let commit = &recorded.commit;
        let is_seen_before = commit.streams.iter().filter(|it| !it.events.is_empty()).any(|it| {
            let looks = self.looks.get(&it.stream).into_iter().flatten();
            looks.filter(|look| look.at.may_be_before(at)).any(|look| is_up_to(look, it.expected))
        });
        let frees = |claim: &Claim| {
            let is_it = |it: &Release| {
                it.scope == claim.scope && it.key == claim.key && it.stream != claim.stream
            };
            commit.releases.iter().any(is_it)
        };
        if is_seen_before {
            return Order::Later;
        }
        let claims = commit.claims.iter().filter(|claim| !frees(claim));
        claims.map(|claim| self.claim_order(at, claim)).max().unwrap_or(Order::Now)
    }

    /// Whether others must have held and released a name before this claim of it.
    fn claim_order(&self, at: Place, claim: &Claim) -> Order {
        let name = (Arc::clone(&claim.scope), Arc::clone(&claim.key));
        let namings = self.names.get(&name).map(Vec::as_slice).unwrap_or_default();
        let is_its_own = |naming: &Naming| naming.stream == claim.stream;
        let others = || {
            let others = namings.iter().filter(|naming| naming.at.may_be_before(at));
            others.filter(|naming| !is_its_own(naming))
        };
        match self.holders.known(claim, at.recorded_at) {
            Known::HeldByAnother => return Order::Later,
            // Who releases it next and did not claim it in between may hold it.
            Known::Nothing
                if others().any(|naming| naming.is_release() && is_first(naming, namings)) =>
            {
                return Order::PerhapsLater;
            }
            Known::Nothing | Known::Free => {}
        }
        // Of two streams that claim it, that was first whose release lets times go back the least.
        // Expiry is by the times themselves: where it frees the name they need not go back.
        let back_ms = |held: (&StreamId, Place, Option<Timestamp>), claimed_at: Timestamp| {
            let (stream, at, expires_at) = held;
            if expires_at.is_some_and(|expiry| expiry <= claimed_at) {
                return 0;
            }
            let its = namings.iter().filter(|it| it.is_release() && it.stream == *stream);
            let ends = its.filter(|it| it.at.may_be_after(at)).map(|it| it.at.recorded_at.ms());
            ends.min().map_or(u64::MAX, |end| end.saturating_sub(claimed_at.ms()))
        };
        let is_perhaps_later = others().filter(|it| !it.is_release()).any(|it| {
            let if_first = back_ms((&claim.stream, at, claim.expires_at), it.at.recorded_at);
            let if_second = back_ms((&it.stream, it.at, it.expires_at()), at.recorded_at);
            if_first > if_second
        });
        if is_perhaps_later { Order::PerhapsLater } else { Order::Now }
    }
}

/// Whether it is the first of its partition.
fn is_first(naming: &Naming, namings: &[Naming]) -> bool {
    let first = namings.iter().find(|it| it.at.partition == naming.at.partition);
    first.is_some_and(|first| std::ptr::eq(first, naming))
}

/// Whether a commit saw a stream no further than it was when another wrote to it.
fn is_up_to(look: &Look, written_after: ExpectedRevision) -> bool {
    match (look.expected, written_after) {
        (ExpectedRevision::NoStream, _) => true,
        (ExpectedRevision::Exactly(seen), ExpectedRevision::Exactly(before)) => seen <= before,
        _ => false,
    }
}
