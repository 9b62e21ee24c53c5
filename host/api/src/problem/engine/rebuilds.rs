//! Why a view is not built anew, cut over or restored.

use annals_engine::plugins::InstallError;

use crate::problem::{Code, Problem};

/// The problem of one of the variants about rebuilds.
pub(super) fn problem(error: &InstallError, text: &str) -> Problem {
    let (code, next) = match error {
        InstallError::UnknownProjection { known, .. } => {
            let text = format!("{text}. Use one of `known`, or install its plugin.");
            return Problem::new(Code::UnknownProjection, text).with("known", known.as_slice());
        }
        InstallError::BadBegin { .. } => {
            (Code::BadRebuildBegin, "Leave it away to begin with the first event.")
        }
        InstallError::RebuildUnderWay { .. } => (
            Code::RebuildUnderWay,
            "Wait until it has taken over, cut it over, or cancel it first.",
        ),
        InstallError::NoRebuild { .. } => (Code::NoRebuild, "Start a rebuild first."),
        InstallError::RebuildNotReady { .. } => (
            Code::RebuildNotReady,
            "Wait until its `comparison` is there; the old view serves meanwhile.",
        ),
        InstallError::NoPreviousView { .. } => (
            Code::NoPreviousView,
            "Rebuild the projection, with the component of an older version if need be.",
        ),
        _ => return super::internal().caused_by(error),
    };
    Problem::new(code, format!("{text}. {next}"))
}
