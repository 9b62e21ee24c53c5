//! A verdict in words.

use serde::Deserialize;
use serde_json::Value;

use crate::failure::Failure;
use crate::text::{self, thousands};

/// What the history says of a version.
#[derive(Debug, Deserialize)]
pub(super) struct Verdict {
    verdict: Outcome,
    plugin: String,
    active: Version,
    candidate: Version,
    is_sample: bool,
    streams_count: u64,
    events_count: u64,
    commands: Counts,
    drifted: Vec<Drifted>,
    states: States,
    broken_streams_count: u64,
    active_broken_streams_count: u64,
    unreadable: Vec<Unreadable>,
    broken_examples: Vec<BrokenExample>,
    command_examples: Vec<CommandExample>,
    state_examples: Vec<StateExample>,
}

/// The verdict in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Outcome {
    Identical,
    Compatible,
    Drift,
    Broken,
}

#[derive(Debug, Deserialize)]
struct Version {
    version: String,
}

#[derive(Debug, Deserialize)]
struct Counts {
    decided_count: u64,
    undecided_count: u64,
    drifted_count: u64,
    outcome_count: u64,
    events_count: u64,
    claims_count: u64,
    shared_count: u64,
    other_words_count: u64,
}

#[derive(Debug, Deserialize)]
struct Drifted {
    command: String,
    #[serde(flatten)]
    counts: Counts,
}

#[derive(Debug, Deserialize)]
struct States {
    is_comparable: bool,
    compared_count: u64,
    differing_count: u64,
    uncompared_count: u64,
}

#[derive(Debug, Deserialize)]
struct Unreadable {
    event_type: String,
    schema_version: u32,
    events_count: u64,
}

#[derive(Debug, Deserialize)]
struct BrokenExample {
    stream: String,
    revision: Option<u64>,
    cause: String,
    is_shared: bool,
}

#[derive(Debug, Deserialize)]
struct CommandExample {
    stream: String,
    command: String,
    command_id: String,
    revision: Option<u64>,
    is_shared: bool,
    differences: Vec<Difference>,
}

#[derive(Debug, Deserialize)]
struct StateExample {
    stream: String,
    revision: Option<u64>,
    differences: Vec<Difference>,
}

#[derive(Debug, Deserialize)]
struct Difference {
    path: String,
    // Absent and null are two things.
    #[serde(default, deserialize_with = "some")]
    before: Option<Value>,
    #[serde(default, deserialize_with = "some")]
    after: Option<Value>,
}

fn some<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
    Value::deserialize(from).map(Some)
}

impl Verdict {
    pub(super) fn outcome(&self) -> Outcome {
        self.verdict
    }

    /// Why it should not be installed as it is.
    pub(super) fn failure(&self) -> Option<Failure> {
        let (name, version) = (&self.plugin, &self.candidate.version);
        let (fault, hint) = match self.verdict {
            Outcome::Identical | Outcome::Compatible => return None,
            Outcome::Drift => (
                "does not decide as it was recorded",
                "when that is what you want, install it with `--verify --accept-drift`, or without \
                 `--verify`: what was recorded stays as it is",
            ),
            Outcome::Broken => (
                "cannot fold its history",
                "let it read every recorded event, and fail on none; then verify it again",
            ),
        };
        Some(Failure::yours(format!("`{name}` {version} {fault}")).with_hint(hint))
    }

    /// All of it, line by line.
    pub(super) fn lines(&self) -> Vec<String> {
        let word = match self.verdict {
            Outcome::Identical => "identical",
            Outcome::Compatible => "compatible",
            Outcome::Drift => "drift",
            Outcome::Broken => "broken",
        };
        let (active, candidate) = (&self.active.version, &self.candidate.version);
        let mut lines = vec![format!("{} {candidate} beside {active}: {word}", self.plugin)];
        lines.extend(self.sums().into_iter().map(|line| format!("  {line}")));
        for unreadable in &self.unreadable {
            let Unreadable { event_type, schema_version, events_count } = unreadable;
            let events = thousands(*events_count);
            lines.push(format!(
                "  `{event_type}` of schema version {schema_version} is not read: {events}"
            ));
        }
        if !self.drifted.is_empty() {
            lines.push(String::new());
            let rows: Vec<_> = self.drifted.iter().map(Drifted::row).collect();
            lines.extend(text::table(&rows));
        }
        self.broken_examples.iter().for_each(|example| example.write(&mut lines));
        self.command_examples.iter().for_each(|example| example.write(&mut lines));
        self.state_examples.iter().for_each(|example| example.write(&mut lines));
        lines
    }

    fn sums(&self) -> Vec<String> {
        let (commands, states) = (&self.commands, &self.states);
        let sample = if self.is_sample { ", a sample" } else { "" };
        let streams = thousands(self.streams_count);
        let count = text::count;
        let mut sums = vec![
            format!("streams   {streams} with {}{sample}", count(self.events_count, "event")),
            format!(
                "commands  {} decided again, {} otherwise",
                thousands(commands.decided_count),
                thousands(commands.drifted_count)
            ),
        ];
        let mut more = |count: u64, what: &str| {
            if count > 0 {
                sums.push(format!("          {} {what}", thousands(count)));
            }
        };
        more(commands.shared_count, "of those as the active version decides them too");
        more(commands.other_words_count, "rejected as recorded, in other words");
        more(commands.undecided_count, "not decided again, since their stream failed before");
        sums.push(if states.is_comparable {
            let (compared, differing) = (states.compared_count, states.differing_count);
            format!("states    {} compared, {} differ", thousands(compared), thousands(differing))
        } else {
            "states    not compared: the versions have other state schemas".to_owned()
        });
        let mut more = |count: u64, what: &str| {
            if count > 0 {
                sums.push(format!("          {} {what}", thousands(count)));
            }
        };
        if states.is_comparable {
            more(states.uncompared_count, "not compared");
        }
        more(self.broken_streams_count, "streams cannot be folded");
        more(self.active_broken_streams_count, "streams cannot be folded by the active version");
        sums
    }
}

impl Drifted {
    fn row(&self) -> Vec<String> {
        let Counts { drifted_count, decided_count, .. } = &self.counts;
        let parts = [
            (self.counts.outcome_count, "outcome"),
            (self.counts.events_count, "events"),
            (self.counts.claims_count, "claims"),
            (self.counts.undecided_count, "not decided"),
        ];
        let parts = parts.iter().filter(|(count, _)| *count > 0);
        let parts: Vec<_> =
            parts.map(|(count, what)| format!("{} {what}", thousands(*count))).collect();
        let (drifted, decided) = (thousands(*drifted_count), thousands(*decided_count));
        vec![self.command.clone(), format!("{drifted} of {decided}"), parts.join(", ")]
    }
}

impl BrokenExample {
    fn write(&self, lines: &mut Vec<String>) {
        let Self { stream, revision, cause, is_shared } = self;
        let shared = if *is_shared { ", nor by the active version" } else { "" };
        lines.push(String::new());
        lines.push(format!("{stream} is not folded {}{shared}", after(*revision)));
        lines.extend(cause.lines().map(|line| format!("  {line}")));
    }
}

impl CommandExample {
    fn write(&self, lines: &mut Vec<String>) {
        let Self { stream, command, command_id, revision, is_shared, differences } = self;
        let shared = if *is_shared { ", as the active version decides it too" } else { "" };
        lines.push(String::new());
        lines.push(format!("{stream} {}: {command} {command_id}{shared}", after(*revision)));
        lines.extend(differences.iter().map(Difference::line));
    }
}

impl StateExample {
    fn write(&self, lines: &mut Vec<String>) {
        lines.push(String::new());
        lines.push(format!("{} {}: the state", self.stream, after(self.revision)));
        lines.extend(self.differences.iter().map(Difference::line));
    }
}

impl Difference {
    fn line(&self) -> String {
        let told = |value: &Option<Value>| {
            value.as_ref().map_or_else(|| "nothing".to_owned(), Value::to_string)
        };
        let path = if self.path.is_empty() { "all of it" } else { &self.path };
        format!("  {path}: {} became {}", told(&self.before), told(&self.after))
    }
}

fn after(revision: Option<u64>) -> String {
    revision.map_or("before its first event".to_owned(), |at| format!("after revision {at}"))
}
