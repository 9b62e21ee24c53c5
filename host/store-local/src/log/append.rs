//! Accepting commits: everything that can be done outside the turn is done before it, by the
//! caller's thread; the turn itself is short.
//!
//! ```text
//!  caller   check ─ encode ─┬ lock: ids ─ expectations ─ claims ─ places ─ index ┬─ receipt
//!                           └────────────────────────── frame to the writer ─────┘
//! ```

use annals_core::command::{Outcome, RecordedRange};
use annals_core::commit::{Accepted, Commit, Receipt, StreamReceipt};
use annals_core::durability::Durability;
use annals_core::error::{DriverError, ErrorChain};
use annals_core::event::{ContentType, NewEvent};
use annals_core::id::EventId;
use annals_core::place::{ActualRevision, Position, Revision};
use annals_core::port::event_store::{AppendError, ReadError};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;

use super::apply::{KindCount, count_kinds, index_commit};
use super::decode::{Body, EventPart};
use super::encode::{encode, unnamed_stream};
use super::fault::FrameFault;
use super::frame::{Draft, Frame, Place};
use super::shared::{Accepting, IN_FLIGHT_BYTES_MAX, Shared};

/// A commit that is ready for its turn.
#[derive(Debug)]
struct Prepared {
    draft: Draft,
    bytes_count: u64,
    events_count: u32,
    kinds: Vec<KindCount>,
    given_ids: Vec<EventId>,
}

pub(crate) fn append(shared: &Shared, commit: &Commit) -> Result<Accepted, AppendError> {
    commit.check()?;
    let prepared = prepare(shared, commit)?;
    let (accepted, is_writer_idle) = {
        let mut accepting = shared.accepting();
        let accepted = Turn { shared, accepting: &mut accepting, commit }.accept(prepared)?;
        let is_writer_idle = std::mem::take(&mut accepting.is_writer_idle);
        (accepted, is_writer_idle)
    };
    if is_writer_idle {
        shared.work.notify_one();
    }
    Ok(accepted)
}

fn prepare(shared: &Shared, commit: &Commit) -> Result<Prepared, AppendError> {
    let events = || commit.streams.iter().flat_map(|append| &append.events);
    let given_ids: Vec<_> = events().filter_map(|event| event.id).collect();
    let draft = encode(commit, shared.salt)?;
    Ok(Prepared {
        bytes_count: u64::try_from(draft.bytes_count()).unwrap_or(u64::MAX),
        draft,
        // `Commit::check` bounds the count far below 32 bits.
        events_count: u32::try_from(commit.events_count()).unwrap_or(u32::MAX),
        kinds: count_kinds(commit),
        given_ids,
    })
}

/// The part of an append that holds the lock.
struct Turn<'a> {
    shared: &'a Shared,
    accepting: &'a mut Accepting,
    commit: &'a Commit,
}

impl Turn<'_> {
    fn accept(mut self, prepared: Prepared) -> Result<Accepted, AppendError> {
        if let Some(lost) = &self.accepting.stopped {
            let message = format!("the log accepts nothing since a failure: {}", lost.cause);
            return Err(unavailable(&message));
        }
        if self.accepting.is_closing {
            return Err(unavailable("the log is being closed"));
        }
        if let Some(accepted) = self.find_ids(&prepared.given_ids)? {
            return Ok(accepted);
        }
        let heads = self.check_expectations()?;
        let latest_ms = self.accepting.latest_ms;
        let recorded_at_ms = self.commit.recorded_at.ms().max(latest_ms);
        let recorded_at = Timestamp::from_ms(recorded_at_ms);
        self.accepting.index.claims.check(
            &self.commit.claims,
            &self.commit.releases,
            recorded_at,
        )?;
        self.check_room(&prepared)?;
        let place = Place {
            commit: self.accepting.index.commits_count(),
            first_position: self.accepting.index.next_position(),
            recorded_at_ms,
            events_count: prepared.events_count,
        };
        self.accepting.latest_ms = recorded_at_ms;
        index_commit(
            &mut self.accepting.index,
            &self.shared.names,
            self.commit,
            (&prepared.kinds, prepared.bytes_count, prepared.events_count),
        );
        let receipt = self.receipt(&heads, recorded_at, place.first_position);
        let frame = prepared.draft.place(place, heads.iter().copied());
        let durability = self.enqueue(frame);
        Ok(Accepted { receipt, durability })
    }

    /// Refuses ids that were seen; gives the first receipt when all of them came together.
    fn find_ids(&mut self, given_ids: &[EventId]) -> Result<Option<Accepted>, AppendError> {
        let index = &self.accepting.index;
        if let Some(command) = &self.commit.command
            && let Some(number) = index.stream_number(command.stream.as_str())
        {
            let verify = |commit| {
                let frame = self.shared.frame(self.accepting, commit)?;
                has_command(&frame, &command.stream, command.id.uuid())
                    .map_err(|fault| self.shared.damaged(0, &fault))
            };
            let seen = index.find_command(number, command.id.uuid(), verify);
            if seen.map_err(unreadable)?.is_some() {
                return Err(AppendError::AlreadyDecided {
                    stream: command.stream.clone(),
                    command: command.id,
                });
            }
        }
        let Some(first) = self.commit.streams.first() else {
            return Ok(None);
        };
        let Some(number) = index.stream_number(first.stream.as_str()) else {
            return Ok(None);
        };
        for &id in given_ids {
            let index = &self.accepting.index;
            let verify = |commit| {
                let frame = self.shared.frame(self.accepting, commit)?;
                has_event_id(&frame, &first.stream, id)
                    .map_err(|fault| self.shared.damaged(0, &fault))
            };
            let seen = index.find_event_id(number, id.uuid(), verify);
            if let Some(commit) = seen.map_err(unreadable)? {
                let repeated = self.repeated(commit).map_err(unreadable)?;
                return repeated.map(Some).ok_or(AppendError::EventIdsReused {
                    stream: first.stream.clone(),
                    event: id,
                });
            }
        }
        Ok(None)
    }

    /// The first receipt of this commit, when `earlier` is the same one.
    fn repeated(&mut self, earlier: u32) -> Result<Option<Accepted>, ReadError> {
        let frame = self.shared.frame(self.accepting, earlier)?;
        let receipt = repeated_receipt(&frame, self.commit)
            .map_err(|fault| self.shared.damaged(0, &fault))?;
        Ok(receipt.map(|receipt| Accepted {
            receipt,
            durability: self.durability_of(u64::from(earlier) + 1),
        }))
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

    /// Per stream of the frame: how many events it has before the commit.
    fn check_expectations(&self) -> Result<Vec<u64>, AppendError> {
        let events_count = |stream: &StreamId| {
            self.accepting.index.find_stream(stream.as_str()).map_or(0, |entry| entry.events_count)
        };
        let mut heads = Vec::with_capacity(self.commit.streams.len() + 1);
        for append in &self.commit.streams {
            let head = events_count(&append.stream);
            let actual = ActualRevision(Revision::last_of(head));
            if !append.expected.is_met_by(actual) {
                return Err(AppendError::WrongExpectedRevision {
                    stream: append.stream.clone(),
                    expected: append.expected,
                    actual,
                });
            }
            heads.push(head);
        }
        heads.extend(unnamed_stream(self.commit).map(events_count));
        Ok(heads)
    }

    fn check_room(&self, prepared: &Prepared) -> Result<(), AppendError> {
        let Accepting { index, written_end, prepared_end, is_disk_full, .. } = &*self.accepting;
        let end = index.end() + prepared.bytes_count;
        if *is_disk_full && end > *prepared_end {
            return Err(unavailable(
                "no space is left on the disk of the log; appends go on when there is some",
            ));
        }
        let in_flight_bytes = index.end() - written_end;
        if in_flight_bytes > 0 && in_flight_bytes + prepared.bytes_count > IN_FLIGHT_BYTES_MAX {
            return Err(unavailable("the log is busy: too many bytes are waiting to be written"));
        }
        if !index.has_numbers_for(prepared.events_count) {
            return Err(unavailable("the log has as many commits as it can number"));
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
    let revision = ActualRevision(Revision::last_of(head + events_count));
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
    let mut events = body.events();
    for event in commit.streams.iter().flat_map(|append| &append.events) {
        if !is_same_event(&events.decode_next()?, event) {
            return Ok(None);
        }
    }
    let is_same = appends.next().is_none() && events.is_at_end();
    Ok(is_same.then_some(Receipt {
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
