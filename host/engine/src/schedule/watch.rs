//! Looks what is due, on every host: waits until the earliest time, has it fired, and removes what ended
//! long ago.
//!
//! What is due is looked up in order of time, so late commands go first, those of a stream one after the
//! other. Those of different streams run side by side, as many as there may be in flight; the clock, and what other hosts changed, are looked at every
//! `check_every`, so a clock that is set is noticed as soon.

use std::collections::{HashSet, VecDeque};
use std::io;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annals_core::error::ErrorChain;
use annals_core::time::Timestamp;
use bytes::Bytes;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep};
use tracing::warn;

use super::rows::{self, DUE, Entry};
use super::{ScheduleError, ScheduleId, Schedules, Shared};
use crate::actor::{Actor, Placement};

/// Rows read at once when looking what is due.
const LOOK_ROWS: usize = 256;

/// Shortest wait between two looks, whatever the settings say.
const WAIT_MIN: Duration = Duration::from_millis(10);

/// How often it is looked what ended long ago.
const EXPIRY_EVERY: Duration = Duration::from_mins(1);

/// Most schedules that cannot be fired that are remembered, so as to be told of once.
const UNUSABLE_MAX: usize = 1_000;

/// Fires what is due on this host.
#[derive(Debug)]
pub(crate) struct Watch {
    stop: watch::Sender<bool>,
    // Taken by whoever waits for the end.
    actor: Mutex<Option<Actor>>,
}

impl Watch {
    /// Begins with what is due already.
    pub(crate) fn start(placement: Placement, schedules: &Schedules) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let shared = Arc::clone(&schedules.0);
        let run = move || async move { Watching::new(shared).run_until(stopped).await };
        let actor = Actor::spawn(placement, "annals-schedules", run)?;
        Ok(Self { stop, actor: Mutex::new(Some(actor)) })
    }

    /// Fires nothing more, and waits until what is on its way is noted.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(actor) = actor {
            actor.join().await;
        }
    }
}

struct Watching {
    shared: Arc<Shared>,
    /// What was due at the last look, and is not fired.
    queue: VecDeque<Entry>,
    /// What is being fired here.
    running: HashSet<ScheduleId>,
    /// The streams of it.
    busy: HashSet<Bytes>,
    /// What cannot be fired as it is stored.
    unusable: HashSet<ScheduleId>,
    expiry_at: Instant,
    /// Nothing is done before: the store did not do its part.
    resume_at: Instant,
}

/// What a look found.
struct Look {
    due: VecDeque<Entry>,
    /// The first time after now.
    next: Option<Timestamp>,
}

impl Watching {
    fn new(shared: Arc<Shared>) -> Self {
        Self {
            shared,
            queue: VecDeque::new(),
            running: HashSet::new(),
            busy: HashSet::new(),
            unusable: HashSet::new(),
            expiry_at: Instant::now(),
            resume_at: Instant::now(),
        }
    }

    async fn run_until(mut self, mut stopped: watch::Receiver<bool>) {
        let shared = Arc::clone(&self.shared);
        let mut firings = FuturesUnordered::new();
        loop {
            let prepared = tokio::select! {
                biased;
                // An error means that the engine is gone: stop as well.
                _ = stopped.wait_for(|is_stopped| *is_stopped) => break,
                // May be broken off anywhere: a look changes nothing, an expiry is one commit.
                wait = self.prepare() => wait,
            };
            let is_paused = self.resume_at > Instant::now();
            while !is_paused && let Some(Entry { id, stream, .. }) = self.next() {
                let shared = Arc::clone(&shared);
                let firing = async move {
                    let ended = shared.fire(&id).await;
                    (id, stream, ended)
                };
                firings.push(firing.boxed());
            }
            tokio::select! {
                biased;
                _ = stopped.wait_for(|is_stopped| *is_stopped) => break,
                Some((id, stream, ended)) = firings.next() => {
                    self.busy.remove(&stream);
                    self.ended(id, ended);
                }
                () = shared.changed.notified() => {}
                () = sleep(prepared) => {}
            }
        }
        // What is on its way ends soon: the shards are still there, or refuse it.
        while firings.next().await.is_some() {}
    }

    /// The first that may be fired now.
    fn next(&mut self) -> Option<Entry> {
        if self.running.len() >= self.shared.limits.in_flight_max.get() {
            return None;
        }
        let index = self.queue.iter().position(|entry| !self.busy.contains(&entry.stream))?;
        let entry = self.queue.remove(index)?;
        self.running.insert(entry.id.clone());
        self.busy.insert(entry.stream.clone());
        Some(entry)
    }

    /// Looks what is to be done, and says for how long there is nothing else.
    async fn prepare(&mut self) -> Duration {
        let check_every = self.shared.limits.check_every.max(WAIT_MIN);
        let pause = self.resume_at.saturating_duration_since(Instant::now());
        if !pause.is_zero() {
            return pause;
        }
        if self.expiry_at <= Instant::now() {
            let every = match self.shared.remove_some_ended().await {
                Ok(true) => Duration::ZERO,
                Ok(false) => EXPIRY_EVERY,
                Err(error) => {
                    warn_of("ended schedules are not removed", &error);
                    EXPIRY_EVERY
                }
            };
            self.expiry_at = Instant::now() + every;
        }
        let until_expiry = self.expiry_at.saturating_duration_since(Instant::now());
        let is_full = self.running.len() >= self.shared.limits.in_flight_max.get();
        if !self.queue.is_empty() || is_full {
            return check_every.min(until_expiry);
        }
        let now = self.shared.clock.now();
        match self.look(now).await {
            Ok(look) => {
                self.queue = look.due;
                let until_next = look.next.map(|next| Duration::from_millis(next.ms_since(now)));
                check_every.min(until_next.unwrap_or(check_every)).min(until_expiry)
            }
            Err(error) => {
                warn_of("schedules cannot be looked at", &error);
                check_every
            }
        }
    }

    async fn look(&self, now: Timestamp) -> Result<Look, ScheduleError> {
        let (mut due, mut after, mut late_ms) = (VecDeque::new(), None, 0);
        loop {
            let (entries, last) =
                rows::in_order_of_time(&*self.shared.state, DUE, after.as_deref(), LOOK_ROWS)
                    .await?;
            for entry in entries {
                if entry.time > now || due.len() >= LOOK_ROWS {
                    self.shared.counts.late_ms.store(late_ms, Relaxed);
                    return Ok(Look { due, next: Some(entry.time.max(now)) });
                }
                if self.unusable.contains(&entry.id) {
                    continue;
                }
                late_ms = late_ms.max(now.ms_since(entry.time));
                if !self.running.contains(&entry.id) {
                    due.push_back(entry);
                }
            }
            after = last;
            if after.is_none() {
                self.shared.counts.late_ms.store(late_ms, Relaxed);
                return Ok(Look { due, next: None });
            }
        }
    }

    fn ended(&mut self, id: ScheduleId, ended: Result<(), ScheduleError>) {
        self.running.remove(&id);
        let Err(error) = ended else { return };
        warn_of("a scheduled command was not fired, or its outcome not noted", &error);
        if matches!(error, ScheduleError::Damaged { .. }) {
            if self.unusable.len() >= UNUSABLE_MAX {
                self.unusable.clear();
            }
            self.unusable.insert(id);
        } else {
            // The others would fail as well; what is due stays so.
            self.resume_at = Instant::now() + self.shared.limits.check_every;
        }
    }
}

fn warn_of(what: &'static str, error: &ScheduleError) {
    let error = ErrorChain(error).to_string();
    warn!(error, "{what}");
}
