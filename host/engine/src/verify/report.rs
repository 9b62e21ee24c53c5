//! What a verification found: the verdict, counts, and the first examples.

use std::collections::BTreeMap;

use annals_core::event::{RecordedEvent, SchemaVersion};
use annals_core::id::{CommandId, Digest};
use annals_core::name::{CommandName, EventType, PluginName};
use annals_core::place::ActualRevision;
use annals_core::stream::StreamId;
use serde::Serialize;

use super::decided::Drift;
use super::difference::Difference;
use crate::catalog::ActiveAggregate;

/// Most kinds of unreadable events, and most commands, that are counted one by one; those of further
/// names count in the sums.
pub const KINDS_MAX: usize = 1_000;

/// What the history says of a candidate, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every command is decided as it was recorded, words included, and every state is the active
    /// version's.
    Identical,
    /// Every command is decided as it was recorded. States could not be compared, or rejections say the
    /// same in other words.
    Compatible,
    /// A command is decided otherwise, or a state differs.
    Drift,
    /// A stream cannot be folded.
    Broken,
}

impl Verdict {
    /// As it is written, e.g. `identical`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Identical => "identical",
            Self::Compatible => "compatible",
            Self::Drift => "drift",
            Self::Broken => "broken",
        }
    }
}

/// A version that took part.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Version {
    /// Its semantic version.
    pub version: String,
    /// Content of its component.
    pub digest: Digest,
}

/// What a verification found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// All of it in a word.
    pub verdict: Verdict,
    /// The aggregate.
    pub plugin: PluginName,
    /// The version that is active.
    pub active: Version,
    /// The version that was verified.
    pub candidate: Version,
    /// Whether only a sample of the streams was looked at.
    pub is_sample: bool,
    /// Streams looked at.
    pub streams_count: u64,
    /// Events folded.
    pub events_count: u64,
    /// Commands looked at.
    pub commands_count: u64,
    /// All commands together.
    pub commands: CommandCounts,
    /// Commands by name, those that drifted or were not decided.
    pub drifted: BTreeMap<CommandName, CommandCounts>,
    /// How the states at the end of the streams compare.
    pub states: StateCounts,
    /// Streams the candidate cannot fold.
    pub broken_streams_count: u64,
    /// Streams the active version cannot fold either, or alone.
    pub active_broken_streams_count: u64,
    /// Recorded events the candidate does not read.
    pub unreadable_events_count: u64,
    /// The same by type and schema version.
    pub unreadable: Vec<Unreadable>,
    /// The first streams that cannot be folded.
    pub broken_examples: Vec<BrokenExample>,
    /// The first commands that are decided otherwise.
    pub command_examples: Vec<CommandExample>,
    /// The first states that differ.
    pub state_examples: Vec<StateExample>,
}

/// How the commands of one name were decided again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct CommandCounts {
    /// Decided again.
    pub decided_count: u64,
    /// Not decided again: the stream could not be folded so far, or a decision before it had failed.
    pub undecided_count: u64,
    /// Decided otherwise than recorded: the sum of the next three.
    pub drifted_count: u64,
    /// With another outcome.
    pub outcome_count: u64,
    /// With other events.
    pub events_count: u64,
    /// With other claims.
    pub claims_count: u64,
    /// Of those that drifted: how many the active version decides just as the candidate.
    pub shared_count: u64,
    /// Rejected as recorded, in other words.
    pub other_words_count: u64,
}

/// How states compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct StateCounts {
    /// Whether both versions have the same `state_schema`, without which states say nothing.
    pub is_comparable: bool,
    /// Compared.
    pub compared_count: u64,
    /// Of those: different.
    pub differing_count: u64,
    /// Not compared: the schemas differ, or one of the versions has no state.
    pub uncompared_count: u64,
}

/// A kind of event the candidate does not read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unreadable {
    /// Its type.
    pub event_type: EventType,
    /// The shape of its data.
    pub schema_version: SchemaVersion,
    /// How many there are.
    pub events_count: u64,
}

/// A stream the candidate cannot fold.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BrokenExample {
    /// The stream.
    pub stream: StreamId,
    /// How far it could be folded.
    pub revision: ActualRevision,
    /// Why not further.
    pub cause: String,
    /// Whether the active version cannot fold it either.
    pub is_shared: bool,
}

/// A command that is decided otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct CommandExample {
    /// The stream.
    pub stream: StreamId,
    /// The command.
    pub command: CommandName,
    /// Its id.
    pub command_id: CommandId,
    /// Where the stream ended when it was decided.
    pub revision: ActualRevision,
    /// What differs.
    pub drift: Drift,
    /// Whether the active version decides just as the candidate.
    pub is_shared: bool,
    /// From what was recorded to what the candidate says; claims: from the active version's.
    pub differences: Vec<Difference>,
}

/// A state that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StateExample {
    /// The stream.
    pub stream: StreamId,
    /// Where it ended.
    pub revision: ActualRevision,
    /// From the active version's state to the candidate's.
    pub differences: Vec<Difference>,
}

/// Counts while a verification runs.
#[derive(Debug)]
pub(super) struct Tally {
    pub(super) report: Report,
    unreadable: BTreeMap<(EventType, SchemaVersion), u64>,
    examples_max: usize,
}

impl Tally {
    pub(super) fn new(
        active: &ActiveAggregate,
        candidate: &ActiveAggregate,
        examples_max: usize,
    ) -> Self {
        let version = |version: &ActiveAggregate| Version {
            version: version.description.version.clone(),
            digest: version.digest,
        };
        let is_comparable = active.description.state_schema == candidate.description.state_schema;
        let report = Report {
            verdict: Verdict::Identical,
            plugin: candidate.description.name.clone(),
            active: version(active),
            candidate: version(candidate),
            is_sample: false,
            streams_count: 0,
            events_count: 0,
            commands_count: 0,
            commands: CommandCounts::default(),
            drifted: BTreeMap::new(),
            states: StateCounts { is_comparable, ..StateCounts::default() },
            broken_streams_count: 0,
            active_broken_streams_count: 0,
            unreadable_events_count: 0,
            unreadable: Vec::new(),
            broken_examples: Vec::new(),
            command_examples: Vec::new(),
            state_examples: Vec::new(),
        };
        Self { report, unreadable: BTreeMap::new(), examples_max }
    }

    /// Counts something of a command.
    pub(super) fn command(&mut self, name: &CommandName, count: impl Fn(&mut CommandCounts)) {
        count(&mut self.report.commands);
        let drifted = &mut self.report.drifted;
        if drifted.len() < KINDS_MAX || drifted.contains_key(name) {
            count(drifted.entry(name.clone()).or_default());
        }
    }

    pub(super) fn unreadable(&mut self, event: &RecordedEvent) {
        self.report.unreadable_events_count += 1;
        let kind = (event.event_type.clone(), event.schema_version);
        if self.unreadable.len() < KINDS_MAX || self.unreadable.contains_key(&kind) {
            *self.unreadable.entry(kind).or_default() += 1;
        }
    }

    /// Keeps an example, if there are not enough of its sort.
    pub(super) fn broken_example(&mut self, example: impl FnOnce() -> BrokenExample) {
        keep(&mut self.report.broken_examples, self.examples_max, example);
    }

    /// The same for a command.
    pub(super) fn command_example(&mut self, example: impl FnOnce() -> CommandExample) {
        keep(&mut self.report.command_examples, self.examples_max, example);
    }

    /// The same for a state.
    pub(super) fn state_example(&mut self, example: impl FnOnce() -> StateExample) {
        keep(&mut self.report.state_examples, self.examples_max, example);
    }

    /// The report with its verdict.
    pub(super) fn finish(self) -> Report {
        let Self { mut report, unreadable, examples_max: _ } = self;
        let to_unreadable = |((event_type, schema_version), events_count)| Unreadable {
            event_type,
            schema_version,
            events_count,
        };
        report.unreadable = unreadable.into_iter().map(to_unreadable).collect();
        report.drifted.retain(|_, counts| counts.drifted_count > 0 || counts.undecided_count > 0);
        report.verdict = if report.broken_streams_count > 0 {
            Verdict::Broken
        } else if report.commands.drifted_count > 0 || report.states.differing_count > 0 {
            Verdict::Drift
        } else if report.states.uncompared_count > 0 || report.commands.other_words_count > 0 {
            Verdict::Compatible
        } else {
            Verdict::Identical
        };
        report
    }
}

fn keep<T>(examples: &mut Vec<T>, examples_max: usize, example: impl FnOnce() -> T) {
    if examples.len() < examples_max {
        examples.push(example());
    }
}
