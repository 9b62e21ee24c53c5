//! What a plugin uses, and its streams that are refused for now.

use annals_core::usage::{HandlerUsage, PluginUsage};
use annals_engine::plugins::PluginStatus;
use annals_engine::{QuarantinedStream, QuarantinedStreams};
use serde::Serialize;
use utoipa::ToSchema;

use super::PluginJson;
use crate::event::Time;

/// An installed plugin, with what it uses.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginDetails)]
pub(crate) struct PluginDetailsJson<'a> {
    #[serde(flatten)]
    plugin: PluginJson<'a>,
    /// What it has used on this host since it was loaded.
    usage: UsageJson,
    /// Its streams that are refused for now, as their commands made it fail again and again.
    quarantine: QuarantineJson<'a>,
}

impl<'a> PluginDetailsJson<'a> {
    pub(super) fn new(status: &'a PluginStatus) -> Self {
        Self {
            plugin: PluginJson::new(status),
            usage: UsageJson::new(&status.usage),
            quarantine: QuarantineJson::new(&status.quarantined),
        }
    }
}

/// What a plugin uses.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginUsage)]
pub(crate) struct UsageJson {
    /// Linear memory of all its sandboxes now.
    memory_bytes: u64,
    /// The most linear memory that one of its sandboxes ever held.
    memory_bytes_high: u64,
    /// Its resident entities now.
    entities_count: u64,
    /// Per function that was called.
    handlers: Vec<HandlerJson>,
}

impl UsageJson {
    fn new(usage: &PluginUsage) -> Self {
        Self {
            memory_bytes: usage.memory_bytes,
            memory_bytes_high: usage.memory_bytes_high,
            entities_count: usage.entities_count,
            handlers: usage.handlers.iter().map(HandlerJson::new).collect(),
        }
    }
}

/// What the calls of one function of a plugin used.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = HandlerUsage)]
pub(crate) struct HandlerJson {
    /// The function, e.g. `decide`.
    handler: &'static str,
    /// How often it was called.
    calls_count: u64,
    /// How much fuel it used: about the number of its instructions.
    fuel: u64,
    /// How long it took, all calls together.
    time_us: u64,
    /// What the host passed in.
    input_bytes: u64,
    /// What it passed back.
    output_bytes: u64,
    /// How often it stopped itself.
    traps_count: u64,
    /// How often it reached a limit.
    limits_count: u64,
    /// How often it broke the contract otherwise.
    breaches_count: u64,
}

impl HandlerJson {
    fn new(usage: &HandlerUsage) -> Self {
        Self {
            handler: usage.handler,
            calls_count: usage.calls_count,
            fuel: usage.fuel,
            time_us: usage.time_ns / 1_000,
            input_bytes: usage.input_bytes,
            output_bytes: usage.output_bytes,
            traps_count: usage.traps_count,
            limits_count: usage.limits_count,
            breaches_count: usage.breaches_count,
        }
    }
}

/// Streams that are refused for now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Quarantine)]
pub(crate) struct QuarantineJson<'a> {
    /// How many there are.
    streams_count: usize,
    /// At most 20 of them, those that failed last first.
    streams: Vec<QuarantinedJson<'a>>,
}

impl<'a> QuarantineJson<'a> {
    fn new(quarantined: &'a QuarantinedStreams) -> Self {
        let streams = quarantined.streams.iter().map(QuarantinedJson::new);
        Self { streams_count: quarantined.count, streams: streams.collect() }
    }
}

/// A stream that is refused for now.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = QuarantinedStream)]
pub(crate) struct QuarantinedJson<'a> {
    /// The stream.
    stream: &'a str,
    /// How often in a row its commands made the plugin fail.
    failures_count: u32,
    /// The last failure.
    cause: String,
    /// When a command is tried again (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    retry_at: Time,
}

impl<'a> QuarantinedJson<'a> {
    fn new(quarantined: &'a QuarantinedStream) -> Self {
        Self {
            stream: quarantined.stream.as_str(),
            failures_count: quarantined.failures_count,
            cause: quarantined.last_failure.summary(),
            retry_at: Time(quarantined.until),
        }
    }
}
