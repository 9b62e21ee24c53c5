//! Which plugins are installed and active. Plugins are data: installing, rolling back and removing are
//! events in the stream `$plugins/registry`, the bytes are blobs, so a restart finds the same state.
//!
//! ```text
//! install.rs, remove.rs ──► log.rs ──► registered.rs ──► this file
//! what operators want       events     their fold        starts and ends what it says
//!      │ gate.rs              ▲
//!      │ changes.rs           └── follow.rs: while other hosts do the same
//! ```
//! `rebuild.rs` builds views of projections anew, `beside.rs` runs those that do not serve. `status.rs` has
//! what operators see, `history.rs` what happened.

mod beside;
mod changes;
mod follow;
mod gate;
mod history;
mod install;
mod log;
mod rebuild;
mod registered;
mod remove;
mod schema;
mod status;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use annals_core::error::DriverError;
use annals_core::event::SchemaVersion;
use annals_core::id::Digest;
use annals_core::name::{EventType, PluginName};
use annals_core::plugin::{Description, PluginKind};
use annals_core::port::blob_store::BlobError;
use annals_core::port::event_store::{AppendError, Direction, ReadError};
use annals_core::port::guest::{AggregateGuest, GuestFailure, GuestPlugin, LoadError};
use annals_core::port::state_store::StateError;
use annals_core::port::{BlobStore, EventStore, GuestRuntime};
use annals_core::time::{Clock, Timestamp};
use bytes::Bytes;
use tokio::sync::{Mutex, watch};
use tracing::{error, info};

use crate::catalog::Catalog;
use crate::commands::Commands;
use crate::process::{ProcessError, ProcessManager, ProcessPorts};
use crate::projection::{Projection, ProjectionError, ProjectionPorts, ViewOptions};
use crate::shard::QuarantinedStreams;
use beside::Beside;
use registered::{Entry, Made, Registered, Version};

pub use changes::{Change, ChangeKind, Difference, MessageKind};
pub use gate::UnreadableEvents;
pub use status::{
    Activation, BadForceReason, FORCE_REASON_BYTES_MAX, ForceReason, HistoryEntry, HistoryEvent,
    HistoryPage, InstallOutcome, InstallRequest, PluginStatus, PluginVersion, Removal,
    RemoveRequest, RollBackRequest, UnreadEvents,
};

pub(crate) use follow::Follower;
pub(crate) use rebuild::{ViewTask, ViewTaskKind};

/// Why a plugin was not installed, rolled back or removed. Nothing changed, unless it says otherwise.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InstallError {
    /// The bytes are not a plugin this host can run.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The name in the request is not the plugin's own.
    #[error("the plugin describes itself as `{described}`, not as `{asked}`")]
    OtherName {
        /// The name asked for.
        asked: PluginName,
        /// Its own name.
        described: PluginName,
    },
    /// The name belongs to a plugin of another kind.
    #[error("`{name}` is installed as {installed}, and this is a plugin of kind {kind}")]
    OtherKind {
        /// The name.
        name: PluginName,
        /// The kind installed.
        installed: PluginKind,
        /// The kind of the new one.
        kind: PluginKind,
    },
    /// Another upcaster takes one of its events.
    #[error(
        "`{event_type}` of schema version {schema_version} is taken by the upcaster `{upcaster}`"
    )]
    UpcasterConflict {
        /// The event's type.
        event_type: EventType,
        /// Shape of its data.
        schema_version: SchemaVersion,
        /// Who takes it.
        upcaster: PluginName,
    },
    /// Its projection does not start.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// Its process manager does not start.
    #[error(transparent)]
    Process(#[from] ProcessError),
    /// It does not answer at all.
    #[error("the plugin does not start")]
    Guest(#[source] GuestFailure),
    /// What is installed already cannot be found out.
    #[error(transparent)]
    Registry(#[from] RestoreError),
    /// What is recorded would not be readable.
    #[error(
        "version {version} of `{name}` does not read {}; let it read these shapes again, or install \
         an upcaster for them",
        gate::list(unreadable)
    )]
    UnreadableHistory {
        /// The plugin.
        name: PluginName,
        /// The version that was to be active.
        version: String,
        /// What it does not read, in order of category, type and schema version.
        unreadable: Vec<UnreadableEvents>,
    },
    /// An active plugin reads less without this version of an upcaster.
    #[error(
        "without what the upcaster `{upcaster}` does now, `{reader}` does not read {}; let another \
         upcaster take these shapes, or install a version of `{reader}` that reads them",
        gate::list(unreadable)
    )]
    NeededUpcaster {
        /// The upcaster.
        upcaster: PluginName,
        /// Who needs it.
        reader: PluginName,
        /// What it would not read, in order of category, type and schema version.
        unreadable: Vec<UnreadableEvents>,
    },
    /// What is recorded cannot be counted.
    #[error("what is recorded cannot be counted")]
    History(#[source] ReadError),
    /// Nothing of this name is installed.
    #[error("there is no plugin `{name}`")]
    UnknownPlugin {
        /// The name.
        name: PluginName,
        /// What is installed, in order of name.
        known: Vec<PluginName>,
    },
    /// There is no version to go back to.
    #[error("no earlier version of `{name}` is kept")]
    NoVersionBefore {
        /// The plugin.
        name: PluginName,
    },
    /// The version asked for is not kept.
    #[error("version {} of `{name}` is not kept", digest.short())]
    VersionNotKept {
        /// The plugin.
        name: PluginName,
        /// Content of the version's component.
        digest: Digest,
        /// The versions that are kept, the newest activation first.
        kept: Vec<Digest>,
    },
    /// The plugin was removed, and its views are there or not; removing it again is safe.
    #[error("the views cannot be deleted")]
    View(#[source] StateError),
    /// Other hosts kept installing plugins first.
    #[error("other hosts installed plugins {attempts} times in a row; install it again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// Its bytes cannot be kept.
    #[error("the component cannot be kept")]
    Blob(#[source] BlobError),
    /// The registry says that it is installed, and its bytes are not there.
    #[error(
        "its component `{digest}` is not in this store: install it again, or put the component where \
         the others are"
    )]
    Absent {
        /// Content of the component.
        digest: Digest,
    },
    /// The log does not take the event.
    #[error("the installation cannot be recorded")]
    Record(#[source] AppendError),
    /// The event may be recorded or not; installing again is safe.
    #[error("nobody knows whether the installation was recorded; install it again")]
    OutcomeUnknown(#[source] DriverError),
    /// No active plugin of that name is a projection.
    #[error("there is no projection `{name}`")]
    UnknownProjection {
        /// The name.
        name: PluginName,
        /// The projections there are.
        known: Vec<PluginName>,
    },
    /// A view of the projection is built already.
    #[error("a view of `{name}` is built beside the one that serves")]
    RebuildUnderWay {
        /// The projection.
        name: PluginName,
    },
    /// No view of the projection is built.
    #[error("no view of `{name}` is built beside the one that serves")]
    NoRebuild {
        /// The projection.
        name: PluginName,
    },
    /// The view that is built has not caught up and been compared.
    #[error("the view of `{name}` that is built has not caught up and been compared yet")]
    RebuildNotReady {
        /// The projection.
        name: PluginName,
    },
    /// No view of before a cut-over is followed any more.
    #[error("there is no view of `{name}` to go back to")]
    NoPreviousView {
        /// The projection.
        name: PluginName,
    },
    /// A view cannot begin where it should.
    #[error("{cause}")]
    BadBegin {
        /// Why.
        cause: String,
    },
    /// Two views cannot be compared now.
    #[error("two views cannot be compared")]
    Compare(#[source] StateError),
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}

/// Why the installed plugins cannot be found at start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RestoreError {
    /// The registry cannot be read.
    #[error("the plugin registry cannot be read")]
    Read(#[source] ReadError),
    /// The registry holds something that is not an event of it.
    #[error("the plugin registry is damaged: {cause}")]
    Damaged {
        /// What.
        cause: String,
    },
}

/// What the registry needs of the engine.
#[derive(Debug)]
pub(crate) struct RegistryPorts {
    pub(crate) runtime: Arc<dyn GuestRuntime>,
    pub(crate) blobs: Arc<dyn BlobStore>,
    pub(crate) store: Arc<dyn EventStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) commands: Arc<Commands>,
    pub(crate) namespace: Arc<str>,
    pub(crate) projections: ProjectionPorts,
}

/// The installed plugins.
#[derive(Debug)]
pub(crate) struct Registry {
    ports: RegistryPorts,
    active: RwLock<BTreeMap<PluginName, Active>>,
    // Views that run and do not serve. Never held across an await.
    beside: RwLock<BTreeMap<PluginName, Vec<Beside>>>,
    // Counts changes of which views there are.
    views_changes: watch::Sender<u64>,
    // Written only while `installing` is held. Never held across an await.
    registered: RwLock<Registered>,
    /// Held while a plugin is installed or started: one at a time, in the order of the log.
    installing: Mutex<Installing>,
}

/// How far this host has followed the registry.
#[derive(Debug, Default)]
struct Installing {
    /// Counts activations.
    generation: u64,
    /// What may not be here as the registry says: it did not start, for a reason that may pass.
    waiting: BTreeSet<PluginName>,
}

/// How often an installation is tried again when other hosts install at the same time.
const INSTALL_ATTEMPTS_MAX: u32 = 5;

#[derive(Debug, Clone)]
struct Active {
    plugin: Arc<dyn GuestPlugin>,
    projection: Option<Arc<Projection>>,
    process: Option<Arc<ProcessManager>>,
}

/// A version that can be made active at once.
struct Prepared {
    active: Active,
    /// Aggregate: sandboxes for its first commands.
    fresh: Vec<Box<dyn AggregateGuest>>,
    /// Whether its view ran already.
    is_running: bool,
}

impl Registry {
    pub(crate) fn new(ports: RegistryPorts) -> Self {
        Self {
            ports,
            active: RwLock::default(),
            beside: RwLock::default(),
            views_changes: watch::Sender::default(),
            registered: RwLock::default(),
            installing: Mutex::default(),
        }
    }

    /// Starts what the registry's stream says is active and is not yet here. One plugin that does not
    /// start is logged and left out; the others serve. Returns whether one waits to be tried again.
    pub(crate) async fn catch_up(&self, catalog: &Catalog) -> Result<bool, RestoreError> {
        let mut installing = self.installing.lock().await;
        self.follow(catalog, &mut installing).await?;
        Ok(!installing.waiting.is_empty())
    }

    async fn follow(
        &self,
        catalog: &Catalog,
        installing: &mut Installing,
    ) -> Result<(), RestoreError> {
        installing.waiting.extend(self.read_news().await?);
        let mut waiting = Vec::new();
        for name in std::mem::take(&mut installing.waiting) {
            let wanted = self.registered().active(&name).map(|it| (it.kind, it.made()));
            waiting.push((name, wanted));
        }
        // A projection that started first would pass events by of which an upcaster makes its own;
        // so would one that started without an upcaster that is installed.
        // And a process manager sends commands, to aggregates that should be there.
        waiting.sort_by_key(|(_, wanted)| wanted.map_or(0, |(kind, _)| starts_as(kind)));
        let mut lacks_upcaster = false;
        for (name, wanted) in waiting {
            let Some((kind, made)) = wanted else {
                self.deactivate(catalog, installing, &name).await;
                continue;
            };
            if self.active_made(&name) == Some(made) {
                self.follow_beside_or_wait(installing, &name).await;
                continue;
            }
            if lacks_upcaster && matches!(kind, PluginKind::Projection | PluginKind::ProcessManager)
            {
                installing.waiting.insert(name);
                continue;
            }
            let started = self.start(catalog, installing, (&name, made)).await;
            let Err(error) = started else {
                self.follow_beside_or_wait(installing, &name).await;
                continue;
            };
            let is_upcaster = kind == PluginKind::Upcaster;
            lacks_upcaster |= is_upcaster;
            let may_pass = error.may_pass() || is_upcaster;
            let error = annals_core::error::ErrorChain(&error).to_string();
            error!(plugin = %name, error, may_pass, "plugin does not start");
            if may_pass {
                installing.waiting.insert(name);
            }
        }
        Ok(())
    }

    /// Adds up what the registry's stream has since it was read last; returns whose plugins changed.
    async fn read_news(&self) -> Result<BTreeSet<PluginName>, RestoreError> {
        let mut from = self.registered().revision.next();
        let mut changed = BTreeSet::new();
        loop {
            let page = log::read(&*self.ports.store, from, Direction::Forwards).await?;
            changed.extend(self.registered_mut().apply(&page.events)?);
            match page.next {
                Some(next) => from = next,
                None => return Ok(changed),
            }
        }
    }

    async fn start(
        &self,
        catalog: &Catalog,
        installing: &mut Installing,
        (name, made): (&PluginName, Made),
    ) -> Result<(), InstallError> {
        let plugin = match self.plugin_beside(name, made) {
            Some(plugin) => plugin,
            None => self.load_kept(made.digest).await?,
        };
        let prepared = self.prepare(plugin, made.build).await?;
        self.activate(catalog, prepared, installing);
        info!(plugin = %name, digest = %made.digest.short(), "plugin started");
        Ok(())
    }

    fn is_active(&self, name: &PluginName, digest: Digest) -> bool {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.get(name).is_some_and(|active| active.plugin.inspection().digest == digest)
    }

    fn outcome_of_installing(
        &self,
        plugin: &dyn GuestPlugin,
    ) -> Result<InstallOutcome, InstallError> {
        let inspection = plugin.inspection();
        let kind = inspection.kind;
        let upcasts = &self.ports.projections.upcasts;
        if kind == PluginKind::Upcaster
            && let Some((event_type, schema_version, upcaster)) =
                upcasts.conflict(plugin.description())
        {
            return Err(InstallError::UpcasterConflict { event_type, schema_version, upcaster });
        }
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        let name = &plugin.description().name;
        let Some(before) = active.get(name) else {
            return Ok(InstallOutcome::Installed);
        };
        let installed = before.plugin.inspection().kind;
        if installed != kind {
            return Err(InstallError::OtherKind { name: name.clone(), installed, kind });
        }
        let is_same = before.plugin.inspection().digest == inspection.digest;
        Ok(if is_same { InstallOutcome::Unchanged } else { InstallOutcome::Upgraded })
    }

    /// Checks and compiles off the serving threads.
    async fn load(&self, bytes: Bytes) -> Result<Arc<dyn GuestPlugin>, InstallError> {
        let runtime = Arc::clone(&self.ports.runtime);
        let loaded = tokio::task::spawn_blocking(move || runtime.load(&bytes)).await;
        let cause = "loading ended early".to_owned();
        Ok(loaded.map_err(|_| LoadError::Compile { cause })??)
    }

    /// Loads a version that is kept.
    async fn load_kept(&self, digest: Digest) -> Result<Arc<dyn GuestPlugin>, InstallError> {
        let bytes = self.ports.blobs.get(digest).await.map_err(InstallError::Blob)?;
        self.load(bytes.ok_or(InstallError::Absent { digest })?).await
    }

    /// Starts a version; of a projection, the runner of the view of that `build`.
    async fn prepare(
        &self,
        plugin: Arc<dyn GuestPlugin>,
        build: u32,
    ) -> Result<Prepared, InstallError> {
        let name = &plugin.description().name;
        let made = Made { digest: plugin.inspection().digest, build };
        if let Some(active) = self.ready_beside(name, made) {
            return Ok(Prepared { active, fresh: Vec::new(), is_running: true });
        }
        let (mut projection, mut process) = (None, None);
        match plugin.inspection().kind {
            PluginKind::Projection => {
                let ports = self.ports.projections.clone();
                let view = ViewOptions { build, ..ViewOptions::default() };
                let started = Projection::start(Arc::clone(&plugin), ports, view).await?;
                projection = Some(Arc::new(started));
            }
            PluginKind::ProcessManager => {
                plugin.process_manager().map(drop).map_err(InstallError::Guest)?;
                let ports = self.process_ports();
                let opened = ProcessManager::open(Arc::clone(&plugin), ports).await?;
                process = Some(Arc::new(opened));
            }
            PluginKind::Aggregate | PluginKind::Upcaster => {}
        }
        let takes_over = self.active_description(&plugin.description().name).is_some();
        let fresh = if takes_over { self.sandboxes(&plugin).await } else { Vec::new() };
        let active = Active { plugin, projection, process };
        Ok(Prepared { active, fresh, is_running: false })
    }

    fn process_ports(&self) -> ProcessPorts {
        ProcessPorts {
            shared: self.ports.projections.clone(),
            commands: Arc::clone(&self.ports.commands),
            namespace: Arc::clone(&self.ports.namespace),
        }
    }

    /// A sandbox per shard, made before the version takes over, so that no command waits for it.
    async fn sandboxes(&self, plugin: &Arc<dyn GuestPlugin>) -> Vec<Box<dyn AggregateGuest>> {
        if plugin.inspection().kind != PluginKind::Aggregate {
            return Vec::new();
        }
        let shards_count = self.ports.projections.options.shards_count.get();
        let plugin = Arc::clone(plugin);
        // One that does not start is told by the shard that needs it.
        let make = move || (0..shards_count).map_while(|_| plugin.aggregate().ok()).collect();
        tokio::task::spawn_blocking(make).await.unwrap_or_default()
    }

    fn activate(&self, catalog: &Catalog, prepared: Prepared, installing: &mut Installing) {
        installing.generation += 1;
        let generation = installing.generation;
        let Prepared { active: next, fresh, .. } = prepared;
        let name = next.plugin.description().name.clone();
        let plugin = Arc::clone(&next.plugin);
        let kind = plugin.inspection().kind;
        // The name may have been another kind's before that was removed.
        if kind != PluginKind::Aggregate {
            catalog.remove(&name);
        }
        match kind {
            PluginKind::Aggregate => catalog.activate(plugin, generation, fresh),
            PluginKind::Upcaster => catalog.set_upcaster(&name, Some(plugin), generation),
            PluginKind::Projection | PluginKind::ProcessManager => {}
        }
        if let Some(process) = &next.process {
            // It takes everything over from the version before it, if that runs.
            process.begin();
        }
        self.take_from_beside(&name, &next);
        let before = {
            let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
            active.insert(name.clone(), next)
        };
        if let Some(before) = before {
            self.set_aside(&name, before);
        }
    }

    fn registered(&self) -> RwLockReadGuard<'_, Registered> {
        self.registered.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn registered_mut(&self) -> RwLockWriteGuard<'_, Registered> {
        self.registered.write().unwrap_or_else(PoisonError::into_inner)
    }

    fn take_active(&self, name: &PluginName) -> Option<Active> {
        self.active.write().unwrap_or_else(PoisonError::into_inner).remove(name)
    }

    fn active_description(&self, name: &PluginName) -> Option<Arc<Description>> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.get(name).map(|active| Arc::clone(active.plugin.description()))
    }

    /// What the version of this content calls itself, if it is kept.
    fn version_of(&self, name: &PluginName, digest: Digest) -> Option<String> {
        let registered = self.registered();
        let mut versions = registered.get(name)?.versions().iter();
        versions.find(|version| version.digest == digest).map(|version| version.version.clone())
    }

    pub(crate) fn projection(&self, name: &PluginName) -> Option<Arc<Projection>> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.get(name)?.projection.as_ref().map(Arc::clone)
    }

    pub(crate) fn projection_names(&self) -> Vec<PluginName> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        let projections = active.iter().filter(|(_, active)| active.projection.is_some());
        projections.map(|(name, _)| name.clone()).collect()
    }

    pub(crate) fn statuses(&self) -> Vec<PluginStatus> {
        let registered = self.registered();
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.iter().map(|(name, active)| active.status(registered.get(name))).collect()
    }

    pub(crate) fn status(&self, name: &PluginName) -> Option<PluginStatus> {
        let registered = self.registered();
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.get(name).map(|active| active.status(registered.get(name)))
    }

    /// Ends every projection after its batch.
    pub(crate) async fn stop(&self) {
        // Nothing is installed any more once this is held.
        let _installing = self.installing.lock().await;
        let all = {
            let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *active)
        };
        let beside = std::mem::take(&mut *self.beside_mut());
        let beside = beside.into_values().flatten().map(|beside| beside.active);
        let all = all.into_values().chain(beside);
        let all: Vec<_> = all.collect();
        for active in &all {
            active.request_stop();
        }
        for active in all {
            active.ended().await;
        }
    }

    /// Ends every process manager after its commit: nothing is sent any more.
    pub(crate) async fn stop_processes(&self) {
        // Nothing is installed any more once this is held.
        let _installing = self.installing.lock().await;
        let processes = self.processes();
        for (_, process) in &processes {
            process.request_stop();
        }
        for (_, process) in processes {
            process.ended().await;
        }
    }

    /// The process managers that run, in order of name.
    pub(crate) fn processes(&self) -> Vec<(PluginName, Arc<ProcessManager>)> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        let all = active.iter().filter_map(|(name, it)| Some((name, it.process.as_ref()?)));
        all.map(|(name, process)| (name.clone(), Arc::clone(process))).collect()
    }
}

/// In which order plugins start.
const fn starts_as(kind: PluginKind) -> u8 {
    match kind {
        PluginKind::Upcaster => 1,
        PluginKind::Aggregate | PluginKind::Projection => 2,
        PluginKind::ProcessManager => 3,
    }
}

impl InstallError {
    /// Whether what was installed may start later.
    const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Blob(BlobError::Unavailable(_))
                | Self::Absent { .. }
                | Self::Projection(ProjectionError::View { .. } | ProjectionError::Start { .. })
                | Self::Process(ProcessError::State { .. } | ProcessError::Start { .. })
        )
    }
}

impl Active {
    fn request_stop(&self) {
        if let Some(projection) = &self.projection {
            projection.request_stop();
        }
        if let Some(process) = &self.process {
            process.request_stop();
        }
    }

    /// Waits for the end of what runs.
    async fn ended(&self) {
        if let Some(projection) = &self.projection {
            projection.ended().await;
        }
        if let Some(process) = &self.process {
            process.ended().await;
        }
    }

    fn status(&self, entry: Option<&Entry>) -> PluginStatus {
        let inspection = self.plugin.inspection();
        let versions = entry.map_or(&[][..], Entry::versions);
        let this = versions.iter().find(|version| version.digest == inspection.digest);
        let shown = |version: &Version| PluginVersion {
            version: version.version.clone(),
            digest: version.digest,
            component_bytes: version.component_bytes,
            installed_at: version.installed_at,
            installed_by: version.installed_by.clone(),
            activated_at: version.activated_at,
            is_active: version.digest == inspection.digest,
        };
        PluginStatus {
            description: Arc::clone(self.plugin.description()),
            kind: inspection.kind,
            digest: inspection.digest,
            component_bytes: inspection.component_bytes,
            contract_version: inspection.contract_version.clone(),
            imports: inspection.imports.clone(),
            has_queries: inspection.has_queries,
            // It is active since the registry says so.
            installed_at: this.map_or_else(Timestamp::default, |version| version.installed_at),
            installed_by: this.and_then(|version| version.installed_by.clone()),
            activated_at: this.map_or_else(Timestamp::default, |version| version.activated_at),
            force_reason: this.and_then(|version| version.force_reason.clone()),
            versions: versions.iter().rev().map(shown).collect(),
            progress: self.projection.as_ref().map(|p| p.progress.borrow().clone()),
            usage: self.plugin.usage(),
            quarantined: QuarantinedStreams::default(),
        }
    }
}
