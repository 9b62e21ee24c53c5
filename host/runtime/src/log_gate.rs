//! Lines of one plugin on their way to the host's log: so many per second, the rest is counted.

use std::sync::{Arc, Mutex, PoisonError};

use annals_core::time::Clock;
use uuid::Uuid;

use crate::contract::v0_1_0::Level;
use crate::limits::RuntimeLimits;
use crate::text::printable;

/// What operators filter on to see, or not to see, what plugins log.
const TARGET: &str = "annals::plugin";

/// The gate that all sandboxes of one plugin share.
#[derive(Debug)]
pub(crate) struct LogGate {
    plugin: String,
    lines_per_second_max: u32,
    line_bytes_max: usize,
    clock: Arc<dyn Clock>,
    second: Mutex<Second>,
}

/// What happened in one second.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
struct Second {
    number: u64,
    kept_count: u32,
    dropped_count: u64,
}

impl LogGate {
    pub(crate) fn new(plugin: &str, limits: &RuntimeLimits, clock: &Arc<dyn Clock>) -> Self {
        Self {
            plugin: plugin.to_owned(),
            lines_per_second_max: limits.log_lines_per_second_max,
            line_bytes_max: limits.log_line_bytes_max,
            clock: Arc::clone(clock),
            second: Mutex::new(Second::default()),
        }
    }

    /// Writes `text` to the host's log, unless there were too many lines in this second.
    pub(crate) fn write(&self, level: Level, text: &str, message_id: Option<Uuid>) {
        if !self.admit() {
            return;
        }
        let line = printable(text, self.line_bytes_max);
        let message_id = message_id.map(tracing::field::display);
        let plugin = self.plugin.as_str();
        macro_rules! log {
            ($level:ident) => {
                tracing::$level!(target: TARGET, plugin, message_id, line, "plugin logged a line")
            };
        }
        match level {
            Level::Trace => log!(trace),
            Level::Debug => log!(debug),
            Level::Info => log!(info),
            Level::Warn => log!(warn),
            Level::Error => log!(error),
        }
    }

    fn admit(&self) -> bool {
        let number = self.clock.now().ms() / 1_000;
        let (is_admitted, over) = {
            // What is in there is valid at every moment, a panic elsewhere or not.
            let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
            let over = (second.number != number).then(|| {
                let over = *second;
                *second = Second { number, ..Second::default() };
                over
            });
            (second.admit(self.lines_per_second_max), over)
        };
        if let Some(over) = over {
            self.report(over);
        }
        is_admitted
    }

    fn report(&self, second: Second) {
        if second.dropped_count > 0 {
            tracing::warn!(
                target: TARGET,
                plugin = self.plugin.as_str(),
                dropped_count = second.dropped_count,
                lines_per_second_max = self.lines_per_second_max,
                "plugin logged too many lines in one second"
            );
        }
    }
}

impl Drop for LogGate {
    fn drop(&mut self) {
        let last = *self.second.get_mut().unwrap_or_else(PoisonError::into_inner);
        self.report(last);
    }
}

impl Second {
    fn admit(&mut self, lines_max: u32) -> bool {
        let is_admitted = self.kept_count < lines_max;
        if is_admitted {
            self.kept_count = self.kept_count.saturating_add(1);
        } else {
            self.dropped_count = self.dropped_count.saturating_add(1);
        }
        is_admitted
    }
}
