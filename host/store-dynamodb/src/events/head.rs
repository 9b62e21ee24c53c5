//! What a commit holds besides its events: its command, its streams, claims and releases.
//!
//! ```text
//! c  command                 w  streams, when they are not just this one: s stream · r revision before
//! l  claims: s scope · k key    (absent: no event) · c events · b number of its first item · n items
//!    h holder, unless this   u  releases: s scope · k key · h holder, unless this stream
//!    stream · x expires at   g  ids that a client gave to events of other items, 16 bytes each
//! ```

use annals_core::command::CommandRecord;
use annals_core::commit::{Claim, Release};
use annals_core::id::EventId;
use annals_core::place::{ActualRevision, Revision};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::event::{put, read_command, write_command};
use super::fields::{Fault, Fields, Item, binary, number, shared, text};
use super::key::Place;

/// What a commit holds besides its events.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Head {
    pub(super) command: Option<CommandRecord>,
    /// The commit's streams. `None`: only the stream of the head, all of it in this item.
    pub(super) parts: Option<Vec<Part>>,
    pub(super) claims: Vec<Claim>,
    pub(super) releases: Vec<Release>,
    /// Ids that a client gave to events that are not in this item.
    pub(super) other_ids: Vec<EventId>,
}

/// One stream of a commit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Part {
    pub(super) stream: StreamId,
    /// Where the stream ended before the commit.
    pub(super) before: ActualRevision,
    pub(super) events_count: u64,
    /// Items of the stream before the first of this part.
    pub(super) items_before: u64,
    /// Items of this part; 0 when the commit only expects something of the stream.
    pub(super) items_count: u64,
}

impl Part {
    /// Where its first item is.
    pub(super) fn place(&self) -> Place {
        Place { first: self.before.next().get(), before: self.items_before }
    }
}

impl Head {
    /// Adds it to an item of `stream`.
    pub(super) fn write(&self, stream: &StreamId, item: &mut Item) {
        let list = |entries: Vec<AttributeValue>| {
            (!entries.is_empty()).then_some(AttributeValue::L(entries))
        };
        put(item, "c", self.command.as_ref().map(write_command));
        let parts = self.parts.as_ref().map(|parts| parts.iter().map(write_part).collect());
        put(item, "w", parts.map(AttributeValue::L));
        put(item, "l", list(self.claims.iter().map(|claim| write_claim(claim, stream)).collect()));
        let releases = self.releases.iter().map(|release| write_release(release, stream));
        put(item, "u", list(releases.collect()));
        let ids: Vec<u8> = self.other_ids.iter().flat_map(|id| *id.uuid().as_bytes()).collect();
        put(item, "g", (!ids.is_empty()).then(|| binary(&ids)));
    }

    /// The head of an item of `stream`.
    pub(super) fn read(fields: Fields<'_>, stream: &StreamId) -> Result<Self, Fault> {
        let command = fields.optional_map("c")?.map(|command| read_command(command, stream));
        let has_parts = fields.0.contains_key("w");
        let parts = fields.maps("w")?.into_iter().map(read_part).collect::<Result<_, _>>()?;
        let claims = fields.maps("l")?.into_iter().map(|claim| read_claim(claim, stream));
        let releases = fields.maps("u")?.into_iter().map(|release| read_release(release, stream));
        let ids = fields.optional_binary("g")?.unwrap_or_default();
        let (ids, rest) = ids.as_chunks::<16>();
        if !rest.is_empty() {
            return Err(Fault::new("g", "is cut off"));
        }
        Ok(Self {
            command: command.transpose()?,
            parts: has_parts.then_some(parts),
            claims: claims.collect::<Result<_, _>>()?,
            releases: releases.collect::<Result<_, _>>()?,
            other_ids: ids.iter().map(|id| EventId::new(Uuid::from_bytes(*id))).collect(),
        })
    }
}

fn write_part(part: &Part) -> AttributeValue {
    let mut item = Item::new();
    put(&mut item, "s", Some(text(part.stream.as_str())));
    put(&mut item, "r", part.before.0.map(|revision| number(revision.get())));
    put(&mut item, "c", Some(number(part.events_count)));
    put(&mut item, "b", Some(number(part.items_before)));
    put(&mut item, "n", Some(number(part.items_count)));
    AttributeValue::M(item)
}

fn read_part(fields: Fields<'_>) -> Result<Part, Fault> {
    Ok(Part {
        stream: fields.parsed("s")?,
        before: ActualRevision(fields.optional_number("r")?.map(Revision::new)),
        events_count: fields.number("c")?,
        items_before: fields.number("b")?,
        items_count: fields.number("n")?,
    })
}

fn write_claim(claim: &Claim, stream: &StreamId) -> AttributeValue {
    let mut item = Item::new();
    put(&mut item, "s", Some(text(&claim.scope)));
    put(&mut item, "k", Some(text(&claim.key)));
    put(&mut item, "h", (claim.stream != *stream).then(|| text(claim.stream.as_str())));
    put(&mut item, "x", claim.expires_at.map(|expiry| number(expiry.ms())));
    AttributeValue::M(item)
}

fn holder(fields: Fields<'_>, stream: &StreamId) -> Result<StreamId, Fault> {
    if fields.optional_text("h")?.is_some() { fields.parsed("h") } else { Ok(stream.clone()) }
}

fn read_claim(fields: Fields<'_>, stream: &StreamId) -> Result<Claim, Fault> {
    Ok(Claim {
        scope: shared(fields.text("s")?),
        key: shared(fields.text("k")?),
        stream: holder(fields, stream)?,
        expires_at: fields.optional_number("x")?.map(Timestamp::from_ms),
    })
}

fn write_release(release: &Release, stream: &StreamId) -> AttributeValue {
    let mut item = Item::new();
    put(&mut item, "s", Some(text(&release.scope)));
    put(&mut item, "k", Some(text(&release.key)));
    put(&mut item, "h", (release.stream != *stream).then(|| text(release.stream.as_str())));
    AttributeValue::M(item)
}

fn read_release(fields: Fields<'_>, stream: &StreamId) -> Result<Release, Fault> {
    Ok(Release {
        scope: shared(fields.text("s")?),
        key: shared(fields.text("k")?),
        stream: holder(fields, stream)?,
    })
}
