//! A transfer, step by step.

use annals_sdk::Reply;
use annals_sdk::testing::{Instance, NOW_MS, given_instance, instances_of};
use bank_transfer::{Command, Event, RETRY_MS_MAX, RETRY_MS_MIN, Transfers};

const TIMEOUT_MS: u64 = 30_000;
const TIME_OUT: (&str, u64) = ("time-out", NOW_MS + TIMEOUT_MS);

fn debit() -> Command {
    Command::DebitForTransfer { transfer: "t1".to_owned(), cents: 10 }
}

fn credit() -> Command {
    Command::CreditForTransfer { transfer: "t1".to_owned(), cents: 10 }
}

fn refund() -> Command {
    Command::RefundTransfer { transfer: "t1".to_owned() }
}

fn fail(reason: &str) -> Command {
    Command::FailTransfer { reason: reason.to_owned() }
}

/// What is sent when the source gets its money back and the transfer fails.
fn undone(reason: &str) -> [(&'static str, Command); 2] {
    [("a1", refund()), ("t1", fail(reason))]
}

fn event() -> Event {
    let (from, to) = ("a1".to_owned(), "a2".to_owned());
    Event::TransferStarted { from, to, cents: 10, timeout_ms: TIMEOUT_MS }
}

fn started() -> Instance<Transfers> {
    given_instance("t1").when_event("money-transfer/t1", event())
}

/// The source has paid, and the target is asked.
fn debited() -> Instance<Transfers> {
    started().when_reply(debit(), Reply::Accepted)
}

/// As [`debited`], and the mark of it is answered.
fn marked() -> Instance<Transfers> {
    debited().when_reply(Command::MarkDebited, Reply::Accepted)
}

#[test]
fn an_accepted_debit_and_credit_complete_the_transfer() {
    // Guards B1's t1: the order of the commands, and that nothing is left behind.
    started()
        .then_commands([("a1", debit())])
        .then_timers([TIME_OUT])
        .when_reply(debit(), Reply::Accepted)
        .then_commands([("t1", Command::MarkDebited), ("a2", credit())])
        .when_reply(Command::MarkDebited, Reply::Accepted)
        .then_commands([])
        .then_timers([TIME_OUT])
        .when_reply(credit(), Reply::Accepted)
        .then_commands([("t1", Command::CompleteTransfer)])
        .then_timers([])
        .when_reply(Command::CompleteTransfer, Reply::Accepted)
        .then_ended();
}

#[test]
fn a_refused_debit_fails_the_transfer() {
    // Guards B1's t2 and B3: the reason is the account's, and nothing is refunded.
    let replies = [
        (Reply::rejected("insufficient-funds"), "insufficient-funds"),
        (Reply::rejected("not-open"), "not-open"),
        (Reply::failed("the plugin failed"), "unavailable"),
    ];
    for (reply, reason) in replies {
        started()
            .when_reply(debit(), reply)
            .then_commands([("t1", fail(reason))])
            .then_timers([])
            .when_reply(fail(reason), Reply::Accepted)
            .then_ended();
    }
}

#[test]
fn a_refused_credit_is_refunded() {
    // Guards B2: the source has its money back, and the reason says which end it was.
    let replies = [
        (Reply::rejected("not-open"), "target-not-open"),
        (Reply::failed("no such aggregate"), "target-unavailable"),
    ];
    for (reply, reason) in replies {
        marked()
            .when_reply(credit(), reply)
            .then_commands(undone(reason))
            .then_timers([])
            .when_reply(refund(), Reply::Accepted)
            .when_reply(fail(reason), Reply::Accepted)
            .then_ended();
    }
}

#[test]
fn a_mark_that_is_refused_stops_nothing() {
    // Guards money on its way against a step that only those see who look on.
    for reply in [Reply::rejected("wrong-state"), Reply::failed("the plugin failed")] {
        debited()
            .when_reply(Command::MarkDebited, reply)
            .then_commands([])
            .when_reply(credit(), Reply::Accepted)
            .then_commands([("t1", Command::CompleteTransfer)]);
    }
}

#[test]
fn time_that_is_up_before_the_debit_is_answered_refunds_behind_it() {
    // Guards the debit that is under way: if it happens the refund finds it, else it finds nothing.
    let timed_out = || started().when_timer("time-out").then_commands(undone("timed-out"));
    timed_out()
        .then_timers([])
        .when_reply(debit(), Reply::Accepted)
        .then_commands([])
        .when_reply(refund(), Reply::Accepted)
        .when_reply(fail("timed-out"), Reply::Accepted)
        .then_ended();
    timed_out()
        .when_reply(debit(), Reply::rejected("insufficient-funds"))
        .then_commands([])
        .when_reply(refund(), Reply::rejected("unknown-transfer"))
        .when_reply(fail("timed-out"), Reply::Accepted)
        .then_ended();
}

#[test]
fn time_that_is_up_before_the_credit_is_answered_waits_for_it() {
    // Guards against money for both ends: a credit under way may still arrive.
    for before in [debited(), marked()] {
        let timed_out = before.when_timer("time-out").then_commands([]).then_timers([]);
        let timed_out = match timed_out.unanswered().first() {
            Some(first) if first.command == Command::MarkDebited => {
                timed_out.when_reply(Command::MarkDebited, Reply::Accepted)
            }
            _ => timed_out,
        };
        timed_out
            .clone()
            .when_reply(credit(), Reply::Accepted)
            .then_commands([("t1", Command::CompleteTransfer)]);
        timed_out
            .clone()
            .when_reply(credit(), Reply::rejected("not-open"))
            .then_commands(undone("timed-out"));
        timed_out.when_reply(credit(), Reply::failed("gone")).then_commands(undone("timed-out"));
    }
}

#[test]
fn what_ends_a_transfer_is_tried_until_it_is_done() {
    // Guards refunds and outcomes against a host that gives up: later each time, and never lost.
    let mut transfer = marked().when_reply(credit(), Reply::Accepted);
    let mut waits_ms = Vec::new();
    for _ in 0..11 {
        transfer = transfer
            .when_reply(Command::CompleteTransfer, Reply::failed("the plugin failed"))
            .then_commands([]);
        let [(name, due_at_ms)] = transfer.timers().try_into().unwrap();
        assert_eq!(name, "retry-completion");
        waits_ms.push(due_at_ms - waits_ms.iter().sum::<u64>() - NOW_MS);
        transfer = transfer
            .when_timer("retry-completion")
            .then_commands([("t1", Command::CompleteTransfer)]);
    }
    assert_eq!((waits_ms[0], waits_ms[1], waits_ms[10]), (RETRY_MS_MIN, 2_000, RETRY_MS_MAX));
    transfer.when_reply(Command::CompleteTransfer, Reply::Accepted).then_ended();

    marked()
        .when_reply(credit(), Reply::rejected("not-open"))
        .when_reply(refund(), Reply::failed("the plugin failed"))
        .when_reply(fail("target-not-open"), Reply::failed("the plugin failed"))
        .then_timers([("retry-failure", NOW_MS + 2_000), ("retry-refund", NOW_MS + 1_000)])
        .when_timer("retry-refund")
        .then_commands([("a1", refund())])
        .when_reply(refund(), Reply::Accepted)
        .when_timer("retry-failure")
        .then_commands([("t1", fail("target-not-open"))])
        .when_reply(fail("target-not-open"), Reply::Accepted)
        .then_ended();
}

#[test]
fn an_outcome_that_somebody_else_has_recorded_ends_the_instance() {
    // Guards against trying for ever: a rejection is an answer.
    marked()
        .when_reply(credit(), Reply::Accepted)
        .when_reply(Command::CompleteTransfer, Reply::rejected("wrong-state"))
        .then_ended();
}

#[test]
fn a_transfer_is_followed_by_its_own_id() {
    // Guards instances, and events of that name in other streams.
    assert_eq!(instances_of::<Transfers>("money-transfer/t1", &event()), ["t1"]);
    assert_eq!(instances_of::<Transfers>("account/t1", &event()), Vec::<String>::new());
    started()
        .when_event("money-transfer/t1", event())
        .then_unhandled("the transfer has started already");
}
