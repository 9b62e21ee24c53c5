//! The process manager `confirm-guests`: it confirms the first two guests that accept, and denies the
//! rest.
//!
//! The smallest example of one with a rule over many streams: an aggregate `invite` knows one guest only,
//! and cannot say whether there is room. So there is one instance, the [`PARTY`], that hears of every
//! guest who accepts and counts.
//!
//! What the host could not deliver is sent again by a timer. Who was denied or confirmed by hand keeps
//! that answer; a place that its guest could not be given is free again.
//!
//! The tests are in `tests/party.rs` and run natively.

use annals_sdk::{
    ProcessContext, ProcessManager, Reaction, Received, Reply, Sent, Timer, Unhandled,
};

/// The one instance.
pub const PARTY: &str = "party";

/// How many guests there is room for.
pub const GUESTS_MAX: usize = 2;

/// The timer that sends again what the host could not deliver.
pub const RETRY: &str = "retry";

/// How long to wait before that, in milliseconds.
pub const RETRY_MS: u64 = 10_000;

/// Most commands that the host takes at once.
const COMMANDS_MAX: usize = 100;

/// What must be remembered.
#[annals_sdk::data]
#[derive(Default)]
pub struct Party {
    /// Ids of the invites that have a place.
    pub confirmed: Vec<String>,
    /// What the host could not deliver: ids of invites.
    pub undelivered: Vec<String>,
}

/// The events it wants.
#[annals_sdk::event]
#[expect(missing_docs, reason = "they are explained where they are decided, in `invite`")]
pub enum Event {
    InviteAccepted,
}

/// What it sends.
#[annals_sdk::outgoing]
#[derive(Copy, Eq)]
#[expect(missing_docs, reason = "they are explained where they are decided, in `invite`")]
pub enum Command {
    #[annals(target = "invite")]
    Confirm,
    #[annals(target = "invite")]
    Deny,
}

/// What every call answers.
type Reacted = Result<Reaction<Party, Command>, Unhandled>;

/// The process manager.
#[derive(Debug)]
pub struct ConfirmGuests;

impl ProcessManager for ConfirmGuests {
    const NAME: &'static str = "confirm-guests";
    type State = Party;
    type Event = Event;
    type Command = Command;

    fn correlate(received: &Received<'_, Event>) -> Vec<String> {
        match received.category() {
            "invite" => vec![PARTY.to_owned()],
            _ => Vec::new(),
        }
    }

    fn on_event(
        party: Option<Party>,
        received: Received<'_, Event>,
        _: &ProcessContext,
    ) -> Reacted {
        let mut party = party.unwrap_or_default();
        let Event::InviteAccepted = received.event;
        if party.confirmed.len() < GUESTS_MAX {
            party.confirmed.push(received.id().to_owned());
        }
        let command = party.answer_to(received.id());
        Ok(Reaction::keep(party).send(received.id(), command))
    }

    fn on_timer(mut party: Party, _: Timer, ctx: &ProcessContext) -> Reacted {
        let count = party.undelivered.len().min(COMMANDS_MAX);
        let invites: Vec<String> = party.undelivered.drain(..count).collect();
        let is_done = party.undelivered.is_empty();
        let commands: Vec<Command> = invites.iter().map(|invite| party.answer_to(invite)).collect();
        let next = Reaction::keep(party);
        let next = if is_done { next } else { next.start_timer(RETRY, ctx.now_ms()) };
        let sent = invites.into_iter().zip(commands);
        Ok(sent.fold(next, |next, (invite, command)| next.send(invite, command)))
    }

    fn on_reply(
        mut party: Party,
        sent: Sent<Command>,
        reply: Reply,
        ctx: &ProcessContext,
    ) -> Reacted {
        match reply {
            Reply::Accepted => Ok(Reaction::keep(party)),
            Reply::Rejected { .. } => {
                party.confirmed.retain(|invite| *invite != sent.target_id);
                Ok(Reaction::keep(party))
            }
            Reply::Failed { .. } => {
                party.undelivered.push(sent.target_id);
                let due_at_ms = ctx.now_ms().saturating_add(RETRY_MS);
                Ok(Reaction::keep(party).start_timer(RETRY, due_at_ms))
            }
        }
    }
}

impl Party {
    /// Whether the guest of an invite may come.
    fn answer_to(&self, invite: &str) -> Command {
        if self.confirmed.iter().any(|confirmed| confirmed == invite) {
            Command::Confirm
        } else {
            Command::Deny
        }
    }
}

annals_sdk::export_process_manager!(ConfirmGuests);
