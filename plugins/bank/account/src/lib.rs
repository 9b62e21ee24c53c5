//! The aggregate `account` of the bank: it keeps the rules of one bank account.
//!
//! This is a plugin as you would write it, and the first one to read. It has four parts:
//!
//! - [`Account`], the state: what the rules need to know, and nothing else.
//! - [`Command`]s, what can be asked.
//! - [`Event`]s, what happened; the only truth there is.
//! - The rules, `decide`, which turn a command into events or a rejection; and `evolve`, which
//!   turns events into state.
//!
//! Amounts are whole cents, so that nothing is ever rounded.
//!
//! An account takes part in transfers: it is debited, credited, and refunded when the other end
//! refuses. Messages may arrive twice, so it remembers the transfers it has seen and accepts what
//! it did already without doing it again. It does not hear how a transfer ends, so it may be closed
//! while a refund could still come: the refund is taken, and opens the account again for its owner.
//!
//! The tests are in `tests/rules.rs` and run natively.

mod rules;

use std::collections::BTreeMap;

use annals_sdk::{Aggregate, Context, Decision, Rejection};

/// What the rules must know about an account.
#[annals_sdk::state]
pub struct Account {
    /// Who it belongs to.
    pub owner: String,
    /// What is on it.
    pub balance_cents: i64,
    /// What was taken out for transfers and did not come back. An account does not hear how a
    /// transfer ends, so this includes those that succeeded.
    pub in_transfers_cents: i64,
    /// Whether it was opened and not closed.
    pub is_open: bool,
    /// By transfer: what this account had to do with it.
    pub transfers: BTreeMap<String, Transfer>,
}

/// This account's part in a transfer. It may be both ends.
#[annals_sdk::data]
#[derive(Default)]
pub struct Transfer {
    /// Taken from the balance for it, once.
    pub debited_cents: Option<i64>,
    /// Added to the balance for it, once.
    pub credited_cents: Option<i64>,
    /// Whether what was taken came back.
    pub is_refunded: bool,
}

/// What can be asked of an account.
#[annals_sdk::command]
pub enum Command {
    /// Opens the account, with money on it if `initial_cents` is more than 0.
    OpenAccount {
        /// Who it belongs to.
        owner: String,
        /// At least 0.
        initial_cents: i64,
    },
    /// Pays money in.
    DepositFunds {
        /// More than 0.
        cents: i64,
    },
    /// Takes money out.
    WithdrawFunds {
        /// More than 0, and at most the balance.
        cents: i64,
    },
    /// Closes an account with nothing on it; money that comes back opens it again.
    CloseAccount,
    /// Takes money out for a transfer, once per transfer.
    DebitForTransfer {
        /// Id of the transfer.
        transfer: String,
        /// More than 0, and at most the balance.
        cents: i64,
    },
    /// Pays money of a transfer in, once per transfer.
    CreditForTransfer {
        /// Id of the transfer.
        transfer: String,
        /// More than 0.
        cents: i64,
    },
    /// Gives back what was taken out for a transfer, once per transfer.
    RefundTransfer {
        /// Id of the transfer.
        transfer: String,
    },
}

/// What happened to an account.
#[annals_sdk::event]
pub enum Event {
    /// The account exists from here on.
    AccountOpened {
        /// Who it belongs to.
        owner: String,
        /// What was on it at once.
        initial_cents: i64,
    },
    /// Money was paid in.
    FundsDeposited {
        /// How much.
        cents: i64,
    },
    /// Money was taken out.
    FundsWithdrawn {
        /// How much.
        cents: i64,
    },
    /// The account was closed.
    AccountClosed,
    /// Money was taken out for a transfer.
    DebitedForTransfer {
        /// Id of the transfer.
        transfer: String,
        /// How much.
        cents: i64,
    },
    /// Money of a transfer was paid in.
    CreditedForTransfer {
        /// Id of the transfer.
        transfer: String,
        /// How much.
        cents: i64,
    },
    /// Money taken out for a transfer came back.
    TransferRefunded {
        /// Id of the transfer.
        transfer: String,
        /// How much.
        cents: i64,
    },
}

impl Aggregate for Account {
    const NAME: &'static str = "account";
    type Command = Command;
    type Event = Event;

    fn evolve(&mut self, event: Event) {
        match event {
            Event::AccountOpened { owner, initial_cents } => {
                self.owner = owner;
                self.is_open = true;
                self.balance_cents += initial_cents;
            }
            Event::FundsDeposited { cents } => self.balance_cents += cents,
            Event::FundsWithdrawn { cents } => self.balance_cents -= cents,
            Event::AccountClosed => self.is_open = false,
            Event::DebitedForTransfer { transfer, cents } => {
                self.balance_cents -= cents;
                self.in_transfers_cents += cents;
                self.transfers.entry(transfer).or_default().debited_cents = Some(cents);
            }
            Event::CreditedForTransfer { transfer, cents } => {
                self.balance_cents += cents;
                self.transfers.entry(transfer).or_default().credited_cents = Some(cents);
            }
            Event::TransferRefunded { transfer, cents } => {
                self.balance_cents += cents;
                self.in_transfers_cents -= cents;
                self.transfers.entry(transfer).or_default().is_refunded = true;
            }
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Decision<Event>, Rejection> {
        match command {
            Command::OpenAccount { owner, initial_cents } => self.open(owner, initial_cents),
            Command::DepositFunds { cents } => self.deposit(cents),
            Command::WithdrawFunds { cents } => self.withdraw(cents),
            Command::CloseAccount => self.close(),
            Command::DebitForTransfer { transfer, cents } => self.debit(transfer, cents),
            Command::CreditForTransfer { transfer, cents } => self.credit(transfer, cents),
            Command::RefundTransfer { transfer } => self.refund(transfer),
        }
    }
}

annals_sdk::export_aggregate!(Account);
