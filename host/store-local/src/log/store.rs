//! The event store over one log: opening, its two threads, and the port.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use annals_core::command::RecordedCommand;
use annals_core::commit::{Accepted, ClaimHolder, Commit, RecordedCommit};
use annals_core::durability::DurabilityLost;
use annals_core::id::{CommandId, IdGenerator, StoreId};
use annals_core::place::{ActualRevision, Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{
    AppendError, Capabilities, CommandIdsRemembered, Direction, EventTypeCount, FeedFilter,
    FeedPage, ReadError, StreamInfo, StreamPage,
};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use async_trait::async_trait;
use tracing::{info, warn};

use super::append::append;
use super::fault::LogError;
use super::feed::read_feed;
use super::file::{self, LogFile, io_error};
use super::header::SegmentHeader;
use super::names::Names;
use super::reader::{self, StreamRange, wait_for};
use super::recovery::{RecoveryReport, recover};
use super::shared::{Accepting, Shared};
use super::{space, writer};

/// The embedded event store: an append-only log of commits in one folder.
pub struct LocalEventStore {
    shared: Arc<Shared>,
    threads: Mutex<Vec<JoinHandle<()>>>,
    /// Kept for as long as the store is open, e.g. the lock of the folder.
    _guard: Option<Arc<dyn fmt::Debug + Send + Sync>>,
}

/// Whether a folder without a log becomes a new store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenMissing {
    /// It does.
    Create,
    /// It must have one: there is something that was derived from it.
    Refuse,
}

/// The open files of a log: one for the writer and the readers, one for the space keeper.
pub(crate) struct LogFiles {
    pub(crate) log: Arc<dyn LogFile>,
    pub(crate) space: Arc<dyn LogFile>,
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
    ) -> Result<(Self, RecoveryReport), LogError> {
        let path = segment(folder, when_missing, ids)?;
        let files =
            LogFiles { log: Arc::new(file::open(&path)?), space: Arc::new(file::open(&path)?) };
        Self::open_files(path, files)
    }

    pub(crate) fn open_files(
        path: PathBuf,
        files: LogFiles,
    ) -> Result<(Self, RecoveryReport), LogError> {
        let names = Names::default();
        let recovered = recover(&*files.log, &path, &names)?;
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
        let header = recovered.header;
        let accepting = Accepting::new(recovered.index, recovered.latest_ms, recovered.file_end);
        let shared =
            Arc::new(Shared::new((path, files.log), (header.store, header.salt), names, accepting));
        let (for_writer, for_space) = (Arc::clone(&shared), Arc::clone(&shared));
        let synced_commits = report.commits_count;
        let space_file = files.space;
        let store = Self { shared, threads: Mutex::new(Vec::new()), _guard: None };
        store.spawn("annals-log-writer", move || {
            writer::run(&for_writer, synced_commits);
        })?;
        store.spawn("annals-log-space", move || {
            space::run(&for_space, &*space_file);
        })?;
        Ok((store, report))
    }

    /// Keeps `guard` for as long as the store is open.
    #[must_use]
    pub(crate) fn holding(mut self, guard: Arc<dyn fmt::Debug + Send + Sync>) -> Self {
        self._guard = Some(guard);
        self
    }

    fn spawn(&self, name: &str, run: impl FnOnce() + Send + 'static) -> Result<(), LogError> {
        let thread = thread::Builder::new()
            .name(name.to_owned())
            .spawn(run)
            .map_err(|source| io_error("start a thread for", &self.shared.path, source))?;
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

    /// The file with the log.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    fn accepted_commits(&self) -> u64 {
        self.shared.accepting().index.commits_count()
    }
}

/// The file of the log in `folder`, made when the folder has none and may.
fn segment(
    folder: &Path,
    when_missing: WhenMissing,
    ids: &dyn IdGenerator,
) -> Result<PathBuf, LogError> {
    let path = folder.join(format!("{:020}.seg", 0));
    let is_there = path.try_exists().map_err(|source| io_error("look for", &path, source))?;
    if is_there {
        return Ok(path);
    }
    let has_others = has_segments(folder)?;
    if has_others || when_missing == WhenMissing::Refuse {
        return Err(LogError::Missing { path: folder.to_owned() });
    }
    file::create_folder(folder)?;
    let header = SegmentHeader {
        store: StoreId::new(ids.next_uuid()),
        first_commit: 0,
        first_position: 0,
        salt: {
            let (high, low) = ids.next_uuid().as_u64_pair();
            high.rotate_left(32) ^ low
        },
    };
    file::create(&path, &header.encode())?;
    info!(file = %path.display(), store = %header.store, "created the log");
    Ok(path)
}

fn has_segments(folder: &Path) -> Result<bool, LogError> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
        Err(source) => return Err(io_error("list", folder, source)),
    };
    for entry in entries {
        let entry = entry.map_err(|source| io_error("list", folder, source))?;
        if entry.path().extension().is_some_and(|ext| ext == "seg") {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Drop for LocalEventStore {
    /// Writes what was accepted, and ends the threads.
    fn drop(&mut self) {
        self.shared.accepting().is_closing = true;
        self.shared.work.notify_all();
        self.shared.space.notify_all();
        let threads = self.threads.get_mut().unwrap_or_else(PoisonError::into_inner);
        for thread in threads.drain(..) {
            // A reply that the writer runs may hold the last reference to the store.
            let is_this_thread = thread.thread().id() == thread::current().id();
            if !is_this_thread && thread.join().is_err() {
                warn!("a thread of the log panicked");
            }
        }
    }
}

impl fmt::Debug for LocalEventStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEventStore")
            .field("path", &self.shared.path)
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

    async fn claim_holder(
        &self,
        scope: &str,
        key: &str,
        now: Timestamp,
    ) -> Result<Option<ClaimHolder>, ReadError> {
        let (holder, commits) = {
            let accepting = self.shared.accepting();
            let holder = accepting.index.claims.holder(scope, key, now).cloned();
            (holder, accepting.index.commits_count())
        };
        wait_for(&self.shared, Some(commits)).await?;
        Ok(holder)
    }

    async fn stream_info(&self, stream: &StreamId) -> Result<StreamInfo, ReadError> {
        let (revision, commands_count, commits) = {
            let accepting = self.shared.accepting();
            let Some(entry) = accepting.index.find_stream(stream.as_str()) else {
                return Ok(StreamInfo {
                    partition: Partition::ZERO,
                    revision: ActualRevision::NO_EVENT,
                    commands_count: 0,
                });
            };
            (
                entry.revision(),
                u64::try_from(entry.commands().len()).unwrap_or(u64::MAX),
                entry.last_commit().map(|commit| u64::from(commit) + 1),
            )
        };
        wait_for(&self.shared, commits).await?;
        Ok(StreamInfo { partition: Partition::ZERO, revision, commands_count })
    }

    async fn event_type_counts(&self) -> Result<Vec<EventTypeCount>, ReadError> {
        let (counts, commits) = {
            let accepting = self.shared.accepting();
            (accepting.index.event_type_counts(), accepting.index.commits_count())
        };
        wait_for(&self.shared, Some(commits)).await?;
        Ok(counts)
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
