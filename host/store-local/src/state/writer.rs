//! The writer of one state file: a thread that makes one transaction of each commit.

use std::collections::HashSet;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};

use annals_core::port::state_store::{StateCommit, StateError, StateWrite};
use rusqlite::Connection;
use tokio::sync::{OwnedSemaphorePermit, oneshot};
use tracing::{debug, warn};

use super::connection::failed;
use super::rows::{self, Refused};

/// Most requests that wait for a writer (inclusive); who has one more waits for room.
pub(super) const REQUESTS_MAX: usize = 64;

/// Something to write.
#[derive(Debug)]
pub(super) enum Work {
    Commit(StateCommit),
    Clear(String),
}

/// Something to write, and whom to tell.
#[derive(Debug)]
pub(super) struct Request {
    pub(super) work: Work,
    pub(super) reply: oneshot::Sender<Result<(), StateError>>,
    /// Its place among those that wait, given back when it is answered.
    pub(super) place: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    path: PathBuf,
    connection: Connection,
    /// The tables that have an SQL view, or were found to need none.
    sql_views: HashSet<Arc<str>>,
}

impl Writer {
    pub(super) fn new(path: PathBuf, connection: Connection) -> Result<Self, StateError> {
        let sql_views =
            rows::sql_views(&connection).map_err(|error| failed("read", &path, error))?;
        Ok(Self { path, connection, sql_views: sql_views.into_iter().collect() })
    }

    /// Writes until nobody can ask for more, and drops `ended` when the file is closed.
    pub(super) fn run(mut self, requests: &mpsc::Receiver<Request>, ended: oneshot::Sender<()>) {
        while let Ok(Request { work, reply, place }) = requests.recv() {
            if reply.send(self.transact(&work)).is_err() {
                // The commit is there or not, as it would be for the caller after a crash.
                debug!(file = %self.path.display(), "nobody waits for a commit any more");
            }
            drop(place);
        }
        if let Err((_, error)) = self.connection.close() {
            warn!(file = %self.path.display(), %error, "failed to close state file");
        }
        drop(ended);
    }

    fn transact(&mut self, work: &Work) -> Result<(), StateError> {
        self.try_transact(work).map_err(|refused| match refused {
            Refused::State(error) => error,
            Refused::Sqlite(error) => failed("write", &self.path, error),
        })
    }

    fn try_transact(&mut self, work: &Work) -> Result<(), Refused> {
        // Taking the write lock first keeps what the conditions read from changing.
        let behaviour = rusqlite::TransactionBehavior::Immediate;
        let transaction = self.connection.transaction_with_behavior(behaviour)?;
        let mut new_tables: Vec<Arc<str>> = Vec::new();
        match work {
            Work::Clear(table) => rows::clear(&transaction, table)?,
            Work::Commit(commit) => {
                rows::apply(&transaction, commit)?;
                for write in &commit.writes {
                    let (StateWrite::Put(row, _) | StateWrite::Add(row, _)) = write else {
                        continue;
                    };
                    if !self.sql_views.contains(&row.table) && !new_tables.contains(&row.table) {
                        rows::create_sql_view(&transaction, &row.table)?;
                        new_tables.push(Arc::clone(&row.table));
                    }
                }
            }
        }
        transaction.commit()?;
        self.sql_views.extend(new_tables);
        Ok(())
    }
}
