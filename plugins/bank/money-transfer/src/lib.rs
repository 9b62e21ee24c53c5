//! The aggregate `money-transfer` of the bank: it keeps the rules of one transfer between two accounts.
//!
//! ```text
//! started ─► debited ─► completed
//!    │          ├─────► failed
//!    └──────────┴─ (either, without the step between)
//! ```
//!
//! It moves nothing itself: it says what was asked for and how far it is. The process manager
//! `transfer` beside it debits and credits the accounts and tells this aggregate what came of it.
//!
//! A transfer that is not marked as debited can be completed: the mark is for those who look on, and
//! money that has arrived must not be undone because the mark was lost.
//!
//! The tests are in `tests/rules.rs` and run natively.

use annals_sdk::{Aggregate, Context, Decision, Rejection, ensure};

/// How long a transfer may wait for an account, in milliseconds, unless it says otherwise.
pub const TIMEOUT_MS_DEFAULT: u64 = 30_000;

/// What the rules must know about a transfer.
#[annals_sdk::state]
pub struct MoneyTransfer {
    /// How far it is.
    pub stage: Stage,
}

/// How far a transfer is.
#[annals_sdk::data]
#[derive(Default, Copy, Eq)]
pub enum Stage {
    /// There is none.
    #[default]
    None,
    /// It was asked for.
    Started,
    /// The source has paid.
    Debited,
    /// The target has the money.
    Completed,
    /// Nobody has lost or won anything.
    Failed,
}

/// What can be asked of a transfer.
#[annals_sdk::command]
pub enum Command {
    /// Asks for a transfer.
    StartTransfer {
        /// Id of the account that pays.
        from: String,
        /// Id of the account that is paid; another one.
        to: String,
        /// More than 0.
        cents: i64,
        /// How long to wait for the accounts, in milliseconds; 30 000 unless given.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        timeout_ms: Option<u64>,
    },
    /// The source has paid.
    MarkDebited,
    /// The target has the money.
    CompleteTransfer,
    /// The transfer will not be.
    FailTransfer {
        /// Why, as a code.
        reason: String,
    },
}

/// What happened to a transfer.
#[annals_sdk::event]
pub enum Event {
    /// It was asked for.
    TransferStarted {
        /// Id of the account that pays.
        from: String,
        /// Id of the account that is paid.
        to: String,
        /// How much.
        cents: i64,
        /// How long to wait for the accounts, in milliseconds.
        timeout_ms: u64,
    },
    /// The source has paid.
    TransferDebited,
    /// The target has the money.
    TransferCompleted,
    /// It will not be; who has paid has it back.
    TransferFailed {
        /// Why, as a code.
        reason: String,
    },
}

impl Aggregate for MoneyTransfer {
    const NAME: &'static str = "money-transfer";
    type Command = Command;
    type Event = Event;

    fn evolve(&mut self, event: Event) {
        self.stage = match event {
            Event::TransferStarted { .. } => Stage::Started,
            Event::TransferDebited => Stage::Debited,
            Event::TransferCompleted => Stage::Completed,
            Event::TransferFailed { .. } => Stage::Failed,
        };
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Decision<Event>, Rejection> {
        match command {
            Command::StartTransfer { from, to, cents, timeout_ms } => {
                let is_new = self.stage == Stage::None;
                ensure!(is_new, "already-started", "there is a transfer of this id");
                ensure!(from != to, "same-account", "both ends are {from}");
                ensure!(cents > 0, "invalid-amount", "{cents} is not more than 0");
                let timeout_ms = timeout_ms.unwrap_or(TIMEOUT_MS_DEFAULT);
                Ok(Event::TransferStarted { from, to, cents, timeout_ms }.into())
            }
            Command::MarkDebited => {
                let is_started = self.stage == Stage::Started;
                ensure!(is_started, "wrong-state", "the transfer is {}", self.stage.as_str());
                Ok(Event::TransferDebited.into())
            }
            Command::CompleteTransfer => self.end(Event::TransferCompleted),
            Command::FailTransfer { reason } => self.end(Event::TransferFailed { reason }),
        }
    }
}

impl MoneyTransfer {
    fn end(&self, event: Event) -> Result<Decision<Event>, Rejection> {
        let is_under_way = matches!(self.stage, Stage::Started | Stage::Debited);
        ensure!(is_under_way, "wrong-state", "the transfer is {}", self.stage.as_str());
        Ok(event.into())
    }
}

impl Stage {
    const fn as_str(self) -> &'static str {
        match self {
            Self::None => "not started",
            Self::Started => "started",
            Self::Debited => "debited",
            Self::Completed => "completed",
            Self::Failed => "failed",
        }
    }
}

annals_sdk::export_aggregate!(MoneyTransfer);
