//! What goes wrong with Redis, in words for an operator.

use std::sync::Arc;

use annals_core::error::{DriverError, ErrorChain};
use redis::{ErrorKind, RedisError};

const TOO_OLD: &str = "this Redis is too old: version 6 or later is needed";

/// What a command, or connecting, failed with.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: FailureKind,
    pub(crate) error: DriverError,
    /// The code that Redis answered with, if it answered.
    pub(crate) code: Option<Arc<str>>,
}

/// What a failure says about the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FailureKind {
    /// There is no connection, or it is of no use any more.
    Lost,
    /// The server that answered cannot do it now; another one at the same address may.
    Elsewhere,
    /// The command was refused, and the connection is fine.
    Refused,
}

impl Failure {
    /// A failure as the client library tells it.
    pub(crate) fn of(error: &RedisError) -> Self {
        let code: Option<Arc<str>> = error.code().map(Arc::from);
        let (kind, text) = match error.code() {
            Some(code) => of_code(code, error.detail().unwrap_or_default()),
            None if error.kind() == ErrorKind::RESP3NotSupported => {
                (FailureKind::Elsewhere, TOO_OLD)
            }
            None if error.is_timeout() => {
                (FailureKind::Lost, "Redis does not answer in the time it has")
            }
            None => (FailureKind::Lost, "Redis cannot be reached"),
        };
        let said = match (&code, error.detail()) {
            (Some(code), Some(detail)) => format!("{code} {detail}"),
            (Some(code), None) => code.to_string(),
            (None, _) => error.to_string(),
        };
        let error = DriverError::with_source(text, DriverError::new(&said));
        Self { kind, error, code }
    }

    /// A failure that no server told.
    pub(crate) fn new(kind: FailureKind, message: &str) -> Self {
        Self { kind, error: DriverError::new(message), code: None }
    }

    /// Whether the text of Redis has these words.
    pub(crate) fn says(&self, words: &str) -> bool {
        ErrorChain(&self.error).to_string().contains(words)
    }

    pub(crate) fn is_code(&self, code: &str) -> bool {
        self.code.as_deref() == Some(code)
    }
}

/// What a code of Redis means for us.
fn of_code(code: &str, detail: &str) -> (FailureKind, &'static str) {
    use FailureKind::{Elsewhere, Refused};
    match code {
        "NOAUTH" => (Elsewhere, "Redis wants a user or a password: put them into its URL"),
        "WRONGPASS" => (Elsewhere, "Redis refuses the user or the password of its URL"),
        "NOPERM" => (Refused, "the user of Redis lacks a permission"),
        "LOADING" => (Elsewhere, "Redis is still loading its data"),
        "READONLY" => (Elsewhere, "this Redis is a replica, which takes no writes"),
        "MASTERDOWN" => (Elsewhere, "this Redis is a replica without its primary"),
        "OOM" => (Refused, "Redis has no memory left (`maxmemory`)"),
        "MISCONF" => (Refused, "Redis takes no writes, because it cannot save them"),
        "NOREPLICAS" => (Refused, "Redis takes no writes, because it lacks replicas"),
        "WRONGTYPE" => (Refused, "the key holds something else than a stream: delete it"),
        "MOVED" | "ASK" | "CROSSSLOT" | "CLUSTERDOWN" | "TRYAGAIN" => (
            Refused,
            "this is a Redis Cluster, which is not supported: name the server of the keys",
        ),
        _ if detail.contains("unknown command") => (Refused, TOO_OLD),
        _ => (Refused, "Redis refuses"),
    }
}
