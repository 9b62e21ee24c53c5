//! The process manager `transfer` of the bank: it moves money from one account to another, or gives it
//! back. One instance per transfer, with the transfer's id.
//!
//! ```text
//! transfer-started ─► debit source ── accepted ─► mark debited, credit target ── accepted ─► complete
//!                        │ not                                     │ not
//!                        └──────────────► fail ◄── refund source ◄─┘
//! ```
//!
//! The timer [`TIME_OUT`] ends the waiting, with this care: the host sends the commands of an instance
//! one by one, so what is sent now is decided after what is under way.
//!
//! - While the **debit** is without an answer, a refund is sent behind it. Whether there was a debit is
//!   known when the refund is decided: it gives back what was taken, or is rejected with
//!   `unknown-transfer`, which is fine.
//! - While the **credit** is without an answer it may still arrive, and a refund would make money. So it is
//!   only noted that time is up: a credit that arrives completes the transfer, one that does not is
//!   refunded.
//!
//! What ends a transfer is never given up: a refund, a completion or a failure that the host could not
//! deliver is sent again by a timer, each time later, up to [`RETRY_MS_MAX`].
//!
//! The tests are in `tests/steps.rs`, step by step, and in `tests/conservation.rs`, which plays the whole
//! bank in every order there is. Both run natively.

mod steps;

use annals_sdk::{
    ProcessContext, ProcessManager, Reaction, Received, Reply, Sent, Timer, Unhandled,
};

/// The timer that ends the waiting for accounts.
pub const TIME_OUT: &str = "time-out";

/// The reason of a transfer that ended by [`TIME_OUT`].
pub const TIMED_OUT: &str = "timed-out";

/// The reason of a transfer of which an account could not be reached.
pub const UNAVAILABLE: &str = "unavailable";

/// How long to wait before the first retry, in milliseconds; twice as long before each further one.
pub const RETRY_MS_MIN: u64 = 1_000;

/// How long to wait at most before a retry, in milliseconds.
pub const RETRY_MS_MAX: u64 = 300_000;

/// What must be remembered of a transfer.
#[annals_sdk::data]
pub struct Transfer {
    /// Id of the account that pays.
    pub from: String,
    /// Id of the account that is paid.
    pub to: String,
    /// How much.
    pub cents: i64,
    /// What is waited for.
    pub step: Step,
    /// What was tried in vain, and how often.
    pub failures_count: u32,
}

/// What is waited for.
#[annals_sdk::data]
pub enum Step {
    /// The answer to the debit.
    Debit,
    /// The answer to the credit.
    Credit {
        /// Whether the time is up.
        is_timed_out: bool,
    },
    /// The answers to what ends the transfer.
    End {
        /// What must still be done, in any order.
        owed: Vec<Owed>,
    },
}

/// What a transfer must not end without.
#[annals_sdk::data]
#[derive(Eq)]
pub enum Owed {
    /// The source gets back what it paid.
    Refund,
    /// The transfer is told that it is completed.
    Completion,
    /// The transfer is told that it failed.
    Failure {
        /// Why.
        reason: String,
    },
}

/// The events it wants.
#[annals_sdk::event]
#[expect(missing_docs, reason = "they are explained where they are decided, in `money-transfer`")]
pub enum Event {
    TransferStarted { from: String, to: String, cents: i64, timeout_ms: u64 },
}

/// What it sends.
#[annals_sdk::outgoing]
#[expect(missing_docs, reason = "they are explained where they are decided")]
pub enum Command {
    #[annals(target = "account")]
    DebitForTransfer { transfer: String, cents: i64 },
    #[annals(target = "account")]
    CreditForTransfer { transfer: String, cents: i64 },
    #[annals(target = "account")]
    RefundTransfer { transfer: String },
    #[annals(target = "money-transfer")]
    MarkDebited,
    #[annals(target = "money-transfer")]
    CompleteTransfer,
    #[annals(target = "money-transfer")]
    FailTransfer { reason: String },
}

/// What every step answers.
type Reacted = Result<Reaction<Transfer, Command>, Unhandled>;

/// The process manager.
#[derive(Debug)]
pub struct Transfers;

impl ProcessManager for Transfers {
    const NAME: &'static str = "transfer";
    type State = Transfer;
    type Event = Event;
    type Command = Command;

    fn correlate(received: &Received<'_, Event>) -> Vec<String> {
        if received.category() != "money-transfer" {
            return Vec::new();
        }
        vec![received.id().to_owned()]
    }

    fn on_event(
        state: Option<Transfer>,
        received: Received<'_, Event>,
        ctx: &ProcessContext,
    ) -> Reacted {
        let Event::TransferStarted { from, to, cents, timeout_ms } = received.event;
        if state.is_some() {
            return Err(Unhandled::new("the transfer has started already"));
        }
        let debit = Command::DebitForTransfer { transfer: ctx.instance().to_owned(), cents };
        let source = from.clone();
        let transfer = Transfer { from, to, cents, step: Step::Debit, failures_count: 0 };
        Ok(Reaction::keep(transfer)
            .send(source, debit)
            .start_timer(TIME_OUT, ctx.now_ms().saturating_add(timeout_ms)))
    }

    fn on_timer(transfer: Transfer, fired: Timer, ctx: &ProcessContext) -> Reacted {
        if fired.name == TIME_OUT {
            return Ok(transfer.timed_out(ctx.instance()));
        }
        let owed: Owed = fired.data()?;
        let (target_id, command) = transfer.command_of(&owed, ctx.instance());
        Ok(Reaction::keep(transfer).send(target_id, command))
    }

    fn on_reply(
        transfer: Transfer,
        sent: Sent<Command>,
        reply: Reply,
        ctx: &ProcessContext,
    ) -> Reacted {
        Ok(match sent.command {
            Command::DebitForTransfer { .. } => transfer.debit_answered(&reply, ctx.instance()),
            Command::CreditForTransfer { .. } => transfer.credit_answered(&reply, ctx.instance()),
            // Those who look on will see the transfer end without the step between.
            Command::MarkDebited => Reaction::keep(transfer),
            Command::RefundTransfer { .. } => transfer.owed_answered(Owed::Refund, &reply, ctx),
            Command::CompleteTransfer => transfer.owed_answered(Owed::Completion, &reply, ctx),
            Command::FailTransfer { reason } => {
                transfer.owed_answered(Owed::Failure { reason }, &reply, ctx)
            }
        })
    }
}

annals_sdk::export_process_manager!(Transfers);
