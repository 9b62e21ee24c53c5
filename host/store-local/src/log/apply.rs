//! Bringing the index up to date with a commit: from its frame when the log is opened, from the
//! commit itself when it is accepted. Both must come to the same index.

use std::convert::Infallible;

use annals_core::commit::Commit;
use annals_core::error::ErrorChain;
use annals_core::name::EventType;
use annals_core::port::event_store::ReadError;
use annals_core::stream::StreamId;

use super::decode::{Body, ClaimPart, EventParts, StreamPart};
use super::encode::unnamed_stream;
use super::fault::FrameFault;
use super::frame::Frame;
use super::hash::IdKind;
use super::index::{Index, KindRef, StreamTotals};
use super::names::stream_id;
use super::sealed::{Common, Sealed};

/// Events of one kind in one stream of a commit, counted before the commit waits for its turn.
#[derive(Debug)]
pub(crate) struct KindCount {
    /// Which of the commit's streams.
    stream: usize,
    event_type: EventType,
    schema_version: u32,
    events_count: u64,
}

/// How many kinds back to look for one that is counted already: a commit rarely has more, and one
/// that does is only counted in more steps.
const KINDS_LOOKED_BACK: usize = 8;

pub(crate) fn count_kinds(commit: &Commit) -> Vec<KindCount> {
    let mut kinds: Vec<KindCount> = Vec::new();
    for (stream, append) in commit.streams.iter().enumerate() {
        for event in &append.events {
            let known = kinds.iter_mut().rev().take(KINDS_LOOKED_BACK).find(|kind| {
                kind.stream == stream
                    && kind.schema_version == event.schema_version.0
                    && kind.event_type == event.event_type
            });
            if let Some(kind) = known {
                kind.events_count += 1;
            } else {
                kinds.push(KindCount {
                    stream,
                    event_type: event.event_type.clone(),
                    schema_version: event.schema_version.0,
                    events_count: 1,
                });
            }
        }
    }
    kinds
}

/// An accepted commit, and what is known of it besides.
pub(crate) struct AcceptedCommit<'a> {
    pub(crate) commit: &'a Commit,
    pub(crate) kinds: &'a [KindCount],
    pub(crate) bytes_count: u64,
    pub(crate) events_count: u32,
    pub(crate) recorded_at_ms: u64,
    /// Per stream of the commit, and then for its command's when the commit does not name it: how much
    /// there is before.
    pub(crate) before: &'a [StreamTotals],
}

/// Indexes an accepted commit.
pub(crate) fn index_commit(index: &mut Index, common: &Common, accepted: &AcceptedCommit<'_>) {
    let AcceptedCommit { commit, kinds, bytes_count, events_count, recorded_at_ms, before } =
        *accepted;
    index.begin_commit(bytes_count, events_count, recorded_at_ms);
    let number_of = |index: &mut Index, at: usize, stream: &StreamId| -> u32 {
        let hash = || common.hasher.stream(stream.as_str());
        let totals = before.get(at).copied().unwrap_or_default();
        let make = || Ok::<_, Infallible>((stream.clone(), hash(), totals));
        let Ok(number) = index.stream_number_or_new(stream.as_str(), make);
        number
    };
    for (at, append) in commit.streams.iter().enumerate() {
        // The first stream also keeps the event ids that a client gave.
        if at == 0 || !append.events.is_empty() {
            let number = number_of(index, at, &append.stream);
            let events_count = u32::try_from(append.events.len()).unwrap_or(u32::MAX);
            index.record_events(number, events_count);
            if at == 0 {
                let hash = index.stream(number).map_or(0, |entry| entry.hash);
                let events = commit.streams.iter().flat_map(|append| &append.events);
                for id in events.filter_map(|event| event.id) {
                    index.record_event_id(common.hasher.id(IdKind::Event, hash, id.uuid()));
                }
            }
        }
    }
    if let Some(command) = &commit.command {
        debug_assert!(
            unnamed_stream(commit).is_none_or(|stream| *stream == command.stream),
            "a command has one stream"
        );
        let named = commit.streams.iter().position(|append| append.stream == command.stream);
        let number = number_of(index, named.unwrap_or(commit.streams.len()), &command.stream);
        let hash = index.stream(number).map_or(0, |entry| entry.hash);
        index.record_command(number, common.hasher.id(IdKind::Command, hash, command.id.uuid()));
    }
    for kind in kinds {
        let category = commit.streams.get(kind.stream);
        let kind_ref = KindRef {
            category: category.map_or("", |append| append.stream.category()),
            event_type: &kind.event_type,
            schema_version: kind.schema_version,
        };
        index.count_events(kind_ref, kind.events_count);
    }
    for release in &commit.releases {
        let holder = release.stream.as_str();
        index.claims.release(&release.scope, &release.key, holder);
    }
    for claim in &commit.claims {
        let claims = &mut index.claims;
        claims.take(&claim.scope, &claim.key, claim.stream.clone(), claim.expires_at);
    }
}

/// Indexes a frame, which must be the next one behind the segments `before` and the index.
pub(crate) fn index_frame(
    index: &mut Index,
    before: &Sealed,
    frame: &Frame,
) -> Result<(), FrameFault> {
    check_place(index, frame)?;
    let body = Body::decode(frame)?;
    let bytes_count = u64::try_from(frame.bytes.len()).unwrap_or(u64::MAX);
    index.begin_commit(bytes_count, frame.header.events_count, frame.header.recorded_at_ms);
    let hasher = &before.common.hasher;
    let mut events = body.events();
    let mut first_hash = None;
    let mut command = body.command;
    let mut events_left = frame.header.events_count;
    for (at, part) in body.streams().enumerate() {
        let part = part?;
        let is_commands = command.is_some_and(|command| command.stream_index == at);
        if at > 0 && part.events_count == 0 && !is_commands {
            continue;
        }
        let number = index.stream_number_or_new(part.stream, || {
            let stream = stream_id(part.stream)?;
            let totals = before.stream_totals(part.stream).map_err(earlier)?;
            Ok((stream, hasher.stream(part.stream), totals))
        })?;
        let entry = index.stream(number);
        let head = entry.map_or(0, |entry| entry.totals().events_count);
        let hash = entry.map_or(0, |entry| entry.hash);
        if part.events_count > 0 && part.first_revision.get() != head {
            return Err(malformed("a revision is missing"));
        }
        index.record_events(number, part.events_count);
        if is_commands && let Some(command) = command.take() {
            index.record_command(number, hasher.id(IdKind::Command, hash, command.id.uuid()));
        }
        let first_hash = *first_hash.get_or_insert(hash);
        events_left = events_left
            .checked_sub(part.events_count)
            .ok_or(malformed("there are more events than counted"))?;
        index_events(index, &before.common, (&part, first_hash), &mut events)?;
    }
    if command.is_some() || events_left > 0 || !events.is_at_end() {
        return Err(malformed("the body does not end where it should"));
    }
    body.for_each_claim(|claim| index_claim(index, before, &claim))
}

fn index_claim(
    index: &mut Index,
    before: &Sealed,
    claim: &ClaimPart<'_>,
) -> Result<(), FrameFault> {
    if index.claims.get(claim.scope, claim.key).is_none() {
        let holder = before.claim(claim.scope, claim.key).map_err(earlier)?;
        index.claims.add_earlier(claim.scope, claim.key, holder);
    }
    if claim.is_taken {
        let stream = stream_id(claim.stream)?;
        index.claims.take(claim.scope, claim.key, stream, claim.expires_at);
    } else {
        index.claims.release(claim.scope, claim.key, claim.stream);
    }
    Ok(())
}

fn check_place(index: &Index, frame: &Frame) -> Result<(), FrameFault> {
    let header = &frame.header;
    if header.commit != index.next_commit() {
        return Err(FrameFault::WrongCommit {
            found: header.commit,
            expected: index.next_commit(),
        });
    }
    if header.first_position != index.next_position() {
        return Err(FrameFault::WrongPosition {
            found: header.first_position,
            expected: index.next_position(),
        });
    }
    if !index.has_places_for(header.length.into(), header.events_count) {
        return Err(malformed("the segment has more commits than it may"));
    }
    Ok(())
}

fn index_events(
    index: &mut Index,
    common: &Common,
    (part, first_hash): (&StreamPart<'_>, u64),
    events: &mut EventParts<'_>,
) -> Result<(), FrameFault> {
    let category = part.stream.split_once('/').map_or("", |(name, _)| name);
    let mut last_type: Option<EventType> = None;
    for _ in 0..part.events_count {
        let event = events.decode_next()?;
        let event_type = match last_type.take() {
            Some(last) if last.as_str() == event.event_type => last,
            _ => common.event_types.get(event.event_type)?,
        };
        let kind =
            KindRef { category, event_type: &event_type, schema_version: event.schema_version };
        index.count_events(kind, 1);
        last_type = Some(event_type);
        if let Some(id) = event.id {
            index.record_event_id(common.hasher.id(IdKind::Event, first_hash, id.uuid()));
        }
    }
    Ok(())
}

fn earlier(error: ReadError) -> FrameFault {
    FrameFault::Earlier { what: ErrorChain(&error).to_string() }
}

const fn malformed(what: &'static str) -> FrameFault {
    FrameFault::Malformed { what }
}
