//! Process managers: one that behaves where it is told to, and otherwise does not.

use std::sync::Arc;

use annals_components::misbehaving_process as misdeed;
use annals_core::columns::EventBatch;
use annals_core::place::{Position, Revision};
use annals_core::plugin::{GivenEvent, GuestTimer, Outgoing, PluginKind, Reaction, Reply};
use annals_core::port::guest::{GuestFailure, GuestPlugin, ProcessManagerGuest};
use annals_core::time::Timestamp;
use annals_core::usage::HandlerUsage;
use annals_runtime::RuntimeLimits;

use crate::support::{context, index, load, load_with, text, unusable};

type Reacted = Result<Result<Reaction, String>, GuestFailure>;

/// A call that answers a reaction.
#[derive(Debug, Clone, Copy)]
enum Call {
    Event,
    Timer,
    Reply,
}

impl Call {
    const ALL: [Self; 3] = [Self::Event, Self::Timer, Self::Reply];

    const fn name(self) -> &'static str {
        match self {
            Self::Event => "on-event",
            Self::Timer => "on-timer",
            Self::Reply => "on-reply",
        }
    }
}

/// A sandbox, by the names of events.
struct Process {
    plugin: Arc<dyn GuestPlugin>,
    guest: Box<dyn ProcessManagerGuest>,
}

impl Process {
    fn new(plugin: &Arc<dyn GuestPlugin>) -> Self {
        Self { plugin: Arc::clone(plugin), guest: plugin.process_manager().unwrap() }
    }

    fn event_type(&self, name: &str) -> u32 {
        index(self.plugin.description().events.iter().map(|ty| ty.name.as_str()), name)
    }

    /// The instances of one event of `stream/i1` per name.
    fn correlate(&mut self, names: &[&str]) -> Result<Vec<Vec<String>>, GuestFailure> {
        let mut batch = EventBatch { streams: vec!["stream/i1".into()], ..EventBatch::default() };
        for (number, name) in names.iter().enumerate() {
            let number = u64::try_from(number).unwrap();
            batch.stream_indexes.push(0);
            batch.event_types.push(self.event_type(name));
            batch.revisions.push(Revision::new(number));
            batch.positions.push(Position::new(number));
            batch.recorded_at.push(Timestamp::from_ms(number));
            batch.data.push(b"{}").unwrap();
        }
        self.guest.correlate(&batch)
    }

    /// What `call` of a misdeed leads to, with `state` as the state of the instance.
    fn react(&mut self, call: Call, misdeed: &str, state: &[u8]) -> Reacted {
        let context = context(1);
        match call {
            Call::Event => {
                let event_type = self.event_type(misdeed);
                let (revision, recorded_at) = (Revision::new(0), Timestamp::from_ms(1));
                let event = GivenEvent {
                    stream: "stream/i1",
                    event_type,
                    revision,
                    recorded_at,
                    data: b"{}",
                };
                self.guest.on_event(&context, "i1", Some(state), &event)
            }
            Call::Timer => self.guest.on_timer(&context, "i1", state, &timer(misdeed)),
            Call::Reply => {
                self.guest.on_reply(&context, "i1", state, (&note(misdeed), &Reply::Accepted))
            }
        }
    }
}

fn timer(name: &str) -> GuestTimer {
    GuestTimer { name: name.to_owned(), due_at: Timestamp::from_ms(7), data: b"null".to_vec() }
}

fn note(target_id: &str) -> Outgoing {
    Outgoing { target_id: target_id.to_owned(), command_type: 0, data: b"{}".to_vec() }
}

/// The reaction to [`misdeed::NOTED`].
fn noted(state: &[u8]) -> Reaction {
    Reaction {
        state: Some(state.to_vec()),
        commands: vec![note("m1")],
        start_timers: vec![timer("noted")],
        cancel_timers: vec!["other".to_owned()],
    }
}

#[test]
fn a_process_manager_says_what_it_takes_and_what_it_sends() {
    // Guards what the engine plans with: kind, events, commands and who takes them.
    let plugin = load(annals_components::misbehaving_process());
    assert_eq!(plugin.inspection().kind, PluginKind::ProcessManager);
    let description = plugin.description();
    let commands: Vec<_> = description.commands.iter().map(|ty| ty.name.as_str()).collect();
    let targets: Vec<_> = description.targets.iter().map(|name| name.as_str()).collect();
    assert_eq!((commands.as_slice(), targets.as_slice()), (&["note"][..], &["misbehaving"][..]));
    assert_eq!(
        text(plugin.projection()),
        "plugin `misbehaving-process` broke the contract in `instantiate`: it is of kind \
         `process-manager`, not `projection`"
    );
    let account = load(annals_components::account());
    assert_eq!(
        text(account.process_manager()),
        "plugin `account` broke the contract in `instantiate`: it is of kind `aggregate`, not \
         `process-manager`"
    );
}

#[test]
fn everything_that_goes_in_and_out_arrives() {
    // Guards the mapping: instances per event in order, state, commands, timers, and no state at all.
    let mut process = Process::new(&load(annals_components::misbehaving_process()));
    assert_eq!(process.correlate(&[]).unwrap(), Vec::<Vec<String>>::new());
    let instances = process.correlate(&[misdeed::NOTED, misdeed::CORRELATE_BLANK]).unwrap();
    assert_eq!(instances, [["i1"], [""]]);
    for call in Call::ALL {
        let reaction = process.react(call, misdeed::NOTED, b"{\"n\":1}").unwrap().unwrap();
        assert_eq!(reaction, noted(b"{\"n\":1}"), "{call:?}");
    }
    let event = GivenEvent {
        stream: "stream/i1",
        event_type: 0,
        revision: Revision::new(3),
        recorded_at: Timestamp::from_ms(1),
        data: b"{}",
    };
    let begun = process.guest.on_event(&context(1), "i1", None, &event).unwrap().unwrap();
    assert_eq!(begun, noted(b"{}"));
    let rejected = Reply::Rejected { code: "no".to_owned(), message: "not now".to_owned() };
    for reply in [rejected, Reply::Failed { cause: "unknown".to_owned() }] {
        let answered = (&note("noted"), &reply);
        let reaction = process.guest.on_reply(&context(1), "i1", b"1", answered).unwrap();
        assert_eq!(reaction, Ok(noted(b"1")));
    }
}

#[test]
fn a_transfer_is_followed_in_the_sandbox_as_it_is_natively() {
    // Guards the SDK's way through the real contract: description, correlation, state, timers, replies.
    let plugin = load(annals_components::transfer());
    let description = plugin.description();
    let sent: Vec<_> = description.commands.iter().map(|ty| ty.name.as_str()).collect();
    let targets: Vec<_> = description.targets.iter().map(|name| name.as_str()).collect();
    let to_account = ["debit-for-transfer", "credit-for-transfer", "refund-transfer"];
    let to_transfer = ["mark-debited", "complete-transfer", "fail-transfer"];
    assert_eq!(sent, [to_account, to_transfer].concat());
    assert_eq!(targets, [["account"; 3], ["money-transfer"; 3]].concat());
    let mut guest = plugin.process_manager().unwrap();
    let event = GivenEvent {
        stream: "money-transfer/t1",
        event_type: 0,
        revision: Revision::new(0),
        recorded_at: Timestamp::from_ms(1),
        data: br#"{"from":"a1","to":"a2","cents":10,"timeout_ms":500}"#,
    };
    let context = context(1);
    let begun = guest.on_event(&context, "t1", None, &event).unwrap().unwrap();
    let debit = Outgoing {
        target_id: "a1".to_owned(),
        command_type: 0,
        data: br#"{"transfer":"t1","cents":10}"#.to_vec(),
    };
    let time_out = GuestTimer {
        name: "time-out".to_owned(),
        due_at: Timestamp::from_ms(context.now.ms() + 500),
        data: Vec::new(),
    };
    let state = br#"{"cents":10,"failures_count":0,"from":"a1","step":"Debit","to":"a2"}"#.to_vec();
    let expected = Reaction {
        state: Some(state.clone()),
        commands: vec![debit.clone()],
        start_timers: vec![time_out.clone()],
        cancel_timers: Vec::new(),
    };
    assert_eq!(begun, expected);
    let (code, message) = ("insufficient-funds".to_owned(), "the balance is 5".to_owned());
    let rejected = Reply::Rejected { code, message };
    let failed = guest.on_reply(&context, "t1", &state, (&debit, &rejected)).unwrap().unwrap();
    let [sent] = failed.commands.as_slice() else { panic!("{failed:?}") };
    assert_eq!((sent.target_id.as_str(), sent.command_type), ("t1", 5));
    assert_eq!(sent.data, br#"{"reason":"insufficient-funds"}"#);
    assert_eq!(failed.cancel_timers, ["time-out"]);
    let timed_out = guest.on_timer(&context, "t1", &state, &time_out).unwrap().unwrap();
    assert_eq!(timed_out.commands.iter().map(|sent| sent.command_type).collect::<Vec<_>>(), [2, 5]);
    let refused = guest.on_timer(&context, "t1", b"{}", &time_out).unwrap();
    let text = "state: missing field `from` at line 1 column 2";
    assert_eq!(refused, Err(text.to_owned()));
}

#[test]
fn a_misdeed_in_a_reaction_is_a_failure_that_names_plugin_call_and_limit() {
    // Guards "Misbehaving plugins" for each call: traps, fuel, memory, broken UTF-8; afterwards the
    // sandbox holds nothing, and a new one works.
    let plugin = load(annals_components::misbehaving_process());
    let cases = [
        (misdeed::TRAPPED, "trapped in `CALL`: wasm trap: wasm `unreachable` instruction executed"),
        (misdeed::LOOPED, "reached a limit in `CALL`: fuel 200000000 (limits.react_fuel_max)"),
        (
            misdeed::HOARDED,
            "reached a limit in `CALL`: linear memory 64 MiB (limits.memory_bytes_max)",
        ),
        (
            misdeed::MISNAMED,
            "broke the contract in `CALL`: invalid utf-8 sequence of 1 bytes from index 1",
        ),
    ];
    for call in Call::ALL {
        for (event, expected) in cases {
            let mut process = Process::new(&plugin);
            let said = text(process.react(call, event, b"{}"));
            let expected = expected.replace("CALL", call.name());
            assert!(
                said.starts_with(&format!("plugin `misbehaving-process` {expected}")),
                "{said}"
            );
            let after = text(process.react(call, misdeed::NOTED, b"{}"));
            assert_eq!(after, unusable("misbehaving-process", call.name()));
            let mut next = Process::new(&plugin);
            assert_eq!(next.react(call, misdeed::NOTED, b"{}"), Ok(Ok(noted(b"{}"))));
        }
    }
}

#[test]
fn a_misdeed_in_correlate_is_a_failure_that_names_plugin_call_and_limit() {
    // Guards the same where it is called in bulk: its fuel grows with the events, as for `project`.
    let plugin = load(annals_components::misbehaving_process());
    let cases = [
        (misdeed::CORRELATE_TRAPPED, "trapped in `correlate`: wasm trap: wasm `unreachable`"),
        (
            misdeed::CORRELATE_LOOPED,
            "reached a limit in `correlate`: fuel 204000000 (limits.event_fuel_max)",
        ),
        (
            misdeed::CORRELATE_HOARDED,
            "reached a limit in `correlate`: linear memory 64 MiB (limits.memory_bytes_max)",
        ),
        (
            misdeed::CORRELATE_MISNAMED,
            "broke the contract in `correlate`: invalid utf-8 sequence of 1 bytes from index 1",
        ),
    ];
    for (event, expected) in cases {
        let mut process = Process::new(&plugin);
        let said = text(process.correlate(&[misdeed::NOTED, event]));
        assert!(said.starts_with(&format!("plugin `misbehaving-process` {expected}")), "{said}");
        let after = text(process.correlate(&[misdeed::NOTED]));
        assert_eq!(after, unusable("misbehaving-process", "correlate"));
    }
}

#[test]
fn a_refusal_costs_nothing() {
    // Guards that an event the plugin cannot handle leaves the sandbox as it was.
    let mut process = Process::new(&load(annals_components::misbehaving_process()));
    for call in Call::ALL {
        let refused = process.react(call, misdeed::REFUSED, b"{}").unwrap();
        assert_eq!(refused, Err("not this one".to_owned()));
        assert_eq!(process.react(call, misdeed::NOTED, b"{}"), Ok(Ok(noted(b"{}"))));
    }
}

#[test]
fn what_a_process_manager_returns_is_passed_on_unchecked() {
    // Guards the line between runtime and engine: counts, sizes, names and JSON are the engine's to
    // check.
    let mut process = Process::new(&load(annals_components::misbehaving_process()));
    let mut one = |event| process.react(Call::Event, event, b"{}").unwrap().unwrap();
    assert_eq!(one(misdeed::MISTYPED).commands[0].command_type, 1);
    assert_eq!(one(misdeed::GARBLED).commands[0].data, b"{\"open\":");
    assert_eq!(one(misdeed::FLOODED).commands.len(), 101);
    assert_eq!(one(misdeed::OVERWOUND).start_timers.len(), 101);
    assert_eq!(one(misdeed::MISTIMED).start_timers[0].name, "Not Kebab");
    assert_eq!(one(misdeed::BLOATED).state.unwrap().len(), (256 << 10) + 1);
    assert_eq!(one(misdeed::MISTARGETED).commands[0].target_id, "");
    let short = process.correlate(&[misdeed::NOTED, misdeed::CORRELATE_SHORT]).unwrap();
    assert_eq!(short, [["i1"]]);
    assert_eq!(process.correlate(&[misdeed::CORRELATE_FLOODED]).unwrap()[0].len(), 101);
}

#[test]
fn what_goes_in_has_a_limit() {
    // Guards `input_bytes_max` of each call: with the context, the instance and the state.
    let limits = RuntimeLimits { input_bytes_max: 1_000, ..RuntimeLimits::default() };
    let plugin = load_with(annals_components::misbehaving_process(), limits);
    // 36 for the message id, then `request-1`, `default`, `athena`, `i1`.
    let context_bytes = 36 + 9 + 7 + 6 + 2;
    for call in Call::ALL {
        let others = match call {
            Call::Event => "stream/i1{}".len(),
            Call::Timer => "notednull".len(),
            Call::Reply => "noted{}".len(),
        };
        let fits = vec![b'1'; 1_000 - context_bytes - others];
        let mut process = Process::new(&plugin);
        process.react(call, misdeed::NOTED, &fits).unwrap().unwrap();
        let too_much = [fits.as_slice(), b"1"].concat();
        assert_eq!(
            text(process.react(call, misdeed::NOTED, &too_much)),
            format!(
                "plugin `misbehaving-process` reached a limit in `{}`: 1000 bytes passed in \
                 (limits.input_bytes_max)",
                call.name()
            )
        );
    }
    let mut process = Process::new(&plugin);
    let said = text(process.correlate(&[misdeed::NOTED; 30]));
    assert!(said.contains("in `correlate`: 1000 bytes passed in"), "{said}");
}

#[test]
fn calls_and_bytes_are_counted_per_handler() {
    // Guards the figures that operators see: each call under its name.
    let plugin = load(annals_components::misbehaving_process());
    let mut process = Process::new(&plugin);
    process.correlate(&[misdeed::NOTED]).unwrap();
    for call in Call::ALL {
        process.react(call, misdeed::NOTED, b"{}").unwrap().unwrap();
    }
    let usage = plugin.usage();
    let counted: Vec<_> = usage
        .handlers
        .iter()
        .filter(|usage| !["describe", "instantiate"].contains(&usage.handler))
        .map(|usage| HandlerUsage { fuel: 0, input_bytes: 0, ..*usage })
        .collect();
    let once = |handler, output_bytes| HandlerUsage {
        handler,
        calls_count: 1,
        output_bytes,
        ..HandlerUsage::default()
    };
    // The state, the target with its data, the timer with its data, and the name of the other.
    let reaction_bytes = 2 + 2 + 2 + 5 + 4 + 5;
    let expected = [
        once("correlate", 2),
        once("on-event", reaction_bytes),
        once("on-timer", reaction_bytes),
        once("on-reply", reaction_bytes),
    ];
    assert_eq!(counted, expected);
}
