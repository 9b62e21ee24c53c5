//! How the lines of a verification look, for the description of the API. The engine's own types are
//! written as they are; the API's tests compare answers with what is said here.
#![expect(dead_code, reason = "only describes what the engine's types write")]

use serde_json::Value;
use utoipa::ToSchema;

use crate::openapi::ProblemDocument;

/// One line: how far it is, or the last one.
#[derive(Debug, ToSchema)]
#[serde(untagged)]
pub(crate) enum VerifyLine {
    /// How far it is.
    Progress(VerifyProgressLine),
    /// The last line: what the history says.
    Verdict(Box<VerifyVerdictLine>),
    /// The last line: why there is no verdict.
    Problem(VerifyProblemLine),
}

#[derive(Debug, ToSchema)]
pub(crate) struct VerifyProgressLine {
    progress: VerifyProgress,
}

#[derive(Debug, ToSchema)]
pub(crate) struct VerifyVerdictLine {
    verdict: Verdict,
}

#[derive(Debug, ToSchema)]
pub(crate) struct VerifyProblemLine {
    problem: ProblemDocument,
}

/// How far a verification is.
#[derive(Debug, ToSchema)]
pub(crate) struct VerifyProgress {
    /// `choosing` a sample, or `verifying`.
    step: String,
    /// Streams compared.
    streams_count: u64,
    /// Events folded.
    events_count: u64,
    /// Commands decided again.
    commands_count: u64,
    /// How much of `total_count` is done.
    done_count: u64,
    /// How much this step has to do.
    total_count: u64,
}

/// What the history says of a version.
#[derive(Debug, ToSchema)]
pub(crate) struct Verdict {
    /// `identical`, `compatible`, `drift` or `broken`.
    verdict: String,
    /// The aggregate.
    plugin: String,
    /// The version that is active.
    active: VerifiedVersion,
    /// The version that was verified.
    candidate: VerifiedVersion,
    /// Whether only a sample of the streams was looked at.
    is_sample: bool,
    /// Streams looked at.
    streams_count: u64,
    /// Events folded.
    events_count: u64,
    /// Commands looked at.
    commands_count: u64,
    /// How all commands together were decided again.
    commands: VerifiedCommands,
    /// The same by name, of commands that drifted or were not decided.
    drifted: Vec<DriftedCommands>,
    /// How the states at the end of the streams compare.
    states: VerifiedStates,
    /// Streams the version cannot fold.
    broken_streams_count: u64,
    /// Streams the active version cannot fold.
    active_broken_streams_count: u64,
    /// Recorded events the version does not read.
    unreadable_events_count: u64,
    /// The same by type and schema version.
    unreadable: Vec<UnreadableEvents>,
    /// The first streams that cannot be folded, at most 10.
    broken_examples: Vec<BrokenStream>,
    /// The first commands that are decided otherwise, at most 10.
    command_examples: Vec<DriftedCommand>,
    /// The first states that differ, at most 10.
    state_examples: Vec<DifferentState>,
}

/// A version that took part.
#[derive(Debug, ToSchema)]
pub(crate) struct VerifiedVersion {
    /// Its semantic version.
    version: String,
    /// Content of its component (SHA-256).
    digest: String,
}

/// How commands were decided again.
#[derive(Debug, ToSchema)]
pub(crate) struct VerifiedCommands {
    /// Decided again.
    decided_count: u64,
    /// Not decided again: their stream could not be folded so far, or a decision before had failed.
    undecided_count: u64,
    /// Decided otherwise than recorded: the sum of the next three.
    drifted_count: u64,
    /// With another outcome.
    outcome_count: u64,
    /// With other events.
    events_count: u64,
    /// With other claims.
    claims_count: u64,
    /// Of those that drifted: how many the active version decides just so.
    shared_count: u64,
    /// Rejected as recorded, in other words.
    other_words_count: u64,
}

/// How the commands of one name were decided again.
#[derive(Debug, ToSchema)]
pub(crate) struct DriftedCommands {
    /// Their name.
    command: String,
    #[serde(flatten)]
    counts: VerifiedCommands,
}

/// How states compare.
#[derive(Debug, ToSchema)]
pub(crate) struct VerifiedStates {
    /// Whether both versions have the same `state_schema`, without which states say nothing.
    is_comparable: bool,
    /// Compared.
    compared_count: u64,
    /// Of those: different.
    differing_count: u64,
    /// Not compared.
    uncompared_count: u64,
}

/// Events the version does not read.
#[derive(Debug, ToSchema)]
pub(crate) struct UnreadableEvents {
    /// Their type.
    event_type: String,
    /// The shape of their data.
    schema_version: u32,
    /// How many there are.
    events_count: u64,
}

/// A stream that cannot be folded.
#[derive(Debug, ToSchema)]
pub(crate) struct BrokenStream {
    /// The stream.
    stream: String,
    /// The last event that could be folded; null when none could.
    revision: Option<u64>,
    /// Why not further.
    cause: String,
    /// Whether the active version cannot fold it either.
    is_shared: bool,
}

/// A command that is decided otherwise.
#[derive(Debug, ToSchema)]
pub(crate) struct DriftedCommand {
    /// The stream.
    stream: String,
    /// The command.
    command: String,
    /// Its id.
    command_id: String,
    /// Where the stream ended when it was decided; null: it had no event.
    revision: Option<u64>,
    /// What differs: `outcome`, `events` or `claims`.
    drift: String,
    /// Whether the active version decides just so.
    is_shared: bool,
    /// From what was recorded to what the version says; claims: from the active version's.
    differences: Vec<JsonDifference>,
}

/// A state that differs.
#[derive(Debug, ToSchema)]
pub(crate) struct DifferentState {
    /// The stream.
    stream: String,
    /// Where it ended; null: it had no event.
    revision: Option<u64>,
    /// From the active version's state to that of the version.
    differences: Vec<JsonDifference>,
}

/// A place where two JSON values differ.
#[derive(Debug, ToSchema)]
pub(crate) struct JsonDifference {
    /// Where, as a JSON pointer.
    path: String,
    /// What was there; absent when nothing was. Of a long value the beginning of its text.
    before: Option<Value>,
    /// What is there; absent when nothing is.
    after: Option<Value>,
}
