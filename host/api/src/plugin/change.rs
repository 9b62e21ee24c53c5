//! How a version differs from the one before.

use annals_core::event::SchemaVersion;
use annals_engine::plugins::{Change, ChangeKind, Difference, MessageKind, UnreadEvents};
use serde::Serialize;
use utoipa::ToSchema;

/// A command or event that is not as it was.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginChange)]
pub(crate) struct ChangeJson<'a> {
    /// `command` or `event`.
    #[schema(value_type = String)]
    message: MessageKind,
    /// Its name.
    name: &'a str,
    /// Shape of the data; 1 for a command.
    #[schema(value_type = u32)]
    schema_version: SchemaVersion,
    /// `added`, `removed` or `changed`.
    #[schema(value_type = String)]
    change: ChangeKind,
    /// Whether callers or recorded events may no longer fit.
    is_breaking: bool,
    /// Why they may not, where the schemas tell.
    differences: Vec<DifferenceJson<'a>>,
}

/// A place in the data where a new schema does not take what the old one took.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SchemaDifference)]
pub(crate) struct DifferenceJson<'a> {
    /// Where: a JSON pointer, in which `*` stands for every item or property.
    pointer: &'a str,
    /// What is so there.
    text: &'a str,
}

impl<'a> ChangeJson<'a> {
    pub(super) fn new(change: &'a Change) -> Self {
        let difference =
            |it: &'a Difference| DifferenceJson { pointer: &it.pointer, text: &it.text };
        Self {
            message: change.message,
            name: &change.name,
            schema_version: change.schema_version,
            change: change.change,
            is_breaking: change.is_breaking,
            differences: change.differences.iter().map(difference).collect(),
        }
    }
}

/// Events that an active plugin wants and cannot read.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = UnreadEvents)]
pub(crate) struct UnreadJson<'a> {
    /// The plugin that wants them.
    reader: &'a str,
    /// Their type.
    r#type: &'a str,
    /// Shape of their data.
    #[schema(value_type = u32)]
    schema_version: SchemaVersion,
}

impl<'a> UnreadJson<'a> {
    pub(super) fn new(unread: &'a UnreadEvents) -> Self {
        Self {
            reader: unread.reader.as_str(),
            r#type: unread.event_type.as_str(),
            schema_version: unread.schema_version,
        }
    }
}
