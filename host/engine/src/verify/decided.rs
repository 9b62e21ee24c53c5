//! What a version says of a command, or what was recorded of it, and how the two differ.

use annals_core::command::Rejection;
use annals_core::commit::{Claim, Release};
use annals_core::event::{ContentType, NewEvent, RecordedEvent, SchemaVersion};
use annals_core::name::EventType;
use bytes::Bytes;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::outcome::is_same_data;
use crate::upcast::Shape;

/// How a command is decided otherwise than it was recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Drift {
    /// Accepted, rejected with another code, malformed, unknown or failed, where it was not.
    Outcome,
    /// Accepted as before, with other events.
    Events,
    /// The same events as before, with other claims or releases than the active version.
    Claims,
}

impl Drift {
    /// As it is written, e.g. `outcome`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Outcome => "outcome",
            Self::Events => "events",
            Self::Claims => "claims",
        }
    }
}

/// How two outcomes compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Likeness {
    /// In everything.
    Same,
    /// Rejected with the same code in another text or detail.
    OtherWords,
    /// In nothing that counts.
    Differs(Drift),
}

/// What was said of a command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Decided {
    Accepted(Vec<DecidedEvent>),
    Rejected(Rejection),
    Malformed(String),
    UnknownCommand,
    Failed(String),
}

/// An event without what only the log can give it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct DecidedEvent {
    event_type: EventType,
    schema_version: SchemaVersion,
    content_type: ContentType,
    data: Bytes,
}

/// What a version says of a command, with the claims it would take and release.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) decided: Decided,
    pub(super) claims: Vec<Claim>,
    pub(super) releases: Vec<Release>,
}

impl Said {
    /// A refusal or failure, which claims nothing.
    pub(super) const fn without_claims(decided: Decided) -> Self {
        Self { decided, claims: Vec::new(), releases: Vec::new() }
    }

    /// Whether both claim and release the same, in any order.
    pub(super) fn claims_like(&self, other: &Self) -> bool {
        is_same_set(&self.claims, &other.claims) && is_same_set(&self.releases, &other.releases)
    }

    /// Its claims, to look for differences in them.
    pub(super) fn claims_json(&self) -> Value {
        let claims = self.claims.iter().map(|claim| {
            let expires_at = claim.expires_at.map(|at| at.to_string());
            json!({"scope": &*claim.scope, "key": &*claim.key, "expires_at": expires_at})
        });
        let releases = self.releases.iter();
        let releases = releases.map(|one| json!({"scope": &*one.scope, "key": &*one.key}));
        json!({"claims": Value::from_iter(claims), "releases": Value::from_iter(releases)})
    }
}

/// Claims of a decision are few, and none is there twice.
fn is_same_set<T: PartialEq>(one: &[T], other: &[T]) -> bool {
    one.len() == other.len() && one.iter().all(|item| other.contains(item))
}

impl Decided {
    /// How this outcome compares with the recorded one.
    pub(super) fn compared_with(&self, recorded: &Self) -> Likeness {
        match (self, recorded) {
            (Self::Accepted(events), Self::Accepted(before)) => {
                let is_same = events.len() == before.len()
                    && events.iter().zip(before).all(|(event, before)| event.is_like(before));
                if is_same { Likeness::Same } else { Likeness::Differs(Drift::Events) }
            }
            (Self::Rejected(rejection), Self::Rejected(before))
                if rejection.code == before.code =>
            {
                let is_same_detail = rejection.detail == before.detail
                    || is_same_data(&rejection.detail, &before.detail);
                let is_same = rejection.message == before.message && is_same_detail;
                if is_same { Likeness::Same } else { Likeness::OtherWords }
            }
            _ => Likeness::Differs(Drift::Outcome),
        }
    }

    /// Whether two versions say the same of a command, words of a rejection aside. Failures are alike
    /// whatever their cause: backtraces of two builds differ.
    pub(super) fn is_like(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Malformed(_), Self::Malformed(_)) | (Self::Failed(_), Self::Failed(_)) => true,
            (Self::UnknownCommand, Self::UnknownCommand) => true,
            (one, other) => !matches!(one.compared_with(other), Likeness::Differs(_)),
        }
    }

    /// The outcome as JSON, to look for differences in it.
    pub(super) fn to_json(&self) -> Value {
        match self {
            Self::Accepted(events) => {
                let events = events.iter().map(DecidedEvent::to_json);
                json!({"outcome": "accepted", "events": Value::from_iter(events)})
            }
            Self::Rejected(Rejection { code, message, detail }) => {
                let mut members = Map::new();
                members.insert("outcome".to_owned(), json!("rejected"));
                members.insert("code".to_owned(), json!(&**code));
                members.insert("message".to_owned(), json!(&**message));
                if !detail.is_empty() {
                    members.insert("detail".to_owned(), value_of(detail));
                }
                Value::Object(members)
            }
            Self::Malformed(message) => json!({"outcome": "malformed", "message": message}),
            Self::UnknownCommand => json!({"outcome": "unknown-command"}),
            Self::Failed(cause) => json!({"outcome": "failed", "cause": cause}),
        }
    }
}

impl DecidedEvent {
    fn is_like(&self, before: &Self) -> bool {
        let is_same_kind = self.event_type == before.event_type
            && self.schema_version == before.schema_version
            && self.content_type == before.content_type;
        is_same_kind
            && (self.data == before.data
                || (self.content_type == ContentType::Json
                    && is_same_data(&self.data, &before.data)))
    }

    fn to_json(&self) -> Value {
        json!({
            "type": self.event_type.as_str(),
            "schema_version": self.schema_version,
            "data": value_of(&self.data),
        })
    }
}

impl From<NewEvent> for DecidedEvent {
    fn from(event: NewEvent) -> Self {
        Self {
            event_type: event.event_type,
            schema_version: event.schema_version,
            content_type: event.content_type,
            data: event.data,
        }
    }
}

impl From<&RecordedEvent> for DecidedEvent {
    fn from(event: &RecordedEvent) -> Self {
        Self {
            event_type: event.event_type.clone(),
            schema_version: event.schema_version,
            content_type: event.content_type.clone(),
            data: event.data.clone(),
        }
    }
}

impl From<&Shape> for DecidedEvent {
    fn from(shape: &Shape) -> Self {
        Self {
            event_type: shape.event_type.clone(),
            schema_version: shape.schema_version,
            content_type: shape.content_type.clone(),
            data: shape.data.clone(),
        }
    }
}

/// JSON as it is, anything else as a text.
pub(super) fn value_of(data: &[u8]) -> Value {
    serde_json::from_slice(data)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(data).into_owned()))
}
