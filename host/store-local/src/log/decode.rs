//! From the body of a frame to its parts, without copying: texts and data are borrowed.

use annals_core::command::{Outcome, Rejection};
use annals_core::id::{CausationId, CommandId, CorrelationId, Digest, EventId};
use annals_core::place::{ActualRevision, Revision};
use annals_core::time::Timestamp;
use bytes::Bytes;
use uuid::Uuid;

use super::cursor::Cursor;
pub(crate) use super::cursor::text_of;
use super::encode::{event_bits, expects, outcome, what};
use super::fault::FrameFault;
use super::frame::{Frame, PLACE_BYTES};

/// The parts of one frame. Streams and events are decoded while iterating.
#[derive(Debug)]
pub(crate) struct Body<'a> {
    pub(crate) origin: OriginPart<'a>,
    pub(crate) command: Option<CommandPart<'a>>,
    streams: StreamParts<'a>,
    claims: Option<Cursor<'a>>,
    events: Cursor<'a>,
}

/// Who and what led to the commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct OriginPart<'a> {
    pub(crate) correlation_id: Option<&'a str>,
    pub(crate) causation_id: Option<CausationId>,
    pub(crate) principal: Option<&'a str>,
}

impl OriginPart<'_> {
    pub(crate) fn correlation_id(&self) -> Result<Option<CorrelationId>, FrameFault> {
        self.correlation_id
            .map(CorrelationId::new)
            .transpose()
            .map_err(|_| FrameFault::Malformed { what: "a correlation id is not one" })
    }
}

/// One entry of the table of streams.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StreamPart<'a> {
    pub(crate) stream: &'a str,
    /// Whether the commit names the stream, or only its command does.
    pub(crate) is_named: bool,
    /// Revision of the first event of the commit, or what it would be.
    pub(crate) first_revision: Revision,
    pub(crate) events_count: u32,
}

impl StreamPart<'_> {
    /// Where the stream ends after the commit.
    pub(crate) fn revision_after(&self) -> ActualRevision {
        let events_count = self.first_revision.get().saturating_add(self.events_count.into());
        ActualRevision(Revision::last_of(events_count))
    }
}

/// The table of streams.
#[derive(Debug, Clone, Copy)]
pub(crate) struct StreamParts<'a> {
    places: &'a [u8],
    table: Cursor<'a>,
}

impl<'a> StreamParts<'a> {
    fn decode_next(&mut self) -> Result<Option<StreamPart<'a>>, FrameFault> {
        let Some((place, places)) = self.places.split_first_chunk::<PLACE_BYTES>() else {
            return Ok(None);
        };
        self.places = places;
        let stream = self.table.text_16()?;
        let tag = self.decode_tag()?;
        Ok(Some(StreamPart {
            stream,
            is_named: tag != expects::NOT_NAMED,
            first_revision: Revision::new(u64::from_le_bytes(*place)),
            events_count: self.table.u32()?,
        }))
    }

    fn decode_tag(&mut self) -> Result<u8, FrameFault> {
        let tag = self.table.u8()?;
        match tag {
            expects::ANY..=expects::STREAM_EXISTS | expects::NOT_NAMED => {}
            expects::EXACTLY => {
                self.table.u64()?;
            }
            _ => return Err(malformed("an expectation is of an unknown kind")),
        }
        Ok(tag)
    }

    /// What is behind the table, and how many events it tells of.
    fn skip(mut self) -> Result<(Cursor<'a>, u64), FrameFault> {
        let mut events_count = 0;
        for _ in self.places.chunks_exact(PLACE_BYTES) {
            self.table.bytes_16()?;
            self.decode_tag()?;
            events_count += u64::from(self.table.u32()?);
        }
        Ok((self.table, events_count))
    }
}

impl<'a> Iterator for StreamParts<'a> {
    type Item = Result<StreamPart<'a>, FrameFault>;
    fn next(&mut self) -> Option<Self::Item> {
        self.decode_next().transpose()
    }
}

/// A decided command.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CommandPart<'a> {
    pub(crate) id: CommandId,
    /// A text, which is checked only when it is wanted: reading events passes over commands.
    pub(crate) name: &'a [u8],
    /// Which entry of the table of streams it was decided on.
    pub(crate) stream_index: usize,
    /// A text too.
    pub(crate) content_type: &'a [u8],
    pub(crate) data: &'a [u8],
    pub(crate) decided_at: Timestamp,
    pub(crate) seed: (u64, u64),
    pub(crate) plugin: Digest,
    pub(crate) rejection: Option<RejectionPart<'a>>,
}

/// What a rejected command was told.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RejectionPart<'a> {
    code: &'a [u8],
    message: &'a [u8],
    detail: &'a [u8],
}

impl CommandPart<'_> {
    pub(crate) fn outcome(&self) -> Result<Outcome, FrameFault> {
        let Some(rejection) = self.rejection else {
            return Ok(Outcome::Accepted);
        };
        Ok(Outcome::Rejected(Rejection {
            code: text_of(rejection.code)?.into(),
            message: text_of(rejection.message)?.into(),
            detail: Bytes::copy_from_slice(rejection.detail),
        }))
    }
}

/// A claim that was taken, or with `is_taken` unset one that was released.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct ClaimPart<'a> {
    pub(crate) is_taken: bool,
    pub(crate) scope: &'a str,
    pub(crate) key: &'a str,
    pub(crate) stream: &'a str,
    pub(crate) expires_at: Option<Timestamp>,
}

/// One event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct EventPart<'a> {
    pub(crate) id: Option<EventId>,
    pub(crate) event_type: &'a str,
    pub(crate) schema_version: u32,
    /// Empty means JSON.
    pub(crate) content_type: &'a str,
    pub(crate) data: &'a [u8],
    pub(crate) metadata: &'a [u8],
}

/// The events of a frame, in order.
#[derive(Debug, Clone, Copy)]
pub(crate) struct EventParts<'a> {
    rest: Cursor<'a>,
}

impl<'a> EventParts<'a> {
    pub(crate) fn decode_next(&mut self) -> Result<EventPart<'a>, FrameFault> {
        let rest = &mut self.rest;
        let bits = rest.u8()?;
        if bits & !event_bits::KNOWN != 0 {
            return Err(malformed("an event has unknown bits"));
        }
        let event_type = rest.text_8()?;
        let schema_version = rest.u32()?;
        let id = if bits & event_bits::ID == 0 {
            None
        } else {
            Some(EventId::new(Uuid::from_bytes(rest.array()?)))
        };
        let content_type = if bits & event_bits::CONTENT_TYPE == 0 { "" } else { rest.text_16()? };
        Ok(EventPart {
            id,
            event_type,
            schema_version,
            content_type,
            data: rest.bytes_32()?,
            metadata: rest.bytes_32()?,
        })
    }

    pub(crate) const fn is_at_end(&self) -> bool {
        self.rest.is_at_end()
    }

    /// What is not decoded yet.
    pub(crate) const fn rest(&self) -> &'a [u8] {
        self.rest.rest()
    }

    /// How much is not decoded yet, in bytes.
    pub(crate) const fn bytes_count(&self) -> usize {
        self.rest().len()
    }

    pub(crate) fn skip(&mut self, events_count: u64) -> Result<(), FrameFault> {
        for _ in 0..events_count {
            self.decode_next()?;
        }
        Ok(())
    }
}

impl<'a> Body<'a> {
    /// Decodes everything before the events.
    pub(crate) fn decode(frame: &'a Frame) -> Result<Self, FrameFault> {
        let mut rest = Cursor::new(frame.body());
        let bits = rest.u8()?;
        if bits & !what::KNOWN != 0 {
            return Err(malformed("the body has unknown bits"));
        }
        let origin = decode_origin(&mut rest, bits)?;
        let streams = StreamParts { places: frame.places(), table: rest };
        let (table, events_count) = streams.skip()?;
        if events_count != u64::from(frame.header.events_count) {
            return Err(malformed("the events are not as many as counted"));
        }
        rest = table;
        let command =
            if bits & what::COMMAND == 0 { None } else { Some(decode_command(&mut rest)?) };
        let claims = (bits & what::CLAIMS != 0).then_some(rest);
        if claims.is_some() {
            for_each_claim(&mut rest, |_| Ok(()))?;
        }
        Ok(Self { origin, command, streams, claims, events: rest })
    }

    pub(crate) const fn streams(&self) -> StreamParts<'a> {
        self.streams
    }

    pub(crate) const fn events(&self) -> EventParts<'a> {
        EventParts { rest: self.events }
    }

    /// Hands over releases and claims, in this order.
    pub(crate) fn for_each_claim(
        &self,
        visit: impl FnMut(ClaimPart<'a>) -> Result<(), FrameFault>,
    ) -> Result<(), FrameFault> {
        match self.claims {
            Some(mut claims) => for_each_claim(&mut claims, visit),
            None => Ok(()),
        }
    }
}

fn decode_origin<'a>(rest: &mut Cursor<'a>, bits: u8) -> Result<OriginPart<'a>, FrameFault> {
    let mut origin = OriginPart { correlation_id: None, causation_id: None, principal: None };
    if bits & what::CORRELATION != 0 {
        origin.correlation_id = Some(rest.text_8()?);
    }
    if bits & what::CAUSATION != 0 {
        origin.causation_id = Some(CausationId::new(Uuid::from_bytes(rest.array()?)));
    }
    if bits & what::PRINCIPAL != 0 {
        origin.principal = Some(rest.text_16()?);
    }
    Ok(origin)
}

fn decode_command<'a>(rest: &mut Cursor<'a>) -> Result<CommandPart<'a>, FrameFault> {
    Ok(CommandPart {
        id: CommandId::new(Uuid::from_bytes(rest.array()?)),
        name: rest.bytes_8()?,
        stream_index: usize::from(rest.u16()?),
        content_type: rest.bytes_16()?,
        data: rest.bytes_32()?,
        decided_at: Timestamp::from_ms(rest.u64()?),
        seed: (rest.u64()?, rest.u64()?),
        plugin: Digest::from_bytes(rest.array()?),
        rejection: match rest.u8()? {
            outcome::ACCEPTED => None,
            outcome::REJECTED => Some(RejectionPart {
                code: rest.bytes_16()?,
                message: rest.bytes_16()?,
                detail: rest.bytes_32()?,
            }),
            _ => return Err(malformed("the outcome of a command is of an unknown kind")),
        },
    })
}

fn for_each_claim<'a>(
    rest: &mut Cursor<'a>,
    mut visit: impl FnMut(ClaimPart<'a>) -> Result<(), FrameFault>,
) -> Result<(), FrameFault> {
    for is_taken in [false, true] {
        for _ in 0..rest.u32()? {
            let (scope, key, stream) = (rest.text_16()?, rest.text_16()?, rest.text_16()?);
            let has_expiry = is_taken && rest.u8()? != 0;
            visit(ClaimPart {
                is_taken,
                scope,
                key,
                stream,
                expires_at: if has_expiry { Some(Timestamp::from_ms(rest.u64()?)) } else { None },
            })?;
        }
    }
    Ok(())
}

const fn malformed(what: &'static str) -> FrameFault {
    FrameFault::Malformed { what }
}
