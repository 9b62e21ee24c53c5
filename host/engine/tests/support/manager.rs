//! A native process manager over tallies: what it does about an event is a matter of its amount.
//!
//! An event of `tally/<name>` concerns the instance `<name>`, unless the name begins with `sum`: those
//! are the tallies to which the instances send their commands.

use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_core::columns::EventBatch;
use annals_core::plugin::{Context, GivenEvent, GuestTimer, Outgoing, Reaction, Reply};
use annals_core::port::guest::{GuestFailure, ProcessManagerGuest};
use annals_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::guest::Added;

/// Sends nothing.
pub(crate) const QUIET: i64 = 10;
/// Sends a command that is rejected.
pub(crate) const NEGATIVE: i64 = 20;
/// Sends a command to an aggregate that there is not.
pub(crate) const NOBODY: i64 = 21;
/// Sends a command on which the target traps.
pub(crate) const TRAP: i64 = 22;
/// Sends a command to the stream whose events concern it.
pub(crate) const CIRCLE: i64 = 23;
/// Starts a timer `later`, due after a minute.
pub(crate) const TIMER: i64 = 30;
/// Cancels it.
pub(crate) const CANCEL: i64 = 31;
/// Starts a timer that is due long ago, and each time it fires another.
pub(crate) const RESTLESS: i64 = 32;
/// Ends the instance.
pub(crate) const END: i64 = 40;
/// Is refused while [`Mood::is_bad`].
pub(crate) const UNLUCKY: i64 = 13;
/// Traps while [`Mood::is_bad`].
pub(crate) const DEADLY: i64 = 14;
/// Cannot be correlated while [`Mood::is_bad`].
pub(crate) const UNRELATED: i64 = 15;
/// Concerns a hundred instances.
pub(crate) const CROWD: i64 = 50;
/// Starts 15 timers that are large.
pub(crate) const HEAVY: i64 = 60;
/// Starts 30 of them, more than an instance can hold.
pub(crate) const TOO_HEAVY: i64 = 61;
/// Sends two commands, the first of which is rejected.
pub(crate) const TWO: i64 = 24;

/// What tests change about the process manager, and see of it.
#[derive(Debug, Default)]
pub(crate) struct Mood {
    pub(crate) is_bad: AtomicBool,
    /// Every call: instance and what was handled.
    pub(crate) calls: Mutex<Vec<String>>,
}

impl Mood {
    /// From now on it refuses and fails on what it does not like.
    pub(crate) fn turn_bad(&self) {
        self.is_bad.store(true, Ordering::Relaxed);
    }

    /// From now on it handles everything.
    pub(crate) fn turn_good(&self) {
        self.is_bad.store(false, Ordering::Relaxed);
    }

    fn is_bad(&self) -> bool {
        self.is_bad.load(Ordering::Relaxed)
    }

    fn note(&self, call: String) {
        self.calls.lock().unwrap().push(call);
    }
}

/// What an instance remembers: everything, in words.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Seen(Vec<String>);

#[derive(Debug)]
pub(super) struct Adder {
    pub(super) mood: Arc<Mood>,
}

fn parse(state: Option<&[u8]>) -> Seen {
    state.map_or_else(Seen::default, |state| serde_json::from_slice(state).unwrap())
}

fn trap(call: &'static str) -> GuestFailure {
    GuestFailure::Trap { plugin: "adder".to_owned(), call, cause: "told to".to_owned() }
}

/// Command types in the order of the description: `add` and `trap` of `tally`, `add` of `nobody`.
fn send(command_type: u32, target_id: &str, amount: i64) -> Outgoing {
    let data = serde_json::to_vec(&Added { amount }).unwrap();
    Outgoing { target_id: target_id.to_owned(), command_type, data }
}

fn timer(name: &str, due_at: Timestamp) -> GuestTimer {
    GuestTimer { name: name.to_owned(), due_at, data: name.as_bytes().to_vec() }
}

impl Seen {
    fn and(mut self, what: String) -> Reaction {
        self.0.push(what);
        let state = Some(serde_json::to_vec(&self).unwrap());
        Reaction { state, ..Reaction::default() }
    }
}

impl ProcessManagerGuest for Adder {
    fn correlate(&mut self, events: &EventBatch) -> Result<Vec<Vec<String>>, GuestFailure> {
        let mut start = 0;
        let mut said = Vec::new();
        for (end, stream) in events.data.ends().iter().zip(&events.stream_indexes) {
            let end = usize::try_from(*end).unwrap();
            let event: Added = serde_json::from_slice(&events.data.bytes()[start..end]).unwrap();
            start = end;
            let name = events.streams[usize::try_from(*stream).unwrap()].split_once('/').unwrap().1;
            said.push(match event.amount {
                UNRELATED if self.mood.is_bad() => return Err(trap("correlate")),
                _ if name.starts_with("sum") => Vec::new(),
                CROWD => (0..100).map(|number| format!("{name}-{number:02}")).collect(),
                _ => vec![name.to_owned()],
            });
        }
        Ok(said)
    }

    fn on_event(
        &mut self,
        context: &Context,
        instance: &str,
        state: Option<&[u8]>,
        event: &GivenEvent<'_>,
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        let Added { amount } = serde_json::from_slice(event.data).unwrap();
        if self.mood.is_bad() && amount == DEADLY {
            return Err(trap("on-event"));
        }
        if self.mood.is_bad() && amount == UNLUCKY {
            return Ok(Err("unheard of".to_owned()));
        }
        self.mood.note(format!("{instance} event {amount}"));
        let sum = format!("sum-{instance}");
        let mut reaction = parse(state).and(format!("event {amount}"));
        match amount {
            QUIET => {}
            NEGATIVE => reaction.commands = vec![send(0, &sum, -1)],
            NOBODY => reaction.commands = vec![send(2, &sum, 1)],
            TRAP => reaction.commands = vec![send(1, &sum, 1)],
            TWO => reaction.commands = vec![send(0, &sum, -1), send(0, &sum, 2)],
            CIRCLE => reaction.commands = vec![send(0, instance, CIRCLE)],
            TIMER => {
                let due_at = Timestamp::from_ms(context.now.ms() + 60_000);
                reaction.start_timers = vec![timer("later", due_at)];
            }
            RESTLESS => reaction.start_timers = vec![timer("restless", Timestamp::default())],
            HEAVY | TOO_HEAVY => {
                let due_at = Timestamp::from_ms(u64::MAX);
                let count = if amount == HEAVY { 15 } else { 30 };
                let heavy = |number| GuestTimer {
                    name: format!("heavy-{number}"),
                    due_at,
                    data: vec![b' '; 60 << 10],
                };
                reaction.start_timers = (0..count).map(heavy).collect();
            }
            CANCEL => reaction.cancel_timers = vec!["later".to_owned()],
            END => reaction.state = None,
            amount => reaction.commands = vec![send(0, &sum, amount)],
        }
        Ok(Ok(reaction))
    }

    fn on_timer(
        &mut self,
        _: &Context,
        instance: &str,
        state: &[u8],
        fired: &GuestTimer,
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        self.mood.note(format!("{instance} timer {}", fired.name));
        assert_eq!(fired.data, fired.name.as_bytes());
        let mut reaction = parse(Some(state)).and(format!("timer {}", fired.name));
        if fired.name == "restless" {
            reaction.start_timers = vec![timer("restless", Timestamp::default())];
        } else {
            reaction.commands = vec![send(0, &format!("sum-{instance}"), 1)];
        }
        Ok(Ok(reaction))
    }

    fn on_reply(
        &mut self,
        _: &Context,
        instance: &str,
        state: &[u8],
        (sent, reply): (&Outgoing, &Reply),
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        let said = match reply {
            Reply::Accepted => "accepted".to_owned(),
            Reply::Rejected { code, .. } => format!("rejected {code}"),
            Reply::Failed { cause } => format!("failed: {cause}"),
        };
        if self.mood.is_bad() && matches!(reply, Reply::Rejected { .. }) {
            return Ok(Err("bad news".to_owned()));
        }
        let Added { amount } = serde_json::from_slice(&sent.data).unwrap();
        self.mood.note(format!("{instance} {amount} {said}"));
        Ok(Ok(parse(Some(state)).and(format!("{amount} {said}"))))
    }
}
