//! Checks of what aggregates say. Guests are hostile: every number and text is looked at here before
//! anything else uses it.

use std::collections::HashSet;
use std::sync::Arc;

use annals_core::command::Rejection;
use annals_core::commit::{CLAIM_PART_BYTES_MAX, Claim, Release};
use annals_core::event::{ContentType, NewEvent};
use annals_core::json;
use annals_core::limits::{COMMIT_ITEMS_MAX, PAYLOAD_BYTES_MAX, REJECTION_BYTES_MAX};
use annals_core::name::PluginName;
use annals_core::plugin::{Decision, GuestClaim, GuestEvent};
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
        let event = new_event(active, guest_event)
            .map_err(|fault| fault.of(plugin(), &format!("event {ordinal} of the decision")))?;
        checked.events.push(event);
        checked.event_indexes.push(index);
    }
    add_claims(&mut checked, stream, decision.claims, decision.releases)
        .map_err(|fault| fault.of(plugin(), "the decision"))?;
    Ok(checked)
}

enum Fault {
    Limit(String),
    Contract(String),
}

impl Fault {
    fn of(self, plugin: String, what: &str) -> GuestFailure {
        match self {
            Self::Limit(text) => {
                GuestFailure::Limit { plugin, call: "decide", limit: format!("{what} {text}") }
            }
            Self::Contract(text) => {
                GuestFailure::Contract { plugin, call: "decide", cause: format!("{what} {text}") }
            }
        }
    }
}

/// Most claims and releases of a decision; the stream itself is one item of the commit.
const DECISION_CLAIMS_MAX: usize = COMMIT_ITEMS_MAX - 1;

fn add_claims(
    checked: &mut CheckedDecision,
    stream: &StreamId,
    claims: Vec<GuestClaim>,
    releases: Vec<(String, String)>,
) -> Result<(), Fault> {
    let count = claims.len().saturating_add(releases.len());
    if count > DECISION_CLAIMS_MAX {
        return Err(Fault::Limit(format!(
            "has {count} claims and releases, at most {DECISION_CLAIMS_MAX} are allowed"
        )));
    }
    let mut claimed = HashSet::new();
    for claim in &claims {
        check_claim_parts(&claim.scope, &claim.key)?;
        if !claimed.insert((&claim.scope, &claim.key)) {
            return Err(Fault::Contract("claims a key twice".to_owned()));
        }
    }
    releases.iter().try_for_each(|(scope, key)| check_claim_parts(scope, key))?;
    checked.claims.extend(claims.into_iter().map(|claim| Claim {
        scope: Arc::from(claim.scope),
        key: Arc::from(claim.key),
        stream: stream.clone(),
        expires_at: claim.expires_at,
    }));
    checked.releases.extend(releases.into_iter().map(|(scope, key)| Release {
        scope: Arc::from(scope),
        key: Arc::from(key),
        stream: stream.clone(),
    }));
    Ok(())
}

fn check_claim_parts(scope: &str, key: &str) -> Result<(), Fault> {
    if !is_code(scope) {
        return Err(Fault::Contract(format!(
            "has a claim whose scope is not kebab-case of at most {CODE_BYTES_MAX} bytes"
        )));
    }
    if (1..=CLAIM_PART_BYTES_MAX).contains(&key.len()) {
        return Ok(());
    }
    Err(Fault::Limit(format!("has a claim whose key is not of 1 to {CLAIM_PART_BYTES_MAX} bytes")))
}

/// Checks that a snapshot is JSON, as the contract says.
pub(crate) fn state(plugin: &PluginName, data: &[u8]) -> Result<(), GuestFailure> {
    json::check(data).map_err(|error| GuestFailure::Contract {
        plugin: plugin.to_string(),
        call: "snapshot",
        cause: format!("the state is {error}"),
    })
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

/// Longest code of a rejection or scope of a claim, in bytes.
const CODE_BYTES_MAX: usize = 64;

/// Whether a text can be the code of a rejection or the scope of a claim.
fn is_code(text: &str) -> bool {
    (1..=CODE_BYTES_MAX).contains(&text.len())
        && text.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
}

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
    if !is_code(code) {
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
