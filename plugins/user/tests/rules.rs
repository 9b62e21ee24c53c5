//! The rules of users, row by row.

use annals_sdk::testing::given;
use annals_sdk::{Claim, Release};
use user::{Command, EMAIL_BYTES_MAX, Event, HOLD_MS_MAX, NAME_BYTES_MAX, Status, User};

const ADA: &str = "ada@example.org";
const GRACE: &str = "grace@example.org";
/// 2025-01-01T00:00:00Z, when tests take place.
const NOW_MS: u64 = 1_735_689_600_000;

fn reserve(email: &str, hold_ms: u64) -> Command {
    Command::ReserveEmail { email: email.to_owned(), hold_ms }
}

fn register(email: &str, name: &str) -> Command {
    Command::Register { email: email.to_owned(), name: name.to_owned() }
}

fn change(email: &str) -> Command {
    Command::ChangeEmail { email: email.to_owned() }
}

fn reserved(email: &str, hold_ms: u64) -> Event {
    Event::EmailReserved { email: email.to_owned(), expires_at_ms: NOW_MS + hold_ms }
}

fn registered(email: &str) -> Event {
    Event::UserRegistered { email: email.to_owned(), name: "Ada".to_owned() }
}

fn changed(email: &str) -> Event {
    Event::EmailChanged { email: email.to_owned() }
}

fn claim(email: &str, expires_at_ms: Option<u64>) -> Claim {
    Claim { scope: "email".to_owned(), key: email.to_owned(), expires_at_ms }
}

fn release(email: &str) -> Release {
    Release { scope: "email".to_owned(), key: email.to_owned() }
}

#[test]
fn registering_claims_the_address_in_its_one_spelling() {
    // Guards uniqueness: `Ada@Example.ORG` and `ada@example.org` are one address.
    given::<User>([])
        .when(register("  Ada@Example.ORG ", "Ada"))
        .then([registered(ADA)])
        .then_claims([claim(ADA, None)])
        .then_releases([])
        .then_state(|user| {
            assert_eq!(*user, User { status: Status::Registered, email: Some(ADA.to_owned()) });
        });
}

#[test]
fn a_reserved_address_is_claimed_until_a_time_and_for_good_when_registered() {
    // Guards expiry: what is only reserved becomes free by itself, and what is registered does not.
    given::<User>([])
        .when(reserve(ADA, 60_000))
        .then([reserved(ADA, 60_000)])
        .then_claims([claim(ADA, Some(NOW_MS + 60_000))])
        .when(reserve(ADA, 90_000))
        .then([reserved(ADA, 90_000)])
        .then_claims([claim(ADA, Some(NOW_MS + 90_000))])
        .then_releases([])
        .when(register(ADA, "Ada"))
        .then([registered(ADA)])
        .then_claims([claim(ADA, None)])
        .then_releases([]);
}

#[test]
fn whoever_takes_another_address_releases_the_one_before() {
    // Guards against addresses that nobody uses and nobody can have.
    given::<User>([reserved(ADA, 1)])
        .when(reserve(GRACE, 2))
        .then([reserved(GRACE, 2)])
        .then_claims([claim(GRACE, Some(NOW_MS + 2))])
        .then_releases([release(ADA)]);
    given::<User>([reserved(ADA, 1)])
        .when(register(GRACE, "Ada"))
        .then([registered(GRACE)])
        .then_claims([claim(GRACE, None)])
        .then_releases([release(ADA)]);
    given::<User>([registered(ADA)])
        .when(change(GRACE))
        .then([changed(GRACE)])
        .then_claims([claim(GRACE, None)])
        .then_releases([release(ADA)])
        .when(change(" GRACE@example.org"))
        .then([])
        .then_claims([])
        .then_releases([]);
}

#[test]
fn a_closed_user_has_no_address_and_stays_closed() {
    // Guards the end: the address is free, and nothing can be asked any more.
    let closed = given::<User>([registered(ADA), changed(GRACE)])
        .when(Command::Close)
        .then([Event::UserClosed])
        .then_claims([])
        .then_releases([release(GRACE)])
        .then_state(|user| assert_eq!(*user, User { status: Status::Closed, email: None }));
    let mut closed = closed;
    for command in [reserve(ADA, 1), register(ADA, "Ada"), change(ADA), Command::Close] {
        closed = closed.when(command).then_rejected("closed");
    }
}

#[test]
fn what_must_be_first_is_first() {
    // Guards the order: registered once, and nothing of a user who is not.
    given::<User>([registered(ADA)])
        .when(register(GRACE, "Ada"))
        .then_rejected("already-registered");
    given::<User>([registered(ADA)]).when(reserve(GRACE, 1)).then_rejected("already-registered");
    given::<User>([]).when(change(ADA)).then_rejected("not-registered");
    given::<User>([reserved(ADA, 1)]).when(Command::Close).then_rejected("not-registered");
}

#[test]
fn what_is_no_address_no_name_and_no_time_is_refused() {
    // Guards the edges: one byte too many, none at all, and what only looks like an address.
    let long = |bytes: usize| format!("{}@b", "a".repeat(bytes - 2));
    for bad in ["", "ada", "@example.org", "ada@", "a@b@c", "a da@b", "a\u{7}@b", &long(255)] {
        given::<User>([]).when(register(bad, "Ada")).then_rejected("invalid-email");
        given::<User>([]).when(reserve(bad, 1)).then_rejected("invalid-email");
        given::<User>([registered(ADA)]).when(change(bad)).then_rejected("invalid-email");
    }
    let longest = long(EMAIL_BYTES_MAX);
    given::<User>([]).when(register(&longest, "Ada")).then([registered(&longest)]);
    for bad in ["", " ", &"a".repeat(NAME_BYTES_MAX + 1)] {
        given::<User>([]).when(register(ADA, bad)).then_rejected("invalid-name");
    }
    for bad in [0, HOLD_MS_MAX + 1, u64::MAX] {
        given::<User>([]).when(reserve(ADA, bad)).then_rejected("invalid-hold");
    }
    given::<User>([]).when(reserve(ADA, HOLD_MS_MAX)).then([reserved(ADA, HOLD_MS_MAX)]);
}
