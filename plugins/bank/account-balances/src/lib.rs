//! The projection `account-balances` of the bank: what is on every account.
//!
//! This is a plugin as you would write it. It has three parts:
//!
//! - The tables, which are made for reading: a row per account, totals, and accounts in the order
//!   of their balance, so that the richest are found without looking at the others.
//! - The [`Event`]s it wants, with the fields it uses.
//! - `project`, which changes rows by one event, and `answer`, which reads them.
//!
//! It shares no code with the aggregate `account`: recorded events are all they have in common.
//!
//! The tests are in `tests/rows.rs` and run natively.

use annals_sdk::{EventMeta, Failure, KeyRange, Projection, Queries, QueryContext, QueryError};
use annals_sdk::{Reads, Table, Value, View, Writes, json};

/// A row per account that was ever opened, by account id.
pub const ACCOUNTS: Table<AccountRow> = Table::new("accounts");

/// Totals over all accounts, by the names [`BALANCE_CENTS`] and [`OPEN_ACCOUNTS`].
pub const TOTALS: Table<i64> = Table::new("totals");

/// Account ids in the order of their balance, highest first.
pub const ACCOUNTS_BY_BALANCE: Table<String> = Table::new("accounts-by-balance");

/// The total of what is on accounts, in cents.
pub const BALANCE_CENTS: &str = "balance_cents";

/// The number of accounts that are open.
pub const OPEN_ACCOUNTS: &str = "open_accounts";

/// Most accounts that one answer can have.
pub const LIMIT_MAX: u32 = 100;

/// Accounts in an answer, unless the question says otherwise.
pub const LIMIT_DEFAULT: u32 = 10;

/// What is on an account.
#[annals_sdk::data]
#[derive(Default)]
pub struct AccountRow {
    /// Who it belongs to.
    pub owner: String,
    /// What is on it.
    pub balance_cents: i64,
    /// Whether it was opened and not closed.
    pub is_open: bool,
}

/// The events of accounts that change what is on them.
#[annals_sdk::event]
#[expect(missing_docs, reason = "they are explained where they are decided, in `bank-account`")]
pub enum Event {
    AccountOpened { owner: String, initial_cents: i64 },
    FundsDeposited { cents: i64 },
    FundsWithdrawn { cents: i64 },
    AccountClosed,
    DebitedForTransfer { cents: i64 },
    CreditedForTransfer { cents: i64 },
    TransferRefunded { cents: i64 },
}

/// What can be asked.
#[annals_sdk::query]
pub enum Query {
    /// The accounts with the highest balances, highest first, and by id where balances are equal.
    RichestAccounts {
        /// How many, 1 to 100; 10 unless given.
        #[serde(skip_serializing_if = "Option::is_none")]
        #[schemars(range(min = 1, max = 100))]
        limit: Option<u32>,
    },
}

/// The projection.
#[derive(Debug)]
pub struct AccountBalances;

impl Projection for AccountBalances {
    const NAME: &'static str = "account-balances";
    const TABLES: &'static [&'static str] =
        &[ACCOUNTS.name(), TOTALS.name(), ACCOUNTS_BY_BALANCE.name()];
    type Event = Event;

    fn project(event: Event, meta: &EventMeta<'_>, view: &mut Writes) -> Result<(), Failure> {
        let before = view.get(ACCOUNTS, meta.id());
        let mut account = before.clone().unwrap_or_default();
        match event {
            Event::AccountOpened { owner, initial_cents } => {
                account.owner = owner;
                account.is_open = true;
                account.balance_cents += initial_cents;
            }
            Event::AccountClosed => account.is_open = false,
            Event::FundsDeposited { cents }
            | Event::CreditedForTransfer { cents }
            | Event::TransferRefunded { cents } => account.balance_cents += cents,
            Event::FundsWithdrawn { cents } | Event::DebitedForTransfer { cents } => {
                account.balance_cents -= cents;
            }
        }
        replace(view, meta.id(), before, &account);
        Ok(())
    }

    fn reads(_: &Event, meta: &EventMeta<'_>, reads: &mut Reads<'_>) {
        reads.row(ACCOUNTS, meta.id());
    }
}

impl Queries for AccountBalances {
    type Query = Query;

    fn answer(query: Query, _: &QueryContext, view: &View) -> Result<Value, QueryError> {
        match query {
            Query::RichestAccounts { limit } => {
                let limit = limit.unwrap_or(LIMIT_DEFAULT);
                if !(1..=LIMIT_MAX).contains(&limit) {
                    return Err(QueryError::malformed(format!(
                        "`limit` is {limit}, and must be 1 to {LIMIT_MAX}"
                    )));
                }
                Ok(richest_accounts(limit, view))
            }
        }
    }
}

annals_sdk::export_projection!(AccountBalances, queries);

/// Puts an account's row, and keeps the other tables in step with it.
fn replace(view: &mut Writes, id: &str, before: Option<AccountRow>, after: &AccountRow) {
    if let Some(before) = before {
        view.delete(ACCOUNTS_BY_BALANCE, place(before.balance_cents, id));
        count(view, &before, -1);
    }
    view.put(ACCOUNTS, id, after);
    view.put(ACCOUNTS_BY_BALANCE, place(after.balance_cents, id), &id.to_owned());
    count(view, after, 1);
}

/// Adds an account to the totals, or with -1 takes it out of them.
fn count(view: &mut Writes, account: &AccountRow, sign: i64) {
    view.add(TOTALS, BALANCE_CENTS, sign * account.balance_cents);
    view.add(TOTALS, OPEN_ACCOUNTS, sign * i64::from(account.is_open));
}

/// The key under which byte order is: highest balance first, then by id. Keys are in ascending
/// order and as long as one another up to the `/`, so they start with the distance from the
/// highest balance there could be.
fn place(balance_cents: i64, id: &str) -> String {
    let distance = i64::MAX.abs_diff(balance_cents);
    format!("{distance:020}/{id}")
}

fn richest_accounts(limit: u32, view: &View) -> Value {
    let ids = view.scan(ACCOUNTS_BY_BALANCE, &KeyRange::all(), limit);
    let accounts = view.get_many(ACCOUNTS, ids.iter().map(|row| &row.value));
    let answer: Vec<Value> = ids
        .iter()
        .zip(accounts)
        .filter_map(|(id, account)| Some((&id.value, account?)))
        .map(|(id, AccountRow { owner, balance_cents, is_open })| {
            json!({
                "id": id,
                "owner": owner,
                "balance_cents": balance_cents,
                "is_open": is_open,
            })
        })
        .collect();
    json!(answer)
}
