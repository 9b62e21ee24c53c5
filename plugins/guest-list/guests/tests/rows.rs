//! The rows of `guests` after events.

use annals_sdk::testing::project;
use annals_sdk::{Failure, Row};
use guest_list_guests::{Event, GUESTS, GuestRow, Guests, Status};

fn created(name: &str, age: u32) -> Event {
    Event::InviteCreated { name: name.to_owned(), age }
}

#[test]
fn every_guest_has_a_row_with_what_became_of_the_invite() {
    // Guards G1: Athena and Hades confirmed, Poseidon denied, Zeus declined; and one who has not
    // answered.
    let view = project::<Guests>([
        ("invite/athena", created("Athena", 42)),
        ("invite/hades", created("Hades", 50)),
        ("invite/zeus", created("Zeus", 60)),
        ("invite/poseidon", created("Poseidon", 55)),
        ("invite/hera", created("Hera", 58)),
        ("invite/athena", Event::InviteAccepted),
        ("invite/hades", Event::InviteAccepted),
        ("invite/zeus", Event::InviteDeclined),
        ("invite/poseidon", Event::InviteAccepted),
    ]);
    let accepted = view.row(GUESTS, "athena");
    let athena = GuestRow { name: "Athena".to_owned(), age: 42, status: Status::Accepted };
    assert_eq!(accepted, Some(athena));
    let view = view.and([
        ("invite/athena", Event::InviteConfirmed),
        ("invite/hades", Event::InviteConfirmed),
        ("invite/poseidon", Event::InviteDenied),
    ]);
    let row = |key: &str, name: &str, age, status| Row {
        key: key.as_bytes().to_vec(),
        value: GuestRow { name: name.to_owned(), age, status },
    };
    let expected = [
        row("athena", "Athena", 42, Status::Confirmed),
        row("hades", "Hades", 50, Status::Confirmed),
        row("hera", "Hera", 58, Status::Invited),
        row("poseidon", "Poseidon", 55, Status::Denied),
        row("zeus", "Zeus", 60, Status::Declined),
    ];
    assert_eq!(view.rows(GUESTS), expected);
}

#[test]
fn an_answer_of_nobody_is_parked() {
    // Guards streams that were written without the aggregate.
    let view = project::<Guests>(Vec::<(&str, Event)>::new());
    let failure = view.fail("invite/nobody", Event::InviteAccepted);
    assert_eq!(failure, Failure::park("nobody was invited in this stream"));
}
