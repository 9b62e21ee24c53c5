//! The engine's errors as problems.

mod rebuilds;
mod versions;

use annals_core::error::ErrorChain;
use annals_core::port::guest::GuestFailure;
use annals_core::stream::InvalidStreamId;
use annals_engine::QuarantinedStream;
use annals_engine::command::CommandError;
use annals_engine::plugins::{InstallError, RestoreError};
use annals_engine::process::ProcessError;
use annals_engine::process::status::ProcessQueryError;
use annals_engine::projection::ProjectionError;
use annals_engine::state::StateError;
use annals_engine::upcast::{UpcastError, UpcastFault, UpcastReadError};
use annals_engine::verify::VerifyError;
use annals_engine::view::ViewError;

use super::store::{self, wrong_expected_revision};
use super::{Code, Problem};
use crate::request::query::bad;

pub(crate) const STOPPING: &str = "The host is stopping. Try again when it is back.";

impl From<CommandError> for Problem {
    fn from(error: CommandError) -> Self {
        let text = sentence(&error);
        match &error {
            CommandError::UnknownAggregate { known, .. } => Self::new(
                Code::UnknownAggregate,
                format!("{text}. Use one of `known`, or install its plugin."),
            )
            .with("known", known.as_slice()),
            CommandError::UnknownCommand { known, .. } => {
                Self::new(Code::UnknownCommand, format!("{text}. Use one of `known`."))
                    .with("known", known.as_slice())
            }
            CommandError::InvalidId(error) => bad_stream_id(error),
            CommandError::Malformed { pointer, expected, .. } => malformed(text, pointer, expected),
            CommandError::WrongExpectedRevision { stream, expected, actual } => {
                wrong_expected_revision(stream, *expected, *actual)
            }
            CommandError::Contended { .. } => {
                Self::new(Code::Contended, format!("{text}. Send the command again."))
            }
            CommandError::ClaimHeld { scope, key, holder } => store::claim_held(scope, key, holder),
            CommandError::CommandIdReused { command_id, .. } => Self::new(
                Code::CommandIdReused,
                format!("{text}. Give every new command a new `idempotency-key`."),
            )
            .with("command_id", command_id.to_string()),
            CommandError::TooLarge { what, size, max } => store::too_large(*what, *size, *max),
            CommandError::Busy { .. } => {
                Self::new(Code::Busy, format!("{text}. Try again in a moment."))
            }
            CommandError::Plugin(failure) => plugin_failed(failure),
            CommandError::Quarantined(stream) => quarantined(stream),
            CommandError::UnreadableEvent { event_type, schema_version, revision, .. } => {
                Self::new(
                    Code::UnreadableEvent,
                    format!("{text}. Install a version of the plugin that reads it."),
                )
                .with("event_type", event_type.as_str())
                .with("schema_version", Some(u64::from(schema_version.0)))
                .with("revision", Some(revision.get()))
            }
            CommandError::Upcast(error) => upcast_failed(error),
            CommandError::Unavailable(cause) => unavailable().caused_by(cause),
            CommandError::Damaged(cause) => damaged().caused_by(cause),
            CommandError::OutcomeUnknown { command_id, .. } => {
                outcome_unknown(&command_id.to_string()).caused_by(&error)
            }
            CommandError::Stopping => Self::new(Code::Stopping, STOPPING),
            _ => internal().caused_by(&error),
        }
    }
}

impl From<StateError> for Problem {
    fn from(error: StateError) -> Self {
        match error {
            StateError::Command(error) => error.into(),
            StateError::NoStream { stream } => unknown_stream(stream.as_str()),
            StateError::RevisionAhead { actual, .. } => {
                let text = sentence(&error);
                Self::new(Code::UnknownRevision, format!("{text}. Ask for one the stream has."))
                    .with("actual", actual.0.map(annals_core::place::Revision::get))
            }
            error => internal().caused_by(&error),
        }
    }
}

impl From<ViewError> for Problem {
    fn from(error: ViewError) -> Self {
        let text = sentence(&error);
        match &error {
            ViewError::UnknownProjection { known, .. } => Self::new(
                Code::UnknownProjection,
                format!("{text}. Use one of `known`, or install its plugin."),
            )
            .with("known", known.as_slice()),
            ViewError::UnknownTable { known, .. } => {
                Self::new(Code::UnknownTable, format!("{text}. Use one of `known`."))
                    .with("known", known.as_slice())
            }
            ViewError::UnknownQuery { .. } => Self::new(
                Code::UnknownQuery,
                format!("{text}. Look up its queries where the plugin is documented."),
            ),
            ViewError::MalformedQuery { .. } => Self::new(
                Code::MalformedQuery,
                format!("{text}. Send parameters as the plugin's documentation says."),
            ),
            ViewError::NotReached { partition, position, checkpoint, phase, .. } => {
                let text = format!("{text}. Ask again, or wait longer with `wait_ms`.");
                let (phase, _) = crate::projection::phase_of(phase);
                Self::new(Code::NotReached, text)
                    .with("partition", Some(u64::from(partition.0)))
                    .with("position", Some(position.get()))
                    .with("checkpoint", checkpoint.map(annals_core::place::Position::get))
                    .with("phase", phase)
            }
            ViewError::Busy { .. } => {
                Self::new(Code::Busy, format!("{text}. Try again in a moment."))
            }
            ViewError::Plugin(failure) => plugin_failed(failure),
            ViewError::State(cause) => store::state(cause),
            ViewError::Log(cause) => unavailable().caused_by(cause),
            ViewError::Stopping => Self::new(Code::Stopping, STOPPING),
            _ => internal().caused_by(&error),
        }
    }
}

impl From<InstallError> for Problem {
    fn from(error: InstallError) -> Self {
        let text = sentence(&error);
        match &error {
            // What is wrong with the caller's own file is the caller's to know, with its causes.
            InstallError::Load(cause) => Self::new(Code::BadPlugin, sentence_chain(cause)),
            InstallError::OtherName { described, .. } => {
                let text = format!("{text}. Install it as `{described}`.");
                Self::new(Code::PluginNameDiffers, text).with("described", described.as_str())
            }
            InstallError::OtherKind { .. } => {
                Self::new(Code::PluginKindDiffers, format!("{text}. Choose another name."))
            }
            InstallError::UpcasterConflict { upcaster, .. } => {
                let text =
                    format!("{text}. Leave the event to it, or install this as its version.");
                Self::new(Code::UpcasterConflict, text).with("upcaster", upcaster.as_str())
            }
            InstallError::UnreadableHistory { .. }
            | InstallError::NeededUpcaster { .. }
            | InstallError::UnknownPlugin { .. }
            | InstallError::NoVersionBefore { .. }
            | InstallError::VersionNotKept { .. } => versions::problem(&error, text),
            InstallError::UnknownProjection { .. }
            | InstallError::RebuildUnderWay { .. }
            | InstallError::NoRebuild { .. }
            | InstallError::RebuildNotReady { .. }
            | InstallError::BadBegin { .. }
            | InstallError::NoPreviousView { .. } => rebuilds::problem(&error, &text),
            InstallError::Absent { .. } => Self::new(Code::Unavailable, format!("{text}.")),
            InstallError::History(cause) => unavailable().caused_by(cause),
            InstallError::View(cause) => Self::new(
                Code::Unavailable,
                "The plugin is removed, its views may not be deleted yet. Remove it again with \
                 `delete_view=true`.",
            )
            .caused_by(cause),
            InstallError::Projection(cause @ ProjectionError::Checkpoint { .. }) => {
                damaged().caused_by(cause)
            }
            InstallError::Projection(cause) => unavailable().caused_by(cause),
            InstallError::Process(cause @ ProcessError::Checkpoint { .. }) => {
                damaged().caused_by(cause)
            }
            InstallError::Process(cause) => unavailable().caused_by(cause),
            // Like what is wrong with the file.
            InstallError::Guest(cause) => Self::new(Code::BadPlugin, sentence_chain(cause)),
            InstallError::Registry(cause @ RestoreError::Read(_)) => unavailable().caused_by(cause),
            InstallError::Registry(cause) => damaged().caused_by(cause),
            InstallError::Contended { .. } => Self::new(Code::Contended, format!("{text}.")),
            InstallError::Blob(cause) => unavailable().caused_by(cause),
            InstallError::Record(cause) => unavailable().caused_by(cause),
            InstallError::OutcomeUnknown(cause) => Self::new(
                Code::OutcomeUnknown,
                "Nobody knows whether the installation was recorded. Install the plugin again, \
                 which is safe.",
            )
            .caused_by(cause),
            InstallError::Stopping => Self::new(Code::Stopping, STOPPING),
            _ => internal().caused_by(&error),
        }
    }
}

impl From<ProcessQueryError> for Problem {
    fn from(error: ProcessQueryError) -> Self {
        let text = sentence(&error);
        match &error {
            ProcessQueryError::UnknownProcess { known, .. } => Self::new(
                Code::UnknownProcess,
                format!("{text}. Use one of `known`, or install its plugin."),
            )
            .with("known", known.as_slice()),
            ProcessQueryError::State(cause) => store::state(cause),
            _ => internal().caused_by(&error),
        }
    }
}

impl From<UpcastReadError> for Problem {
    fn from(error: UpcastReadError) -> Self {
        match &error {
            UpcastReadError::Upcast(error) => upcast_failed(error),
            UpcastReadError::TooLarge { bytes_max } => {
                let fault = format!("leads to more than {bytes_max} bytes of events");
                bad("limit", &fault, "a smaller one")
            }
            UpcastReadError::Busy { .. } => {
                let text = sentence(&error);
                Self::new(Code::Busy, format!("{text}. Try again in a moment."))
            }
            UpcastReadError::Stopping => Self::new(Code::Stopping, STOPPING),
            _ => internal().caused_by(&error),
        }
    }
}

impl From<VerifyError> for Problem {
    fn from(error: VerifyError) -> Self {
        let text = sentence(&error);
        match &error {
            VerifyError::Load(cause) => Self::new(Code::BadPlugin, sentence_chain(cause)),
            VerifyError::OtherName { described, .. } => {
                let text = format!("{text}. Verify it as `{described}`.");
                Self::new(Code::PluginNameDiffers, text).with("described", described.as_str())
            }
            VerifyError::NotAnAggregate { .. } => Self::new(
                Code::UnsupportedPluginKind,
                format!("{text}. Install it: it changes nothing that was decided."),
            ),
            VerifyError::NotActive { known, .. } => Self::new(
                Code::UnknownAggregate,
                format!("{text}. Install it: there is no history of it."),
            )
            .with("known", known.as_slice()),
            VerifyError::Busy { .. } => {
                Self::new(Code::Busy, format!("{text}. Try again when it has ended."))
            }
            VerifyError::Unavailable(cause) => unavailable().caused_by(cause),
            VerifyError::Damaged(cause) => damaged().caused_by(cause),
            VerifyError::Stopping => Self::new(Code::Stopping, STOPPING),
            _ => internal().caused_by(&error),
        }
    }
}

/// Which upcaster and which event is for the client, and what the upcaster said of it; the trap's
/// backtrace is for the log.
fn upcast_failed(error: &UpcastError) -> Problem {
    let problem = Problem::new(
        Code::UpcastFailed,
        format!("{}. Install a version of the upcaster that reads it.", sentence(error)),
    )
    .with("upcaster", error.upcaster.as_str())
    .with("event_type", error.event_type.as_str())
    .with("schema_version", Some(u64::from(error.schema_version.0)))
    .with("stream", error.stream.as_str())
    .with("revision", Some(error.revision.get()));
    let problem = match &error.fault {
        UpcastFault::Guest(GuestFailure::Trap { .. }) => problem.with("cause", "it trapped"),
        fault => problem.with("cause", fault.to_string()),
    };
    problem.caused_by(error)
}

fn malformed(text: String, pointer: &str, expected: &Option<String>) -> Problem {
    let problem = Problem::new(
        Code::MalformedCommand,
        format!("{text}. Correct the value at `pointer`; the empty pointer is the whole data."),
    )
    .with("pointer", pointer);
    match expected {
        Some(expected) => problem.with("expected", expected.as_str()),
        None => problem,
    }
}

/// Which plugin, call and limit is for the client; the trap's backtrace is for the log.
fn plugin_failed(failure: &GuestFailure) -> Problem {
    let (kind, plugin, call) = match failure {
        GuestFailure::Trap { plugin, call, .. } => ("trapped", plugin, *call),
        GuestFailure::Limit { plugin, call, .. } => ("reached a limit", plugin, *call),
        GuestFailure::Contract { plugin, call, .. } => ("broke the contract", plugin, *call),
        GuestFailure::View { .. } => return unavailable().caused_by(failure),
        _ => return internal().caused_by(failure),
    };
    let problem = Problem::new(
        Code::PluginFailed,
        format!(
            "Plugin `{plugin}` {kind} in `{call}`. Tell its author, with the request id and \
             `failure_id`."
        ),
    )
    .with("failure_id", failure.id())
    .with("plugin", plugin.as_str())
    .with("call", call);
    let problem = match failure {
        GuestFailure::Limit { limit, .. } => problem.with("limit", limit.as_str()),
        // What the plugin did wrong: of use to its author, and about nothing but the plugin.
        GuestFailure::Contract { cause, .. } => problem.with("cause", cause.as_str()),
        _ => problem,
    };
    problem.caused_by(failure)
}

fn quarantined(refused: &QuarantinedStream) -> Problem {
    let QuarantinedStream { stream, failures_count, last_failure, until, wait } = refused;
    let plugin = stream.category();
    let summary = last_failure.summary();
    Problem::new(
        Code::Quarantined,
        format!(
            "Commands of stream `{stream}` made plugin `{plugin}` fail {failures_count} times in a \
             row; the last time it {summary}. It is tried again at {until}, or with another version \
             of the plugin."
        ),
    )
    .with("plugin", plugin)
    .with("stream", stream.as_str())
    .with("cause", summary)
    .with("retry_at", until.to_string())
    .retry_after(u64::try_from(wait.as_millis().div_ceil(1_000)).unwrap_or(u64::MAX))
}

pub(crate) fn bad_stream_id(error: &InvalidStreamId) -> Problem {
    Problem::new(Code::BadStreamId, sentence_chain(error))
}

pub(crate) fn unknown_stream(stream: &str) -> Problem {
    Problem::new(
        Code::UnknownStream,
        format!("Stream `{stream}` has no event. Check the id, or record its first event."),
    )
    .with("stream", stream)
}

pub(crate) fn outcome_unknown(command_id: &str) -> Problem {
    Problem::new(
        Code::OutcomeUnknown,
        "Nobody knows whether it was recorded. Send it again with `command_id` as \
         `idempotency-key`, which is safe and tells.",
    )
    .with("command_id", command_id)
}

pub(super) fn unavailable() -> Problem {
    Problem::new(
        Code::Unavailable,
        "A store does not answer; nothing was written. Try again in a moment.",
    )
}

pub(super) fn damaged() -> Problem {
    Problem::new(
        Code::Damaged,
        "What is stored cannot be read. Tell the operator, with the request id.",
    )
}

pub(super) fn internal() -> Problem {
    Problem::new(Code::Internal, "The host failed. Tell the operator, with the request id.")
}

/// An error as the beginning of a sentence.
pub(super) fn sentence(error: &dyn std::fmt::Display) -> String {
    capitalised(error.to_string())
}

fn sentence_chain(error: &(dyn std::error::Error + 'static)) -> String {
    format!("{}.", capitalised(ErrorChain(error).to_string()))
}

fn capitalised(text: String) -> String {
    let mut letters = text.chars();
    match letters.next() {
        Some(first) if first.is_lowercase() => first.to_uppercase().chain(letters).collect(),
        _ => text,
    }
}
