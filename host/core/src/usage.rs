//! What plugins use, added up per plugin and handler since the plugin was loaded.

use serde::Serialize;

/// What one plugin has used on this host since it was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize)]
pub struct PluginUsage {
    /// Per function that was called at least once, in a fixed order.
    pub handlers: Vec<HandlerUsage>,
    /// Linear memory of all its sandboxes now, in bytes.
    pub memory_bytes: u64,
    /// The most linear memory that one of its sandboxes ever held, in bytes.
    pub memory_bytes_high: u64,
    /// Resident entities of all its sandboxes now.
    pub entities_count: u64,
}

/// What the calls of one function used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
pub struct HandlerUsage {
    /// The function, e.g. `decide`.
    pub handler: &'static str,
    /// How often it was called.
    pub calls_count: u64,
    /// How much fuel it used: about the number of its instructions.
    pub fuel: u64,
    /// How long it took, in nanoseconds.
    pub time_ns: u64,
    /// What the host passed in, in bytes.
    pub input_bytes: u64,
    /// What it passed back, in bytes: data alone, without the columns beside it.
    pub output_bytes: u64,
    /// How often it stopped itself.
    pub traps_count: u64,
    /// How often it reached a limit.
    pub limits_count: u64,
    /// How often it broke the contract otherwise.
    pub breaches_count: u64,
}

impl HandlerUsage {
    /// Whether it was called at all.
    #[must_use]
    pub const fn is_used(&self) -> bool {
        self.calls_count > 0 || self.failures_count() > 0
    }

    /// How often it failed, in whichever way.
    #[must_use]
    pub const fn failures_count(&self) -> u64 {
        self.traps_count.saturating_add(self.limits_count).saturating_add(self.breaches_count)
    }
}
