//! The upcaster `first-accounts` of the bank: events of its first program, as the aggregate `account`
//! and every projection have them today.
//!
//! This is a plugin as you would write it. It has three parts: the [`Old`] events, which are stored
//! for ever, the [`New`] ones, and `upcast`, which says what an old one is now. Here are the three
//! things that happen to events over the years:
//!
//! - One event is two today: `account-registered`.
//! - A change is told apart by its kind, and not by a sign: `balance-changed`.
//! - A field has another type: `balance-changed` of version 1 has a text such as `-12.50`. It becomes
//!   version 2, which is upcast again: a step knows the next one, and no more.
//!
//! The tests are in `tests/shapes.rs` and run natively.

use annals_sdk::{Unreadable, Upcast, Upcaster};

/// What the first program recorded.
#[annals_sdk::shapes]
pub enum Old {
    /// The account exists from here on.
    AccountRegistered {
        /// Who it belongs to.
        name: String,
        /// What was paid in at once.
        paid_in_cents: i64,
    },
    /// Money was paid in or taken out, as a text.
    #[annals(name = "balance-changed", schema_version = 1)]
    BalanceChangedByText {
        /// In whole units of money, with a point before the cents: `-12.50`.
        by: String,
    },
    /// Money was paid in or taken out.
    #[annals(name = "balance-changed", schema_version = 2)]
    BalanceChanged {
        /// More than 0 when it was paid in.
        by_cents: i64,
    },
}

/// What is read today, and the step on the way there.
#[annals_sdk::shapes]
#[expect(missing_docs, reason = "they are explained where they are decided, in `bank-account`")]
pub enum New {
    AccountOpened {
        owner: String,
        initial_cents: i64,
    },
    FundsDeposited {
        cents: i64,
    },
    FundsWithdrawn {
        cents: i64,
    },
    #[annals(schema_version = 2)]
    BalanceChanged {
        by_cents: i64,
    },
}

/// The upcaster.
#[derive(Debug)]
pub struct FirstAccounts;

impl Upcaster for FirstAccounts {
    const NAME: &'static str = "first-accounts";
    type From = Old;
    type To = New;

    fn upcast(event: Old) -> Result<Upcast<New>, Unreadable> {
        Ok(match event {
            Old::AccountRegistered { name, paid_in_cents } => {
                let opened = Upcast::from(New::AccountOpened { owner: name, initial_cents: 0 });
                if paid_in_cents > 0 {
                    opened.and(New::FundsDeposited { cents: paid_in_cents })
                } else {
                    opened
                }
            }
            Old::BalanceChangedByText { by } => {
                let by_cents = cents(&by)
                    .ok_or_else(|| Unreadable::new(format!("`{by}` is not an amount")))?;
                New::BalanceChanged { by_cents }.into()
            }
            Old::BalanceChanged { by_cents } if by_cents < 0 => {
                New::FundsWithdrawn { cents: by_cents.saturating_neg() }.into()
            }
            Old::BalanceChanged { by_cents } => New::FundsDeposited { cents: by_cents }.into(),
        })
    }
}

annals_sdk::export_upcaster!(FirstAccounts);

/// The cents in a text such as `-12.50`.
fn cents(text: &str) -> Option<i64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let (units, cents) = digits.split_once('.')?;
    let are_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if cents.len() != 2 || !are_digits(units) || !are_digits(cents) {
        return None;
    }
    let units: i64 = units.parse().ok()?;
    let sum = units.checked_mul(100)?.checked_add(cents.parse().ok()?)?;
    Some(if digits.len() < text.len() { -sum } else { sum })
}
