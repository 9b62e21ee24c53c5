//! The totals of `invite-totals` after events.

use annals_sdk::Row;
use annals_sdk::testing::project;
use guest_list_invite_totals::{Event, InviteTotals, TOTALS};

#[test]
fn everything_that_happened_is_counted() {
    // Guards G1: 4 invited, 3 accepted, 1 declined, 2 confirmed, 1 denied, of 11 events.
    let events = [
        ("invite/athena", Event::InviteCreated {}),
        ("invite/hades", Event::InviteCreated {}),
        ("invite/zeus", Event::InviteCreated {}),
        ("invite/poseidon", Event::InviteCreated {}),
        ("invite/athena", Event::InviteAccepted),
        ("invite/athena", Event::InviteConfirmed),
        ("invite/hades", Event::InviteAccepted),
        ("invite/hades", Event::InviteConfirmed),
        ("invite/zeus", Event::InviteDeclined),
        ("invite/poseidon", Event::InviteAccepted),
        ("invite/poseidon", Event::InviteDenied),
    ];
    let view = project::<InviteTotals>(events);
    let totals =
        [("accepted", 3), ("confirmed", 2), ("declined", 1), ("denied", 1), ("invited", 4)];
    let expected = totals.map(|(key, value)| Row { key: key.as_bytes().to_vec(), value });
    assert_eq!(view.rows(TOTALS), expected);
}
