//! The engine: what the API and the daemon call.

use std::sync::{Arc, Mutex, PoisonError};

use annals_core::event::RecordedEvent;
use annals_core::id;
use annals_core::json;
use annals_core::name::{PluginName, QueryName, TableName};
use annals_core::place::{ActualRevision, Position, Revision};
use annals_core::plugin::Context;
use annals_core::port::guest::ProjectionGuest;
use annals_core::port::state_store::{StateError as StateStoreError, StateSpace};
use annals_core::port::{BlobStore, Bus, EventStore, GuestRuntime, StateStores};
use annals_core::time::Clock;
use bytes::Bytes;
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;

use crate::catalog::Catalog;
use crate::command::{CommandError, CommandOutcome, CommandRequest};
use crate::commands::{Commands, stream_of};
use crate::figures::CommandCounts;
use crate::options::EngineOptions;
use crate::plugins::{
    Activation, Follower, HistoryPage, InstallError, InstallOutcome, InstallRequest, PluginStatus,
    Registry, RegistryPorts, Removal, RemoveRequest, RestoreError, RollBackRequest,
};
use crate::projection::{Projection, ProjectionPorts, Tables};
use crate::rebuild::{ProjectionViews, RebuildRequest, Supervisor};
use crate::relay::{Relay, RelayPorts, RelayProgress};
use crate::schedule::{Schedules, Watch};
use crate::shard::{JobSender, Quarantine, Shard, ShardContext, Work};
use crate::snapshot::Snapshots;
use crate::state::{self, AggregateState, StateError};
use crate::subscription::Subscriptions;
use crate::upcast::{self, UpcastEvent, UpcastReadError, Upcasts};
use crate::verify::{Verification, Verifier, VerifyError, VerifyOptions};
use crate::view::{self, Reached, ReadWhen, RowPage, StateViewReader};
use crate::view::{ViewAnswer, ViewError, WaitFor};

/// What the engine needs of the world.
#[derive(Debug, Clone)]
pub struct Ports {
    /// Where events are kept.
    pub store: Arc<dyn EventStore>,
    /// Where everything that can change is kept.
    pub states: Arc<dyn StateStores>,
    /// Where plugin bytes are kept.
    pub blobs: Arc<dyn BlobStore>,
    /// How news travels.
    pub bus: Arc<dyn Bus>,
    /// What runs plugins.
    pub runtime: Arc<dyn GuestRuntime>,
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where ids come from.
    pub ids: Arc<dyn id::IdGenerator>,
}

/// Why the engine does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// The host's state cannot be opened.
    #[error("the host's state cannot be opened")]
    State(#[source] StateStoreError),
    /// The installed plugins cannot be found.
    #[error(transparent)]
    Plugins(#[from] RestoreError),
    /// There is no thread for a shard.
    #[error("a shard cannot start")]
    Shard(#[source] std::io::Error),
    /// There is no thread that follows the plugin registry.
    #[error("following the plugin registry cannot start")]
    Follower(#[source] std::io::Error),
    /// There is no thread that looks after views that are built.
    #[error("looking after views that are built cannot start")]
    Supervisor(#[source] std::io::Error),
    /// There is no thread that sends scheduled commands.
    #[error("sending scheduled commands cannot start")]
    Schedules(#[source] std::io::Error),
    /// There is no thread for the relay.
    #[error("the relay to the bus cannot start")]
    Relay(#[source] std::io::Error),
}

/// The one namespace of this version.
const NAMESPACE: &str = "default";

/// Runs commands and projections over the ports.
#[derive(Debug)]
pub struct Engine {
    context: Arc<ShardContext>,
    registry: Arc<Registry>,
    follower: Follower,
    supervisor: Supervisor,
    relay: Relay,
    verifier: Verifier,
    subscriptions: Subscriptions,
    schedules: Schedules,
    watch: Watch,
    // Emptied when the engine stops.
    shards: Mutex<Vec<Shard>>,
    commands: Arc<Commands>,
    queries: Arc<Semaphore>,
}

impl Engine {
    /// Starts shards, installed plugins and projections.
    ///
    /// # Errors
    /// Each variant of [`StartError`].
    pub async fn start(ports: Ports, options: EngineOptions) -> Result<Self, StartError> {
        let state = ports.states.open(&StateSpace::Host).await.map_err(StartError::State)?;
        let upcasts = Arc::new(Upcasts::new(&options));
        let subscriptions = Subscriptions::over(&ports, Arc::clone(&state), &options);
        let context = Arc::new(ShardContext {
            snapshots: Snapshots::new(Arc::clone(&state), ports.store.store_id()),
            store: Arc::clone(&ports.store),
            catalog: Catalog::new(Arc::clone(&upcasts)),
            clock: Arc::clone(&ports.clock),
            ids: ports.ids,
            quarantine: Quarantine::new(&options),
            options: options.clone(),
            namespace: Arc::from(NAMESPACE),
        });
        let (shards, senders) = start_shards(&context)?;
        let commands = Arc::new(Commands::new(Arc::clone(&context), senders));
        let relay_ports = RelayPorts {
            store: Arc::clone(&ports.store),
            bus: Arc::clone(&ports.bus),
            options: options.clone(),
        };
        let bus = Arc::clone(&ports.bus);
        let verifier = Verifier::new(Arc::clone(&ports.runtime), Arc::clone(&context));
        let registry = Arc::new(Registry::new(RegistryPorts {
            runtime: ports.runtime,
            blobs: ports.blobs,
            store: Arc::clone(&ports.store),
            clock: Arc::clone(&ports.clock),
            commands: Arc::clone(&commands),
            namespace: Arc::clone(&context.namespace),
            projections: ProjectionPorts {
                clock: ports.clock,
                store: ports.store,
                states: ports.states,
                bus: ports.bus,
                upcasts,
                options: options.clone(),
            },
        }));
        registry.catch_up(&context.catalog).await?;
        let schedules = Schedules::over(&context, state, Arc::clone(&commands));
        Ok(Self {
            // After the plugins, which have commands that may be late.
            watch: Watch::start(options.placement, &schedules).map_err(StartError::Schedules)?,
            schedules,
            follower: Follower::start(
                options.placement,
                Arc::clone(&registry),
                Arc::clone(&context),
                bus,
            )
            .map_err(StartError::Follower)?,
            supervisor: Supervisor::start(Arc::clone(&registry), Arc::clone(&context))
                .map_err(StartError::Supervisor)?,
            relay: Relay::start(&relay_ports).map_err(StartError::Relay)?,
            verifier,
            subscriptions,
            commands,
            shards: Mutex::new(shards),
            registry,
            queries: Arc::new(Semaphore::new(options.queries_in_flight_max)),
            context,
        })
    }

    /// The event store, for reads that need no plugin.
    #[must_use]
    pub fn store(&self) -> &Arc<dyn EventStore> {
        &self.context.store
    }

    /// The clock.
    #[must_use]
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.context.clock
    }

    pub(crate) fn registry(&self) -> &Registry {
        &self.registry
    }

    pub(crate) fn options(&self) -> &EngineOptions {
        &self.context.options
    }

    /// Where new ids come from.
    #[must_use]
    pub fn ids(&self) -> &Arc<dyn id::IdGenerator> {
        &self.context.ids
    }

    /// What outsiders share by name.
    #[must_use]
    pub fn subscriptions(&self) -> &Subscriptions {
        &self.subscriptions
    }

    /// Commands that are sent when their time has come.
    #[must_use]
    pub fn schedules(&self) -> &Schedules {
        &self.schedules
    }

    /// Runs a command and waits until its outcome is durable. A rejection is an outcome.
    ///
    /// # Errors
    /// Each variant of [`CommandError`].
    pub async fn execute(&self, request: CommandRequest) -> Result<CommandOutcome, CommandError> {
        self.commands.execute(request).await
    }

    /// The state of a stream now.
    ///
    /// # Errors
    /// [`StateError::NoStream`] when it has no event, [`StateError::Command`].
    pub async fn state(&self, name: &PluginName, id: &str) -> Result<AggregateState, StateError> {
        let active = self.commands.aggregate(name)?;
        let stream = stream_of(name, id)?;
        let resident = self.commands.run(stream.clone(), active, Work::State).await?;
        if resident.revision == ActualRevision::NO_EVENT {
            return Err(StateError::NoStream { stream });
        }
        Ok(AggregateState { stream, revision: resident.revision, data: resident.data })
    }

    /// The state of a stream as it was at `revision` (inclusive).
    ///
    /// # Errors
    /// Each variant of [`StateError`].
    pub async fn state_at(
        &self,
        name: &PluginName,
        id: &str,
        revision: Revision,
    ) -> Result<AggregateState, StateError> {
        let active = self.commands.aggregate(name)?;
        let stream = stream_of(name, id)?;
        let permit = self.commands.permit()?;
        let state = state::fold_to(&*self.context.store, active, stream, revision).await;
        drop(permit);
        state
    }

    /// Checks, compiles, activates and records a plugin. `name`, when given, must be its own.
    ///
    /// # Errors
    /// Each variant of [`InstallError`]; nothing changed.
    pub async fn install(
        &self,
        name: Option<&PluginName>,
        bytes: Bytes,
        principal: Option<Arc<str>>,
    ) -> Result<(InstallOutcome, PluginStatus), InstallError> {
        let request = InstallRequest { name: name.cloned(), bytes, principal, force: None };
        self.install_by(request).await.map(|done| (done.outcome, done.plugin))
    }

    /// The same, with everything that can be said about it; returns what changed as well.
    ///
    /// # Errors
    /// Each variant of [`InstallError`].
    pub async fn install_by(&self, request: InstallRequest) -> Result<Activation, InstallError> {
        self.check_running()?;
        self.registry.install(&self.context.catalog, request).await
    }

    /// Activates a version of a plugin again that is kept, between two commands as installing does.
    ///
    /// # Errors
    /// Each variant of [`InstallError`].
    pub async fn roll_back(&self, request: RollBackRequest) -> Result<Activation, InstallError> {
        self.check_running()?;
        self.registry.roll_back(&self.context.catalog, request).await
    }

    /// Removes a plugin: its commands are of an unknown aggregate from then on, its view is not served.
    /// Its events and its versions stay.
    ///
    /// # Errors
    /// Each variant of [`InstallError`].
    pub async fn remove(&self, request: RemoveRequest) -> Result<Removal, InstallError> {
        self.check_running()?;
        self.registry.remove(&self.context.catalog, request).await
    }

    /// At most `limit` entries of what happened to a plugin, newest first, from `from` on (inclusive);
    /// `None`: nothing of this name was ever installed.
    ///
    /// # Errors
    /// Each variant of [`RestoreError`].
    pub async fn plugin_history(
        &self,
        name: &PluginName,
        from: Option<Revision>,
        limit: usize,
    ) -> Result<Option<HistoryPage>, RestoreError> {
        self.registry.history(name, from, limit).await
    }

    /// Begins to build a view of a projection anew, beside the one that serves.
    ///
    /// # Errors
    /// Each variant of [`InstallError`].
    pub async fn start_rebuild(&self, request: RebuildRequest) -> Result<(), InstallError> {
        self.check_running()?;
        self.registry.start_rebuild(&self.context.catalog, request).await
    }

    /// Lets the view that was built take over now, whatever differs. The one that served is followed
    /// for [`EngineOptions::rollback_window`].
    ///
    /// # Errors
    /// Each variant of [`InstallError`].
    pub async fn cut_over(
        &self,
        name: &PluginName,
        principal: Option<Arc<str>>,
    ) -> Result<(), InstallError> {
        self.check_running()?;
        self.registry.cut_over(&self.context.catalog, name, principal).await
    }

    /// Ends a rebuild, and deletes what was built.
    ///
    /// # Errors
    /// Each variant of [`InstallError`].
    pub async fn cancel_rebuild(
        &self,
        name: &PluginName,
        principal: Option<Arc<str>>,
    ) -> Result<(), InstallError> {
        self.check_running()?;
        self.registry.cancel_rebuild(&self.context.catalog, name, principal).await
    }

    /// Lets the view of before the last cut-over serve again, at once.
    ///
    /// # Errors
    /// Each variant of [`InstallError`].
    pub async fn roll_back_view(
        &self,
        name: &PluginName,
        principal: Option<Arc<str>>,
    ) -> Result<(), InstallError> {
        self.check_running()?;
        self.registry.roll_back_view(&self.context.catalog, name, principal).await
    }

    /// What is built beside the view of a projection, and what can be restored; `None`: there is no
    /// such projection.
    pub async fn projection_views(&self, name: &PluginName) -> Option<ProjectionViews> {
        self.registry.views(name).await
    }

    fn check_running(&self) -> Result<(), InstallError> {
        let is_stopping = self.commands.is_stopping();
        if is_stopping { Err(InstallError::Stopping) } else { Ok(()) }
    }

    /// Begins to compare another version of an active aggregate with the history, without installing it.
    /// `name`, when given, must be its own.
    ///
    /// # Errors
    /// Each variant of [`VerifyError`] that needs no look at the history.
    pub async fn verify(
        &self,
        name: Option<&PluginName>,
        bytes: Bytes,
        options: VerifyOptions,
    ) -> Result<Verification, VerifyError> {
        if self.commands.is_stopping() {
            return Err(VerifyError::Stopping);
        }
        self.verifier.start(name, bytes, options).await
    }

    /// The installed plugins, in order of name.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginStatus> {
        self.registry.statuses().into_iter().map(|status| self.with_quarantined(status)).collect()
    }

    /// One installed plugin.
    #[must_use]
    pub fn plugin(&self, name: &PluginName) -> Option<PluginStatus> {
        self.registry.status(name).map(|status| self.with_quarantined(status))
    }

    fn with_quarantined(&self, mut status: PluginStatus) -> PluginStatus {
        let name = &status.description.name;
        if let Some(active) = self.context.catalog.get(name) {
            let now = self.context.clock.now();
            status.quarantined = self.context.quarantine.of_plugin(name, active.generation, now);
        }
        status
    }

    pub(crate) fn commands_in_flight(&self) -> u64 {
        self.commands.in_flight()
    }

    pub(crate) fn command_counts(&self) -> &CommandCounts {
        self.commands.counts()
    }

    /// How far the bus's copies of each partition are, in order of partition. None when the bus keeps
    /// no copies.
    #[must_use]
    pub fn relay_progress(&self) -> &[watch::Receiver<RelayProgress>] {
        self.relay.progress()
    }

    /// One row of a view; `None` when there is none.
    ///
    /// # Errors
    /// [`ViewError`].
    pub async fn view_row(
        &self,
        projection: &PluginName,
        table: &TableName,
        key: &[u8],
        when: impl Into<ReadWhen<'_>> + Send,
    ) -> Result<ViewAnswer<Option<Bytes>>, ViewError> {
        let projection = self.table_of(projection, table)?;
        let reached = self.ready(&projection, when.into(), b"").await?;
        let value = projection.state.get(table.as_str(), key).await.map_err(ViewError::State)?;
        Ok(ViewAnswer::of(value, reached))
    }

    /// Rows of a view whose keys start with `range.prefix`, in key order.
    ///
    /// # Errors
    /// [`ViewError`].
    pub async fn view_rows(
        &self,
        projection: &PluginName,
        table: &TableName,
        range: view::RowRange<'_>,
        when: impl Into<ReadWhen<'_>> + Send,
    ) -> Result<ViewAnswer<RowPage>, ViewError> {
        let projection = self.table_of(projection, table)?;
        let reached = self.ready(&projection, when.into(), b"").await?;
        let value = view::list(&*projection.state, table, range).await?;
        Ok(ViewAnswer::of(value, reached))
    }

    /// Asks a projection a named question; parameters and answer are JSON.
    ///
    /// # Errors
    /// [`ViewError`].
    pub async fn view_query(
        &self,
        name: &PluginName,
        query: &QueryName,
        parameters: Bytes,
        when: impl Into<ReadWhen<'_>> + Send,
    ) -> Result<ViewAnswer<Bytes>, ViewError> {
        let projection = self.projection(name)?;
        if !projection.plugin.inspection().has_queries {
            return Err(ViewError::UnknownQuery { projection: name.clone(), query: query.clone() });
        }
        json::check(&parameters).map_err(|error| ViewError::MalformedQuery {
            query: query.clone(),
            message: error.to_string(),
        })?;
        let in_flight_max = self.context.options.queries_in_flight_max;
        let permit = Arc::clone(&self.queries)
            .try_acquire_owned()
            .map_err(|_| ViewError::Busy { in_flight_max })?;
        let reached = self.ready(&projection, when.into(), &parameters).await?;
        let context = self.query_context();
        let question = query.clone();
        let answered = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            answer(&projection, &context, &question, &parameters)
        });
        let value = answered.await.map_err(|_| ViewError::Stopping)??;
        Ok(ViewAnswer::of(value, reached))
    }

    async fn ready(
        &self,
        projection: &Projection,
        when: ReadWhen<'_>,
        question: &[u8],
    ) -> Result<Reached, ViewError> {
        projection.ready(self.context.store.store_id(), when, question).await
    }

    /// Whether there is such a projection.
    ///
    /// # Errors
    /// [`ViewError::UnknownProjection`].
    pub fn check_projection(&self, name: &PluginName) -> Result<(), ViewError> {
        self.projection(name).map(drop)
    }

    /// Waits until a view has reached a position, and returns how far it is in each partition. When
    /// another version of the projection takes the place of the one that is waited for, goes on
    /// waiting for that one.
    ///
    /// # Errors
    /// [`ViewError`]; [`ViewError::UnknownProjection`] also when it is removed meanwhile.
    pub async fn view_reached(
        &self,
        name: &PluginName,
        wait_for: WaitFor,
    ) -> Result<Vec<Option<Position>>, ViewError> {
        let deadline = Instant::now() + wait_for.wait;
        let mut projection = self.projection(name)?;
        loop {
            let wait = deadline.saturating_duration_since(Instant::now());
            let ended = projection.reached(Some(WaitFor { wait, ..wait_for })).await;
            let Err(ViewError::Stopping) = ended else {
                return ended.map_err(|error| error.after(wait_for.wait));
            };
            let next = self.projection(name)?;
            if Arc::ptr_eq(&next, &projection) {
                return Err(ViewError::Stopping);
            }
            projection = next;
        }
    }

    /// Events as the installed upcasters make them, to the end of each chain: in order, one or several
    /// for each that is given.
    ///
    /// # Errors
    /// [`UpcastReadError`].
    pub async fn upcast(
        &self,
        events: Vec<RecordedEvent>,
    ) -> Result<Vec<UpcastEvent>, UpcastReadError> {
        let set = self.context.catalog.upcasts().current();
        let in_flight_max = self.context.options.queries_in_flight_max;
        let permit = Arc::clone(&self.queries)
            .try_acquire_owned()
            .map_err(|_| UpcastReadError::Busy { in_flight_max })?;
        let upcast = tokio::task::spawn_blocking(move || {
            let _permit = permit;
            upcast::to_the_end(&set, &events)
        });
        upcast.await.map_err(|_| UpcastReadError::Stopping)?
    }

    fn query_context(&self) -> Context {
        let message_id = self.context.ids.next_uuid();
        Context {
            message_id,
            correlation_id: Arc::from(""),
            now: self.context.clock.now(),
            seed: id::seed_of(message_id),
            namespace: Arc::clone(&self.context.namespace),
            principal: None,
        }
    }

    pub(crate) fn projection(&self, name: &PluginName) -> Result<Arc<Projection>, ViewError> {
        self.registry.projection(name).ok_or_else(|| ViewError::UnknownProjection {
            projection: name.clone(),
            known: self.registry.projection_names(),
        })
    }

    fn table_of(&self, name: &PluginName, table: &TableName) -> Result<Arc<Projection>, ViewError> {
        let projection = self.projection(name)?;
        if !projection.description.tables.contains(table) {
            return Err(ViewError::UnknownTable {
                projection: name.clone(),
                table: table.clone(),
                known: projection.description.tables.clone(),
            });
        }
        Ok(projection)
    }

    /// Deletes every snapshot. Changes nothing but time.
    ///
    /// # Errors
    /// [`StateStoreError`].
    pub async fn delete_snapshots(&self) -> Result<(), StateStoreError> {
        self.context.snapshots.clear().await
    }

    /// Refuses new commands, finishes those in flight, ends projections after their batch, waits until
    /// everything accepted is durable, and ends the relay. The caller sets a limit on the waiting.
    pub async fn stop(&self) {
        self.commands.refuse();
        self.watch.stop().await;
        self.registry.stop_processes().await;
        self.verifier.stop().await;
        let shards = {
            let mut shards = self.shards.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *shards)
        };
        for shard in shards {
            shard.stop().await;
        }
        self.follower.stop().await;
        self.supervisor.stop().await;
        self.registry.stop().await;
        if let Err(lost) = self.context.store.flush().await {
            tracing::error!(error = %lost, "the last commits may not be durable");
        }
        self.relay.stop().await;
    }
}

/// All shards, and the way to those that streams are spread over.
fn start_shards(context: &Arc<ShardContext>) -> Result<(Vec<Shard>, Vec<JobSender>), StartError> {
    let apart = Shard::start_apart(Arc::clone(context)).map_err(StartError::Shard)?;
    let start = |number| {
        Shard::start(number, Arc::clone(context), apart.sender()).map_err(StartError::Shard)
    };
    let count = context.options.shards_count.get();
    let mut shards = (0..count).map(start).collect::<Result<Vec<_>, _>>()?;
    let senders = shards.iter().map(Shard::sender).collect();
    // The last to stop: the others wait for what they handed over to it.
    shards.push(apart);
    Ok((shards, senders))
}

fn answer(
    projection: &Projection,
    context: &Context,
    query: &QueryName,
    parameters: &[u8],
) -> Result<Bytes, ViewError> {
    let mut guest: Box<dyn ProjectionGuest> =
        projection.plugin.projection().map_err(ViewError::Plugin)?;
    let tables = Tables::new(&projection.description.tables);
    let view = Arc::new(StateViewReader::new(Arc::clone(&projection.state), tables));
    let said = guest.answer(context, query.as_str(), parameters, view);
    let said = said.map_err(ViewError::Plugin)?;
    let name = &projection.description.name;
    let data = said.map_err(|refusal| ViewError::of_refusal(refusal, name, query))?;
    json::check(&data).map_err(|error| {
        ViewError::Plugin(annals_core::port::guest::GuestFailure::Contract {
            plugin: name.to_string(),
            call: "answer",
            cause: format!("the answer is {error}"),
        })
    })?;
    Ok(Bytes::from(data))
}
