//! What the bank's first events are today.

use annals_sdk::json;
use annals_sdk::testing::given_stored;
use bank_first_accounts::{FirstAccounts, New, Old};

fn by_text(by: &str) -> Old {
    Old::BalanceChangedByText { by: by.to_owned() }
}

#[test]
fn a_registration_is_an_opening_and_a_deposit() {
    // Guards one event becoming two, and only one where nothing was paid in.
    let registered = |paid_in_cents| {
        let name = "Ada".to_owned();
        given_stored::<FirstAccounts>([Old::AccountRegistered { name, paid_in_cents }])
    };
    let opened = New::AccountOpened { owner: "Ada".to_owned(), initial_cents: 0 };
    registered(900).when_upcast().then([opened.clone(), New::FundsDeposited { cents: 900 }]);
    registered(0).when_upcast().then([opened]);
}

#[test]
fn a_change_is_a_deposit_or_a_withdrawal() {
    // Guards the sign.
    let change = |by_cents| Old::BalanceChanged { by_cents };
    given_stored::<FirstAccounts>([change(5), change(-7), change(i64::MIN)]).when_upcast().then([
        New::FundsDeposited { cents: 5 },
        New::FundsWithdrawn { cents: 7 },
        New::FundsWithdrawn { cents: i64::MAX },
    ]);
}

#[test]
fn a_text_becomes_cents_or_is_refused() {
    // Guards amounts: no cent is lost, and what is no amount is nothing else either.
    let changed = |by_cents| New::BalanceChanged { by_cents };
    given_stored::<FirstAccounts>([by_text("12.05"), by_text("-0.50"), by_text("0.00")])
        .when_upcast()
        .then([changed(1_205), changed(-50), changed(0)]);
    for text in ["", "12", "12.5", "12,50", "+1.00", "--1.00", "99999999999999999999.00"] {
        given_stored::<FirstAccounts>([by_text(text)])
            .when_upcast()
            .then_refused(&format!("`{text}` is not an amount"));
    }
}

#[test]
fn what_is_stored_is_read_by_its_name_and_version() {
    // Guards what the first program wrote, byte for byte.
    given_stored::<FirstAccounts>([])
        .and_json("balance-changed", 1, &json!({ "by": "1.00" }))
        .and_json("balance-changed", 2, &json!({ "by_cents": -1, "clerk": "Bob" }))
        .and_json("account-registered", 1, &json!({ "name": "Ada", "paid_in_cents": 0 }))
        .when_upcast()
        .then([
            New::BalanceChanged { by_cents: 100 },
            New::FundsWithdrawn { cents: 1 },
            New::AccountOpened { owner: "Ada".to_owned(), initial_cents: 0 },
        ]);
    given_stored::<FirstAccounts>([])
        .and_json("balance-changed", 2, &json!({}))
        .when_upcast()
        .then_refused(
            "data does not fit `balance-changed`: missing field `by_cents` at line 1 column 2",
        );
}
