//! The registry's events and what they add up to.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals_core::commit::Commit;
use annals_core::error::DriverError;
use annals_core::event::{NewEvent, Origin, RecordedEvent};
use annals_core::id::Digest;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::name::{Category, EventType, PluginName};
use annals_core::place::{ActualRevision, ExpectedRevision, Partition};
use annals_core::plugin::PluginKind;
use annals_core::port::EventStore;
use annals_core::port::event_store::{AppendError, Direction};
use annals_core::port::guest::GuestPlugin;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{InstallError, RestoreError};

const INSTALLED: &str = "plugin-installed";

/// A plugin was installed and is active from now on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Installed {
    pub(super) name: PluginName,
    pub(super) kind: PluginKind,
    pub(super) version: String,
    pub(super) digest: Digest,
    pub(super) component_bytes: usize,
    pub(super) installed_at: Timestamp,
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
        }
    }
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

/// Records an installation, durably, if the registry still ends at `before`; returns where it ends
/// then, or `None` when it does not.
pub(super) async fn append(
    store: &dyn EventStore,
    event: &Installed,
    before: ActualRevision,
    principal: Option<Arc<str>>,
) -> Result<Option<ActualRevision>, InstallError> {
    let invalid = |error: DriverError| InstallError::Record(AppendError::Unavailable(error));
    let data = serde_json::to_vec(event)
        .map_err(|error| invalid(DriverError::with_source("no JSON", error)))?;
    let event_type = EventType::new(INSTALLED)
        .map_err(|error| invalid(DriverError::with_source("no name", error)))?;
    let stream = stream().map_err(invalid)?;
    let events = vec![NewEvent::json(event_type, data)];
    let expected = ExpectedRevision::at(before);
    let mut commit = Commit::plain(stream, expected, events, event.installed_at);
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

/// What was installed after the registry's stream ended at `after`, by name, and where it ends now.
pub(super) async fn read(
    store: &dyn EventStore,
    mut after: ActualRevision,
) -> Result<(BTreeMap<PluginName, Installed>, ActualRevision), RestoreError> {
    let damaged = |error: DriverError| RestoreError::Damaged { cause: error.to_string() };
    let stream = stream().map_err(damaged)?;
    let mut active = BTreeMap::new();
    let mut from = after.next();
    loop {
        let page = store.read_stream(&stream, from, READ_EVENTS_MAX, Direction::Forwards).await;
        let page = page.map_err(RestoreError::Read)?;
        for event in &page.events {
            apply(&mut active, event)?;
            after = event.revision.into();
        }
        match page.next {
            Some(next) => from = next,
            None => return Ok((active, after)),
        }
    }
}

fn apply(
    active: &mut BTreeMap<PluginName, Installed>,
    event: &RecordedEvent,
) -> Result<(), RestoreError> {
    let damaged = |cause: String| RestoreError::Damaged {
        cause: format!("revision {} is {cause}", event.revision),
    };
    if event.event_type.as_str() != INSTALLED {
        return Err(damaged(format!("of unknown type `{}`", event.event_type)));
    }
    let installed: Installed = serde_json::from_slice(&event.data)
        .map_err(|error| damaged(format!("not readable ({error})")))?;
    active.insert(installed.name.clone(), installed);
    Ok(())
}
