//! What it runs on, and what it costs: read from `/proc`, as far as it is there.

use std::time::Duration;

use serde::Serialize;

/// The machine.
#[derive(Debug, Serialize)]
pub(super) struct Machine {
    /// How many cores this process may use.
    pub(super) cores: usize,
    /// Their name.
    pub(super) cpu: String,
    /// All its memory.
    pub(super) memory_bytes: u64,
    /// Its operating system.
    pub(super) kernel: String,
}

impl Machine {
    /// This machine.
    pub(super) fn this() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let cpu = field("/proc/cpuinfo", "model name").unwrap_or_else(|| "unknown".to_owned());
        let memory_bytes = field("/proc/meminfo", "MemTotal").and_then(|text| kib(&text));
        let kernel = read("/proc/sys/kernel/osrelease").trim().to_owned();
        Self { cores, cpu, memory_bytes: memory_bytes.unwrap_or(0), kernel }
    }
}

/// What this process has used since it began.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Usage {
    /// Time of all cores.
    pub(super) cpu: Duration,
    /// Most memory at once.
    pub(super) peak_memory_bytes: u64,
}

/// How long a tick of `/proc/self/stat` is, in milliseconds: `USER_HZ` is 100 on every machine.
const TICK_MS: u64 = 10;

/// The fields of `/proc/self/stat` after the program's name that are time in user and kernel mode.
const TIME_FIELDS: std::ops::Range<usize> = 11..13;

impl Usage {
    /// Up to now.
    pub(super) fn now() -> Self {
        let stat = read("/proc/self/stat");
        let after_name = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let fields: Vec<_> = after_name.split_whitespace().collect();
        let times = fields.get(TIME_FIELDS).unwrap_or_default();
        let ticks: u64 = times.iter().filter_map(|ticks| ticks.parse::<u64>().ok()).sum();
        let peak = field("/proc/self/status", "VmHWM").and_then(|text| kib(&text));
        Self { cpu: Duration::from_millis(ticks * TICK_MS), peak_memory_bytes: peak.unwrap_or(0) }
    }

    /// What was used since an earlier moment.
    pub(super) fn since(self, earlier: Self) -> Self {
        Self { cpu: self.cpu.saturating_sub(earlier.cpu), ..self }
    }
}

/// A file of `/proc`; empty where there is none.
fn read(path: &str) -> String {
    std::fs::read_to_string(path).unwrap_or_default()
}

/// The value of the first line `name: value`.
fn field(path: &str, name: &str) -> Option<String> {
    let text = read(path);
    let line = text.lines().find(|line| line.starts_with(name))?;
    line.split_once(':').map(|(_, value)| value.trim().to_owned())
}

/// Bytes of `123 kB`.
fn kib(text: &str) -> Option<u64> {
    text.strip_suffix("kB")?.trim().parse::<u64>().ok()?.checked_mul(1 << 10)
}
