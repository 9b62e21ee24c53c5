//! A sandbox of a process manager.

use std::sync::Arc;

use annals_core::columns::EventBatch;
use annals_core::plugin::{Context, GivenEvent, GuestTimer, Outgoing, Reaction, Reply};
use annals_core::port::guest::{GuestFailure, ProcessManagerGuest};
use uuid::fmt::Hyphenated;
use wasmtime::Store;
use wasmtime::component::InstancePre;

use crate::batch::{Columns, batch_bytes};
use crate::contract::v0_1_0::{self, process_manager};
use crate::host::HostState;
use crate::message;
use crate::sandbox::{Call, Sandbox};

/// An instance of a process manager. What the plugin calls an instance is only an id and a state in here.
#[derive(Debug)]
pub(crate) struct WasmProcessManager {
    sandbox: Sandbox<process_manager::Guest>,
}

/// What a plugin answers to an event, a timer or a reply.
type Reacted = Result<process_manager::Reaction, String>;

impl WasmProcessManager {
    pub(crate) fn open(
        plugin: &Arc<str>,
        component: &InstancePre<HostState>,
        exports: &process_manager::GuestIndices,
        state: HostState,
    ) -> Result<Self, GuestFailure> {
        let sandbox = Sandbox::open(plugin, component, state, |store, instance| {
            exports.load(store, instance)
        })?;
        Ok(Self { sandbox })
    }

    /// One of the calls that answer a reaction. `input_bytes` are those beside the context.
    fn react(
        &mut self,
        name: &'static str,
        context: &Context,
        input_bytes: usize,
        body: impl FnOnce(
            &mut Store<HostState>,
            &process_manager::Guest,
            v0_1_0::Context<'_>,
        ) -> wasmtime::Result<Reacted>,
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        let call = Call {
            name,
            budget: self.sandbox.limits().react_budget(),
            input_bytes: message::bytes_count(context).saturating_add(input_bytes),
        };
        let mut id = [0; Hyphenated::LENGTH];
        let lowered = message::lowered(context, &mut id);
        let reacted = self.sandbox.call(call, |store, exports| {
            store.data_mut().message_id = Some(context.message_id);
            body(store, exports, lowered)
        })?;
        let reacted: Result<Reaction, String> = reacted.map(Into::into);
        self.sandbox.answered(call, reacted.as_ref().map_or(0, reaction_bytes));
        Ok(reacted)
    }
}

impl ProcessManagerGuest for WasmProcessManager {
    fn correlate(&mut self, events: &EventBatch) -> Result<Vec<Vec<String>>, GuestFailure> {
        let call = Call {
            name: "correlate",
            budget: self.sandbox.limits().events_budget(events.events_count()),
            input_bytes: batch_bytes(events),
        };
        let columns = Columns::of(events);
        let instances = self
            .sandbox
            .call(call, |store, exports| exports.call_correlate(store, columns.lowered(events)))?;
        let bytes = instances.iter().flatten().map(String::len).fold(0, usize::saturating_add);
        self.sandbox.answered(call, bytes);
        Ok(instances)
    }

    fn on_event(
        &mut self,
        context: &Context,
        instance: &str,
        state: Option<&[u8]>,
        event: &GivenEvent<'_>,
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        let given = v0_1_0::RecordedEvent {
            stream: event.stream,
            event_type: event.event_type,
            revision: event.revision.get(),
            recorded_at: event.recorded_at.ms(),
            data: event.data,
        };
        let state_bytes = state.map_or(0, <[u8]>::len);
        let input_bytes = sum([instance.len(), state_bytes, event.stream.len(), event.data.len()]);
        self.react("on-event", context, input_bytes, |store, exports, context| {
            exports.call_on_event(store, context, instance, state, given)
        })
    }

    fn on_timer(
        &mut self,
        context: &Context,
        instance: &str,
        state: &[u8],
        fired: &GuestTimer,
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        let timer = process_manager::TimerParam {
            name: &fired.name,
            due_at: fired.due_at.ms(),
            data: &fired.data,
        };
        let input_bytes = sum([instance.len(), state.len(), fired.name.len(), fired.data.len()]);
        self.react("on-timer", context, input_bytes, |store, exports, context| {
            exports.call_on_timer(store, context, instance, state, timer)
        })
    }

    fn on_reply(
        &mut self,
        context: &Context,
        instance: &str,
        state: &[u8],
        (sent, reply): (&Outgoing, &Reply),
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        let outgoing = process_manager::OutgoingParam {
            target_id: &sent.target_id,
            command: v0_1_0::Command { command_type: sent.command_type, data: &sent.data },
        };
        let (lowered, reply_bytes) = lowered_reply(reply);
        let sent_bytes = sent.target_id.len().saturating_add(sent.data.len());
        let input_bytes = sum([instance.len(), state.len(), sent_bytes, reply_bytes]);
        self.react("on-reply", context, input_bytes, |store, exports, context| {
            exports.call_on_reply(store, context, instance, state, outgoing, lowered)
        })
    }
}

/// A reply in the contract's words, and how many bytes of text it has.
fn lowered_reply(reply: &Reply) -> (process_manager::Reply<'_>, usize) {
    match reply {
        Reply::Accepted => (process_manager::Reply::Accepted, 0),
        Reply::Rejected { code, message } => (
            process_manager::Reply::Rejected((code, message)),
            code.len().saturating_add(message.len()),
        ),
        Reply::Failed { cause } => (process_manager::Reply::Failed(cause), cause.len()),
    }
}

/// How many bytes a reaction has: state, ids, names and data.
fn reaction_bytes(reaction: &Reaction) -> usize {
    let state = reaction.state.as_ref().map_or(0, Vec::len);
    let commands =
        reaction.commands.iter().flat_map(|sent| [sent.target_id.len(), sent.data.len()]);
    let started =
        reaction.start_timers.iter().flat_map(|timer| [timer.name.len(), timer.data.len()]);
    let cancelled = reaction.cancel_timers.iter().map(String::len);
    sum(std::iter::once(state).chain(commands).chain(started).chain(cancelled))
}

fn sum(bytes: impl IntoIterator<Item = usize>) -> usize {
    bytes.into_iter().fold(0, usize::saturating_add)
}
