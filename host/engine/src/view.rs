//! Reading views: rows, prefix lists, named questions, each after waiting for a position if asked, and
//! not at all if the reader knows the view as it is.

mod tag;

use std::sync::Arc;
use std::time::Duration;

use annals_core::id::StoreId;
use annals_core::limits::{ROW_KEY_BYTES_MAX, SCAN_ROWS_MAX};
use annals_core::name::{PluginName, QueryName, TableName};
use annals_core::place::{Partition, Position};
use annals_core::plugin::{GuestRowKey, QueryRefusal};
use annals_core::port::StateStore;
use annals_core::port::event_store::ReadError;
use annals_core::port::guest::{GuestFailure, ViewReadError, ViewReader, ViewRow};
use annals_core::port::state_store::{KeyRange, Row, RowKey, StateError};
use bytes::Bytes;
use tokio::sync::watch;

use crate::projection::{Phase, Progress, Projection, Tables};

pub use tag::ViewTag;

/// What to wait for before a view is read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WaitFor {
    /// The partition the position is of.
    pub partition: Partition,
    /// The view must have handled everything of the partition up to here (inclusive).
    pub position: Position,
    /// How long to wait.
    pub wait: Duration,
}

/// When to read a view.
#[derive(Debug, Clone, Copy, Default)]
pub struct ReadWhen<'a> {
    /// What to wait for first.
    pub wait: Option<WaitFor>,
    /// Not at all, if one of these is the tag that the answer would have.
    pub unless: &'a [ViewTag],
}

impl From<Option<WaitFor>> for ReadWhen<'_> {
    fn from(wait: Option<WaitFor>) -> Self {
        Self { wait, unless: &[] }
    }
}

/// What a view answers, and how far it was at least when it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ViewAnswer<T> {
    /// The answer.
    pub value: T,
    /// Names what was read, to ask later whether it is still so.
    pub tag: ViewTag,
    /// Per partition of the feed, in their order: every event up to here (inclusive) was in the view.
    pub checkpoints: Vec<Option<Position>>,
}

/// Why a view was not read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ViewError {
    /// No active plugin of that name is a projection.
    #[error("there is no projection `{projection}`")]
    UnknownProjection {
        /// The name asked for.
        projection: PluginName,
        /// The names there are.
        known: Vec<PluginName>,
    },
    /// The projection has no such table.
    #[error("projection `{projection}` has no table `{table}`")]
    UnknownTable {
        /// The projection.
        projection: PluginName,
        /// The table asked for.
        table: TableName,
        /// The tables it has.
        known: Vec<TableName>,
    },
    /// The projection has no such question.
    #[error("projection `{projection}` has no query `{query}`")]
    UnknownQuery {
        /// The projection.
        projection: PluginName,
        /// The question asked for.
        query: QueryName,
    },
    /// The parameters of a question do not fit.
    #[error("the parameters of query `{query}` do not fit: {message}")]
    MalformedQuery {
        /// The question.
        query: QueryName,
        /// What is wrong.
        message: String,
    },
    /// The view did not reach the position in time.
    #[error(
        "projection `{projection}` did not reach position {position} within {} ms", wait.as_millis()
    )]
    NotReached {
        /// The projection.
        projection: PluginName,
        /// The partition of the position.
        partition: Partition,
        /// The position waited for.
        position: Position,
        /// How long was waited.
        wait: Duration,
        /// How far it is in that partition.
        checkpoint: Option<Position>,
        /// What it does.
        phase: Phase,
    },
    /// The reader knows the view as it is: the answer would have one of the tags in
    /// [`ReadWhen::unless`].
    #[error("the view is as the reader knows it")]
    Unchanged {
        /// Which of them.
        tag: ViewTag,
        /// As in [`ViewAnswer::checkpoints`].
        checkpoints: Vec<Option<Position>>,
    },
    /// Too many questions are being answered.
    #[error("{in_flight_max} queries are in flight already")]
    Busy {
        /// How many there may be.
        in_flight_max: usize,
    },
    /// The plugin trapped, reached a limit or broke the contract.
    #[error("the plugin failed")]
    Plugin(#[source] GuestFailure),
    /// The rows cannot be read.
    #[error("the view cannot be read")]
    State(#[source] StateError),
    /// The streams of the view cannot be read.
    #[error("the log cannot be read")]
    Log(#[source] ReadError),
    /// The host is stopping.
    #[error("the host is stopping")]
    Stopping,
}

impl ViewError {
    /// The same, told of a wait of which only the last part failed.
    pub(crate) fn after(self, whole: Duration) -> Self {
        match self {
            Self::NotReached { projection, partition, position, wait: _, checkpoint, phase } => {
                Self::NotReached { projection, partition, position, wait: whole, checkpoint, phase }
            }
            other => other,
        }
    }

    pub(crate) fn of_refusal(
        refusal: QueryRefusal,
        projection: &PluginName,
        query: &QueryName,
    ) -> Self {
        match refusal {
            QueryRefusal::Unknown => {
                Self::UnknownQuery { projection: projection.clone(), query: query.clone() }
            }
            QueryRefusal::Malformed(message) => {
                Self::MalformedQuery { query: query.clone(), message }
            }
        }
    }
}

/// Some rows of a table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowPage {
    /// The rows, in key order.
    pub rows: Vec<Row>,
    /// The key after which (exclusive) the next page begins; `None`: this is the last.
    pub next_after: Option<Bytes>,
}

/// How far a view is, and the tag of what is read of it now.
pub(crate) struct Reached {
    pub(crate) checkpoints: Vec<Option<Position>>,
    pub(crate) tag: ViewTag,
}

impl<T> ViewAnswer<T> {
    pub(crate) fn of(value: T, Reached { checkpoints, tag }: Reached) -> Self {
        Self { value, tag, checkpoints }
    }
}

impl Projection {
    /// Waits for what is to be waited for; then says how far the view is, unless the reader knows it
    /// so. `question` tells answers of one view apart that have the same address.
    pub(crate) async fn ready(
        &self,
        store_id: StoreId,
        when: ReadWhen<'_>,
        question: &[u8],
    ) -> Result<Reached, ViewError> {
        let checkpoints = self.reached(when.wait).await?;
        let source = tag::Source {
            store_id,
            projection: self.plugin.inspection().digest,
            build: self.view.build,
            events_count: self.progress.borrow().events_count,
        };
        let tag = ViewTag::new(source, &checkpoints, question);
        // Who stands by looks at the checkpoints now and then, and reads rows as they are: by its
        // checkpoints alone, a reader could be told for long that nothing changed. Who names a
        // position asks for no more than that.
        let is_current = when.wait.is_some() || self.progress.borrow().phase != Phase::StandingBy;
        if is_current && when.unless.contains(&tag) {
            return Err(ViewError::Unchanged { tag, checkpoints });
        }
        Ok(Reached { checkpoints, tag })
    }

    /// Waits until the view has reached a position, and returns how far it is in each partition.
    pub(crate) async fn reached(
        &self,
        wait_for: Option<WaitFor>,
    ) -> Result<Vec<Option<Position>>, ViewError> {
        let mut progress = self.progress.clone();
        let Some(WaitFor { partition, position, wait }) = wait_for else {
            return Ok(progress.borrow().checkpoints.clone());
        };
        let _waiting = Waiting::begin(&self.waiting);
        let is_reached = |progress: &Progress| progress.checkpoint(partition) >= Some(position);
        match tokio::time::timeout(wait, progress.wait_for(is_reached)).await {
            Ok(Ok(progress)) => Ok(progress.checkpoints.clone()),
            Ok(Err(_)) => Err(ViewError::Stopping),
            Err(_) => {
                let now = self.progress.borrow();
                Err(ViewError::NotReached {
                    projection: self.description.name.clone(),
                    partition,
                    position,
                    wait,
                    checkpoint: now.checkpoint(partition),
                    phase: now.phase.clone(),
                })
            }
        }
    }
}

/// Counts among those who wait, for as long as it lives.
struct Waiting<'a>(&'a watch::Sender<usize>);

impl<'a> Waiting<'a> {
    fn begin(waiting: &'a watch::Sender<usize>) -> Self {
        waiting.send_modify(|count| *count = count.saturating_add(1));
        Self(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.send_modify(|count| *count = count.saturating_sub(1));
    }
}

/// Which rows of a table to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RowRange<'a> {
    /// Only keys that start with this.
    pub prefix: &'a [u8],
    /// Only keys after this one (exclusive): the end of the page before.
    pub after: Option<&'a [u8]>,
    /// Most rows to return; at least 1 and at most [`ROWS_MAX`] are.
    pub limit: usize,
}

/// Most rows of one page.
pub const ROWS_MAX: usize = SCAN_ROWS_MAX - 1;

/// Reads one page of rows.
pub(crate) async fn list(
    state: &dyn StateStore,
    table: &TableName,
    wanted: RowRange<'_>,
) -> Result<RowPage, ViewError> {
    let limit = wanted.limit.clamp(1, ROWS_MAX);
    let range = KeyRange::prefix(wanted.prefix);
    let range = match wanted.after {
        Some(after) if after >= wanted.prefix => range.after(after),
        _ => range,
    };
    let rows = state.scan(table.as_str(), range, limit + 1).await;
    let mut rows = rows.map_err(ViewError::State)?;
    let has_more = rows.len() > limit;
    rows.truncate(limit);
    let next_after = rows.last().filter(|_| has_more).map(|row| row.key.clone());
    Ok(RowPage { rows, next_after })
}

/// What a guest reads of its own view. Called on threads that may block: drivers of other machines do
/// their work on a runtime of their own, so waiting here holds up nothing that the answer needs.
pub(crate) struct StateViewReader {
    state: Arc<dyn StateStore>,
    tables: Tables,
}

/// Most rows a guest may ask for at once.
const GUEST_ROWS_MAX: usize = 10_000;

impl StateViewReader {
    pub(crate) fn new(state: Arc<dyn StateStore>, tables: Tables) -> Self {
        Self { state, tables }
    }

    fn table(&self, index: u32) -> Result<&Arc<str>, ViewReadError> {
        self.tables.name(index).ok_or_else(|| {
            let count = self.tables.count();
            ViewReadError(format!("table {index} was asked for, but {count} are described"))
        })
    }
}

impl ViewReader for StateViewReader {
    fn get_many(&self, keys: &[GuestRowKey]) -> Result<Vec<Option<Vec<u8>>>, ViewReadError> {
        if keys.len() > GUEST_ROWS_MAX {
            let count = keys.len();
            let text = format!("{count} rows at once, at most {GUEST_ROWS_MAX} are allowed");
            return Err(ViewReadError(text));
        }
        let key = |key: &GuestRowKey| {
            if key.key.len() > ROW_KEY_BYTES_MAX {
                let text = format!("a row key of more than {ROW_KEY_BYTES_MAX} bytes");
                return Err(ViewReadError(text));
            }
            let table = Arc::clone(self.table(key.table)?);
            Ok(RowKey { table, key: Bytes::copy_from_slice(&key.key) })
        };
        let keys = keys.iter().map(key).collect::<Result<Vec<_>, _>>()?;
        let rows = pollster::block_on(self.state.get_many(&keys)).map_err(unreadable)?;
        Ok(rows.into_iter().map(|row| row.map(Vec::from)).collect())
    }

    fn scan(
        &self,
        table: u32,
        start: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<Vec<ViewRow>, ViewReadError> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX).min(GUEST_ROWS_MAX);
        let range = KeyRange {
            start: Bytes::copy_from_slice(start),
            end: (!end.is_empty()).then(|| Bytes::copy_from_slice(end)),
        };
        let table = self.table(table)?;
        let rows = pollster::block_on(self.state.scan(table, range, limit)).map_err(unreadable)?;
        Ok(rows.into_iter().map(|row| (row.key.into(), row.value.into())).collect())
    }
}

fn unreadable(error: StateError) -> ViewReadError {
    ViewReadError(annals_core::error::ErrorChain(&error).to_string())
}
