//! Why a schedule cannot do what is asked.

use annals_core::port::state_store::StateError;

use super::{ScheduleId, ScheduleStatus};
use crate::command::CommandError;

/// Why a schedule cannot do what is asked; nothing changed, unless it says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ScheduleError {
    /// There is none of that id.
    #[error("there is no schedule `{id}`")]
    Unknown {
        /// The id.
        id: ScheduleId,
    },
    /// It is there with other content.
    #[error("schedule `{id}` is there with other content: {}", fields.join(", "))]
    Differs {
        /// The id.
        id: ScheduleId,
        /// What differs.
        fields: Vec<&'static str>,
    },
    /// There are as many as may be.
    #[error("there are {schedules_max} schedules already")]
    TooMany {
        /// How many there may be.
        schedules_max: usize,
    },
    /// It has ended, so that there is nothing to cancel.
    #[error("schedule `{id}` is {status} already")]
    Ended {
        /// The id.
        id: ScheduleId,
        /// How it ended.
        status: ScheduleStatus,
    },
    /// It is not parked, so that there is nothing to try again.
    #[error("schedule `{id}` is {status}, not parked")]
    NotParked {
        /// The id.
        id: ScheduleId,
        /// What it is.
        status: ScheduleStatus,
    },
    /// What is asked is out of its range.
    #[error("`{field}` {fault}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        fault: String,
    },
    /// The command could not be run now, so it is not scheduled either.
    #[error(transparent)]
    Command(Box<CommandError>),
    /// Others changed it first, again and again.
    #[error("schedule `{id}` was changed by others {attempts} times meanwhile")]
    Contended {
        /// The id.
        id: ScheduleId,
        /// How often it was tried.
        attempts: u32,
    },
    /// What is stored of it is not of this store, or cannot be read.
    #[error("what is stored of schedule `{id}` is {fault}")]
    Damaged {
        /// The id.
        id: ScheduleId,
        /// What is wrong.
        fault: String,
    },
    /// The state store does not do its part. After [`StateError::OutcomeUnknown`] the change may be
    /// there, and all of them are safe to repeat.
    #[error("the state of schedules cannot be used")]
    State(#[from] StateError),
}

impl From<CommandError> for ScheduleError {
    fn from(error: CommandError) -> Self {
        Self::Command(Box::new(error))
    }
}
