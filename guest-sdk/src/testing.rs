//! Test plugins natively, without Wasm: given, when, then.
//!
//! Everything goes the way it goes in the host, through JSON and columns, so a test also notices a
//! field that does not come back from JSON as it went in. What a rule of the contract forbids and a
//! type cannot, these functions check on the way: a decision changes no state, a snapshot gives the
//! same state back, a projection writes the same rows whatever the size of its batches, an upcaster
//! makes the same of an event whatever it is given beside it, a process manager reacts in the same way
//! when a call is repeated, and stays within its limits.
//!
//! All of them panic, with what was expected and what was found, as assertions do.
//!
//! ```
//! # use annals_sdk::{Aggregate, Context, Decision, Rejection, ensure};
//! # #[annals_sdk::state]
//! # struct Door { is_open: bool }
//! # #[annals_sdk::command]
//! # enum Command { Open }
//! # #[annals_sdk::event]
//! # enum Event { Opened }
//! # impl Aggregate for Door {
//! #     const NAME: &'static str = "door";
//! #     type Command = Command;
//! #     type Event = Event;
//! #     fn evolve(&mut self, _: Event) { self.is_open = true; }
//! #     fn decide(&self, _: Command, _: &Context) -> Result<Decision<Event>, Rejection> {
//! #         ensure!(!self.is_open, "already-open", "the door is open");
//! #         Ok(Event::Opened.into())
//! #     }
//! # }
//! use annals_sdk::testing::given;
//!
//! given::<Door>([])
//!     .when(Command::Open)
//!     .then([Event::Opened])
//!     .then_state(|door| assert!(door.is_open))
//!     .when(Command::Open)
//!     .then_rejected("already-open");
//! ```

mod aggregate;
mod process;
mod projection;
mod upcaster;

pub use self::aggregate::{Given, Outcome, given};
pub use self::process::{Instance, given_instance, instances_of};
pub use self::projection::{Projected, project};
pub use self::upcaster::{Stored, Upcasted, given_stored};

use crate::bindings::annals::plugin::types;
use crate::host;

/// Log lines since the last call of this function, on this thread, as `level: message`.
#[must_use]
pub fn logged() -> Vec<String> {
    host::native::take_lines()
}

/// When tests take place, unless they say otherwise: 2025-01-01T00:00:00Z.
pub const NOW_MS: u64 = 1_735_689_600_000;

/// The context of a message that nobody special sent.
fn context() -> types::Context {
    types::Context {
        message_id: "00000000-0000-4000-8000-000000000001".to_owned(),
        correlation_id: "00000000-0000-4000-8000-000000000002".to_owned(),
        now: NOW_MS,
        seed: (1, 2),
        namespace: "default".to_owned(),
        principal: None,
        extensions: Vec::new(),
    }
}
