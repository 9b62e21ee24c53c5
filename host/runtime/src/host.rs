//! What a sandbox holds on the host's side, and what the host does for the guest in it.

pub(crate) mod log;
pub(crate) mod view;

use std::fmt;
use std::sync::Arc;

use annals_core::port::guest::ViewReader;
use uuid::Uuid;
use wasmtime::{ResourceLimiter, StoreContextMut, Trap};

use crate::failure::HostStop;
use crate::limits::{RuntimeLimits, bytes_text};
use crate::log_gate::LogGate;
use crate::meter::Meter;

/// The data of a store.
pub(crate) struct HostState {
    pub(crate) limits: Arc<RuntimeLimits>,
    /// Where log lines go; nowhere while the plugin describes itself.
    pub(crate) log: Option<Arc<LogGate>>,
    /// The message that is handled, for log lines.
    pub(crate) message_id: Option<Uuid>,
    /// The last line of level `error` that was logged in this call.
    pub(crate) last_error: Option<String>,
    /// The view, while a call may read it.
    pub(crate) view: Option<Arc<dyn ViewReader>>,
    /// How many tables the view has.
    pub(crate) tables_count: usize,
    /// Where what it uses is counted.
    pub(crate) meter: Option<Arc<Meter>>,
    memory: Usage,
    tables: Usage,
}

impl HostState {
    pub(crate) fn new(limits: &Arc<RuntimeLimits>) -> Self {
        Self {
            limits: Arc::clone(limits),
            log: None,
            message_id: None,
            last_error: None,
            view: None,
            tables_count: 0,
            meter: None,
            memory: Usage::default(),
            tables: Usage::default(),
        }
    }

    /// Forgets what belongs to one call.
    pub(crate) fn start_call(&mut self) {
        self.message_id = None;
        self.last_error = None;
        self.view = None;
    }

    /// How much linear memory the sandbox holds.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.memory.used
    }
}

impl Drop for HostState {
    fn drop(&mut self) {
        if let Some(meter) = &self.meter {
            meter.memory_returned(self.memory.used);
        }
    }
}

impl fmt::Debug for HostState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HostState")
            .field("memory_bytes", &self.memory.used)
            .field("table_elements", &self.tables.used)
            .finish_non_exhaustive()
    }
}

/// What is used of something over all memories, or all tables, of a store.
#[derive(Debug, Default)]
struct Usage {
    used: usize,
    /// What the growth that is under way adds; given back when it fails.
    growing: usize,
}

impl Usage {
    /// Counts a growth. `false`: it would exceed `max`.
    fn grow(&mut self, current: usize, desired: usize, max: usize) -> bool {
        let growing = desired.saturating_sub(current);
        let used = self.used.saturating_add(growing);
        let is_allowed = used <= max;
        if is_allowed {
            (self.used, self.growing) = (used, growing);
        }
        is_allowed
    }

    /// Takes back the growth that is under way; returns how much it was.
    fn undo(&mut self) -> usize {
        let growing = std::mem::take(&mut self.growing);
        self.used = self.used.saturating_sub(growing);
        growing
    }
}

/// A refusal ends the call instead of answering -1 to the guest: how much memory there is belongs to
/// the host's configuration, and what a guest decides must not depend on it.
impl ResourceLimiter for HostState {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let bytes_max = self.limits.memory_bytes_max;
        if self.memory.grow(current, desired, bytes_max) {
            if let Some(meter) = &self.meter {
                meter.memory_grown(self.memory.growing, self.memory.used);
            }
            return Ok(true);
        }
        Err(limit(format!("linear memory {} (limits.memory_bytes_max)", bytes_text(bytes_max))))
    }

    fn memory_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        let returned = self.memory.undo();
        if let Some(meter) = &self.meter {
            meter.memory_returned(returned);
        }
        Ok(())
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let elements_max = self.limits.table_elements_max;
        if self.tables.grow(current, desired, elements_max) {
            return Ok(true);
        }
        Err(limit(format!("{elements_max} table elements (limits.table_elements_max)")))
    }

    fn table_grow_failed(&mut self, _error: wasmtime::Error) -> wasmtime::Result<()> {
        _ = self.tables.undo();
        Ok(())
    }

    fn instances(&self) -> usize {
        self.limits.instances_max
    }

    fn tables(&self) -> usize {
        self.limits.instances_max
    }

    fn memories(&self) -> usize {
        self.limits.instances_max
    }
}

fn limit(limit: String) -> wasmtime::Error {
    wasmtime::Error::new(HostStop::Limit(limit))
}

/// Takes fuel for work the host does, so that a guest cannot make the host work for nothing.
fn charge(store: &mut StoreContextMut<'_, HostState>, fuel: usize) -> wasmtime::Result<()> {
    let fuel = u64::try_from(fuel).unwrap_or(u64::MAX);
    match store.get_fuel()?.checked_sub(fuel) {
        Some(left) => store.set_fuel(left),
        None => Err(Trap::OutOfFuel.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_counted_over_all_memories_and_a_failed_growth_given_back() {
        // Guards `memory_bytes`, by which the engine decides when to drop a sandbox.
        let limits = RuntimeLimits { memory_bytes_max: 300, ..RuntimeLimits::default() };
        let mut state = HostState::new(&Arc::new(limits));
        assert!(state.memory_growing(0, 100, None).unwrap());
        assert!(state.memory_growing(0, 200, None).unwrap());
        assert_eq!(state.memory_bytes(), 300);
        state.memory_grow_failed(wasmtime::Error::msg("no memory")).unwrap();
        assert_eq!(state.memory_bytes(), 100);
        assert!(state.memory_growing(100, 301, None).is_err());
        assert_eq!(state.memory_bytes(), 100);
    }
}
