//! What can be set about the engine, and its limits.

use std::collections::BTreeMap;
use std::num::{NonZeroU32, NonZeroUsize};
use std::sync::Arc;
use std::time::Duration;

use annals_core::name::PluginName;
use annals_core::port::FailureSink;

use crate::actor::Placement;
use crate::process::limits::ProcessLimits;
use crate::schedule::ScheduleLimits;
use crate::subscription::SubscriptionLimits;

/// Settings of an [`Engine`](crate::Engine).
#[derive(Debug, Clone)]
pub struct EngineOptions {
    /// How many shards run commands; one per core is best.
    pub shards_count: NonZeroUsize,
    /// Most commands accepted and not yet answered; the next is refused as busy.
    pub commands_in_flight_max: usize,
    /// How often a command is decided again after another host wrote its stream first.
    pub command_conflict_retries_max: u32,
    /// Most entities kept in memory per shard and plugin; the least recently used go first.
    pub residents_max: NonZeroUsize,
    /// A snapshot is kept each time a stream grew by this many events.
    pub snapshot_every_events: u64,
    /// Most snapshots being written at once per shard; further ones are passed over.
    pub snapshots_in_flight_max: usize,
    /// Most events a decision may hold.
    pub decision_events_max: usize,
    /// Most events that one stored event may become when it is upcast, over all upcasters.
    pub upcast_events_max: NonZeroUsize,
    /// Most upcasters one after the other, until a reader reads what they make.
    pub upcast_chain_max: NonZeroU32,
    /// Most memory for what upcasters made of events, in bytes; the least recently used go first.
    /// With 0 every event is upcast each time it is read.
    pub upcast_cache_bytes_max: usize,
    /// After so many failures of its plugin in a row, a stream is refused for a while.
    pub quarantine_after_failures: NonZeroU32,
    /// How long a stream is refused first; doubles at each further failure up to
    /// `quarantine_wait_max`.
    pub quarantine_wait: Duration,
    /// Longest that a stream is refused before a command of it is tried again.
    pub quarantine_wait_max: Duration,
    /// Most streams that are known to have failed; the least recently used are forgotten first.
    pub quarantined_streams_max: NonZeroUsize,
    /// What single plugins may do in place of what all may.
    pub plugins: BTreeMap<PluginName, PluginOptions>,
    /// Most events given to a projection at once; those that upcasters made of one stored event are
    /// never parted.
    pub batch_events_max: usize,
    /// Most data given to a projection at once, in bytes; one event always fits.
    pub batch_bytes_max: usize,
    /// Most writes a projection may answer a batch with.
    pub batch_writes_max: usize,
    /// How long a projection waits for more events when there are fewer than a batch may have.
    pub batch_wait: Duration,
    /// First wait after a projection failed; doubles up to `projection_retry_wait_max`.
    pub projection_retry_wait: Duration,
    /// Longest wait after a projection failed.
    pub projection_retry_wait_max: Duration,
    /// How often an event is given to a projection that cannot handle it, before it is parked.
    pub projection_attempts_max: NonZeroU32,
    /// Most streams of a projection that wait behind a parked event; then it stops instead.
    pub parked_streams_max: NonZeroUsize,
    /// How often a host that stands by looks how far the one is that projects.
    pub standby_check_every: Duration,
    /// How long a projection may not get on, with events to project, before a host that stands by
    /// takes it over.
    pub standby_takeover_after: Duration,
    /// How long the view that served before a cut-over is followed, so that it can be restored at once.
    pub rollback_window: Duration,
    /// Longest that the runners of two views stand at the same place while some of their rows are
    /// compared.
    pub compare_hold_max: Duration,
    /// Most named questions answered at once; the next is refused as busy.
    pub queries_in_flight_max: usize,
    /// Most events handed to the bus at once.
    pub relay_page_events_max: usize,
    /// Most pages of events, of all partitions, that are read and handed to the bus at once.
    pub relay_pages_in_flight_max: NonZeroUsize,
    /// Most events that a bus without any is given: the newest of each partition.
    pub relay_tail_events_max: u64,
    /// How often the bus is asked whether it still has all it was given.
    pub relay_check_every: Duration,
    /// First wait after the bus or the feed failed; doubles up to `relay_retry_wait_max`.
    pub relay_retry_wait: Duration,
    /// Longest wait after the bus or the feed failed.
    pub relay_retry_wait_max: Duration,
    /// Most versions of a plugin that are kept, the active one among them. Installing deletes the bytes
    /// of those whose last activation is longest ago.
    pub versions_kept: NonZeroUsize,
    /// Limits of process managers.
    pub processes: ProcessLimits,
    /// Limits of subscriptions.
    pub subscriptions: SubscriptionLimits,
    /// Limits of scheduled commands.
    pub schedules: ScheduleLimits,
    /// Where failures of plugins are kept with what repeats them, if anywhere.
    pub failure_sink: Option<Arc<dyn FailureSink>>,
    /// Called first on threads whose work others must not notice, that of slow plugins and suspect
    /// streams and that of verifications, e.g. to give them less of the machine.
    pub on_background_thread: Option<fn()>,
    /// Where shards, runners and the relay run.
    pub placement: Placement,
}

/// What one plugin may do, each as in [`EngineOptions`]; `None`: as all.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PluginOptions {
    /// Most entities kept in memory per shard.
    pub residents_max: Option<NonZeroUsize>,
    /// Most events a decision may hold.
    pub decision_events_max: Option<NonZeroUsize>,
    /// Most writes it may answer a batch with.
    pub batch_writes_max: Option<NonZeroUsize>,
}

impl EngineOptions {
    fn of(&self, plugin: &PluginName) -> PluginOptions {
        self.plugins.get(plugin).copied().unwrap_or_default()
    }

    pub(crate) fn residents_max(&self, plugin: &PluginName) -> NonZeroUsize {
        self.of(plugin).residents_max.unwrap_or(self.residents_max)
    }

    pub(crate) fn decision_events_max(&self, plugin: &PluginName) -> usize {
        self.of(plugin).decision_events_max.map_or(self.decision_events_max, NonZeroUsize::get)
    }

    pub(crate) fn batch_writes_max(&self, plugin: &PluginName) -> usize {
        self.of(plugin).batch_writes_max.map_or(self.batch_writes_max, NonZeroUsize::get)
    }
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            shards_count: NonZeroUsize::MIN,
            commands_in_flight_max: 16_384,
            command_conflict_retries_max: 5,
            residents_max: NonZeroUsize::MIN.saturating_add(49_999),
            snapshot_every_events: 100,
            snapshots_in_flight_max: 64,
            decision_events_max: annals_core::limits::COMMIT_EVENTS_MAX,
            upcast_events_max: NonZeroUsize::MIN.saturating_add(99),
            upcast_chain_max: NonZeroU32::MIN.saturating_add(99),
            upcast_cache_bytes_max: 16 << 20,
            quarantine_after_failures: NonZeroU32::MIN.saturating_add(2),
            quarantine_wait: Duration::from_secs(1),
            quarantine_wait_max: Duration::from_mins(5),
            quarantined_streams_max: NonZeroUsize::MIN.saturating_add(9_999),
            plugins: BTreeMap::new(),
            batch_events_max: annals_core::limits::READ_EVENTS_MAX,
            batch_bytes_max: 4 << 20,
            batch_writes_max: 10_000,
            batch_wait: Duration::ZERO,
            projection_retry_wait: Duration::from_millis(100),
            projection_retry_wait_max: Duration::from_secs(30),
            projection_attempts_max: NonZeroU32::MIN.saturating_add(4),
            parked_streams_max: NonZeroUsize::MIN.saturating_add(9_999),
            standby_check_every: Duration::from_secs(1),
            standby_takeover_after: Duration::from_secs(10),
            rollback_window: Duration::from_hours(1),
            compare_hold_max: Duration::from_secs(1),
            queries_in_flight_max: 64,
            relay_page_events_max: 1_000,
            relay_pages_in_flight_max: NonZeroUsize::MIN.saturating_add(3),
            relay_tail_events_max: 1_000_000,
            relay_check_every: Duration::from_secs(5),
            relay_retry_wait: Duration::from_millis(100),
            relay_retry_wait_max: Duration::from_secs(10),
            versions_kept: NonZeroUsize::MIN.saturating_add(4),
            processes: ProcessLimits::default(),
            subscriptions: SubscriptionLimits::default(),
            schedules: ScheduleLimits::default(),
            failure_sink: None,
            on_background_thread: None,
            placement: Placement::Threads,
        }
    }
}
