//! The test helpers fail when they should: a helper that cannot fail proves nothing.

use std::cell::Cell;

use annals_sdk::testing::{given, given_stored, project};
use annals_sdk::{
    Aggregate, Context, Decision, EventMeta, Failure, Projection, Rejection, Table, Unreadable,
    Upcast, Upcaster, Writes,
};

/// An aggregate with a mistake of every kind.
#[annals_sdk::state]
struct Careless {
    decisions: Cell<u64>,
    #[serde(skip_deserializing)]
    forgotten: u64,
}

#[annals_sdk::command]
enum Command {
    Behave,
    Reject,
    ChangeState,
    Forget,
    LoseField {
        #[serde(skip_serializing, default)]
        lost: u64,
    },
    UseContext,
}

#[annals_sdk::event]
enum Event {
    Behaved,
    Forgotten,
    Noted { text: String },
}

impl Aggregate for Careless {
    const NAME: &'static str = "careless";
    type Command = Command;
    type Event = Event;

    fn evolve(&mut self, event: Event) {
        if event == Event::Forgotten {
            self.forgotten += 1;
        }
    }

    fn decide(&self, command: Command, ctx: &Context) -> Result<Decision<Event>, Rejection> {
        match command {
            Command::Behave | Command::LoseField { .. } => Ok(Event::Behaved.into()),
            Command::Reject => Err(Rejection::new("no", "because")),
            Command::ChangeState => {
                self.decisions.set(1);
                Ok(Decision::none())
            }
            Command::Forget => Ok(Event::Forgotten.into()),
            Command::UseContext => {
                let who = ctx.principal().unwrap_or("nobody");
                let lucky = ctx.random().below(1_000);
                let text = format!("{} {} {who} {lucky}", ctx.stream_id(), ctx.now_ms());
                Ok(Event::Noted { text }.into())
            }
        }
    }
}

#[test]
#[should_panic(expected = "other events were recorded")]
fn then_fails_on_other_events() {
    // Guards `then`.
    given::<Careless>([]).when(Command::Behave).then([]);
}

#[test]
#[should_panic(expected = "the command was rejected")]
fn then_fails_on_a_rejection() {
    // Guards `then` against a rejection taken for no events.
    given::<Careless>([]).when(Command::Reject).then([]);
}

#[test]
#[should_panic(expected = "the command was accepted")]
fn then_rejected_fails_on_acceptance() {
    // Guards `then_rejected`.
    given::<Careless>([]).when(Command::Behave).then_rejected("no");
}

#[test]
#[should_panic(expected = "the command was rejected for another reason")]
fn then_rejected_fails_on_another_code() {
    // Guards `then_rejected`.
    given::<Careless>([]).when(Command::Reject).then_rejected("yes");
}

#[test]
#[should_panic(expected = "`decide` changed the state")]
fn a_decision_that_changes_the_state_fails() {
    // Guards purity, which a cell can break.
    given::<Careless>([]).when(Command::ChangeState).then([]);
}

#[test]
#[should_panic(expected = "the state changes on its way through a snapshot")]
fn a_state_that_a_snapshot_loses_fails() {
    // Guards snapshots: the mistake would show only after a restart.
    given::<Careless>([]).when(Command::Forget).then([Event::Forgotten]);
}

#[test]
#[should_panic(expected = "the command changes on its way through JSON")]
fn a_command_that_json_loses_fails() {
    // Guards serde attributes that work one way only.
    given::<Careless>([]).when(Command::LoseField { lost: 1 }).then([Event::Behaved]);
}

#[test]
fn context_is_what_the_test_says() {
    // Guards the settings of a test, each of them.
    let noted = |text: &str| Event::Noted { text: text.to_owned() };
    let plain = given::<Careless>([]).when(Command::UseContext);
    let lucky = annals_sdk::Random::from_seed((1, 2)).below(1_000);
    plain.then([noted(&format!("careless/1 1735689600000 nobody {lucky}"))]);
    let lucky = annals_sdk::Random::from_seed((3, 4)).below(1_000);
    given::<Careless>([Event::Behaved])
        .in_stream("careless/x")
        .at_ms(5)
        .by("athena")
        .with_seed((3, 4))
        .when(Command::UseContext)
        .then([noted(&format!("careless/x 5 athena {lucky}"))]);
}

const ROWS: Table<u64> = Table::new("rows");

/// A projection that counts calls, which is not what happened.
struct Calls;

thread_local! {
    static CALLS: Cell<u64> = const { Cell::new(0) };
}

impl Projection for Calls {
    const NAME: &'static str = "calls";
    const TABLES: &'static [&'static str] = &[ROWS.name()];
    type Event = Event;

    fn project(event: Event, meta: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure> {
        match event {
            Event::Behaved => view.put(ROWS, meta.id(), &meta.revision),
            Event::Forgotten => {
                CALLS.set(CALLS.get() + 1);
                view.put(ROWS, meta.id(), &CALLS.get());
            }
            Event::Noted { text } => return Err(Failure::retry(text)),
        }
        Ok(())
    }
}

#[test]
#[should_panic(expected = "one batch gives other rows than batches of one event")]
fn a_projection_that_depends_on_its_batches_fails() {
    // Guards rebuilds, whose batches are others.
    let _ = project::<Calls>([("careless/1", Event::Forgotten)]);
}

#[test]
fn events_have_their_place_in_their_stream() {
    // Guards revisions over several streams and several calls.
    let view = project::<Calls>([("a/1", Event::Behaved), ("a/2", Event::Behaved)]);
    let view = view.and([("a/1", Event::Behaved), ("a/1", Event::Behaved)]);
    assert_eq!((view.row(ROWS, "1"), view.row(ROWS, "2")), (Some(2), Some(0)));
    let failure = view.fail("a/1", Event::Noted { text: "later".to_owned() });
    assert_eq!(failure, Failure::retry("later"));
}

/// An upcaster that remembers, which it must not.
struct Remembering;

/// What it takes.
#[annals_sdk::shapes]
enum Old {
    Counted,
    Refused,
}

/// What it makes.
#[annals_sdk::shapes]
enum New {
    #[annals(schema_version = 2)]
    Counted { number: u64 },
}

thread_local! {
    static UPCASTS: Cell<u64> = const { Cell::new(0) };
}

impl Upcaster for Remembering {
    const NAME: &'static str = "remembering";
    type From = Old;
    type To = New;

    fn upcast(event: Old) -> Result<Upcast<New>, Unreadable> {
        match event {
            Old::Counted => {
                UPCASTS.set(UPCASTS.get() + 1);
                Ok(New::Counted { number: UPCASTS.get() }.into())
            }
            Old::Refused => Err(Unreadable::new("not this one")),
        }
    }
}

#[test]
#[should_panic(expected = "events together become something else than one by one")]
fn an_upcaster_that_remembers_fails() {
    // Guards the cache: what an event becomes must not depend on what came before.
    drop(given_stored::<Remembering>([Old::Counted, Old::Counted]).when_upcast());
}

#[test]
#[should_panic(expected = "an event was refused")]
fn expecting_events_of_a_refusal_fails() {
    // Guards `then`.
    given_stored::<Remembering>([Old::Refused]).when_upcast().then([]);
}

#[test]
#[should_panic(expected = "an event was refused for another reason")]
fn expecting_another_refusal_fails() {
    // Guards `then_refused`.
    given_stored::<Remembering>([Old::Refused]).when_upcast().then_refused("another one");
}
