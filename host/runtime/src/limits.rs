//! What a plugin may use. Reaching a limit is a plugin failure that names it, never an event.

use std::collections::BTreeMap;
use std::time::Duration;

use annals_core::limits::{COMPONENT_BYTES_MAX, ROW_KEY_BYTES_MAX};
use annals_core::name::PluginName;

/// What a plugin may use, each with its configuration key `limits.<field>`. All bounds are
/// inclusive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RuntimeLimits {
    /// Largest component file, in bytes.
    pub component_bytes_max: usize,
    /// Most functions of a component. An interpreter with its libraries has some 50 000.
    pub component_functions_max: usize,
    /// Largest function of a component, in bytes. Compiling takes more than linear time in it.
    pub function_bytes_max: usize,
    /// Longest that compiling may take. Nothing is compiled that is in the compile cache.
    pub compile_wait_max: Duration,
    /// Fuel of `decide`, and of the fixed part of every other call: about 50 ms of work.
    pub decide_fuel_max: u64,
    /// What every event of `evolve`, `project` and `correlate` adds to the fuel of the call: about
    /// 0.5 ms.
    pub event_fuel_max: u64,
    /// What every event of `upcast` adds to the fuel of the call: about 5 ms.
    pub upcast_fuel_max: u64,
    /// Fuel of `on-event`, `on-timer` and `on-reply`: about 50 ms of work.
    pub react_fuel_max: u64,
    /// Most fuel of a call with many events, of making a sandbox and of `describe`: about 500 ms.
    pub bulk_fuel_max: u64,
    /// Most linear memory of a sandbox, in bytes, over all its memories.
    pub memory_bytes_max: usize,
    /// Most table elements of a sandbox, over all its tables. One takes 8 bytes.
    pub table_elements_max: usize,
    /// Most core instances, and most memories, of a sandbox. One component of a linked Python has
    /// some 30.
    pub instances_max: usize,
    /// Most bytes the host passes in one call, or answers to one call of the guest.
    pub input_bytes_max: usize,
    /// Most bytes a guest passes to the host in one call or answer, as the host holds them.
    pub output_bytes_max: usize,
    /// Most entities of one sandbox.
    pub entities_max: usize,
    /// Most rows of one `view.get-many`.
    pub view_keys_max: usize,
    /// Most rows of one `view.scan`; it answers no more.
    pub view_scan_rows_max: u32,
    /// Most lines per second and plugin that reach the host's log; the rest is counted.
    pub log_lines_per_second_max: u32,
    /// Longest line, in bytes; it is cut.
    pub log_line_bytes_max: usize,
}

impl Default for RuntimeLimits {
    fn default() -> Self {
        Self {
            component_bytes_max: COMPONENT_BYTES_MAX,
            component_functions_max: 200_000,
            function_bytes_max: 1 << 20,
            compile_wait_max: Duration::from_secs(60),
            decide_fuel_max: 200_000_000,
            event_fuel_max: 2_000_000,
            upcast_fuel_max: 20_000_000,
            react_fuel_max: 200_000_000,
            bulk_fuel_max: 2_000_000_000,
            memory_bytes_max: 64 << 20,
            table_elements_max: 1 << 18,
            instances_max: 256,
            input_bytes_max: 8 << 20,
            output_bytes_max: 64 << 20,
            entities_max: 100_000,
            view_keys_max: 10_000,
            view_scan_rows_max: 1_000,
            log_lines_per_second_max: 100,
            log_line_bytes_max: 8 << 10,
        }
    }
}

/// Longest bound of a scan, in bytes: a key with a zero byte appended, to go on after it.
pub(crate) const SCAN_BOUND_BYTES_MAX: usize = ROW_KEY_BYTES_MAX + 1;

/// The stack of a guest, in bytes: wasmtime's default. Threads that call guests need more than this.
pub(crate) const STACK_BYTES: usize = 512 << 10;

/// Most components compiled at once. A compile that takes too long cannot be broken off, so this is also
/// how many threads such components can keep busy.
pub(crate) const COMPILES_IN_FLIGHT_MAX: usize = 2;

/// The limits of all plugins, and those of some by name.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PluginLimits {
    general: RuntimeLimits,
    by_name: BTreeMap<PluginName, RuntimeLimits>,
}

impl PluginLimits {
    /// `general` for all plugins but those in `by_name`.
    #[must_use]
    pub const fn new(general: RuntimeLimits, by_name: BTreeMap<PluginName, RuntimeLimits>) -> Self {
        Self { general, by_name }
    }

    /// What the plugin `name` may use.
    #[must_use]
    pub fn of(&self, name: &PluginName) -> &RuntimeLimits {
        self.by_name.get(name).unwrap_or(&self.general)
    }

    /// What a component may use while its name is not known: the most that any plugin may.
    #[must_use]
    pub fn of_nameless(&self) -> RuntimeLimits {
        self.by_name.values().fold(self.general.clone(), RuntimeLimits::larger)
    }
}

impl From<RuntimeLimits> for PluginLimits {
    fn from(general: RuntimeLimits) -> Self {
        Self::new(general, BTreeMap::new())
    }
}

/// How much fuel one call gets, and what its limit is called.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Budget {
    pub(crate) fuel: u64,
    pub(crate) key: &'static str,
}

impl RuntimeLimits {
    /// Of each limit the larger one.
    fn larger(self, other: &Self) -> Self {
        Self {
            component_bytes_max: self.component_bytes_max.max(other.component_bytes_max),
            component_functions_max: self
                .component_functions_max
                .max(other.component_functions_max),
            function_bytes_max: self.function_bytes_max.max(other.function_bytes_max),
            compile_wait_max: self.compile_wait_max.max(other.compile_wait_max),
            decide_fuel_max: self.decide_fuel_max.max(other.decide_fuel_max),
            event_fuel_max: self.event_fuel_max.max(other.event_fuel_max),
            upcast_fuel_max: self.upcast_fuel_max.max(other.upcast_fuel_max),
            react_fuel_max: self.react_fuel_max.max(other.react_fuel_max),
            bulk_fuel_max: self.bulk_fuel_max.max(other.bulk_fuel_max),
            memory_bytes_max: self.memory_bytes_max.max(other.memory_bytes_max),
            table_elements_max: self.table_elements_max.max(other.table_elements_max),
            instances_max: self.instances_max.max(other.instances_max),
            input_bytes_max: self.input_bytes_max.max(other.input_bytes_max),
            output_bytes_max: self.output_bytes_max.max(other.output_bytes_max),
            entities_max: self.entities_max.max(other.entities_max),
            view_keys_max: self.view_keys_max.max(other.view_keys_max),
            view_scan_rows_max: self.view_scan_rows_max.max(other.view_scan_rows_max),
            log_lines_per_second_max: self
                .log_lines_per_second_max
                .max(other.log_lines_per_second_max),
            log_line_bytes_max: self.log_line_bytes_max.max(other.log_line_bytes_max),
        }
    }

    /// Most component handles of a store: the entities, and some for the guest's own use.
    pub(crate) fn handles_max(&self) -> usize {
        self.entities_max.saturating_add(1_000)
    }

    /// For calls whose work does not grow with their input.
    pub(crate) fn decide_budget(&self) -> Budget {
        Budget { fuel: self.decide_fuel_max, key: "decide_fuel_max" }
    }

    /// For calls over `events_count` events.
    pub(crate) fn events_budget(&self, events_count: usize) -> Budget {
        let events_count = u64::try_from(events_count).unwrap_or(u64::MAX);
        let wanted =
            self.event_fuel_max.saturating_mul(events_count).saturating_add(self.decide_fuel_max);
        if wanted < self.bulk_fuel_max {
            Budget { fuel: wanted, key: "event_fuel_max" }
        } else {
            self.bulk_budget()
        }
    }

    /// For `upcast` of `events_count` events.
    pub(crate) fn upcast_budget(&self, events_count: usize) -> Budget {
        let events_count = u64::try_from(events_count).unwrap_or(u64::MAX);
        let wanted = self.upcast_fuel_max.saturating_mul(events_count.max(1));
        if wanted < self.bulk_fuel_max {
            Budget { fuel: wanted, key: "upcast_fuel_max" }
        } else {
            self.bulk_budget()
        }
    }

    /// For a reaction of a process manager.
    pub(crate) fn react_budget(&self) -> Budget {
        Budget { fuel: self.react_fuel_max, key: "react_fuel_max" }
    }

    /// For making a sandbox and for `describe`.
    pub(crate) fn bulk_budget(&self) -> Budget {
        Budget { fuel: self.bulk_fuel_max, key: "bulk_fuel_max" }
    }
}

/// A number of bytes for people: `64 MiB`, `8 KiB`, `100 bytes`.
pub(crate) fn bytes_text(bytes: usize) -> String {
    const KIB: usize = 1 << 10;
    const MIB: usize = 1 << 20;
    match bytes {
        0 => "0 bytes".to_owned(),
        _ if bytes.is_multiple_of(MIB) => format!("{} MiB", bytes / MIB),
        _ if bytes.is_multiple_of(KIB) => format!("{} KiB", bytes / KIB),
        _ => format!("{bytes} bytes"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fuel_grows_with_the_events_up_to_the_bulk_limit() {
        // Guards that a long history gets more than one event, and no history more than the limit.
        let limits = RuntimeLimits {
            decide_fuel_max: 100,
            event_fuel_max: 10,
            bulk_fuel_max: 150,
            ..RuntimeLimits::default()
        };
        let budget = |events_count| {
            let Budget { fuel, key } = limits.events_budget(events_count);
            (fuel, key)
        };
        assert_eq!(budget(1), (110, "event_fuel_max"));
        assert_eq!(budget(5), (150, "bulk_fuel_max"));
        assert_eq!(budget(usize::MAX), (150, "bulk_fuel_max"));
        let limits = RuntimeLimits { upcast_fuel_max: 40, ..limits };
        let budgets = [1, 3, 4].map(|events_count| limits.upcast_budget(events_count));
        assert_eq!(
            budgets.map(|Budget { fuel, key }| (fuel, key)),
            [(40, "upcast_fuel_max"), (120, "upcast_fuel_max"), (150, "bulk_fuel_max")]
        );
        let Budget { fuel, key } = RuntimeLimits { react_fuel_max: 70, ..limits }.react_budget();
        assert_eq!((fuel, key), (70, "react_fuel_max"));
    }

    #[test]
    fn byte_counts_read_well() {
        // Guards the text of limits in failures.
        assert_eq!(
            [0, 100, 8 << 10, 64 << 20].map(bytes_text),
            ["0 bytes", "100 bytes", "8 KiB", "64 MiB"]
        );
    }
}
