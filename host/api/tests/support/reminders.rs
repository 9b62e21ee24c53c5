//! The process manager `reminders`: an instance per account, and what it does about its opening is a
//! matter of the cents that it is opened with.

use annals_core::columns::EventBatch;
use annals_core::name::PluginName;
use annals_core::plugin::{
    Context, Description, GivenEvent, GuestTimer, Outgoing, Reaction, Reply,
};
use annals_core::port::guest::{GuestFailure, ProcessManagerGuest};
use annals_core::time::Timestamp;
use serde_json::{Value, json};

use super::runtime::{bare, message};

/// Is refused.
const REFUSED: u64 = 13;
/// Traps, with a backtrace.
const TRAP: u64 = 14;
/// Cannot be correlated.
const UNRELATED: u64 = 15;
/// Ends the instance when its command is rejected, after a timer that never fires.
const ENDS: u64 = 20;
/// Sends a command to an aggregate that there is not.
const NOBODY: u64 = 21;
/// Has a state that is no JSON.
const BYTES: u64 = 22;

pub(super) fn description() -> Description {
    let any = json!({});
    Description {
        commands: vec![message("deposit-funds", &any), message("remind", &any)],
        targets: ["account", "nobody"].map(|name| PluginName::new(name).unwrap()).to_vec(),
        events: vec![message("account-opened", &any)],
        ..bare("reminders", "Reminds of accounts.")
    }
}

#[derive(Debug)]
pub(super) struct RemindersGuest;

fn trap(call: &'static str) -> GuestFailure {
    let cause = "told to\n  at reminders".to_owned();
    GuestFailure::Trap { plugin: "reminders".to_owned(), call, cause }
}

fn cents(data: &[u8]) -> u64 {
    let data: Value = serde_json::from_slice(data).unwrap();
    data["initial_cents"].as_u64().unwrap()
}

fn state(says: &str) -> Option<Vec<u8>> {
    Some(json!({ "says": says }).to_string().into_bytes())
}

impl ProcessManagerGuest for RemindersGuest {
    fn correlate(&mut self, events: &EventBatch) -> Result<Vec<Vec<String>>, GuestFailure> {
        let mut start = 0;
        let mut said = Vec::new();
        for (end, stream) in events.data.ends().iter().zip(&events.stream_indexes) {
            let end = usize::try_from(*end).unwrap();
            if cents(&events.data.bytes()[start..end]) == UNRELATED {
                return Err(trap("correlate"));
            }
            start = end;
            // An id that needs encoding in a path.
            let stream = &events.streams[usize::try_from(*stream).unwrap()];
            said.push(vec![format!("{stream}?ö")]);
        }
        Ok(said)
    }

    fn on_event(
        &mut self,
        context: &Context,
        _instance: &str,
        _state: Option<&[u8]>,
        event: &GivenEvent<'_>,
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        let id = event.stream.split_once('/').unwrap().1;
        let send = |command_type| Outgoing {
            target_id: format!("{id}-2"),
            command_type,
            data: json!({"cents": 1}).to_string().into_bytes(),
        };
        let start = GuestTimer {
            name: "remind".to_owned(),
            due_at: Timestamp::from_ms(context.now.ms() + 60_000),
            data: Vec::new(),
        };
        let opened = Reaction { state: state("opened"), ..Reaction::default() };
        let reaction = match cents(event.data) {
            REFUSED => return Ok(Err("unheard of".to_owned())),
            TRAP => return Err(trap("on-event")),
            ENDS => Reaction { commands: vec![send(0)], start_timers: vec![start], ..opened },
            NOBODY => Reaction { commands: vec![send(1)], ..opened },
            BYTES => Reaction { state: Some(vec![0xff]), ..opened },
            _ => Reaction { start_timers: vec![start], ..opened },
        };
        Ok(Ok(reaction))
    }

    fn on_timer(
        &mut self,
        _: &Context,
        _instance: &str,
        state: &[u8],
        _fired: &GuestTimer,
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        Ok(Ok(Reaction { state: Some(state.to_vec()), ..Reaction::default() }))
    }

    fn on_reply(
        &mut self,
        _: &Context,
        _instance: &str,
        state: &[u8],
        (_, reply): (&Outgoing, &Reply),
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        let state = match reply {
            Reply::Rejected { .. } => None,
            Reply::Accepted | Reply::Failed { .. } => Some(state.to_vec()),
        };
        Ok(Ok(Reaction { state, ..Reaction::default() }))
    }
}
