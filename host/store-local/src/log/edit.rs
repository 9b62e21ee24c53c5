//! Changing events of a recorded frame. Everything before the events stays byte for byte.

use annals_core::event::{ContentType, NewEvent, SchemaVersion};
use annals_core::name::EventType;
use annals_core::place::Revision;
use bytes::Bytes;

use super::decode::{Body, EventPart, StreamPart};
use super::encode::put_event;
use super::fault::FrameFault;
use super::frame::{Draft, Frame, Place, body_start, seal};

/// Where an event is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EditedPlace<'a> {
    pub(crate) stream: &'a str,
    pub(crate) revision: Revision,
    pub(crate) position: u64,
}

/// What became of a frame.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum FrameEdit {
    Frame(Vec<u8>),
    TooLong,
}

pub(crate) struct FrameEditor<'a> {
    frame: &'a Frame,
}

impl<'a> FrameEditor<'a> {
    pub(crate) const fn new(frame: &'a Frame) -> Self {
        Self { frame }
    }

    pub(crate) fn for_each_event(
        &self,
        mut visit: impl FnMut(EditedPlace<'_>, &EventPart<'_>),
    ) -> Result<(), FrameFault> {
        let body = Body::decode(self.frame)?;
        let mut events = body.events();
        let mut position = self.frame.header.first_position;
        for part in body.streams() {
            let StreamPart { stream, first_revision, events_count, .. } = part?;
            for ordinal in 0..u64::from(events_count) {
                let event = events.decode_next()?;
                let revision = first_revision.plus(ordinal);
                visit(EditedPlace { stream, revision, position }, &event);
                position += 1;
            }
        }
        Ok(())
    }

    /// The frame for a segment with this salt, with the events that `edit` gives in place of those it
    /// is shown.
    pub(crate) fn edit(
        &self,
        salt: u64,
        mut edit: impl FnMut(EditedPlace<'_>, NewEvent) -> Option<NewEvent>,
    ) -> Result<FrameEdit, FrameFault> {
        let header = &self.frame.header;
        let body = Body::decode(self.frame)?;
        let start = body_start(usize::from(header.streams_count));
        let before_events = self.frame.body().len() - body.events().bytes_count();
        let mut bytes = vec![0; start];
        bytes.extend_from_slice(self.frame.body().get(..before_events).unwrap_or_default());
        let mut events = body.events();
        let mut position = header.first_position;
        let mut first_revisions = Vec::new();
        for part in body.streams() {
            let StreamPart { stream, first_revision, events_count, .. } = part?;
            first_revisions.push(first_revision.get());
            for ordinal in 0..u64::from(events_count) {
                let rest = events.rest();
                let event = new_event(&events.decode_next()?)?;
                let encoded_bytes = rest.len() - events.bytes_count();
                let place =
                    EditedPlace { stream, revision: first_revision.plus(ordinal), position };
                match edit(place, event) {
                    None => bytes.extend_from_slice(rest.get(..encoded_bytes).unwrap_or_default()),
                    Some(event) => put_event(&mut bytes, &event).map_err(|_| {
                        FrameFault::Malformed { what: "an event cannot be encoded" }
                    })?,
                }
                position += 1;
            }
        }
        let Some(draft) = Draft::new(bytes, header.streams_count, salt) else {
            return Ok(FrameEdit::TooLong);
        };
        let place = Place {
            commit: header.commit,
            first_position: header.first_position,
            recorded_at_ms: header.recorded_at_ms,
            events_count: header.events_count,
        };
        let mut frame = draft.place(place, first_revisions.into_iter());
        seal(&mut frame, header.synced_commits);
        Ok(FrameEdit::Frame(frame))
    }
}

fn new_event(part: &EventPart<'_>) -> Result<NewEvent, FrameFault> {
    Ok(NewEvent {
        id: part.id,
        event_type: EventType::new(part.event_type)
            .map_err(|_| FrameFault::Malformed { what: "an event type is not one" })?,
        schema_version: SchemaVersion(part.schema_version),
        content_type: ContentType::from(part.content_type),
        data: Bytes::copy_from_slice(part.data),
        metadata: Bytes::copy_from_slice(part.metadata),
    })
}
