//! Which plugins are installed and active. Plugins are data: installing and activating are events in
//! the stream `$plugins/registry`, the bytes are blobs, so a restart finds the same state.
//!
//! `log.rs` has the events and their fold; this file starts what they say, and `follow.rs` does so
//! while other hosts install.

mod follow;
mod log;

use std::collections::BTreeMap;
use std::sync::{Arc, PoisonError, RwLock};

use annals_core::error::DriverError;
use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::place::ActualRevision;
use annals_core::plugin::{Description, PluginKind};
use annals_core::port::blob_store::BlobError;
use annals_core::port::event_store::{AppendError, ReadError};
use annals_core::port::guest::{GuestPlugin, LoadError};
use annals_core::port::{BlobStore, EventStore, GuestRuntime};
use annals_core::time::{Clock, Timestamp};
use annals_core::usage::PluginUsage;
use bytes::Bytes;
use serde::Serialize;
use tokio::sync::Mutex;
use tracing::{error, info};

use crate::catalog::{ActiveAggregate, Catalog};
use crate::projection::{Progress, Projection, ProjectionError, ProjectionPorts};
use crate::shard::QuarantinedStreams;
use log::Installed;

pub(crate) use follow::Follower;

/// An installed plugin, as operators see it.
#[derive(Debug, Clone, Serialize)]
pub struct PluginStatus {
    /// What it says of itself.
    pub description: Arc<Description>,
    /// Its kind.
    pub kind: PluginKind,
    /// Content of its component.
    pub digest: Digest,
    /// Size of its component.
    pub component_bytes: usize,
    /// The contract version it was built for.
    pub contract_version: String,
    /// What it imports.
    pub imports: Vec<String>,
    /// Whether it answers named questions.
    pub has_queries: bool,
    /// When it was installed.
    pub installed_at: Timestamp,
    /// Projection: how far it is.
    pub progress: Option<Progress>,
    /// What it has used on this host since it was loaded.
    pub usage: PluginUsage,
    /// Aggregate: its streams that are refused for now.
    #[serde(skip)]
    pub quarantined: QuarantinedStreams,
}

/// What installing did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum InstallOutcome {
    /// The first version of this name.
    Installed,
    /// Took over from another version.
    Upgraded,
    /// Was active already; nothing happened.
    Unchanged,
}

/// Why a plugin was not installed. Nothing changed.
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
    /// This host does not run plugins of the kind.
    #[error("this version of annals runs aggregates and projections, not plugins of kind `{kind}`")]
    UnsupportedKind {
        /// The kind.
        kind: PluginKind,
    },
    /// Its projection does not start.
    #[error(transparent)]
    Projection(#[from] ProjectionError),
    /// What is installed already cannot be found out.
    #[error(transparent)]
    Registry(#[from] RestoreError),
    /// Other hosts kept installing plugins first.
    #[error("other hosts installed plugins {attempts} times in a row; install it again")]
    Contended {
        /// How often it was tried.
        attempts: u32,
    },
    /// Its bytes cannot be kept.
    #[error("the component cannot be kept")]
    Blob(#[source] BlobError),
    /// The log does not take the event.
    #[error("the installation cannot be recorded")]
    Record(#[source] AppendError),
    /// The event may be recorded or not; installing again is safe.
    #[error("nobody knows whether the installation was recorded; install it again")]
    OutcomeUnknown(#[source] DriverError),
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
    pub(crate) projections: ProjectionPorts,
}

/// The installed plugins.
#[derive(Debug)]
pub(crate) struct Registry {
    ports: RegistryPorts,
    active: RwLock<BTreeMap<PluginName, Active>>,
    /// Held while a plugin is installed or started: one at a time, in the order of the log.
    installing: Mutex<Installing>,
}

/// How far this host has followed the registry.
#[derive(Debug, Default)]
struct Installing {
    /// Counts activations.
    generation: u64,
    /// Where the registry's stream ended when it was read last.
    revision: ActualRevision,
    /// What is installed and did not start here, for a reason that may pass.
    waiting: BTreeMap<PluginName, Installed>,
}

/// How often an installation is tried again when other hosts install at the same time.
const INSTALL_ATTEMPTS_MAX: u32 = 5;

#[derive(Debug)]
struct Active {
    plugin: Arc<dyn GuestPlugin>,
    installed_at: Timestamp,
    projection: Option<Arc<Projection>>,
}

impl Registry {
    pub(crate) fn new(ports: RegistryPorts) -> Self {
        Self { ports, active: RwLock::default(), installing: Mutex::default() }
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
        let (news, revision) = log::read(&*self.ports.store, installing.revision).await?;
        installing.revision = revision;
        installing.waiting.extend(news);
        for (name, installed) in std::mem::take(&mut installing.waiting) {
            if self.is_active(&name, installed.digest) {
                continue;
            }
            installing.generation += 1;
            let started = self.start(catalog, &installed, installing.generation).await;
            let Err(error) = started else { continue };
            let may_pass = error.may_pass();
            let error = annals_core::error::ErrorChain(&error).to_string();
            error!(plugin = %name, error, may_pass, "plugin does not start");
            if may_pass {
                installing.waiting.insert(name, installed);
            }
        }
        Ok(())
    }

    async fn start(
        &self,
        catalog: &Catalog,
        installed: &Installed,
        generation: u64,
    ) -> Result<(), InstallError> {
        let digest = installed.digest;
        let bytes = self.ports.blobs.get(digest).await.map_err(InstallError::Blob)?;
        let bytes = bytes.ok_or(InstallError::Blob(BlobError::Damaged { digest }))?;
        let plugin = self.load(bytes).await?;
        let prepared = self.prepare(plugin, installed.installed_at).await?;
        self.activate(catalog, prepared, generation);
        info!(plugin = %installed.name, digest = %digest.short(), "plugin started");
        Ok(())
    }

    fn is_active(&self, name: &PluginName, digest: Digest) -> bool {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.get(name).is_some_and(|active| active.plugin.inspection().digest == digest)
    }

    /// Checks, compiles and activates a plugin, and records it.
    pub(crate) async fn install(
        &self,
        catalog: &Catalog,
        name: Option<&PluginName>,
        bytes: Bytes,
        principal: Option<Arc<str>>,
    ) -> Result<(InstallOutcome, PluginStatus), InstallError> {
        let plugin = self.load(bytes.clone()).await?;
        let described = plugin.description().name.clone();
        if let Some(asked) = name.filter(|asked| **asked != described) {
            return Err(InstallError::OtherName { asked: asked.clone(), described });
        }
        let mut installing = self.installing.lock().await;
        for _ in 0..INSTALL_ATTEMPTS_MAX {
            // What another host has installed decides what this installation is.
            self.follow(catalog, &mut installing).await?;
            let outcome = self.outcome_of_installing(&*plugin)?;
            if outcome != InstallOutcome::Unchanged {
                self.ports.blobs.put(bytes.clone()).await.map_err(InstallError::Blob)?;
                let recorded =
                    self.record(catalog, &plugin, &mut installing, principal.clone()).await?;
                if !recorded {
                    continue;
                }
            }
            let status = self.status(&described).ok_or(InstallError::Stopping)?;
            return Ok((outcome, status));
        }
        Err(InstallError::Contended { attempts: INSTALL_ATTEMPTS_MAX })
    }

    /// Records an installation and activates it; returns whether it did, or another host recorded
    /// one first.
    async fn record(
        &self,
        catalog: &Catalog,
        plugin: &Arc<dyn GuestPlugin>,
        installing: &mut Installing,
        principal: Option<Arc<str>>,
    ) -> Result<bool, InstallError> {
        let now = self.ports.clock.now();
        let event = Installed::of(&**plugin, now);
        // Started before it is recorded: a projection that cannot start is not installed. Active
        // after it is recorded: what serves is in the log.
        let prepared = self.prepare(Arc::clone(plugin), now).await?;
        let store = &*self.ports.store;
        match log::append(store, &event, installing.revision, principal).await {
            Ok(Some(revision)) => installing.revision = revision,
            Ok(None) => {
                prepared.request_stop();
                return Ok(false);
            }
            Err(error) => {
                prepared.request_stop();
                return Err(error);
            }
        }
        installing.generation += 1;
        installing.waiting.remove(&event.name);
        self.activate(catalog, prepared, installing.generation);
        info!(plugin = %event.name, digest = %event.digest.short(), "plugin installed");
        Ok(true)
    }

    fn outcome_of_installing(
        &self,
        plugin: &dyn GuestPlugin,
    ) -> Result<InstallOutcome, InstallError> {
        let inspection = plugin.inspection();
        let kind = inspection.kind;
        if !matches!(kind, PluginKind::Aggregate | PluginKind::Projection) {
            return Err(InstallError::UnsupportedKind { kind });
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

    async fn prepare(
        &self,
        plugin: Arc<dyn GuestPlugin>,
        installed_at: Timestamp,
    ) -> Result<Active, InstallError> {
        let projection = match plugin.inspection().kind {
            PluginKind::Projection => {
                let ports = self.ports.projections.clone();
                Some(Arc::new(Projection::start(Arc::clone(&plugin), ports).await?))
            }
            PluginKind::Aggregate => None,
            kind => return Err(InstallError::UnsupportedKind { kind }),
        };
        Ok(Active { plugin, installed_at, projection })
    }

    fn activate(&self, catalog: &Catalog, prepared: Active, generation: u64) {
        let name = prepared.plugin.description().name.clone();
        if prepared.projection.is_none() {
            catalog.activate(ActiveAggregate::new(Arc::clone(&prepared.plugin), generation));
        }
        let before = {
            let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
            active.insert(name, prepared)
        };
        if let Some(before) = before {
            before.request_stop();
        }
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
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.values().map(Active::status).collect()
    }

    pub(crate) fn status(&self, name: &PluginName) -> Option<PluginStatus> {
        let active = self.active.read().unwrap_or_else(PoisonError::into_inner);
        active.get(name).map(Active::status)
    }

    /// Ends every projection after its batch.
    pub(crate) async fn stop(&self) {
        // Nothing is installed any more once this is held.
        let _installing = self.installing.lock().await;
        let all = {
            let mut active = self.active.write().unwrap_or_else(PoisonError::into_inner);
            std::mem::take(&mut *active)
        };
        let projections: Vec<_> = all.into_values().filter_map(|a| a.projection).collect();
        for projection in &projections {
            projection.request_stop();
        }
        for projection in projections {
            projection.ended().await;
        }
    }
}

impl InstallError {
    /// Whether what was installed may start later.
    const fn may_pass(&self) -> bool {
        matches!(
            self,
            Self::Blob(BlobError::Unavailable(_))
                | Self::Projection(ProjectionError::View { .. } | ProjectionError::Start { .. })
        )
    }
}

impl Active {
    fn request_stop(&self) {
        if let Some(projection) = &self.projection {
            projection.request_stop();
        }
    }

    fn status(&self) -> PluginStatus {
        let inspection = self.plugin.inspection();
        PluginStatus {
            description: Arc::clone(self.plugin.description()),
            kind: inspection.kind,
            digest: inspection.digest,
            component_bytes: inspection.component_bytes,
            contract_version: inspection.contract_version.clone(),
            imports: inspection.imports.clone(),
            has_queries: inspection.has_queries,
            installed_at: self.installed_at,
            progress: self.projection.as_ref().map(|p| p.progress.borrow().clone()),
            usage: self.plugin.usage(),
            quarantined: QuarantinedStreams::default(),
        }
    }
}
