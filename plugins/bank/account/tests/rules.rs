//! The rules of the bank's accounts, row by row.

use annals_sdk::testing::{Outcome, given};
use bank_account::{Account, Command, Event, Transfer};

fn opened(initial_cents: i64) -> Event {
    Event::AccountOpened { owner: "Athena".to_owned(), initial_cents }
}

fn open(initial_cents: i64) -> Command {
    Command::OpenAccount { owner: "Athena".to_owned(), initial_cents }
}

fn debited(cents: i64) -> Event {
    Event::DebitedForTransfer { transfer: "t1".to_owned(), cents }
}

fn debit(cents: i64) -> Command {
    Command::DebitForTransfer { transfer: "t1".to_owned(), cents }
}

fn credited(cents: i64) -> Event {
    Event::CreditedForTransfer { transfer: "t1".to_owned(), cents }
}

fn credit(cents: i64) -> Command {
    Command::CreditForTransfer { transfer: "t1".to_owned(), cents }
}

fn refunded(cents: i64) -> Event {
    Event::TransferRefunded { transfer: "t1".to_owned(), cents }
}

fn refund() -> Command {
    Command::RefundTransfer { transfer: "t1".to_owned() }
}

#[track_caller]
fn has_balance(outcome: Outcome<Account>, expected_cents: i64) {
    outcome.then_state(|account| assert_eq!(account.balance_cents, expected_cents));
}

#[test]
fn opens_an_account_once() {
    // Guards B4.
    given([]).when(open(10)).then([opened(10)]).then_state(|account: &Account| {
        let expected = Account {
            owner: "Athena".to_owned(),
            balance_cents: 10,
            is_open: true,
            ..Account::default()
        };
        assert_eq!(*account, expected);
    });
    given::<Account>([]).when(open(0)).then([opened(0)]);
    let twice = given([opened(10)]).when(open(5)).then_rejected("already-open");
    has_balance(twice, 10);
}

#[test]
fn does_not_open_an_account_with_a_debt() {
    // Guards the amount of `open-account`.
    given::<Account>([]).when(open(-1)).then_rejected("invalid-amount");
}

#[test]
fn opens_a_closed_account_again() {
    // Guards "accepted when not open", which a closed account is.
    let outcome = given([opened(0), Event::AccountClosed]).when(open(7)).then([opened(7)]);
    has_balance(outcome, 7);
}

#[test]
fn deposits_funds_into_an_open_account() {
    // Guards B1: the deposit.
    let deposit = |cents| Command::DepositFunds { cents };
    let outcome = given([opened(10)]).when(deposit(190));
    has_balance(outcome.then([Event::FundsDeposited { cents: 190 }]), 200);
    given::<Account>([]).when(deposit(190)).then_rejected("not-open");
    given::<Account>([opened(0), Event::AccountClosed]).when(deposit(1)).then_rejected("not-open");
    for cents in [0, -1, i64::MIN, i64::MAX] {
        given::<Account>([opened(10)]).when(deposit(cents)).then_rejected("invalid-amount");
    }
}

#[test]
fn withdraws_what_is_there_and_not_more() {
    // Guards B1: both withdrawals.
    let withdraw = |cents| Command::WithdrawFunds { cents };
    let outcome = given([opened(200)]).when(withdraw(100));
    has_balance(outcome.then([Event::FundsWithdrawn { cents: 100 }]), 100);
    has_balance(given([opened(10)]).when(withdraw(10)), 0);
    has_balance(given([opened(10)]).when(withdraw(11)).then_rejected("insufficient-funds"), 10);
    given::<Account>([]).when(withdraw(1)).then_rejected("not-open");
    for cents in [0, -1, i64::MIN] {
        given::<Account>([opened(10)]).when(withdraw(cents)).then_rejected("invalid-amount");
    }
}

#[test]
fn closes_an_account_with_nothing_on_it() {
    // Guards `close-account`.
    given([opened(0)])
        .when(Command::CloseAccount)
        .then([Event::AccountClosed])
        .then_state(|account: &Account| assert!(!account.is_open))
        .when(Command::CloseAccount)
        .then_rejected("not-open");
    given::<Account>([]).when(Command::CloseAccount).then_rejected("not-open");
    given::<Account>([opened(1)]).when(Command::CloseAccount).then_rejected("balance-not-zero");
}

#[test]
fn a_refund_opens_a_closed_account_again() {
    // Guards the money of a transfer that fails after its source was closed: the owner can have it.
    given::<Account>([opened(10), debited(10)])
        .when(Command::CloseAccount)
        .then([Event::AccountClosed])
        .when(refund())
        .then([opened(0), refunded(10)])
        .then_state(|account| assert_eq!((account.balance_cents, account.is_open), (10, true)))
        .when(refund())
        .then([])
        .when(Command::WithdrawFunds { cents: 10 })
        .when(Command::CloseAccount)
        .then([Event::AccountClosed]);
}

#[test]
fn debits_once_per_transfer() {
    // Guards B5.
    let outcome = given([opened(10)]).when(debit(10)).then([debited(10)]).when(debit(10)).then([]);
    has_balance(outcome, 0);
    given::<Account>([]).when(debit(10)).then_rejected("not-open");
    given::<Account>([opened(10)]).when(debit(11)).then_rejected("insufficient-funds");
    given::<Account>([opened(10)]).when(debit(-1)).then_rejected("invalid-amount");
}

#[test]
fn accepts_a_debit_that_was_refunded_without_debiting_again() {
    // Guards a debit that arrives once more after the transfer failed.
    let outcome = given([opened(10), debited(10), refunded(10)]).when(debit(10)).then([]);
    has_balance(outcome, 10);
}

#[test]
fn credits_once_per_transfer() {
    // Guards the other end of B5.
    let outcome =
        given([opened(10)]).when(credit(10)).then([credited(10)]).when(credit(10)).then([]);
    has_balance(outcome, 20);
    given::<Account>([]).when(credit(10)).then_rejected("not-open");
    for cents in [-1, 0, i64::MAX] {
        given::<Account>([opened(10)]).when(credit(cents)).then_rejected("invalid-amount");
    }
}

#[test]
fn accepts_a_credit_that_was_made_even_when_closed_since() {
    // Guards a credit that arrives once more, late.
    let withdrawn = Event::FundsWithdrawn { cents: 10 };
    given::<Account>([opened(0), credited(10), withdrawn, Event::AccountClosed])
        .when(credit(10))
        .then([]);
}

#[test]
fn refunds_once_what_was_debited() {
    // Guards B2: the source has its money back, once.
    given([opened(10), debited(4)])
        .when(refund())
        .then([refunded(4)])
        .when(refund())
        .then([])
        .then_state(|account: &Account| {
            let transfer =
                Transfer { debited_cents: Some(4), is_refunded: true, ..Transfer::default() };
            let expected = Account {
                owner: "Athena".to_owned(),
                balance_cents: 10,
                is_open: true,
                transfers: [("t1".to_owned(), transfer)].into(),
                ..Account::default()
            };
            assert_eq!(*account, expected);
        });
    given::<Account>([opened(10)]).when(refund()).then_rejected("unknown-transfer");
    given::<Account>([opened(10), credited(4)]).when(refund()).then_rejected("unknown-transfer");
}

#[test]
fn leaves_room_for_refunds_when_it_takes_deposits() {
    // Guards the sum of cents: a refund that does not fit could never be paid.
    given::<Account>([opened(i64::MAX), debited(i64::MAX)])
        .when(Command::DepositFunds { cents: 1 })
        .then_rejected("invalid-amount")
        .when(refund())
        .then([refunded(i64::MAX)]);
}
