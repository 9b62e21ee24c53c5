//! Following the registry while other hosts install plugins.
//!
//! ```text
//!   look at the registry's stream ──► wait a little ──► wait for news of its partition ──┐
//!             ▲                                                                          │
//!             └──────────────────────────────────────────────────────────────────────────┘
//! ```
//! Other events of the partition are news too, so it looks no more often than every
//! [`LOOK_EVERY`].

use std::io;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annals_core::error::ErrorChain;
use annals_core::place::Position;
use annals_core::port::Bus;
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::warn;

use super::{Registry, log};
use crate::actor::{Actor, Placement};
use crate::shard::ShardContext;

/// Shortest time between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long to wait before a plugin that did not start is tried again.
const RETRY_EVERY: Duration = Duration::from_secs(30);

/// Starts on this host what any host installs.
#[derive(Debug)]
pub(crate) struct Follower {
    stop: watch::Sender<bool>,
    // Taken by whoever waits for the end.
    actor: Mutex<Option<Actor>>,
}

impl Follower {
    /// Follows from where the registry has been read to.
    pub(crate) fn start(
        placement: Placement,
        registry: Arc<Registry>,
        context: Arc<ShardContext>,
        bus: Arc<dyn Bus>,
    ) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let following = Following { registry, context, bus };
        let actor =
            Actor::spawn(placement, "annals-plugins", move || following.run_until(stopped))?;
        Ok(Self { stop, actor: Mutex::new(Some(actor)) })
    }

    /// Ends following, wherever it is.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(actor) = actor {
            actor.join().await;
        }
    }
}

struct Following {
    registry: Arc<Registry>,
    context: Arc<ShardContext>,
    bus: Arc<dyn Bus>,
}

impl Following {
    async fn run_until(self, mut stopped: watch::Receiver<bool>) {
        let follow = async {
            loop {
                // Read before the look: what comes after it is news.
                let seen = self.head().await;
                let has_waiting = self.look().await;
                self.wait(seen, has_waiting.then_some(RETRY_EVERY)).await;
            }
        };
        tokio::select! {
            biased;
            // An error means that the engine is gone: stop as well.
            _ = stopped.wait_for(|is_stopped| *is_stopped) => {}
            // May be broken off anywhere: nothing waits between the start of a projection and its
            // being in the registry, which ends it.
            () = follow => {}
        }
    }

    /// The head of the registry's partition, as far as it is known.
    async fn head(&self) -> Option<Position> {
        let store = &*self.context.store;
        match store.head(log::partition(store)).await {
            Ok(head) => head,
            Err(error) => {
                warn!(error = %ErrorChain(&error), "the plugin registry cannot be followed");
                None
            }
        }
    }

    /// Starts what is new; returns whether something has to be tried again.
    async fn look(&self) -> bool {
        match self.registry.catch_up(&self.context.catalog).await {
            Ok(has_waiting) => has_waiting,
            Err(error) => {
                warn!(error = %ErrorChain(&error), "the plugin registry cannot be followed");
                true
            }
        }
    }

    /// Waits for the next look.
    async fn wait(&self, seen: Option<Position>, wait_max: Option<Duration>) {
        sleep(LOOK_EVERY).await;
        let store = &*self.context.store;
        let partition = log::partition(store);
        let mut wakes = self.bus.wakes();
        let woken = async {
            while let Some(wake) = wakes.next().await {
                if wake.partition == partition && Some(wake.head) > seen {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        let in_time = async {
            match wait_max {
                Some(wait_max) => sleep(wait_max).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            news = store.wait_for_news(partition, seen) => if let Err(error) = news {
                warn!(error = %ErrorChain(&error), "waiting for news failed");
                sleep(RETRY_EVERY).await;
            },
            () = woken => {}
            () = in_time => {}
        }
    }
}
