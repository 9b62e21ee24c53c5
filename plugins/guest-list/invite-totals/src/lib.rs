//! The projection `invite-totals`: how many are invited, and what became of the invites.
//!
//! Every total is a counter that is added to and never read: the host does the sum, and a batch of a
//! thousand events is at most five writes. They count what happened: who was confirmed has accepted
//! before, and is in both totals.
//!
//! It shares no code with the aggregate `invite`: recorded events are all they have in common.
//!
//! The tests are in `tests/rows.rs` and run natively.

use annals_sdk::{EventMeta, Failure, Projection, Table, Writes};

/// The totals, by the names `invited`, `accepted`, `declined`, `confirmed` and `denied`.
pub const TOTALS: Table<i64> = Table::new("totals");

/// The events of invites. None of their fields is of interest.
#[annals_sdk::event]
#[expect(
    missing_docs,
    reason = "they are explained where they are decided, in `guest-list-invite`"
)]
pub enum Event {
    InviteCreated {},
    InviteAccepted,
    InviteDeclined,
    InviteConfirmed,
    InviteDenied,
}

/// The projection.
#[derive(Debug)]
pub struct InviteTotals;

impl Projection for InviteTotals {
    const NAME: &'static str = "invite-totals";
    const TABLES: &'static [&'static str] = &[TOTALS.name()];
    type Event = Event;

    fn project(event: Event, _: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure> {
        let total = match event {
            Event::InviteCreated {} => "invited",
            Event::InviteAccepted => "accepted",
            Event::InviteDeclined => "declined",
            Event::InviteConfirmed => "confirmed",
            Event::InviteDenied => "denied",
        };
        view.add(TOTALS, total, 1);
        Ok(())
    }
}

annals_sdk::export_projection!(InviteTotals);
