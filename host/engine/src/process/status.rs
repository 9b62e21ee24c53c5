//! Process managers and their instances, for operators: which there are, what they did and wait for,
//! and what is to be done about those that are parked.

use std::sync::Arc;

use annals_core::name::PluginName;
use annals_core::port::StateStore;
use annals_core::port::state_store::{
    KeyRange, RowKey, StateCommit, StateCondition, StateError, StateWrite,
};
use annals_core::stream::StreamId;
use bytes::Bytes;

use super::instance::Instance;
use super::{ParkedStream, ProcessManager, ProcessProgress, tables};
use crate::Engine;
use crate::projection::Unpark;

/// Most instances of one page.
pub const INSTANCES_MAX: usize = 500;

/// Most instances that are looked at for one page; it may hold fewer, and not be the last.
const LOOKED_AT_MAX: usize = 1_000;

/// Most wishes that are written together.
const WISHES_MAX: usize = 40;

/// Which instances to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum InstanceFilter {
    /// All that are kept.
    #[default]
    All,
    /// Those that have not ended.
    Running,
    /// Those that have ended.
    Ended,
    /// Those with a message that cannot be handled.
    Parked,
    /// Those that do not get on.
    Stuck,
}

/// Some instances of a process manager.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstancePage {
    /// In order of name.
    pub instances: Vec<Instance>,
    /// The name after which (exclusive) the next page begins; `None`: this is the last.
    pub next_after: Option<Arc<str>>,
}

/// What an operator asks about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Parked {
    /// An instance.
    Instance(Arc<str>),
    /// A stream with an event that cannot be correlated.
    Stream(StreamId),
}

impl Parked {
    fn wish(&self) -> RowKey {
        let (kind, name) = match self {
            Self::Instance(id) => ("i", &**id),
            Self::Stream(stream) => ("s", stream.as_str()),
        };
        tables::row(tables::ASKED, [kind.as_bytes(), name.as_bytes()].concat())
    }
}

/// Why instances cannot be shown or asked about.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ProcessQueryError {
    /// No active plugin of that name is a process manager.
    #[error("there is no process manager `{name}`")]
    UnknownProcess {
        /// The name asked for.
        name: PluginName,
        /// The names there are.
        known: Vec<PluginName>,
    },
    /// What it knows cannot be read or written.
    #[error("what the process manager knows cannot be read or written")]
    State(#[from] StateError),
}

impl Engine {
    /// The process managers, in order of name, and how far each is.
    #[must_use]
    pub fn processes(&self) -> Vec<(PluginName, ProcessProgress)> {
        let all = self.registry().processes().into_iter();
        all.map(|(name, process)| (name, process.progress.borrow().clone())).collect()
    }

    /// How far a process manager is.
    ///
    /// # Errors
    /// [`ProcessQueryError::UnknownProcess`].
    pub fn process_progress(
        &self,
        name: &PluginName,
    ) -> Result<ProcessProgress, ProcessQueryError> {
        Ok(self.process(name)?.progress.borrow().clone())
    }

    fn process(&self, name: &PluginName) -> Result<Arc<ProcessManager>, ProcessQueryError> {
        let all = self.registry().processes();
        let found = all.iter().find(|(its, _)| its == name).map(|(_, it)| Arc::clone(it));
        found.ok_or_else(|| ProcessQueryError::UnknownProcess {
            name: name.clone(),
            known: all.into_iter().map(|(name, _)| name).collect(),
        })
    }

    /// At most `limit` instances after `after` (exclusive). With a filter a page may hold fewer and not
    /// be the last.
    ///
    /// # Errors
    /// [`ProcessQueryError`].
    pub async fn process_instances(
        &self,
        name: &PluginName,
        filter: InstanceFilter,
        after: Option<&str>,
        limit: usize,
    ) -> Result<InstancePage, ProcessQueryError> {
        let process = self.process(name)?;
        let limit = limit.clamp(1, INSTANCES_MAX);
        let state = &*process.state;
        if filter == InstanceFilter::Parked {
            return Ok(parked_page(state, after, limit).await?);
        }
        let looked_max = if filter == InstanceFilter::All { limit } else { LOOKED_AT_MAX };
        let range = match after {
            Some(after) => KeyRange::default().after(after.as_bytes()),
            None => KeyRange::default(),
        };
        let rows = state.scan(tables::INSTANCES, range, looked_max + 1).await?;
        let has_more = rows.len() > looked_max;
        let mut page = InstancePage { instances: Vec::new(), next_after: None };
        let mut last = None;
        for row in rows.iter().take(looked_max) {
            let Ok(id) = std::str::from_utf8(&row.key) else { continue };
            if page.instances.len() == limit {
                page.next_after = last;
                return Ok(page);
            }
            last = Some(Arc::from(id));
            let Some(instance) = whole(state, id, &row.value).await? else { continue };
            if self.is_wanted(filter, &instance) {
                page.instances.push(instance);
            }
        }
        page.next_after = last.filter(|_| has_more);
        Ok(page)
    }

    fn is_wanted(&self, filter: InstanceFilter, instance: &Instance) -> bool {
        match filter {
            InstanceFilter::All => true,
            InstanceFilter::Running => instance.is_running(),
            InstanceFilter::Ended => instance.ended_at.is_some(),
            InstanceFilter::Parked => instance.parked.is_some(),
            InstanceFilter::Stuck => self.is_stuck(instance),
        }
    }

    /// Whether an instance has not got on for [`stuck_after`](super::limits::ProcessLimits::stuck_after).
    #[must_use]
    pub fn is_stuck(&self, instance: &Instance) -> bool {
        instance.is_stuck(self.clock().now(), self.options().processes.stuck_after)
    }

    /// One instance; `None` when there is none, or it ended and is not kept any more.
    ///
    /// # Errors
    /// [`ProcessQueryError`].
    pub async fn process_instance(
        &self,
        name: &PluginName,
        id: &str,
    ) -> Result<Option<Instance>, ProcessQueryError> {
        let process = self.process(name)?;
        let Some(value) = process.state.get(tables::INSTANCES, id.as_bytes()).await? else {
            return Ok(None);
        };
        Ok(whole(&*process.state, id, &value).await?)
    }

    /// Streams that wait behind an event that cannot be correlated, in their order, at most `limit`
    /// after `after` (exclusive).
    ///
    /// # Errors
    /// [`ProcessQueryError`].
    pub async fn process_parked_streams(
        &self,
        name: &PluginName,
        after: Option<&StreamId>,
        limit: usize,
    ) -> Result<Vec<ParkedStream>, ProcessQueryError> {
        let process = self.process(name)?;
        let range = match after {
            Some(after) => KeyRange::default().after(after.as_str().as_bytes()),
            None => KeyRange::default(),
        };
        let limit = limit.clamp(1, INSTANCES_MAX);
        let rows = process.state.scan(tables::STREAMS, range, limit).await?;
        Ok(rows.iter().map(|row| tables::parse(&row.value)).collect::<Result<_, _>>()?)
    }

    /// What is being done about what is parked, in the order of `parked`; `None` where nothing is.
    ///
    /// # Errors
    /// [`ProcessQueryError`].
    pub async fn process_asked(
        &self,
        name: &PluginName,
        parked: &[Parked],
    ) -> Result<Vec<Option<Unpark>>, ProcessQueryError> {
        let process = self.process(name)?;
        let wishes: Vec<_> = parked.iter().map(Parked::wish).collect();
        let rows = process.state.get_many(&wishes).await?;
        let parse = |row: &Option<Bytes>| row.as_ref().map(|row| tables::parse(row)).transpose();
        Ok(rows.iter().map(parse).collect::<Result<_, _>>()?)
    }

    /// Asks for a parked instance or stream to be replayed or discarded; returns whether it is parked.
    /// It is done soon afterwards, and is not forgotten by a crash.
    ///
    /// # Errors
    /// [`ProcessQueryError`].
    pub async fn ask_process(
        &self,
        name: &PluginName,
        parked: &Parked,
        asked: Unpark,
    ) -> Result<bool, ProcessQueryError> {
        let process = self.process(name)?;
        let (table, name) = match parked {
            Parked::Instance(id) => (tables::PARKED, &**id),
            Parked::Stream(stream) => (tables::STREAMS, stream.as_str()),
        };
        let is_noted = ask(&*process.state, table, &[(name, parked.wish())], asked).await? > 0;
        process.tell_of_wishes();
        Ok(is_noted)
    }

    /// The same for all that is parked; returns how many there were.
    ///
    /// # Errors
    /// [`ProcessQueryError`]; what was asked before it remains asked.
    pub async fn ask_process_all(
        &self,
        name: &PluginName,
        asked: Unpark,
    ) -> Result<usize, ProcessQueryError> {
        let process = self.process(name)?;
        let mut asked_count = 0;
        for (table, kind) in [(tables::PARKED, "i"), (tables::STREAMS, "s")] {
            let mut last: Option<Arc<str>> = None;
            loop {
                let after = last.as_deref().map(str::as_bytes);
                let names = tables::names(&*process.state, table, after, WISHES_MAX).await?;
                let Some(name) = names.last() else { break };
                last = Some(Arc::clone(name));
                let wish = |name: &str| {
                    tables::row(tables::ASKED, [kind.as_bytes(), name.as_bytes()].concat())
                };
                let wishes: Vec<_> = names.iter().map(|name| (&**name, wish(name))).collect();
                asked_count += ask(&*process.state, table, &wishes, asked).await?;
            }
        }
        process.tell_of_wishes();
        Ok(asked_count)
    }
}

/// Notes what is wanted about those of `parked` that are parked now; returns how many.
async fn ask(
    state: &dyn StateStore,
    table: &str,
    parked: &[(&str, RowKey)],
    asked: Unpark,
) -> Result<usize, StateError> {
    const ATTEMPTS_MAX: u32 = 10;
    let value = tables::json(&asked);
    let mut attempt = 1;
    loop {
        let keys: Vec<_> =
            parked.iter().map(|(name, _)| tables::row(table, tables::text_key(name))).collect();
        let rows = state.get_many(&keys).await?;
        let found = keys.into_iter().zip(rows).zip(parked).filter(|((_, row), _)| row.is_some());
        let mut commit = StateCommit::default();
        for ((row, value_before), (_, wish)) in found {
            // What is not parked any more would be asked about when it is parked the next time.
            commit.conditions.push(StateCondition { row, value: value_before });
            commit.writes.push(StateWrite::Put(wish.clone(), value.clone()));
        }
        let count = commit.writes.len();
        if count == 0 {
            return Ok(0);
        }
        match state.commit(commit).await {
            Ok(()) => return Ok(count),
            Err(StateError::ConditionFailed { .. }) if attempt < ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error),
        }
    }
}

async fn parked_page(
    state: &dyn StateStore,
    after: Option<&str>,
    limit: usize,
) -> Result<InstancePage, StateError> {
    let after = after.map(str::as_bytes);
    let mut names = tables::names(state, tables::PARKED, after, limit + 1).await?;
    let has_more = names.len() > limit;
    names.truncate(limit);
    let mut instances = Vec::with_capacity(names.len());
    for name in &names {
        if let Some(value) = state.get(tables::INSTANCES, name.as_bytes()).await? {
            instances.extend(whole(state, name, &value).await?);
        }
    }
    Ok(InstancePage { instances, next_after: names.pop().filter(|_| has_more) })
}

/// An instance whose row was read; read again when it changes meanwhile, `None` when it goes.
async fn whole(
    state: &dyn StateStore,
    id: &str,
    value: &Bytes,
) -> Result<Option<Instance>, StateError> {
    const ATTEMPTS_MAX: u32 = 5;
    let mut value = value.clone();
    let mut attempt = 1;
    loop {
        match tables::whole(state, id, &value).await {
            Ok((instance, _)) => return Ok(Some(instance)),
            // Its parts may be of another commit than its row.
            Err(StateError::Damaged(_)) if attempt < ATTEMPTS_MAX => attempt += 1,
            Err(error) => return Err(error),
        }
        match state.get(tables::INSTANCES, id.as_bytes()).await? {
            Some(again) => value = again,
            None => return Ok(None),
        }
    }
}
