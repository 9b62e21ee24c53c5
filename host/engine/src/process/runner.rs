//! The loop of one process manager: takes what is new in (outcomes of its commands, timers that are
//! due, events), lets the plugin react, commits state, commands, timers and checkpoint together, and
//! then sends what was committed.
//!
//! ```text
//!  outcomes ─┐                        ┌─► state, timers, checkpoint
//!  timers ───┼─► Manager::react ─► Draft ─► one commit ─► Sends ─► command pipeline
//!  events ───┘                                             │
//!     ▲                                                    │ outcome
//!     └────────────────────────────────────────────────────┘
//! ```
//! Nothing in this circle waits for room: commands that wait to be sent are rows, the runner goes on
//! while they are on the way, and with too many of them it takes no more events and fires no timers;
//! outcomes are always taken, so the number goes down.

mod asked;
mod events;
mod react;
mod watch;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use annals_core::place::Partition;
use annals_core::port::StateStore;
use annals_core::port::event_store::FeedFilter;
use annals_core::port::guest::GuestPlugin;
use annals_core::port::state_store::{StateCommit, StateCondition, StateError, StateWrite};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use tokio::sync::watch as channel;
use tokio::time::{Instant, sleep, sleep_until};
use tracing::{info, warn};

use super::draft::Draft;
use super::manager::Manager;
use super::sends::{Answered, Sends};
use super::{Fault, ProcessPorts, ProcessProgress, tables};
use crate::projection::checkpoint::{self, Checkpoint};
use crate::projection::feeds::Feeds;
use crate::projection::fence::{self, Fence};
use crate::projection::standby::Standby;
use crate::projection::{Phase, chain};
use events::Unfinished;
pub(super) use react::CAUSE_BYTES_MAX;
use watch::{Seen, StuckScan};

/// Most messages of one kind that are handled before a commit.
const MESSAGES_MAX: usize = 256;

/// How often the clock is looked at while a timer is waited for: it may be set forwards.
const CLOCK_CHECK_EVERY: Duration = Duration::from_secs(1);

/// How often instances are looked for that ended long ago, or are stuck.
const CLEAN_UP_EVERY: Duration = Duration::from_secs(10);

/// What a runner starts with.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) plugin: Arc<dyn GuestPlugin>,
    pub(super) state: Arc<dyn StateStore>,
    pub(super) saved: Vec<Option<Checkpoint>>,
    pub(super) ports: ProcessPorts,
    pub(super) report: channel::Sender<ProcessProgress>,
    pub(super) stopped: channel::Receiver<bool>,
    /// Changes when an operator asks for something.
    pub(super) asked: channel::Receiver<u64>,
}

/// The loop of one process manager.
pub(super) struct Runner {
    manager: Manager,
    filter: FeedFilter,
    state: Arc<dyn StateStore>,
    ports: ProcessPorts,
    report: channel::Sender<ProcessProgress>,
    stopped: channel::Receiver<bool>,
    asked: channel::Receiver<u64>,
    role: Role,
    standby: Standby,
    /// What was seen of the host that works.
    seen: Option<Seen>,
    feeds: Feeds,
    sends: Sends,
    /// Outcomes that are not handled.
    answered: Vec<Answered>,
    /// Whether the instances with commands were all noted; else the last one that was.
    unread_after: Option<Option<Arc<str>>>,
    /// Streams whose events cannot be correlated.
    parked_streams: HashSet<StreamId>,
    /// Per partition: an event that some of its instances have handled.
    unfinished: Vec<Option<Unfinished>>,
    /// How many events are correlated at once.
    correlated_max: usize,
    next_due: Option<Timestamp>,
    counts: Counts,
    /// When wishes of operators are looked for next.
    look_at: Instant,
    clean_up_at: Instant,
    committed_at: Instant,
    beats_count: u64,
    stuck: StuckScan,
}

/// Numbers of instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Counts {
    pub(super) running: i64,
    pub(super) parked: i64,
    pub(super) over: i64,
}

/// What this host does about the process manager.
#[derive(Clone, Copy)]
enum Role {
    /// Takes it next.
    Starting,
    /// Works on it. `is_sure`: nobody else does, and what is known is what is stored.
    Working { fence: Fence, is_sure: bool },
    /// Has it, and does not know whether what it wrote last is there.
    Unsure(Fence),
    /// Watches another host working on it.
    StandingBy,
}

/// What to do after a step.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    /// The next step.
    Step,
    /// Wait for news.
    Wait,
}

impl Runner {
    /// Runs until asked to stop.
    pub(super) async fn run(parts: Parts) {
        let Parts { plugin, state, saved, ports, report, stopped, asked } = parts;
        let shared = &ports.shared;
        let options = &shared.options;
        let upcasts = Arc::clone(&shared.upcasts);
        let manager = Manager::new(plugin, upcasts, Arc::clone(&ports.namespace));
        let retry_wait = options.projection_retry_wait;
        let sends = Sends::new(
            Arc::clone(&ports.commands),
            Arc::clone(&shared.clock),
            options.processes,
            manager.description.name.as_str(),
        );
        let now = Instant::now();
        let runner = Self {
            filter: manager.sight.filter(),
            manager,
            role: Role::Starting,
            standby: Standby::default(),
            seen: None,
            unfinished: saved.iter().map(|_| None).collect(),
            feeds: Feeds::new(Arc::clone(&shared.store), &*shared.bus, saved, retry_wait),
            sends,
            answered: Vec::new(),
            unread_after: None,
            parked_streams: HashSet::new(),
            correlated_max: MESSAGES_MAX,
            next_due: None,
            counts: Counts::default(),
            look_at: now,
            clean_up_at: now,
            committed_at: now,
            beats_count: 0,
            stuck: StuckScan::default(),
            state,
            report,
            stopped,
            asked,
            ports,
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
                Ok(Next::Wait) => {
                    attempts = 0;
                    None
                }
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
        if let Some(filter) = self.manager.sight.look_at_upcasters() {
            self.filter = filter;
        }
        match self.role {
            Role::Starting => self.take().await,
            Role::Working { fence, is_sure: false } => self.find_place(fence).await,
            Role::Working { fence, is_sure: true } => self.work(fence).await,
            Role::Unsure(fence) => self.renew(fence).await,
            Role::StandingBy => self.stand_by().await,
        }
    }

    /// Notes a failure and says how long to wait.
    fn failed(&mut self, fault: &Fault, attempts: u32) -> Duration {
        let (process, cause) = (&self.manager.description.name, chain(fault));
        let is_unsure = !matches!(self.role, Role::Working { is_sure: true, .. });
        self.role = match self.role {
            // What was written may be there, or come to be there late.
            Role::Working { fence, is_sure: true } if fault.is_of_state() => Role::Unsure(fence),
            // Meanwhile another host may have taken over.
            Role::Working { fence, .. } => Role::Working { fence, is_sure: false },
            // Nobody knows whose it is.
            Role::Unsure(_) => Role::Starting,
            role => role,
        };
        if attempts == 1 && !is_unsure && fault.is_of_state() {
            info!(%process, error = %cause, "looking where the process manager is");
            return Duration::ZERO;
        }
        warn!(%process, error = %cause, attempts, "process manager failed");
        let is_of_events = fault.is_of_events();
        self.set_phase(Phase::Failing { cause, attempts, is_of_events });
        let options = &self.ports.shared.options;
        let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        options
            .projection_retry_wait
            .saturating_mul(doubled.max(1))
            .min(options.projection_retry_wait_max)
    }

    /// Waits for a time, or for what makes a step worth while.
    async fn wait(&mut self, wait: Option<Duration>) {
        if let Some(wait) = wait {
            tokio::select! {
                biased;
                // What stops it may be what an operator has just done something about.
                Ok(()) = self.asked.changed() => self.look_at = Instant::now(),
                () = sleep(wait) => {}
            }
            return;
        }
        if matches!(self.role, Role::StandingBy) {
            let every = self.ports.shared.options.standby_check_every;
            return sleep_until(self.standby.due(every)).await;
        }
        let now = Instant::now();
        let until_due = self.until_next_timer().map(|wait| now + wait.min(CLOCK_CHECK_EVERY));
        let beat_at = (self.sends.instances_count() > 0).then(|| self.beat_at());
        let reads = self.sends.has_room();
        let until_due = until_due.filter(|_| reads);
        let looks = [Some(self.look_at), Some(self.clean_up_at)];
        let wakes = [self.sends.next_wake(), until_due, beat_at].into_iter().chain(looks);
        let wake_at = wakes.flatten().min().unwrap_or(now + CLOCK_CHECK_EVERY);
        tokio::select! {
            biased;
            Ok(()) = self.asked.changed() => self.look_at = Instant::now(),
            answer = self.sends.next_answer() => self.answered.extend(answer),
            () = self.feeds.changed(), if reads => {}
            () = sleep_until(wake_at) => {}
        }
    }

    /// How long until the next timer is due.
    fn until_next_timer(&self) -> Option<Duration> {
        let now = self.ports.shared.clock.now();
        self.next_due.map(|due| Duration::from_millis(due.ms_since(now)))
    }

    /// Makes this host the one that works.
    async fn take(&mut self) -> Result<Next, Fault> {
        let process = &self.manager.description.name;
        match fence::take(&*self.state).await? {
            Some(fence) => {
                info!(%process, epoch = fence.epoch, "process manager works here");
                self.role = Role::Working { fence, is_sure: false };
            }
            None => self.begin_to_stand_by(),
        }
        Ok(Next::Step)
    }

    /// Makes sure that what this host wrote before is there now, or never will be.
    async fn renew(&mut self, fence: Fence) -> Result<Next, Fault> {
        match fence::renew(&*self.state, fence).await? {
            Some(fence) => self.role = Role::Working { fence, is_sure: false },
            None => self.begin_to_stand_by(),
        }
        Ok(Next::Step)
    }

    fn begin_to_stand_by(&mut self) {
        self.role = Role::StandingBy;
        self.standby = Standby::default();
        self.seen = None;
        self.sends.clear();
        self.answered.clear();
    }

    /// Lets another host take over, before this one ends.
    async fn give_back(&self) {
        let (Role::Working { fence, .. } | Role::Unsure(fence)) = self.role else { return };
        if let Err(error) = fence::give_back(&*self.state, fence).await {
            let (process, error) = (&self.manager.description.name, chain(&error));
            warn!(%process, error, "another host takes over only after a while");
        }
    }

    /// Reads everything that is stored again, if the process manager is still this host's.
    async fn find_place(&mut self, fence: Fence) -> Result<Next, Fault> {
        let shared = &self.ports.shared;
        let (state, name) = (&*self.state, self.manager.description.name.clone());
        let saved = checkpoint::load(state, &*shared.store, &name).await?;
        let partitions = (0..shared.store.capabilities().partitions_count).map(Partition);
        self.unfinished = Unfinished::load(state, partitions).await?;
        self.parked_streams = asked::parked_streams(state).await?;
        self.counts = Counts::load(state).await?;
        self.next_due = tables::next_due(state).await?;
        // Read last: while the fence is ours, nobody else has moved anything.
        if fence::read(state).await? != Some(fence) {
            info!(process = %name, epoch = fence.epoch, "another host took the process manager over");
            self.begin_to_stand_by();
            return Ok(Next::Step);
        }
        self.role = Role::Working { fence, is_sure: true };
        self.sends.clear();
        self.answered.clear();
        self.unread_after = Some(None);
        self.look_at = Instant::now();
        self.feeds.let_go();
        self.feeds.follow(saved);
        Ok(Next::Step)
    }

    /// Handles what is there, commits it, and sends what it led to.
    async fn work(&mut self, fence: Fence) -> Result<Next, Fault> {
        self.note_unread().await?;
        self.answered.extend(self.sends.answers());
        let mut draft = Draft::default();
        let mut next = self.do_wishes(&mut draft, fence).await?;
        if self.take_answers(&mut draft, fence).await? {
            next = Next::Step;
        }
        if self.sends.has_room() && self.fire_timers(&mut draft, fence).await? {
            next = Next::Step;
        }
        let has_read = self.sends.has_room() && self.read_events(&mut draft, fence).await?;
        self.commit(&mut draft, fence).await?;
        if self.clean_up_at <= Instant::now() {
            self.clean_up(fence).await?;
        }
        self.beat(fence).await?;
        self.send().await?;
        let is_caught_up = self.feeds.turn().is_none();
        self.set_phase(if is_caught_up { Phase::CaughtUp } else { Phase::CatchingUp });
        Ok(if has_read { Next::Step } else { next })
    }

    /// Commits a draft and empties it, and notes what it says is to be sent.
    async fn commit(&mut self, draft: &mut Draft, fence: Fence) -> Result<(), Fault> {
        if draft.is_empty() {
            return Ok(());
        }
        let (writes, changed) = draft.writes();
        self.write(writes, draft.conditions(), fence).await?;
        self.counts.running += changed.running;
        self.counts.parked += changed.parked;
        self.counts.over += changed.over;
        for instance in draft.answered() {
            self.sends.forget(instance);
        }
        for (instance, next) in draft.next_commands() {
            self.sends.note(instance, next);
        }
        *draft = Draft::default();
        self.next_due = tables::next_due(&*self.state).await?;
        Ok(())
    }

    /// Writes rows, if the process manager is still this host's.
    async fn write(
        &mut self,
        writes: Vec<StateWrite>,
        conditions: &[StateCondition],
        fence: Fence,
    ) -> Result<(), StateError> {
        let mut conditions = conditions.to_vec();
        conditions.push(fence.still_there());
        self.state.commit(StateCommit { conditions, writes }).await?;
        self.committed_at = Instant::now();
        Ok(())
    }

    /// Sends what is ready to be sent.
    async fn send(&mut self) -> Result<(), Fault> {
        let unread = self.sends.unread();
        if !unread.is_empty() {
            let found = tables::get_many(&*self.state, &unread).await?;
            for (id, found) in unread.iter().zip(found) {
                let next = found.as_ref().and_then(|(instance, _)| instance.next_command());
                self.sends.has_read(id, next);
            }
        }
        self.sends.send();
        Ok(())
    }

    /// Notes the instances with commands that were there before this runner, as far as there is room.
    async fn note_unread(&mut self) -> Result<(), Fault> {
        while let Some(after) = &self.unread_after
            && self.sends.has_room()
        {
            let after = after.as_ref().map(|id| id.as_bytes());
            let names = tables::names(&*self.state, tables::WORKING, after, MESSAGES_MAX).await?;
            self.unread_after = names.last().map(|last| Some(Arc::clone(last)));
            for instance in &names {
                self.sends.note_unread(instance);
            }
        }
        Ok(())
    }

    fn set_phase(&self, phase: Phase) {
        let saved = self.feeds.places().filter_map(|place| place.saved.as_ref());
        let progress = ProcessProgress {
            checkpoints: self.feeds.places().map(|place| place.read_up_to).collect(),
            events_count: saved.map(|saved| saved.events_count).sum(),
            running_count: count(self.counts.running),
            parked_count: count(self.counts.parked),
            parked_streams_count: self.parked_streams.len(),
            sending_count: self.sends.instances_count(),
            stuck_count: self.stuck.count(),
            phase,
        };
        self.report.send_if_modified(|current| {
            let is_new = *current != progress;
            *current = progress;
            is_new
        });
    }
}

impl Counts {
    pub(super) async fn load(state: &dyn StateStore) -> Result<Self, StateError> {
        let keys = ["running", "parked", "over"].map(|name| tables::row(tables::FIGURES, name));
        let rows = state.get_many(&keys).await?;
        let number = |value: Option<&Option<Bytes>>| {
            let text = value.and_then(Option::as_ref).and_then(|it| std::str::from_utf8(it).ok());
            text.and_then(|text| text.parse().ok()).unwrap_or_default()
        };
        let [running, parked, over] = [rows.first(), rows.get(1), rows.get(2)].map(number);
        Ok(Self { running, parked, over })
    }
}

/// A counter that cannot be below 0 but for a fault.
pub(super) fn count(counter: i64) -> u64 {
    u64::try_from(counter).unwrap_or_default()
}
