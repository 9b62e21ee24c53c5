//! The aggregate `invite`: it keeps the rules of one invite.
//!
//! An invite goes one way and not back:
//!
//! ```text
//! created ─► accepted ─► confirmed
//!    │          └──────► denied
//!    └─────► declined
//! ```
//!
//! The guest accepts or declines, once; whoever gives the party confirms or denies, once, and only
//! those who have accepted. Doing again what was done already is accepted, and nothing happens: a
//! click on a link in a letter may come twice.
//!
//! The tests are in `tests/rules.rs` and run natively.

mod rules;

use annals_sdk::{Aggregate, Context, Decision, Rejection};

/// Longest name, in bytes.
pub const NAME_BYTES_MAX: usize = 200;

/// Highest age, in years.
pub const AGE_YEARS_MAX: u32 = 150;

/// What the rules must know about an invite.
#[annals_sdk::state]
pub struct Invite {
    /// How far it is.
    pub stage: Stage,
}

/// How far an invite is.
#[annals_sdk::data]
#[derive(Default, Copy, Eq)]
pub enum Stage {
    /// There is none.
    #[default]
    None,
    /// Nothing came back yet.
    Created,
    /// The guest wants to come.
    Accepted,
    /// The guest does not come.
    Declined,
    /// The guest wants to come, and may.
    Confirmed,
    /// The guest wants to come, and there is no room.
    Denied,
}

/// What can be asked of an invite.
#[annals_sdk::command]
pub enum Command {
    /// Invites somebody.
    CreateInvite {
        /// Who; not blank, and at most 200 bytes.
        name: String,
        /// How old, in years; at most 150.
        age: u32,
    },
    /// The guest wants to come.
    Accept,
    /// The guest does not come.
    Decline,
    /// There is room for the guest.
    Confirm,
    /// There is no room for the guest.
    Deny,
}

/// What happened to an invite.
#[annals_sdk::event]
pub enum Event {
    /// Somebody was invited.
    InviteCreated {
        /// Who.
        name: String,
        /// How old, in years.
        age: u32,
    },
    /// The guest wants to come.
    InviteAccepted,
    /// The guest does not come.
    InviteDeclined,
    /// There is room for the guest.
    InviteConfirmed,
    /// There is no room for the guest.
    InviteDenied,
}

impl Aggregate for Invite {
    const NAME: &'static str = "invite";
    type Command = Command;
    type Event = Event;

    fn evolve(&mut self, event: Event) {
        self.stage = match event {
            Event::InviteCreated { .. } => Stage::Created,
            Event::InviteAccepted => Stage::Accepted,
            Event::InviteDeclined => Stage::Declined,
            Event::InviteConfirmed => Stage::Confirmed,
            Event::InviteDenied => Stage::Denied,
        };
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Decision<Event>, Rejection> {
        match command {
            Command::CreateInvite { name, age } => self.create(name, age),
            Command::Accept => self.accept(),
            Command::Decline => self.decline(),
            Command::Confirm => self.confirm(),
            Command::Deny => self.deny(),
        }
    }
}

annals_sdk::export_aggregate!(Invite);
