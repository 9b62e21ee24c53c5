//! The rules of an account: one function per command, which says what it leads to or why not.

use annals_sdk::{Decision, Rejection, ensure};

use crate::{Account, Event, Transfer};

/// What every rule answers.
type Decided = Result<Decision<Event>, Rejection>;

impl Account {
    pub(crate) fn open(&self, owner: String, initial_cents: i64) -> Decided {
        ensure!(!self.is_open, "already-open", "the account belongs to {}", self.owner);
        ensure!(initial_cents >= 0, "invalid-amount", "{initial_cents} is less than 0");
        Ok(Event::AccountOpened { owner, initial_cents }.into())
    }

    pub(crate) fn deposit(&self, cents: i64) -> Decided {
        self.must_be_open()?;
        self.must_have_room_for(cents)?;
        Ok(Event::FundsDeposited { cents }.into())
    }

    pub(crate) fn withdraw(&self, cents: i64) -> Decided {
        self.must_be_open()?;
        self.must_have(cents)?;
        Ok(Event::FundsWithdrawn { cents }.into())
    }

    pub(crate) fn close(&self) -> Decided {
        self.must_be_open()?;
        let balance_cents = self.balance_cents;
        ensure!(balance_cents == 0, "balance-not-zero", "the balance is {balance_cents}");
        Ok(Event::AccountClosed.into())
    }

    pub(crate) fn debit(&self, transfer: String, cents: i64) -> Decided {
        if self.transfer(&transfer).is_some_and(|seen| seen.debited_cents.is_some()) {
            return Ok(Decision::none());
        }
        self.must_be_open()?;
        self.must_have(cents)?;
        Ok(Event::DebitedForTransfer { transfer, cents }.into())
    }

    pub(crate) fn credit(&self, transfer: String, cents: i64) -> Decided {
        if self.transfer(&transfer).is_some_and(|seen| seen.credited_cents.is_some()) {
            return Ok(Decision::none());
        }
        self.must_be_open()?;
        self.must_have_room_for(cents)?;
        Ok(Event::CreditedForTransfer { transfer, cents }.into())
    }

    pub(crate) fn refund(&self, transfer: String) -> Decided {
        let seen = self.transfer(&transfer);
        if seen.is_some_and(|seen| seen.is_refunded) {
            return Ok(Decision::none());
        }
        let Some(cents) = seen.and_then(|seen| seen.debited_cents) else {
            let message = format!("nothing was debited for transfer {transfer}");
            return Err(Rejection::new("unknown-transfer", message));
        };
        let refunded = Event::TransferRefunded { transfer, cents };
        if self.is_open {
            return Ok(refunded.into());
        }
        // The money must go to somebody who can take it out.
        let opened = Event::AccountOpened { owner: self.owner.clone(), initial_cents: 0 };
        Ok([opened, refunded].into())
    }

    fn transfer(&self, transfer: &str) -> Option<&Transfer> {
        self.transfers.get(transfer)
    }

    fn must_be_open(&self) -> Result<(), Rejection> {
        ensure!(self.is_open, "not-open", "the account is not open");
        Ok(())
    }

    /// `cents` can be taken out.
    fn must_have(&self, cents: i64) -> Result<(), Rejection> {
        must_be_amount(cents)?;
        let balance_cents = self.balance_cents;
        ensure!(cents <= balance_cents, "insufficient-funds", "the balance is {balance_cents}");
        Ok(())
    }

    /// `cents` can be paid in, with room for every refund that could still come.
    fn must_have_room_for(&self, cents: i64) -> Result<(), Rejection> {
        must_be_amount(cents)?;
        let ours = self.balance_cents.checked_add(self.in_transfers_cents);
        let total = ours.and_then(|ours| ours.checked_add(cents));
        ensure!(total.is_some(), "invalid-amount", "{cents} is more than an account can hold");
        Ok(())
    }
}

fn must_be_amount(cents: i64) -> Result<(), Rejection> {
    ensure!(cents > 0, "invalid-amount", "{cents} is not more than 0");
    Ok(())
}
