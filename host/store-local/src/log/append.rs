//! Accepting commits: everything that can be done outside the turn is done before it, by the
//! caller's thread; the turn itself is short.
//!
//! ```text
//!  caller   check ─ encode ─┬ lock: ids ─ expectations ─ claims ─ places ─ index ┬─ receipt
//!                           └────────────────────────── frame to the writer ─────┘
//! ```

use std::sync::Arc;

use annals_core::command::{Outcome, RecordedRange};
use annals_core::commit::{Accepted, ClaimHolder, Commit, Receipt, StreamReceipt};
use annals_core::durability::Durability;
use annals_core::error::{DriverError, ErrorChain};
use annals_core::event::{ContentType, NewEvent};
use annals_core::id::{CommandId, EventId};
use annals_core::place::{ActualRevision, Position, Revision};
use annals_core::port::event_store::{AppendError, ReadError};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;

use super::apply::{AcceptedCommit, KindCount, count_kinds, index_commit};
use super::decode::{Body, EventPart};
use super::encode::{encode, unnamed_stream};
use super::fault::FrameFault;
use super::frame::{Draft, Frame, Place};
use super::hash::IdKind;
use super::index::{FrameSpan, StreamTotals};
use super::sealed::Sealed;
use super::segment::Segment;
use super::shared::{Accepting, IN_FLIGHT_BYTES_MAX, Shared, UNSEALED_SEGMENTS_MAX};

/// A commit that is ready for its turn.
#[derive(Debug)]
struct Prepared {
    /// Taken when the commit is accepted.
    draft: Option<Draft>,
    bytes_count: u64,
    events_count: u32,
    kinds: Vec<KindCount>,
    given_ids: Vec<EventId>,
    facts: Facts,
}

/// What the sealed segments say that a commit depends on. They never change, so this is looked up
/// outside the turn; it must be looked up again only when another segment was sealed.
#[derive(Debug)]
struct Facts {
    sealed: Arc<Sealed>,
    /// Per stream of the commit, and then for its command's when the commit does not name it. Only
    /// looked up when the active segment has nothing of one of them.
    totals: Option<Vec<StreamTotals>>,
    has_command: bool,
    /// The first of the given ids that is there: which of them, and its frame.
    given_id: Option<(usize, FoundFrame)>,
    /// Per claim, and then per release, who holds it, maybe expired.
    holders: Vec<Option<ClaimHolder>>,
}

#[derive(Debug, Clone)]
struct FoundFrame {
    segment: Arc<Segment>,
    frame: Frame,
}

/// How a turn ended.
enum TurnEnd {
    Accepted(Accepted),
    /// More must be known of the sealed segments first.
    NeedsFacts,
}

pub(crate) fn append(shared: &Shared, commit: &Commit) -> Result<Accepted, AppendError> {
    commit.check()?;
    let mut prepared = prepare(shared, commit)?;
    loop {
        let mut accepting = shared.accepting();
        let turn = Turn { shared, accepting: &mut accepting, commit };
        match turn.accept(&mut prepared)? {
            TurnEnd::Accepted(accepted) => {
                let is_writer_idle = std::mem::take(&mut accepting.is_writer_idle);
                drop(accepting);
                if is_writer_idle {
                    shared.work.notify_one();
                }
                return Ok(accepted);
            }
            TurnEnd::NeedsFacts => drop(accepting),
        }
        let mut facts = look_up(shared, commit, &prepared.given_ids).map_err(unreadable)?;
        facts.totals = Some(look_up_totals(&facts.sealed, commit).map_err(unreadable)?);
        prepared.facts = facts;
    }
}

fn prepare(shared: &Shared, commit: &Commit) -> Result<Prepared, AppendError> {
    let events = || commit.streams.iter().flat_map(|append| &append.events);
    let given_ids: Vec<_> = events().filter_map(|event| event.id).collect();
    let draft = encode(commit, shared.active_salt())?;
    let facts = look_up(shared, commit, &given_ids).map_err(unreadable)?;
    Ok(Prepared {
        bytes_count: u64::try_from(draft.bytes_count()).unwrap_or(u64::MAX),
        draft: Some(draft),
        // `Commit::check` bounds the count far below 32 bits.
        events_count: u32::try_from(commit.events_count()).unwrap_or(u32::MAX),
        kinds: count_kinds(commit),
        given_ids,
        facts,
    })
}

/// Looks up ids and claims in the sealed segments.
fn look_up(shared: &Shared, commit: &Commit, given_ids: &[EventId]) -> Result<Facts, ReadError> {
    let sealed = shared.sealed();
    let mut facts = Facts {
        totals: sealed.segments.is_empty().then(Vec::new),
        has_command: false,
        given_id: None,
        holders: Vec::new(),
        sealed: Arc::clone(&sealed),
    };
    if sealed.segments.is_empty() {
        return Ok(facts);
    }
    if let Some(command) = &commit.command {
        let found = find_sealed_command(shared, &sealed, &command.stream, command.id)?;
        facts.has_command = found.is_some();
    }
    if let Some(first) = commit.streams.first() {
        for (at, &id) in given_ids.iter().enumerate() {
            let find = |frame: &Frame| has_event_id(frame, &first.stream, id);
            let key = (IdKind::Event, &first.stream, id.uuid());
            if let Some((segment, frame, _)) = find_sealed(shared, &sealed, key, &find)? {
                facts.given_id = Some((at, FoundFrame { segment, frame }));
                break;
            }
        }
    }
    let claims = commit.claims.iter().map(|claim| (&claim.scope, &claim.key));
    let releases = commit.releases.iter().map(|release| (&release.scope, &release.key));
    let holders = claims.chain(releases).map(|(scope, key)| sealed.claim(scope, key));
    facts.holders = holders.collect::<Result<_, _>>()?;
    Ok(facts)
}

fn look_up_totals(sealed: &Sealed, commit: &Commit) -> Result<Vec<StreamTotals>, ReadError> {
    let named = commit.streams.iter().map(|append| &append.stream);
    let streams = named.chain(unnamed_stream(commit));
    streams.map(|stream| sealed.stream_totals(stream.as_str())).collect()
}

/// The frame of a sealed segment with a command that a stream decided.
pub(crate) fn find_sealed_command(
    shared: &Shared,
    sealed: &Sealed,
    stream: &StreamId,
    id: CommandId,
) -> Result<Option<(Arc<Segment>, Frame, FrameSpan)>, ReadError> {
    let find = |frame: &Frame| has_command(frame, stream, id.uuid());
    find_sealed(shared, sealed, (IdKind::Command, stream, id.uuid()), &find)
}

/// The frame of a sealed segment that has an id, as `find` says.
fn find_sealed(
    shared: &Shared,
    sealed: &Sealed,
    (kind, stream, id): (IdKind, &StreamId, uuid::Uuid),
    find: &dyn Fn(&Frame) -> Result<bool, FrameFault>,
) -> Result<Option<(Arc<Segment>, Frame, FrameSpan)>, ReadError> {
    let hasher = &sealed.common.hasher;
    let hash = hasher.id(kind, hasher.stream(stream.as_str()), id);
    for frames in sealed.candidates(hash)? {
        for span in frames.spans {
            let frame = shared.sealed_frame(&frames.segment, span)?;
            if find(&frame).map_err(|fault| frames.segment.damaged(span.offset, &fault))? {
                return Ok(Some((frames.segment, frame, span)));
            }
        }
    }
    Ok(None)
}

/// The part of an append that holds the lock.
struct Turn<'a> {
    shared: &'a Shared,
    accepting: &'a mut Accepting,
    commit: &'a Commit,
}

impl Turn<'_> {
    fn accept(mut self, prepared: &mut Prepared) -> Result<TurnEnd, AppendError> {
        if let Some(lost) = &self.accepting.stopped {
            let message = format!("the log accepts nothing since a failure: {}", lost.cause);
            return Err(unavailable(&message));
        }
        if self.accepting.is_closing {
            return Err(unavailable("the log is being closed"));
        }
        if !Arc::ptr_eq(&prepared.facts.sealed, &self.shared.sealed()) {
            return Ok(TurnEnd::NeedsFacts);
        }
        if let Some(accepted) = self.find_ids(prepared)? {
            return Ok(TurnEnd::Accepted(accepted));
        }
        let Some(before) = self.totals(&prepared.facts) else {
            return Ok(TurnEnd::NeedsFacts);
        };
        self.check_expectations(&before)?;
        let latest_ms = self.accepting.latest_ms;
        let recorded_at_ms = self.commit.recorded_at.ms().max(latest_ms);
        let recorded_at = Timestamp::from_ms(recorded_at_ms);
        self.check_claims(&prepared.facts, recorded_at)?;
        if self.is_segment_full(prepared)? {
            self.shared.roll(self.accepting);
            return Ok(TurnEnd::NeedsFacts);
        }
        self.check_room(prepared)?;
        let Some(mut draft) = prepared.draft.take() else {
            return Err(unavailable("the commit was accepted before"));
        };
        let place = Place {
            commit: self.accepting.index.next_commit(),
            first_position: self.accepting.index.next_position(),
            recorded_at_ms,
            events_count: prepared.events_count,
        };
        self.accepting.latest_ms = recorded_at_ms;
        let accepted = AcceptedCommit {
            commit: self.commit,
            kinds: &prepared.kinds,
            bytes_count: prepared.bytes_count,
            events_count: prepared.events_count,
            recorded_at_ms,
            before: prepared.facts.totals.as_deref().unwrap_or_default(),
        };
        index_commit(&mut self.accepting.index, &self.shared.common, &accepted);
        let receipt = self.receipt(&before, recorded_at, place.first_position);
        draft.move_to(self.accepting.segment.header.salt);
        let frame = draft.place(place, before.iter().copied());
        let durability = self.enqueue(frame);
        Ok(TurnEnd::Accepted(Accepted { receipt, durability }))
    }

    /// Refuses ids that were seen; gives the first receipt when all of them came together.
    fn find_ids(&mut self, prepared: &Prepared) -> Result<Option<Accepted>, AppendError> {
        if let Some(command) = &self.commit.command {
            let find = |frame: &Frame| has_command(frame, &command.stream, command.id.uuid());
            let key = (IdKind::Command, &command.stream, command.id.uuid());
            let is_seen = prepared.facts.has_command
                || self.find_active(key, &find).map_err(unreadable)?.is_some();
            if is_seen {
                return Err(AppendError::AlreadyDecided {
                    stream: command.stream.clone(),
                    command: command.id,
                });
            }
        }
        let Some(first) = self.commit.streams.first() else {
            return Ok(None);
        };
        for (at, &id) in prepared.given_ids.iter().enumerate() {
            let find = |frame: &Frame| has_event_id(frame, &first.stream, id);
            let key = (IdKind::Event, &first.stream, id.uuid());
            let active = self.find_active(key, &find).map_err(unreadable)?;
            let sealed = prepared.facts.given_id.as_ref().filter(|(index, _)| *index == at);
            if let Some(seen) = active.or_else(|| sealed.map(|(_, seen)| seen.clone())) {
                let repeated = self.repeated(&seen).map_err(unreadable)?;
                return repeated.map(Some).ok_or(AppendError::EventIdsReused {
                    stream: first.stream.clone(),
                    event: id,
                });
            }
        }
        Ok(None)
    }

    /// The frame of the active segment that has an id, as `find` says.
    fn find_active(
        &self,
        (kind, stream, id): (IdKind, &StreamId, uuid::Uuid),
        find: &dyn Fn(&Frame) -> Result<bool, FrameFault>,
    ) -> Result<Option<FoundFrame>, ReadError> {
        let Accepting { index, segment, .. } = &*self.accepting;
        let Some(entry) = index.find_stream(stream.as_str()) else {
            return Ok(None);
        };
        for span in index.candidates(self.shared.common.hasher.id(kind, entry.hash, id)) {
            let frame = self.shared.frame(self.accepting, segment, span)?;
            if find(&frame).map_err(|fault| segment.damaged(span.offset, &fault))? {
                return Ok(Some(FoundFrame { segment: Arc::clone(segment), frame }));
            }
        }
        Ok(None)
    }

    /// The first receipt of this commit, when `earlier` is the same one.
    fn repeated(&mut self, earlier: &FoundFrame) -> Result<Option<Accepted>, ReadError> {
        let receipt = repeated_receipt(&earlier.frame, self.commit)
            .map_err(|fault| earlier.segment.damaged(0, &fault))?;
        let commits = earlier.frame.header.commit + 1;
        Ok(receipt.map(|receipt| Accepted { receipt, durability: self.durability_of(commits) }))
    }

    fn durability_of(&mut self, commits: u64) -> Durability {
        // The writer tells of durability while it holds the lock, so none is missed here.
        if self.shared.durable.borrow().commits >= commits {
            return Durability::done();
        }
        let (notifier, durability) = Durability::pending();
        self.accepting.also_waiting.push((commits, notifier));
        durability
    }

    /// Per stream of the frame: how many events it has before the commit. `None` when only the sealed
    /// segments know, and were not asked yet.
    fn totals(&self, facts: &Facts) -> Option<Vec<u64>> {
        let named = self.commit.streams.iter().map(|append| &append.stream);
        let streams = named.chain(unnamed_stream(self.commit)).enumerate();
        let totals =
            streams.map(|(at, stream)| match self.accepting.index.find_stream(stream.as_str()) {
                Some(entry) => Some(entry.totals().events_count),
                None => {
                    let totals = facts.totals.as_ref()?;
                    Some(totals.get(at).map_or(0, |totals| totals.events_count))
                }
            });
        totals.collect()
    }

    fn check_expectations(&self, before: &[u64]) -> Result<(), AppendError> {
        for (append, &head) in self.commit.streams.iter().zip(before) {
            let actual = ActualRevision(Revision::last_of(head));
            if !append.expected.is_met_by(actual) {
                return Err(AppendError::WrongExpectedRevision {
                    stream: append.stream.clone(),
                    expected: append.expected,
                    actual,
                });
            }
        }
        Ok(())
    }

    fn check_claims(&mut self, facts: &Facts, now: Timestamp) -> Result<(), AppendError> {
        let Commit { claims, releases, .. } = self.commit;
        let names = claims.iter().map(|claim| (&claim.scope, &claim.key));
        let names = names.chain(releases.iter().map(|release| (&release.scope, &release.key)));
        let known = &mut self.accepting.index.claims;
        for ((scope, key), holder) in names.zip(&facts.holders) {
            known.add_earlier(scope, key, holder.clone());
        }
        known.check(claims, releases, now)
    }

    /// Whether the commit must go to another segment.
    fn is_segment_full(&self, prepared: &Prepared) -> Result<bool, AppendError> {
        let Accepting { index, unsealed_count, .. } = &*self.accepting;
        let has_places = index.has_places_for(prepared.bytes_count, prepared.events_count);
        let is_past_its_size =
            index.end() + prepared.bytes_count > self.shared.options.segment_bytes();
        let is_full = !has_places || (is_past_its_size && index.commits_count() > 0);
        if is_full && *unsealed_count >= UNSEALED_SEGMENTS_MAX {
            if has_places {
                return Ok(false);
            }
            return Err(unavailable("the log is busy: the indexes of full segments are written"));
        }
        Ok(is_full)
    }

    fn check_room(&self, prepared: &Prepared) -> Result<(), AppendError> {
        let Accepting { index, in_flight_bytes, prepared_end, is_disk_full, .. } = &*self.accepting;
        let end = index.end() + prepared.bytes_count;
        // Nobody makes space in a segment that has no file yet: one commit goes and asks for room.
        let asks_for_room = !self.accepting.is_begun && *in_flight_bytes == 0;
        if *is_disk_full && end > *prepared_end && !asks_for_room {
            return Err(unavailable(
                "no space is left on the disk of the log; appends go on when there is some",
            ));
        }
        let bytes_count = in_flight_bytes + prepared.bytes_count;
        if *in_flight_bytes > 0 && bytes_count > IN_FLIGHT_BYTES_MAX {
            return Err(unavailable("the log is busy: too many bytes are waiting to be written"));
        }
        Ok(())
    }

    fn receipt(&self, heads: &[u64], recorded_at: Timestamp, first_position: u64) -> Receipt {
        let mut position = first_position;
        let streams = self.commit.streams.iter().zip(heads);
        let streams = streams
            .map(|(append, &head)| {
                let count = u64::try_from(append.events.len()).unwrap_or(u64::MAX);
                let receipt = stream_receipt(head, count, position);
                position += count;
                receipt
            })
            .collect();
        Receipt { recorded_at, streams }
    }

    fn enqueue(&mut self, frame: Vec<u8>) -> Durability {
        let is_rejected = self
            .commit
            .command
            .as_ref()
            .is_some_and(|command| command.outcome != Outcome::Accepted);
        if is_rejected {
            self.accepting.enqueue(frame, None);
            return Durability::done();
        }
        let (notifier, durability) = Durability::pending();
        self.accepting.enqueue(frame, Some(notifier));
        durability
    }
}

fn stream_receipt(head: u64, events_count: u64, first_position: u64) -> StreamReceipt {
    let revision = ActualRevision(Revision::last_of(head.saturating_add(events_count)));
    StreamReceipt { revision, events: range_of(head, events_count, first_position) }
}

/// Where `events_count` events are of a stream that had `head` before.
pub(crate) fn range_of(head: u64, events_count: u64, first_position: u64) -> Option<RecordedRange> {
    let last = events_count.checked_sub(1)?;
    Some(RecordedRange {
        first_revision: Revision::new(head),
        last_revision: Revision::new(head.saturating_add(last)),
        first_position: Position::new(first_position),
        last_position: Position::new(first_position.saturating_add(last)),
    })
}

/// Whether the frame holds this command of this stream.
pub(crate) fn has_command(
    frame: &Frame,
    stream: &StreamId,
    id: uuid::Uuid,
) -> Result<bool, FrameFault> {
    let body = Body::decode(frame)?;
    let Some(command) = body.command.filter(|command| command.id.uuid() == id) else {
        return Ok(false);
    };
    let part = body.streams().nth(command.stream_index).transpose()?;
    Ok(part.is_some_and(|part| part.stream == stream.as_str()))
}

fn has_event_id(frame: &Frame, first: &StreamId, id: EventId) -> Result<bool, FrameFault> {
    let body = Body::decode(frame)?;
    let part = body.streams().next().transpose()?;
    if part.is_none_or(|part| part.stream != first.as_str()) {
        return Ok(false);
    }
    let mut events = body.events();
    for _ in 0..frame.header.events_count {
        if events.decode_next()?.id == Some(id) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The receipt in `frame`, when it has the same streams and events as `commit`.
fn repeated_receipt(frame: &Frame, commit: &Commit) -> Result<Option<Receipt>, FrameFault> {
    let body = Body::decode(frame)?;
    let mut position = frame.header.first_position;
    let mut receipts = Vec::with_capacity(commit.streams.len());
    let mut appends = commit.streams.iter();
    for part in body.streams() {
        let part = part?;
        if !part.is_named {
            continue;
        }
        let count = u64::from(part.events_count);
        let is_same = appends.next().is_some_and(|append| {
            append.stream.as_str() == part.stream
                && u64::try_from(append.events.len()).is_ok_and(|len| len == count)
        });
        if !is_same {
            return Ok(None);
        }
        receipts.push(stream_receipt(part.first_revision.get(), count, position));
        position += count;
    }
    if appends.next().is_some() {
        return Ok(None);
    }
    let mut events = body.events();
    for event in commit.streams.iter().flat_map(|append| &append.events) {
        if !is_same_event(&events.decode_next()?, event) {
            return Ok(None);
        }
    }
    Ok(events.is_at_end().then_some(Receipt {
        recorded_at: Timestamp::from_ms(frame.header.recorded_at_ms),
        streams: receipts,
    }))
}

fn is_same_event(part: &EventPart<'_>, event: &NewEvent) -> bool {
    part.id == event.id
        && part.event_type == event.event_type.as_str()
        && part.schema_version == event.schema_version.0
        && ContentType::from(part.content_type) == event.content_type
        && part.data == event.data
        && part.metadata == event.metadata
}

fn unavailable(message: &str) -> AppendError {
    AppendError::Unavailable(DriverError::new(message))
}

fn unreadable(error: ReadError) -> AppendError {
    let message = format!("failed to check ids: {}", ErrorChain(&error));
    AppendError::Unavailable(DriverError::new(&message))
}
