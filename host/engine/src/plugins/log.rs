//! The registry's events, in the stream `$plugins/registry`.
//!
//! | event | means |
//! | --- | --- |
//! | `plugin-installed` | a version came, or came again, and is active from now on |
//! | `plugin-activated` | a version that was kept is active again: a roll back |
//! | `plugin-removed` | nothing of the name is active any more |
//! | `projection-rebuild-started` | a view is built beside the one that serves |
//! | `projection-cut-over` | the view that was built serves, and the one that did is still followed |
//! | `projection-rebuild-cancelled` | the view is no longer built |
//! | `projection-rolled-back` | the view that served before the cut-over serves again |
//! | `projection-previous-dropped` | the view that served before is no longer followed |
//!
//! Those of projections are in `log/rebuilds.rs`. Members that later versions added have defaults, so
//! that every registry stays readable.

mod rebuilds;

use std::sync::Arc;

use annals_core::commit::Commit;
use annals_core::error::DriverError;
use annals_core::event::{NewEvent, Origin, RecordedEvent};
use annals_core::id::Digest;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::name::{Category, EventType, PluginName};
use annals_core::place::{ActualRevision, ExpectedRevision, Partition, Revision};
use annals_core::plugin::PluginKind;
use annals_core::port::EventStore;
use annals_core::port::event_store::{AppendError, Direction, StreamPage};
use annals_core::port::guest::GuestPlugin;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{ForceReason, InstallError, RestoreError};

pub(super) use rebuilds::{
    PreviousDropped, RebuildCancelled, RebuildEvent, RebuildStarted, ViewCutOver, ViewRolledBack,
};

const INSTALLED: &str = "plugin-installed";
const ACTIVATED: &str = "plugin-activated";
const REMOVED: &str = "plugin-removed";

/// What happened to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum RegistryEvent {
    Installed(Installed),
    Activated(Activated),
    Removed(Removed),
    Rebuild(RebuildEvent),
}

/// A version came and is active from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Installed {
    pub(super) name: PluginName,
    pub(super) kind: PluginKind,
    pub(super) version: String,
    pub(super) digest: Digest,
    pub(super) component_bytes: usize,
    pub(super) installed_at: Timestamp,
    /// Older versions that are no longer kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(super) dropped: Vec<Digest>,
    /// Why it was installed in spite of what the gate would say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) force_reason: Option<ForceReason>,
}

/// A version that was kept is active from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Activated {
    pub(super) name: PluginName,
    pub(super) digest: Digest,
    pub(super) activated_at: Timestamp,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) force_reason: Option<ForceReason>,
}

/// No version is active any more.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Removed {
    pub(super) name: PluginName,
    pub(super) removed_at: Timestamp,
    /// Whether its views were to be deleted.
    #[serde(default)]
    pub(super) deletes_views: bool,
}

impl Installed {
    pub(super) fn of(plugin: &dyn GuestPlugin, installed_at: Timestamp) -> Self {
        let (inspection, description) = (plugin.inspection(), plugin.description());
        Self {
            name: description.name.clone(),
            kind: inspection.kind,
            version: description.version.clone(),
            digest: inspection.digest,
            component_bytes: inspection.component_bytes,
            installed_at,
            dropped: Vec::new(),
            force_reason: None,
        }
    }
}

impl RegistryEvent {
    pub(super) const fn name(&self) -> &PluginName {
        match self {
            Self::Installed(event) => &event.name,
            Self::Activated(event) => &event.name,
            Self::Removed(event) => &event.name,
            Self::Rebuild(event) => event.name(),
        }
    }

    const fn event_type(&self) -> &'static str {
        match self {
            Self::Installed(_) => INSTALLED,
            Self::Activated(_) => ACTIVATED,
            Self::Removed(_) => REMOVED,
            Self::Rebuild(event) => event.event_type(),
        }
    }

    const fn at(&self) -> Timestamp {
        match self {
            Self::Installed(event) => event.installed_at,
            Self::Activated(event) => event.activated_at,
            Self::Removed(event) => event.removed_at,
            Self::Rebuild(event) => event.at(),
        }
    }

    fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Installed(event) => serde_json::to_vec(event),
            Self::Activated(event) => serde_json::to_vec(event),
            Self::Removed(event) => serde_json::to_vec(event),
            Self::Rebuild(event) => event.to_json(),
        }
    }

    pub(super) fn parse(event: &RecordedEvent) -> Result<Self, RestoreError> {
        if let Some(parsed) = RebuildEvent::parse(event) {
            return parsed;
        }
        let parsed = match event.event_type.as_str() {
            INSTALLED => serde_json::from_slice(&event.data).map(Self::Installed),
            ACTIVATED => serde_json::from_slice(&event.data).map(Self::Activated),
            REMOVED => serde_json::from_slice(&event.data).map(Self::Removed),
            other => return Err(damaged(event.revision, &format!("of unknown type `{other}`"))),
        };
        parsed.map_err(|error| not_readable(event.revision, &error))
    }
}

fn not_readable(revision: Revision, error: &serde_json::Error) -> RestoreError {
    damaged(revision, &format!("not readable ({error})"))
}

/// What is wrong with an event of the registry.
pub(super) fn damaged(revision: Revision, what: &str) -> RestoreError {
    RestoreError::Damaged { cause: format!("revision {revision} is {what}") }
}

fn stream() -> Result<StreamId, DriverError> {
    let invalid = |error| DriverError::with_source("no name for the registry", error);
    let category = Category::system("plugins").map_err(invalid)?;
    StreamId::new(&category, "registry")
        .map_err(|error| DriverError::with_source("no name for the registry", error))
}

/// The partition of the feed that has the registry's events.
pub(super) fn partition(store: &dyn EventStore) -> Partition {
    stream().map_or(Partition::ZERO, |stream| store.capabilities().partition_of(&stream))
}

/// Records an event, durably, if the registry still ends at `before`; returns where it ends then, or
/// `None` when it does not.
pub(super) async fn append(
    store: &dyn EventStore,
    event: &RegistryEvent,
    before: ActualRevision,
    principal: Option<Arc<str>>,
) -> Result<Option<ActualRevision>, InstallError> {
    let invalid = |error: DriverError| InstallError::Record(AppendError::Unavailable(error));
    let data = event.to_json();
    let data = data.map_err(|error| invalid(DriverError::with_source("no JSON", error)))?;
    let event_type = EventType::new(event.event_type())
        .map_err(|error| invalid(DriverError::with_source("no name", error)))?;
    let stream = stream().map_err(invalid)?;
    let events = vec![NewEvent::json(event_type, data)];
    let expected = ExpectedRevision::at(before);
    let mut commit = Commit::plain(stream, expected, events, event.at());
    commit.origin = Arc::new(Origin { principal, ..Origin::default() });
    let accepted = match store.append(commit).await {
        Ok(accepted) => accepted,
        Err(AppendError::WrongExpectedRevision { .. }) => return Ok(None),
        Err(AppendError::OutcomeUnknown(source)) => {
            return Err(InstallError::OutcomeUnknown(source));
        }
        Err(error) => return Err(InstallError::Record(error)),
    };
    let after = accepted.receipt.streams.first().map(|receipt| receipt.revision);
    accepted.durability.wait().await.map_err(|lost| {
        InstallError::OutcomeUnknown(DriverError::with_source("not durable", lost))
    })?;
    Ok(Some(after.unwrap_or(before)))
}

/// A page of the registry's events from `from` on (inclusive).
pub(super) async fn read(
    store: &dyn EventStore,
    from: Revision,
    direction: Direction,
) -> Result<StreamPage, RestoreError> {
    let damaged = |error: DriverError| RestoreError::Damaged { cause: error.to_string() };
    let stream = stream().map_err(damaged)?;
    let page = store.read_stream(&stream, from, READ_EVENTS_MAX, direction).await;
    page.map_err(RestoreError::Read)
}
