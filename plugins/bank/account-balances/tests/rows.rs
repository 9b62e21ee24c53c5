//! The rows of `account-balances` after events, and the answers from them.

use annals_sdk::testing::{Projected, project};
use annals_sdk::{QueryError, Row, Value, json};
use bank_account_balances::{
    ACCOUNTS, AccountBalances, AccountRow, BALANCE_CENTS, Event, OPEN_ACCOUNTS, Query, TOTALS,
};

const A1: &str = "account/a1";
const A2: &str = "account/a2";

fn opened(owner: &str, initial_cents: i64) -> Event {
    Event::AccountOpened { owner: owner.to_owned(), initial_cents }
}

fn row(owner: &str, balance_cents: i64) -> AccountRow {
    AccountRow { owner: owner.to_owned(), balance_cents, is_open: true }
}

fn totals(view: &Projected<AccountBalances>) -> (Option<i64>, Option<i64>) {
    (view.row(TOTALS, BALANCE_CENTS), view.row(TOTALS, OPEN_ACCOUNTS))
}

/// What B1 leaves behind.
fn after_transfers() -> Projected<AccountBalances> {
    project([
        (A1, opened("Athena", 10)),
        (A2, opened("Hades", 10)),
        (A1, Event::FundsDeposited { cents: 190 }),
        (A1, Event::FundsWithdrawn { cents: 100 }),
        (A1, Event::DebitedForTransfer { cents: 10 }),
        (A2, Event::CreditedForTransfer { cents: 10 }),
    ])
}

#[test]
fn every_account_has_its_balance() {
    // Guards B1: the view {a1: 90, a2: 20}.
    let view = after_transfers();
    let expected = [("a1", row("Athena", 90)), ("a2", row("Hades", 20))];
    let expected: Vec<Row<AccountRow>> =
        expected.map(|(key, value)| Row { key: key.as_bytes().to_vec(), value }).into();
    assert_eq!(view.rows(ACCOUNTS), expected);
    assert_eq!(totals(&view), (Some(110), Some(2)));
}

#[test]
fn a_refund_gives_back_what_the_debit_took() {
    // Guards B2: balance as before.
    let view = project::<AccountBalances>([
        (A1, opened("Athena", 10)),
        (A1, Event::DebitedForTransfer { cents: 10 }),
    ]);
    assert_eq!(view.row(ACCOUNTS, "a1"), Some(row("Athena", 0)));
    let view = view.and([(A1, Event::TransferRefunded { cents: 10 })]);
    assert_eq!(view.row(ACCOUNTS, "a1"), Some(row("Athena", 10)));
    assert_eq!(totals(&view), (Some(10), Some(1)));
}

#[test]
fn a_closed_account_keeps_its_row_and_is_not_counted() {
    // Guards the totals over close and open again.
    let closed =
        project::<AccountBalances>([(A1, opened("Athena", 0)), (A1, Event::AccountClosed)]);
    let expected = AccountRow { is_open: false, ..row("Athena", 0) };
    assert_eq!(closed.row(ACCOUNTS, "a1"), Some(expected));
    assert_eq!(totals(&closed), (Some(0), Some(0)));
    let again = closed.and([(A1, opened("Ares", 5))]);
    assert_eq!(again.row(ACCOUNTS, "a1"), Some(row("Ares", 5)));
    assert_eq!(totals(&again), (Some(5), Some(1)));
}

#[test]
fn richest_accounts_come_highest_first_then_by_id() {
    // Guards the order, and that an account is listed once after its balance changed.
    let view = after_transfers().and([
        ("account/b", opened("Zeus", 20)),
        ("account/a10", opened("Hera", 9)),
        ("account/rich", opened("Midas", i64::MAX - 1_000)),
    ]);
    let account = |id: &str, owner: &str, balance_cents: i64| -> Value {
        json!({ "id": id, "owner": owner, "balance_cents": balance_cents, "is_open": true })
    };
    let expected = json!([
        account("rich", "Midas", i64::MAX - 1_000),
        account("a1", "Athena", 90),
        account("a2", "Hades", 20),
        account("b", "Zeus", 20),
        account("a10", "Hera", 9),
    ]);
    assert_eq!(view.query(Query::RichestAccounts { limit: None }), Ok(expected));
    let first = json!([account("rich", "Midas", i64::MAX - 1_000)]);
    assert_eq!(view.query(Query::RichestAccounts { limit: Some(1) }), Ok(first));
}

#[test]
fn richest_accounts_are_ten_unless_asked_and_a_hundred_at_most() {
    // Guards the limit, on both sides.
    let view = project::<AccountBalances>(
        (0..101).map(|number| (format!("account/{number}"), opened("Many", 1))),
    );
    let accounts = |limit| -> Result<usize, QueryError> {
        let answer = view.query(Query::RichestAccounts { limit })?;
        Ok(answer.as_array().map_or(0, Vec::len))
    };
    assert_eq!(accounts(None), Ok(10));
    assert_eq!(accounts(Some(100)), Ok(100));
    for limit in [0, 101, u32::MAX] {
        let message = format!("`limit` is {limit}, and must be 1 to 100");
        assert_eq!(accounts(Some(limit)), Err(QueryError::Malformed(message)));
    }
}
