//! Clients that deposit and withdraw, and repeat what they have no answer for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hyper::Method;
use serde_json::Value;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::ACCOUNTS;
use crate::support::{Answer, Daemon, at};

/// Numbers that look random and are the same for the same seed: SplitMix64 (Steele, Lea and Flood,
/// 2014).
#[derive(Debug)]
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `end` (exclusive).
    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }
}

/// A command that a client sends, as often as it must.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Wish {
    pub(super) id: Uuid,
    /// `a0` to `a19`.
    pub(super) account: String,
    /// Negative: to withdraw.
    pub(super) cents: i64,
}

impl Wish {
    /// Sends it; `None` when there is no answer that can be relied on.
    pub(super) async fn send(&self, daemon: &Daemon) -> Option<Answer> {
        let command = if self.cents < 0 { "withdraw-funds" } else { "deposit-funds" };
        let path = format!("/v1/aggregates/account/{}/{command}", self.account);
        let id = self.id.to_string();
        let headers = [("idempotency-key", id.as_str()), ("content-type", "application/json")];
        let data = format!(r#"{{"cents":{}}}"#, self.cents.unsigned_abs());
        let answer = daemon.try_send(Method::POST, &path, &headers, data).await;
        answer.filter(|answer| answer.status < 500)
    }
}

/// What a client was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Told {
    /// It happened, as the event at this revision.
    Accepted(u64),
    Refused,
}

impl Told {
    fn of(answer: &Answer) -> Self {
        if answer.status == 200 {
            assert_eq!(at(&answer.body, "/events").as_array().map(Vec::len), Some(1));
            return Self::Accepted(at(&answer.body, "/revision").as_u64().unwrap());
        }
        assert_eq!((answer.status, answer.code()), (422, "rejected"), "{:#}", answer.body);
        let code = at(&answer.body, "/rejection/code");
        assert_eq!(code, &Value::from("insufficient-funds"));
        Self::Refused
    }
}

/// One of those who send, one command at a time.
#[derive(Debug)]
pub(super) struct Client {
    number: u64,
    dice: Dice,
    sent_count: u64,
    /// What it has no answer for.
    waiting: Option<Wish>,
    pub(super) answered: Vec<(Wish, Told)>,
}

impl Client {
    pub(super) fn new(number: u64, dice: Dice) -> Self {
        Self { number, dice, sent_count: 0, waiting: None, answered: Vec::new() }
    }

    /// Whether it has sent something and has no answer.
    pub(super) fn waits(&self) -> bool {
        self.waiting.is_some()
    }

    /// Sends until it is over, or the daemon does not answer any more; what is open comes first, also
    /// when it is over.
    pub(super) async fn work(
        mut self,
        daemon: Arc<Daemon>,
        answers: Arc<Semaphore>,
        is_over: Arc<AtomicBool>,
    ) -> Self {
        loop {
            let wish = match self.waiting.take() {
                Some(wish) => wish,
                None if is_over.load(Ordering::Relaxed) => return self,
                None => self.next_wish(),
            };
            let Some(answer) = wish.send(&daemon).await else {
                self.waiting = Some(wish);
                return self;
            };
            self.answered.push((wish, Told::of(&answer)));
            answers.add_permits(1);
        }
    }

    fn next_wish(&mut self) -> Wish {
        self.sent_count += 1;
        let id = u128::from(self.number) << 64 | u128::from(self.sent_count);
        let amount = i64::try_from(1 + self.dice.below(50)).unwrap();
        let cents = match self.dice.below(10) {
            // More than there ever is on an account: refused.
            0 => -1_000_000,
            1..5 => -amount,
            _ => amount,
        };
        let account = format!("a{}", self.dice.below(ACCOUNTS));
        Wish { id: Uuid::from_u128(id), account, cents }
    }
}
