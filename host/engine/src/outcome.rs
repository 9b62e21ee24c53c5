//! What a caller is told of a command: its events, the first outcome again, or where its data does
//! not fit.

use annals_core::command::{Outcome, RecordedCommand, RecordedRange};
use annals_core::event::NewEvent;
use annals_core::id::{CommandId, EventId};
use annals_core::name::CommandName;
use annals_core::place::Revision;
use annals_core::port::EventStore;
use annals_core::port::event_store::Direction;
use annals_core::stream::StreamId;
use jsonschema::Validator;
use serde_json::Value;

use crate::catalog::ActiveAggregate;
use crate::command::{CommandError, CommandOutcome, CommandRequest, OutcomeEvent, Verdict};
use crate::shard::read_error;

/// The events of a fresh commit as the caller sees them.
pub(crate) fn outcome_events(
    command: CommandId,
    stream: &StreamId,
    first_revision: Revision,
    events: Vec<NewEvent>,
) -> Vec<OutcomeEvent> {
    let numbered = (0_u32..).zip(events);
    let outcome_event = |(ordinal, event): (u32, NewEvent)| OutcomeEvent {
        id: EventId::derive(command, stream, ordinal),
        event_type: event.event_type,
        schema_version: event.schema_version,
        revision: first_revision.plus(u64::from(ordinal)),
        data: event.data,
    };
    numbered.map(outcome_event).collect()
}

/// The outcome of a command that was decided before, as it was told the first time.
pub(crate) async fn first_outcome(
    store: &dyn EventStore,
    recorded: RecordedCommand,
    request: &CommandRequest,
) -> Result<CommandOutcome, CommandError> {
    let (record, stream) = (recorded.record, recorded.revision);
    if record.name != request.command || !is_same_data(&record.data, &request.data) {
        let (command_id, stream) = (record.id, record.stream);
        return Err(CommandError::CommandIdReused { command_id, stream });
    }
    let verdict = match (record.outcome, recorded.events) {
        (Outcome::Rejected(rejection), _) => Verdict::Rejected(rejection),
        (Outcome::Accepted, None) => Verdict::Accepted(Vec::new()),
        (Outcome::Accepted, Some(range)) => {
            Verdict::Accepted(recorded_events(store, &record.stream, range).await?)
        }
    };
    Ok(CommandOutcome {
        command_id: record.id,
        correlation_id: recorded.origin.correlation_id.clone(),
        partition: store.capabilities().partition_of(&record.stream),
        stream: record.stream,
        revision: stream,
        position: recorded.events.map(|range| range.last_position),
        recorded_at: recorded.recorded_at,
        verdict,
        is_repeat: true,
    })
}

/// Whether two JSON texts say the same: a client that retries may write its keys in another order.
pub(crate) fn is_same_data(one: &[u8], other: &[u8]) -> bool {
    let parse = serde_json::from_slice::<Value>;
    one == other || matches!((parse(one), parse(other)), (Ok(one), Ok(other)) if one == other)
}

async fn recorded_events(
    store: &dyn EventStore,
    stream: &StreamId,
    range: RecordedRange,
) -> Result<Vec<OutcomeEvent>, CommandError> {
    let mut events = Vec::new();
    let mut from = range.first_revision;
    loop {
        let count = range.last_revision.events_count().saturating_sub(from.get());
        let limit = usize::try_from(count).unwrap_or(usize::MAX);
        let page = store.read_stream(stream, from, limit, Direction::Forwards).await;
        let page = page.map_err(read_error)?;
        events.extend(page.events.into_iter().map(|event| OutcomeEvent {
            id: event.id,
            event_type: event.event_type,
            schema_version: event.schema_version,
            revision: event.revision,
            data: event.data,
        }));
        match page.next {
            Some(next) if next <= range.last_revision => from = next,
            _ => return Ok(events),
        }
    }
}

/// What is wrong with the data of a command its plugin did not understand: the declared schema tells
/// where, when it can, else the plugin's own words.
pub(crate) fn malformed(
    active: &ActiveAggregate,
    command_index: u32,
    request: &CommandRequest,
    message: &str,
) -> CommandError {
    let parsed = serde_json::from_slice::<Value>(&request.data).ok();
    let found = parsed
        .zip(active.validator(command_index))
        .and_then(|(data, validator)| first_fault(validator, &data));
    let (message, pointer, expected) =
        found.unwrap_or_else(|| (message.to_owned(), String::new(), None));
    CommandError::Malformed { command: request.command.clone(), message, pointer, expected }
}

/// The first fault of `data` as message, JSON pointer and expectation.
fn first_fault(validator: &Validator, data: &Value) -> Option<(String, String, Option<String>)> {
    let fault = validator.iter_errors(data).next()?;
    let pointer = fault.instance_path().to_string();
    let expected = fault.schema_path().to_string();
    Some((fault.to_string(), pointer, Some(format!("see `{expected}` of the command's schema"))))
}

/// The answer to a command the aggregate does not have.
pub(crate) fn unknown_command(active: &ActiveAggregate, command: &CommandName) -> CommandError {
    CommandError::UnknownCommand {
        aggregate: active.description.name.clone(),
        command: command.clone(),
        known: active.description.commands.iter().map(|command| command.name.clone()).collect(),
    }
}
