//! How the commands and events of a version differ from those of the version before.

use std::collections::BTreeMap;

use annals_core::event::SchemaVersion;
use annals_core::plugin::{Description, MessageType, PluginKind};
use serde::Serialize;

use super::schema;
pub use super::schema::Difference;

/// One command or event that is not as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Whether it is a command or an event.
    pub message: MessageKind,
    /// Its name.
    pub name: String,
    /// Shape of the data.
    pub schema_version: SchemaVersion,
    /// What became of it.
    pub change: ChangeKind,
    /// Whether callers or recorded events may no longer fit.
    pub is_breaking: bool,
    /// Why it is breaking, when the data has another shape.
    pub differences: Vec<Difference>,
}

/// A command or an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum MessageKind {
    /// What can be asked.
    Command,
    /// What happened.
    Event,
}

/// What became of a command or an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ChangeKind {
    /// It is new.
    Added,
    /// It is gone.
    Removed,
    /// Its data has another schema.
    Changed,
}

/// A command or an event, by what it is called.
type Key = (MessageKind, String, SchemaVersion);

/// What differs between two versions of a plugin: commands first, each in order of name and schema
/// version.
pub(super) fn between(kind: PluginKind, old: &Description, new: &Description) -> Vec<Change> {
    let (had, has) = (messages(old), messages(new));
    let mut changes = Vec::new();
    for key in had.keys().chain(has.keys().filter(|key| !had.contains_key(*key))) {
        let (change, differences) = match (had.get(key), has.get(key)) {
            (Some(old), Some(new)) if old == new => continue,
            (Some(old), Some(new)) => (ChangeKind::Changed, data_differences(*old, *new)),
            (Some(_), None) => (ChangeKind::Removed, Vec::new()),
            (None, _) => (ChangeKind::Added, Vec::new()),
        };
        let (message, name, schema_version) = key.clone();
        // Nobody depends on what a projection no longer wants.
        let is_missed = kind == PluginKind::Aggregate && change == ChangeKind::Removed;
        let is_breaking = is_missed || !differences.is_empty();
        changes.push(Change { message, name, schema_version, change, is_breaking, differences });
    }
    changes.sort_by_key(|change| (change.message, change.name.clone(), change.schema_version.0));
    changes
}

/// Media type and schema by name.
fn messages(description: &Description) -> BTreeMap<Key, (&str, &str)> {
    let commands = description.commands.iter().map(|command| {
        // Callers name a command without a schema version: it is one command whatever its shape.
        of(MessageKind::Command, command, command.name.as_str(), SchemaVersion::FIRST)
    });
    let events = description
        .events
        .iter()
        .map(|event| of(MessageKind::Event, event, event.name.as_str(), event.schema_version));
    commands.chain(events).collect()
}

fn of<'a, N>(
    kind: MessageKind,
    message: &'a MessageType<N>,
    name: &'a str,
    version: SchemaVersion,
) -> (Key, (&'a str, &'a str)) {
    let key = (kind, name.to_owned(), version);
    (key, (message.content_type.as_str(), &message.schema))
}

fn data_differences(old: (&str, &str), new: (&str, &str)) -> Vec<Difference> {
    if old.0 == new.0 {
        return schema::differences(old.1, new.1);
    }
    let text = format!("was of media type `{}`, and is of `{}` now", old.0, new.0);
    vec![Difference { pointer: String::new(), text }]
}

#[cfg(test)]
mod tests {
    use annals_core::event::ContentType;
    use annals_core::name::{CommandName, EventType, PluginName};

    use super::*;

    fn message<N>(name: N, schema_version: u32, schema: &str) -> MessageType<N> {
        let schema_version = SchemaVersion(schema_version);
        let schema = schema.to_owned();
        MessageType { name, schema_version, content_type: ContentType::Json, schema }
    }

    fn description(commands: &[(&str, &str)], events: &[(&str, u32, &str)]) -> Description {
        let command =
            |(name, schema): &(&str, &str)| message(CommandName::new(name).unwrap(), 1, schema);
        let event = |(name, version, schema): &(&str, u32, &str)| {
            message(EventType::new(name).unwrap(), *version, schema)
        };
        Description {
            name: PluginName::new("tally").unwrap(),
            version: "1.0.0".to_owned(),
            summary: String::new(),
            commands: commands.iter().map(command).collect(),
            events: events.iter().map(event).collect(),
            produces: Vec::new(),
            targets: Vec::new(),
            tables: Vec::new(),
            begins_later: false,
            state_schema: String::new(),
        }
    }

    #[test]
    fn what_came_went_and_changed_is_told() {
        // Guards the list an author sees at install: order, names, and which of it breaks.
        let old = description(
            &[("add", r#"{"type":"integer"}"#), ("look", "{}"), ("reset", "{}")],
            &[("added", 1, r#"{"type":"integer"}"#), ("reset", 1, "{}")],
        );
        let new = description(
            &[("look", r#"{"title":"L"}"#), ("add", r#"{"type":"number"}"#), ("claim", "{}")],
            &[("added", 1, r#"{"type":"string"}"#), ("added", 2, "{}"), ("reset", 1, "{}")],
        );
        let told = |kind| {
            let line = |change: Change| {
                let Change { message, name, schema_version, change, is_breaking, differences } =
                    change;
                let why: Vec<_> = differences.iter().map(ToString::to_string).collect();
                let is = if is_breaking { "breaks" } else { "fits" };
                format!("{message:?} {name} {schema_version} {change:?} {is} {}", why.join(","))
            };
            between(kind, &old, &new).into_iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(
            told(PluginKind::Aggregate),
            [
                "Command add 1 Changed fits ",
                "Command claim 1 Added fits ",
                "Command look 1 Changed fits ",
                "Command reset 1 Removed breaks ",
                "Event added 1 Changed breaks was integer, and is string now",
                "Event added 2 Added fits ",
            ]
        );
        // Nobody misses what a projection no longer wants.
        assert_eq!(told(PluginKind::Projection)[3], "Command reset 1 Removed fits ");
    }
}
