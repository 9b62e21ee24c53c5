//! Scheduled commands: sent by the host itself at a time, after a while, or again and again.
//!
//! ```text
//!   create ──► rows (`rows.rs`) ◄── due? (`watch.rs`, every host) ──► take, send, note (`fire.rs`)
//!                   ▲                                                        │
//!   cancel, retry ──┘                                              crate::commands
//! ```
//!
//! All that changes about a schedule is one row (`record.rs`), and every change is a commit on condition
//! that the row is as it was read, so any number of hosts look after the schedules of a store and none
//! keeps anything. The host that fires a command takes the schedule first, for a while, and notes after
//! it what became of it. The id of the command is made of the schedule and the time at which it was
//! due. So if the host dies in between, the next one sends the same command again, and its stream says
//! what was decided: a command that is due has one effect, whoever sends it and however often.

mod error;
mod expiry;
mod fire;
mod id;
mod limits;
mod record;
mod rows;
mod timing;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use annals_core::event::Origin;
use annals_core::id::{CausationId, CommandId, CorrelationId, Digest, IdGenerator, StoreId};
use annals_core::name::{CommandName, PluginName};
use annals_core::place::ExpectedRevision;
use annals_core::port::StateStore;
use annals_core::port::state_store::KeyRange;
use annals_core::time::{Clock, Timestamp};
use bytes::Bytes;
use tokio::sync::Notify;

pub use error::ScheduleError;
pub use id::{InvalidScheduleId, ScheduleId};
pub use limits::ScheduleLimits;
pub use record::{ScheduleFailure, ScheduleOutcome, ScheduleRejection, ScheduleStatus};
pub use rows::ScheduleCounts;
pub use timing::Timing;

use crate::command::CommandRequest;
use crate::commands::Commands;
use crate::shard::ShardContext;
use record::{Record, Stage};
use rows::Stored;
pub(crate) use watch::Watch;

/// A command that someone wants to be sent later.
#[derive(Debug, Clone)]
pub struct ScheduleRequest {
    /// The id by which a repeat is recognised; `None`: made by the host.
    pub id: Option<ScheduleId>,
    /// The aggregate that decides.
    pub aggregate: PluginName,
    /// The id part of the stream.
    pub target: String,
    /// What is wished for.
    pub command: CommandName,
    /// The command's data as JSON.
    pub data: Bytes,
    /// When. A time that is over is due at once.
    pub timing: Timing,
    /// Who and what led to it. One command has its correlation id; each of a recurring schedule has
    /// one of its own.
    pub origin: Origin,
}

/// A scheduled command, or a series of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// Its id.
    pub id: ScheduleId,
    /// The aggregate that decides.
    pub aggregate: PluginName,
    /// The id part of the stream.
    pub target: Arc<str>,
    /// What is wished for.
    pub command: CommandName,
    /// The command's data; `None` in lists.
    pub data: Option<Bytes>,
    /// When it is due.
    pub timing: Timing,
    /// Who scheduled it.
    pub principal: Option<Arc<str>>,
    /// What the request that scheduled it belongs to.
    pub correlation_id: Option<CorrelationId>,
    /// What its commands say that they were caused by.
    pub causation_id: CausationId,
    /// When it was made.
    pub created_at: Timestamp,
    /// What it is doing.
    pub status: ScheduleStatus,
    /// When its next command is due; `None`: none will be.
    pub due_at: Option<Timestamp>,
    /// When it is looked at next: when it is due, or tried again; `None`: only when somebody asks.
    pub next_try_at: Option<Timestamp>,
    /// Whether it was cancelled while its command was on the way.
    pub is_cancelling: bool,
    /// How often the command that is due failed.
    pub attempts_count: u32,
    /// Why it was not decided the last time.
    pub last_failure: Option<ScheduleFailure>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// How many of its commands have an outcome.
    pub outcomes_count: u64,
    /// The newest outcomes, oldest first.
    pub outcomes: Vec<ScheduleOutcome>,
}

impl Schedule {
    fn of(stored: Stored, data: Option<Bytes>) -> Self {
        let Stored { id, record, .. } = stored;
        let status = record.stage.status();
        Self {
            id,
            status,
            due_at: (!status.is_ended()).then_some(record.due),
            next_try_at: match record.stage {
                Stage::Waiting(time) => Some(time),
                _ => None,
            },
            ended_at: record.stage.ended_at(),
            aggregate: record.aggregate,
            target: record.target,
            command: record.command,
            data,
            timing: record.timing,
            principal: record.principal,
            correlation_id: record.correlation_id,
            causation_id: record.incarnation,
            created_at: record.created_at,
            is_cancelling: record.is_cancelling,
            attempts_count: record.attempts_count,
            last_failure: record.last_failure,
            outcomes_count: record.outcomes_count,
            outcomes: record.outcomes,
        }
    }
}

/// Some schedules.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct SchedulePage {
    /// In order of id, without their data.
    pub schedules: Vec<Schedule>,
    /// After which the next page begins; `None`: there is none.
    pub after: Option<ScheduleId>,
}

/// What schedules do, and what became of commands that this host fired since it was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ScheduleFigures {
    /// How many there are; `None` while the store does not answer.
    pub counts: Option<ScheduleCounts>,
    /// Commands that were accepted.
    pub accepted_count: u64,
    /// Commands that were rejected.
    pub rejected_count: u64,
    /// Times that a command was not decided.
    pub failed_count: u64,
    /// Commands that were parked.
    pub parked_count: u64,
    /// For how long the oldest command that is due was due at the last look, in milliseconds.
    pub late_ms: u64,
}

/// Counts what becomes of commands.
#[derive(Debug, Default)]
struct FiringCounts {
    accepted: AtomicU64,
    rejected: AtomicU64,
    failed: AtomicU64,
    parked: AtomicU64,
    late_ms: AtomicU64,
}

/// What schedules need of the world.
#[derive(Debug)]
struct Shared {
    store_id: StoreId,
    state: Arc<dyn StateStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn IdGenerator>,
    commands: Arc<Commands>,
    limits: ScheduleLimits,
    counts: FiringCounts,
    /// There may be something to do earlier than was known.
    changed: Notify,
}

impl Shared {
    async fn find(&self, id: &ScheduleId) -> Result<Option<Stored>, ScheduleError> {
        let Some(stored) = Stored::read(&*self.state, id).await? else { return Ok(None) };
        if stored.record.store_id != self.store_id {
            let fault = format!("of store {}, not of {}", stored.record.store_id, self.store_id);
            return Err(ScheduleError::Damaged { id: id.clone(), fault });
        }
        Ok(Some(stored))
    }
}

/// All schedules of a store.
#[derive(Debug, Clone)]
pub struct Schedules(Arc<Shared>);

impl Schedules {
    pub(crate) fn over(
        context: &ShardContext,
        state: Arc<dyn StateStore>,
        commands: Arc<Commands>,
    ) -> Self {
        Self(Arc::new(Shared {
            store_id: context.store.store_id(),
            state,
            clock: Arc::clone(&context.clock),
            ids: Arc::clone(&context.ids),
            commands,
            limits: context.options.schedules.clone(),
            counts: FiringCounts::default(),
            changed: Notify::new(),
        }))
    }

    /// Schedules a command. Safe to repeat with an id: what is there with the same content stays as it
    /// is, whatever became of it meanwhile.
    ///
    /// # Errors
    /// - [`ScheduleError::Command`]: nobody takes such a command now.
    /// - [`ScheduleError::Invalid`]: its time never comes.
    /// - [`ScheduleError::Differs`]: the id is there with other content.
    /// - [`ScheduleError::TooMany`], [`ScheduleError::Contended`], [`ScheduleError::State`].
    pub async fn create(&self, request: ScheduleRequest) -> Result<Schedule, ScheduleError> {
        let shared = &*self.0;
        let id = match &request.id {
            Some(id) => id.clone(),
            None => ScheduleId::new(&shared.ids.next_uuid().to_string()).map_err(|error| {
                ScheduleError::Invalid { field: "id", fault: error.to_string() }
            })?,
        };
        for _ in 0..shared.limits.conflict_retries_max.get() {
            if let Some(existing) = shared.find(&id).await? {
                return match differences(&existing.record, &request) {
                    fields if fields.is_empty() => Ok(Schedule::of(existing, Some(request.data))),
                    fields => Err(ScheduleError::Differs { id, fields }),
                };
            }
            shared.commands.check(&wish(&request))?;
            let schedules_max = shared.limits.schedules_max.get();
            let counts = ScheduleCounts::read(&*shared.state).await?;
            let there = counts.waiting.saturating_add(counts.parked);
            if usize::try_from(there).unwrap_or(usize::MAX) >= schedules_max {
                return Err(ScheduleError::TooMany { schedules_max });
            }
            let record = self.new_record(&request)?;
            let stored = Stored::absent(id.clone(), record);
            let data = Some(request.data.clone());
            if let Some(stored) = stored.replace(&*shared.state, data).await? {
                shared.changed.notify_one();
                return Ok(Schedule::of(stored, Some(request.data)));
            }
        }
        Err(self.contended(&id))
    }

    fn new_record(&self, request: &ScheduleRequest) -> Result<Record, ScheduleError> {
        let now = self.0.clock.now();
        let due = request.timing.first(now)?;
        Ok(Record {
            store_id: self.0.store_id,
            incarnation: CausationId::new(self.0.ids.next_uuid()),
            aggregate: request.aggregate.clone(),
            target: Arc::from(request.target.as_str()),
            command: request.command.clone(),
            data_digest: Digest::of(&request.data),
            timing: request.timing.clone(),
            principal: request.origin.principal.clone(),
            correlation_id: request.origin.correlation_id.clone(),
            created_at: now,
            changes_count: 0,
            due,
            stage: Stage::Waiting(due),
            is_cancelling: false,
            tries_count: 0,
            attempts_count: 0,
            last_failure: None,
            outcomes_count: 0,
            outcomes: Vec::new(),
        })
    }

    /// At most `limit` schedules after `after` (exclusive), in order of id; of one status, if said. A
    /// page may have fewer, or none, and yet not be the last.
    ///
    /// # Errors
    /// [`ScheduleError::Damaged`], [`ScheduleError::State`].
    pub async fn list(
        &self,
        status: Option<ScheduleStatus>,
        after: Option<&ScheduleId>,
        limit: usize,
    ) -> Result<SchedulePage, ScheduleError> {
        /// Records read at once: they are small, but not when they have many outcomes.
        const PAGE_ROWS: usize = 256;
        let (mut page, mut rows_count) = (SchedulePage::default(), 0_usize);
        let mut last = after.cloned();
        loop {
            let range = KeyRange::default();
            let range = match &last {
                Some(id) => range.after(id.as_str().as_bytes()),
                None => range,
            };
            let rows = self.0.state.scan(rows::RECORDS, range, PAGE_ROWS).await?;
            let is_last = rows.len() < PAGE_ROWS;
            rows_count = rows_count.saturating_add(rows.len());
            for row in rows {
                if page.schedules.len() >= limit {
                    page.after = last;
                    return Ok(page);
                }
                let Ok(id) = ScheduleId::new(&String::from_utf8_lossy(&row.key)) else { continue };
                last = Some(id.clone());
                let stored = Stored::parse(id, row.value)?;
                if status.is_none_or(|status| stored.record.stage.status() == status) {
                    page.schedules.push(Schedule::of(stored, None));
                }
            }
            if is_last {
                return Ok(page);
            }
            if rows_count >= self.0.limits.list_rows_max {
                page.after = last;
                return Ok(page);
            }
        }
    }

    /// One schedule, with its data.
    ///
    /// # Errors
    /// [`ScheduleError::Unknown`], [`ScheduleError::Damaged`], [`ScheduleError::State`].
    pub async fn show(&self, id: &ScheduleId) -> Result<Schedule, ScheduleError> {
        let stored = self.load(id).await?;
        let data = rows::data(&*self.0.state, id).await?;
        Ok(Schedule::of(stored, data))
    }

    /// Cancels a schedule: none of its commands is sent any more. One that is on its way may still be
    /// decided, which is noted. Safe to repeat.
    ///
    /// # Errors
    /// [`ScheduleError::Unknown`]; [`ScheduleError::Ended`]: its last command was decided already;
    /// [`ScheduleError::Contended`], [`ScheduleError::Damaged`], [`ScheduleError::State`].
    pub async fn cancel(&self, id: &ScheduleId) -> Result<Schedule, ScheduleError> {
        let change = |record: &mut Record, now| match record.stage {
            Stage::Waiting(_) | Stage::Parked(_) => {
                record.stage = Stage::Cancelled(now);
                Ok(true)
            }
            Stage::Firing(_) => Ok(!std::mem::replace(&mut record.is_cancelling, true)),
            Stage::Cancelled(_) => Ok(false),
            Stage::Done(_) | Stage::Rejected(_) => {
                Err(ScheduleError::Ended { id: id.clone(), status: record.stage.status() })
            }
        };
        self.change(id, change).await
    }

    /// Has a parked command tried again, as often as the first time.
    ///
    /// # Errors
    /// [`ScheduleError::Unknown`], [`ScheduleError::NotParked`], [`ScheduleError::Contended`],
    /// [`ScheduleError::Damaged`], [`ScheduleError::State`].
    pub async fn retry(&self, id: &ScheduleId) -> Result<Schedule, ScheduleError> {
        let change = |record: &mut Record, now| match record.stage {
            Stage::Parked(_) => {
                record.release(now);
                Ok(true)
            }
            stage => Err(ScheduleError::NotParked { id: id.clone(), status: stage.status() }),
        };
        let schedule = self.change(id, change).await?;
        self.0.changed.notify_one();
        Ok(schedule)
    }

    /// Changes a schedule, unless `change` says that there is nothing to change.
    async fn change(
        &self,
        id: &ScheduleId,
        change: impl Fn(&mut Record, Timestamp) -> Result<bool, ScheduleError> + Send + Sync,
    ) -> Result<Schedule, ScheduleError> {
        for _ in 0..self.0.limits.conflict_retries_max.get() {
            let mut stored = self.load(id).await?;
            let is_changed = change(&mut stored.record, self.0.clock.now())?;
            let stored =
                if is_changed { stored.replace(&*self.0.state, None).await? } else { Some(stored) };
            if let Some(stored) = stored {
                let data = rows::data(&*self.0.state, id).await?;
                return Ok(Schedule::of(stored, data));
            }
        }
        Err(self.contended(id))
    }

    async fn load(&self, id: &ScheduleId) -> Result<Stored, ScheduleError> {
        let found = self.0.find(id).await?;
        found.ok_or_else(|| ScheduleError::Unknown { id: id.clone() })
    }

    fn contended(&self, id: &ScheduleId) -> ScheduleError {
        let attempts = self.0.limits.conflict_retries_max.get();
        ScheduleError::Contended { id: id.clone(), attempts }
    }

    /// What schedules do, and what became of the commands that this host fired.
    pub async fn figures(&self) -> ScheduleFigures {
        let counts = &self.0.counts;
        ScheduleFigures {
            counts: ScheduleCounts::read(&*self.0.state).await.ok(),
            accepted_count: counts.accepted.load(Relaxed),
            rejected_count: counts.rejected.load(Relaxed),
            failed_count: counts.failed.load(Relaxed),
            parked_count: counts.parked.load(Relaxed),
            late_ms: counts.late_ms.load(Relaxed),
        }
    }
}

/// The command of a request, as if it were sent now.
fn wish(request: &ScheduleRequest) -> CommandRequest {
    CommandRequest {
        aggregate: request.aggregate.clone(),
        id: request.target.clone(),
        command: request.command.clone(),
        data: request.data.clone(),
        command_id: None::<CommandId>,
        id_is_new: false,
        expected: ExpectedRevision::Any,
        origin: Origin::default(),
    }
}

/// What a request wants other than what is there, by the names of its fields.
fn differences(record: &Record, request: &ScheduleRequest) -> Vec<&'static str> {
    [
        ("aggregate", record.aggregate == request.aggregate),
        ("target", *record.target == *request.target),
        ("command", record.command == request.command),
        ("data", record.data_digest == Digest::of(&request.data)),
        ("timing", record.timing == request.timing),
    ]
    .into_iter()
    .filter_map(|(field, is_same)| (!is_same).then_some(field))
    .collect()
}
