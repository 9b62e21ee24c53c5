//! From the parts of a frame to recorded events and commands.

use std::sync::Arc;

use annals_core::command::{CommandRecord, RecordedCommand};
use annals_core::commit::{Claim, Commit, RecordedCommit, Release, StreamAppend};
use annals_core::event::{ContentType, NewEvent, Origin, RecordedEvent, SchemaVersion};
use annals_core::id::{CommandId, EventId, StoreId};
use annals_core::name::{CommandName, EventType};
use annals_core::place::{ActualRevision, ExpectedRevision, Partition, Position, Revision};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use uuid::Uuid;

use super::append::range_of;
use super::decode::{Body, EventPart, OriginPart, text_of};
use super::fault::FrameFault;
use super::frame::Frame;
use super::names::{EventTypes, stream_id};

/// How many event types a builder remembers; a page rarely has more.
const TYPES_REMEMBERED: usize = 8;

/// Builds the events of one page: remembers what consecutive events share.
#[derive(Debug)]
pub(crate) struct Builder<'a> {
    store: StoreId,
    known_types: &'a EventTypes,
    event_types: Vec<EventType>,
    no_origin: Arc<Origin>,
}

/// What all events of one stream in one frame share.
#[derive(Debug)]
pub(crate) struct Common {
    pub(crate) stream: StreamId,
    recorded_at: Timestamp,
    command_id: Option<CommandId>,
    /// What ids are derived from.
    id_source: CommandId,
    pub(crate) origin: Arc<Origin>,
}

/// Where one event is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventPlace {
    /// Which event of its stream in the commit.
    pub(crate) ordinal: u32,
    pub(crate) revision: Revision,
    pub(crate) position: u64,
}

impl<'a> Builder<'a> {
    pub(crate) fn new(store: StoreId, known_types: &'a EventTypes) -> Self {
        Self { store, known_types, event_types: Vec::new(), no_origin: Arc::default() }
    }

    pub(crate) fn origin(&self, part: &OriginPart<'_>) -> Result<Arc<Origin>, FrameFault> {
        let is_empty = part.correlation_id.is_none()
            && part.causation_id.is_none()
            && part.principal.is_none();
        if is_empty {
            return Ok(Arc::clone(&self.no_origin));
        }
        Ok(Arc::new(Origin {
            correlation_id: part.correlation_id()?,
            causation_id: part.causation_id,
            principal: part.principal.map(Arc::from),
        }))
    }

    pub(crate) fn common(
        &self,
        frame: &Frame,
        body: &Body<'_>,
        stream: StreamId,
        origin: &Arc<Origin>,
    ) -> Common {
        let command_id = body.command.map(|command| command.id);
        Common {
            stream,
            recorded_at: Timestamp::from_ms(frame.header.recorded_at_ms),
            command_id,
            id_source: command_id.unwrap_or_else(|| self.plain_source(frame)),
            origin: Arc::clone(origin),
        }
    }

    /// What the ids of a plain append are derived from that gave none: no other append of any store
    /// has the same.
    fn plain_source(&self, frame: &Frame) -> CommandId {
        let position = u128::from(frame.header.first_position);
        CommandId::new(Uuid::from_u128(self.store.uuid().as_u128() ^ position))
    }

    #[inline]
    pub(crate) fn event(
        &mut self,
        frame: &Frame,
        common: &Common,
        part: &EventPart<'_>,
        place: EventPlace,
    ) -> Result<RecordedEvent, FrameFault> {
        let derive = || EventId::derive(common.id_source, &common.stream, place.ordinal);
        Ok(RecordedEvent {
            id: part.id.unwrap_or_else(derive),
            stream: common.stream.clone(),
            revision: place.revision,
            partition: Partition::ZERO,
            position: Position::new(place.position),
            event_type: self.event_type(part.event_type)?,
            schema_version: SchemaVersion(part.schema_version),
            content_type: ContentType::from(part.content_type),
            data: slice(frame, part.data),
            metadata: slice(frame, part.metadata),
            recorded_at: common.recorded_at,
            command_id: common.command_id,
            origin: Arc::clone(&common.origin),
        })
    }

    fn event_type(&mut self, text: &str) -> Result<EventType, FrameFault> {
        if let Some(known) = self.event_types.iter().find(|known| known.as_str() == text) {
            return Ok(known.clone());
        }
        let event_type = self.known_types.get(text)?;
        if self.event_types.len() < TYPES_REMEMBERED {
            self.event_types.push(event_type.clone());
        }
        Ok(event_type)
    }

    /// The command of a frame that has one.
    pub(crate) fn command(&self, frame: &Frame) -> Result<RecordedCommand, FrameFault> {
        let body = Body::decode(frame)?;
        let command = body.command.ok_or(FrameFault::Malformed { what: "a command is missing" })?;
        let mut position = frame.header.first_position;
        for part in body.streams().take(command.stream_index) {
            position = position.saturating_add(part?.events_count.into());
        }
        let part = body.streams().nth(command.stream_index).transpose()?;
        let part =
            part.ok_or(FrameFault::Malformed { what: "the stream of a command is missing" })?;
        let record = CommandRecord {
            id: command.id,
            name: CommandName::new(text_of(command.name)?)
                .map_err(|_| FrameFault::Malformed { what: "a command name is not one" })?,
            stream: stream_id(part.stream)?,
            content_type: ContentType::from(text_of(command.content_type)?),
            data: slice(frame, command.data),
            decided_at: command.decided_at,
            seed: command.seed,
            plugin: command.plugin,
            outcome: command.outcome()?,
        };
        let head = part.first_revision.get();
        Ok(RecordedCommand {
            record,
            origin: self.origin(&body.origin)?,
            recorded_at: Timestamp::from_ms(frame.header.recorded_at_ms),
            revision: part.revision_after(),
            events: range_of(head, part.events_count.into(), position),
        })
    }

    /// The commit a frame holds, as it was recorded: with the ids of plain events.
    pub(crate) fn commit(&mut self, frame: &Frame) -> Result<RecordedCommit, FrameFault> {
        let body = Body::decode(frame)?;
        let origin = self.origin(&body.origin)?;
        let mut streams = Vec::new();
        let mut events = body.events();
        let mut events_count = 0_u64;
        for part in body.streams() {
            let part = part?;
            if !part.is_named {
                continue;
            }
            let stream = stream_id(part.stream)?;
            let source = self.plain_source(frame);
            let mut new_events = Vec::new();
            for ordinal in 0..part.events_count {
                let event = events.decode_next()?;
                let made = || EventId::derive(source, &stream, ordinal);
                let id = body.command.is_none().then(|| event.id.unwrap_or_else(made));
                new_events.push(NewEvent {
                    id,
                    event_type: self.event_type(event.event_type)?,
                    schema_version: SchemaVersion(event.schema_version),
                    content_type: ContentType::from(event.content_type),
                    data: slice(frame, event.data),
                    metadata: slice(frame, event.metadata),
                });
            }
            events_count += u64::from(part.events_count);
            let before = ActualRevision(Revision::last_of(part.first_revision.get()));
            let expected = ExpectedRevision::at(before);
            streams.push(StreamAppend { stream, expected, events: new_events });
        }
        if events_count != u64::from(frame.header.events_count) || !events.is_at_end() {
            return Err(FrameFault::Malformed { what: "the events are not as many as counted" });
        }
        let (claims, releases) = self.claims(&body)?;
        let command = body.command.is_some().then(|| self.command(frame)).transpose()?;
        Ok(RecordedCommit {
            number: frame.header.commit,
            first_position: Position::new(frame.header.first_position),
            commit: Commit {
                recorded_at: Timestamp::from_ms(frame.header.recorded_at_ms),
                origin,
                command: command.map(|command| command.record),
                streams,
                claims,
                releases,
                id_is_new: false,
            },
        })
    }

    fn claims(&self, body: &Body<'_>) -> Result<(Vec<Claim>, Vec<Release>), FrameFault> {
        let (mut claims, mut releases) = (Vec::new(), Vec::new());
        body.for_each_claim(|part| {
            let (scope, key) = (Arc::from(part.scope), Arc::from(part.key));
            let stream = stream_id(part.stream)?;
            if part.is_taken {
                claims.push(Claim { scope, key, stream, expires_at: part.expires_at });
            } else {
                releases.push(Release { scope, key, stream });
            }
            Ok(())
        })?;
        Ok((claims, releases))
    }
}

/// Shares bytes of the frame instead of copying them.
fn slice(frame: &Frame, part: &[u8]) -> Bytes {
    if part.is_empty() {
        return Bytes::new();
    }
    frame.bytes.slice_ref(part)
}
