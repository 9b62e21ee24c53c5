//! The aggregate `user`: users of whom no two have the same e-mail address.
//!
//! The rules of one stream cannot know what other streams hold. So each decision **claims** the address
//! it needs: the host records events and claims together or, when another stream holds the address,
//! nothing at all, and tells the sender who holds it. See [`EMAIL_SCOPE`].
//!
//! An address is kept and compared in lower case, without white space around it.
//!
//! The tests are in `tests/rules.rs` and run natively.

mod email;
mod rules;

use annals_sdk::{Aggregate, Context, Decision, Rejection};

pub use crate::email::EMAIL_BYTES_MAX;

/// The scope of the claims: what kind of name they are.
pub const EMAIL_SCOPE: &str = "email";

/// Longest time for which an address can be reserved, in milliseconds: a day.
pub const HOLD_MS_MAX: u64 = 24 * 60 * 60 * 1_000;

/// Longest name of a user, in bytes.
pub const NAME_BYTES_MAX: usize = 200;

/// What the rules must know about a user.
#[annals_sdk::state]
pub struct User {
    /// How far the user is.
    pub status: Status,
    /// The address that the stream claimed last and has not released: the user's own, or a reserved
    /// one, which may have expired.
    pub email: Option<String>,
}

/// How far a user is.
#[annals_sdk::data]
#[derive(Default, Copy, Eq)]
pub enum Status {
    /// Not registered.
    #[default]
    Unknown,
    /// Registered.
    Registered,
    /// Gone for good.
    Closed,
}

/// What can be asked of a user.
#[annals_sdk::command]
pub enum Command {
    /// Keeps an address for a while, so that nobody else registers with it meanwhile.
    ReserveEmail {
        /// The address.
        email: String,
        /// For how long, in milliseconds: 1 to 86 400 000, which is a day.
        hold_ms: u64,
    },
    /// Registers the user.
    Register {
        /// The address, which no other user has.
        email: String,
        /// The name; not blank, and at most 200 bytes.
        name: String,
    },
    /// Gives the user another address.
    ChangeEmail {
        /// The address, which no other user has.
        email: String,
    },
    /// Closes the user; the address is free again.
    Close,
}

/// What happened to a user.
#[annals_sdk::event]
pub enum Event {
    /// An address is kept for the user until a time.
    EmailReserved {
        /// The address.
        email: String,
        /// Until when (exclusive), in milliseconds since 1970-01-01T00:00:00Z.
        expires_at_ms: u64,
    },
    /// The user is registered.
    UserRegistered {
        /// The address.
        email: String,
        /// The name.
        name: String,
    },
    /// The user has another address.
    EmailChanged {
        /// The address.
        email: String,
    },
    /// The user is gone for good.
    UserClosed,
}

impl Aggregate for User {
    const NAME: &'static str = "user";
    type Command = Command;
    type Event = Event;

    fn evolve(&mut self, event: Event) {
        match event {
            Event::EmailReserved { email, .. } | Event::EmailChanged { email } => {
                self.email = Some(email);
            }
            Event::UserRegistered { email, .. } => {
                self.status = Status::Registered;
                self.email = Some(email);
            }
            Event::UserClosed => *self = Self { status: Status::Closed, email: None },
        }
    }

    fn decide(&self, command: Command, ctx: &Context) -> Result<Decision<Event>, Rejection> {
        match command {
            Command::ReserveEmail { email, hold_ms } => {
                self.reserve_email(&email, hold_ms, ctx.now_ms())
            }
            Command::Register { email, name } => self.register(&email, name),
            Command::ChangeEmail { email } => self.change_email(&email),
            Command::Close => self.close(),
        }
    }
}

annals_sdk::export_aggregate!(User);
