//! A sandbox of an upcaster.

use std::sync::Arc;

use annals_core::plugin::{GuestShape, StoredShape};
use annals_core::port::guest::{GuestFailure, UpcasterGuest};
use wasmtime::component::InstancePre;

use crate::contract::v0_1_0::upcaster;
use crate::host::HostState;
use crate::sandbox::{Call, Sandbox};

/// An instance of an upcaster.
#[derive(Debug)]
pub(crate) struct WasmUpcaster {
    sandbox: Sandbox<upcaster::Guest>,
}

impl WasmUpcaster {
    pub(crate) fn open(
        plugin: &Arc<str>,
        component: &InstancePre<HostState>,
        exports: &upcaster::GuestIndices,
        state: HostState,
    ) -> Result<Self, GuestFailure> {
        let sandbox = Sandbox::open(plugin, component, state, |store, instance| {
            exports.load(store, instance)
        })?;
        Ok(Self { sandbox })
    }
}

impl UpcasterGuest for WasmUpcaster {
    fn upcast(
        &mut self,
        events: &[StoredShape<'_>],
    ) -> Result<Result<Vec<Vec<GuestShape>>, String>, GuestFailure> {
        let call = Call {
            name: "upcast",
            budget: self.sandbox.limits().upcast_budget(events.len()),
            input_bytes: shapes_bytes(events),
        };
        let lowered: Vec<_> = events
            .iter()
            .map(|event| upcaster::StoredEventParam {
                name: event.event_type.as_str(),
                schema_version: event.schema_version.0,
                data: event.data,
            })
            .collect();
        let upcast =
            self.sandbox.call(call, |store, exports| exports.call_upcast(store, &lowered))?;
        let shapes = |made: Vec<upcaster::StoredEventResult>| -> Vec<GuestShape> {
            made.into_iter().map(Into::into).collect()
        };
        Ok(upcast.map(|all| all.into_iter().map(shapes).collect()))
    }
}

/// How many bytes `events` take in the guest: 20 for the record of an event, its name and its data.
fn shapes_bytes(events: &[StoredShape<'_>]) -> usize {
    events
        .iter()
        .map(|event| event.event_type.as_str().len().saturating_add(event.data.len()))
        .fold(events.len().saturating_mul(20), usize::saturating_add)
}
