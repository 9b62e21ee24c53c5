//! Checks of what aggregates say. Guests are hostile: every number and text is looked at here before
//! anything else uses it.

use std::sync::Arc;

use annals_core::command::Rejection;
use annals_core::commit::{Claim, Release};
use annals_core::event::{ContentType, NewEvent};
use annals_core::json;
use annals_core::limits::{PAYLOAD_BYTES_MAX, REJECTION_BYTES_MAX};
use annals_core::plugin::{Decision, GuestEvent};
use annals_core::port::guest::GuestFailure;
use annals_core::stream::StreamId;
use bytes::Bytes;

use crate::catalog::ActiveAggregate;

/// A decision whose every part is fit for a commit.
#[derive(Debug, Default)]
pub(crate) struct CheckedDecision {
    pub(crate) events: Vec<NewEvent>,
    /// Per event: index into the description's events.
    pub(crate) event_indexes: Vec<u32>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) releases: Vec<Release>,
}

/// Checks a decision: number of events, their types, sizes and JSON, and the claims.
pub(crate) fn decision(
    active: &ActiveAggregate,
    stream: &StreamId,
    decision: Decision,
    events_max: usize,
) -> Result<CheckedDecision, GuestFailure> {
    let plugin = || active.description.name.to_string();
    if decision.events.len() > events_max {
        let limit = format!(
            "{} events in one decision, at most {events_max} are allowed (decision_events_max)",
            decision.events.len()
        );
        return Err(GuestFailure::Limit { plugin: plugin(), call: "decide", limit });
    }
    let mut checked = CheckedDecision::default();
    for (ordinal, guest_event) in decision.events.into_iter().enumerate() {
        let index = guest_event.event_type;
        let event = new_event(active, guest_event).map_err(|fault| fault.of(plugin(), ordinal))?;
        checked.events.push(event);
        checked.event_indexes.push(index);
    }
    for claim in decision.claims {
        checked.claims.push(Claim {
            scope: Arc::from(claim.scope),
            key: Arc::from(claim.key),
            stream: stream.clone(),
            expires_at: claim.expires_at,
        });
    }
    for (scope, key) in decision.releases {
        let (scope, key) = (Arc::from(scope), Arc::from(key));
        checked.releases.push(Release { scope, key, stream: stream.clone() });
    }
    Ok(checked)
}

enum Fault {
    Limit(String),
    Contract(String),
}

impl Fault {
    fn of(self, plugin: String, ordinal: usize) -> GuestFailure {
        match self {
            Self::Limit(text) => {
                let limit = format!("event {ordinal} of the decision {text}");
                GuestFailure::Limit { plugin, call: "decide", limit }
            }
            Self::Contract(text) => {
                let cause = format!("event {ordinal} of the decision {text}");
                GuestFailure::Contract { plugin, call: "decide", cause }
            }
        }
    }
}

fn new_event(active: &ActiveAggregate, event: GuestEvent) -> Result<NewEvent, Fault> {
    let events = &active.description.events;
    let event_type = usize::try_from(event.event_type)
        .ok()
        .and_then(|index| events.get(index))
        .ok_or_else(|| {
            let (index, count) = (event.event_type, events.len());
            Fault::Contract(format!("has type index {index}, but {count} types are described"))
        })?;
    let bytes = event.data.len();
    if bytes > PAYLOAD_BYTES_MAX {
        return Err(Fault::Limit(format!(
            "has {bytes} bytes, at most {PAYLOAD_BYTES_MAX} are allowed"
        )));
    }
    if event_type.content_type == ContentType::Json {
        json::check(&event.data)
            .map_err(|error| Fault::Contract(format!("(`{}`) is {error}", event_type.name)))?;
    }
    Ok(NewEvent {
        id: None,
        event_type: event_type.name.clone(),
        schema_version: event_type.schema_version,
        content_type: event_type.content_type.clone(),
        data: Bytes::from(event.data),
        metadata: Bytes::new(),
    })
}

/// Longest code of a rejection, in bytes.
const REJECTION_CODE_BYTES_MAX: usize = 64;

/// Checks a rejection: a kebab-case code, a bounded text, JSON detail.
pub(crate) fn rejection(
    active: &ActiveAggregate,
    code: &str,
    message: &str,
    detail: Option<Vec<u8>>,
) -> Result<Rejection, GuestFailure> {
    let plugin = || active.description.name.to_string();
    let contract = |cause: String| GuestFailure::Contract {
        plugin: plugin(),
        call: "decide",
        cause: format!("the rejection {cause}"),
    };
    let is_kebab_case = !code.is_empty()
        && code.len() <= REJECTION_CODE_BYTES_MAX
        && code.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if !is_kebab_case {
        return Err(contract("has a code that is not kebab-case of at most 64 bytes".to_owned()));
    }
    let detail = detail.unwrap_or_default();
    let bytes = code.len() + message.len() + detail.len();
    if bytes > REJECTION_BYTES_MAX {
        let limit =
            format!("a rejection of {bytes} bytes, at most {REJECTION_BYTES_MAX} are allowed");
        return Err(GuestFailure::Limit { plugin: plugin(), call: "decide", limit });
    }
    if !detail.is_empty() {
        json::check(&detail).map_err(|error| contract(format!("has a detail that is {error}")))?;
    }
    Ok(Rejection { code: Arc::from(code), message: Arc::from(message), detail: detail.into() })
}
