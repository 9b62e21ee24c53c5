//! A store with one instance in it, and the one way to call into it.

use std::fmt;
use std::sync::Arc;

use annals_core::port::guest::GuestFailure;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::failure::Scene;
use crate::host::HostState;
use crate::limits::{Budget, RuntimeLimits, bytes_text};
use crate::meter::Meter;

/// One call: what it is called in failures, and what it may use.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Call {
    pub(crate) name: &'static str,
    pub(crate) budget: Budget,
    /// What the host passes in.
    pub(crate) input_bytes: usize,
}

/// An instance with its exports `E`. After a failure it holds nothing any more and every call fails.
pub(crate) struct Sandbox<E> {
    plugin: Arc<str>,
    limits: Arc<RuntimeLimits>,
    meter: Option<Arc<Meter>>,
    open: Option<Open<E>>,
}

struct Open<E> {
    store: Store<HostState>,
    exports: E,
}

impl<E> Sandbox<E> {
    /// Instantiates `component` with `state`. `load` finds the exports.
    pub(crate) fn open(
        plugin: &Arc<str>,
        component: &InstancePre<HostState>,
        state: HostState,
        load: impl FnOnce(&mut Store<HostState>, &Instance) -> wasmtime::Result<E>,
    ) -> Result<Self, GuestFailure> {
        let limits = Arc::clone(&state.limits);
        let meter = state.meter.as_ref().map(Arc::clone);
        let start_ns = now_ns(meter.as_deref());
        let mut store = Store::new(component.engine(), state);
        store.limiter(|state| state);
        store.set_hostcall_fuel(limits.output_bytes_max);
        store.set_max_component_handles(limits.handles_max());
        let budget = limits.bulk_budget();
        let exports = store
            .set_fuel(budget.fuel)
            .and_then(|()| component.instantiate(&mut store))
            .and_then(|instance| load(&mut store, &instance));
        if let Some(meter) = &meter {
            meter.called(INSTANTIATE, start_ns, used(&store, budget), 0);
        }
        match exports {
            Ok(exports) => {
                let open = Some(Open { store, exports });
                Ok(Self { plugin: Arc::clone(plugin), limits, meter, open })
            }
            Err(error) => {
                let scene = Scene {
                    plugin,
                    call: INSTANTIATE,
                    budget,
                    limits: &limits,
                    last_error: store.data().last_error.as_deref(),
                };
                let failure = scene.failure(&error);
                if let Some(meter) = &meter {
                    meter.failed(INSTANTIATE, &failure);
                }
                Err(failure)
            }
        }
    }

    /// Calls into the instance: `body` gets the store, with fresh fuel, and the exports.
    pub(crate) fn call<R>(
        &mut self,
        call: Call,
        body: impl FnOnce(&mut Store<HostState>, &E) -> wasmtime::Result<R>,
    ) -> Result<R, GuestFailure> {
        let Some(open) = &mut self.open else {
            let scene = self.scene(call, None);
            return Err(scene.contract("the sandbox is unusable after an earlier failure"));
        };
        if call.input_bytes > self.limits.input_bytes_max {
            return Err(self.fail(call, |scene| {
                scene.limit(format!(
                    "{} passed in (limits.input_bytes_max)",
                    bytes_text(scene.limits.input_bytes_max)
                ))
            }));
        }
        open.store.data_mut().start_call();
        let start_ns = now_ns(self.meter.as_deref());
        let result = match open.store.set_fuel(call.budget.fuel) {
            Ok(()) => body(&mut open.store, &open.exports),
            Err(error) => Err(error),
        };
        if let Some(meter) = &self.meter {
            meter.called(call.name, start_ns, used(&open.store, call.budget), call.input_bytes);
        }
        result.map_err(|error| self.fail(call, |scene| scene.failure(&error)))
    }

    /// Ends the sandbox for a breach that only the caller of [`Sandbox::call`] can see.
    pub(crate) fn fail(
        &mut self,
        call: Call,
        failure: impl FnOnce(Scene<'_>) -> GuestFailure,
    ) -> GuestFailure {
        let open = self.open.take();
        let last_error = open.as_ref().and_then(|open| open.store.data().last_error.as_deref());
        let failure = failure(self.scene(call, last_error));
        if let Some(meter) = &self.meter {
            meter.failed(call.name, &failure);
        }
        failure
    }

    /// Counts what a call passed back.
    pub(crate) fn answered(&self, call: Call, output_bytes: usize) {
        if let Some(meter) = &self.meter {
            meter.answered(call.name, output_bytes);
        }
    }

    pub(crate) fn meter(&self) -> Option<&Meter> {
        self.meter.as_deref()
    }

    /// How much linear memory the sandbox holds; none after a failure.
    pub(crate) fn memory_bytes(&self) -> usize {
        self.open.as_ref().map_or(0, |open| open.store.data().memory_bytes())
    }

    pub(crate) fn limits(&self) -> &RuntimeLimits {
        &self.limits
    }

    fn scene<'a>(&'a self, call: Call, last_error: Option<&'a str>) -> Scene<'a> {
        Scene {
            plugin: &self.plugin,
            call: call.name,
            budget: call.budget,
            limits: &self.limits,
            last_error,
        }
    }
}

/// The name of making an instance, which is counted as a call.
const INSTANTIATE: &str = "instantiate";

/// How much of `budget` is used.
fn used(store: &Store<HostState>, budget: Budget) -> u64 {
    // There is fuel, as the engine is told to count it.
    budget.fuel.saturating_sub(store.get_fuel().unwrap_or_default())
}

fn now_ns(meter: Option<&Meter>) -> u64 {
    meter.map_or(0, Meter::now_ns)
}

impl<E> fmt::Debug for Sandbox<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sandbox")
            .field("plugin", &self.plugin)
            .field("is_usable", &self.open.is_some())
            .field("memory_bytes", &self.memory_bytes())
            .finish_non_exhaustive()
    }
}
