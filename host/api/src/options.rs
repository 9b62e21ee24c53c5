//! What can be set about the API, and its limits.

use std::time::Duration;

use annals_core::limits::{COMPONENT_BYTES_MAX, READ_EVENTS_MAX};

use crate::apps::Apps;

/// Settings of the API. Every limit has a documented answer when it is reached.
#[derive(Debug, Clone)]
pub struct ApiOptions {
    /// Largest JSON body, in bytes. Holds an append of the largest commit (3 MiB) with its envelope.
    pub body_bytes_max: usize,
    /// Largest component of a plugin, in bytes.
    pub component_bytes_max: usize,
    /// Bodies above 64 KiB being held at once, all together, in bytes; the next is refused as busy.
    pub bodies_bytes_max: usize,
    /// Longest pause inside a body before the request is given up.
    pub body_idle_max: Duration,
    /// Longest line of `POST /v1/commands`, in bytes. Holds the largest command (256 KiB) even when
    /// its envelope is generous.
    pub line_bytes_max: usize,
    /// Largest body of `POST /v1/commands`, in bytes.
    pub batch_bytes_max: u64,
    /// Commands of one `POST /v1/commands` decided at once; reading goes no further ahead.
    pub batch_in_flight_max: usize,
    /// Batches of commands served at once; the next is refused as busy.
    pub batches_in_flight_max: usize,
    /// Longest wait for the outcome of a command, or for an append to be durable.
    pub outcome_wait_max: Duration,
    /// Most events or commands of one page.
    pub page_events_max: usize,
    /// Most rows of one page.
    pub page_rows_max: usize,
    /// Longest wait a request may ask for by `wait_ms`.
    pub wait_max: Duration,
    /// Requests being answered at once, health probes and event streams not counted; the next is
    /// refused as busy.
    pub requests_in_flight_max: usize,
    /// Event streams (`text/event-stream`) open at once; the next is refused as busy.
    pub event_streams_max: usize,
    /// Most events an event stream reads ahead of its client.
    pub event_stream_page_events_max: usize,
    /// After having caught up, an event stream that is more than so many events behind the head is
    /// told that it fell behind, and goes on.
    pub event_stream_behind_events_max: u64,
    /// An event stream whose client takes nothing for so long is told that it fell behind, and ends.
    pub event_stream_stalled_max: Duration,
    /// How often an event stream without events says that it lives.
    pub heartbeat: Duration,
    /// Longest wait of the readiness probe for the store.
    pub ready_wait_max: Duration,
    /// What `retry-after` says when the host is busy, in whole seconds.
    pub retry_after: Duration,
    /// The pages that are served beside the API.
    pub apps: Apps,
}

impl Default for ApiOptions {
    fn default() -> Self {
        Self {
            body_bytes_max: 8 << 20,
            component_bytes_max: COMPONENT_BYTES_MAX,
            bodies_bytes_max: 256 << 20,
            body_idle_max: Duration::from_secs(30),
            line_bytes_max: 512 << 10,
            batch_bytes_max: 1 << 30,
            batch_in_flight_max: 1_024,
            batches_in_flight_max: 256,
            outcome_wait_max: Duration::from_secs(30),
            page_events_max: READ_EVENTS_MAX,
            page_rows_max: 1_000,
            wait_max: Duration::from_secs(60),
            requests_in_flight_max: 4_096,
            event_streams_max: 16_384,
            event_stream_page_events_max: 256,
            event_stream_behind_events_max: 10_000,
            event_stream_stalled_max: Duration::from_mins(1),
            heartbeat: Duration::from_secs(15),
            ready_wait_max: Duration::from_secs(2),
            retry_after: Duration::from_secs(1),
            apps: Apps::default(),
        }
    }
}
