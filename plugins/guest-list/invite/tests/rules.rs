//! The rules of invites, row by row.

use annals_sdk::testing::given;
use guest_list_invite::{AGE_YEARS_MAX, Command, Event, Invite, NAME_BYTES_MAX, Stage};

fn create(name: &str, age: u32) -> Command {
    Command::CreateInvite { name: name.to_owned(), age }
}

fn created(name: &str, age: u32) -> Event {
    Event::InviteCreated { name: name.to_owned(), age }
}

/// The events after which an invite is in a stage.
fn events(stage: Stage) -> Vec<Event> {
    let then = |events: &[Event]| {
        [created("Athena", 42)].into_iter().chain(events.iter().cloned()).collect()
    };
    match stage {
        Stage::None => Vec::new(),
        Stage::Created => then(&[]),
        Stage::Accepted => then(&[Event::InviteAccepted]),
        Stage::Declined => then(&[Event::InviteDeclined]),
        Stage::Confirmed => then(&[Event::InviteAccepted, Event::InviteConfirmed]),
        Stage::Denied => then(&[Event::InviteAccepted, Event::InviteDenied]),
    }
}

#[test]
fn every_command_does_in_every_stage_what_the_table_says() {
    // Guards G1: who has accepted cannot decline; and each other way that an invite cannot go. `Ok(None)`
    // is acceptance without an event.
    use Stage::{Accepted, Confirmed, Created, Declined, Denied, None as Nothing};
    type Said = Result<Option<Event>, &'static str>;
    let table: [(Stage, [Said; 4]); 6] = [
        (Nothing, std::array::from_fn(|_| Err("not-created"))),
        (
            Created,
            [
                Ok(Some(Event::InviteAccepted)),
                Ok(Some(Event::InviteDeclined)),
                Err("not-accepted"),
                Err("not-accepted"),
            ],
        ),
        (
            Accepted,
            [
                Ok(None),
                Err("already-accepted"),
                Ok(Some(Event::InviteConfirmed)),
                Ok(Some(Event::InviteDenied)),
            ],
        ),
        (
            Declined,
            [Err("already-declined"), Ok(None), Err("already-declined"), Err("already-declined")],
        ),
        (Confirmed, [Ok(None), Err("already-accepted"), Ok(None), Err("already-confirmed")]),
        (Denied, [Ok(None), Err("already-accepted"), Err("already-denied"), Ok(None)]),
    ];
    for (stage, row) in table {
        let commands = [Command::Accept, Command::Decline, Command::Confirm, Command::Deny];
        for (command, expected) in commands.into_iter().zip(row) {
            let outcome = given::<Invite>(events(stage))
                .then_state(|invite| assert_eq!(invite.stage, stage))
                .when(command);
            match expected {
                Ok(event) => outcome.then(event),
                Err(code) => outcome.then_rejected(code),
            };
        }
    }
}

#[test]
fn somebody_is_invited_once() {
    // Guards G1: the four invites; an invite is of one guest, whatever became of it.
    given::<Invite>([]).when(create("Athena", 42)).then([created("Athena", 42)]);
    use Stage::{Accepted, Confirmed, Created, Declined, Denied};
    for stage in [Created, Accepted, Declined, Confirmed, Denied] {
        given::<Invite>(events(stage)).when(create("Ares", 1)).then_rejected("already-created");
    }
}

#[test]
fn guests_have_a_name_and_an_age_that_can_be() {
    // Guards `create-invite`, at its limits and beyond.
    let longest = "x".repeat(NAME_BYTES_MAX);
    given::<Invite>([])
        .when(create(&longest, AGE_YEARS_MAX))
        .then([created(&longest, AGE_YEARS_MAX)]);
    for name in ["", " \t", &format!("{longest}x")] {
        given::<Invite>([]).when(create(name, 42)).then_rejected("invalid-name");
    }
    given::<Invite>([]).when(create("Kronos", AGE_YEARS_MAX + 1)).then_rejected("invalid-age");
}
