//! The relay: hands durable events to the bus, and tells other hosts that there are some.
//!
//! ```text
//!                       ┌─► copies.rs ── publish ──► bus: copies for outsiders
//!   feed of a partition ┤        ▲  └── last_published, now and then and after every error
//!                       └─► wakes.rs ─── wake ─────► bus: other hosts
//! ```
//! The store is the truth: nothing is kept here, and whatever the bus lost it is given again, from
//! the place that it names itself. Of a bus that does not keep copies, or does not reach other hosts,
//! the part that it has no use for does not run.
//!
//! All hosts of a store relay all of its partitions. So each event is handed to the bus once per
//! host, which costs network and nothing else: a bus takes an event once.

mod copies;
mod wakes;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annals_core::place::{Partition, Position};
use annals_core::port::{Bus, EventStore};
use futures_util::future::join_all;
use serde::Serialize;
use tokio::sync::{Semaphore, watch};

use crate::actor::Actor;
use crate::options::EngineOptions;
use copies::Copies;
use wakes::Wakes;

/// How far the copies of a partition are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RelayProgress {
    /// The partition.
    pub partition: Partition,
    /// Position of the last event that the bus has, as far as is known. Before the first answer of
    /// the bus, and when it has none, `None`.
    pub published: Option<Position>,
    /// How many durable events come after those that were handed over, as of the last look.
    pub lag_events_count: u64,
    /// What the relay of the partition does now.
    pub phase: RelayPhase,
}

/// What the relay of a partition does now.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum RelayPhase {
    /// It is behind the head and goes on.
    CatchingUp,
    /// The bus has every event there is.
    CaughtUp,
    /// It failed and tries again, waiting longer each time.
    Failing {
        /// Why.
        cause: String,
        /// How often in a row.
        attempts: u32,
    },
}

/// What a relay needs.
#[derive(Debug, Clone)]
pub(crate) struct RelayPorts {
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) bus: Arc<dyn Bus>,
    pub(crate) options: EngineOptions,
}

/// The running relays of all partitions.
#[derive(Debug)]
pub(crate) struct Relay {
    progress: Vec<watch::Receiver<RelayProgress>>,
    stop: watch::Sender<bool>,
    // Taken by whoever waits for the end.
    actor: Mutex<Option<Actor>>,
}

/// The loop of one part for one partition.
type Loop = Pin<Box<dyn Future<Output = ()> + Send>>;

impl Relay {
    /// Starts what the bus has a use for.
    pub(crate) fn start(ports: &RelayPorts) -> io::Result<Self> {
        let can = ports.bus.capabilities();
        let pages = Arc::new(Semaphore::new(ports.options.relay_pages_in_flight_max.get()));
        let (stop, stopped) = watch::channel(false);
        let mut progress = Vec::new();
        let mut loops: Vec<Loop> = Vec::new();
        for partition in (0..ports.store.capabilities().partitions_count).map(Partition) {
            if can.keeps_copies {
                let (copies, reported) = Copies::new(ports.clone(), partition, Arc::clone(&pages));
                progress.push(reported);
                loops.push(Box::pin(copies.run()));
            }
            if can.reaches_other_hosts {
                loops.push(Box::pin(Wakes::new(ports.clone(), partition).run()));
            }
        }
        let actor = if loops.is_empty() {
            None
        } else {
            let run = move || run_until_stopped(loops, stopped);
            Some(Actor::spawn(ports.options.placement, "annals-relay", run)?)
        };
        Ok(Self { progress, stop, actor: Mutex::new(actor) })
    }

    /// How far the copies of each partition are, in order of partition. None when the bus keeps no
    /// copies.
    pub(crate) fn progress(&self) -> &[watch::Receiver<RelayProgress>] {
        &self.progress
    }

    /// Ends all loops where they are, and waits for their end. What they have not handed over, the
    /// next host does.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(actor) = actor {
            actor.join().await;
        }
    }
}

async fn run_until_stopped(loops: Vec<Loop>, mut stopped: watch::Receiver<bool>) {
    tokio::select! {
        // An error means that the engine is gone: stop as well.
        _ = stopped.wait_for(|is_stopped| *is_stopped) => {}
        _ = join_all(loops) => {}
    }
}

/// How long to wait after so many failures in a row.
fn retry_wait(options: &EngineOptions, attempts: u32) -> Duration {
    let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
    options.relay_retry_wait.saturating_mul(doubled).min(options.relay_retry_wait_max)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_their_limit() {
        // Guards the limits: a bus that is down for days is asked often enough, and not more.
        let options = EngineOptions {
            relay_retry_wait: Duration::from_millis(100),
            relay_retry_wait_max: Duration::from_secs(1),
            ..EngineOptions::default()
        };
        let waits = [1, 2, 3, 4, 5, 32, 33, u32::MAX]
            .map(|attempts| u64::try_from(retry_wait(&options, attempts).as_millis()).unwrap());
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000, 1_000, 1_000]);
    }
}
