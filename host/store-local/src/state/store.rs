//! One open state file: its writer, its readers, and how it ends.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use annals_core::error::DriverError;
use annals_core::id::StoreId;
use annals_core::port::StateStore;
use annals_core::port::state_store::{
    KeyRange, Row, RowKey, StateCapabilities, StateCommit, StateError,
};
use async_trait::async_trait;
use bytes::Bytes;
use rusqlite::Connection;
use tokio::sync::{Semaphore, oneshot};
use tracing::warn;

use super::connection::{Durability, failed, open_reader, open_writer};
use super::files::unavailable;
use super::rows;
use super::writer::{REQUESTS_MAX, Request, Work, Writer};

/// Most idle connections kept for readers (inclusive); more readers at once open their own.
const READERS_KEPT: usize = 4;

pub(super) struct LocalStateStore {
    path: PathBuf,
    readers: Mutex<Readers>,
    /// Says that a reader has given its connection back.
    returned: Condvar,
    writer: Mutex<Option<RunningWriter>>,
    /// Places among those that wait for the writer.
    places: Arc<Semaphore>,
}

#[derive(Debug, Default)]
struct Readers {
    idle: Vec<Connection>,
    lent_count: usize,
    is_closed: bool,
}

#[derive(Debug)]
struct RunningWriter {
    requests: mpsc::Sender<Request>,
    thread: JoinHandle<()>,
    ended: oneshot::Receiver<()>,
}

impl LocalStateStore {
    pub(super) fn open(
        path: PathBuf,
        store: StoreId,
        durability: Durability,
    ) -> Result<Self, StateError> {
        let connection = open_writer(&path, store, durability)?;
        let writer = Writer::new(path.clone(), connection)?;
        let (requests, waiting) = mpsc::channel();
        let (end, ended) = oneshot::channel();
        let thread = thread::Builder::new()
            .name("annals-state-writer".to_owned())
            .spawn(move || writer.run(&waiting, end))
            .map_err(|error| unavailable("start a thread for", &path, error))?;
        Ok(Self {
            path,
            readers: Mutex::default(),
            returned: Condvar::new(),
            writer: Mutex::new(Some(RunningWriter { requests, thread, ended })),
            places: Arc::new(Semaphore::new(REQUESTS_MAX)),
        })
    }

    /// Answers nothing any more, and closes every connection before it returns: SQLite must not
    /// touch the file, or a new one of its name, afterwards.
    pub(super) async fn close(&self) {
        if let Some(RunningWriter { requests, thread, ended }) = self.take_writer() {
            drop(requests);
            // Dropped, never sent: an error is the end that is waited for.
            if ended.await.is_err() {
                self.join(thread);
            }
        }
        self.close_readers();
    }

    fn take_writer(&self) -> Option<RunningWriter> {
        self.places.close();
        self.writer.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn join(&self, thread: JoinHandle<()>) {
        if thread.join().is_err() {
            warn!(file = %self.path.display(), "the writer of a state file panicked");
        }
    }

    fn close_readers(&self) {
        let mut readers = self.lock_readers();
        readers.is_closed = true;
        readers.idle.clear();
        // A read lasts as long as a scan at most, and none waits for anything.
        while readers.lent_count > 0 {
            readers = self.returned.wait(readers).unwrap_or_else(PoisonError::into_inner);
        }
    }

    async fn write(&self, work: Work) -> Result<(), StateError> {
        let places = Arc::clone(&self.places);
        let place = places.acquire_owned().await.map_err(|_| closed())?;
        let (reply, outcome) = oneshot::channel();
        {
            let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner);
            let Some(writer) = writer.as_ref() else { return Err(closed()) };
            writer.requests.send(Request { work, reply, place }).map_err(|_| closed())?;
        }
        outcome.await.unwrap_or_else(|_| Err(closed()))
    }

    /// Runs a read on a connection of its own.
    fn read<T>(
        &self,
        read: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> Result<T, StateError> {
        let lent = self.lend()?;
        let Some(connection) = &lent.connection else { return Err(closed()) };
        read(connection).map_err(|error| failed("read", &self.path, error))
    }

    fn lend(&self) -> Result<Lent<'_>, StateError> {
        let idle = {
            let mut readers = self.lock_readers();
            if readers.is_closed {
                return Err(closed());
            }
            readers.lent_count += 1;
            readers.idle.pop()
        };
        let mut lent = Lent { store: self, connection: idle };
        if lent.connection.is_none() {
            lent.connection = Some(open_reader(&self.path)?);
        }
        Ok(lent)
    }

    fn lock_readers(&self) -> MutexGuard<'_, Readers> {
        self.readers.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(super) fn idle_readers_count(&self) -> usize {
        self.lock_readers().idle.len()
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}

/// A connection that goes back when the read is done.
struct Lent<'a> {
    store: &'a LocalStateStore,
    connection: Option<Connection>,
}

impl Drop for Lent<'_> {
    fn drop(&mut self) {
        let mut readers = self.store.lock_readers();
        if readers.is_closed || readers.idle.len() >= READERS_KEPT {
            // Closed before the count says so, since whoever closes the store relies on it.
            self.connection = None;
        }
        readers.idle.extend(self.connection.take());
        readers.lent_count = readers.lent_count.saturating_sub(1);
        drop(readers);
        self.store.returned.notify_all();
    }
}

fn closed() -> StateError {
    StateError::Unavailable(DriverError::new("the state store was removed or closed"))
}

#[async_trait]
impl StateStore for LocalStateStore {
    async fn get(&self, table: &str, key: &[u8]) -> Result<Option<Bytes>, StateError> {
        self.read(|connection| rows::get(connection, table, key))
    }

    async fn get_many(&self, keys: &[RowKey]) -> Result<Vec<Option<Bytes>>, StateError> {
        self.read(|connection| rows::get_many(connection, keys))
    }

    async fn scan(
        &self,
        table: &str,
        range: KeyRange,
        limit: usize,
    ) -> Result<Vec<Row>, StateError> {
        self.read(|connection| rows::scan(connection, table, &range, limit))
    }

    async fn commit(&self, commit: StateCommit) -> Result<(), StateError> {
        commit.check(&StateCapabilities::UNLIMITED)?;
        self.write(Work::Commit(commit)).await
    }

    async fn clear(&self, table: &str) -> Result<(), StateError> {
        self.write(Work::Clear(table.to_owned())).await
    }
}

impl Drop for LocalStateStore {
    /// Writes what was asked for, and closes the file.
    fn drop(&mut self) {
        if let Some(RunningWriter { requests, thread, ended: _ }) = self.take_writer() {
            drop(requests);
            self.join(thread);
        }
    }
}

impl fmt::Debug for LocalStateStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalStateStore").field("path", &self.path()).finish_non_exhaustive()
    }
}
