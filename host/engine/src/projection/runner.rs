//! The loop of one projection: read, project, commit, wait; partition by partition in turn.
//!
//! Whatever goes wrong, nothing is skipped: the batch is tried again with a growing wait, and other
//! projections go on; an event that the plugin cannot handle is found by smaller batches and parked
//! with its stream, see `runner/deliver.rs` and `runner/unpark.rs`. Writes and checkpoint are one commit, conditional on the old checkpoint and on
//! the fence, so each event is in the view exactly once, whatever crashes and however many hosts
//! run the projection.
//!
//! ```text
//!                 ┌───────────────────────── nothing moves, or was given back ──┐
//!                 ▼                                                             │
//!   start ──► Starting ──take──► Working ──a condition failed, not ours──► StandingBy
//!                 └──────────────another host was faster──────────────────────►─┘
//! ```

mod deliver;
mod unpark;

use std::sync::Arc;
use std::time::Duration;

use annals_core::limits::READ_EVENTS_MAX;
use annals_core::port::StateStore;
use annals_core::port::event_store::FeedFilter;
use annals_core::port::guest::{GuestFailure, GuestPlugin};
use annals_core::port::state_store::StateError;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::attempts::Attempts;
use super::checkpoint::{self, Checkpoint};
use super::feeds::Feeds;
use super::fence::{self, Fence};
use super::hold::{Hold, Turn};
use super::parked::Parked;
use super::projector::{Bundles, Fault, Projector};
use super::size::BatchSize;
use super::standby::{Standby, WAITED_CHECK_EVERY};
use super::{Phase, Progress, ProjectionPorts, chain};

/// What a runner is made of.
pub(super) struct Parts {
    pub(super) plugin: Arc<dyn GuestPlugin>,
    pub(super) state: Arc<dyn StateStore>,
    pub(super) saved: Vec<Option<Checkpoint>>,
    pub(super) ports: ProjectionPorts,
    pub(super) report: watch::Sender<Progress>,
    pub(super) stopped: watch::Receiver<bool>,
    /// How many wait for the view to reach a position.
    pub(super) waiting: watch::Receiver<usize>,
    /// Changes when an operator asks for something about parked events.
    pub(super) asked: watch::Receiver<u64>,
    pub(super) hold: Hold,
}

/// The loop of one projection.
pub(crate) struct Runner {
    projector: Projector,
    filter: FeedFilter,
    state: Arc<dyn StateStore>,
    ports: ProjectionPorts,
    report: watch::Sender<Progress>,
    stopped: watch::Receiver<bool>,
    waiting: watch::Receiver<usize>,
    hold: Hold,
    role: Role,
    /// What was seen since this host stands by.
    standby: Standby,
    feeds: Feeds,
    size: BatchSize,
    /// How many events the last batch had.
    taken: usize,
    /// Whether it waited for the next batch to have more events.
    has_gathered: bool,
    /// How often events were delivered; `None`: not known since the view was taken.
    attempts: Option<Attempts>,
    parked: Parked,
    asked: watch::Receiver<u64>,
    /// When the wishes of operators were read last.
    asked_at: Instant,
    /// The size of batches of events that were parked.
    unpark_size: BatchSize,
}

/// What this host does about the view.
#[derive(Clone, Copy)]
enum Role {
    /// Takes it next.
    Starting,
    /// Works on it. `is_sure`: nobody else does, and the places read are those stored.
    Working { fence: Fence, is_sure: bool },
    /// Watches another host working on it.
    StandingBy,
}

/// What became of a delivery.
enum Delivered {
    /// So many of the events are in the view.
    Events(usize),
    /// The first one is parked.
    Parked,
}

/// What to do after a step.
enum Next {
    /// The next step.
    Step,
    /// The next step, although nothing was handled.
    Again,
    /// Wait for news.
    Wait,
    /// Wait a little for more events, so that a batch has more of them.
    Gather,
}

impl Runner {
    /// Runs until asked to stop.
    pub(super) async fn run(parts: Parts) {
        let options = &parts.ports.options;
        let bundles = options
            .failure_sink
            .as_ref()
            .map(|sink| Bundles { sink: Arc::clone(sink), clock: Arc::clone(&parts.ports.clock) });
        let upcasts = Arc::clone(&parts.ports.upcasts);
        let projector = Projector::new(parts.plugin, Arc::clone(&parts.state), upcasts, bundles);
        let retry_wait = options.projection_retry_wait;
        let store = Arc::clone(&parts.ports.store);
        let rows_max = parts.ports.states.capabilities().commit_rows_max;
        let runner = Self {
            filter: projector.filter(),
            projector,
            role: Role::Starting,
            standby: Standby::default(),
            feeds: Feeds::new(store, &*parts.ports.bus, parts.saved, retry_wait),
            size: BatchSize::new(options.batch_events_max, rows_max),
            unpark_size: BatchSize::new(options.batch_events_max, rows_max),
            taken: 0,
            has_gathered: false,
            attempts: None,
            parked: Parked::default(),
            asked: parts.asked,
            asked_at: Instant::now(),
            state: parts.state,
            report: parts.report,
            stopped: parts.stopped,
            waiting: parts.waiting,
            hold: parts.hold,
            ports: parts.ports,
        };
        runner.run_until_stopped().await;
    }

    async fn run_until_stopped(mut self) {
        let mut stopped = self.stopped.clone();
        let mut attempts: u32 = 0;
        while !*stopped.borrow() {
            let wait = match self.step().await {
                Ok(Next::Step) => {
                    attempts = 0;
                    continue;
                }
                Ok(Next::Again) => continue,
                Ok(Next::Wait) => {
                    attempts = 0;
                    None
                }
                Ok(Next::Gather) => Some(self.ports.options.batch_wait),
                Err(fault) => {
                    attempts = attempts.saturating_add(1);
                    Some(self.failed(&fault, attempts))
                }
            };
            tokio::select! {
                biased;
                () = self.wait(wait) => {}
                // An error means that the engine is gone: stop as well.
                changed = stopped.changed() => if changed.is_err() { return },
            }
        }
        self.give_back().await;
    }

    async fn step(&mut self) -> Result<Next, Fault> {
        if let Some(filter) = self.projector.look_at_upcasters() {
            self.filter = filter;
        }
        match self.role {
            Role::Starting => self.take().await,
            Role::Working { fence, is_sure: false } => self.find_place(fence).await,
            Role::Working { fence, is_sure: true } => self.work(fence).await,
            Role::StandingBy => self.stand_by().await,
        }
    }

    /// Notes a failure and says how long to wait.
    fn failed(&mut self, fault: &Fault, attempts: u32) -> Duration {
        let cause = chain(fault);
        let projection = &self.projector.description.name;
        // Not a failure yet: fewer events at once may fit a limit, and the events before a refused
        // one are committed in a batch of their own.
        let is_smaller = match fault {
            Fault::Guest(GuestFailure::View { .. }) => false,
            Fault::Guest(_)
            | Fault::State(
                StateError::TooLarge { .. }
                | StateError::NotACounter { .. }
                | StateError::CounterOverflow { .. },
            ) => self.size.halve(self.taken),
            fault => fault.event().is_some_and(|index| self.size.end_before(index)),
        };
        if is_smaller {
            let events = self.size.events();
            info!(%projection, events, error = %cause, "batch made smaller");
            return Duration::ZERO;
        }
        let is_unsure = matches!(self.role, Role::Working { is_sure: false, .. });
        if is_unsure && attempts == 1 {
            info!(%projection, error = %cause, "looking where the view is");
            return Duration::ZERO;
        }
        warn!(%projection, error = %cause, attempts, "projection failed");
        let is_of_events = fault.is_of_events();
        self.set_phase(Phase::Failing { cause, attempts, is_of_events });
        if let Role::Working { fence, .. } = self.role {
            // Meanwhile another host may take over, and get further.
            self.role = Role::Working { fence, is_sure: false };
        }
        let options = &self.ports.options;
        let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        options
            .projection_retry_wait
            .saturating_mul(doubled.max(1))
            .min(options.projection_retry_wait_max)
    }

    /// Waits for a time, or for what makes a step worth while.
    async fn wait(&mut self, wait: Option<Duration>) {
        if let Some(wait) = wait {
            return sleep(wait).await;
        }
        if self.hold.is_held() {
            return self.hold.changed().await;
        }
        if !matches!(self.role, Role::StandingBy) {
            let look_again = self.asked_at + self.ports.options.standby_check_every;
            let may_be_asked = self.parked.count() > 0;
            tokio::select! {
                biased;
                () = self.hold.changed() => {}
                () = self.feeds.changed() => {}
                Ok(()) = self.asked.changed() => self.asked.mark_changed(),
                // Another host may have been asked.
                () = sleep_until(look_again), if may_be_asked => {}
            }
            return;
        }
        self.waiting.mark_unchanged();
        let due = self.standby.due(self.check_every());
        tokio::select! {
            biased;
            () = self.feeds.changed() => {}
            // It is due earlier from now on.
            Ok(()) = self.waiting.changed() => {}
            () = sleep_until(due) => {}
        }
    }

    /// How often to look at the checkpoints of another host.
    fn check_every(&self) -> Duration {
        let every = self.ports.options.standby_check_every;
        let is_waited_for = *self.waiting.borrow() > 0;
        if is_waited_for { every.min(WAITED_CHECK_EVERY) } else { every }
    }

    /// Makes this host the one that works.
    async fn take(&mut self) -> Result<Next, Fault> {
        let projection = &self.projector.description.name;
        match fence::take(&*self.state).await? {
            Some(fence) => {
                info!(%projection, epoch = fence.epoch, "projection works here");
                self.role = Role::Working { fence, is_sure: false };
                self.attempts = None;
            }
            None => self.begin_to_stand_by(),
        }
        Ok(Next::Again)
    }

    /// Lets another host take over, before this one ends.
    async fn give_back(&self) {
        let Role::Working { fence, .. } = self.role else { return };
        if let Err(error) = fence::give_back(&*self.state, fence).await {
            let (projection, error) = (&self.projector.description.name, chain(&error));
            warn!(%projection, error, "another host takes the view over only after a while");
        }
    }

    /// Goes on where the view is, if it is still this host's.
    async fn find_place(&mut self, fence: Fence) -> Result<Next, Fault> {
        self.projector.forget();
        let name = &self.projector.description.name.clone();
        let saved = checkpoint::load(&*self.state, &*self.ports.store, name).await?;
        let partitions_count = self.ports.store.capabilities().partitions_count;
        if self.attempts.is_none() {
            self.attempts = Some(Attempts::load(&*self.state, partitions_count).await?);
        }
        self.look_for_wishes().await?;
        // Read last: while the fence is ours, nobody else has moved a checkpoint.
        if fence::read(&*self.state).await? == Some(fence) {
            self.role = Role::Working { fence, is_sure: true };
            self.feeds.let_go();
            let has_moved = self.feeds.follow(saved);
            if has_moved {
                // What looked like a failure was none.
                return Ok(Next::Step);
            }
        } else {
            info!(projection = %name, epoch = fence.epoch, "another host took the view over");
            self.begin_to_stand_by();
        }
        Ok(Next::Again)
    }

    fn begin_to_stand_by(&mut self) {
        self.role = Role::StandingBy;
        self.standby = Standby::default();
    }

    /// Looks how far the host that works is, and takes the view over when it does not get on.
    async fn stand_by(&mut self) -> Result<Next, Fault> {
        let watched = self.watch().await;
        if watched.is_err() {
            self.standby.gets_on();
        }
        if watched? {
            self.role = Role::Starting;
            return Ok(Next::Again);
        }
        self.set_phase(Phase::StandingBy);
        Ok(Next::Wait)
    }

    /// Whether the view is free, or whoever has it does not get on.
    async fn watch(&mut self) -> Result<bool, Fault> {
        if self.standby.due(self.check_every()) <= Instant::now() {
            let name = &self.projector.description.name;
            let saved = checkpoint::read(&*self.state, &*self.ports.store, name).await?;
            let fence = fence::read(&*self.state).await?;
            if fence.is_none_or(|fence| !fence.is_held) {
                return Ok(true);
            }
            self.standby.has_looked(fence);
            if self.feeds.follow(saved) {
                self.standby.gets_on();
            }
        }
        // Events without interest are nothing to wait for.
        while let Some(index) = self.feeds.turn() {
            let page = self.feeds.read(index, &self.filter, 1).await?;
            if page.events.is_empty() {
                self.feeds.has_read(index, &page);
            } else {
                self.feeds.hold_back(index);
            }
            self.feeds.end_turn();
        }
        if !self.feeds.is_held_back() {
            self.standby.gets_on();
            return Ok(false);
        }
        Ok(self.standby.is_behind() >= self.ports.options.standby_takeover_after)
    }

    /// Handles one page of the partition whose turn it is.
    async fn work(&mut self, fence: Fence) -> Result<Next, Fault> {
        let turn = self.hold.turn(&self.feeds);
        // Nothing moves in a view that is held.
        if matches!(turn, Turn::Free) && self.unpark(fence).await? {
            return Ok(Next::Step);
        }
        let index = match turn {
            Turn::Free => self.feeds.turn(),
            Turn::Of(index) => Some(index),
            Turn::Held => return Ok(Next::Wait),
        };
        let Some(index) = index else {
            self.set_phase(Phase::CaughtUp);
            return Ok(Next::Wait);
        };
        let limit = self.size.events().min(READ_EVENTS_MAX);
        let mut page = self.feeds.read(index, &self.filter, limit).await?;
        self.hold.cut(index, &mut page);
        let wanted = self.parked.without(&page.events);
        let is_small = page.is_at_head && wanted.len() < limit && !wanted.is_empty();
        let gathers = is_small && !self.ports.options.batch_wait.is_zero();
        if gathers && matches!(turn, Turn::Free) && !std::mem::replace(&mut self.has_gathered, true)
        {
            return Ok(Next::Gather);
        }
        self.has_gathered = false;
        let mut events = &*wanted;
        while !events.is_empty() && !*self.stopped.borrow() {
            match self.deliver(index, events, fence).await? {
                Delivered::Events(taken) => events = events.get(taken..).unwrap_or_default(),
                // Its stream may have more events here, which wait from now on.
                Delivered::Parked => return Ok(Next::Step),
            }
        }
        if events.is_empty() {
            let last_waits =
                wanted.last().map(|it| it.position) != page.events.last().map(|it| it.position);
            if last_waits {
                self.pass(index, &page, fence).await?;
            }
            self.feeds.has_read(index, &page);
            self.feeds.end_turn();
        }
        let is_caught_up = self.feeds.turn().is_none();
        self.set_phase(if is_caught_up { Phase::CaughtUp } else { Phase::CatchingUp });
        Ok(Next::Step)
    }

    fn set_phase(&self, phase: Phase) {
        let places = self.feeds.places();
        let saved = self.feeds.places().filter_map(|place| place.saved.as_ref());
        let progress = Progress {
            checkpoints: places.map(|place| place.read_up_to).collect(),
            events_count: saved.map(|saved| saved.events_count).sum(),
            parked_count: self.parked.count(),
            phase,
        };
        self.report.send_if_modified(|current| {
            let is_new = *current != progress;
            *current = progress;
            is_new
        });
    }
}
