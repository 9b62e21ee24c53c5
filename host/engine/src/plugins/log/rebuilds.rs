//! The registry's events about views that are built beside those that serve.

use annals_core::event::RecordedEvent;
use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::place::Position;
use annals_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{RegistryEvent, RestoreError, not_readable};
use crate::rebuild::{CutsOver, DifferenceCounts};

const STARTED: &str = "projection-rebuild-started";
const CUT_OVER: &str = "projection-cut-over";
const CANCELLED: &str = "projection-rebuild-cancelled";
const ROLLED_BACK: &str = "projection-rolled-back";
const PREVIOUS_DROPPED: &str = "projection-previous-dropped";

/// What happened to the views of a projection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::plugins) enum RebuildEvent {
    Started(RebuildStarted),
    CutOver(ViewCutOver),
    Cancelled(RebuildCancelled),
    RolledBack(ViewRolledBack),
    PreviousDropped(PreviousDropped),
}

/// A view is built beside the one that serves.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugins) struct RebuildStarted {
    pub(in crate::plugins) name: PluginName,
    pub(in crate::plugins) version: String,
    pub(in crate::plugins) digest: Digest,
    pub(in crate::plugins) component_bytes: usize,
    pub(in crate::plugins) build: u32,
    pub(in crate::plugins) cuts_over: CutsOver,
    pub(in crate::plugins) started_at: Timestamp,
    /// Per partition, in their order: only events after this position. Empty: all events.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::plugins) after: Vec<Option<Position>>,
}

/// The view that was built serves, and the one that did is still followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugins) struct ViewCutOver {
    pub(in crate::plugins) name: PluginName,
    pub(in crate::plugins) digest: Digest,
    pub(in crate::plugins) build: u32,
    pub(in crate::plugins) cut_over_at: Timestamp,
    /// Until then the view that served can be restored at once.
    pub(in crate::plugins) previous_until: Timestamp,
    /// How the two differed. No rows: they may hold what must not be kept for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(in crate::plugins) differences: Option<DifferenceCounts>,
    /// Older versions that are no longer kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::plugins) dropped: Vec<Digest>,
}

/// The view is no longer built.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugins) struct RebuildCancelled {
    pub(in crate::plugins) name: PluginName,
    pub(in crate::plugins) digest: Digest,
    pub(in crate::plugins) build: u32,
    pub(in crate::plugins) cancelled_at: Timestamp,
}

/// The view that served before the cut-over serves again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugins) struct ViewRolledBack {
    pub(in crate::plugins) name: PluginName,
    pub(in crate::plugins) digest: Digest,
    pub(in crate::plugins) build: u32,
    pub(in crate::plugins) rolled_back_at: Timestamp,
}

/// The view that served before the cut-over is no longer followed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(in crate::plugins) struct PreviousDropped {
    pub(in crate::plugins) name: PluginName,
    pub(in crate::plugins) digest: Digest,
    pub(in crate::plugins) build: u32,
    pub(in crate::plugins) dropped_at: Timestamp,
    /// Older versions that are no longer kept.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub(in crate::plugins) dropped: Vec<Digest>,
}

impl RebuildEvent {
    pub(super) const fn name(&self) -> &PluginName {
        match self {
            Self::Started(event) => &event.name,
            Self::CutOver(event) => &event.name,
            Self::Cancelled(event) => &event.name,
            Self::RolledBack(event) => &event.name,
            Self::PreviousDropped(event) => &event.name,
        }
    }

    pub(super) const fn event_type(&self) -> &'static str {
        match self {
            Self::Started(_) => STARTED,
            Self::CutOver(_) => CUT_OVER,
            Self::Cancelled(_) => CANCELLED,
            Self::RolledBack(_) => ROLLED_BACK,
            Self::PreviousDropped(_) => PREVIOUS_DROPPED,
        }
    }

    pub(super) const fn at(&self) -> Timestamp {
        match self {
            Self::Started(event) => event.started_at,
            Self::CutOver(event) => event.cut_over_at,
            Self::Cancelled(event) => event.cancelled_at,
            Self::RolledBack(event) => event.rolled_back_at,
            Self::PreviousDropped(event) => event.dropped_at,
        }
    }

    pub(super) fn to_json(&self) -> Result<Vec<u8>, serde_json::Error> {
        match self {
            Self::Started(event) => serde_json::to_vec(event),
            Self::CutOver(event) => serde_json::to_vec(event),
            Self::Cancelled(event) => serde_json::to_vec(event),
            Self::RolledBack(event) => serde_json::to_vec(event),
            Self::PreviousDropped(event) => serde_json::to_vec(event),
        }
    }

    /// `None`: it is about something else.
    pub(super) fn parse(event: &RecordedEvent) -> Option<Result<RegistryEvent, RestoreError>> {
        let data = &*event.data;
        let parsed = match event.event_type.as_str() {
            STARTED => serde_json::from_slice(data).map(Self::Started),
            CUT_OVER => serde_json::from_slice(data).map(Self::CutOver),
            CANCELLED => serde_json::from_slice(data).map(Self::Cancelled),
            ROLLED_BACK => serde_json::from_slice(data).map(Self::RolledBack),
            PREVIOUS_DROPPED => serde_json::from_slice(data).map(Self::PreviousDropped),
            _ => return None,
        };
        let parsed = parsed.map(RegistryEvent::Rebuild);
        Some(parsed.map_err(|error| not_readable(event.revision, &error)))
    }
}
