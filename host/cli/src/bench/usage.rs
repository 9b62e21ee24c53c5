//! What this process used: CPU seconds and the most memory, from `/proc` (proc(5)).

use anyhow::Context as _;
use serde::Serialize;

/// What a process used.
#[derive(Debug, Clone, Copy, Serialize)]
pub(super) struct Usage {
    /// CPU time in user mode, in seconds.
    pub(super) user_seconds: f64,
    /// CPU time in the kernel, in seconds.
    pub(super) system_seconds: f64,
    /// The most memory it ever held, in bytes.
    pub(super) memory_bytes_peak: u64,
}

/// Clock ticks per second in `/proc/self/stat`: fixed by the kernel's interface on Linux.
const TICKS_PER_SECOND: f64 = 100.0;

impl Usage {
    /// What this process used so far.
    pub(super) fn of_this_process() -> anyhow::Result<Self> {
        let stat = std::fs::read_to_string("/proc/self/stat").context("no /proc/self/stat")?;
        // The name of the process is in parentheses and may hold anything; fields follow it.
        let (_, fields) = stat.rsplit_once(')').context("/proc/self/stat has no name")?;
        let mut ticks = fields.split_whitespace().skip(11).map(str::parse::<f64>);
        let mut seconds = || -> anyhow::Result<f64> {
            Ok(ticks.next().context("/proc/self/stat is short")?? / TICKS_PER_SECOND)
        };
        let (user_seconds, system_seconds) = (seconds()?, seconds()?);
        let status = std::fs::read_to_string("/proc/self/status").context("no /proc/self/status")?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kilobytes = peak.and_then(|peak| peak.split_whitespace().next()).unwrap_or("0");
        let memory_bytes_peak = kilobytes.parse::<u64>()? * 1024;
        Ok(Self { user_seconds, system_seconds, memory_bytes_peak })
    }

    /// What was used since `before`; the peak is that of the whole run.
    pub(super) fn since(self, before: Self) -> Self {
        Self {
            user_seconds: self.user_seconds - before.user_seconds,
            system_seconds: self.system_seconds - before.system_seconds,
            memory_bytes_peak: self.memory_bytes_peak,
        }
    }
}
