//! An item of a feed: a group of commits that one transaction wrote, in their order.
//!
//! ```text
//! x   id of the transaction            e  events of the only entry, when all fits INLINE_BYTES_MAX:
//! at  when the last was recorded          a list per span
//! s   entries, one per commit:         i  their command id
//!     h  which span has the head,      o  their origin
//!        if the commit is of this partition
//!     s  spans: s stream · r revision before (absent: no event) · b number of its first item
//!        n items, unless 1 · t types of the events in order, as `type@schema*count`, `@1` and `*1`
//!        left out
//! ```
//! Events are in the items of their streams. A small lone commit has them here too: it costs no write
//! unit more, and saves its readers a request.

use std::sync::Arc;

use annals_core::event::{NewEvent, Origin, SchemaVersion};
use annals_core::id::CommandId;
use annals_core::name::EventType;
use annals_core::place::{ActualRevision, Revision};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use aws_sdk_dynamodb::types::AttributeValue;
use uuid::Uuid;

use super::event::{put, read_event, read_origin, write_event, write_origin};
use super::fields::{Fault, Fields, Item, binary, number, text};
use super::key::Place;
use super::size;
use super::stream_item::count;

/// Largest item that holds events, in bytes: what one write unit pays for.
pub(super) const INLINE_BYTES_MAX: usize = 1_024;

/// A group of commits in a feed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FeedItem {
    pub(super) place: Place,
    pub(super) transaction: Uuid,
    /// When the last commit was recorded.
    pub(super) recorded_at: Timestamp,
    pub(super) entries: Vec<Entry>,
    /// The events, when they are here too.
    pub(super) inline: Option<Inline>,
}

/// A commit's part in this partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Entry {
    /// The span whose first item is the head, if the commit is of this partition.
    pub(super) head: Option<usize>,
    /// In the order of the commit's streams.
    pub(super) spans: Vec<Span>,
}

/// Items of one stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) stream: StreamId,
    pub(super) before: ActualRevision,
    pub(super) items_before: u64,
    pub(super) items_count: u64,
    pub(super) types: Vec<TypeRun>,
}

/// Events of one kind that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TypeRun {
    pub(super) event_type: EventType,
    pub(super) schema_version: SchemaVersion,
    pub(super) count: u64,
}

/// Events in the feed itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Inline {
    pub(super) command_id: Option<CommandId>,
    pub(super) origin: Arc<Origin>,
    /// Per span.
    pub(super) events: Vec<Vec<NewEvent>>,
}

impl Span {
    /// Where its first item is.
    pub(super) fn place(&self) -> Place {
        Place { first: self.before.next().get(), before: self.items_before }
    }

    /// How many events it has.
    pub(super) fn events_count(&self) -> u64 {
        self.types.iter().map(|run| run.count).sum()
    }
}

impl Entry {
    /// As an attribute.
    pub(super) fn write(&self) -> AttributeValue {
        let mut item = Item::new();
        let head = self.head.map(|index| number(u64::try_from(index).unwrap_or(u64::MAX)));
        put(&mut item, "h", head);
        put(&mut item, "s", Some(AttributeValue::L(self.spans.iter().map(write_span).collect())));
        AttributeValue::M(item)
    }

    /// How many events it has.
    pub(super) fn events_count(&self) -> u64 {
        self.spans.iter().map(Span::events_count).sum()
    }
}

impl FeedItem {
    /// Where the next item of the feed goes.
    pub(super) fn next_place(&self) -> Place {
        let events: u64 = self.entries.iter().map(Entry::events_count).sum();
        let commits = self.entries.iter().filter(|entry| entry.head.is_some()).count();
        Place {
            first: self.place.first + events,
            before: self.place.before + u64::try_from(commits).unwrap_or(u64::MAX),
        }
    }

    /// The item as it is stored under the partition key `pk`, with the events if it stays small.
    pub(super) fn write(&self, pk: &str) -> Item {
        let mut item = Item::new();
        put(&mut item, "pk", Some(text(pk)));
        put(&mut item, "sk", Some(text(&self.place.sort_key())));
        put(&mut item, "x", Some(binary(self.transaction.as_bytes())));
        put(&mut item, "at", Some(number(self.recorded_at.ms())));
        put(
            &mut item,
            "s",
            Some(AttributeValue::L(self.entries.iter().map(Entry::write).collect())),
        );
        let Some(inline) = &self.inline else { return item };
        let events =
            |events: &Vec<NewEvent>| AttributeValue::L(events.iter().map(write_event).collect());
        let mut whole = item.clone();
        put(&mut whole, "e", Some(AttributeValue::L(inline.events.iter().map(events).collect())));
        put(&mut whole, "i", inline.command_id.map(|id| binary(id.uuid().as_bytes())));
        put(&mut whole, "o", write_origin(&inline.origin));
        if size::of_item(&whole) <= INLINE_BYTES_MAX { whole } else { item }
    }

    /// An item read back.
    pub(super) fn read(item: &Item) -> Result<Self, Fault> {
        let fields = Fields(item);
        let place = Place::parse(fields.text("sk")?);
        let transaction = fields.optional_uuid("x")?;
        let inline = item.contains_key("e").then(|| read_inline(fields)).transpose()?;
        let item = Self {
            place: place.ok_or_else(|| Fault::new("sk", "is not a place"))?,
            transaction: transaction.ok_or_else(|| Fault::new("x", "is missing"))?,
            recorded_at: Timestamp::from_ms(fields.number("at")?),
            entries: fields.maps("s")?.into_iter().map(read_entry).collect::<Result<_, _>>()?,
            inline,
        };
        if item.next_place() == item.place {
            return Err(Fault::new("s", "holds neither commit nor event"));
        }
        Ok(item)
    }
}

fn read_inline(fields: Fields<'_>) -> Result<Inline, Fault> {
    let read = |events: &AttributeValue| {
        let events = events.as_l().map_err(|_| Fault::new("e", "holds something but lists"))?;
        let events = events.iter().map(|event| {
            let event = event.as_m().map_err(|_| Fault::new("e", "holds something but events"))?;
            read_event(Fields(event))
        });
        events.collect::<Result<Vec<_>, _>>()
    };
    Ok(Inline {
        command_id: fields.optional_uuid("i")?.map(CommandId::new),
        origin: read_origin(fields)?,
        events: fields.list("e")?.iter().map(read).collect::<Result<_, _>>()?,
    })
}

fn read_entry(fields: Fields<'_>) -> Result<Entry, Fault> {
    let spans: Vec<_> = fields.maps("s")?.into_iter().map(read_span).collect::<Result<_, _>>()?;
    let head =
        fields.optional_number("h")?.map(|index| usize::try_from(index).unwrap_or(usize::MAX));
    if head.is_some_and(|index| index >= spans.len()) {
        return Err(Fault::new("h", "names a span that is not there"));
    }
    Ok(Entry { head, spans })
}

fn write_span(span: &Span) -> AttributeValue {
    let mut item = Item::new();
    put(&mut item, "s", Some(text(span.stream.as_str())));
    put(&mut item, "r", span.before.0.map(|revision| number(revision.get())));
    put(&mut item, "b", Some(number(span.items_before)));
    put(&mut item, "n", (span.items_count != 1).then(|| number(span.items_count)));
    let types: Vec<_> = span.types.iter().map(|run| text(&run.write())).collect();
    put(&mut item, "t", (!types.is_empty()).then_some(AttributeValue::L(types)));
    AttributeValue::M(item)
}

fn read_span(fields: Fields<'_>) -> Result<Span, Fault> {
    let run = |run: &AttributeValue| {
        let run = run.as_s().ok().and_then(|run| TypeRun::read(run));
        run.ok_or_else(|| Fault::new("t", "holds something but types of events"))
    };
    Ok(Span {
        stream: fields.parsed("s")?,
        before: ActualRevision(fields.optional_number("r")?.map(Revision::new)),
        items_before: fields.number("b")?,
        items_count: fields.optional_number("n")?.unwrap_or(1),
        types: fields.list("t")?.iter().map(run).collect::<Result<_, _>>()?,
    })
}

impl TypeRun {
    /// The runs of `events`.
    pub(super) fn all(events: &[NewEvent]) -> Vec<Self> {
        let alike = |a: &NewEvent, b: &NewEvent| {
            a.event_type == b.event_type && a.schema_version == b.schema_version
        };
        let runs = events.chunk_by(alike).filter_map(|run| {
            let first = run.first()?;
            let (event_type, schema_version) = (first.event_type.clone(), first.schema_version);
            Some(Self { event_type, schema_version, count: count(run) })
        });
        runs.collect()
    }

    pub(super) fn write(&self) -> String {
        let mut text = self.event_type.to_string();
        if self.schema_version != SchemaVersion::FIRST {
            text.push_str(&format!("@{}", self.schema_version));
        }
        if self.count != 1 {
            text.push_str(&format!("*{}", self.count));
        }
        text
    }

    pub(super) fn read(text: &str) -> Option<Self> {
        let (text, count) = text.split_once('*').unwrap_or((text, "1"));
        let (event_type, version) = text.split_once('@').unwrap_or((text, "1"));
        Some(Self {
            event_type: event_type.parse().ok()?,
            schema_version: SchemaVersion(version.parse().ok()?),
            count: count.parse().ok().filter(|count| *count > 0)?,
        })
    }
}
