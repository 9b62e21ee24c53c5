//! What must always be true, written once: production asserts it in debug builds, tests and the
//! simulation after every step.

use std::collections::{HashMap, HashSet};

use crate::command::RecordedRange;
use crate::commit::RecordedCommit;
use crate::event::RecordedEvent;
use crate::id::EventId;
use crate::place::{ActualRevision, Position, Revision};

/// Whether consecutive reads of one stream have no hole and no repeat.
#[must_use]
pub fn revisions_are_dense(events: &[RecordedEvent]) -> bool {
    events
        .iter()
        .zip(events.iter().skip(1))
        .all(|(event, next)| event.stream == next.stream && next.revision == event.revision.next())
}

/// Whether the positions of events of one partition strictly increase and all lie after `after`.
#[must_use]
pub fn positions_increase(after: Option<Position>, events: &[RecordedEvent]) -> bool {
    let mut last = after;
    events.iter().all(|event| {
        let increases = last.is_none_or(|last| event.position > last);
        last = Some(event.position);
        increases
    })
}

/// Whether every stream's events in a whole feed are dense from its first event on.
#[must_use]
pub fn feed_agrees_with_streams(events: &[RecordedEvent]) -> bool {
    let mut next: HashMap<&str, u64> = HashMap::new();
    events.iter().all(|event| {
        let expected = next.entry(event.stream.as_str()).or_insert(0);
        let agrees = event.revision.get() == *expected;
        *expected = expected.saturating_add(1);
        agrees
    })
}

/// Whether times never go back along the events of one partition.
#[must_use]
pub fn times_never_go_back(events: &[RecordedEvent]) -> bool {
    events.is_sorted_by_key(|event| event.recorded_at)
}

/// Whether no two events share an id: none was recorded or read twice.
#[must_use]
pub fn events_are_distinct(events: &[RecordedEvent]) -> bool {
    let mut seen: HashSet<EventId> = HashSet::with_capacity(events.len());
    events.iter().all(|event| seen.insert(event.id))
}

/// Whether a whole log of dense positions has no hole and no repeat: commits are numbered from 0, and
/// each begins at the position where the one before ended.
#[must_use]
pub fn commits_are_dense(commits: &[RecordedCommit]) -> bool {
    let mut next_position: u64 = 0;
    (0..).zip(commits).all(|(number, recorded)| {
        let is_next = recorded.number == number && recorded.first_position.get() == next_position;
        let events_count = u64::try_from(recorded.commit.events_count()).unwrap_or(u64::MAX);
        next_position = next_position.saturating_add(events_count);
        is_next
    })
}

/// Whether no stream decided a command id twice in a whole log.
#[must_use]
pub fn commands_are_distinct(commits: &[RecordedCommit]) -> bool {
    let mut seen = HashSet::new();
    let mut commands = commits.iter().filter_map(|recorded| recorded.commit.command.as_ref());
    commands.all(|command| seen.insert((&command.stream, command.id)))
}

/// Whether a whole feed holds the events of a whole log, each once and in its order.
#[must_use]
pub fn feed_holds_commits(feed: &[RecordedEvent], commits: &[RecordedCommit]) -> bool {
    let parts = commits.iter().flat_map(|recorded| &recorded.commit.streams);
    let events = parts.flat_map(|part| part.events.iter().map(|event| (&part.stream, event)));
    feed.iter()
        .map(|event| (&event.stream, &event.event_type, &event.data))
        .eq(events.map(|(stream, event)| (stream, &event.event_type, &event.data)))
}

/// Whether the events of a commit are the next of their stream, which ended at `before`.
#[must_use]
pub fn range_follows(before: ActualRevision, range: RecordedRange, events_count: usize) -> bool {
    let count = u64::try_from(events_count).unwrap_or(u64::MAX);
    let after = Revision::last_of(before.events_count().saturating_add(count));
    range.first_revision == before.next() && after == Some(range.last_revision)
}

/// Whether a checkpoint passes none of the events that were read but for the first `handled_count`.
#[must_use]
pub fn checkpoint_passes_only_handled(
    checkpoint: Option<Position>,
    read: &[RecordedEvent],
    handled_count: usize,
) -> bool {
    let mut unhandled = read.iter().skip(handled_count);
    unhandled.all(|event| checkpoint < Some(event.position))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use bytes::Bytes;
    use uuid::Uuid;

    use super::*;
    use crate::command::{CommandRecord, Outcome};
    use crate::commit::Commit;
    use crate::event::{ContentType, NewEvent, Origin, SchemaVersion};
    use crate::id::{CommandId, Digest};
    use crate::name::{CommandName, EventType};
    use crate::place::{ExpectedRevision, Partition};
    use crate::stream::StreamId;
    use crate::time::Timestamp;

    /// An event of one of two streams, recorded at the time of its position.
    fn event(stream: &str, revision: u64, position: u64) -> RecordedEvent {
        RecordedEvent {
            id: EventId::new(Uuid::from_u128(u128::from(position))),
            stream: StreamId::parse(stream).unwrap(),
            revision: Revision::new(revision),
            partition: Partition::ZERO,
            position: Position::new(position),
            event_type: EventType::new("opened").unwrap(),
            schema_version: SchemaVersion::FIRST,
            content_type: ContentType::Json,
            data: Bytes::from(position.to_string()),
            metadata: Bytes::new(),
            recorded_at: Timestamp::from_ms(position),
            command_id: None,
            origin: Arc::new(Origin::default()),
        }
    }

    /// The feed of three commits, of which the second has two events.
    fn feed() -> Vec<RecordedEvent> {
        vec![event("a/1", 0, 0), event("a/1", 1, 1), event("a/1", 2, 2), event("a/2", 0, 3)]
    }

    /// A commit of the events of [`feed`] with these positions, decided by command `number`.
    fn commit(number: u64, stream: &str, positions: std::ops::Range<u64>) -> RecordedCommit {
        let stream = StreamId::parse(stream).unwrap();
        let first_position = Position::new(positions.start);
        let new =
            |position: u64| NewEvent::json(EventType::new("opened").unwrap(), position.to_string());
        let events = positions.map(new).collect();
        let command = CommandRecord {
            id: CommandId::new(Uuid::from_u128(u128::from(number))),
            name: CommandName::new("open").unwrap(),
            stream: stream.clone(),
            content_type: ContentType::Json,
            data: Bytes::new(),
            decided_at: Timestamp::from_ms(1),
            seed: (1, 2),
            plugin: Digest::of(b""),
            outcome: Outcome::Accepted,
        };
        let expected = ExpectedRevision::Any;
        let plain = Commit::plain(stream, expected, events, Timestamp::from_ms(1));
        RecordedCommit {
            number,
            first_position,
            commit: Commit { command: Some(command), ..plain },
        }
    }

    fn commits() -> Vec<RecordedCommit> {
        vec![commit(0, "a/1", 0..1), commit(1, "a/1", 1..3), commit(2, "a/2", 3..4)]
    }

    #[test]
    fn a_whole_feed_passes_and_each_fault_of_one_is_seen() {
        // Guards the invariants themselves: one that cannot say no guards nothing.
        let whole = feed();
        assert!(revisions_are_dense(&whole[..3]));
        assert!(positions_increase(None, &whole));
        assert!(feed_agrees_with_streams(&whole));
        assert!(times_never_go_back(&whole));
        assert!(events_are_distinct(&whole));

        let with_hole = [whole[0].clone(), whole[2].clone()];
        assert!(!revisions_are_dense(&with_hole));
        assert!(!feed_agrees_with_streams(&with_hole));
        let doubled = [whole[0].clone(), whole[0].clone()];
        assert!(!revisions_are_dense(&doubled));
        assert!(!events_are_distinct(&doubled));
        assert!(!positions_increase(None, &doubled));
        assert!(!positions_increase(Some(Position::new(0)), &whole));
        let backwards = [whole[1].clone(), whole[0].clone()];
        assert!(!times_never_go_back(&backwards));
    }

    #[test]
    fn a_whole_log_passes_and_each_fault_of_one_is_seen() {
        // Guards the invariants of the log: numbers, positions, commands and events of its commits.
        let whole = commits();
        assert!(commits_are_dense(&whole));
        assert!(commands_are_distinct(&whole));
        assert!(feed_holds_commits(&feed(), &whole));

        assert!(!commits_are_dense(&whole[1..]));
        let with_hole = [whole[0].clone(), RecordedCommit { number: 1, ..whole[2].clone() }];
        assert!(!commits_are_dense(&with_hole));
        assert!(!feed_holds_commits(&feed(), &with_hole));
        assert!(!feed_holds_commits(&feed()[1..], &whole));
        assert!(!commands_are_distinct(&[whole[0].clone(), whole[0].clone()]));
        // Another stream may decide the same id.
        assert!(commands_are_distinct(&[commit(0, "a/1", 0..1), commit(0, "a/2", 1..2)]));
    }

    #[test]
    fn a_range_follows_where_its_stream_ended() {
        // Guards residents: they evolve by the events of the revisions after their own.
        let range = |first, last| RecordedRange {
            first_revision: Revision::new(first),
            last_revision: Revision::new(last),
            first_position: Position::new(7),
            last_position: Position::new(9),
        };
        let three = ActualRevision::from(Revision::new(2));
        assert!(range_follows(ActualRevision::NO_EVENT, range(0, 0), 1));
        assert!(range_follows(three, range(3, 5), 3));
        assert!(!range_follows(three, range(2, 4), 3));
        assert!(!range_follows(three, range(3, 6), 3));
    }

    #[test]
    fn a_checkpoint_lies_before_what_was_not_handled() {
        // Guards views: an event behind the checkpoint is never projected.
        let read = feed();
        let passes = |checkpoint: Option<u64>, handled_count| {
            checkpoint_passes_only_handled(checkpoint.map(Position::new), &read, handled_count)
        };
        assert!(passes(None, 0) && passes(Some(1), 2) && passes(Some(3), 4));
        assert!(!passes(Some(0), 0) && !passes(Some(2), 2));
    }
}
