//! Why a subscription cannot do what is asked.

use annals_core::name::SubscriptionName;
use annals_core::port::event_store::ReadError;
use annals_core::port::state_store::StateError;

/// Why a subscription cannot do what is asked; nothing changed, unless it says so.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscriptionError {
    /// There is none of that name.
    #[error("there is no subscription `{name}`")]
    Unknown {
        /// The name.
        name: SubscriptionName,
        /// Those there are.
        known: Vec<SubscriptionName>,
    },
    /// It is there with other settings.
    #[error("subscription `{name}` is there with other settings: {}", fields.join(", "))]
    Differs {
        /// The name.
        name: SubscriptionName,
        /// What differs.
        fields: Vec<&'static str>,
    },
    /// There are as many as may be.
    #[error("there are {subscriptions_max} subscriptions already")]
    TooMany {
        /// How many there may be.
        subscriptions_max: usize,
    },
    /// As many streams have a parked event as may.
    #[error("{parked_streams_max} streams of subscription `{name}` have a parked event already")]
    TooManyParked {
        /// The subscription.
        name: SubscriptionName,
        /// How many may.
        parked_streams_max: u64,
    },
    /// As many members hold deliveries as may.
    #[error("{members_max} members of subscription `{name}` hold deliveries already")]
    TooManyMembers {
        /// The subscription.
        name: SubscriptionName,
        /// How many may.
        members_max: usize,
    },
    /// What is asked is out of its range.
    #[error("`{field}` {fault}")]
    Invalid {
        /// Which field.
        field: &'static str,
        /// What is wrong with it, and what would be right.
        fault: String,
    },
    /// Others changed it first, again and again.
    #[error("subscription `{name}` was changed by others {attempts} times meanwhile")]
    Contended {
        /// The subscription.
        name: SubscriptionName,
        /// How often it was tried.
        attempts: u32,
    },
    /// What is stored of it is not of this store, or cannot be read.
    #[error("what is stored of subscription `{name}` is {fault}")]
    Damaged {
        /// The subscription.
        name: SubscriptionName,
        /// What is wrong.
        fault: String,
    },
    /// The state store does not do its part. After [`StateError::OutcomeUnknown`] the change may be
    /// there: what members answer is safe to repeat, and events leased to nobody come again.
    #[error("the state of subscriptions cannot be used")]
    State(#[from] StateError),
    /// The event store does not answer.
    #[error("the events of a subscription cannot be read")]
    Store(#[from] ReadError),
}
