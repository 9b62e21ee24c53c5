//! Why a bus cannot be made of its options.

use redis::RedisError;

/// Why a bus cannot be made of its options.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The URL does not say where Redis is. It is not repeated here: it may hold a password.
    #[error(
        "the URL of Redis is not valid: {cause}; write `redis://user:password@host:6379`, \
         `rediss://…` for TLS, with `%40` for an `@` and `%2F` for a `/` in user and password"
    )]
    Url {
        /// What is wrong with it.
        cause: String,
    },
    /// The namespace cannot be part of a key.
    #[error("`{namespace}` is not a namespace: use 1 to 64 lower-case letters, digits and hyphens")]
    Namespace {
        /// The namespace as it came, cut to a printable length.
        namespace: String,
    },
    /// The certificates are none.
    #[error("the certificates for TLS cannot be read: {cause}")]
    Certificates {
        /// What is wrong with them.
        cause: String,
    },
    /// There is no tokio runtime to run the network on.
    #[error("the bus on Redis must be made inside of a tokio runtime")]
    NoRuntime,
}

impl ConnectError {
    /// Longest namespace, in bytes.
    pub const NAMESPACE_BYTES_MAX: usize = 64;

    /// What the client library says about a URL. Its texts never repeat the URL.
    pub(crate) fn url(error: &RedisError) -> Self {
        let text = error.to_string();
        let cause = text.split(" - ").next().unwrap_or_default();
        Self::Url { cause: cause.to_owned() }
    }
}
