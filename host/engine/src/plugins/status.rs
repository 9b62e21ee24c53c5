//! What operators see of plugins, and what they may say.

use std::fmt;
use std::sync::Arc;

use annals_core::event::SchemaVersion;
use annals_core::id::Digest;
use annals_core::name::{EventType, PluginName};
use annals_core::place::Revision;
use annals_core::plugin::{Description, PluginKind};
use annals_core::time::Timestamp;
use annals_core::usage::PluginUsage;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::changes::Change;
use crate::projection::Progress;
use crate::rebuild::DifferenceCounts;
use crate::shard::QuarantinedStreams;

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
    /// Who installed it, as the host authenticated them.
    pub installed_by: Option<Arc<str>>,
    /// Since when it is active: later than `installed_at` after a roll back.
    pub activated_at: Timestamp,
    /// Why it was activated in spite of what the gate would say.
    pub force_reason: Option<ForceReason>,
    /// The versions that are kept, the newest activation first; the first one is active.
    pub versions: Vec<PluginVersion>,
    /// Projection: how far it is.
    pub progress: Option<Progress>,
    /// What it has used on this host since it was loaded.
    pub usage: PluginUsage,
    /// Aggregate: its streams that are refused for now.
    #[serde(skip)]
    pub quarantined: QuarantinedStreams,
}

/// A version of a plugin that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PluginVersion {
    /// Its semantic version.
    pub version: String,
    /// Content of its component.
    pub digest: Digest,
    /// Size of its component.
    pub component_bytes: usize,
    /// When it was installed last.
    pub installed_at: Timestamp,
    /// Who installed it, as the host authenticated them.
    pub installed_by: Option<Arc<str>>,
    /// When it was activated last.
    pub activated_at: Timestamp,
    /// Whether it is the one that runs.
    pub is_active: bool,
}

/// What to install.
#[derive(Debug, Clone, Default)]
pub struct InstallRequest {
    /// The name it must have; `None`: its own.
    pub name: Option<PluginName>,
    /// The component.
    pub bytes: Bytes,
    /// Who asks, as the host authenticated them.
    pub principal: Option<Arc<str>>,
    /// Why to do so although the history is not readable; `None`: not then.
    pub force: Option<ForceReason>,
}

/// What to roll back.
#[derive(Debug, Clone)]
pub struct RollBackRequest {
    /// The plugin.
    pub name: PluginName,
    /// The version to activate; `None`: the one that was active before.
    pub digest: Option<Digest>,
    /// Who asks, as the host authenticated them.
    pub principal: Option<Arc<str>>,
    /// Why to do so although the history is not readable; `None`: not then.
    pub force: Option<ForceReason>,
}

/// What to remove.
#[derive(Debug, Clone)]
pub struct RemoveRequest {
    /// The plugin.
    pub name: PluginName,
    /// Whether the views of all its versions go as well.
    pub deletes_views: bool,
    /// Who asks, as the host authenticated them.
    pub principal: Option<Arc<str>>,
}

/// A plugin that is active now.
#[derive(Debug, Clone)]
pub struct Activation {
    /// What activating it was.
    pub outcome: InstallOutcome,
    /// The plugin.
    pub plugin: PluginStatus,
    /// How its commands and events differ from those of the version before.
    pub changes: Vec<Change>,
    /// Events it may record that active plugins want and cannot read in this version: these will fail
    /// on the first one.
    pub unread: Vec<UnreadEvents>,
}

/// Events that a plugin wants and cannot read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct UnreadEvents {
    /// The plugin that wants them.
    pub reader: PluginName,
    /// Their type.
    pub event_type: EventType,
    /// Shape of their data.
    pub schema_version: SchemaVersion,
}

/// What activating a version was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum InstallOutcome {
    /// The first version of this name.
    Installed,
    /// Took over from another version.
    Upgraded,
    /// A version that was kept took over again.
    RolledBack,
    /// Was active already; nothing happened.
    Unchanged,
}

impl InstallOutcome {
    /// As it is written, e.g. `rolled-back`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Installed => "installed",
            Self::Upgraded => "upgraded",
            Self::RolledBack => "rolled-back",
            Self::Unchanged => "unchanged",
        }
    }
}

/// A plugin that is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Removal {
    /// The plugin.
    pub name: PluginName,
    /// Of how many versions a view was deleted, the instances of a process manager counted as one.
    pub deleted_views_count: usize,
    /// Whether the instances of a process manager were deleted.
    pub has_deleted_instances: bool,
}

/// What happened to a plugin, as the registry's stream has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryEntry {
    /// Its place in the registry's stream.
    pub revision: Revision,
    /// When it happened.
    pub at: Timestamp,
    /// Who asked for it, as the host authenticated them.
    pub principal: Option<Arc<str>>,
    /// What happened.
    pub event: HistoryEvent,
}

/// What happened to a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HistoryEvent {
    /// A version was installed and activated.
    Installed {
        /// The version.
        version: String,
        /// Content of its component.
        digest: Digest,
        /// Why it was done in spite of what the gate would say.
        force_reason: Option<ForceReason>,
    },
    /// A version that was kept was activated again.
    Activated {
        /// The version; `None` when it was installed before the events that were read.
        version: Option<String>,
        /// Content of its component.
        digest: Digest,
        /// Why it was done in spite of what the gate would say.
        force_reason: Option<ForceReason>,
    },
    /// A view was begun beside the one that serves.
    RebuildStarted {
        /// The version that makes it.
        version: String,
        /// Content of its component.
        digest: Digest,
        /// Which of the views of that content.
        build: u32,
    },
    /// The view that was built serves from then on.
    CutOver {
        /// The version that made it; `None` when it is no longer kept.
        version: Option<String>,
        /// Content of its component.
        digest: Digest,
        /// Which of the views of that content.
        build: u32,
        /// How it differed from the one that served.
        differences: Option<DifferenceCounts>,
    },
    /// The view was no longer built.
    RebuildCancelled {
        /// Content of the component that made it.
        digest: Digest,
        /// Which of the views of that content.
        build: u32,
    },
    /// The view that served before the cut-over served again.
    ViewRolledBack {
        /// The version that made it; `None` when it is no longer kept.
        version: Option<String>,
        /// Content of its component.
        digest: Digest,
        /// Which of the views of that content.
        build: u32,
    },
    /// The view that served before the cut-over was no longer followed.
    PreviousDropped {
        /// Content of the component that made it.
        digest: Digest,
        /// Which of the views of that content.
        build: u32,
    },
    /// The plugin was removed.
    Removed {
        /// Whether its views were to be deleted.
        deletes_views: bool,
    },
}

/// A page of the history of a plugin, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryPage {
    /// What happened.
    pub entries: Vec<HistoryEntry>,
    /// Where the next page begins; `None`: there is nothing older.
    pub next: Option<Revision>,
}

/// Longest reason, in bytes: a paragraph that says what was considered.
pub const FORCE_REASON_BYTES_MAX: usize = 1_024;

/// Why something is done in spite of what the gate says: 1 to [`FORCE_REASON_BYTES_MAX`] bytes of
/// text, not all of it white space.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct ForceReason(Arc<str>);

/// A text that is no reason.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a reason has 1 to 1024 bytes of text")]
pub struct BadForceReason;

impl ForceReason {
    /// A reason.
    ///
    /// # Errors
    /// [`BadForceReason`] when it is empty or too long.
    pub fn new(text: &str) -> Result<Self, BadForceReason> {
        let is_reason = !text.trim().is_empty() && text.len() <= FORCE_REASON_BYTES_MAX;
        if is_reason { Ok(Self(Arc::from(text))) } else { Err(BadForceReason) }
    }

    /// The reason as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for ForceReason {
    type Error = BadForceReason;

    fn try_from(text: String) -> Result<Self, BadForceReason> {
        Self::new(&text)
    }
}

impl From<ForceReason> for String {
    fn from(reason: ForceReason) -> Self {
        reason.as_str().to_owned()
    }
}

impl fmt::Display for ForceReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_says_something_and_ends() {
        // Guards what is kept for ever: the limit itself is a reason, one byte more is none.
        let longest = "x".repeat(FORCE_REASON_BYTES_MAX);
        assert_eq!(ForceReason::new(&longest).map(String::from), Ok(longest.clone()));
        for bad in ["", " \n", &format!("{longest}x")] {
            assert_eq!(ForceReason::new(bad), Err(BadForceReason));
        }
    }
}
