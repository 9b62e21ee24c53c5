//! The bank's `account` as its next version could be: at most 1 000 cents are paid in at
//! once. Its author has forgotten about transfers and closed accounts: their events are not read.
//!
//! What remains is the bank's to the letter, the state with its documentation too, from which its
//! schema comes: states of the two versions are comparable.

use std::collections::BTreeMap;

use annals_sdk::{Aggregate, Context, Decision, Rejection, ensure};

/// The rule that is new.
const DEPOSIT_CENTS_MAX: i64 = 1_000;

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
        /// More than 0, and not too much.
        cents: i64,
    },
    /// Takes money out.
    WithdrawFunds {
        /// More than 0, and at most the balance.
        cents: i64,
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
        }
    }

    fn decide(&self, command: Command, _: &Context) -> Result<Decision<Event>, Rejection> {
        match command {
            Command::OpenAccount { owner, initial_cents } => {
                ensure!(!self.is_open, "already-open", "the account belongs to {}", self.owner);
                ensure!(initial_cents >= 0, "invalid-amount", "{initial_cents} is less than 0");
                Ok(Event::AccountOpened { owner, initial_cents }.into())
            }
            Command::DepositFunds { cents } => {
                ensure!(self.is_open, "not-open", "the account is not open");
                ensure!(cents > 0, "invalid-amount", "{cents} is not more than 0");
                let max = DEPOSIT_CENTS_MAX;
                ensure!(cents <= max, "too-much", "{cents} is more than {max} at once");
                Ok(Event::FundsDeposited { cents }.into())
            }
            Command::WithdrawFunds { cents } => {
                ensure!(self.is_open, "not-open", "the account is not open");
                ensure!(cents > 0, "invalid-amount", "{cents} is not more than 0");
                let balance = self.balance_cents;
                ensure!(cents <= balance, "insufficient-funds", "the balance is {balance}");
                Ok(Event::FundsWithdrawn { cents }.into())
            }
        }
    }
}

annals_sdk::export_aggregate!(Account);
