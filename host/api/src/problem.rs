//! Problems: what a caller is told when a call fails (RFC 9457), and what only the log is told.
//!
//! A handler returns a `Problem`; `layer.rs` knows the request id, logs the internal part and writes
//! the body. `engine.rs` and `store.rs` turn the errors of others into problems, `code.rs` has the
//! codes.

mod code;
mod engine;
mod schedule;
mod store;
mod subscription;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::error::Error;

use annals_core::error::ErrorChain;
use annals_core::name::InvalidName;
use axum::body::Body;
use axum::http::{HeaderValue, header};
use axum::response::{IntoResponse, Response};
use bytes::Bytes;
use serde::ser::SerializeMap as _;
use serde::{Serialize, Serializer};
use tracing::error;

use crate::json::{self, RawJson};

pub use code::Code;
pub(crate) use engine::{STOPPING, bad_stream_id, outcome_unknown, unknown_stream};

/// Why a call has no answer.
#[derive(Debug, Clone)]
pub(crate) struct Problem(Box<Parts>);

#[derive(Debug, Clone)]
struct Parts {
    code: Code,
    detail: Cow<'static, str>,
    members: Vec<(&'static str, Member)>,
    // When trying again makes sense, where that is known better than in general.
    retry_after_s: Option<u64>,
    // For the log alone.
    internal: Option<String>,
}

/// A further fact a client can use.
#[derive(Debug, Clone)]
pub(crate) enum Member {
    /// A text.
    Text(String),
    /// A number, or null.
    Number(Option<u64>),
    /// Yes or no.
    Bool(bool),
    /// Several texts.
    Texts(Vec<String>),
    /// A JSON value as it is.
    Raw(Bytes),
}

impl Problem {
    /// A problem told in a sentence that says what to do next.
    pub(crate) fn new(code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        let detail = detail.into();
        Self(Box::new(Parts {
            code,
            detail,
            members: Vec::new(),
            retry_after_s: None,
            internal: None,
        }))
    }

    /// Adds a fact.
    #[must_use]
    pub(crate) fn with(mut self, name: &'static str, member: impl Into<Member>) -> Self {
        self.0.members.push((name, member.into()));
        self
    }

    /// Says when trying again makes sense, in seconds.
    #[must_use]
    pub(crate) fn retry_after(mut self, seconds: u64) -> Self {
        self.0.retry_after_s = Some(seconds);
        self
    }

    /// Adds what only the log is told.
    #[must_use]
    pub(crate) fn caused_by(mut self, cause: &(dyn Error + 'static)) -> Self {
        self.0.internal = Some(ErrorChain(cause).to_string());
        self
    }

    /// The same facts under another code, in another sentence.
    #[must_use]
    pub(crate) fn instead(mut self, code: Code, detail: impl Into<Cow<'static, str>>) -> Self {
        self.0.code = code;
        self.0.detail = detail.into();
        self
    }

    /// The fact of that name, where it is a text.
    fn text(&self, name: &str) -> Option<&str> {
        self.0.members.iter().find_map(|(known, member)| match member {
            Member::Text(text) if *known == name => Some(text.as_str()),
            _ => None,
        })
    }

    pub(crate) fn code(&self) -> Code {
        self.0.code
    }

    /// Tells the log what the client is not told.
    pub(crate) fn log(&self, request_id: &str) {
        if let Some(cause) = &self.0.internal {
            let code = self.0.code.as_str();
            let failure_id = self.text("failure_id");
            error!(request_id, code, failure_id, error = %cause, "request failed");
        }
    }

    /// Writes the problem into a response, keeping the headers that are there.
    pub(crate) fn write_into(
        &self,
        response: &mut Response,
        request_id: &str,
        retry_after: &HeaderValue,
    ) {
        let code = self.0.code;
        let body = self.body(Some(request_id));
        let headers = response.headers_mut();
        headers.remove(header::CONTENT_LENGTH);
        headers.insert(header::CONTENT_TYPE, PROBLEM_JSON);
        if matches!(code, Code::Busy | Code::Unavailable | Code::Stopping) {
            headers.insert(header::RETRY_AFTER, retry_after.clone());
        }
        if let Some(seconds) = self.0.retry_after_s {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        *response.status_mut() = code.status();
        *response.body_mut() = Body::from(body);
    }

    fn body(&self, request_id: Option<&str>) -> Vec<u8> {
        // A problem is a map with text keys, which always has a JSON form.
        json::to_vec(&ProblemBody { problem: self, request_id }).unwrap_or_default()
    }
}

const PROBLEM_JSON: HeaderValue = HeaderValue::from_static("application/problem+json");

/// The JSON form of a problem.
#[derive(Debug)]
pub(crate) struct ProblemBody<'a> {
    pub(crate) problem: &'a Problem,
    pub(crate) request_id: Option<&'a str>,
}

impl Serialize for ProblemBody<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Parts { code, detail, members, retry_after_s: _, internal: _ } = &*self.problem.0;
        let mut map = serializer.serialize_map(None)?;
        // Without `type`, which means `about:blank`, the title is the phrase of the status.
        map.serialize_entry("title", code.status().canonical_reason().unwrap_or_default())?;
        map.serialize_entry("status", &code.status().as_u16())?;
        map.serialize_entry("code", code.as_str())?;
        map.serialize_entry("detail", detail)?;
        if let Some(request_id) = self.request_id {
            map.serialize_entry("request_id", request_id)?;
        }
        for (name, member) in members {
            map.serialize_entry(name, member)?;
        }
        map.end()
    }
}

impl Serialize for Member {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => text.serialize(serializer),
            Self::Number(number) => number.serialize(serializer),
            Self::Bool(is_so) => is_so.serialize(serializer),
            Self::Texts(texts) => texts.serialize(serializer),
            Self::Raw(bytes) => RawJson(bytes).serialize(serializer),
        }
    }
}

impl From<String> for Member {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<&str> for Member {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<usize> for Member {
    fn from(number: usize) -> Self {
        Self::Number(u64::try_from(number).ok())
    }
}

impl From<Option<u64>> for Member {
    fn from(number: Option<u64>) -> Self {
        Self::Number(number)
    }
}

impl From<bool> for Member {
    fn from(is_so: bool) -> Self {
        Self::Bool(is_so)
    }
}

/// Names there are, for a client that asked for another.
impl<N: ToString> From<&[N]> for Member {
    fn from(names: &[N]) -> Self {
        Self::Texts(names.iter().map(ToString::to_string).collect())
    }
}

impl From<InvalidName> for Problem {
    fn from(error: InvalidName) -> Self {
        Self::new(Code::BadName, format!("{error}."))
    }
}

/// Carried to [`crate::layer`] as an extension of an empty response.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.0.code.status();
        response.extensions_mut().insert(self);
        response
    }
}
