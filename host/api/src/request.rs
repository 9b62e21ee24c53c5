//! Reading requests: headers, path, query and body, each parsed at the edge and trusted inside.

pub(crate) mod body;
pub(crate) mod headers;
pub(crate) mod path;
pub(crate) mod query;

use axum::http::HeaderValue;

/// The id of a request: the client's, when it gave a valid one. In the extensions of each request.
#[derive(Debug, Clone)]
pub(crate) struct RequestId(pub(crate) HeaderValue);

impl RequestId {
    /// The id as text.
    pub(crate) fn as_str(&self) -> &str {
        // Made of visible ASCII only, which is text.
        self.0.to_str().unwrap_or_default()
    }
}
