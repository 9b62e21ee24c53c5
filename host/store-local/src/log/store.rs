//! The event store over one log: opening, its two threads, and the port.

use std::fmt;
use std::io;
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::DurabilityLost;
use annals_core::error::DriverError;
use annals_core::id::{CommandId, CorrelationId, IdGenerator, StoreId};
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{
    AppendError, Capabilities, CommandIdsRemembered, CorrelatedPage, Direction, EventTypeCount,
    FeedFilter, FeedPage, ReadError, StreamInfo, StreamPage,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use async_trait::async_trait;
use tracing::{info, warn};

use super::append::append;
use super::correlated::read_correlated;
use super::fault::LogError;
use super::feed::read_feed;
use super::file::io_error;
use super::files::Files;
use super::folder::{DiskFolder, LogFolder};
use super::hash::StableHasher;
use super::index_file::{FilterRoom, PageCache};
use super::names::EventTypes;
use super::options::LogOptions;
use super::reader::{self, StreamRange};
use super::recovery::{RecoveryReport, recover};
use super::sealed::Common;
use super::sealer::Sealer;
use super::segments::{WhenMissing, find_segments};
use super::shared::{Accepting, Shared};
use super::space::SpaceKeeper;
use super::synced;
use super::writer::Writer;

/// The embedded event store: an append-only log of commits in one folder.
pub struct LocalEventStore {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Kept for as long as the store is open, e.g. the lock of the folder.
    _guard: Option<Arc<dyn fmt::Debug + Send + Sync>>,
}

/// What an open log does besides answering calls, each on a thread of its own.
pub(crate) struct Workers {
    pub(crate) writer: Writer,
    pub(crate) space: SpaceKeeper,
    pub(crate) sealer: Sealer,
}

impl LocalEventStore {
    /// Opens the log in `folder`, recovering it from a crash if it must.
    ///
    /// # Errors
    /// Each variant of [`LogError`].
    pub fn open(
        folder: &Path,
        when_missing: WhenMissing,
        ids: &dyn IdGenerator,
        options: LogOptions,
    ) -> Result<(Self, RecoveryReport), LogError> {
        if when_missing == WhenMissing::Create {
            crate::files::create_folder(folder)
                .map_err(|source| io_error("create", folder, source))?;
        }
        Self::open_folder(Arc::new(DiskFolder::new(folder)), when_missing, ids, options)
    }

    pub(crate) fn open_folder(
        folder: Arc<dyn LogFolder>,
        when_missing: WhenMissing,
        ids: &dyn IdGenerator,
        options: LogOptions,
    ) -> Result<(Self, RecoveryReport), LogError> {
        let (store, workers, report) = Self::open_parts(folder, when_missing, ids, options)?;
        let Workers { writer, space, sealer } = workers;
        store.spawn("annals-log-writer", || writer.run())?;
        store.spawn("annals-log-space", || space.run())?;
        store.spawn("annals-log-sealer", || sealer.run())?;
        Ok((store, report))
    }

    /// Opens the log, and leaves it to the caller to run its workers.
    pub(crate) fn open_parts(
        folder: Arc<dyn LogFolder>,
        when_missing: WhenMissing,
        ids: &dyn IdGenerator,
        options: LogOptions,
    ) -> Result<(Self, Workers, RecoveryReport), LogError> {
        let files = Arc::new(Files::new(folder));
        let segments = find_segments(&files, when_missing, ids)?;
        let store = segments
            .first()
            .map_or_else(|| StoreId::new(ids.next_uuid()), |segment| segment.header.store);
        let common = Arc::new(Common {
            files,
            pages: Arc::new(PageCache::new(options.index_cache_bytes_max)),
            filter_room: FilterRoom::new(options.filter_bytes_max),
            hasher: StableHasher::new(store),
            event_types: EventTypes::default(),
            full: Condvar::new(),
        });
        let folder = &common.files.folder;
        let synced_at_close = synced::read(&**folder, store)
            .map_err(|source| io_error("read what was synced in", folder.path(), source))?;
        let recovered = recover(&common, segments, synced_at_close)?;
        let report = recovered.report;
        match &report.cut {
            Some(cut) => warn!(
                file = %cut.path.display(),
                offset = cut.offset,
                bytes = cut.bytes_count,
                what = cut.what,
                "cut the unfinished end of the log"
            ),
            None => info!(commits = report.commits_count, "opened the log"),
        }
        let mut accepting = Accepting::new(recovered.segment, recovered.index, recovered.file_end);
        let unsealed = recovered.sealed.segments.iter().filter_map(|it| it.index_in_memory());
        accepting.unsealed_count = unsealed.count();
        let (seed, _) = ids.next_uuid().as_u64_pair();
        let shared = Arc::new(Shared::new(store, (options, seed), recovered.sealed, accepting));
        let workers = Workers {
            writer: Writer::new(&shared, recovered.file),
            space: SpaceKeeper::new(&shared),
            sealer: Sealer::new(&shared),
        };
        let store = Self { shared, threads: Mutex::new(Vec::new()), _guard: None };
        Ok((store, workers, report))
    }

    /// Keeps `guard` for as long as the store is open.
    #[must_use]
    pub(crate) fn holding(mut self, guard: Arc<dyn fmt::Debug + Send + Sync>) -> Self {
        self._guard = Some(guard);
        self
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), LogError> {
        let path = self.shared.common.files.folder.path();
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|source| io_error("start a thread for", path, source))?;
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
        Ok(())
    }

    /// Waits until a failure stops the store: from then on it accepts nothing, reads go on, and only
    /// opening it again tells what is durable. Whoever runs the store should stop.
    pub async fn stopped(&self) -> DurabilityLost {
        // More commits than any log has: only a failure ends the wait.
        match self.shared.wait_for(u64::MAX).await {
            Err(lost) => lost,
            Ok(()) => DurabilityLost { cause: Arc::from("the log is full") },
        }
    }

    /// Appends, and waits until it is durable.
    pub(crate) fn append_and_wait(&self, commit: &Commit) -> Result<(), AppendError> {
        let accepted = append(&self.shared, commit)?;
        let (tx, rx) = mpsc::channel();
        // The receiver is gone only when this thread is.
        accepted.durability.on_done(move |outcome| tx.send(outcome).unwrap_or_default());
        match rx.recv() {
            Ok(Ok(())) => Ok(()),
            Ok(Err(lost)) => Err(AppendError::OutcomeUnknown(reader::lost_driver(lost))),
            Err(_) => Err(AppendError::OutcomeUnknown(DriverError::new("nobody told"))),
        }
    }

    /// What the parts of the store share, for tests that look inside.
    #[cfg(test)]
    pub(crate) fn shared(&self) -> &Shared {
        &self.shared
    }

    fn accepted_commits(&self) -> u64 {
        self.shared.accepting().index.next_commit()
    }
}

impl LocalEventStore {
    /// Remembers that everything is synced, when something was written.
    fn mark_synced(&self) -> io::Result<()> {
        let (commits, segment, is_stopped) = {
            let accepting = self.shared.accepting();
            let segment = Arc::clone(&accepting.segment);
            (accepting.index.next_commit(), segment, accepting.stopped.is_some())
        };
        let folder = &*self.shared.common.files.folder;
        let is_written = self.shared.durable.borrow().commits == commits;
        if is_stopped || !is_written || synced::read(folder, self.shared.store)? >= commits {
            return Ok(());
        }
        segment.file()?.sync_data()?;
        synced::write(folder, self.shared.store, commits)
    }
}

impl Drop for LocalEventStore {
    /// Writes what was accepted, and ends the threads.
    fn drop(&mut self) {
        self.shared.accepting().is_closing = true;
        self.shared.work.notify_all();
        self.shared.space.notify_all();
        self.shared.common.full.notify_all();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        let threads = std::mem::take(threads);
        let mut is_closed = !threads.is_empty();
        for thread in threads {
            // A reply that the writer runs may hold the last reference to the store.
            let is_this_thread = thread.thread().id() == thread::current().id();
            if is_this_thread {
                is_closed = false;
            } else if thread.join().is_err() {
                warn!("a thread of the log panicked");
                is_closed = false;
            }
        }
        if is_closed && let Err(error) = self.mark_synced() {
            warn!(%error, "failed to remember what is synced");
        }
    }
}

impl fmt::Debug for LocalEventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEventStore")
            .field("folder", &self.shared.common.files.folder.path())
            .field("store", &self.shared.store)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl EventStore for LocalEventStore {
    fn store_id(&self) -> StoreId {
        self.shared.store
    }

    fn capabilities(&self) -> Capabilities {
        Capabilities { partitions_count: 1, command_ids_remembered: CommandIdsRemembered::All }
    }

    async fn append(&self, commit: Commit) -> Result<Accepted, AppendError> {
        append(&self.shared, &commit)
    }

    async fn flush(&self) -> Result<(), DurabilityLost> {
        self.shared.wait_for(self.accepted_commits()).await
    }

    async fn read_stream(
        &self,
        stream: &StreamId,
        from: Revision,
        limit: usize,
        direction: Direction,
    ) -> Result<StreamPage, ReadError> {
        let range = StreamRange { from, limit, direction };
        reader::read_stream(&self.shared, stream, range).await
    }

    async fn read_feed(
        &self,
        partition: Partition,
        after: Option<Position>,
        filter: &FeedFilter,
        limit: usize,
    ) -> Result<FeedPage, ReadError> {
        check_partition(partition)?;
        read_feed(&self.shared, after, filter, limit)
    }

    async fn head(&self, partition: Partition) -> Result<Option<Position>, ReadError> {
        check_partition(partition)?;
        let next_position = self.shared.durable.borrow().next_position;
        Ok(next_position.checked_sub(1).map(Position::new))
    }

    async fn wait_for_news(
        &self,
        partition: Partition,
        after: Option<Position>,
    ) -> Result<(), ReadError> {
        check_partition(partition)?;
        let wanted = after.map_or(0, |after| after.get().saturating_add(1));
        let mut news = self.shared.durable.subscribe();
        let durable =
            news.wait_for(|durable| durable.next_position > wanted || durable.lost.is_some()).await;
        match durable {
            Ok(durable) if durable.next_position > wanted => Ok(()),
            Ok(durable) => Err(durable.lost.clone().map_or_else(closed, reader::lost)),
            Err(_) => Err(closed()),
        }
    }

    async fn find_command(
        &self,
        stream: &StreamId,
        id: CommandId,
    ) -> Result<Option<RecordedCommand>, ReadError> {
        reader::find_command(&self.shared, stream, id).await
    }

    async fn read_commands(
        &self,
        stream: &StreamId,
        skip: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommand>, ReadError> {
        reader::read_commands(&self.shared, stream, skip, limit).await
    }

    async fn read_commits(
        &self,
        partition: Partition,
        from: u64,
        limit: usize,
    ) -> Result<Vec<RecordedCommit>, ReadError> {
        check_partition(partition)?;
        reader::read_commits(&self.shared, from, limit)
    }

    async fn read_correlated(
        &self,
        partition: Partition,
        correlation_id: &CorrelationId,
        from: u64,
    ) -> Result<CorrelatedPage, ReadError> {
        check_partition(partition)?;
        read_correlated(&self.shared, correlation_id, from)
    }

    async fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<ClaimHolder>, ReadError> {
        reader::claim_holder(&self.shared, (scope, key), now).await
    }

    async fn stream_info(&self, stream: &StreamId) -> Result<StreamInfo, ReadError> {
        reader::stream_info(&self.shared, stream).await
    }

    async fn event_type_counts(&self) -> Result<Vec<EventTypeCount>, ReadError> {
        reader::event_type_counts(&self.shared).await
    }
}

fn check_partition(partition: Partition) -> Result<(), ReadError> {
    if partition == Partition::ZERO {
        Ok(())
    } else {
        Err(ReadError::UnknownPartition { partition })
    }
}

fn closed() -> ReadError {
    reader::lost(DurabilityLost { cause: Arc::from("the store went away") })
}
