//! Who sends what: so many senders, one command or batch after another, streams in turn.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use hdrhistogram::Histogram;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::target::Target;
use crate::failure::Failure;

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Opens account after account.
    Open,
    /// Deposits into account after account, again and again.
    Deposit,
}

/// When sending ends.
#[derive(Debug, Clone, Copy)]
pub(super) enum Until {
    /// After so long.
    Time(Duration),
    /// After so many commands.
    Count(u64),
}

/// How much is sent.
#[derive(Debug, Clone, Copy)]
pub(super) struct Load {
    pub(super) streams_count: u64,
    pub(super) in_flight: u32,
    pub(super) until: Until,
}

/// What was sent and answered.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) commands_count: u64,
    pub(super) time: Duration,
    /// In microseconds, per command or batch.
    pub(super) latency: Histogram<u64>,
}

/// How exact latencies are kept, in significant digits.
const DIGITS: u8 = 3;

/// A sender's share.
struct Sender {
    target: Target,
    kind: Kind,
    streams_count: u64,
    /// The number of the next command of all senders.
    next: Arc<AtomicU64>,
    end: End,
}

/// When a sender ends.
#[derive(Clone, Copy)]
enum End {
    At(Instant),
    Before(u64),
}

impl Load {
    /// Sends, and waits for all answers.
    pub(super) async fn run(&self, target: &Target, kind: Kind) -> Result<Done, Failure> {
        let next = Arc::new(AtomicU64::new(0));
        let start = Instant::now();
        let end = match self.until {
            Until::Time(time) => End::At(start + time),
            Until::Count(count) => End::Before(count),
        };
        let mut senders = JoinSet::new();
        for _ in 0..self.in_flight {
            let sender = Sender {
                target: target.another().await?,
                kind,
                streams_count: self.streams_count,
                next: Arc::clone(&next),
                end,
            };
            senders.spawn(sender.run());
        }
        let mut done = Done { commands_count: 0, time: Duration::ZERO, latency: histogram()? };
        while let Some(sent) = senders.join_next().await {
            let sent = sent.map_err(|error| Failure::ours(format!("a sender ended: {error}")))?;
            let (commands_count, latency) = sent?;
            done.commands_count += commands_count;
            let added = done.latency.add(latency);
            added.map_err(|error| Failure::ours(format!("latencies do not add up: {error}")))?;
        }
        done.time = start.elapsed();
        Ok(done)
    }
}

impl Sender {
    async fn run(mut self) -> Result<(u64, Histogram<u64>), Failure> {
        let mut latency = histogram()?;
        let mut commands_count = 0;
        let batch = self.target.batch();
        loop {
            let first = self.next.fetch_add(batch, Ordering::Relaxed);
            let count = match self.end {
                End::At(end) if Instant::now() >= end => 0,
                End::At(_) => batch,
                End::Before(end) => end.saturating_sub(first).min(batch),
            };
            if count == 0 {
                return Ok((commands_count, latency));
            }
            let streams_count = self.streams_count;
            let streams = (first..first + count).map(|number| number % streams_count);
            let sent = Instant::now();
            self.target.send(self.kind, streams).await?;
            let us = u64::try_from(sent.elapsed().as_micros()).unwrap_or(u64::MAX);
            // The histogram grows with its values; recording in saturation would not.
            latency
                .record(us)
                .map_err(|error| Failure::ours(format!("a latency does not fit: {error}")))?;
            commands_count += count;
        }
    }
}

/// An empty histogram, of microseconds.
pub(super) fn histogram() -> Result<Histogram<u64>, Failure> {
    Histogram::new(DIGITS).map_err(|error| Failure::ours(format!("no histogram: {error}")))
}
