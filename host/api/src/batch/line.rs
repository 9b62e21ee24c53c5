//! What one line of a batch says.

use std::borrow::Cow;

use annals_core::name::{CommandName, PluginName};
use annals_core::place::{ExpectedRevision, Revision};
use annals_engine::command::CommandRequest;
use bytes::Bytes;
use serde::Deserialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::Api;
use crate::command::waiter::Waiter;
use crate::problem::{Code, Problem};
use crate::request::{body, headers};

/// One command.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CommandLine<'a> {
    /// The aggregate that decides.
    #[serde(borrow)]
    aggregate: Cow<'a, str>,
    /// The id part of the stream.
    #[serde(borrow)]
    id: Cow<'a, str>,
    /// What is wished for.
    #[serde(borrow)]
    command: Cow<'a, str>,
    /// The command's data; absent counts as `{}`.
    #[serde(borrow)]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<&'a RawValue>,
    /// The id by which a repeat is recognised; made when absent.
    #[schema(value_type = Option<String>, format = "uuid")]
    command_id: Option<Cow<'a, str>>,
    /// What the sender believes about the stream.
    #[serde(borrow)]
    if_revision: Option<IfRevision<'a>>,
    /// Shared by everything one outside request led to.
    correlation_id: Option<Cow<'a, str>>,
    /// The id of the event or of the command that this command is the answer to.
    #[schema(value_type = Option<String>, format = "uuid")]
    causation_id: Option<Cow<'a, str>>,
    /// Answer when the view of this projection has the command's last event, or `wait_ms` is over.
    #[serde(borrow)]
    wait_for: Option<Cow<'a, str>>,
    /// How long to wait for it; 5000 when absent.
    wait_ms: Option<u64>,
}

/// What a line asks for.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) command: CommandRequest,
    pub(super) waiter: Option<Waiter>,
}

/// `any`, `no-stream`, `stream-exists` or a revision.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(untagged)]
pub(super) enum IfRevision<'a> {
    /// A revision.
    Exactly(u64),
    /// In words, or a revision as text.
    Text(#[serde(borrow)] Cow<'a, str>),
}

/// Parses a line.
pub(super) fn parse(api: &Api, text: &Bytes) -> Result<Wish, Problem> {
    let line: CommandLine<'_> = body::parse(text)?;
    let command_id = line.command_id.as_deref().map(Uuid::parse_str).transpose().map_err(|_| {
        Problem::new(
            Code::BadIdempotencyKey,
            "`command_id` is not a UUID. Send a new one for each command.",
        )
    })?;
    let waiter = Waiter::new(line.wait_for.as_deref(), line.wait_ms, api)?;
    let command = CommandRequest {
        aggregate: PluginName::new(&line.aggregate)?,
        id: line.id.into_owned(),
        command: CommandName::new(&line.command)?,
        data: match line.data {
            // Parsed by borrowing, so the data is a part of the text.
            Some(data) => body::unpinned(text.slice_ref(data.get().as_bytes())),
            None => Bytes::from_static(b"{}"),
        },
        command_id: command_id.map(annals_core::id::CommandId::new),
        id_is_new: false,
        expected: line.if_revision.map_or(Ok(ExpectedRevision::Any), expected)?,
        origin: headers::origin_of(line.correlation_id.as_deref(), line.causation_id.as_deref())?,
    };
    Ok(Wish { command, waiter })
}

fn expected(belief: IfRevision<'_>) -> Result<ExpectedRevision, Problem> {
    match belief {
        IfRevision::Exactly(revision) => Ok(ExpectedRevision::Exactly(Revision::new(revision))),
        IfRevision::Text(text) => text.parse().map_err(|_| headers::bad_if_revision()),
    }
}
