//! The projection `account-totals` of the bank: how often and how much was paid in, out and between
//! accounts, over all of them.
//!
//! The smallest useful projection: numbers that are only counted up. [`Writes::add`] needs no read, and
//! however many events a batch has, it is one write per number, so this catches up much faster than a
//! projection with a row per account. `account-balances` beside it is one of those.
//!
//! The tests are in `tests/rows.rs` and run natively.

use annals_sdk::{EventMeta, Failure, Projection, Table, Writes};

/// The numbers, by the names below.
pub const TOTALS: Table<i64> = Table::new("totals");

/// How many accounts were opened.
pub const OPENED_COUNT: &str = "opened_count";

/// How many accounts were closed.
pub const CLOSED_COUNT: &str = "closed_count";

/// How often something was deposited.
pub const DEPOSITS_COUNT: &str = "deposits_count";

/// What was deposited, in cents, also when accounts were opened.
pub const DEPOSITED_CENTS: &str = "deposited_cents";

/// How often something was withdrawn.
pub const WITHDRAWALS_COUNT: &str = "withdrawals_count";

/// What was withdrawn, in cents.
pub const WITHDRAWN_CENTS: &str = "withdrawn_cents";

/// How many transfers arrived.
pub const TRANSFERS_COUNT: &str = "transfers_count";

/// What arrived by transfers, in cents.
pub const TRANSFERRED_CENTS: &str = "transferred_cents";

/// The events of accounts that count.
#[annals_sdk::event]
#[expect(missing_docs, reason = "they are explained where they are decided, in `bank-account`")]
pub enum Event {
    AccountOpened { initial_cents: i64 },
    FundsDeposited { cents: i64 },
    FundsWithdrawn { cents: i64 },
    AccountClosed,
    CreditedForTransfer { cents: i64 },
}

/// The projection.
#[derive(Debug)]
pub struct AccountTotals;

impl Projection for AccountTotals {
    const NAME: &'static str = "account-totals";
    const TABLES: &'static [&'static str] = &[TOTALS.name()];
    type Event = Event;

    fn project(event: Event, _: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure> {
        match event {
            Event::AccountOpened { initial_cents } => {
                view.add(TOTALS, OPENED_COUNT, 1);
                view.add(TOTALS, DEPOSITED_CENTS, initial_cents);
            }
            Event::AccountClosed => view.add(TOTALS, CLOSED_COUNT, 1),
            Event::FundsDeposited { cents } => {
                view.add(TOTALS, DEPOSITS_COUNT, 1);
                view.add(TOTALS, DEPOSITED_CENTS, cents);
            }
            Event::FundsWithdrawn { cents } => {
                view.add(TOTALS, WITHDRAWALS_COUNT, 1);
                view.add(TOTALS, WITHDRAWN_CENTS, cents);
            }
            Event::CreditedForTransfer { cents } => {
                view.add(TOTALS, TRANSFERS_COUNT, 1);
                view.add(TOTALS, TRANSFERRED_CENTS, cents);
            }
        }
        Ok(())
    }
}

annals_sdk::export_projection!(AccountTotals);
