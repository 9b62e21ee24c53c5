//! Imports into a store of several partitions, one that does not keep its contract, and one whose disk
//! fails.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::{Durability, DurabilityLost};
use annals_core::id::{CommandId, StoreId};
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{
    AppendError, Capabilities, Direction, EventTypeCount, FeedFilter, FeedPage, ReadError,
    StreamInfo, StreamPage,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_store_memory::{MemoryEventStore, MemoryStateStores};
use async_trait::async_trait;

use super::support::{commits, empty_store, exported, import, note, with_new_end};
use crate::transfer::{ExportFile, ImportError, Step, export};

/// What a store does wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Nothing,
    /// Nothing becomes durable after so many flushes.
    Disk(u64),
    /// Its clock is ahead.
    Time,
    /// It loses the origin of commits.
    Content,
}

/// A store of several partitions, each in memory, that may do something wrong. It counts what is not
/// durable yet.
#[derive(Debug)]
struct Partitioned {
    partitions: Vec<MemoryEventStore>,
    wrong: Wrong,
    in_flight_count: AtomicU64,
    in_flight_max: AtomicU64,
    flushes_count: AtomicU64,
}

impl Partitioned {
    /// One partition, and something wrong.
    fn faulty(wrong: Wrong) -> Self {
        Self { wrong, ..Self::of(1) }
    }

    fn of(partitions_count: u128) -> Self {
        Self {
            partitions: (0..partitions_count).map(|_| empty_store(2)).collect(),
            wrong: Wrong::Nothing,
            in_flight_count: AtomicU64::new(0),
            in_flight_max: AtomicU64::new(0),
            flushes_count: AtomicU64::new(0),
        }
    }

    fn partition(&self, partition: Partition) -> &MemoryEventStore {
        &self.partitions[usize::try_from(partition.0).unwrap()]
    }

    fn partition_of(&self, stream: &StreamId) -> &MemoryEventStore {
        let count = u64::try_from(self.partitions.len()).unwrap();
        &self.partitions[usize::try_from(stream.stable_hash() % count).unwrap()]
    }
}

#[async_trait]
impl EventStore for Partitioned {
    fn store_id(&self) -> StoreId {
        self.partitions[0].store_id()
    }

    fn capabilities(&self) -> Capabilities {
        let partitions_count = u32::try_from(self.partitions.len()).unwrap();
        Capabilities { partitions_count, ..self.partitions[0].capabilities() }
    }

    async fn append(&self, mut commit: Commit) -> Result<Accepted, AppendError> {
        match self.wrong {
            Wrong::Time => commit.recorded_at = Timestamp::from_ms(u64::MAX),
            Wrong::Content => commit.origin = Arc::default(),
            Wrong::Nothing | Wrong::Disk(_) => {}
        }
        let stream = commit.streams[0].stream.clone();
        let count = self.in_flight_count.fetch_add(1, Ordering::Relaxed) + 1;
        self.in_flight_max.fetch_max(count, Ordering::Relaxed);
        let receipt = self.partition_of(&stream).append(commit).await?.receipt;
        // Whoever waits for one commit alone waits for ever.
        let (notifier, durability) = Durability::pending();
        std::mem::forget(notifier);
        Ok(Accepted { receipt, durability })
    }

    async fn flush(&self) -> Result<(), DurabilityLost> {
        self.in_flight_count.store(0, Ordering::Relaxed);
        let count = self.flushes_count.fetch_add(1, Ordering::Relaxed);
        match self.wrong {
            Wrong::Disk(flushes) if count >= flushes => {
                Err(DurabilityLost { cause: Arc::from("no disk") })
            }
            _ => Ok(()),
        }
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
        direction: Direction,
    ) -> Result<StreamPage, ReadError> {
        self.partition_of(stream).read_stream(stream, from, limit, direction).await
    }

    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        self.partition(partition).read_feed(Partition::ZERO, after, filter, limit).await
    }

    async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError> {
        self.partition(partition).head(Partition::ZERO).await
    }

    async fn wait_for_news(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), ReadError> {
        self.partition(partition).wait_for_news(Partition::ZERO, after).await
    }

    async fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Result<Option<RecordedCommand>, ReadError> {
        self.partition_of(stream).find_command(stream, id).await
    }

    async fn read_commands(
        &self,
        stream: &StreamId,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommand>, ReadError> {
        self.partition_of(stream).read_commands(stream, skip, limit).await
    }

    async fn read_commits(
        &self,
        partition: Partition,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommit>, ReadError> {
        self.partition(partition).read_commits(Partition::ZERO, from, limit).await
    }

    async fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<ClaimHolder>, ReadError> {
        self.partitions[0].claim_holder(scope, key, now).await
    }

    async fn stream_info(&self, stream: &StreamId) -> Result<StreamInfo, ReadError> {
        self.partition_of(stream).stream_info(stream).await
    }

    async fn event_type_counts(&self) -> Result<Vec<EventTypeCount>, ReadError> {
        self.partitions[0].event_type_counts().await
    }
}

async fn notes(count: u64) -> String {
    let store = empty_store(1);
    for number in 0..count {
        let principal = Some(Arc::from("ada"));
        let mut commit = note(b"{}", number);
        commit.origin = Arc::new(annals_core::event::Origin { principal, ..Default::default() });
        store.append(commit).await.unwrap();
    }
    exported(&store).await.0
}

#[tokio::test]
async fn commits_are_made_durable_in_groups_of_a_bounded_size() {
    // Guards both speed and memory: not one wait per commit, and never more in flight than a group.
    let text = notes(2_500).await;
    let store = Partitioned::faulty(Wrong::Nothing);
    import(&text, &store).await.unwrap();
    let counts = [&store.in_flight_max, &store.flushes_count, &store.in_flight_count];
    assert_eq!(counts.map(|count| count.load(Ordering::Relaxed)), [1_024, 3, 0]);
}

#[tokio::test]
async fn a_store_that_fails_is_told_and_is_not_the_users_fault() {
    // Guards the end of an import: it never says done when it is not.
    let text = notes(2_000).await;
    for wrong in [Wrong::Disk(0), Wrong::Disk(1)] {
        let error = import(&text, &Partitioned::faulty(wrong)).await.unwrap_err();
        assert!(matches!(&error, ImportError::Lost(_)), "{error}");
        assert!(!error.is_the_users());
    }
    let error = import(&text, &Partitioned::faulty(Wrong::Time)).await.unwrap_err();
    assert!(matches!(&error, ImportError::Moved { line: 2 }), "{error}");
    let error = import(&text, &Partitioned::faulty(Wrong::Content)).await.unwrap_err();
    let is_found =
        matches!(&error, ImportError::NotTheSame { partition } if *partition == Partition::ZERO);
    assert!(is_found && !error.is_the_users(), "{error}");
    // Cut off, and the disk fails as well: what is said to be in the store would not be.
    let half = &text[..text.len() / 2];
    let error = import(half, &Partitioned::faulty(Wrong::Disk(0))).await.unwrap_err();
    assert!(matches!(&error, ImportError::Lost(_)), "{error}");
}

/// Notes in streams of all three partitions.
async fn three_partitions() -> Partitioned {
    let store = Partitioned::of(3);
    for number in 0..24 {
        let mut commit = note(b"{}", number);
        commit.streams[0].stream = format!("note/n{}", number % 12).parse().unwrap();
        store.append(commit).await.unwrap();
    }
    store
}

/// How many commits each partition has.
async fn counts(store: &Partitioned) -> Vec<usize> {
    let mut counts = Vec::new();
    for partition in &store.partitions {
        counts.push(commits(partition).await.len());
    }
    counts
}

#[tokio::test]
async fn several_partitions_are_imported_as_far_as_they_are_whole_and_go_on_where_they_ended() {
    // Guards stores of several partitions: cut at every line, and whole afterwards.
    let store = three_partitions().await;
    let all = counts(&store).await;
    assert!(all.iter().all(|count| *count > 1), "{all:?}");
    let (text, said) = exported(&store).await;
    let lines: Vec<_> = text.lines().collect();
    for cut in 1..lines.len() {
        let other = Partitioned::of(3);
        let part = lines[..cut].join("\n") + "\n";
        let error = import(part, &other).await.unwrap_err();
        assert!(matches!(error, ImportError::EndsEarly { .. }), "{error}");
        assert_eq!(counts(&other).await.iter().sum::<usize>(), cut - 1);
        assert_eq!(import(&text, &other).await.unwrap().export, said);
        for (one, other) in store.partitions.iter().zip(&other.partitions) {
            assert_eq!(commits(other).await, commits(one).await);
        }
    }
}

#[tokio::test]
async fn partitions_that_are_further_than_others_are_known_again() {
    // Guards an import into a remote store that was killed: what was in flight is there in some
    // partitions and not in others.
    let store = three_partitions().await;
    let (text, said) = exported(&store).await;
    for later in 0..3 {
        let other = Partitioned::of(3);
        for recorded in commits(&store.partitions[later]).await {
            other.append(recorded.commit).await.unwrap();
        }
        let found_count = u64::try_from(counts(&other).await[later]).unwrap();
        let imported = import(&text, &other).await.unwrap();
        assert_eq!((imported.appended_count, imported.export), (24 - found_count, said.clone()));
    }
}

#[tokio::test]
async fn something_else_in_a_later_partition_is_found_before_anything_is_written() {
    // Guards data that is there: what no import of this export left is refused, wherever it is.
    let store = three_partitions().await;
    let (text, _) = exported(&store).await;
    let (last, end) = text.trim_end().rsplit_once('\n').unwrap();
    let (without_last, _) = last.rsplit_once('\n').unwrap();
    let shorter = with_new_end(&format!("{without_last}\n{end}\n"), 23, 23);
    for later in 0..3 {
        let other = Partitioned::of(3);
        for (index, recorded) in commits(&store.partitions[later]).await.into_iter().enumerate() {
            let mut commit = recorded.commit;
            if index == 1 {
                commit.streams[0].events[0].data = "\"other\"".into();
            }
            other.append(commit).await.unwrap();
        }
        let before = counts(&other).await;
        let error = import(&text, &other).await.unwrap_err();
        let differs = matches!(&error, ImportError::OtherContent { partition, number: 1 }
            if usize::try_from(partition.0) == Ok(later));
        assert!(differs, "{error}");
        assert_eq!(counts(&other).await, before);
    }
    let whole = Partitioned::of(3);
    import(&text, &whole).await.unwrap();
    let before = counts(&whole).await;
    let error = import(&shorter, &whole).await.unwrap_err();
    let is_ahead =
        matches!(&error, ImportError::Ahead { export, store, .. } if *store == export + 1);
    assert!(is_ahead, "{error}");
    assert_eq!(counts(&whole).await, before);
}

#[tokio::test]
async fn progress_is_told_on_the_way_and_ends_at_the_whole() {
    // Guards whoever waits for hours: every step tells how far it is, and none goes back.
    let store = empty_store(1);
    for number in 0..5_000 {
        store.append(note(b"{}", number)).await.unwrap();
    }
    let mut told = Vec::new();
    let mut text = Vec::new();
    let said = export(&store, &mut text, &mut |progress| told.push(progress)).await.unwrap();
    let mut from = text.as_slice();
    let other = empty_store(2);
    let file = ExportFile::open(&mut from).await.unwrap();
    file.import_into(&other, &MemoryStateStores::new(), &mut |progress| told.push(progress))
        .await
        .unwrap();
    let counts = |step| {
        let of_step = told.iter().filter(move |progress| progress.step == step);
        of_step.map(|progress| progress.commits_count).collect::<Vec<_>>()
    };
    assert_eq!(counts(Step::Exporting), [4_096, 5_000]);
    assert_eq!(counts(Step::Importing), [999, 1_999, 2_999, 3_999, 4_999]);
    assert_eq!(counts(Step::Verifying), [4_096, 5_000]);
    assert!(told.iter().all(|progress| progress.bytes_count <= said.bytes_count));
    assert!(told.iter().all(|progress| progress.events_count == progress.commits_count));
}
