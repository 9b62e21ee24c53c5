//! The whole bank in every order there is: accounts, the transfer, the process manager, and a host that
//! answers, gives up, or lets time pass.
//!
//! The walk tries each choice at each step: the command that is under way is decided by the real rules of
//! its target, or given up by the host; or one of the timers that run fires. Somebody may close the
//! accounts in between. What is given up is bounded, so each path ends.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper that fails is a test that fails"
)]

use std::collections::{BTreeMap, BTreeSet};

use annals_sdk::testing::{Instance, given, given_instance};
use annals_sdk::{Aggregate, Decision, Rejection, Reply, Sent};
use bank_account::{Account, Command as ToAccount, Event as OfAccount};
use bank_money_transfer::{Command as ToTransfer, Event as OfTransfer, MoneyTransfer};
use bank_transfer::{Command, Event, TIMED_OUT, Transfers, UNAVAILABLE};

const CENTS: i64 = 10;

/// Everything there is, at one moment.
#[derive(Clone)]
struct Bank {
    /// By id; without events, an account was never opened.
    accounts: BTreeMap<&'static str, Vec<OfAccount>>,
    transfer: Vec<OfTransfer>,
    process: Instance<Transfers>,
    /// How often the host may still give up.
    failures_left: u32,
    /// Whether somebody may still close the accounts.
    may_close: bool,
    /// How it came here, for the message of a failing test.
    path: Vec<String>,
}

/// What may happen next.
#[derive(Debug, Clone)]
enum Choice {
    Decide,
    GiveUp,
    Fire(String),
    Close,
}

impl Bank {
    /// A bank with what is on the source and on the target; `None` was never opened.
    fn open(cents: [Option<i64>; 2], failures_left: u32) -> Self {
        let opened = |cents: Option<i64>| {
            cents.map(|initial_cents| OfAccount::AccountOpened {
                owner: "Ada".to_owned(),
                initial_cents,
            })
        };
        let [source, target] = cents.map(opened);
        let (from, to, timeout_ms) = ("a1".to_owned(), "a2".to_owned(), 30_000);
        let started =
            Event::TransferStarted { from: from.clone(), to: to.clone(), cents: CENTS, timeout_ms };
        Self {
            accounts: [("a1", source), ("a2", target)]
                .map(|(id, opened)| (id, opened.into_iter().collect()))
                .into(),
            transfer: vec![OfTransfer::TransferStarted { from, to, cents: CENTS, timeout_ms }],
            process: given_instance("t1").when_event("money-transfer/t1", started),
            failures_left,
            may_close: true,
            path: Vec::new(),
        }
    }

    fn choices(&self) -> Vec<Choice> {
        let mut choices = Vec::new();
        if !self.process.unanswered().is_empty() {
            choices.push(Choice::Decide);
            if self.failures_left > 0 {
                choices.push(Choice::GiveUp);
            }
        }
        choices.extend(self.process.timers().into_iter().map(|(name, _)| Choice::Fire(name)));
        if self.may_close {
            choices.push(Choice::Close);
        }
        choices
    }

    fn choose(mut self, choice: &Choice) -> Self {
        self.path.push(format!("{choice:?} {:?}", self.process.unanswered().first()));
        match choice {
            Choice::Fire(name) => self.process = self.process.when_timer(name),
            Choice::Close => {
                self.may_close = false;
                for id in ["a1", "a2"] {
                    // An account with money on it stays open.
                    drop(self.tell_account(id, ToAccount::CloseAccount));
                }
            }
            Choice::Decide | Choice::GiveUp => {
                let sent = self.process.unanswered().remove(0);
                let reply = if matches!(choice, Choice::GiveUp) {
                    self.failures_left -= 1;
                    Reply::failed("the plugin failed")
                } else {
                    self.decide(sent.clone())
                };
                self.process = self.process.when_reply(sent.command, reply);
            }
        }
        self
    }

    /// Has the target of a command decide it.
    fn decide(&mut self, sent: Sent<Command>) -> Reply {
        let id = if sent.target_id == "a1" { "a1" } else { "a2" };
        let decided = match sent.command {
            Command::DebitForTransfer { transfer, cents } => {
                self.tell_account(id, ToAccount::DebitForTransfer { transfer, cents })
            }
            Command::CreditForTransfer { transfer, cents } => {
                self.tell_account(id, ToAccount::CreditForTransfer { transfer, cents })
            }
            Command::RefundTransfer { transfer } => {
                self.tell_account(id, ToAccount::RefundTransfer { transfer })
            }
            Command::MarkDebited => self.tell_transfer(ToTransfer::MarkDebited),
            Command::CompleteTransfer => self.tell_transfer(ToTransfer::CompleteTransfer),
            Command::FailTransfer { reason } => {
                self.tell_transfer(ToTransfer::FailTransfer { reason })
            }
        };
        match decided {
            Ok(()) => Reply::Accepted,
            Err(rejection) => Reply::Rejected {
                code: rejection.code().to_owned(),
                message: rejection.message().to_owned(),
            },
        }
    }

    fn tell_account(&mut self, id: &'static str, command: ToAccount) -> Result<(), Rejection> {
        let events = self.accounts.get_mut(id).unwrap();
        events.extend(decided::<Account>(events, command)?.events().iter().cloned());
        Ok(())
    }

    fn tell_transfer(&mut self, command: ToTransfer) -> Result<(), Rejection> {
        let decision = decided::<MoneyTransfer>(&self.transfer, command)?;
        self.transfer.extend(decision.events().iter().cloned());
        Ok(())
    }

    fn account(&self, id: &str) -> Account {
        let mut account = Account::default();
        self.accounts[id].iter().cloned().for_each(|event| account.evolve(event));
        account
    }

    fn balance_cents(&self) -> i64 {
        self.account("a1").balance_cents + self.account("a2").balance_cents
    }

    /// What was taken from the source, and is neither back nor at the target.
    fn under_way_cents(&self) -> i64 {
        let part = |id| self.account(id).transfers.remove("t1").unwrap_or_default();
        let (source, target) = (part("a1"), part("a2"));
        let debited_cents = if source.is_refunded { 0 } else { source.debited_cents.unwrap_or(0) };
        debited_cents - target.credited_cents.unwrap_or(0)
    }

    /// What must be so when nothing can happen any more.
    fn assert_ended(&self, cents: i64) {
        let path = &self.path;
        assert!(!self.process.is_running(), "the instance goes on: {path:#?}");
        assert_eq!(self.balance_cents(), cents, "money is lost or made: {path:#?}");
        for id in ["a1", "a2"] {
            let account = self.account(id);
            let is_lost = !account.is_open && account.balance_cents != 0;
            assert!(!is_lost, "nobody can have the money on {id}: {path:#?}");
        }
        let is_credited = self.account("a2").transfers.contains_key("t1");
        match self.transfer.last() {
            Some(OfTransfer::TransferCompleted) => assert!(is_credited, "{path:#?}"),
            Some(OfTransfer::TransferFailed { reason }) => {
                assert!(!is_credited, "{path:#?}");
                let reasons = [
                    "insufficient-funds",
                    "not-open",
                    UNAVAILABLE,
                    "target-not-open",
                    "target-unavailable",
                    TIMED_OUT,
                ];
                assert!(reasons.contains(&reason.as_str()), "{reason}: {path:#?}");
            }
            other => panic!("the transfer did not end, but with {other:?}: {path:#?}"),
        }
    }
}

fn decided<A: Aggregate>(
    events: &[A::Event],
    command: A::Command,
) -> Result<Decision<A::Event>, Rejection> {
    given::<A>(events.iter().cloned()).when(command).result().cloned().map_err(Clone::clone)
}

/// Goes every way there is from `bank`; answers how many ends it found, by the transfer's last event.
fn walk(bank: Bank, cents: i64) -> BTreeMap<String, usize> {
    let (mut ends, mut seen) = (BTreeMap::new(), BTreeSet::new());
    let mut banks = vec![bank];
    while let Some(bank) = banks.pop() {
        let Bank { accounts, transfer, process, failures_left, may_close, path } = &bank;
        let place = format!("{accounts:?} {transfer:?} {process:?} {failures_left} {may_close}");
        if !seen.insert(place) {
            continue;
        }
        let on_the_way_cents = bank.balance_cents() + bank.under_way_cents();
        assert_eq!(on_the_way_cents, cents, "money is lost or made: {path:#?}");
        let choices = bank.choices();
        if choices.iter().all(|choice| matches!(choice, Choice::Close)) {
            bank.assert_ended(cents);
            *ends.entry(format!("{:?}", bank.transfer.last().unwrap())).or_default() += 1;
        }
        banks.extend(choices.iter().map(|choice| bank.clone().choose(choice)));
    }
    ends
}

/// The reasons with which transfers failed, and `completed`.
fn outcomes(ends: &BTreeMap<String, usize>) -> Vec<&str> {
    ends.keys().map(|end| end.split('"').nth(1).unwrap_or("completed")).collect()
}

#[test]
fn no_order_of_answers_failures_and_time_loses_or_makes_money() {
    // Guards B2, B3 and the time-out: every transfer ends, and the money is where it says.
    let ends = walk(Bank::open([Some(CENTS), Some(0)], 4), CENTS);
    let expected =
        ["completed", "target-not-open", "target-unavailable", "timed-out", "unavailable"];
    assert_eq!(outcomes(&ends), expected);
    let ends = walk(Bank::open([Some(CENTS + 5), None], 4), CENTS + 5);
    let expected = ["target-not-open", "target-unavailable", "timed-out", "unavailable"];
    assert_eq!(outcomes(&ends), expected);
    let ends = walk(Bank::open([Some(CENTS - 1), Some(0)], 4), CENTS - 1);
    assert_eq!(outcomes(&ends), ["insufficient-funds", "timed-out", "unavailable"]);
    let ends = walk(Bank::open([None, Some(0)], 4), 0);
    assert_eq!(outcomes(&ends), ["not-open", "timed-out", "unavailable"]);
}

#[test]
fn with_a_host_that_answers_in_time_a_transfer_ends_as_the_accounts_say() {
    // Guards the walk itself: without failures, time or closing, one end is left for each bank.
    for (accounts, end) in [
        ([Some(CENTS), Some(0)], "TransferCompleted"),
        ([Some(CENTS), None], "TransferFailed { reason: \"target-not-open\" }"),
        ([Some(CENTS - 1), Some(0)], "TransferFailed { reason: \"insufficient-funds\" }"),
        ([None, Some(0)], "TransferFailed { reason: \"not-open\" }"),
    ] {
        let mut bank = Bank::open(accounts, 0);
        while !bank.process.unanswered().is_empty() {
            bank = bank.choose(&Choice::Decide);
        }
        bank.assert_ended(accounts.into_iter().flatten().sum());
        assert_eq!(format!("{:?}", bank.transfer.last().unwrap()), end);
    }
}
