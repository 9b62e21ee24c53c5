//! What a plugin says of itself, checked and in the host's types.

use std::collections::HashSet;
use std::fmt::Display;
use std::hash::Hash;
use std::str::FromStr;

use annals_core::event::{ContentType, SchemaVersion};
use annals_core::name::{CommandName, EventType, InvalidName, PluginName, TableName};
use annals_core::plugin::{Description, MessageType, PluginKind};
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::contract::v0_1_0::descriptor;
use crate::text::printable;

/// Most commands, and most events (inclusive).
const MESSAGE_TYPES_MAX: usize = 1_000;

/// Most tables (inclusive).
const TABLES_MAX: usize = 100;

/// Most extensions (inclusive).
const EXTENSIONS_MAX: usize = 100;

/// Longest version, content type and state schema, in bytes (inclusive).
const SHORT_TEXT_BYTES_MAX: usize = 128;

/// Longest summary, in bytes (inclusive): one line.
const SUMMARY_BYTES_MAX: usize = 1 << 10;

/// Largest description, in bytes (inclusive), over all its texts.
const DESCRIPTION_BYTES_MAX: usize = 1 << 20;

/// A description that breaks a rule of the contract, with the rule.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub(crate) struct InvalidDescription(String);

type Checked<T> = Result<T, InvalidDescription>;

/// Checks what a plugin of `kind` said.
pub(crate) fn check(kind: PluginKind, said: descriptor::Description) -> Checked<Description> {
    check_size(&said)?;
    check_kind(kind, &said)?;
    if !is_version(&said.version) {
        return Err(invalid(format!(
            "`{}` is not a semantic version, such as 1.2.0",
            printable(&said.version, SHORT_TEXT_BYTES_MAX)
        )));
    }
    if said.summary.len() > SUMMARY_BYTES_MAX || said.summary.contains(char::is_control) {
        return Err(invalid(format!(
            "the summary is not one line of at most {SUMMARY_BYTES_MAX} bytes"
        )));
    }
    if said.state_schema.len() > SHORT_TEXT_BYTES_MAX {
        return Err(invalid(format!(
            "the state schema has more than {SHORT_TEXT_BYTES_MAX} bytes"
        )));
    }
    let (commands, targets) = commands(kind, said.commands, &said.targets)?;
    Ok(Description {
        name: parsed(&said.name)?,
        version: said.version,
        summary: said.summary,
        targets,
        commands,
        events: events(kind, said.events)?,
        produces: produces(kind, &said.extensions)?,
        begins_later: begins_later(kind, &said.extensions)?,
        tables: unique("tables", parsed_list::<TableName>("tables", &said.tables, TABLES_MAX)?)?,
        state_schema: said.state_schema,
    })
}

/// Semantic Versioning 2.0.0, as far as it can be seen without a parser: three numbers, then perhaps
/// words after `-` or `+`.
fn is_version(text: &str) -> bool {
    let core = text.split(['-', '+']).next().unwrap_or_default();
    let is_number = |part: &str| {
        !part.is_empty()
            && part.bytes().all(|byte| byte.is_ascii_digit())
            && (part == "0" || !part.starts_with('0'))
    };
    let rest_is_plain =
        text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'+'));
    let ends_with_word = text.ends_with(|last: char| last.is_ascii_alphanumeric());
    text.len() <= SHORT_TEXT_BYTES_MAX
        && core.split('.').count() == 3
        && core.split('.').all(is_number)
        && rest_is_plain
        && ends_with_word
}

fn check_size(said: &descriptor::Description) -> Checked<()> {
    let message_type = |ty: &descriptor::MessageType| {
        [&ty.name, &ty.content_type, &ty.schema].map(String::len).iter().sum()
    };
    let bytes_count = [&said.name, &said.version, &said.summary, &said.state_schema]
        .into_iter()
        .chain(&said.targets)
        .chain(&said.tables)
        .map(String::len)
        .chain(said.commands.iter().chain(&said.events).map(message_type))
        .chain(said.extensions.iter().map(|(key, value)| key.len().saturating_add(value.len())))
        .fold(0, usize::saturating_add);
    if bytes_count > DESCRIPTION_BYTES_MAX {
        return Err(invalid(format!(
            "it has {bytes_count} bytes, at most {DESCRIPTION_BYTES_MAX} are allowed"
        )));
    }
    check_count("extensions", said.extensions.len(), EXTENSIONS_MAX)
}

/// Checks that what belongs to other kinds is empty, and that each command of a process manager has
/// its target.
fn check_kind(kind: PluginKind, said: &descriptor::Description) -> Checked<()> {
    let has_commands = matches!(kind, PluginKind::Aggregate | PluginKind::ProcessManager);
    let targets_count = match kind {
        PluginKind::ProcessManager => said.commands.len(),
        _ => 0,
    };
    if !has_commands && !said.commands.is_empty() {
        return Err(invalid(format!("a plugin of kind `{kind}` has no commands")));
    }
    if kind != PluginKind::Projection && !said.tables.is_empty() {
        return Err(invalid(format!("a plugin of kind `{kind}` has no tables")));
    }
    if said.targets.len() != targets_count {
        return Err(invalid(format!(
            "a plugin of kind `{kind}` with {} commands has {targets_count} targets, not {}",
            said.commands.len(),
            said.targets.len()
        )));
    }
    Ok(())
}

/// The commands, and of a process manager who takes each: two targets may have commands of one name.
fn commands(
    kind: PluginKind,
    said: Vec<descriptor::MessageType>,
    targets: &[String],
) -> Checked<(Vec<MessageType<CommandName>>, Vec<PluginName>)> {
    if kind != PluginKind::ProcessManager {
        return Ok((message_types("commands", said)?, Vec::new()));
    }
    check_count("commands", said.len(), MESSAGE_TYPES_MAX)?;
    let commands: Vec<_> = said.into_iter().map(message_type).collect::<Checked<_>>()?;
    let targets = parsed_list::<PluginName>("targets", targets, commands.len())?;
    let of_target = |(command, target): (&MessageType<CommandName>, &PluginName)| {
        format!("{target} {}", command.name)
    };
    unique("commands", commands.iter().zip(&targets).map(of_target).collect())?;
    Ok((commands, targets))
}

/// A reader knows one schema version of an event; an upcaster may take several.
fn events(
    kind: PluginKind,
    said: Vec<descriptor::MessageType>,
) -> Checked<Vec<MessageType<EventType>>> {
    if kind == PluginKind::Upcaster {
        shapes("events", said)
    } else {
        message_types("events", said)
    }
}

/// Events of which each name with its schema version is there once.
fn shapes(list: &str, said: Vec<descriptor::MessageType>) -> Checked<Vec<MessageType<EventType>>> {
    check_count(list, said.len(), MESSAGE_TYPES_MAX)?;
    let types: Vec<_> = said.into_iter().map(message_type).collect::<Checked<_>>()?;
    let shape = |ty: &MessageType<EventType>| format!("{} {}", ty.name, ty.schema_version);
    unique(list, types.iter().map(shape).collect())?;
    Ok(types)
}

/// The extension in which an upcaster says what it makes.
const PRODUCES: &str = "produces";

/// One entry of [`PRODUCES`].
#[derive(Debug, Deserialize)]
struct Produced {
    name: String,
    schema_version: u32,
    #[serde(default)]
    content_type: String,
    #[serde(default)]
    schema: Option<Box<RawValue>>,
}

/// What an upcaster makes; nothing for the other kinds, whose extension of that name is not ours.
fn produces(
    kind: PluginKind,
    extensions: &[(String, Vec<u8>)],
) -> Checked<Vec<MessageType<EventType>>> {
    if kind != PluginKind::Upcaster {
        return Ok(Vec::new());
    }
    let Some((_, value)) = extensions.iter().find(|(key, _)| key == PRODUCES) else {
        return Err(invalid(format!(
            "an upcaster lists the shapes that it makes in the extension `{PRODUCES}`"
        )));
    };
    let said: Vec<Produced> = serde_json::from_slice(value).map_err(|error| {
        let error = printable(&error.to_string(), 512);
        invalid(format!(
            "the extension `{PRODUCES}` is not a JSON list of names and schema versions: {error}"
        ))
    })?;
    let said = said.into_iter().map(|produced| descriptor::MessageType {
        name: produced.name,
        schema_version: produced.schema_version,
        content_type: produced.content_type,
        schema: produced.schema.map(|schema| schema.get().to_owned()).unwrap_or_default(),
    });
    let said = shapes(PRODUCES, said.collect())?;
    if said.is_empty() {
        return Err(invalid(format!("the extension `{PRODUCES}` of an upcaster is empty")));
    }
    Ok(said)
}

/// The extension in which a projection says that its view may begin after the first event.
const BEGINS_LATER: &str = "begins_later";

/// Whether the view of a projection may begin after the first event; of the other kinds, the extension
/// of that name is not ours.
fn begins_later(kind: PluginKind, extensions: &[(String, Vec<u8>)]) -> Checked<bool> {
    if kind != PluginKind::Projection {
        return Ok(false);
    }
    match extensions.iter().find(|(key, _)| key == BEGINS_LATER) {
        None => Ok(false),
        Some((_, value)) => serde_json::from_slice(value).map_err(|_| {
            invalid(format!("the extension `{BEGINS_LATER}` is not `true` or `false`"))
        }),
    }
}

fn message_types<N>(list: &str, said: Vec<descriptor::MessageType>) -> Checked<Vec<MessageType<N>>>
where
    N: FromStr<Err = InvalidName> + Clone + Eq + Hash + Display,
{
    check_count(list, said.len(), MESSAGE_TYPES_MAX)?;
    let types: Vec<MessageType<N>> = said.into_iter().map(message_type).collect::<Checked<_>>()?;
    unique(list, types.iter().map(|ty| ty.name.clone()).collect())?;
    Ok(types)
}

fn message_type<N>(said: descriptor::MessageType) -> Checked<MessageType<N>>
where
    N: FromStr<Err = InvalidName> + Display,
{
    let name: N = parsed(&said.name)?;
    if said.schema_version == 0 {
        return Err(invalid(format!("the schema version of `{name}` is 0, the first is 1")));
    }
    let is_media_type = said.content_type.is_empty()
        || said.content_type.len() <= SHORT_TEXT_BYTES_MAX
            && said.content_type.contains('/')
            && said.content_type.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic());
    if !is_media_type {
        return Err(invalid(format!("the content type of `{name}` is not a media type")));
    }
    if !said.schema.is_empty() {
        annals_core::json::check(said.schema.as_bytes())
            .map_err(|error| invalid(format!("the schema of `{name}` is {error}")))?;
    }
    Ok(MessageType {
        name,
        schema_version: SchemaVersion(said.schema_version),
        content_type: ContentType::from(said.content_type),
        schema: said.schema,
    })
}

fn parsed_list<N>(list: &str, said: &[String], count_max: usize) -> Checked<Vec<N>>
where
    N: FromStr<Err = InvalidName>,
{
    check_count(list, said.len(), count_max)?;
    said.iter().map(|text| parsed(text)).collect()
}

fn parsed<N: FromStr<Err = InvalidName>>(text: &str) -> Checked<N> {
    text.parse().map_err(|error: InvalidName| invalid(printable(&error.to_string(), 512)))
}

fn unique<N: Clone + Eq + Hash + Display>(list: &str, names: Vec<N>) -> Checked<Vec<N>> {
    let mut seen = HashSet::with_capacity(names.len());
    match names.iter().find(|name| !seen.insert(*name)) {
        Some(twice) => Err(invalid(format!("`{twice}` is in its {list} twice"))),
        None => Ok(names),
    }
}

fn check_count(list: &str, count: usize, count_max: usize) -> Checked<()> {
    if count <= count_max {
        return Ok(());
    }
    Err(invalid(format!("it has {count} {list}, at most {count_max} are allowed")))
}

fn invalid(cause: String) -> InvalidDescription {
    InvalidDescription(cause)
}

#[cfg(test)]
mod tests;
