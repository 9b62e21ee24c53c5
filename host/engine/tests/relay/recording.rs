//! A bus that keeps copies as Redis does: each event once, none before the last one, none after a
//! loss until somebody asked; and that a test can look into and damage.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard};

use annals_bus_local::LocalBus;
use annals_core::error::DriverError;
use annals_core::event::RecordedEvent;
use annals_core::place::{Partition, Position};
use annals_core::port::Bus;
use annals_core::port::bus::{BusCapabilities, BusError, Wake};
use async_trait::async_trait;
use futures_util::stream::BoxStream;
use tokio::task::yield_now;

/// Keeps copies, or wakes others, or both.
#[derive(Debug)]
pub(crate) struct RecordingBus {
    capabilities: BusCapabilities,
    state: Mutex<State>,
    wakes: LocalBus,
}

#[derive(Debug, Default)]
struct State {
    copies: BTreeMap<Partition, Vec<Position>>,
    /// Where the publisher believes that the copies end.
    believed: BTreeMap<Partition, Option<Position>>,
    /// Events of each call of `publish`.
    calls: Vec<usize>,
    /// Calls that fail after one half of their events.
    half_failing: u64,
    publishing: usize,
    publishing_max: usize,
    told: Vec<Wake>,
}

impl RecordingBus {
    pub(crate) fn new(capabilities: BusCapabilities) -> Self {
        Self { capabilities, state: Mutex::default(), wakes: LocalBus::new() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// The positions that there are copies of.
    pub(crate) fn copies(&self, partition: u32) -> Vec<u64> {
        let state = self.state();
        let copies = state.copies.get(&Partition(partition)).cloned().unwrap_or_default();
        copies.into_iter().map(Position::get).collect()
    }

    /// How many events each call of `publish` had.
    pub(crate) fn calls(&self) -> Vec<usize> {
        self.state().calls.clone()
    }

    /// How many calls of `publish` there were at once.
    pub(crate) fn publishing_max(&self) -> usize {
        self.state().publishing_max
    }

    /// The wakes that were sent.
    pub(crate) fn told(&self) -> Vec<Wake> {
        self.state().told.clone()
    }

    /// Loses every copy after the first `kept_count` of each partition.
    pub(crate) fn lose(&self, kept_count: usize) {
        self.state().copies.values_mut().for_each(|copies| copies.truncate(kept_count));
    }

    /// Takes one copy as another host would have handed it over.
    pub(crate) fn take(&self, partition: u32, position: u64) {
        let position = Position::new(position);
        self.state().copies.entry(Partition(partition)).or_default().push(position);
    }

    /// Makes the next calls of `publish` fail after one half of their events.
    pub(crate) fn fail_half(&self, calls_count: u64) {
        self.state().half_failing = calls_count;
    }

    fn add(&self, partition: Partition, events: &[RecordedEvent]) -> Result<(), BusError> {
        let mut guard = self.state();
        let state = &mut *guard;
        let copies = state.copies.entry(partition).or_default();
        let believed = state.believed.get(&partition).copied().expect("nobody asked before");
        if copies.last().copied() < believed {
            return Err(BusError::Unavailable(DriverError::new("the copies have lost their end")));
        }
        let fails = state.half_failing > 0;
        state.half_failing = state.half_failing.saturating_sub(1);
        let taken = if fails { &events[..events.len() / 2] } else { events };
        for event in taken {
            assert_eq!(event.partition, partition, "one call, two partitions");
            if copies.last().is_none_or(|last| *last < event.position) {
                copies.push(event.position);
            }
        }
        state.believed.insert(partition, copies.last().copied());
        state.calls.push(events.len());
        if fails {
            return Err(BusError::Unavailable(DriverError::new("failed half-way")));
        }
        Ok(())
    }
}

#[async_trait]
impl Bus for RecordingBus {
    fn capabilities(&self) -> BusCapabilities {
        self.capabilities
    }

    async fn publish(&self, events: &[RecordedEvent]) -> Result<(), BusError> {
        {
            let mut state = self.state();
            state.publishing += 1;
            state.publishing_max = state.publishing_max.max(state.publishing);
        }
        yield_now().await;
        let added = self.add(events[0].partition, events);
        self.state().publishing -= 1;
        added
    }

    async fn last_published(&self, partition: Partition) -> Result<Option<Position>, BusError> {
        let mut state = self.state();
        let last = state.copies.get(&partition).and_then(|copies| copies.last().copied());
        state.believed.insert(partition, last);
        Ok(last)
    }

    async fn wake(&self, partition: Partition, head: Position) -> Result<(), BusError> {
        self.state().told.push(Wake { partition, head });
        self.wakes.wake(partition, head).await
    }

    fn wakes(&self) -> BoxStream<'static, Wake> {
        self.wakes.wakes()
    }
}
