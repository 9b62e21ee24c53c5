//! Building a view anew beside the one that serves, comparing the two, and cutting over.
//!
//! ```text
//!  plugins/rebuild.rs      supervisor.rs                        compare.rs
//!  start, cut over,   ──►  waits until the candidate has   ──►  walks both views, then looks again
//!  cancel, roll back       caught up, compares, cuts over,      at what differed while both runners
//!  (events of the          drops the previous view when         stand at the same positions
//!  registry)               its time is over
//! ```
//! Every host runs all of it; what is decided is an event of the registry, which only one of them gets
//! to record. `report.rs` is what a comparison says, kept beside the rows of the candidate.

mod begin;
mod compare;
mod report;
mod supervisor;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::place::Position;
use annals_core::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use crate::projection::{Phase, Progress};

pub use begin::RebuildBegin;
pub use report::{
    Comparison, DifferenceCounts, DifferentRow, Differing, EXAMPLE_BYTES_MAX, EXAMPLES_MAX,
};

pub(crate) use begin::{BeginError, places_before};
pub(crate) use report::read as read_report;
pub(crate) use supervisor::Supervisor;

/// When the view that was built takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CutsOver {
    /// By itself, when it has caught up and no row differs.
    WhenEqual,
    /// By itself, when it has caught up and was compared.
    WhenCaughtUp,
    /// When somebody says so.
    OnRequest,
}

impl CutsOver {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::WhenEqual, Self::WhenCaughtUp, Self::OnRequest];

    /// As it is written, e.g. `when-equal`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::WhenEqual => "when-equal",
            Self::WhenCaughtUp => "when-caught-up",
            Self::OnRequest => "on-request",
        }
    }

    /// Whether it takes over by itself after this comparison. A view in which more is missing than
    /// before never does.
    pub(crate) const fn is_met_by(self, comparison: &Comparison) -> bool {
        if comparison.new_parked_count > comparison.old_parked_count {
            return false;
        }
        match self {
            Self::WhenEqual => comparison.counts().is_equal(),
            Self::WhenCaughtUp => true,
            Self::OnRequest => false,
        }
    }
}

/// What to build anew.
#[derive(Debug, Clone)]
pub struct RebuildRequest {
    /// The projection.
    pub name: PluginName,
    /// The component of another version; `None`: the active one.
    pub bytes: Option<Bytes>,
    /// When to cut over; `None`: when equal, and of another version, or one that begins later, when
    /// caught up.
    pub cuts_over: Option<CutsOver>,
    /// Where it begins; `None`: with the first event.
    pub begin: Option<RebuildBegin>,
    /// Who asks, as the host authenticated them.
    pub principal: Option<Arc<str>>,
}

/// What a rebuild does now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum RebuildPhase {
    /// It reads the history.
    Building,
    /// It failed and tries again.
    Failing,
    /// The two views are compared.
    Comparing,
    /// It was compared and is about to take over.
    CuttingOver,
    /// It was compared and waits until somebody says so.
    Ready,
    /// Rows differ, and nobody expected it: somebody must say what to do.
    Differs,
}

/// A rebuild, as operators see it.
#[derive(Debug, Clone)]
pub struct RebuildStatus {
    /// Semantic version of what builds.
    pub version: String,
    /// Content of its component.
    pub digest: Digest,
    /// Which of the views of that content it is.
    pub build: u32,
    /// When it was started.
    pub started_at: Timestamp,
    /// Who started it, as the host authenticated them.
    pub started_by: Option<Arc<str>>,
    /// When it takes over.
    pub cuts_over: CutsOver,
    /// Per partition: only events after this position are in it. Empty: all events are.
    pub after: Vec<Option<Position>>,
    /// What it does.
    pub phase: RebuildPhase,
    /// How far it is; `None`: it does not run on this host yet.
    pub progress: Option<Progress>,
    /// How fast it is, if it works on this host and is behind.
    pub events_per_second: Option<u64>,
    /// How it compares with what serves.
    pub comparison: Option<Comparison>,
}

/// The view that served before the last cut-over, as operators see it.
#[derive(Debug, Clone)]
pub struct PreviousView {
    /// Semantic version of what made it.
    pub version: String,
    /// Content of its component.
    pub digest: Digest,
    /// Which of the views of that content it is.
    pub build: u32,
    /// Until then it can be restored at once.
    pub until: Timestamp,
    /// How what serves now compared with it before the cut-over.
    pub comparison: Option<Comparison>,
}

/// All views of a projection.
#[derive(Debug, Clone)]
pub struct ProjectionViews {
    /// Which of the views of the active version serves.
    pub build: u32,
    /// What is built beside it.
    pub rebuild: Option<RebuildStatus>,
    /// What can be restored at once.
    pub previous: Option<PreviousView>,
}

/// What the supervisor of a candidate lets others see.
#[derive(Debug, Default)]
pub(crate) struct Supervision {
    is_comparing: AtomicBool,
    events_per_second: AtomicU64,
}

impl Supervision {
    /// The rate, if there is one.
    pub(crate) fn events_per_second(&self) -> Option<u64> {
        Some(self.events_per_second.load(Ordering::Relaxed)).filter(|rate| *rate > 0)
    }

    fn set_events_per_second(&self, rate: u64) {
        self.events_per_second.store(rate, Ordering::Relaxed);
    }

    /// What a rebuild does, by what is known of it.
    pub(crate) fn phase(
        &self,
        cuts_over: CutsOver,
        progress: Option<&Progress>,
        comparison: Option<&Comparison>,
    ) -> RebuildPhase {
        if self.is_comparing.load(Ordering::Relaxed) {
            return RebuildPhase::Comparing;
        }
        match (progress.map(|progress| &progress.phase), comparison) {
            (Some(Phase::Failing { .. }), _) => RebuildPhase::Failing,
            (_, None) => RebuildPhase::Building,
            (_, Some(comparison)) if cuts_over.is_met_by(comparison) => RebuildPhase::CuttingOver,
            (_, Some(_)) if cuts_over == CutsOver::OnRequest => RebuildPhase::Ready,
            (_, Some(_)) => RebuildPhase::Differs,
        }
    }
}
