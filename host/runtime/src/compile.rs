//! Compiling, on threads of its own: it cannot be broken off, so whoever waits for it gives up instead.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use annals_core::port::guest::LoadError;
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::limits::COMPILES_IN_FLIGHT_MAX;
use crate::runtime::does_not_compile;

/// Compiles a few components at once.
#[derive(Debug)]
pub(crate) struct Compiler {
    engine: Engine,
    slots: Arc<Slots>,
}

impl Compiler {
    pub(crate) fn new(engine: Engine) -> Self {
        Self { engine, slots: Arc::default() }
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Compiles `bytes`. Waits `wait_max` for its turn, and as long for its end; a compile that takes
    /// longer goes on by itself, keeps its slot until it ends, and its result is dropped.
    pub(crate) fn compile(&self, bytes: &[u8], wait_max: Duration) -> Result<Component, LoadError> {
        let Some(slot) = Slot::take(&self.slots, wait_max) else {
            return Err(too_slow(format!(
                "{COMPILES_IN_FLIGHT_MAX} others were being compiled for {wait_max:?} \
                 (limits.compile_wait_max)"
            )));
        };
        let (done, result) = mpsc::sync_channel(1);
        let (engine, bytes) = (self.engine.clone(), bytes.to_vec());
        // Owned by its slot: there are never more of them than slots.
        let spawned = thread::Builder::new().name("annals-compile".to_owned()).spawn(move || {
            let component = Component::from_binary(&engine, &bytes);
            drop(slot);
            // Whoever waited may have given up.
            drop(done.send(component));
        });
        spawned.map_err(|error| too_slow(format!("no thread: {error}")))?;
        match result.recv_timeout(wait_max) {
            Ok(component) => component.map_err(|error| does_not_compile(&error)),
            Err(RecvTimeoutError::Timeout) => Err(too_slow(format!(
                "it takes longer than {wait_max:?} (limits.compile_wait_max)"
            ))),
            Err(RecvTimeoutError::Disconnected) => {
                Err(too_slow("the compiler ended early".to_owned()))
            }
        }
    }
}

fn too_slow(cause: String) -> LoadError {
    LoadError::Compile { cause }
}

/// How many components are being compiled.
#[derive(Debug, Default)]
struct Slots {
    taken: Mutex<usize>,
    freed: Condvar,
}

/// The right to compile, until it is dropped.
struct Slot(Arc<Slots>);

impl Slot {
    fn take(slots: &Arc<Slots>, wait_max: Duration) -> Option<Self> {
        // A count is valid at every moment, a panic elsewhere or not.
        let taken = slots.taken.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = slots
            .freed
            .wait_timeout_while(taken, wait_max, |taken| *taken >= COMPILES_IN_FLIGHT_MAX);
        let (mut taken, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if *taken >= COMPILES_IN_FLIGHT_MAX {
            return None;
        }
        *taken = taken.saturating_add(1);
        Some(Self(Arc::clone(slots)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut taken = self.0.taken.lock().unwrap_or_else(PoisonError::into_inner);
        *taken = taken.saturating_sub(1);
        self.0.freed.notify_one();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_so_many_are_compiled_at_once() {
        // Guards the cores: components that never end compiling keep their slots, and no more.
        let slots = Arc::default();
        let mut taken: Vec<_> =
            (0..COMPILES_IN_FLIGHT_MAX).map(|_| Slot::take(&slots, Duration::ZERO)).collect();
        assert!(taken.iter().all(Option::is_some));
        assert!(Slot::take(&slots, Duration::ZERO).is_none());
        taken.pop();
        assert!(Slot::take(&slots, Duration::ZERO).is_some());
    }

    #[test]
    fn a_compile_over_its_time_is_refused_and_others_go_on() {
        // Guards the install of a component that compiles for ever: it is refused, and the next is not.
        let compiler = Compiler::new(crate::engine::deterministic().unwrap());
        let slow = compiler.compile(annals_components::account(), Duration::ZERO).unwrap_err();
        assert_eq!(
            slow.to_string(),
            "the component does not compile: it takes longer than 0ns (limits.compile_wait_max)"
        );
        let empty = b"\0asm\x0d\0\x01\0";
        assert!(compiler.compile(empty, Duration::from_secs(60)).is_ok());
    }
}
