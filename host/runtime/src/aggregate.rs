//! A sandbox with the resident entities of many streams.

use std::sync::Arc;

use annals_core::columns::History;
use annals_core::plugin::{Context, Decision, Refusal};
use annals_core::port::guest::{AggregateGuest, EntityHandle, GuestFailure};
use annals_core::time::Timestamp;
use uuid::fmt::Hyphenated;
use wasmtime::component::{InstancePre, ResourceAny};

use crate::contract::v0_1_0::{self, aggregate};
use crate::entities::Entities;
use crate::host::HostState;
use crate::message;
use crate::sandbox::{Call, Sandbox};

/// An instance of an aggregate.
#[derive(Debug)]
pub(crate) struct WasmAggregate {
    sandbox: Sandbox<aggregate::Guest>,
    entities: Entities<ResourceAny>,
    /// Kept between calls so that `evolve` does not allocate.
    recorded_at: Vec<u64>,
}

impl WasmAggregate {
    pub(crate) fn open(
        plugin: &Arc<str>,
        component: &InstancePre<HostState>,
        exports: &aggregate::GuestIndices,
        state: HostState,
    ) -> Result<Self, GuestFailure> {
        let sandbox = Sandbox::open(plugin, component, state, |store, instance| {
            exports.load(store, instance)
        })?;
        Ok(Self { sandbox, entities: Entities::new(), recorded_at: Vec::new() })
    }

    /// A call with the budget of one decision.
    fn small_call(&self, name: &'static str, input_bytes: usize) -> Call {
        Call { name, budget: self.sandbox.limits().decide_budget(), input_bytes }
    }

    /// A call over a whole state.
    fn bulk_call(&self, name: &'static str, input_bytes: usize) -> Call {
        Call { name, budget: self.sandbox.limits().bulk_budget(), input_bytes }
    }

    fn entity(&mut self, entity: EntityHandle, call: Call) -> Result<ResourceAny, GuestFailure> {
        match self.entities.get(entity) {
            Some(resource) => Ok(resource),
            None => Err(self.unknown_entity(call)),
        }
    }

    fn unknown_entity(&mut self, call: Call) -> GuestFailure {
        self.sandbox.fail(call, |scene| scene.contract("there is no such entity"))
    }

    fn check_room(&mut self, call: Call) -> Result<(), GuestFailure> {
        let entities_max = self.sandbox.limits().entities_max;
        if self.entities.count() < entities_max {
            return Ok(());
        }
        Err(self.sandbox.fail(call, |scene| {
            scene.limit(format!("{entities_max} entities (limits.entities_max)"))
        }))
    }

    fn keep(&mut self, resource: ResourceAny, call: Call) -> Result<EntityHandle, GuestFailure> {
        match self.entities.insert(resource) {
            Some(handle) => {
                if let Some(meter) = self.sandbox.meter() {
                    meter.entities_added();
                }
                Ok(handle)
            }
            None => {
                Err(self.sandbox.fail(call, |scene| scene.limit("handles of entities".to_owned())))
            }
        }
    }
}

impl AggregateGuest for WasmAggregate {
    fn create(&mut self, stream_id: &str) -> Result<EntityHandle, GuestFailure> {
        let call = self.small_call("constructor", stream_id.len());
        self.check_room(call)?;
        let resource = self
            .sandbox
            .call(call, |store, exports| exports.entity().call_constructor(store, stream_id))?;
        self.keep(resource, call)
    }

    fn restore(
        &mut self,
        stream_id: &str,
        snapshot: &[u8],
    ) -> Result<Result<EntityHandle, String>, GuestFailure> {
        let call = self.bulk_call("restore", stream_id.len().saturating_add(snapshot.len()));
        self.check_room(call)?;
        let restored = self.sandbox.call(call, |store, exports| {
            exports.entity().call_restore(store, stream_id, snapshot)
        })?;
        match restored {
            Ok(resource) => self.keep(resource, call).map(Ok),
            Err(text) => Ok(Err(text)),
        }
    }

    fn evolve(&mut self, entity: EntityHandle, events: &History) -> Result<(), GuestFailure> {
        let call = Call {
            name: "evolve",
            budget: self.sandbox.limits().events_budget(events.events_count()),
            input_bytes: history_bytes(events),
        };
        let resource = self.entity(entity, call)?;
        self.recorded_at.clear();
        self.recorded_at.extend(events.recorded_at.iter().copied().map(Timestamp::ms));
        let history = v0_1_0::History {
            first_revision: events.first_revision.get(),
            event_types: &events.event_types,
            recorded_at: &self.recorded_at,
            data_ends: events.data.ends(),
            data: events.data.bytes(),
        };
        self.sandbox
            .call(call, |store, exports| exports.entity().call_evolve(store, resource, history))
    }

    fn decide(
        &mut self,
        entity: EntityHandle,
        context: &Context,
        command_type: u32,
        data: &[u8],
    ) -> Result<Result<Decision, Refusal>, GuestFailure> {
        let input_bytes = message::bytes_count(context).saturating_add(data.len());
        let call = self.small_call("decide", input_bytes);
        let resource = self.entity(entity, call)?;
        let mut id = [0; Hyphenated::LENGTH];
        let lowered = message::lowered(context, &mut id);
        let command = v0_1_0::Command { command_type, data };
        let decided = self.sandbox.call(call, |store, exports| {
            store.data_mut().message_id = Some(context.message_id);
            exports.entity().call_decide(store, resource, lowered, command)
        })?;
        let decided: Result<Decision, Refusal> = decided.map(Into::into).map_err(Into::into);
        self.sandbox.answered(call, decided.as_ref().map_or(0, decision_bytes));
        Ok(decided)
    }

    fn snapshot(&mut self, entity: EntityHandle) -> Result<Vec<u8>, GuestFailure> {
        let call = self.bulk_call("snapshot", 0);
        let resource = self.entity(entity, call)?;
        let state = self
            .sandbox
            .call(call, |store, exports| exports.entity().call_snapshot(store, resource))?;
        self.sandbox.answered(call, state.len());
        Ok(state)
    }

    fn remove(&mut self, entity: EntityHandle) -> Result<(), GuestFailure> {
        let call = self.small_call("destructor", 0);
        let Some(resource) = self.entities.remove(entity) else {
            return Err(self.unknown_entity(call));
        };
        if let Some(meter) = self.sandbox.meter() {
            meter.entities_gone(1);
        }
        self.sandbox.call(call, |store, _| resource.resource_drop(store))
    }

    fn memory_bytes(&self) -> usize {
        self.sandbox.memory_bytes()
    }

    fn memory_bytes_max(&self) -> usize {
        self.sandbox.limits().memory_bytes_max
    }
}

impl Drop for WasmAggregate {
    fn drop(&mut self) {
        if let Some(meter) = self.sandbox.meter() {
            meter.entities_gone(self.entities.count());
        }
    }
}

/// How many bytes of data a decision has.
fn decision_bytes(decision: &Decision) -> usize {
    decision.events.iter().fold(0, |bytes, event| bytes.saturating_add(event.data.len()))
}

/// How many bytes `events` take in the guest: 16 for the columns of an event, and its data.
fn history_bytes(events: &History) -> usize {
    events.events_count().saturating_mul(16).saturating_add(events.data.bytes_count())
}
