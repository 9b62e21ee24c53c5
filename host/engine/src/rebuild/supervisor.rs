//! What happens to views beside those that serve without anybody asking for it: a candidate that has
//! caught up is compared and takes over, a previous view goes when its time is over.
//!
//! One task per view, all on one thread that others do not notice. A task ends when the view it is
//! about is no longer what the registry says; what it does is safe to do twice, or on several hosts.

use std::collections::BTreeSet;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use annals_core::error::ErrorChain;
use annals_core::place::Position;
use annals_core::port::state_store::StateError;
use annals_core::time::Clock;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};
use tracing::{info, warn};

use super::compare::Pair;
use super::report::{self, DifferenceCounts};
use super::{CutsOver, Supervision};
use crate::actor::Actor;
use crate::plugins::{InstallError, Registry, ViewTask, ViewTaskKind};
use crate::projection::{Phase, Progress};
use crate::shard::ShardContext;

/// Time between two looks at a candidate that catches up, for its rate.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// How long to wait after something failed.
const RETRY_EVERY: Duration = Duration::from_secs(5);

/// Longest sleep before the clock is looked at again: it may be set.
const CLOCK_EVERY: Duration = Duration::from_mins(1);

/// Runs the tasks.
#[derive(Debug)]
pub(crate) struct Supervisor {
    stop: watch::Sender<bool>,
    // Taken by whoever waits for the end.
    actor: Mutex<Option<Actor>>,
}

impl Supervisor {
    /// Begins with what the registry says.
    pub(crate) fn start(registry: Arc<Registry>, context: Arc<ShardContext>) -> io::Result<Self> {
        let (stop, stopped) = watch::channel(false);
        let placement = context.options.placement;
        let on_thread = context.options.on_background_thread;
        let tasks = Tasks { registry, context };
        let run = move || async move { tasks.run_until(stopped).await };
        let actor = Actor::spawn_in_background(placement, "annals-rebuilds", on_thread, run)?;
        Ok(Self { stop, actor: Mutex::new(Some(actor)) })
    }

    /// Ends all tasks, wherever they are.
    pub(crate) async fn stop(&self) {
        self.stop.send_replace(true);
        let actor = self.actor.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(actor) = actor {
            actor.join().await;
        }
    }
}

/// How the registry is to be changed.
enum Change {
    None,
    CutOver(DifferenceCounts),
    DropPrevious,
}

struct Tasks {
    registry: Arc<Registry>,
    context: Arc<ShardContext>,
}

impl Tasks {
    async fn run_until(&self, mut stopped: watch::Receiver<bool>) {
        let work = async {
            let mut running = FuturesUnordered::new();
            let mut known = BTreeSet::new();
            let mut changes = self.registry.views_changes();
            loop {
                changes.mark_unchanged();
                for task in self.registry.view_tasks() {
                    if known.insert(task.clone()) {
                        running.push(self.run(task).boxed());
                    }
                }
                tokio::select! {
                    Some(ended) = running.next() => {
                        known.remove(&ended);
                    }
                    Ok(()) = changes.changed() => {}
                    else => return,
                }
            }
        };
        tokio::select! {
            biased;
            // An error means that the engine is gone: stop as well.
            _ = stopped.wait_for(|is_stopped| *is_stopped) => {}
            // May be broken off anywhere: runners that are held go on when nobody holds them.
            () = work => {}
        }
    }

    /// Does what is to be done about a view, until it is no longer what the registry says.
    async fn run(&self, task: ViewTask) -> ViewTask {
        loop {
            let due = tokio::select! {
                biased;
                () = self.is_over(&task) => return task,
                due = self.due(&task) => due,
            };
            // Never broken off in between: a change of the registry is whole.
            let done = match due {
                Ok(change) => self.change(&task, change).await,
                Err(error) => Err(error),
            };
            let pause = async {
                match &done {
                    // It waits for somebody to say what to do.
                    Ok(()) => std::future::pending().await,
                    Err(_) => sleep(RETRY_EVERY).await,
                }
            };
            if let Err(error) = &done {
                let (projection, error) = (&task.name, ErrorChain(error).to_string());
                warn!(%projection, error, "a view beside the one that serves is tried again");
            }
            tokio::select! {
                biased;
                () = self.is_over(&task) => return task,
                () = pause => {}
            }
        }
    }

    /// Waits until the registry no longer says so.
    async fn is_over(&self, task: &ViewTask) {
        let mut changes = self.registry.views_changes();
        while self.registry.view_tasks().contains(task) && changes.changed().await.is_ok() {}
    }

    /// Waits until the registry is to be changed, and says how.
    async fn due(&self, task: &ViewTask) -> Result<Change, InstallError> {
        match task.kind {
            ViewTaskKind::Candidate { cuts_over, .. } => self.compared(task, cuts_over).await,
            ViewTaskKind::Previous { until } => {
                let clock = &self.context.clock;
                while clock.now() < until {
                    let wait = Duration::from_millis(until.ms_since(clock.now()));
                    sleep(wait.min(CLOCK_EVERY)).await;
                }
                Ok(Change::DropPrevious)
            }
        }
    }

    async fn change(&self, task: &ViewTask, change: Change) -> Result<(), InstallError> {
        let catalog = &self.context.catalog;
        match change {
            Change::None => Ok(()),
            Change::CutOver(counts) => {
                self.registry.cut_over_candidate(catalog, task, counts).await
            }
            Change::DropPrevious => self.registry.drop_previous(catalog, task).await,
        }
    }

    async fn compared(&self, task: &ViewTask, cuts_over: CutsOver) -> Result<Change, InstallError> {
        let (pair, supervision) = self.caught_up(task).await;
        let comparing = Comparing::begin(&supervision);
        let compared = compare(&pair, &*self.context.clock).await;
        drop(comparing);
        let comparison = compared.map_err(InstallError::Compare)?;
        let counts = comparison.counts();
        info!(
            projection = %task.name,
            only_old_count = counts.only_old_count,
            only_new_count = counts.only_new_count,
            different_count = counts.different_count,
            is_exact = comparison.is_exact,
            "two views compared"
        );
        let is_met = cuts_over.is_met_by(&comparison);
        Ok(if is_met { Change::CutOver(counts) } else { Change::None })
    }

    /// Waits until a candidate runs on this host and is as far as what serves, and that as far as it.
    async fn caught_up(&self, task: &ViewTask) -> (Pair, Arc<Supervision>) {
        let mut rate = Rate::default();
        loop {
            if let Some((old, new, supervision)) = self.registry.running_pair(task) {
                rate.look(&new.progress.borrow(), &supervision);
                let mut progress = new.progress.clone();
                let is_there = |new: &Progress| has_caught_up(new, &old.progress.borrow());
                let reached =
                    async { progress.wait_for(is_there).await.map(|new| new.checkpoints.clone()) };
                let places = match timeout(LOOK_EVERY, reached).await {
                    Ok(Ok(places)) => places,
                    // It was stopped: the registry says what is next.
                    Ok(Err(_)) => {
                        sleep(LOOK_EVERY).await;
                        continue;
                    }
                    // It takes a while.
                    Err(_) => continue,
                };
                supervision.set_events_per_second(0);
                let mut progress = old.progress.clone();
                let is_there = |old: &Progress| {
                    old.phase != Phase::CatchingUp || is_as_far(&old.checkpoints, &places)
                };
                let is_reached = progress.wait_for(is_there).await.is_ok();
                if is_reached {
                    let hold_max = self.context.options.compare_hold_max;
                    return (Pair { old, new, hold_max }, supervision);
                }
            }
            sleep(LOOK_EVERY).await;
        }
    }
}

/// Whether a candidate that works here has read everything, or as much as what serves: while many
/// events come, neither is ever at the head for long.
fn has_caught_up(new: &Progress, old: &Progress) -> bool {
    match new.phase {
        Phase::CaughtUp => true,
        Phase::CatchingUp => {
            let is_failing = matches!(old.phase, Phase::Failing { .. });
            !is_failing && is_as_far(&new.checkpoints, &old.checkpoints)
        }
        Phase::Failing { .. } | Phase::StandingBy => false,
    }
}

fn is_as_far(here: &[Option<Position>], there: &[Option<Position>]) -> bool {
    here.iter().zip(there).all(|(here, there)| here >= there)
}

/// Compares, and keeps the report beside the rows.
async fn compare(pair: &Pair, clock: &dyn Clock) -> Result<report::Comparison, StateError> {
    let comparison = pair.compare(clock.now()).await?;
    report::keep(&*pair.new.state, &comparison).await?;
    Ok(comparison)
}

/// Shows that a comparison runs, for as long as it lives.
struct Comparing<'a>(&'a Supervision);

impl<'a> Comparing<'a> {
    fn begin(supervision: &'a Supervision) -> Self {
        supervision.is_comparing.store(true, Ordering::Relaxed);
        Self(supervision)
    }
}

impl Drop for Comparing<'_> {
    fn drop(&mut self) {
        self.0.is_comparing.store(false, Ordering::Relaxed);
    }
}

/// How many events a candidate handles in a second.
#[derive(Default)]
struct Rate {
    last: Option<(Instant, u64)>,
}

impl Rate {
    fn look(&mut self, progress: &Progress, supervision: &Supervision) {
        let (now, events_count) = (Instant::now(), progress.events_count);
        let Some((then, before)) = self.last else {
            self.last = Some((now, events_count));
            return;
        };
        let elapsed_ms = now.duration_since(then).as_millis();
        if elapsed_ms < LOOK_EVERY.as_millis() {
            return;
        }
        self.last = Some((now, events_count));
        let handled = u128::from(events_count.saturating_sub(before)).saturating_mul(1_000);
        let rate = handled.checked_div(elapsed_ms).unwrap_or_default();
        supervision.set_events_per_second(u64::try_from(rate).unwrap_or(u64::MAX));
    }
}
