//! The rules of writing, over ordinary maps: what a commit must meet, and what it changes.

mod claims;
mod partition;
mod stream;

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;

use annals_core::command::{RecordedCommand, RecordedRange};
use annals_core::commit::{
    ClaimHolder, Commit, Receipt, RecordedCommit, StreamAppend, StreamReceipt,
};
use annals_core::event::{NewEvent, Origin, RecordedEvent, SchemaVersion};
use annals_core::id::{CommandId, EventId, StoreId};
use annals_core::name::EventType;
use annals_core::place::{ActualRevision, ExpectedRevision, Partition, Position, Revision};
use annals_core::port::event_store::{AppendError, Capabilities, EventTypeCount, StreamInfo};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use uuid::Uuid;

use self::claims::Claims;
use self::partition::PartitionLog;
use self::stream::{PlainAppend, Stream};

/// All that was ever accepted.
#[derive(Debug)]
pub(super) struct Log {
    store_id: StoreId,
    capabilities: Capabilities,
    partitions: HashMap<Partition, PartitionLog>,
    streams: HashMap<StreamId, Stream>,
    // What a partition and a stream look like that are not in the maps. Never changed.
    absent: (PartitionLog, Stream),
    // Where the commits of all partitions are, in the order in which they were accepted.
    accepted: Vec<(Partition, u64)>,
    claims: Claims,
    counts: BTreeMap<(Arc<str>, EventType, SchemaVersion), u64>,
}

/// What all events of a commit have in common.
struct Common {
    recorded_at: Timestamp,
    command_id: Option<CommandId>,
    origin: Arc<Origin>,
    // How many commits of all partitions were accepted before.
    accepted_before: u64,
}

impl Log {
    pub(super) fn new(store_id: StoreId, capabilities: Capabilities) -> Self {
        Self {
            store_id,
            capabilities,
            partitions: HashMap::new(),
            streams: HashMap::new(),
            absent: Default::default(),
            accepted: Vec::new(),
            claims: Claims::default(),
            counts: BTreeMap::new(),
        }
    }

    /// Accepts a commit that has been checked, or changes nothing.
    pub(super) fn append(&mut self, commit: Commit) -> Result<Receipt, AppendError> {
        self.check_command_id(&commit)?;
        if let Some(receipt) = self.find_given_ids(&commit)? {
            return Ok(receipt);
        }
        self.check_expectations(&commit)?;
        let recorded_at = self.time_of(&commit);
        self.claims.check(&commit, recorded_at)?;
        Ok(self.record(commit, recorded_at))
    }

    /// The position of the last event.
    pub(super) fn head(&self, partition: Partition) -> Option<Position> {
        self.partition(partition).head()
    }

    /// All events after a position.
    pub(super) fn events_after(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> &[RecordedEvent] {
        self.partition(partition).events_after(after)
    }

    /// The events of a stream from a revision (inclusive).
    pub(super) fn events_from(
        &self,
        stream: &StreamId,
        from: Revision,
    ) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        let indexes = &self.stream(stream).events;
        self.events_at(stream, indexes.get(index_of(from.get())..))
    }

    /// The events of a stream up to a revision (inclusive).
    pub(super) fn events_up_to(
        &self,
        stream: &StreamId,
        up_to: Revision,
    ) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        let indexes = &self.stream(stream).events;
        self.events_at(stream, indexes.get(..index_of(up_to.events_count()).min(indexes.len())))
    }

    pub(super) fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Option<&RecordedCommand> {
        self.stream(stream).find_command(id, self.capabilities.command_ids_remembered)
    }

    /// The commands of a stream, oldest first.
    pub(super) fn commands(&self, stream: &StreamId) -> &[RecordedCommand] {
        &self.stream(stream).commands
    }

    /// The commits of a partition from a number (inclusive).
    pub(super) fn commits_from(&self, partition: Partition, number: u64) -> &[RecordedCommit] {
        self.partition(partition).commits_from(number)
    }

    /// How many commits all partitions have.
    pub(super) fn accepted_count(&self) -> u64 {
        count_of(self.accepted.len())
    }

    /// The first `count` commits of all partitions, in the order in which they were accepted.
    pub(super) fn first_accepted(&self, count: u64) -> impl Iterator<Item = &RecordedCommit> {
        let places = self.accepted.iter().take(index_of(count));
        places.filter_map(|(partition, number)| self.commits_from(*partition, *number).first())
    }

    /// How many commits of a partition are among the first `count` commits of all.
    pub(super) fn commits_before(&self, partition: Partition, count: u64) -> u64 {
        let places = self.accepted.iter().take(index_of(count));
        count_of(places.filter(|(its, _)| *its == partition).count())
    }

    /// The position of the last event of a partition among the first `count` commits of all.
    pub(super) fn head_before(&self, partition: Partition, count: u64) -> Option<Position> {
        self.partition(partition).head_before(count)
    }

    /// Who holds a claim at a time.
    pub(super) fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Option<&ClaimHolder> {
        self.claims.holder(scope, key, now)
    }

    pub(super) fn stream_info(&self, stream: &StreamId) -> StreamInfo {
        let partition = self.capabilities.partition_of(stream);
        let stream = self.stream(stream);
        StreamInfo {
            partition,
            revision: stream.revision(),
            commands_count: count_of(stream.commands.len()),
        }
    }

    pub(super) fn event_type_counts(&self) -> Vec<EventTypeCount> {
        let to_count =
            |((category, event_type, schema_version), events_count): (&(_, _, _), &_)| {
                EventTypeCount {
                    category: Arc::clone(category),
                    event_type: EventType::clone(event_type),
                    schema_version: *schema_version,
                    events_count: *events_count,
                }
            };
        self.counts.iter().map(to_count).collect()
    }

    fn partition(&self, partition: Partition) -> &PartitionLog {
        self.partitions.get(&partition).unwrap_or(&self.absent.0)
    }

    fn stream(&self, stream: &StreamId) -> &Stream {
        self.streams.get(stream).unwrap_or(&self.absent.1)
    }

    fn events_at(
        &self,
        stream: &StreamId,
        indexes: Option<&[usize]>,
    ) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        let partition = self.partition(self.capabilities.partition_of(stream));
        // Copied, so that what is returned borrows from the log only.
        let indexes = indexes.unwrap_or_default().to_vec();
        indexes.into_iter().filter_map(|index| partition.event(index))
    }

    /// The time of a commit that is accepted now: not before that of any partition it is in.
    fn time_of(&self, commit: &Commit) -> Timestamp {
        let partitions = self.partitions_of(commit).into_iter();
        let latest = partitions.map(|partition| self.partition(partition).latest()).max();
        commit.recorded_at.max(latest.unwrap_or_default())
    }

    /// The partition of a commit: that of its command's stream, or of its first stream.
    fn own_partition(&self, commit: &Commit) -> Partition {
        commit.home().map_or(Partition::ZERO, |stream| self.capabilities.partition_of(stream))
    }

    /// The partitions that a commit or an event of it goes to.
    fn partitions_of(&self, commit: &Commit) -> HashSet<Partition> {
        let written = written_streams(commit);
        let partitions = written.map(|stream| self.capabilities.partition_of(stream));
        partitions.chain([self.own_partition(commit)]).collect()
    }

    fn check_command_id(&self, commit: &Commit) -> Result<(), AppendError> {
        let Some(command) = &commit.command else {
            return Ok(());
        };
        if self.find_command(&command.stream, command.id).is_some() {
            return Err(AppendError::AlreadyDecided {
                stream: command.stream.clone(),
                command: command.id,
            });
        }
        Ok(())
    }

    /// The receipt of the append that this one repeats; `None` when all its ids are new.
    fn find_given_ids(&self, commit: &Commit) -> Result<Option<Receipt>, AppendError> {
        let Some(first) = commit.streams.first() else {
            return Ok(None);
        };
        let stream = self.stream(&first.stream);
        let remembered = self.capabilities.command_ids_remembered;
        let mut ids = given_ids(commit);
        let found = ids.find_map(|id| Some((id, stream.find_given_id(id, remembered)?)));
        let Some((id, before)) = found else {
            return Ok(None);
        };
        if before.is_repeated_by(&commit.streams) {
            return Ok(Some(before.receipt.clone()));
        }
        Err(AppendError::EventIdsReused { stream: first.stream.clone(), event: id })
    }

    fn check_expectations(&self, commit: &Commit) -> Result<(), AppendError> {
        for append in &commit.streams {
            let actual = self.stream(&append.stream).revision();
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

    /// Writes a commit that meets all rules.
    fn record(&mut self, commit: Commit, recorded_at: Timestamp) -> Receipt {
        for partition in self.partitions_of(&commit) {
            self.partitions.entry(partition).or_default().reach(recorded_at);
        }
        self.claims.record(&commit);
        let own_partition = self.own_partition(&commit);
        let first_position = self.partition(own_partition).next_position();
        let common = Common {
            recorded_at,
            command_id: commit.command.as_ref().map(|command| command.id),
            origin: Arc::clone(&commit.origin),
            accepted_before: self.accepted_count(),
        };
        let receipt = Receipt {
            recorded_at,
            streams: commit
                .streams
                .iter()
                .map(|append| self.record_events(append, &common))
                .collect(),
        };
        self.remember_commit(&commit, &receipt, (own_partition, first_position));
        self.remember_ids(commit, &receipt);
        receipt
    }

    fn record_events(&mut self, append: &StreamAppend, common: &Common) -> StreamReceipt {
        let before = self.stream(&append.stream).revision();
        let mut positions = Vec::with_capacity(append.events.len());
        let mut revision = before.next();
        for (ordinal, event) in (0..).zip(&append.events) {
            positions.push(self.record_event(append, event, common, (revision, ordinal)));
            revision = revision.next();
        }
        let after = self.stream(&append.stream).revision();
        let range = |(first_position, last_position)| {
            Some(RecordedRange {
                first_revision: before.next(),
                last_revision: after.0?,
                first_position,
                last_position,
            })
        };
        let ends = positions.first().copied().zip(positions.last().copied());
        StreamReceipt { revision: after, events: ends.and_then(range) }
    }

    /// Adds an event to its stream and its partition, and returns its position there.
    fn record_event(
        &mut self,
        append: &StreamAppend,
        event: &NewEvent,
        common: &Common,
        (revision, ordinal): (Revision, u32),
    ) -> Position {
        let partition = self.capabilities.partition_of(&append.stream);
        let position = self.partition(partition).next_position();
        let id = event.id.unwrap_or_else(|| match common.command_id {
            Some(command) => EventId::derive(command, &append.stream, ordinal),
            None => self.made_id(&append.stream, position),
        });
        let recorded = RecordedEvent {
            id,
            stream: append.stream.clone(),
            revision,
            partition,
            position,
            event_type: event.event_type.clone(),
            schema_version: event.schema_version,
            content_type: event.content_type.clone(),
            data: event.data.clone(),
            metadata: event.metadata.clone(),
            recorded_at: common.recorded_at,
            command_id: common.command_id,
            origin: Arc::clone(&common.origin),
        };
        let feed = self.partitions.entry(partition).or_default();
        let index = feed.push_event(recorded, common.accepted_before);
        self.streams.entry(append.stream.clone()).or_default().events.push(index);
        let kind =
            (Arc::from(append.stream.category()), event.event_type.clone(), event.schema_version);
        *self.counts.entry(kind).or_default() += 1;
        position
    }

    /// The id of an event that neither a client nor a command gave one: no two events of all stores
    /// share store, stream and position.
    fn made_id(&self, stream: &StreamId, position: Position) -> EventId {
        let place = self.store_id.uuid().as_u128() ^ u128::from(position.get());
        EventId::derive(CommandId::new(Uuid::from_u128(place)), stream, 0)
    }

    /// Remembers the commit as it was recorded.
    fn remember_commit(
        &mut self,
        commit: &Commit,
        receipt: &Receipt,
        (partition, first_position): (Partition, Position),
    ) {
        let mut commit = commit.clone();
        commit.recorded_at = receipt.recorded_at;
        commit.id_is_new = false;
        for (append, receipt) in commit.streams.iter_mut().zip(&receipt.streams) {
            let before = match receipt.events {
                Some(range) => Revision::last_of(range.first_revision.get()),
                None => receipt.revision.0,
            };
            append.expected = ExpectedRevision::at(ActualRevision(before));
            let first = ActualRevision(before).next();
            let recorded = self.events_from(&append.stream, first);
            for (event, recorded) in append.events.iter_mut().zip(recorded) {
                event.id = commit.command.is_none().then_some(recorded.id);
            }
        }
        let log = self.partitions.entry(partition).or_default();
        let number = log.commits_count();
        log.push_commit(RecordedCommit { number, first_position, commit });
        self.accepted.push((partition, number));
    }

    /// Remembers the ids of the command or of the events where a repeat looks for them.
    fn remember_ids(&mut self, commit: Commit, receipt: &Receipt) {
        let own = commit.home().cloned();
        let mut streams: HashSet<&StreamId> = written_streams(&commit).collect();
        streams.extend(&own);
        let mut own_index = 0;
        for stream in streams {
            let commit_index = self.streams.entry(stream.clone()).or_default().count_commit();
            if own.as_ref() == Some(stream) {
                own_index = commit_index;
            }
        }
        let Some(own) = own else {
            return;
        };
        let stream = self.streams.entry(own).or_default();
        match commit.command.clone() {
            Some(record) => {
                let mut parts = commit.streams.iter().zip(&receipt.streams);
                let part = parts.find(|(append, _)| append.stream == record.stream);
                let command = RecordedCommand {
                    revision: stream.revision(),
                    record,
                    origin: Arc::clone(&commit.origin),
                    recorded_at: receipt.recorded_at,
                    events: part.and_then(|(_, receipt)| receipt.events),
                };
                stream.push_command(command, own_index);
            }
            None => {
                let ids: Vec<EventId> = given_ids(&commit).collect();
                let append = Arc::new(PlainAppend {
                    streams: commit.streams,
                    receipt: receipt.clone(),
                    commit_index: own_index,
                });
                for id in ids {
                    stream.remember_given_id(id, &append);
                }
            }
        }
    }
}

/// The streams that a commit has events of.
fn written_streams(commit: &Commit) -> impl Iterator<Item = &StreamId> {
    commit.streams.iter().filter(|append| !append.events.is_empty()).map(|append| &append.stream)
}

/// The ids that a client gave to the events of a commit.
fn given_ids(commit: &Commit) -> impl Iterator<Item = EventId> {
    commit.streams.iter().flat_map(|append| &append.events).filter_map(|event| event.id)
}

/// A count as a number of 64 bits, which every count of things in memory fits.
fn count_of(things: usize) -> u64 {
    u64::try_from(things).unwrap_or(u64::MAX)
}

/// A number as an index; past the end of everything when it is too large for one.
fn index_of(number: u64) -> usize {
    usize::try_from(number).unwrap_or(usize::MAX)
}
