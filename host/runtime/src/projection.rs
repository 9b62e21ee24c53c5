//! A sandbox of a projection.

use std::sync::Arc;

use annals_core::columns::EventBatch;
use annals_core::plugin::{Context, GuestWrite, ProjectFailure, QueryRefusal};
use annals_core::port::guest::{GuestFailure, ProjectionGuest, ViewReader};
use uuid::fmt::Hyphenated;
use wasmtime::Store;
use wasmtime::component::{Instance, InstancePre};

use crate::batch::{Columns, batch_bytes};
use crate::contract::v0_1_0::{projection, query};
use crate::host::HostState;
use crate::message;
use crate::sandbox::{Call, Sandbox};

/// An instance of a projection.
#[derive(Debug)]
pub(crate) struct WasmProjection {
    sandbox: Sandbox<ProjectionExports>,
}

/// Where a projection's exports are in its component.
#[derive(Clone)]
pub(crate) struct ProjectionIndices {
    pub(crate) projection: projection::GuestIndices,
    pub(crate) query: Option<query::GuestIndices>,
}

/// The exports of one instance.
pub(crate) struct ProjectionExports {
    projection: projection::Guest,
    query: Option<query::Guest>,
}

impl WasmProjection {
    pub(crate) fn open(
        plugin: &Arc<str>,
        component: &InstancePre<HostState>,
        indices: &ProjectionIndices,
        state: HostState,
    ) -> Result<Self, GuestFailure> {
        let sandbox = Sandbox::open(plugin, component, state, |store, instance| {
            indices.load(store, instance)
        })?;
        Ok(Self { sandbox })
    }
}

impl ProjectionIndices {
    pub(crate) fn load(
        &self,
        store: &mut Store<HostState>,
        instance: &Instance,
    ) -> wasmtime::Result<ProjectionExports> {
        let projection = self.projection.load(&mut *store, instance)?;
        let query = match &self.query {
            Some(query) => Some(query.load(store, instance)?),
            None => None,
        };
        Ok(ProjectionExports { projection, query })
    }
}

impl ProjectionGuest for WasmProjection {
    fn project(
        &mut self,
        events: &EventBatch,
        view: Arc<dyn ViewReader>,
    ) -> Result<Result<Vec<GuestWrite>, ProjectFailure>, GuestFailure> {
        let call = Call {
            name: "project",
            budget: self.sandbox.limits().events_budget(events.events_count()),
            input_bytes: batch_bytes(events),
        };
        let columns = Columns::of(events);
        let projected = self.sandbox.call(call, |store, exports| {
            store.data_mut().view = Some(view);
            let projected = exports.projection.call_project(&mut *store, columns.lowered(events));
            // The view is of this batch: no later call may read it.
            store.data_mut().view = None;
            projected
        })?;
        let projected: Result<Vec<GuestWrite>, ProjectFailure> = projected
            .map(|writes| writes.into_iter().map(Into::into).collect())
            .map_err(Into::into);
        self.sandbox.answered(call, projected.as_deref().map_or(0, writes_bytes));
        Ok(projected)
    }

    fn answer(
        &mut self,
        context: &Context,
        query: &str,
        parameters: &[u8],
        view: Arc<dyn ViewReader>,
    ) -> Result<Result<Vec<u8>, QueryRefusal>, GuestFailure> {
        let call = Call {
            name: "answer",
            budget: self.sandbox.limits().decide_budget(),
            input_bytes: message::bytes_count(context)
                .saturating_add(query.len())
                .saturating_add(parameters.len()),
        };
        let mut id = [0; Hyphenated::LENGTH];
        let lowered = message::lowered(context, &mut id);
        let answered = self.sandbox.call(call, |store, exports| {
            let Some(guest) = &exports.query else {
                return Ok(Err(query::QueryError::Unknown));
            };
            store.data_mut().message_id = Some(context.message_id);
            store.data_mut().view = Some(view);
            let answered = guest.call_answer(&mut *store, lowered, query, parameters);
            store.data_mut().view = None;
            answered
        })?;
        self.sandbox.answered(call, answered.as_ref().map_or(0, Vec::len));
        Ok(answered.map_err(Into::into))
    }
}

/// How many bytes of keys and values `writes` have.
fn writes_bytes(writes: &[GuestWrite]) -> usize {
    writes.iter().fold(0, |bytes, write| {
        let (key, value_bytes) = match write {
            GuestWrite::Put(key, value) => (key, value.len()),
            GuestWrite::Delete(key) => (key, 0),
            GuestWrite::Add(key, _) => (key, size_of::<i64>()),
        };
        bytes.saturating_add(key.key.len()).saturating_add(value_bytes)
    })
}
