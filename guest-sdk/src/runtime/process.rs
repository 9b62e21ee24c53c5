//! The component that a [`ProcessManager`] becomes.

use std::marker::PhantomData;

use crate::bindings::annals::plugin::types;
use crate::bindings::exports::annals::plugin::{descriptor, process_manager};
use crate::canonical::to_canonical_json;
use crate::message::chain;
use crate::runtime::columns::{entry, payload};
use crate::runtime::descriptor::{Package, describe_process};
use crate::{Message as _, Outgoing, ProcessContext, ProcessManager, Reaction, Received, Reply};
use crate::{Sent, Timer, Unhandled, host, trap, trap_because};

/// Exports `T`, described with `P`.
#[derive(Debug)]
pub struct ProcessManagerComponent<T, P>(PhantomData<(T, P)>);

/// What the contract has for a reaction.
type Reacted = Result<process_manager::Reaction, String>;

impl<T: ProcessManager, P: Package> descriptor::Guest for ProcessManagerComponent<T, P> {
    fn describe() -> descriptor::Description {
        host::report_panics();
        describe_process::<T, P>()
    }
}

impl<T: ProcessManager, P: Package> process_manager::Guest for ProcessManagerComponent<T, P> {
    fn correlate(events: types::EventBatch) -> Vec<Vec<String>> {
        host::report_panics();
        correlate_batch::<T>(&events)
    }

    fn on_event(
        ctx: types::Context,
        instance: String,
        state: Option<Vec<u8>>,
        event: types::RecordedEvent,
    ) -> Reacted {
        host::report_panics();
        handle_event::<T>(ProcessContext { instance, call: ctx }, state.as_deref(), &event)
    }

    fn on_timer(
        ctx: types::Context,
        instance: String,
        state: Vec<u8>,
        fired: process_manager::Timer,
    ) -> Reacted {
        host::report_panics();
        handle_timer::<T>(ProcessContext { instance, call: ctx }, &state, fired)
    }

    fn on_reply(
        ctx: types::Context,
        instance: String,
        state: Vec<u8>,
        sent: process_manager::Outgoing,
        reply: process_manager::Reply,
    ) -> Reacted {
        host::report_panics();
        handle_reply::<T>(ProcessContext { instance, call: ctx }, &state, sent, reply)
    }
}

/// The instances of each event of a batch.
pub(crate) fn correlate_batch<T: ProcessManager>(events: &types::EventBatch) -> Vec<Vec<String>> {
    let instances_of = |(index, event_type): (usize, &u32)| {
        let data = payload(&events.data, &events.data_ends, index);
        // There is no answer for one event that does not decode. The host finds it by smaller batches
        // and puts it aside.
        let event = T::Event::decode(*event_type, data)
            .unwrap_or_else(|error| trap("recorded event", &error));
        let stream = usize::try_from(entry(&events.stream_indexes, index)).unwrap_or(usize::MAX);
        let Some(stream_id) = events.streams.get(stream) else {
            trap_because("the host's stream index is out of range");
        };
        T::correlate(&Received {
            event,
            stream_id,
            revision: entry(&events.revisions, index),
            recorded_at_ms: entry(&events.recorded_at, index),
        })
    };
    events.event_types.iter().enumerate().map(instances_of).collect()
}

pub(crate) fn handle_event<T: ProcessManager>(
    ctx: ProcessContext,
    state: Option<&[u8]>,
    recorded: &types::RecordedEvent,
) -> Reacted {
    let state = state.map(state_of::<T>).transpose()?;
    let event =
        T::Event::decode(recorded.event_type, &recorded.data).map_err(|error| chain(&error))?;
    let received = Received {
        event,
        stream_id: &recorded.stream,
        revision: recorded.revision,
        recorded_at_ms: recorded.recorded_at,
    };
    lower_reaction(T::on_event(state, received, &ctx))
}

pub(crate) fn handle_timer<T: ProcessManager>(
    ctx: ProcessContext,
    state: &[u8],
    fired: process_manager::Timer,
) -> Reacted {
    let process_manager::Timer { name, due_at, data } = fired;
    let fired = Timer { name, due_at_ms: due_at, data };
    lower_reaction(T::on_timer(state_of::<T>(state)?, fired, &ctx))
}

pub(crate) fn handle_reply<T: ProcessManager>(
    ctx: ProcessContext,
    state: &[u8],
    sent: process_manager::Outgoing,
    reply: process_manager::Reply,
) -> Reacted {
    let state = state_of::<T>(state)?;
    let sent = lift_outgoing(sent)?;
    let reply = match reply {
        process_manager::Reply::Accepted => Reply::Accepted,
        process_manager::Reply::Rejected((code, message)) => Reply::Rejected { code, message },
        process_manager::Reply::Failed(cause) => Reply::Failed { cause },
    };
    lower_reaction(T::on_reply(state, sent, reply, &ctx))
}

/// A state that another version of the plugin wrote may not be one of this.
fn state_of<T: ProcessManager>(state: &[u8]) -> Result<T::State, String> {
    serde_json::from_slice(state).map_err(|error| format!("state: {}", chain(&error)))
}

pub(crate) fn lift_outgoing<C: Outgoing>(
    sent: process_manager::Outgoing,
) -> Result<Sent<C>, String> {
    let command = C::decode(sent.command.command_type, &sent.command.data);
    let command = command.map_err(|error| chain(&error))?;
    Ok(Sent { target_id: sent.target_id, command })
}

fn lower_reaction<S: serde::Serialize, C: Outgoing>(
    reacted: Result<Reaction<S, C>, Unhandled>,
) -> Reacted {
    let reaction = reacted.map_err(|unhandled| unhandled.message)?;
    let state = reaction
        .state
        .map(|state| to_canonical_json(&state).unwrap_or_else(|error| trap("state", &error)));
    let timers = reaction.start_timers.into_iter();
    Ok(process_manager::Reaction {
        state,
        commands: reaction.commands.into_iter().map(lower_outgoing).collect(),
        start_timers: timers
            .map(|Timer { name, due_at_ms, data }| process_manager::Timer {
                name,
                due_at: due_at_ms,
                data,
            })
            .collect(),
        cancel_timers: reaction.cancel_timers,
    })
}

fn lower_outgoing<C: Outgoing>(sent: Sent<C>) -> process_manager::Outgoing {
    let Sent { target_id, command } = sent;
    let data = command.encode().unwrap_or_else(|error| trap(command.name(), &error));
    let command_type = command.type_index();
    process_manager::Outgoing { target_id, command: types::Command { command_type, data } }
}
