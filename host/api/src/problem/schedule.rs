//! The errors of schedules as problems.

use annals_core::port::state_store::StateError;
use annals_engine::schedule::{InvalidScheduleId, ScheduleError};

use super::engine::{damaged, internal, sentence, unavailable};
use super::{Code, Problem};

impl From<InvalidScheduleId> for Problem {
    fn from(error: InvalidScheduleId) -> Self {
        Self::new(Code::BadScheduleId, format!("{}.", sentence(&error)))
    }
}

impl From<ScheduleError> for Problem {
    fn from(error: ScheduleError) -> Self {
        let text = sentence(&error);
        match error {
            ScheduleError::Unknown { .. } => Self::new(
                Code::UnknownSchedule,
                format!("{text}. It never was, or ended so long ago that it is not kept."),
            ),
            ScheduleError::Differs { fields, .. } => Self::new(
                Code::ScheduleDiffers,
                format!("{text}. Give the new one another id: an id is used once, also when what had it is cancelled or done."),
            )
            .with("fields", fields.as_slice()),
            ScheduleError::TooMany { schedules_max } => Self::new(
                Code::TooManySchedules,
                format!("{text}. Cancel some of them, or wait until some have ended."),
            )
            .with("schedules_max", schedules_max),
            ScheduleError::Ended { status, .. } => Self::new(
                Code::ScheduleEnded,
                format!("{text}. Look at it for what became of its commands."),
            )
            .with("schedule_status", status.as_str()),
            ScheduleError::NotParked { status, .. } => Self::new(
                Code::ScheduleNotParked,
                format!("{text}. Only what is parked can be tried again."),
            )
            .with("schedule_status", status.as_str()),
            ScheduleError::Invalid { field, .. } => {
                Self::new(Code::MalformedBody, format!("{text}.")).with("field", field)
            }
            ScheduleError::Command(error) => (*error).into(),
            ScheduleError::Contended { .. } => {
                Self::new(Code::Busy, format!("{text}. Try again in a moment."))
            }
            ScheduleError::Damaged { .. } | ScheduleError::State(StateError::Damaged(_)) => {
                damaged().caused_by(&error)
            }
            ScheduleError::State(StateError::Unavailable(ref cause)) => {
                unavailable().caused_by(cause)
            }
            ScheduleError::State(StateError::OutcomeUnknown(ref cause)) => Self::new(
                Code::OutcomeUnknown,
                "Nobody knows whether it was noted. Send it again, a new schedule with the same `id`; \
                 or look at the schedule.",
            )
            .caused_by(cause),
            _ => internal().caused_by(&error),
        }
    }
}
