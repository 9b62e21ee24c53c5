//! The rules of writing, over ordinary maps: what a commit must meet, and what it changes.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use annals_core::command::{RecordedCommand, RecordedRange};
use annals_core::commit::{
    ClaimHolder, Commit, Receipt, RecordedCommit, StreamAppend, StreamReceipt,
};
use annals_core::event::{NewEvent, Origin, RecordedEvent, SchemaVersion};
use annals_core::id::{CommandId, EventId, StoreId};
use annals_core::name::EventType;
use annals_core::place::{ActualRevision, ExpectedRevision, Partition, Position, Revision};
use annals_core::port::event_store::{AppendError, EventTypeCount, StreamInfo};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use uuid::Uuid;

/// All that was ever accepted.
#[derive(Debug)]
pub(super) struct Log {
    store_id: StoreId,
    // Invariant: the position of an event is its index.
    events: Vec<RecordedEvent>,
    // Invariant: the number of a commit is its index.
    commits: Vec<RecordedCommit>,
    streams: HashMap<StreamId, Stream>,
    // What a stream looks like that is not in `streams`. Never changed.
    absent: Stream,
    // By scope and key. Expired ones stay until they are taken or released.
    claims: HashMap<(Arc<str>, Arc<str>), ClaimHolder>,
    counts: BTreeMap<(Arc<str>, EventType, SchemaVersion), u64>,
    // Invariant: no event is recorded later.
    latest: Timestamp,
}

#[derive(Debug, Default)]
struct Stream {
    // Invariant: the revision of an event is its index; what is kept is its index in the log.
    events: Vec<usize>,
    commands: Vec<RecordedCommand>,
    command_indexes: HashMap<CommandId, usize>,
    // By each id that a client gave in a commit whose first stream this is: that commit.
    given_ids: HashMap<EventId, Arc<PlainAppend>>,
}

/// What tells a repeat of a plain append whose ids the client gave.
#[derive(Debug)]
struct PlainAppend {
    streams: Vec<StreamAppend>,
    receipt: Receipt,
}

impl PlainAppend {
    /// Whether `streams` has the same streams and events, whatever it expects.
    fn is_repeated_by(&self, streams: &[StreamAppend]) -> bool {
        let parts = |append: &StreamAppend| (append.stream.clone(), append.events.clone());
        self.streams.iter().map(parts).eq(streams.iter().map(parts))
    }
}

/// What all events of a commit have in common.
struct Common {
    recorded_at: Timestamp,
    command_id: Option<CommandId>,
    origin: Arc<Origin>,
}

impl Log {
    pub(super) fn new(store_id: StoreId) -> Self {
        Self {
            store_id,
            events: Vec::new(),
            commits: Vec::new(),
            streams: HashMap::new(),
            absent: Stream::default(),
            claims: HashMap::new(),
            counts: BTreeMap::new(),
            latest: Timestamp::default(),
        }
    }

    /// Accepts a commit that has been checked, or changes nothing.
    pub(super) fn append(&mut self, commit: Commit) -> Result<Receipt, AppendError> {
        self.check_command_id(&commit)?;
        if let Some(receipt) = self.find_given_ids(&commit)? {
            return Ok(receipt);
        }
        self.check_expectations(&commit)?;
        let recorded_at = commit.recorded_at.max(self.latest);
        self.check_claims(&commit, recorded_at)?;
        Ok(self.record(commit, recorded_at))
    }

    /// The position of the last event.
    pub(super) fn head(&self) -> Option<Position> {
        self.events.last().map(|event| event.position)
    }

    /// All events after a position.
    pub(super) fn events_after(&self, after: Option<Position>) -> &[RecordedEvent] {
        let start = after.map_or(0, |position| index_of(position.get()).saturating_add(1));
        self.events.get(start..).unwrap_or_default()
    }

    /// The events of a stream from a revision (inclusive).
    pub(super) fn events_from(
        &self,
        stream: &StreamId,
        from: Revision,
    ) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        let events = &self.stream(stream).events;
        let events = events.get(index_of(from.get())..).unwrap_or_default();
        events.iter().filter_map(|index| self.events.get(*index))
    }

    /// The events of a stream up to a revision (inclusive).
    pub(super) fn events_up_to(
        &self,
        stream: &StreamId,
        up_to: Revision,
    ) -> impl DoubleEndedIterator<Item = &RecordedEvent> {
        let events = &self.stream(stream).events;
        let end = index_of(up_to.events_count()).min(events.len());
        let events = events.get(..end).unwrap_or_default();
        events.iter().filter_map(|index| self.events.get(*index))
    }

    pub(super) fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Option<&RecordedCommand> {
        let stream = self.stream(stream);
        let index = stream.command_indexes.get(&id)?;
        stream.commands.get(*index)
    }

    /// The commands of a stream, oldest first.
    pub(super) fn commands(&self, stream: &StreamId) -> &[RecordedCommand] {
        &self.stream(stream).commands
    }

    /// The commits from a number (inclusive).
    pub(super) fn commits_from(&self, number: u64) -> &[RecordedCommit] {
        self.commits.get(index_of(number)..).unwrap_or_default()
    }

    pub(super) fn commits_count(&self) -> u64 {
        count_of(self.commits.len())
    }

    /// The commits before a number (exclusive).
    pub(super) fn commits_before(&self, number: u64) -> &[RecordedCommit] {
        self.commits.get(..index_of(number)).unwrap_or(&self.commits)
    }

    /// The position of the last event of the commits before a number (exclusive).
    pub(super) fn head_before(&self, number: u64) -> Option<Position> {
        let next = self.commits.get(index_of(number));
        let end = next.map_or(self.events.len(), |next| index_of(next.first_position.get()));
        self.events.get(..end)?.last().map(|event| event.position)
    }

    /// Who holds a claim at a time.
    pub(super) fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Option<&ClaimHolder> {
        let holder = self.claims.get(&(Arc::from(scope), Arc::from(key)))?;
        let is_held = holder.expires_at.is_none_or(|expiry| expiry > now);
        is_held.then_some(holder)
    }

    pub(super) fn stream_info(&self, stream: &StreamId) -> StreamInfo {
        let stream = self.stream(stream);
        StreamInfo {
            partition: Partition::ZERO,
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

    fn stream(&self, stream: &StreamId) -> &Stream {
        self.streams.get(stream).unwrap_or(&self.absent)
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
        let remembered = &self.stream(&first.stream).given_ids;
        let mut ids = given_ids(commit);
        let Some((id, before)) = ids.find_map(|id| Some((id, remembered.get(&id)?))) else {
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

    fn check_claims(&self, commit: &Commit, recorded_at: Timestamp) -> Result<(), AppendError> {
        for claim in &commit.claims {
            let Some(holder) = self.claim_holder(&claim.scope, &claim.key, recorded_at) else {
                continue;
            };
            let is_released = commit.releases.iter().any(|release| {
                release.scope == claim.scope
                    && release.key == claim.key
                    && release.stream == holder.stream
            });
            if holder.stream != claim.stream && !is_released {
                return Err(AppendError::ClaimHeld {
                    scope: Arc::clone(&claim.scope),
                    key: Arc::clone(&claim.key),
                    holder: holder.stream.clone(),
                });
            }
        }
        Ok(())
    }

    /// Writes a commit that meets all rules.
    fn record(&mut self, commit: Commit, recorded_at: Timestamp) -> Receipt {
        self.latest = recorded_at;
        let first_index = self.events.len();
        self.record_claims(&commit);
        let common = Common {
            recorded_at,
            command_id: commit.command.as_ref().map(|command| command.id),
            origin: Arc::clone(&commit.origin),
        };
        let receipt = Receipt {
            recorded_at,
            streams: commit
                .streams
                .iter()
                .map(|append| self.record_events(append, &common))
                .collect(),
        };
        self.remember_given_ids(&commit, &receipt);
        self.remember_commit(&commit, &receipt, first_index);
        self.record_command(commit, &receipt);
        receipt
    }

    fn record_claims(&mut self, commit: &Commit) {
        for release in &commit.releases {
            let name = (Arc::clone(&release.scope), Arc::clone(&release.key));
            let is_held =
                self.claims.get(&name).is_some_and(|holder| holder.stream == release.stream);
            if is_held {
                self.claims.remove(&name);
            }
        }
        for claim in &commit.claims {
            let name = (Arc::clone(&claim.scope), Arc::clone(&claim.key));
            let holder = ClaimHolder { stream: claim.stream.clone(), expires_at: claim.expires_at };
            self.claims.insert(name, holder);
        }
    }

    fn record_events(&mut self, append: &StreamAppend, common: &Common) -> StreamReceipt {
        let before = self.stream(&append.stream).revision();
        let first_index = self.events.len();
        let mut revision = before.next();
        for (ordinal, event) in (0..).zip(&append.events) {
            self.record_event(append, event, common, (revision, ordinal));
            revision = revision.next();
        }
        let Some(last) = self.events.get(first_index..).and_then(<[_]>::last) else {
            return StreamReceipt { revision: before, events: None };
        };
        StreamReceipt {
            revision: last.revision.into(),
            events: Some(RecordedRange {
                first_revision: before.next(),
                last_revision: last.revision,
                first_position: Position::new(count_of(first_index)),
                last_position: last.position,
            }),
        }
    }

    fn record_event(
        &mut self,
        append: &StreamAppend,
        event: &NewEvent,
        common: &Common,
        (revision, ordinal): (Revision, u32),
    ) {
        let index = self.events.len();
        let position = Position::new(count_of(index));
        let id = event.id.unwrap_or_else(|| match common.command_id {
            Some(command) => EventId::derive(command, &append.stream, ordinal),
            None => self.made_id(&append.stream, position),
        });
        self.events.push(RecordedEvent {
            id,
            stream: append.stream.clone(),
            revision,
            partition: Partition::ZERO,
            position,
            event_type: event.event_type.clone(),
            schema_version: event.schema_version,
            content_type: event.content_type.clone(),
            data: event.data.clone(),
            metadata: event.metadata.clone(),
            recorded_at: common.recorded_at,
            command_id: common.command_id,
            origin: Arc::clone(&common.origin),
        });
        let stream = self.streams.entry(append.stream.clone()).or_default();
        stream.events.push(index);
        let kind =
            (Arc::from(append.stream.category()), event.event_type.clone(), event.schema_version);
        *self.counts.entry(kind).or_default() += 1;
    }

    /// The id of an event that neither a client nor a command gave one: no two events of all stores
    /// share both store and position.
    fn made_id(&self, stream: &StreamId, position: Position) -> EventId {
        let place = self.store_id.uuid().as_u128() ^ u128::from(position.get());
        EventId::derive(CommandId::new(Uuid::from_u128(place)), stream, 0)
    }

    fn remember_given_ids(&mut self, commit: &Commit, receipt: &Receipt) {
        let Some(first) = commit.streams.first() else {
            return;
        };
        let append =
            Arc::new(PlainAppend { streams: commit.streams.clone(), receipt: receipt.clone() });
        let stream = self.streams.entry(first.stream.clone()).or_default();
        for id in given_ids(commit) {
            stream.given_ids.insert(id, Arc::clone(&append));
        }
    }

    /// Remembers the commit as it was recorded.
    fn remember_commit(&mut self, commit: &Commit, receipt: &Receipt, first_index: usize) {
        let mut commit = commit.clone();
        commit.recorded_at = receipt.recorded_at;
        commit.id_is_new = false;
        let mut events = self.events.get(first_index..).unwrap_or_default().iter();
        for (append, receipt) in commit.streams.iter_mut().zip(&receipt.streams) {
            let before = match receipt.events {
                Some(range) => Revision::last_of(range.first_revision.get()),
                None => receipt.revision.0,
            };
            append.expected = ExpectedRevision::at(ActualRevision(before));
            for (event, recorded) in append.events.iter_mut().zip(events.by_ref()) {
                event.id = commit.command.is_none().then_some(recorded.id);
            }
        }
        self.commits.push(RecordedCommit {
            number: count_of(self.commits.len()),
            first_position: Position::new(count_of(first_index)),
            commit,
        });
    }

    fn record_command(&mut self, commit: Commit, receipt: &Receipt) {
        let Some(record) = commit.command else {
            return;
        };
        let mut parts = commit.streams.iter().zip(&receipt.streams);
        let own = parts.find(|(append, _)| append.stream == record.stream);
        let events = own.and_then(|(_, receipt)| receipt.events);
        let stream = self.streams.entry(record.stream.clone()).or_default();
        stream.command_indexes.insert(record.id, stream.commands.len());
        stream.commands.push(RecordedCommand {
            revision: stream.revision(),
            record,
            origin: commit.origin,
            recorded_at: receipt.recorded_at,
            events,
        });
    }
}

impl Stream {
    fn revision(&self) -> ActualRevision {
        ActualRevision(Revision::last_of(count_of(self.events.len())))
    }
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
