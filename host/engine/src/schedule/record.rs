//! What is known of a schedule, and what becomes of it when its command was fired.
//!
//! ```text
//!               due             accepted, rejected
//!   waiting ──────────► firing ────────────────────► done, rejected
//!      ▲  ▲               │ │                              │
//!      │  └───────────────┘ │ failed too often             │ of a recurring one:
//!      │   failed, busy     ▼                              │ the next time
//!      ├───────────────── parked                           │
//!      │      retry                                        │
//!      └───────────────────────────────────────────────────┘      each but firing ──► cancelled
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annals_core::id::{CausationId, CommandId, CorrelationId, Digest, StoreId};
use annals_core::name::{CommandName, PluginName};
use annals_core::place::{ActualRevision, Partition, Position};
use annals_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::limits::ScheduleLimits;
use super::timing::Timing;
use crate::command::{CommandError, CommandOutcome, Verdict};

/// What a schedule is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ScheduleStatus {
    /// It waits for its time, or to be tried again.
    Waiting,
    /// A host has sent its command.
    Firing,
    /// Its command failed too often; it waits for somebody to say what to do.
    Parked,
    /// Its last command was accepted.
    Done,
    /// Its last command was rejected by its aggregate.
    Rejected,
    /// It was cancelled.
    Cancelled,
}

impl ScheduleStatus {
    /// All of them, in the order in which schedules go through them.
    pub const ALL: [Self; 6] =
        [Self::Waiting, Self::Firing, Self::Parked, Self::Done, Self::Rejected, Self::Cancelled];

    /// The word for it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Firing => "firing",
            Self::Parked => "parked",
            Self::Done => "done",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }

    /// Whether nothing more comes of it.
    #[must_use]
    pub const fn is_ended(self) -> bool {
        matches!(self, Self::Done | Self::Rejected | Self::Cancelled)
    }
}

impl fmt::Display for ScheduleStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What became of a command that was fired.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleOutcome {
    /// Its id.
    pub command_id: CommandId,
    /// When it was due.
    pub due_at: Timestamp,
    /// When it was recorded.
    pub recorded_at: Timestamp,
    /// Where its stream ended after it.
    pub revision: ActualRevision,
    /// The partition of its stream.
    pub partition: Partition,
    /// The position of its last event in the partition; `None` when it has none.
    pub position: Option<Position>,
    /// What its aggregate said if it said no.
    pub rejection: Option<ScheduleRejection>,
}

/// That an aggregate said no.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleRejection {
    /// Stable and kebab-case.
    pub code: Arc<str>,
    /// A sentence.
    pub message: Arc<str>,
}

/// Why a command has no outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScheduleFailure {
    /// When it was tried.
    pub failed_at: Timestamp,
    /// The cause, as anybody may be told it; the log has more.
    pub cause: Arc<str>,
    /// Whether it counts as an attempt; otherwise it was not the command's fault.
    pub is_counted: bool,
}

/// What a schedule is doing, with when that is to be looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Stage {
    /// Until it is due, or tried again.
    Waiting(Timestamp),
    /// Until others may fire it again.
    Firing(Timestamp),
    /// Since then.
    Parked(Timestamp),
    Done(Timestamp),
    Rejected(Timestamp),
    Cancelled(Timestamp),
}

impl Stage {
    pub(super) const fn status(self) -> ScheduleStatus {
        match self {
            Self::Waiting(_) => ScheduleStatus::Waiting,
            Self::Firing(_) => ScheduleStatus::Firing,
            Self::Parked(_) => ScheduleStatus::Parked,
            Self::Done(_) => ScheduleStatus::Done,
            Self::Rejected(_) => ScheduleStatus::Rejected,
            Self::Cancelled(_) => ScheduleStatus::Cancelled,
        }
    }

    /// When a host has to look at it; `None`: only when somebody asks.
    pub(super) const fn look_at(self) -> Option<Timestamp> {
        match self {
            Self::Waiting(time) | Self::Firing(time) => Some(time),
            _ => None,
        }
    }

    /// When it ended, if it did.
    pub(super) const fn ended_at(self) -> Option<Timestamp> {
        match self {
            Self::Done(time) | Self::Rejected(time) | Self::Cancelled(time) => Some(time),
            _ => None,
        }
    }
}

/// All that is known of a schedule, but for the data of its command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Record {
    /// The store it belongs to.
    pub(super) store_id: StoreId,
    /// Another one for each schedule that is made, also under an id that was used before. What its
    /// commands say that they were caused by.
    pub(super) incarnation: CausationId,
    pub(super) aggregate: PluginName,
    /// The id part of the stream.
    pub(super) target: Arc<str>,
    pub(super) command: CommandName,
    pub(super) data_digest: Digest,
    pub(super) timing: Timing,
    pub(super) principal: Option<Arc<str>>,
    pub(super) correlation_id: Option<CorrelationId>,
    pub(super) created_at: Timestamp,
    /// How often it was changed: no value of the row comes twice.
    pub(super) changes_count: u64,
    /// When its next command is due, or its last one was. Grows.
    pub(super) due: Timestamp,
    pub(super) stage: Stage,
    /// Whether it was cancelled while a command was on its way.
    pub(super) is_cancelling: bool,
    /// How often the command of `due` was sent, for the wait before the next time.
    pub(super) tries_count: u32,
    /// How often that failed.
    pub(super) attempts_count: u32,
    /// Why it was not decided the last time.
    pub(super) last_failure: Option<ScheduleFailure>,
    /// How many commands have an outcome.
    pub(super) outcomes_count: u64,
    /// The newest of them, oldest first.
    pub(super) outcomes: Vec<ScheduleOutcome>,
}

impl Record {
    /// The id of the command that is due: the same on every host and at every try.
    pub(super) fn command_id(&self) -> CommandId {
        CommandId::derive(self.incarnation, self.due.ms())
    }

    /// The stream of its commands, as text.
    pub(super) fn stream(&self) -> String {
        format!("{}/{}", self.aggregate, self.target)
    }

    /// Takes it for this host, to fire its command.
    pub(super) fn take(&mut self, now: Timestamp, limits: &ScheduleLimits) {
        self.tries_count = self.tries_count.saturating_add(1);
        self.stage = Stage::Firing(later(now, limits.firing_wait_max));
    }

    /// Notes what its aggregate said, and goes on with the next time if there is one.
    pub(super) fn note(&mut self, outcome: &CommandOutcome, now: Timestamp, max: &ScheduleLimits) {
        let rejection = match &outcome.verdict {
            Verdict::Accepted(_) => None,
            Verdict::Rejected(rejection) => Some(ScheduleRejection {
                code: cut(&rejection.code, max),
                message: cut(&rejection.message, max),
            }),
        };
        let ended = if rejection.is_some() { Stage::Rejected(now) } else { Stage::Done(now) };
        self.outcomes.push(ScheduleOutcome {
            command_id: outcome.command_id,
            due_at: self.due,
            recorded_at: outcome.recorded_at,
            revision: outcome.revision,
            partition: outcome.partition,
            position: outcome.position,
            rejection,
        });
        let excess = self.outcomes.len().saturating_sub(max.outcomes_max.max(1));
        self.outcomes.drain(..excess);
        self.outcomes_count = self.outcomes_count.saturating_add(1);
        (self.tries_count, self.attempts_count, self.last_failure) = (0, 0, None);
        // Times that went by meanwhile are passed over: after a downtime it is due once.
        let next = self.timing.next(now.max(self.due));
        self.stage = match next {
            Some(_) if self.is_cancelling => Stage::Cancelled(now),
            Some(next) => {
                self.due = next;
                Stage::Waiting(next)
            }
            None => ended,
        };
    }

    /// Notes that the command was not decided, and when it is tried again, if at all.
    pub(super) fn note_failure(
        &mut self,
        error: &CommandError,
        now: Timestamp,
        limits: &ScheduleLimits,
    ) {
        let is_counted = is_the_commands_fault(error);
        let cause = cut(&told(error), limits);
        self.last_failure = Some(ScheduleFailure { failed_at: now, cause, is_counted });
        self.attempts_count = self.attempts_count.saturating_add(u32::from(is_counted));
        self.stage = if self.is_cancelling {
            Stage::Cancelled(now)
        } else if self.attempts_count >= limits.attempts_max.get() {
            Stage::Parked(now)
        } else {
            Stage::Waiting(self.tried_again_at(error, now, limits))
        };
    }

    fn tried_again_at(
        &self,
        error: &CommandError,
        now: Timestamp,
        limits: &ScheduleLimits,
    ) -> Timestamp {
        match error {
            // Another host may have it at once.
            CommandError::Stopping => now,
            CommandError::Quarantined(stream) => stream.until.max(now),
            _ => {
                let doublings = self.tries_count.saturating_sub(1).min(31);
                let wait = limits.retry_wait.saturating_mul(1 << doublings);
                later(now, wait.min(limits.retry_wait_max))
            }
        }
    }

    /// Has a parked command tried again, as often as the first time.
    pub(super) fn release(&mut self, now: Timestamp) {
        (self.tries_count, self.attempts_count) = (0, 0);
        self.stage = Stage::Waiting(now);
    }
}

/// Whether a failure comes again however often the command is sent, until somebody does something about
/// it: those are counted. The others pass.
fn is_the_commands_fault(error: &CommandError) -> bool {
    !matches!(
        error,
        CommandError::Contended { .. }
            | CommandError::Busy { .. }
            | CommandError::Quarantined(_)
            | CommandError::Unavailable(_)
            | CommandError::OutcomeUnknown { .. }
            | CommandError::Stopping
    )
}

/// What a failure is to those who look at the schedule: nothing of the insides of a driver.
fn told(error: &CommandError) -> String {
    match error {
        CommandError::Plugin(failure) => {
            format!("the plugin {} (failure {})", failure.summary(), failure.id())
        }
        CommandError::Quarantined(refused) => {
            let (until, summary) = (refused.until, refused.last_failure.summary());
            format!("the stream is refused until {until}: the plugin {summary}")
        }
        CommandError::Upcast(failure) => failure.to_string(),
        error => error.to_string(),
    }
}

fn later(now: Timestamp, wait: Duration) -> Timestamp {
    let wait_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    Timestamp::from_ms(now.ms().saturating_add(wait_ms))
}

/// The part of a text that is kept.
fn cut(text: &str, limits: &ScheduleLimits) -> Arc<str> {
    let end = text.floor_char_boundary(limits.message_bytes_max);
    Arc::from(text.get(..end).unwrap_or_default())
}
