//! One connection to Redis, kept by a task of its own, that commands and wakes share.
//!
//! ```text
//!   query ──► state: connecting │ up(connection) │ down(why) ◄── keeper ──► connect, subscribe,
//!     │                                                            ▲        watch, wait, again
//!     └── a failure that speaks against the connection ────────────┘
//! ```
//! While there is no connection, commands fail at once with the last cause, except before the first
//! attempt has ended.

mod keeper;
mod target;

use std::time::Duration;

use redis::{Cmd, FromRedisValue};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::failure::{Failure, FailureKind};
use crate::wakes::Ear;
use keeper::{Keeper, State};

pub(crate) use target::Target;

/// Most failures that wait for the keeper, who needs one.
const REPORTS_MAX: usize = 16;

/// The connection, as those see it who send commands.
pub(crate) struct Link {
    handle: Handle,
    state: watch::Receiver<State>,
    reports: mpsc::Sender<Report>,
    _keeper: Task<()>,
}

/// A failure that speaks against a connection.
struct Report {
    /// Which connection.
    number: u64,
    failure: Failure,
}

impl Link {
    /// Starts the keeper on `handle`.
    pub(crate) fn start(target: Target, handle: Handle, ear: Ear, seed: u64) -> Self {
        let (reports, reported) = mpsc::channel(REPORTS_MAX);
        let (told, state) = watch::channel(State::Connecting);
        let keeper = Keeper::new(target, ear, told, reported, seed);
        let keeper = Task(handle.spawn(keeper.run()));
        Self { handle, state, reports, _keeper: keeper }
    }

    /// Sends a command and waits for its answer, at most `wait_max`, and no longer than the options
    /// say.
    pub(crate) async fn query<T>(&self, command: Cmd, wait_max: Duration) -> Result<T, Failure>
    where
        T: FromRedisValue + Send + 'static,
    {
        let (state, reports) = (self.state.clone(), self.reports.clone());
        let asking = async move {
            let asked = timeout(wait_max, ask(command, state, reports)).await;
            asked.unwrap_or_else(|_| {
                Err(Failure::new(FailureKind::Lost, "Redis does not answer in the time it has"))
            })
        };
        // On the runtime of the connection: the caller may be on another executor.
        let asked = Task(self.handle.spawn(asking)).ended().await;
        asked.unwrap_or_else(|| {
            Err(Failure::new(FailureKind::Lost, "the runtime of the bus has ended"))
        })
    }
}

async fn ask<T: FromRedisValue>(
    command: Cmd,
    mut state: watch::Receiver<State>,
    reports: mpsc::Sender<Report>,
) -> Result<T, Failure> {
    let ended = || Failure::new(FailureKind::Lost, "the bus has ended");
    let settled = state.wait_for(|state| !matches!(state, State::Connecting)).await;
    let (mut connection, number) = match settled.map_err(|_| ended())?.clone() {
        State::Up { connection, number } => (connection, number),
        // Whatever it was, it is the connection that is missing now, which the keeper has said.
        State::Down(failure) => return Err(Failure { kind: FailureKind::Lost, ..failure }),
        State::Connecting => return Err(ended()),
    };
    command.query_async(&mut connection).await.map_err(|error| {
        let failure = Failure::of(&error);
        if failure.kind != FailureKind::Refused {
            // A full queue holds reports enough.
            drop(reports.try_send(Report { number, failure: failure.clone() }));
        }
        failure
    })
}

/// A task that ends when nobody waits for it any more.
struct Task<T>(JoinHandle<T>);

impl<T> Task<T> {
    /// Waits for its end; `None` when its runtime ended before.
    async fn ended(mut self) -> Option<T> {
        (&mut self.0).await.ok()
    }
}

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}
