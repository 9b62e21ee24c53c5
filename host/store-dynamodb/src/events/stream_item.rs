//! An item of a stream: one commit's part in it, or a piece of a part that is too large for one item.
//!
//! ```text
//! at  recorded at           n  commits of the stream before      k  present: not the commit's head
//! o   origin                m  commands of the stream before     z  events of the part in items before
//! po  position of the first event, or what it would be           i  command id, where no head says it
//! e   events                …  what the head says: head.rs
//! ```
//! The head is the first item in the stream of the commit's command, or in its first stream.

use std::sync::Arc;

use annals_core::event::{NewEvent, Origin, RecordedEvent};
use annals_core::id::{CommandId, EventId, StoreId};
use annals_core::place::{Partition, Position, Revision};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::event::{put, read_event, read_origin, write_event, write_origin};
use super::fields::{Fault, Fields, Item, binary, number, text};
use super::head::Head;
use super::key::{self, Place};

/// An item of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct StreamItem {
    pub(super) place: Place,
    /// Commits of the stream before this one.
    pub(super) commits_before: u64,
    /// Commands that the stream has decided before this item.
    pub(super) commands_before: u64,
    /// Position of the first event, or what it would be.
    pub(super) first_position: u64,
    pub(super) recorded_at: Timestamp,
    pub(super) origin: Arc<Origin>,
    /// Events of the commit's part in this stream that are in items before.
    pub(super) ordinal: u32,
    pub(super) command_id: Option<CommandId>,
    /// What the commit holds besides events; only in its first item.
    pub(super) head: Option<Head>,
    pub(super) events: Vec<NewEvent>,
}

impl StreamItem {
    /// Where the next item of the stream goes.
    pub(super) fn next_place(&self) -> Place {
        Place { first: self.place.first + count(&self.events), before: self.place.before + 1 }
    }

    /// Commands that the stream has decided up to here.
    pub(super) fn commands_after(&self) -> u64 {
        let decides = self.head.as_ref().is_some_and(|head| head.command.is_some());
        self.commands_before + u64::from(decides)
    }

    /// The item as it is stored.
    pub(super) fn write(&self, namespace: &str, stream: &StreamId) -> Item {
        let mut item = Item::new();
        put(&mut item, "pk", Some(text(&key::stream(namespace, stream))));
        put(&mut item, "sk", Some(text(&self.place.sort_key())));
        put(&mut item, "at", Some(number(self.recorded_at.ms())));
        put(&mut item, "o", write_origin(&self.origin));
        put(&mut item, "n", Some(number(self.commits_before)));
        put(&mut item, "m", Some(number(self.commands_before)));
        put(&mut item, "po", Some(number(self.first_position)));
        put(&mut item, "z", (self.ordinal > 0).then(|| number(u64::from(self.ordinal))));
        match &self.head {
            Some(head) => head.write(stream, &mut item),
            None => {
                put(&mut item, "k", Some(number(1)));
                put(&mut item, "i", self.command_id.map(|id| binary(id.uuid().as_bytes())));
            }
        }
        let events: Vec<_> = self.events.iter().map(write_event).collect();
        put(&mut item, "e", (!events.is_empty()).then_some(AttributeValue::L(events)));
        item
    }

    /// An item of `stream` read back.
    pub(super) fn read(item: &Item, stream: &StreamId) -> Result<Self, Fault> {
        let fields = Fields(item);
        let place = Place::parse(fields.text("sk")?);
        let is_head = fields.optional_number("k")?.is_none();
        let head = if is_head { Some(Head::read(fields, stream)?) } else { None };
        let decided = head.as_ref().and_then(|head| head.command.as_ref());
        let command_id = match decided {
            Some(command) => Some(command.id),
            None => fields.optional_uuid("i")?.map(CommandId::new),
        };
        let ordinal = u32::try_from(fields.optional_number("z")?.unwrap_or_default());
        Ok(Self {
            place: place.ok_or_else(|| Fault::new("sk", "is not a place"))?,
            commits_before: fields.number("n")?,
            commands_before: fields.number("m")?,
            first_position: fields.number("po")?,
            recorded_at: Timestamp::from_ms(fields.number("at")?),
            origin: read_origin(fields)?,
            ordinal: ordinal.map_err(|_| Fault::new("z", "is too large"))?,
            command_id,
            head,
            events: fields.maps("e")?.into_iter().map(read_event).collect::<Result<_, _>>()?,
        })
    }

    /// Its events as they are read.
    pub(super) fn recorded(&self, of: &Owner<'_>) -> Vec<RecordedEvent> {
        let numbered = (0_u32..).zip(&self.events);
        numbered.map(|(index, event)| self.recorded_event(of, index, event)).collect()
    }

    fn recorded_event(&self, of: &Owner<'_>, index: u32, event: &NewEvent) -> RecordedEvent {
        let position = self.first_position + u64::from(index);
        let id = event.id.unwrap_or_else(|| match self.command_id {
            Some(command) => EventId::derive(command, of.stream, self.ordinal + index),
            None => made_id(of.store, of.stream, position),
        });
        RecordedEvent {
            id,
            stream: of.stream.clone(),
            revision: Revision::new(self.place.first + u64::from(index)),
            partition: of.partition,
            position: Position::new(position),
            event_type: event.event_type.clone(),
            schema_version: event.schema_version,
            content_type: event.content_type.clone(),
            data: event.data.clone(),
            metadata: event.metadata.clone(),
            recorded_at: self.recorded_at,
            command_id: self.command_id,
            origin: Arc::clone(&self.origin),
        }
    }
}

/// Whose items are read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Owner<'a> {
    pub(super) store: StoreId,
    pub(super) stream: &'a StreamId,
    pub(super) partition: Partition,
}

/// The id of an event that neither a client nor a command gave one: no two events of all stores share
/// store, stream and position.
pub(super) fn made_id(store: StoreId, stream: &StreamId, position: u64) -> EventId {
    let place = store.uuid().as_u128() ^ u128::from(position);
    EventId::derive(CommandId::new(Uuid::from_u128(place)), stream, 0)
}

/// How many events there are.
pub(super) fn count(events: &[NewEvent]) -> u64 {
    u64::try_from(events.len()).unwrap_or(u64::MAX)
}
