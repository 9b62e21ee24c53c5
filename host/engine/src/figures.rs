//! What operators watch: figures that are there anyway, read off when somebody asks.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use annals_core::name::PluginName;
use annals_core::place::{Partition, Position};
use annals_core::port::EventStore;
use annals_core::port::event_store::{FeedFilter, ReadError};
use annals_core::usage::PluginUsage;

use crate::command::{CommandError, CommandOutcome, Verdict};
use crate::engine::Engine;
use crate::process::ProcessProgress;
use crate::projection::Progress;
use crate::schedule::ScheduleFigures;
use crate::subscription::SubscriptionStatus;

/// What a host does and has done since it was started.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Figures {
    /// Commands and reads of states that are in the shards.
    pub commands_in_flight: u64,
    /// What became of commands.
    pub commands: CommandFigures,
    /// Per plugin, in order of name.
    pub plugins: Vec<PluginFigures>,
    /// Process managers that run, in order of name.
    pub processes: Vec<ProcessFigures>,
    /// Subscriptions, in order of name; none while the store does not answer.
    pub subscriptions: Vec<SubscriptionStatus>,
    /// Scheduled commands.
    pub schedules: ScheduleFigures,
    /// How many durable events the bus has not been given; `None` when it keeps no copies.
    pub relay_lag_events: Option<u64>,
}

/// How commands ended. A repeat ends as its first outcome did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CommandFigures {
    /// Accepted by their aggregate.
    pub accepted_count: u64,
    /// Rejected by their aggregate.
    pub rejected_count: u64,
    /// Not decided for what was sent: unknown names, data that does not fit, wrong expectations.
    pub refused_count: u64,
    /// Not decided because too much was going on, or their stream is in quarantine.
    pub shed_count: u64,
    /// Failed on the host's side: plugins, stores, unknown outcomes.
    pub failed_count: u64,
}

/// What one plugin does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginFigures {
    /// Its name.
    pub name: PluginName,
    /// What it uses.
    pub usage: PluginUsage,
    /// How many of its streams are refused now.
    pub quarantined_count: usize,
    /// Projection: how far it is behind, when the store tells.
    pub lag: Option<Lag>,
    /// Projection: how many streams wait behind a parked event.
    pub parked_count: Option<usize>,
}

/// What one process manager does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProcessFigures {
    /// Its name.
    pub name: PluginName,
    /// How far it is, and how many instances it has.
    pub progress: ProcessProgress,
    /// How far it is behind, when the store tells.
    pub lag: Option<Lag>,
}

/// How far a projection or a process manager is behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lag {
    /// How many events are after its checkpoints.
    pub events_count: u64,
    /// The age of the oldest of them, in milliseconds; 0 when there is none.
    pub age_ms: u64,
}

/// Counts how commands end.
#[derive(Debug, Default)]
pub(crate) struct CommandCounts {
    accepted: AtomicU64,
    rejected: AtomicU64,
    refused: AtomicU64,
    shed: AtomicU64,
    failed: AtomicU64,
}

impl CommandCounts {
    pub(crate) fn ended(&self, ended: &Result<CommandOutcome, CommandError>) {
        let count = match ended {
            Ok(CommandOutcome { verdict: Verdict::Accepted(_), .. }) => &self.accepted,
            Ok(_) => &self.rejected,
            Err(
                CommandError::Busy { .. } | CommandError::Quarantined(_) | CommandError::Stopping,
            ) => &self.shed,
            Err(
                CommandError::Plugin(_)
                | CommandError::UnreadableEvent { .. }
                | CommandError::Unavailable(_)
                | CommandError::Damaged(_)
                | CommandError::OutcomeUnknown { .. },
            ) => &self.failed,
            Err(_) => &self.refused,
        };
        count.fetch_add(1, Relaxed);
    }

    pub(crate) fn figures(&self) -> CommandFigures {
        CommandFigures {
            accepted_count: self.accepted.load(Relaxed),
            rejected_count: self.rejected.load(Relaxed),
            refused_count: self.refused.load(Relaxed),
            shed_count: self.shed.load(Relaxed),
            failed_count: self.failed.load(Relaxed),
        }
    }
}

impl Engine {
    /// What this host does and has done since it was started.
    pub async fn figures(&self) -> Figures {
        let mut plugins = Vec::new();
        for status in self.plugins() {
            let lag = match &status.progress {
                // Nobody knows how far behind it is while the store does not answer.
                Some(progress) => self.lag(progress).await.ok(),
                None => None,
            };
            plugins.push(PluginFigures {
                name: status.description.name.clone(),
                usage: status.usage,
                parked_count: status.progress.as_ref().map(|progress| progress.parked_count),
                quarantined_count: status.quarantined.count,
                lag,
            });
        }
        let mut processes = Vec::new();
        for (name, progress) in self.processes() {
            let lag = self.lag_after(&progress.checkpoints).await.ok();
            processes.push(ProcessFigures { name, progress, lag });
        }
        let relays = self.relay_progress();
        let relay_lag = relays
            .iter()
            .fold(0_u64, |lag, relay| lag.saturating_add(relay.borrow().lag_events_count));
        Figures {
            commands_in_flight: self.commands_in_flight(),
            commands: self.command_counts().figures(),
            plugins,
            processes,
            subscriptions: self.subscriptions().list().await.unwrap_or_default(),
            schedules: self.schedules().figures().await,
            relay_lag_events: (!relays.is_empty()).then_some(relay_lag),
        }
    }
}

impl Engine {
    /// How far a projection is behind.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn lag(&self, progress: &Progress) -> Result<Lag, ReadError> {
        self.lag_after(&progress.checkpoints).await
    }

    /// How far what is at these checkpoints is behind; one per partition, in their order.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn lag_after(&self, checkpoints: &[Option<Position>]) -> Result<Lag, ReadError> {
        let store = &**self.store();
        let (mut events_count, mut oldest) = (0_u64, None);
        let heads = heads(store).await?;
        let places = (0..).map(Partition).zip(heads.iter().zip(checkpoints));
        for (partition, (head, checkpoint)) in places {
            let behind = events_after(*checkpoint, *head);
            if behind == 0 {
                continue;
            }
            events_count = events_count.saturating_add(behind);
            let next = store.read_feed(partition, *checkpoint, &FeedFilter::default(), 1).await?;
            let recorded_at = next.events.first().map(|event| event.recorded_at);
            oldest = oldest.into_iter().chain(recorded_at).min();
        }
        let age_ms = oldest.map_or(0, |oldest| self.clock().now().ms_since(oldest));
        Ok(Lag { events_count, age_ms })
    }
}

async fn heads(store: &dyn EventStore) -> Result<Vec<Option<Position>>, ReadError> {
    let mut heads = Vec::new();
    for partition in (0..store.capabilities().partitions_count).map(Partition) {
        heads.push(store.head(partition).await?);
    }
    Ok(heads)
}

/// How many events are after a checkpoint. Positions have no hole, so the difference of two counts the
/// events between.
fn events_after(checkpoint: Option<Position>, head: Option<Position>) -> u64 {
    let events_count = |place: Option<Position>| place.map_or(0, |it| it.get().saturating_add(1));
    events_count(head).saturating_sub(events_count(checkpoint))
}
