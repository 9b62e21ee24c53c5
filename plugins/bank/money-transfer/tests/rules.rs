//! The rules of the bank's transfers.

use annals_sdk::testing::given;
use bank_money_transfer::{Command, Event, MoneyTransfer};

fn start(from: &str, to: &str, cents: i64) -> Command {
    Command::StartTransfer { from: from.to_owned(), to: to.to_owned(), cents, timeout_ms: None }
}

fn started() -> Event {
    let (from, to) = ("a1".to_owned(), "a2".to_owned());
    Event::TransferStarted { from, to, cents: 10, timeout_ms: 30_000 }
}

fn fail() -> Command {
    Command::FailTransfer { reason: "not-open".to_owned() }
}

fn failed() -> Event {
    Event::TransferFailed { reason: "not-open".to_owned() }
}

#[test]
fn starts_once_between_two_accounts() {
    // Guards `start-transfer`, B3 among it: the time to wait is recorded, also when nobody gave one.
    given::<MoneyTransfer>([])
        .when(start("a1", "a2", 10))
        .then([started()])
        .when(start("a1", "a2", 10))
        .then_rejected("already-started");
    given::<MoneyTransfer>([]).when(start("a1", "a1", 10)).then_rejected("same-account");
    for cents in [0, -1, i64::MIN] {
        given::<MoneyTransfer>([]).when(start("a1", "a2", cents)).then_rejected("invalid-amount");
    }
    let (from, to) = ("a1".to_owned(), "a2".to_owned());
    let hasty = Command::StartTransfer { from, to, cents: 10, timeout_ms: Some(5) };
    let (from, to) = ("a1".to_owned(), "a2".to_owned());
    let expected = Event::TransferStarted { from, to, cents: 10, timeout_ms: 5 };
    given::<MoneyTransfer>([]).when(hasty).then([expected]);
}

#[test]
fn ends_once_whether_marked_as_debited_or_not() {
    // Guards that a lost mark does not undo a transfer, and that an ended one stays as it is.
    for before in [vec![started()], vec![started(), Event::TransferDebited]] {
        let completed = given::<MoneyTransfer>(before.clone())
            .when(Command::CompleteTransfer)
            .then([Event::TransferCompleted]);
        let failed = given::<MoneyTransfer>(before).when(fail()).then([failed()]);
        for ended in [completed, failed] {
            ended
                .when(Command::CompleteTransfer)
                .then_rejected("wrong-state")
                .when(fail())
                .then_rejected("wrong-state")
                .when(Command::MarkDebited)
                .then_rejected("wrong-state")
                .when(start("a1", "a2", 10))
                .then_rejected("already-started");
        }
    }
}

#[test]
fn is_marked_as_debited_once() {
    // Guards the order of the steps.
    given::<MoneyTransfer>([started()])
        .when(Command::MarkDebited)
        .then([Event::TransferDebited])
        .when(Command::MarkDebited)
        .then_rejected("wrong-state");
}

#[test]
fn nothing_ends_that_did_not_start() {
    // Guards commands to an id without events.
    for command in [Command::MarkDebited, Command::CompleteTransfer, fail()] {
        given::<MoneyTransfer>([]).when(command).then_rejected("wrong-state");
    }
}
