//! The errors of subscriptions as problems.

use annals_core::port::state_store::StateError;
use annals_engine::subscription::SubscriptionError;

use super::engine::{damaged, internal, sentence, unavailable};
use super::{Code, Problem};

impl From<SubscriptionError> for Problem {
    fn from(error: SubscriptionError) -> Self {
        let text = sentence(&error);
        match error {
            SubscriptionError::Unknown { known, .. } => Self::new(
                Code::UnknownSubscription,
                format!("{text}. Use one of `known`, or make it with PUT."),
            )
            .with("known", known.as_slice()),
            SubscriptionError::Differs { fields, .. } => Self::new(
                Code::SubscriptionDiffers,
                format!(
                    "{text}. Give it another name, or delete it first, which forgets how far it is."
                ),
            )
            .with("fields", fields.as_slice()),
            SubscriptionError::TooMany { subscriptions_max } => Self::new(
                Code::TooManySubscriptions,
                format!("{text}. Delete one that is not used any more."),
            )
            .with("subscriptions_max", subscriptions_max),
            SubscriptionError::TooManyParked { parked_streams_max, .. } => {
                Self::new(Code::TooManyParked, format!("{text}. Replay or discard some of them."))
                    .with("parked_streams_max", Some(parked_streams_max))
            }
            SubscriptionError::Invalid { field, .. } => {
                Self::new(Code::MalformedBody, format!("{text}.")).with("field", field)
            }
            SubscriptionError::TooManyMembers { .. } | SubscriptionError::Contended { .. } => {
                Self::new(Code::Busy, format!("{text}. Try again in a moment."))
            }
            SubscriptionError::Damaged { .. }
            | SubscriptionError::State(StateError::Damaged(_)) => damaged().caused_by(&error),
            SubscriptionError::State(StateError::Unavailable(ref cause)) => {
                unavailable().caused_by(cause)
            }
            SubscriptionError::State(StateError::OutcomeUnknown(ref cause)) => Self::new(
                Code::OutcomeUnknown,
                "Nobody knows whether it was noted. Send it again: what is done already is told as \
                 `unknown`, and events that nobody was given come again.",
            )
            .caused_by(cause),
            SubscriptionError::Store(error) => error.into(),
            _ => internal().caused_by(&error),
        }
    }
}
