//! The rows of `account-totals` after events.

use annals_sdk::Row;
use annals_sdk::testing::project;
use bank_account_totals::{AccountTotals, Event, TOTALS};

#[test]
fn every_number_counts_what_its_name_says() {
    // Guards the totals: two accounts, one of which is closed in the end.
    let view = project::<AccountTotals>([
        ("account/a1", Event::AccountOpened { initial_cents: 10 }),
        ("account/a2", Event::AccountOpened { initial_cents: 0 }),
        ("account/a1", Event::FundsDeposited { cents: 190 }),
        ("account/a1", Event::FundsWithdrawn { cents: 150 }),
        ("account/a2", Event::CreditedForTransfer { cents: 50 }),
        ("account/a2", Event::FundsWithdrawn { cents: 50 }),
        ("account/a2", Event::AccountClosed),
    ]);
    let rows: Vec<(String, i64)> = view
        .rows(TOTALS)
        .into_iter()
        .map(|row: Row<i64>| (row.key_text().into_owned(), row.value))
        .collect();
    let expected = [
        ("closed_count", 1),
        ("deposited_cents", 200),
        ("deposits_count", 1),
        ("opened_count", 2),
        ("transferred_cents", 50),
        ("transfers_count", 1),
        ("withdrawals_count", 2),
        ("withdrawn_cents", 200),
    ];
    assert_eq!(rows, expected.map(|(name, value)| (name.to_owned(), value)));
}
