//! What is wrong with a version of a plugin, as seen from what is recorded and kept.

use annals_engine::plugins::{InstallError, UnreadableEvents};
use serde::Serialize;

use crate::json;
use crate::problem::{Code, Member, Problem};

/// Events that a version does not read.
#[derive(Serialize)]
struct UnreadableJson<'a> {
    category: &'a str,
    r#type: &'a str,
    schema_version: u32,
    events_count: u64,
}

impl<'a> From<&'a UnreadableEvents> for UnreadableJson<'a> {
    fn from(events: &'a UnreadableEvents) -> Self {
        Self {
            category: &events.category,
            r#type: events.event_type.as_str(),
            schema_version: events.schema_version.0,
            events_count: events.events_count,
        }
    }
}

/// The problem of one of the variants about versions.
pub(super) fn problem(error: &InstallError, text: String) -> Problem {
    match error {
        InstallError::UnreadableHistory { unreadable, version, .. } => {
            let text =
                format!("{text}. With `force=true` and a `reason` it is activated nevertheless.");
            let problem =
                Problem::new(Code::UnreadableHistory, text).with("version", version.as_str());
            with_unreadable(problem, unreadable)
        }
        InstallError::NeededUpcaster { reader, unreadable, .. } => {
            let text = format!(
                "{text}. First install a version of `{reader}` that reads them itself, or remove it."
            );
            let problem = Problem::new(Code::UpcasterNeeded, text);
            with_unreadable(problem.with("reader", reader.as_str()), unreadable)
        }
        InstallError::UnknownPlugin { known, .. } => {
            let text = format!("{text}. Use one of `known`, or install it.");
            Problem::new(Code::UnknownPlugin, text).with("known", known.as_slice())
        }
        InstallError::NoVersionBefore { .. } => Problem::new(
            Code::NoVersionBefore,
            format!("{text}. Name the version to activate by its `digest`, or install it."),
        ),
        InstallError::VersionNotKept { kept, .. } => {
            let text = format!("{text}. Use one of `kept`, or install it again.");
            Problem::new(Code::VersionNotKept, text).with("kept", kept.as_slice())
        }
        _ => super::internal().caused_by(error),
    }
}

fn with_unreadable(problem: Problem, unreadable: &[UnreadableEvents]) -> Problem {
    let unreadable: Vec<_> = unreadable.iter().map(UnreadableJson::from).collect();
    match json::to_vec(&unreadable) {
        Ok(unreadable) => problem.with("unreadable", Member::Raw(unreadable.into())),
        Err(_) => problem,
    }
}
