//! The JSON of schedules.

use std::borrow::Cow;

use annals_core::event::Origin;
use annals_core::id::{CausationId, CommandId};
use annals_core::name::{CommandName, PluginName};
use annals_core::place::{ActualRevision, Partition, Position};
use annals_engine::schedule::{
    Schedule, ScheduleFailure, ScheduleId, ScheduleOutcome, ScheduleRequest, Timing,
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::event::Time;
use crate::json::RawJson;
use crate::problem::{Code, Problem};

/// A command to be sent later. Exactly one of `at`, `after` and `cron` says when.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScheduleRequest)]
pub(crate) struct ScheduleBody<'a> {
    /// Its id, by which a repeat is recognised: 1 to 128 ASCII letters, digits, `-`, `_`, `.` and `:`;
    /// `idempotency-key` when absent, or made by the host.
    #[serde(borrow)]
    id: Option<Cow<'a, str>>,
    /// The aggregate that decides.
    #[serde(borrow)]
    aggregate: Cow<'a, str>,
    /// The id part of the stream.
    #[serde(borrow)]
    target: Cow<'a, str>,
    /// What is wished for.
    #[serde(borrow)]
    command: Cow<'a, str>,
    /// The command's data; absent counts as `{}`.
    #[serde(borrow)]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<&'a RawValue>,
    /// Once, at this time (RFC 3339); one that is over is due at once.
    #[serde(borrow)]
    #[schema(format = "date-time")]
    at: Option<Cow<'a, str>>,
    /// Once, after this delay, such as `90s`, `1h30m` or `7d`.
    #[serde(borrow)]
    after: Option<Cow<'a, str>>,
    /// Again and again, by a cron expression: minute, hour, day of month, month, day of week; or six
    /// fields with the second first.
    #[serde(borrow)]
    cron: Option<Cow<'a, str>>,
    /// The IANA name of the time zone in which `cron` is read; `UTC` when absent.
    #[serde(borrow)]
    time_zone: Option<Cow<'a, str>>,
}

impl ScheduleBody<'_> {
    pub(crate) fn into_request(
        self,
        key: Option<CommandId>,
        origin: Origin,
    ) -> Result<ScheduleRequest, Problem> {
        let timing = self.timing()?;
        let id = match (&self.id, key) {
            (Some(id), _) => Some(ScheduleId::new(id)?),
            (None, Some(key)) => Some(ScheduleId::new(&key.to_string())?),
            (None, None) => None,
        };
        let data = self.data.map_or("{}", RawValue::get);
        Ok(ScheduleRequest {
            id,
            aggregate: PluginName::new(&self.aggregate)?,
            target: self.target.into_owned(),
            command: CommandName::new(&self.command)?,
            data: Bytes::copy_from_slice(data.as_bytes()),
            timing,
            origin,
        })
    }

    fn timing(&self) -> Result<Timing, Problem> {
        match (&self.at, &self.after, &self.cron) {
            (Some(at), None, None) if self.time_zone.is_none() => Ok(Timing::at(at)?),
            (None, Some(after), None) if self.time_zone.is_none() => Ok(Timing::after(after)?),
            (None, None, Some(cron)) => {
                Ok(Timing::cron(cron, self.time_zone.as_deref().unwrap_or("UTC"))?)
            }
            _ => Err(Problem::new(
                Code::MalformedBody,
                "The time is not clear. Give exactly one of `at`, `after` and `cron`, and \
                 `time_zone` with `cron` alone.",
            )
            .with("field", "at")),
        }
    }
}

/// Some schedules.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedules)]
pub(crate) struct SchedulesJson<'a> {
    /// In order of id.
    pub(crate) schedules: Vec<ScheduleJson<'a>>,
    /// The `page` of the next page; null when this is the last.
    pub(crate) next_page: Option<String>,
}

/// A scheduled command, or a series of them.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(crate) struct ScheduleJson<'a> {
    /// Its id.
    id: &'a str,
    /// The aggregate that decides.
    aggregate: &'a str,
    /// The id part of the stream.
    target: &'a str,
    /// What is wished for.
    command: &'a str,
    /// The command's data; absent in lists.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<serde_json::Value>)]
    data: Option<RawJson<'a>>,
    /// The time it was made for (RFC 3339), if it was made with one.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>, format = "date-time")]
    at: Option<Time>,
    /// The delay it was made with, if it was.
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<String>,
    /// The cron expression of a recurring one.
    #[serde(skip_serializing_if = "Option::is_none")]
    cron: Option<&'a str>,
    /// The time zone in which it is read.
    #[serde(skip_serializing_if = "Option::is_none")]
    time_zone: Option<&'a str>,
    /// `waiting`, `firing`, `parked`, `done`, `rejected` or `cancelled`.
    status: &'static str,
    /// Whether it was cancelled while a command was on its way.
    is_cancelling: bool,
    /// When its command is due (RFC 3339), or its next one; null when none will be.
    #[schema(value_type = Option<String>, format = "date-time")]
    due_at: Option<Time>,
    /// When it is tried, or tried again (RFC 3339); null when it does not wait.
    #[schema(value_type = Option<String>, format = "date-time")]
    next_try_at: Option<Time>,
    /// How often the command that is due failed.
    attempts_count: u32,
    /// Why it was not decided the last time; null when it was, or was not sent.
    last_failure: Option<FailureJson<'a>>,
    /// How many of its commands were decided.
    outcomes_count: u64,
    /// The newest outcomes, oldest first.
    outcomes: Vec<OutcomeJson<'a>>,
    /// When it was made (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    created_at: Time,
    /// When it ended (RFC 3339); null while it has not.
    #[schema(value_type = Option<String>, format = "date-time")]
    ended_at: Option<Time>,
    /// What the request that made it belongs to.
    #[serde(skip_serializing_if = "Option::is_none")]
    correlation_id: Option<&'a str>,
    /// The causation id of its commands.
    #[schema(value_type = String, format = "uuid")]
    causation_id: CausationId,
    /// Who made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    principal: Option<&'a str>,
}

/// Why a command was not decided.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleFailure)]
pub(crate) struct FailureJson<'a> {
    /// When it was tried (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    failed_at: Time,
    /// What happened.
    cause: &'a str,
    /// Whether it counts as an attempt. What was not the command's fault does not.
    is_counted: bool,
}

/// What became of a command.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleOutcome)]
pub(crate) struct OutcomeJson<'a> {
    /// Its id.
    #[schema(value_type = String, format = "uuid")]
    command_id: CommandId,
    /// When it was due (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    due_at: Time,
    /// When it was recorded (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    recorded_at: Time,
    /// `accepted` or `rejected`.
    outcome: &'static str,
    /// Where the stream ended after it; null when it has no event.
    #[schema(value_type = Option<u64>)]
    revision: ActualRevision,
    /// The partition of the feed that the stream is in.
    #[schema(value_type = u32)]
    partition: Partition,
    /// The position of its last event in the partition, to read views with; null when it has none.
    #[schema(value_type = Option<u64>)]
    position: Option<Position>,
    /// What the domain said, when it said no; else absent.
    #[serde(skip_serializing_if = "Option::is_none")]
    rejection: Option<ScheduleRejectionJson<'a>>,
}

/// What the domain said.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ScheduleRejection)]
pub(crate) struct ScheduleRejectionJson<'a> {
    /// Stable and kebab-case.
    code: &'a str,
    /// A sentence for people, cut off when it is long.
    message: &'a str,
}

impl<'a> ScheduleJson<'a> {
    pub(crate) fn new(schedule: &'a Schedule) -> Self {
        let (mut at, mut after, mut cron, mut time_zone) = (None, None, None, None);
        match &schedule.timing {
            Timing::At(time) => at = Some(Time(*time)),
            Timing::AfterMs(ms) => after = Some(Timing::delay_text(*ms)),
            Timing::Cron { expression, time_zone: zone } => {
                (cron, time_zone) = (Some(&**expression), Some(&**zone));
            }
        }
        Self {
            id: schedule.id.as_str(),
            aggregate: schedule.aggregate.as_str(),
            target: &schedule.target,
            command: schedule.command.as_str(),
            data: schedule.data.as_deref().map(RawJson),
            at,
            after,
            cron,
            time_zone,
            status: schedule.status.as_str(),
            is_cancelling: schedule.is_cancelling,
            due_at: schedule.due_at.map(Time),
            next_try_at: schedule.next_try_at.map(Time),
            attempts_count: schedule.attempts_count,
            last_failure: schedule.last_failure.as_ref().map(FailureJson::new),
            outcomes_count: schedule.outcomes_count,
            outcomes: schedule.outcomes.iter().map(OutcomeJson::new).collect(),
            created_at: Time(schedule.created_at),
            ended_at: schedule.ended_at.map(Time),
            correlation_id: schedule.correlation_id.as_ref().map(|id| id.as_str()),
            causation_id: schedule.causation_id,
            principal: schedule.principal.as_deref(),
        }
    }
}

impl<'a> FailureJson<'a> {
    fn new(failure: &'a ScheduleFailure) -> Self {
        Self {
            failed_at: Time(failure.failed_at),
            cause: &failure.cause,
            is_counted: failure.is_counted,
        }
    }
}

impl<'a> OutcomeJson<'a> {
    fn new(outcome: &'a ScheduleOutcome) -> Self {
        let rejection = outcome.rejection.as_ref();
        Self {
            command_id: outcome.command_id,
            due_at: Time(outcome.due_at),
            recorded_at: Time(outcome.recorded_at),
            outcome: if rejection.is_some() { "rejected" } else { "accepted" },
            revision: outcome.revision,
            partition: outcome.partition,
            position: outcome.position,
            rejection: rejection.map(|rejection| ScheduleRejectionJson {
                code: &rejection.code,
                message: &rejection.message,
            }),
        }
    }
}
