//! Who may come to the party.

use annals_sdk::Reply;
use annals_sdk::testing::{Instance, NOW_MS, given_instance, instances_of};
use guest_list_confirm_guests::{Command, ConfirmGuests, Event, Party, RETRY, RETRY_MS};

/// A party to which these guests want to come, in this order; none has an answer yet.
fn accepted(guests: &[&str]) -> Instance<ConfirmGuests> {
    guests.iter().fold(given_instance("party"), |party, guest| {
        party.when_event(&format!("invite/{guest}"), Event::InviteAccepted)
    })
}

fn party(confirmed: &[&str], undelivered: &[&str]) -> Party {
    let names = |names: &[&str]| names.iter().map(|&name| name.to_owned()).collect();
    Party { confirmed: names(confirmed), undelivered: names(undelivered) }
}

#[test]
fn the_first_two_that_accept_are_confirmed() {
    // Guards G1: Athena and Hades may come, Poseidon may not.
    accepted(&["athena"]).then_commands([("athena", Command::Confirm)]);
    accepted(&["athena", "hades"]).then_commands([("hades", Command::Confirm)]);
    accepted(&["athena", "hades", "poseidon"])
        .then_commands([("poseidon", Command::Deny)])
        .when_reply(Command::Confirm, Reply::Accepted)
        .when_reply(Command::Confirm, Reply::Accepted)
        .when_reply(Command::Deny, Reply::Accepted)
        .then_timers([])
        .then_state(|state| assert_eq!(*state, party(&["athena", "hades"], &[])));
}

#[test]
fn a_place_that_cannot_be_given_is_free_again() {
    // Guards the count against invites that were denied by hand.
    accepted(&["athena", "hades"])
        .when_reply(Command::Confirm, Reply::rejected("already-denied"))
        .when_reply(Command::Confirm, Reply::Accepted)
        .when_event("invite/poseidon", Event::InviteAccepted)
        .then_commands([("poseidon", Command::Confirm)]);
}

#[test]
fn what_was_not_delivered_is_sent_again() {
    // Guards guests against a host that gives up: each gets the same answer later.
    accepted(&["athena", "hades", "poseidon"])
        .when_reply(Command::Confirm, Reply::failed("the plugin failed"))
        .when_reply(Command::Confirm, Reply::Accepted)
        .when_reply(Command::Deny, Reply::failed("the plugin failed"))
        .then_timers([(RETRY, NOW_MS + RETRY_MS)])
        .then_state(|state| {
            assert_eq!(*state, party(&["athena", "hades"], &["athena", "poseidon"]));
        })
        .when_timer(RETRY)
        .then_commands([("athena", Command::Confirm), ("poseidon", Command::Deny)])
        .then_state(|state| assert_eq!(*state, party(&["athena", "hades"], &[])));
}

#[test]
fn so_many_guests_are_answered_in_turns() {
    // Guards the number of commands that the host takes at once: 101 are one too many.
    let names: Vec<String> = (0..103).map(|number| format!("guest-{number}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut party = accepted(&names);
    for sent in party.unanswered() {
        party = party.when_reply(sent.command, Reply::failed("the plugin failed"));
    }
    let due_at_ms = NOW_MS + RETRY_MS;
    let party = party.when_timer(RETRY).then_timers([(RETRY, due_at_ms)]);
    assert_eq!(party.unanswered().len(), 100);
    let party = party.when_timer(RETRY).then_timers([]);
    assert_eq!(party.unanswered().len(), 103);
}

#[test]
fn there_is_one_party_for_all_invites() {
    // Guards the instance, and events of that name in other streams.
    let instances = |stream| instances_of::<ConfirmGuests>(stream, &Event::InviteAccepted);
    assert_eq!(
        (instances("invite/athena"), instances("treaty/1")),
        (vec!["party".to_owned()], vec![])
    );
}
