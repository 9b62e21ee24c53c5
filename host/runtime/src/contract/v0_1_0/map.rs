//! From what a guest of contract 0.1.0 returns to the host's types, unchecked, and back.

use annals_core::plugin::{
    Decision, GuestClaim, GuestEvent, GuestRowKey, GuestShape, GuestTimer, GuestWrite, Outgoing,
    ProjectFailure, QueryRefusal, Reaction, Refusal,
};
use annals_core::time::Timestamp;

use super::bindings::annals::plugin::{types, view};
use super::{aggregate, process_manager, projection, query, upcaster};

impl From<aggregate::Decision> for Decision {
    fn from(decision: aggregate::Decision) -> Self {
        Self {
            events: decision.events.into_iter().map(Into::into).collect(),
            claims: decision.claims.into_iter().map(Into::into).collect(),
            releases: decision.releases,
        }
    }
}

impl From<types::NewEvent> for GuestEvent {
    fn from(event: types::NewEvent) -> Self {
        Self { event_type: event.event_type, data: event.data }
    }
}

impl From<aggregate::Claim> for GuestClaim {
    fn from(claim: aggregate::Claim) -> Self {
        Self {
            scope: claim.scope,
            key: claim.key,
            expires_at: claim.expires_at.map(Timestamp::from_ms),
        }
    }
}

impl From<aggregate::Refusal> for Refusal {
    fn from(refusal: aggregate::Refusal) -> Self {
        match refusal {
            aggregate::Refusal::Rejected(rejection) => Self::Rejected {
                code: rejection.code,
                message: rejection.message,
                detail: rejection.detail,
            },
            aggregate::Refusal::Malformed(text) => Self::Malformed(text),
        }
    }
}

impl From<view::RowKey> for GuestRowKey {
    fn from(key: view::RowKey) -> Self {
        Self { table: key.table, key: key.key }
    }
}

impl From<projection::Write> for GuestWrite {
    fn from(write: projection::Write) -> Self {
        match write {
            projection::Write::Put((key, value)) => Self::Put(key.into(), value),
            projection::Write::Delete(key) => Self::Delete(key.into()),
            projection::Write::Add((key, amount)) => Self::Add(key.into(), amount),
        }
    }
}

impl From<projection::Failure> for ProjectFailure {
    fn from(failure: projection::Failure) -> Self {
        match failure {
            projection::Failure::Retry((event, text)) => Self::Retry(event, text),
            projection::Failure::Park((event, text)) => Self::Park(event, text),
        }
    }
}

impl From<query::QueryError> for QueryRefusal {
    fn from(error: query::QueryError) -> Self {
        match error {
            query::QueryError::Unknown => Self::Unknown,
            query::QueryError::Malformed(text) => Self::Malformed(text),
        }
    }
}

impl From<upcaster::StoredEventResult> for GuestShape {
    fn from(event: upcaster::StoredEventResult) -> Self {
        Self { name: event.name, schema_version: event.schema_version, data: event.data }
    }
}

impl From<process_manager::Reaction> for Reaction {
    fn from(reaction: process_manager::Reaction) -> Self {
        Self {
            state: reaction.state,
            commands: reaction.commands.into_iter().map(Into::into).collect(),
            start_timers: reaction.start_timers.into_iter().map(Into::into).collect(),
            cancel_timers: reaction.cancel_timers,
        }
    }
}

impl From<process_manager::OutgoingResult> for Outgoing {
    fn from(outgoing: process_manager::OutgoingResult) -> Self {
        Self {
            target_id: outgoing.target_id,
            command_type: outgoing.command.command_type,
            data: outgoing.command.data,
        }
    }
}

impl From<process_manager::TimerResult> for GuestTimer {
    fn from(timer: process_manager::TimerResult) -> Self {
        Self { name: timer.name, due_at: Timestamp::from_ms(timer.due_at), data: timer.data }
    }
}
