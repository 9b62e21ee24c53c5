//! The stores' errors as problems.

use std::sync::Arc;

use annals_core::durability::DurabilityLost;
use annals_core::place::{ActualRevision, ExpectedRevision, Revision};
use annals_core::port::event_store::{AppendError, ReadError, SizeLimit};
use annals_core::port::state_store::StateError;
use annals_core::stream::StreamId;

use super::engine::{damaged, internal, sentence, unavailable};
use super::{Code, Problem};

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        match &error {
            ReadError::Unavailable(cause) => unavailable().caused_by(cause),
            ReadError::Damaged(cause) => damaged().caused_by(cause),
            _ => internal().caused_by(&error),
        }
    }
}

impl From<AppendError> for Problem {
    fn from(error: AppendError) -> Self {
        let text = sentence(&error);
        match &error {
            AppendError::Empty | AppendError::Invalid { .. } => {
                Self::new(Code::MalformedAppend, format!("{text}. Correct the body."))
            }
            AppendError::TooLarge { what, size, max } => too_large(*what, *size, *max),
            AppendError::EventIdsReused { event, .. } => Self::new(
                Code::EventIdsReused,
                format!("{text}. Repeat an append with all its events, or give new ids."),
            )
            .with("event_id", event.to_string()),
            AppendError::WrongExpectedRevision { stream, expected, actual } => {
                wrong_expected_revision(stream, *expected, *actual)
            }
            AppendError::ClaimHeld { scope, key, holder } => claim_held(scope, key, holder),
            AppendError::Unavailable(cause) => unavailable().caused_by(cause),
            AppendError::OutcomeUnknown(cause) => append_outcome_unknown().caused_by(cause),
            _ => internal().caused_by(&error),
        }
    }
}

impl From<DurabilityLost> for Problem {
    fn from(error: DurabilityLost) -> Self {
        append_outcome_unknown().caused_by(&error)
    }
}

fn append_outcome_unknown() -> Problem {
    Problem::new(
        Code::OutcomeUnknown,
        "Nobody knows whether the events were recorded. Append them again with the same ids, which \
         is safe and tells; without ids, read the stream first.",
    )
}

pub(super) fn wrong_expected_revision(
    stream: &StreamId,
    expected: ExpectedRevision,
    actual: ActualRevision,
) -> Problem {
    Problem::new(
        Code::WrongExpectedRevision,
        format!(
            "Stream `{stream}` is at {actual}, expected {expected}. Read it and decide again, or \
             send `if-revision: any`."
        ),
    )
    .with("stream", stream.as_str())
    .with("expected", expected.to_string())
    .with("actual", actual.0.map(Revision::get))
}

pub(super) fn claim_held(scope: &Arc<str>, key: &Arc<str>, holder: &StreamId) -> Problem {
    Problem::new(
        Code::ClaimHeld,
        format!("`{key}` of `{scope}` is held by stream `{holder}`. Choose another name."),
    )
    .with("scope", &**scope)
    .with("key", &**key)
    .with("holder", holder.as_str())
}

pub(super) fn too_large(what: SizeLimit, size: usize, max: usize) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("{size} {what}, at most {max} are allowed. Send less at once."),
    )
    .with("size", size)
    .with("max", max)
}

pub(super) fn state(error: &StateError) -> Problem {
    match error {
        StateError::Unavailable(_) => unavailable().caused_by(error),
        StateError::Damaged(_) => damaged().caused_by(error),
        _ => internal().caused_by(error),
    }
}
