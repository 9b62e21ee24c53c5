//! The task that keeps the connection: it connects, watches, and connects again, for ever.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals_core::error::ErrorChain;
use redis::aio::MultiplexedConnection;
use redis::{PushInfo, PushKind};
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::{Instant, interval_at, sleep};
use tracing::{debug, info, warn};

use super::{Report, Target};
use crate::backoff::Backoff;
use crate::failure::{Failure, FailureKind};
use crate::outage::Outage;
use crate::wakes::Ear;

/// How often a silent connection is asked whether it is still there.
const PING_EVERY: Duration = Duration::from_secs(5);

/// Whether there is a connection.
#[derive(Clone)]
pub(super) enum State {
    /// The first attempt has not ended.
    Connecting,
    /// There is one.
    Up { connection: MultiplexedConnection, number: u64 },
    /// There is none.
    Down(Failure),
}

/// Keeps the connection.
pub(super) struct Keeper {
    target: Target,
    address: String,
    ear: Ear,
    state: watch::Sender<State>,
    reports: mpsc::Receiver<Report>,
    backoff: Backoff,
    /// Of the connection.
    outage: Outage,
    /// Of the wakes alone, when the user may not listen to them.
    deafness: Outage,
}

impl Keeper {
    pub(super) fn new(
        target: Target,
        ear: Ear,
        state: watch::Sender<State>,
        reports: mpsc::Receiver<Report>,
        seed: u64,
    ) -> Self {
        Self {
            address: target.address(),
            backoff: Backoff::new(target.reconnect_wait, target.reconnect_wait_max, seed),
            target,
            ear,
            state,
            reports,
            outage: Outage::default(),
            deafness: Outage::default(),
        }
    }

    /// Runs until the link is dropped.
    pub(super) async fn run(mut self) {
        for number in 1_u64.. {
            let closed = Arc::new(Notify::new());
            let failure = match self.connect(&closed).await {
                Ok(connection) => {
                    if self.outage.ends() {
                        info!(address = %self.address, "redis is available again");
                    }
                    let since = Instant::now();
                    self.state.send_replace(State::Up { connection: connection.clone(), number });
                    let failure = self.watch(connection, number, &closed).await;
                    // A connection that is lost as soon as it is there is no success.
                    if since.elapsed() >= self.target.reconnect_wait_max {
                        self.backoff.reset();
                    }
                    if failure.kind == FailureKind::Lost {
                        self.lost(&failure);
                    }
                    failure
                }
                Err(failure) => {
                    self.lost(&failure);
                    failure
                }
            };
            self.state.send_replace(State::Down(failure));
            sleep(self.backoff.next()).await;
        }
    }

    /// Says that there is no connection, once per outage.
    fn lost(&mut self, failure: &Failure) {
        let error = ErrorChain(&failure.error);
        if self.outage.begins() {
            warn!(address = %self.address, %error, "redis is not available; events go on without it");
        } else {
            debug!(address = %self.address, %error, "redis is still not available");
        }
    }

    /// Connects, looks whether the server answers, and listens to wakes.
    async fn connect(&mut self, closed: &Arc<Notify>) -> Result<MultiplexedConnection, Failure> {
        let mut connection = self.target.connect(heard(self.ear.clone(), closed)).await?;
        ping(&mut connection).await?;
        match connection.subscribe(self.ear.channel()).await {
            Ok(()) => drop(self.deafness.ends()),
            Err(error) => {
                let failure = Failure::of(&error);
                if failure.kind != FailureKind::Refused {
                    return Err(failure);
                }
                if self.deafness.begins() {
                    let channel = self.ear.channel();
                    let error = ErrorChain(&failure.error);
                    warn!(address = %self.address, channel, %error, "wakes cannot be heard");
                }
            }
        }
        Ok(connection)
    }

    /// Returns why the connection is of no use any more.
    async fn watch(
        &mut self,
        mut connection: MultiplexedConnection,
        number: u64,
        closed: &Notify,
    ) -> Failure {
        let mut pings = interval_at(Instant::now() + PING_EVERY, PING_EVERY);
        loop {
            tokio::select! {
                report = self.reports.recv() => match report {
                    Some(report) if report.number == number => return report.failure,
                    Some(_) => {}
                    // The link is gone, and with it this task.
                    None => return Failure::new(FailureKind::Elsewhere, "the bus has ended"),
                },
                () = closed.notified() => {
                    return Failure::new(FailureKind::Lost, "Redis has closed the connection");
                }
                _ = pings.tick() => if let Err(failure) = ping(&mut connection).await {
                    return failure;
                },
            }
        }
    }
}

/// Asks for a sign of life. A refusal is one.
async fn ping(connection: &mut MultiplexedConnection) -> Result<(), Failure> {
    let answer = redis::cmd("PING").exec_async(connection).await;
    match answer.map_err(|error| Failure::of(&error)) {
        Err(failure) if failure.kind != FailureKind::Refused => Err(failure),
        _ => Ok(()),
    }
}

/// What becomes of what the server says unasked.
fn heard(ear: Ear, closed: &Arc<Notify>) -> impl Fn(PushInfo) + Send + Sync + 'static {
    let closed = Arc::clone(closed);
    let has_complained = AtomicBool::new(false);
    move |info| match info.kind {
        PushKind::Message => {
            let Err(fault) = ear.hear(&info.data) else { return };
            // Whoever sends one may send many.
            if has_complained.swap(true, Ordering::Relaxed) {
                debug!(%fault, "a wake was not understood");
            } else {
                warn!(%fault, "a wake was not understood, and passed over");
            }
        }
        PushKind::Disconnection => closed.notify_one(),
        _ => {}
    }
}
