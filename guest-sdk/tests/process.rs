//! Process managers: what the host sees of one, and that the test helpers fail when they should.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper that fails is a test that fails")]

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use annals_sdk::__private::{Exported, Package, ProcessManagerComponent};
use annals_sdk::bindings::annals::plugin::types;
use annals_sdk::bindings::exports::annals::plugin::process_manager as wire;
use annals_sdk::testing::{Instance, NOW_MS, given_instance, instances_of};
use annals_sdk::{ProcessContext, ProcessManager, Reaction, Received, Reply, Sent, Timer};
use annals_sdk::{Unhandled, json};

#[derive(Debug)]
struct Shop;

impl Package for Shop {
    const VERSION: &'static str = "1.2.3";
    const SUMMARY: &'static str = "A shop";
}

/// Has what was ordered delivered, and does what a test asks for.
struct Delivery;

#[annals_sdk::data]
struct State {
    zeal: u64,
    notes: Vec<String>,
    #[serde(skip_deserializing)]
    lost: u64,
}

#[annals_sdk::event]
enum Event {
    Ordered { item: String },
    Asked { what: String },
}

#[annals_sdk::outgoing]
enum Command {
    #[annals(target = "parcel")]
    Send { item: String },
    #[annals(target = "letter", schema_version = 2)]
    Write,
    #[annals(name = "send", target = "letter")]
    SendLetter {
        #[serde(skip_deserializing)]
        lost: u64,
    },
}

type Reacted = Result<Reaction<State, Command>, Unhandled>;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

fn state(notes: &[&str]) -> State {
    State { zeal: 1, notes: notes.iter().map(|&note| note.to_owned()).collect(), lost: 0 }
}

impl ProcessManager for Delivery {
    const NAME: &'static str = "delivery";
    const STATE_VERSION: u32 = 4;
    type State = State;
    type Event = Event;
    type Command = Command;

    fn correlate(received: &Received<'_, Event>) -> Vec<String> {
        match &received.event {
            Event::Ordered { item } if item == "nothing" => Vec::new(),
            Event::Ordered { .. } => vec![received.id().to_owned()],
            Event::Asked { what } => match what.as_str() {
                "for-nobody" => vec![String::new()],
                "for-everybody" => (0..101).map(|number| number.to_string()).collect(),
                "for-another" => {
                    CALLS.set(CALLS.get() + 1);
                    vec![CALLS.get().to_string()]
                }
                _ => vec![received.id().to_owned(), received.category().to_owned()],
            },
        }
    }

    fn on_event(
        state: Option<State>,
        received: Received<'_, Event>,
        ctx: &ProcessContext,
    ) -> Reacted {
        match received.event {
            Event::Ordered { item } => {
                let note = format!(
                    "{} {} {} {} {}",
                    ctx.instance(),
                    received.stream_id,
                    received.revision,
                    received.recorded_at_ms,
                    ctx.now_ms()
                );
                let mut state = state.unwrap_or_else(|| self::state(&[]));
                state.notes.push(note);
                Ok(Reaction::keep(state)
                    .start_timer_with("late", ctx.now_ms() + 5, &json!({ "item": item }))
                    .send("p1", Command::Send { item })
                    .send("l1", Command::Write))
            }
            Event::Asked { what } => asked(&what),
        }
    }

    fn on_timer(mut state: State, fired: Timer, ctx: &ProcessContext) -> Reacted {
        let data: annals_sdk::Value = fired.data()?;
        state.notes.push(format!("{} {} {data}", fired.name, ctx.now_ms()));
        Ok(Reaction::keep(state))
    }

    fn on_reply(
        mut state: State,
        sent: Sent<Command>,
        reply: Reply,
        _: &ProcessContext,
    ) -> Reacted {
        if sent.command == Command::Write {
            return Ok(Reaction::end().cancel_timer("late"));
        }
        state.notes.push(format!("{} {reply:?}", sent.target_id));
        Ok(Reaction::keep(state))
    }
}

fn asked(what: &str) -> Reacted {
    let calm = Reaction::keep(state(&[]));
    let long = "x".repeat(256 << 10);
    Ok(match what {
        "refuse" => return Err(Unhandled::new("not this one")),
        "remember" => {
            CALLS.set(CALLS.get() + 1);
            Reaction::keep(State { zeal: CALLS.get(), ..state(&[]) })
        }
        "lose-state" => Reaction::keep(State { lost: 1, ..state(&[]) }),
        "lose-command" => calm.send("l1", Command::SendLetter { lost: 1 }),
        "bloat" => Reaction::keep(state(&[&long])),
        "flood" => (0..101).fold(calm, |reaction, _| reaction.send("l1", Command::Write)),
        "wind" => (0..101).fold(calm, |reaction, n| reaction.start_timer(format!("t-{n}"), 1)),
        "load" => calm.start_timer_with("load", 1, &long[..(64 << 10) - 1]),
        "mistime" => calm.start_timer("Not Kebab", 1),
        "mistarget" => calm.send("", Command::Write),
        "change-mind" => calm
            .cancel_timer("a")
            .start_timer("a", 1)
            .start_timer("a", 2)
            .start_timer("b", 3)
            .cancel_timer("b")
            .cancel_timer("b"),
        _ => calm,
    })
}

type Component = ProcessManagerComponent<Delivery, Shop>;

fn context() -> types::Context {
    types::Context {
        message_id: "m".to_owned(),
        correlation_id: "c".to_owned(),
        now: 1,
        seed: (1, 2),
        namespace: "default".to_owned(),
        principal: None,
        extensions: Vec::new(),
    }
}

fn on_event(state: Option<&str>, event_type: u32, data: &str) -> Result<wire::Reaction, String> {
    let event = types::RecordedEvent {
        stream: "order/o1".to_owned(),
        event_type,
        revision: 3,
        recorded_at: 9,
        data: data.as_bytes().to_vec(),
    };
    let state = state.map(|state| state.as_bytes().to_vec());
    <Component as wire::Guest>::on_event(context(), "o1".to_owned(), state, event)
}

#[test]
fn a_description_names_commands_with_their_targets() {
    // Guards where commands go: targets in the order of the commands, of which two have one name.
    let description = <Component as Exported>::describe();
    let commands = description.commands.iter().map(|ty| (ty.name.as_str(), ty.schema_version));
    let commands: Vec<_> = commands.zip(description.targets.iter().map(String::as_str)).collect();
    let expected = [(("send", 1), "parcel"), (("write", 2), "letter"), (("send", 1), "letter")];
    assert_eq!(commands, expected);
    let events: Vec<_> = description.events.iter().map(|ty| ty.name.as_str()).collect();
    assert_eq!(events, ["ordered", "asked"]);
    assert_eq!((description.name.as_str(), description.version.as_str()), ("delivery", "1.2.3"));
    assert!(description.state_schema.starts_with("4-"), "{}", description.state_schema);
}

#[test]
fn a_reaction_goes_out_as_canonical_json() {
    // Guards what the host keeps: keys in order, indexes of commands, timers with their data.
    let reaction = on_event(None, 0, r#"{"item":"lyre","colour":"gold"}"#).unwrap();
    let state = String::from_utf8(reaction.state.unwrap()).unwrap();
    assert_eq!(state, r#"{"lost":0,"notes":["o1 order/o1 3 9 1"],"zeal":1}"#);
    let sent: Vec<_> = reaction
        .commands
        .iter()
        .map(|sent| {
            (sent.target_id.as_str(), sent.command.command_type, sent.command.data.as_slice())
        })
        .collect();
    let expected = [("p1", 0, br#"{"item":"lyre"}"#.as_slice()), ("l1", 1, b"{}")];
    assert_eq!(sent, expected);
    let [timer] = reaction.start_timers.as_slice() else { panic!("{:?}", reaction.start_timers) };
    let timer = (timer.name.as_str(), timer.due_at, timer.data.as_slice());
    assert_eq!(timer, ("late", 6, br#"{"item":"lyre"}"#.as_slice()));
    assert_eq!(reaction.cancel_timers, Vec::<String>::new());
}

#[test]
fn what_does_not_decode_is_refused_and_says_what() {
    // Guards parked events: the text is all an operator has.
    assert_eq!(
        on_event(None, 0, "{}").unwrap_err(),
        "data does not fit `ordered`: missing field `item` at line 1 column 2"
    );
    assert_eq!(
        on_event(Some("[]"), 0, r#"{"item":"lyre"}"#).unwrap_err(),
        "state: invalid length 0, expected struct State with 2 elements at line 1 column 2"
    );
    let sent = wire::Outgoing {
        target_id: "p1".to_owned(),
        command: types::Command { command_type: 9, data: Vec::new() },
    };
    let state = br#"{"notes":[],"zeal":1}"#.to_vec();
    let accepted = wire::Reply::Accepted;
    let refused = <Component as wire::Guest>::on_reply(
        context(),
        "o1".to_owned(),
        state.clone(),
        sent,
        accepted,
    );
    assert_eq!(refused.unwrap_err(), "no message type 9");
    let fired = wire::Timer { name: "late".to_owned(), due_at: 1, data: b"{".to_vec() };
    let refused = <Component as wire::Guest>::on_timer(context(), "o1".to_owned(), state, fired);
    assert_eq!(
        refused.unwrap_err(),
        "data of timer `late`: EOF while parsing an object at line 1 column 1"
    );
}

#[test]
#[should_panic(expected = "recorded event: data does not fit `ordered`: missing field `item`")]
fn an_event_that_does_not_decode_ends_correlate() {
    // Guards against an event that is passed over because nobody could read it.
    <Component as wire::Guest>::correlate(types::EventBatch {
        partition: 0,
        streams: vec!["order/o1".to_owned()],
        stream_indexes: vec![0],
        event_types: vec![0],
        revisions: vec![0],
        positions: vec![0],
        recorded_at: vec![0],
        data_ends: vec![2],
        data: b"{}".to_vec(),
    });
}

fn ordered(item: &str) -> Event {
    Event::Ordered { item: item.to_owned() }
}

fn ask(what: &str) -> Instance<Delivery> {
    let asked = Event::Asked { what: what.to_owned() };
    given_instance("o1").when_event("order/o1", asked)
}

fn send() -> Command {
    Command::Send { item: "lyre".to_owned() }
}

#[test]
fn an_instance_is_followed_to_its_end() {
    // Guards the helpers where all is well: state, commands in order, timers, time, replies, the end.
    given_instance::<Delivery>("o1")
        .then_ended()
        .when_event("order/o1", ordered("lyre"))
        .then_commands([("p1", send()), ("l1", Command::Write)])
        .then_timers([("late", NOW_MS + 5)])
        .when_timer("late")
        .then_commands([])
        .then_timers([])
        .when_event("order/o1", ordered("harp"))
        .when_reply(send(), Reply::rejected("no-room"))
        .then_state(|state| {
            let expected = [
                format!("o1 order/o1 0 {NOW_MS} {NOW_MS}"),
                format!("late {} {{\"item\":\"lyre\"}}", NOW_MS + 5),
                format!("o1 order/o1 1 {0} {0}", NOW_MS + 5),
                "p1 Rejected { code: \"no-room\", message: \"\" }".to_owned(),
            ];
            assert_eq!(state.notes, expected);
        })
        .when_reply(Command::Write, Reply::failed("the plugin failed"))
        .then_ended()
        .then_timers([])
        .when_reply(Command::Send { item: "harp".to_owned() }, Reply::Accepted)
        .then_ended();
    assert_eq!(instances_of::<Delivery>("order/o1", &ordered("nothing")), Vec::<String>::new());
    ask("refuse").then_unhandled("not this one");
    ask("change-mind").then_timers([("a", 2)]);
}

/// The text with which `act` panics.
#[track_caller]
fn panic_of<T>(act: impl FnOnce() -> T) -> String {
    let Err(panic) = catch_unwind(AssertUnwindSafe(act)) else { panic!("it did not panic") };
    match panic.downcast_ref::<String>() {
        Some(text) => text.clone(),
        None => (*panic.downcast_ref::<&str>().unwrap()).to_owned(),
    }
}

#[test]
fn what_the_host_would_refuse_fails() {
    // Guards every limit of the contract, and what a type cannot forbid.
    let cases = [
        ("for-nobody", "the id \"\" of an instance is not 1 to 256 bytes of visible text"),
        ("for-everybody", "101 instances are more than 100"),
        ("for-another", "an event concerns other instances when it comes again"),
        ("remember", "the same call leads to something else when it is repeated"),
        ("lose-state", "the state changes on its way through JSON"),
        ("lose-command", "a command changes on its way through JSON"),
        ("bloat", "a state of 262176 bytes is more than 262144"),
        ("flood", "101 commands are more than 100"),
        ("wind", "101 timers are more than 100"),
        ("load", "the data of timer `load` has 65537 bytes, more than 65536"),
        ("mistime", "the name \"Not Kebab\" of a timer is not 1 to 64 bytes of kebab-case"),
        ("mistarget", "a command goes to the empty id"),
    ];
    for (what, expected) in cases {
        let text = panic_of(|| ask(what));
        assert!(text.contains(expected), "{what}: {text}");
    }
}

#[test]
fn what_a_test_wrongly_expects_fails() {
    // Guards the assertions.
    let begun = || given_instance::<Delivery>("o1").when_event("order/o1", ordered("lyre"));
    let cases: [(&str, &dyn Fn() -> Instance<Delivery>); 9] = [
        ("other commands were sent", &|| begun().then_commands([("p1", send())])),
        ("other timers are running", &|| begun().then_timers([("late", 0)])),
        ("the instance goes on", &|| begun().then_ended()),
        ("the call was refused", &|| ask("refuse").then_ended()),
        ("the call was not refused", &|| begun().then_unhandled("no")),
        ("no timer `early` is running; [\"late\"] are", &|| begun().when_timer("early")),
        ("another command is the first without an answer", &|| {
            begun().when_reply(Command::Write, Reply::Accepted)
        }),
        ("all commands are answered", &|| ask("").when_reply(Command::Write, Reply::Accepted)),
        ("the event concerns the instances [\"o2\"], and not `o1`", &|| {
            begun().when_event("order/o2", ordered("lyre"))
        }),
    ];
    for (expected, act) in cases {
        let text = panic_of(act);
        assert!(text.contains(expected), "{text}");
    }
}
