//! A loaded plugin, and how it is loaded: compiled, linked, described.

use std::sync::Arc;

use annals_core::plugin::{Description, PluginKind};
use annals_core::port::guest::{
    AggregateGuest, GuestFailure, GuestPlugin, Inspection, LoadError, ProcessManagerGuest,
    ProjectionGuest, UpcasterGuest,
};
use annals_core::time::Clock;
use annals_core::usage::PluginUsage;
use wasmtime::Store;
use wasmtime::component::{Component, Instance, InstancePre, Linker};

use crate::aggregate::WasmAggregate;
use crate::contract::v0_1_0::{
    aggregate, descriptor, process_manager, projection, query, upcaster,
};
use crate::description;
use crate::host::{self, HostState};
use crate::limits::RuntimeLimits;
use crate::log_gate::LogGate;
use crate::meter::Meter;
use crate::process_manager::WasmProcessManager;
use crate::projection::{ProjectionIndices, WasmProjection};
use crate::sandbox::{Call, Sandbox};
use crate::text::printable;
use crate::upcaster::WasmUpcaster;

/// A component that was checked, compiled and described.
pub(crate) struct WasmPlugin {
    inspection: Inspection,
    description: Arc<Description>,
    name: Arc<str>,
    component: InstancePre<HostState>,
    exports: Exports,
    limits: Arc<RuntimeLimits>,
    log: Arc<LogGate>,
    meter: Arc<Meter>,
}

/// Where the exports of the plugin's kind are.
enum Exports {
    Aggregate(aggregate::GuestIndices),
    Projection(ProjectionIndices),
    ProcessManager(process_manager::GuestIndices),
    Upcaster(upcaster::GuestIndices),
}

impl WasmPlugin {
    /// Links `component` and asks it what it is.
    pub(crate) fn load(
        inspection: Inspection,
        component: &Component,
        limits: &Arc<RuntimeLimits>,
        clock: &Arc<dyn Clock>,
    ) -> Result<Self, LoadError> {
        let component = link(inspection.kind, component).map_err(|error| not_a_plugin(&error))?;
        let exports =
            Exports::find(&inspection, &component).map_err(|error| not_a_plugin(&error))?;
        let descriptor =
            descriptor::GuestIndices::new(&component).map_err(|error| not_a_plugin(&error))?;
        let nameless: Arc<str> = Arc::from(inspection.digest.short());
        let meter = Arc::new(Meter::new(clock));
        let mut state = HostState::new(limits);
        state.meter = Some(Arc::clone(&meter));
        let said = describe(&nameless, &component, state, |store, instance| {
            exports.check_types(&mut *store, instance)?;
            descriptor.load(store, instance)
        })?;
        let description = description::check(inspection.kind, said)
            .map_err(|error| LoadError::Description { cause: error.to_string() })?;
        let name = description.name.as_str();
        Ok(Self {
            name: Arc::from(name),
            log: Arc::new(LogGate::new(name, limits, clock)),
            meter,
            inspection,
            description: Arc::new(description),
            component,
            exports,
            limits: Arc::clone(limits),
        })
    }

    fn state(&self) -> HostState {
        let mut state = HostState::new(&self.limits);
        state.log = Some(Arc::clone(&self.log));
        state.meter = Some(Arc::clone(&self.meter));
        state.tables_count = self.description.tables.len();
        state
    }

    fn aggregate_in(&self, state: HostState) -> Result<Box<dyn AggregateGuest>, GuestFailure> {
        let Exports::Aggregate(exports) = &self.exports else {
            return Err(self.is_another_kind(PluginKind::Aggregate));
        };
        Ok(Box::new(WasmAggregate::open(&self.name, &self.component, exports, state)?))
    }

    fn is_another_kind(&self, wanted: PluginKind) -> GuestFailure {
        GuestFailure::Contract {
            plugin: (*self.name).to_owned(),
            call: "instantiate",
            cause: format!("it is of kind `{}`, not `{wanted}`", self.inspection.kind),
        }
    }
}

impl GuestPlugin for WasmPlugin {
    fn inspection(&self) -> &Inspection {
        &self.inspection
    }

    fn description(&self) -> &Arc<Description> {
        &self.description
    }

    fn aggregate(&self) -> Result<Box<dyn AggregateGuest>, GuestFailure> {
        self.aggregate_in(self.state())
    }

    fn uncounted_aggregate(&self) -> Result<Box<dyn AggregateGuest>, GuestFailure> {
        let mut state = self.state();
        state.meter = None;
        self.aggregate_in(state)
    }

    fn projection(&self) -> Result<Box<dyn ProjectionGuest>, GuestFailure> {
        let Exports::Projection(exports) = &self.exports else {
            return Err(self.is_another_kind(PluginKind::Projection));
        };
        let guest = WasmProjection::open(&self.name, &self.component, exports, self.state())?;
        Ok(Box::new(guest))
    }

    fn upcaster(&self) -> Result<Box<dyn UpcasterGuest>, GuestFailure> {
        let Exports::Upcaster(exports) = &self.exports else {
            return Err(self.is_another_kind(PluginKind::Upcaster));
        };
        let guest = WasmUpcaster::open(&self.name, &self.component, exports, self.state())?;
        Ok(Box::new(guest))
    }

    fn process_manager(&self) -> Result<Box<dyn ProcessManagerGuest>, GuestFailure> {
        let Exports::ProcessManager(exports) = &self.exports else {
            return Err(self.is_another_kind(PluginKind::ProcessManager));
        };
        let guest = WasmProcessManager::open(&self.name, &self.component, exports, self.state())?;
        Ok(Box::new(guest))
    }

    fn usage(&self) -> PluginUsage {
        self.meter.usage()
    }
}

impl std::fmt::Debug for WasmPlugin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WasmPlugin")
            .field("name", &self.name)
            .field("inspection", &self.inspection)
            .finish_non_exhaustive()
    }
}

impl Exports {
    fn find(inspection: &Inspection, component: &InstancePre<HostState>) -> wasmtime::Result<Self> {
        Ok(match inspection.kind {
            PluginKind::Aggregate => Self::Aggregate(aggregate::GuestIndices::new(component)?),
            PluginKind::Projection => Self::Projection(ProjectionIndices {
                projection: projection::GuestIndices::new(component)?,
                query: if inspection.has_queries {
                    Some(query::GuestIndices::new(component)?)
                } else {
                    None
                },
            }),
            PluginKind::ProcessManager => {
                Self::ProcessManager(process_manager::GuestIndices::new(component)?)
            }
            PluginKind::Upcaster => Self::Upcaster(upcaster::GuestIndices::new(component)?),
        })
    }

    /// Checks that the functions have the parameters and results of the contract.
    fn check_types(
        &self,
        store: &mut Store<HostState>,
        instance: &Instance,
    ) -> wasmtime::Result<()> {
        match self {
            Self::Aggregate(indices) => indices.load(store, instance).map(drop),
            Self::Projection(indices) => indices.load(store, instance).map(drop),
            Self::ProcessManager(indices) => indices.load(store, instance).map(drop),
            Self::Upcaster(indices) => indices.load(store, instance).map(drop),
        }
    }
}

/// Gives the component what a plugin of its kind may import, and nothing else.
fn link(kind: PluginKind, component: &Component) -> wasmtime::Result<InstancePre<HostState>> {
    let mut linker = Linker::new(component.engine());
    let (may_log, may_read_view) = match kind {
        PluginKind::Aggregate | PluginKind::ProcessManager => (true, false),
        PluginKind::Projection => (true, true),
        PluginKind::Upcaster => (false, false),
    };
    if may_log {
        host::log::link(&mut linker)?;
    }
    if may_read_view {
        host::view::link(&mut linker)?;
    }
    linker.instantiate_pre(component)
}

/// Calls `describe` in a sandbox of its own, in which log lines go nowhere and there is no view.
fn describe(
    nameless: &Arc<str>,
    component: &InstancePre<HostState>,
    state: HostState,
    load: impl FnOnce(&mut Store<HostState>, &Instance) -> wasmtime::Result<descriptor::Guest>,
) -> Result<descriptor::Description, LoadError> {
    let budget = state.limits.bulk_budget();
    let mut sandbox =
        Sandbox::open(nameless, component, state, load).map_err(|failure| match failure {
            GuestFailure::Contract { cause, .. } => LoadError::NotAPlugin { cause },
            failure => LoadError::Describe(failure),
        })?;
    let call = Call { name: "describe", budget, input_bytes: 0 };
    sandbox.call(call, |store, exports| exports.call_describe(store)).map_err(LoadError::Describe)
}

/// Longest cause, in bytes: it may quote names of the component.
const CAUSE_BYTES_MAX: usize = 1 << 10;

fn not_a_plugin(error: &wasmtime::Error) -> LoadError {
    LoadError::NotAPlugin { cause: printable(&format!("{error:#}"), CAUSE_BYTES_MAX) }
}
