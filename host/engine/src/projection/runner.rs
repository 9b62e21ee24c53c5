//! The loop of one projection: read, project, commit, wait.
//!
//! Whatever goes wrong, nothing is skipped: the batch is tried again with a growing wait, and other
//! projections go on. Writes and checkpoint are one commit, conditional on the old checkpoint, so
//! each event is in the view exactly once, and of two runners of one view one stops.

use std::sync::Arc;
use std::time::Duration;

use annals_core::error::ErrorChain;
use annals_core::event::RecordedEvent;
use annals_core::invariants;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::{Partition, Position};
use annals_core::plugin::{Description, ProjectFailure};
use annals_core::port::StateStore;
use annals_core::port::event_store::FeedFilter;
use annals_core::port::guest::{GuestFailure, GuestPlugin, ProjectionGuest, ViewReader};
use annals_core::port::state_store::{StateCommit, StateError};
use futures_util::StreamExt as _;
use tokio::sync::watch;
use tokio::time::sleep;
use tracing::{error, info, warn};

use super::checkpoint::Checkpoint;
use super::writes::Tables;
use super::{Phase, Progress, ProjectionPorts, batch, chain, writes};
use crate::catalog::EventIndexes;
use crate::view::StateViewReader;

/// What a runner is made of.
pub(super) struct Parts {
    pub(super) plugin: Arc<dyn GuestPlugin>,
    pub(super) state: Arc<dyn StateStore>,
    pub(super) saved: Option<Checkpoint>,
    pub(super) ports: ProjectionPorts,
    pub(super) report: watch::Sender<Progress>,
    pub(super) stopped: watch::Receiver<bool>,
}

/// The loop of one projection.
pub(crate) struct Runner {
    plugin: Arc<dyn GuestPlugin>,
    description: Arc<Description>,
    guest: Option<Box<dyn ProjectionGuest>>,
    view: Arc<dyn ViewReader>,
    tables: Tables,
    indexes: EventIndexes,
    filter: FeedFilter,
    state: Arc<dyn StateStore>,
    ports: ProjectionPorts,
    report: watch::Sender<Progress>,
    stopped: watch::Receiver<bool>,
    /// The checkpoint as it is stored.
    saved: Option<Checkpoint>,
    /// How far the feed is read; ahead of `saved` while nothing of interest came.
    read_up_to: Option<Position>,
    /// Shrinks when a batch reaches a limit, grows back when one succeeds.
    batch_events: usize,
}

/// Why a batch was not handled.
#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("the feed cannot be read")]
    Read(#[from] annals_core::port::event_store::ReadError),
    #[error(transparent)]
    Guest(#[from] GuestFailure),
    #[error(transparent)]
    Batch(#[from] batch::BatchError),
    #[error("event at position {position} was refused: {cause}")]
    Refused { index: usize, position: u64, cause: String },
    #[error("the view cannot be written")]
    State(#[from] StateError),
}

impl Runner {
    /// Runs until asked to stop, or until another runner took the view over.
    pub(super) async fn run(parts: Parts) {
        let description = Arc::clone(parts.plugin.description());
        let tables = Tables::new(&description.tables);
        let indexes = EventIndexes::new(&description);
        let filter = FeedFilter {
            event_types: Some(indexes.event_types().cloned().collect()),
            ..FeedFilter::default()
        };
        let runner = Self {
            view: Arc::new(StateViewReader::new(Arc::clone(&parts.state), tables.clone())),
            guest: None,
            plugin: parts.plugin,
            description,
            tables,
            indexes,
            filter,
            state: parts.state,
            report: parts.report,
            stopped: parts.stopped,
            read_up_to: parts.saved.as_ref().and_then(|saved| saved.position),
            saved: parts.saved,
            batch_events: parts.ports.options.batch_events_max,
            ports: parts.ports,
        };
        runner.run_until_stopped().await;
    }

    async fn run_until_stopped(mut self) {
        let mut stopped = self.stopped.clone();
        let mut attempts: u32 = 0;
        while !*stopped.borrow() {
            let step = self.step().await;
            let wait = match step {
                Ok(is_at_head) => {
                    attempts = 0;
                    if !is_at_head {
                        continue;
                    }
                    None
                }
                Err(Fault::State(StateError::ConditionFailed { .. })) => {
                    let cause = "another runner took the view over".to_owned();
                    error!(projection = %self.description.name, cause, "projection stopped");
                    self.set_phase(Phase::Stopped { cause });
                    return;
                }
                Err(fault) => {
                    attempts = attempts.saturating_add(1);
                    Some(self.failed(&fault, attempts))
                }
            };
            tokio::select! {
                () = self.wait(wait) => {}
                // An error means that the engine is gone: stop as well.
                changed = stopped.changed() => if changed.is_err() { return },
            }
        }
    }

    /// Notes a failure and says how long to wait.
    fn failed(&mut self, fault: &Fault, attempts: u32) -> Duration {
        let cause = chain(fault);
        let options = &self.ports.options;
        // Not a failure yet: fewer events at once may fit a limit, and the events before a refused
        // one are committed in a batch of their own.
        let smaller = match fault {
            Fault::Guest(GuestFailure::Limit { .. }) => self.batch_events / 2,
            Fault::Refused { index, .. } => *index,
            _ => 0,
        };
        if smaller > 0 && smaller < self.batch_events {
            self.batch_events = smaller;
            info!(projection = %self.description.name, events = smaller, "batch made smaller");
            return Duration::ZERO;
        }
        warn!(projection = %self.description.name, error = %cause, attempts, "projection failed");
        self.set_phase(Phase::Failing { cause, attempts });
        let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        options
            .projection_retry_wait
            .saturating_mul(doubled.max(1))
            .min(options.projection_retry_wait_max)
    }

    /// Waits for a time, or for news.
    async fn wait(&self, wait: Option<Duration>) {
        if let Some(wait) = wait {
            return sleep(wait).await;
        }
        let mut wakes = self.ports.bus.wakes();
        let woken = async {
            while let Some(wake) = wakes.next().await {
                if wake.partition == Partition::ZERO && Some(wake.head) > self.read_up_to {
                    return;
                }
            }
            std::future::pending::<()>().await;
        };
        tokio::select! {
            news = self.ports.store.wait_for_news(Partition::ZERO, self.read_up_to) => {
                if let Err(error) = news {
                    warn!(error = %ErrorChain(&error), "waiting for news failed");
                    sleep(self.ports.options.projection_retry_wait).await;
                }
            }
            () = woken => {}
        }
    }

    /// Handles one page of the feed; returns whether it ended at the head.
    async fn step(&mut self) -> Result<bool, Fault> {
        let limit = self.ports.options.batch_events_max.min(READ_EVENTS_MAX);
        let after = self.read_up_to;
        let store = Arc::clone(&self.ports.store);
        let page = store.read_feed(Partition::ZERO, after, &self.filter, limit).await?;
        debug_assert!(invariants::positions_increase(after, &page.events), "the feed went back");
        let mut events = page.events.as_slice();
        while !events.is_empty() && !*self.stopped.borrow() {
            let taken = self.project(events).await?;
            events = events.get(taken..).unwrap_or_default();
        }
        if events.is_empty() {
            // What the filter held back is handled too. The stored checkpoint follows with the next
            // write; reading a stretch without interest again after a restart costs only time.
            self.read_up_to = page.read_up_to.or(self.read_up_to);
            let phase = if page.is_at_head { Phase::CaughtUp } else { Phase::CatchingUp };
            self.set_phase(phase);
        }
        Ok(page.is_at_head && events.is_empty())
    }

    /// Projects the first events of a page and commits; returns how many it took.
    async fn project(&mut self, events: &[RecordedEvent]) -> Result<usize, Fault> {
        let bytes_max = self.ports.options.batch_bytes_max;
        let writes_max = self.ports.options.batch_writes_max;
        let events_max = self.ports.options.batch_events_max;
        let filled = batch::fill(events, &self.indexes, self.batch_events, bytes_max)?;
        let guest_writes = self.call_guest(&filled.batch, events)?;
        let name = self.description.name.as_str();
        let mut writes = writes::check(name, &self.tables, guest_writes, writes_max)?;
        let position = events.get(..filled.taken).and_then(|taken| taken.last());
        let checkpoint = Checkpoint {
            store_id: self.ports.store.store_id(),
            position: position.map(|event| event.position).or(self.read_up_to),
            events_count: self.saved.as_ref().map_or(0, |saved| saved.events_count)
                + u64::try_from(filled.taken).unwrap_or_default(),
        };
        debug_assert!(
            invariants::checkpoint_passes_only_handled(checkpoint.position, events, filled.taken),
            "the checkpoint passes an event that was not handled"
        );
        writes.push(checkpoint.write());
        let conditions = vec![Checkpoint::unchanged_since(self.saved.as_ref())];
        self.state.commit(StateCommit { conditions, writes }).await?;
        self.read_up_to = checkpoint.position;
        self.saved = Some(checkpoint);
        self.batch_events = self.batch_events.saturating_mul(2).min(events_max);
        self.set_phase(Phase::CatchingUp);
        Ok(filled.taken)
    }

    fn call_guest(
        &mut self,
        batch: &annals_core::columns::EventBatch,
        events: &[RecordedEvent],
    ) -> Result<Vec<annals_core::plugin::GuestWrite>, Fault> {
        let mut guest = match self.guest.take() {
            Some(guest) => guest,
            None => self.plugin.projection()?,
        };
        // After a failure the guest is not put back: the next call gets a fresh one.
        let said = guest.project(batch, Arc::clone(&self.view))?;
        self.guest = Some(guest);
        said.map_err(|failure| {
            let (ProjectFailure::Retry(index, cause) | ProjectFailure::Park(index, cause)) =
                failure;
            // The index comes from a guest; one out of range counts as the first event.
            let index = usize::try_from(index).unwrap_or_default();
            let index = if index < batch.events_count() { index } else { 0 };
            let position = events.get(index).map_or(0, |event| event.position.get());
            Fault::Refused { index, position, cause }
        })
    }

    fn set_phase(&self, phase: Phase) {
        let progress = Progress {
            checkpoint: self.read_up_to,
            events_count: self.saved.as_ref().map_or(0, |saved| saved.events_count),
            phase,
        };
        self.report.send_if_modified(|current| {
            let is_new = *current != progress;
            *current = progress;
            is_new
        });
    }
}
