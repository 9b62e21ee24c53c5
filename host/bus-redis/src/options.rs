//! What can be set about the bus on Redis.

use std::fmt;
use std::num::NonZeroU64;
use std::time::Duration;

/// Settings of a [`RedisBus`](crate::RedisBus).
#[derive(Clone, PartialEq, Eq)]
pub struct RedisOptions {
    /// Where Redis is: `redis://user:password@host:6379/0`, or `rediss://…` for TLS. User, password,
    /// port and database can be left out. Is never printed, since it may hold a password.
    pub url: String,
    /// Certificates (PEM) of the authorities that a TLS server may have its certificate from.
    /// `None`: those that the operating system trusts.
    pub ca_certificates: Option<Vec<u8>>,
    /// Which streams and which channel are ours: 1 to
    /// [`NAMESPACE_BYTES_MAX`](crate::ConnectError::NAMESPACE_BYTES_MAX) lower-case letters, digits
    /// and hyphens.
    pub namespace: String,
    /// About how many entries a stream keeps; the oldest go first.
    pub stream_entries_max: NonZeroU64,
    /// Most bytes of data and metadata that a copy holds (inclusive). A larger event is published
    /// without them, and says where to read them.
    pub event_bytes_max: usize,
    /// Longest that connecting may take, with TLS and login.
    pub connect_wait_max: Duration,
    /// Longest that Redis may take to answer a command. After that the connection counts as lost.
    pub response_wait_max: Duration,
    /// First wait before connecting again; doubles up to `reconnect_wait_max`.
    pub reconnect_wait: Duration,
    /// Longest wait before connecting again.
    pub reconnect_wait_max: Duration,
}

impl RedisOptions {
    /// The defaults for the Redis at `url`.
    #[must_use]
    pub fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            ca_certificates: None,
            namespace: "default".to_owned(),
            stream_entries_max: NonZeroU64::MIN.saturating_add(999_999),
            event_bytes_max: 64 << 10,
            connect_wait_max: Duration::from_secs(5),
            response_wait_max: Duration::from_secs(5),
            reconnect_wait: Duration::from_millis(100),
            reconnect_wait_max: Duration::from_secs(10),
        }
    }
}

impl fmt::Debug for RedisOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Every field is named, so that a new one is thought about.
        let Self {
            url: _,
            ca_certificates,
            namespace,
            stream_entries_max,
            event_bytes_max,
            connect_wait_max,
            response_wait_max,
            reconnect_wait,
            reconnect_wait_max,
        } = self;
        f.debug_struct("RedisOptions")
            .field("url", &"…")
            .field("ca_certificates", &ca_certificates.as_ref().map(Vec::len))
            .field("namespace", namespace)
            .field("stream_entries_max", stream_entries_max)
            .field("event_bytes_max", event_bytes_max)
            .field("connect_wait_max", connect_wait_max)
            .field("response_wait_max", response_wait_max)
            .field("reconnect_wait", reconnect_wait)
            .field("reconnect_wait_max", reconnect_wait_max)
            .finish()
    }
}
