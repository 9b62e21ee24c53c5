//! The projection `guests`: who is invited, and what became of each invite.
//!
//! It shares no code with the aggregate `invite`: recorded events are all they have in common.
//!
//! The tests are in `tests/rows.rs` and run natively.

use annals_sdk::{EventMeta, Failure, Projection, Table, Writes};

/// A row per invite, by its id.
pub const GUESTS: Table<GuestRow> = Table::new("guests");

/// A guest.
#[annals_sdk::data]
pub struct GuestRow {
    /// Who it is.
    pub name: String,
    /// How old, in years.
    pub age: u32,
    /// What became of the invite.
    pub status: Status,
}

/// What became of an invite.
#[annals_sdk::data]
#[derive(Copy, Eq)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// Nothing came back yet.
    Invited,
    /// The guest wants to come.
    Accepted,
    /// The guest does not come.
    Declined,
    /// The guest wants to come, and may.
    Confirmed,
    /// The guest wants to come, and there is no room.
    Denied,
}

/// The events of invites.
#[annals_sdk::event]
#[expect(
    missing_docs,
    reason = "they are explained where they are decided, in `guest-list-invite`"
)]
pub enum Event {
    InviteCreated { name: String, age: u32 },
    InviteAccepted,
    InviteDeclined,
    InviteConfirmed,
    InviteDenied,
}

/// The projection.
#[derive(Debug)]
pub struct Guests;

impl Projection for Guests {
    const NAME: &'static str = "guests";
    const TABLES: &'static [&'static str] = &[GUESTS.name()];
    type Event = Event;

    fn project(event: Event, meta: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure> {
        let status = match event {
            Event::InviteCreated { name, age } => {
                let guest = GuestRow { name, age, status: Status::Invited };
                view.put(GUESTS, meta.id(), &guest);
                return Ok(());
            }
            Event::InviteAccepted => Status::Accepted,
            Event::InviteDeclined => Status::Declined,
            Event::InviteConfirmed => Status::Confirmed,
            Event::InviteDenied => Status::Denied,
        };
        let guest = view.get(GUESTS, meta.id()).ok_or_else(|| {
            // The aggregate creates an invite before all else; a stream that was written without it
            // need not.
            Failure::park("nobody was invited in this stream")
        })?;
        view.put(GUESTS, meta.id(), &GuestRow { status, ..guest });
        Ok(())
    }
}

annals_sdk::export_projection!(Guests);
