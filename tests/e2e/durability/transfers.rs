//! Transfers while the daemon is killed: money is conserved, and each ends.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::future::join_all;
use hyper::Method;
use rustix::process::{Signal, kill_process};
use serde_json::json;
use tokio::sync::Semaphore;
use uuid::Uuid;

use super::clients::Dice;
use super::{ACCOUNTS, CLIENTS, INITIAL_CENTS, KILLS};
use crate::drivers::Place;
use crate::support::{Daemon, run};
use crate::transfers::{the_bank_adds_up, totals};

/// How many transfers there are.
const TRANSFERS: u64 = 2_000;

/// A transfer that a client asks for.
#[derive(Debug, Clone)]
struct Wish {
    number: u64,
    from: u64,
    to: u64,
    cents: u64,
}

/// One of those who ask for transfers, one after the other.
#[derive(Debug)]
struct Client {
    /// Those that are not acknowledged, the next at the end.
    wishes: Vec<Wish>,
}

impl Wish {
    /// Sends it; `false` when there is no answer that can be relied on.
    async fn send(&self, daemon: &Daemon) -> bool {
        let path = format!("/v1/aggregates/money-transfer/t{}/start-transfer", self.number);
        let id = Uuid::from_u128(u128::from(self.number) + 1).to_string();
        let headers = [("idempotency-key", id.as_str()), ("content-type", "application/json")];
        let (from, to) = (format!("a{}", self.from), format!("a{}", self.to));
        let data = json!({ "from": from, "to": to, "cents": self.cents }).to_string();
        let answer = daemon.try_send(Method::POST, &path, &headers, data).await;
        let Some(answer) = answer.filter(|answer| answer.status < 500) else { return false };
        assert_eq!(answer.status, 200, "{:#}", answer.body);
        true
    }
}

impl Client {
    /// Asks until it has nothing left to ask, and then looks how the bank is, until it is over.
    async fn work(
        mut self,
        daemon: Arc<Daemon>,
        answers: Arc<Semaphore>,
        is_over: Arc<AtomicBool>,
    ) -> Self {
        while !is_over.load(Ordering::Relaxed) {
            let is_answered = match self.wishes.last() {
                Some(wish) => {
                    let is_answered = wish.send(&daemon).await;
                    if is_answered {
                        self.wishes.pop();
                    }
                    is_answered
                }
                None => {
                    let path = "/v1/views/transfer-overview/totals";
                    daemon.try_send(Method::GET, path, &[], "").await.is_some()
                }
            };
            if !is_answered {
                return self;
            }
            answers.add_permits(1);
        }
        self
    }
}

#[test]
fn kill_9_amid_transfers_makes_and_loses_no_money() {
    // Guards B7: B6 with the daemon killed 20 times at random moments. Run it again as it was with SEED.
    let seed = std::env::var_os("SEED").map_or_else(
        || RandomState::new().build_hasher().finish(),
        |seed| seed.to_str().unwrap().parse().unwrap(),
    );
    println!("SEED={seed}");
    run(async {
        let mut dice = Dice::new(seed);
        let place = Place::local();
        let mut daemon = Arc::new(place.start_with_bank().await);
        for account in 0..ACCOUNTS {
            let open = format!(r#"{{"owner":"Ada","initial_cents":{INITIAL_CENTS}}}"#);
            daemon.account(&format!("a{account}"), "open-account", &open).await.ok();
        }
        let mut clients = clients(&mut dice);
        for _ in 0..KILLS {
            clients = until_killed(&daemon, clients, &mut dice).await;
            drop(daemon);
            daemon = Arc::new(place.start());
        }
        let totals = totals(&daemon).await;
        let ended_count: i64 =
            ["completed", "failed"].iter().filter_map(|it| totals.get(*it)).sum();
        println!("{ended_count} transfers had ended at the last kill");
        assert!(ended_count < i64::try_from(TRANSFERS).unwrap(), "the kills came too late");
        for wish in clients.iter().flat_map(|client| &client.wishes) {
            assert!(wish.send(&daemon).await);
        }
        let sum_cents = i64::try_from(ACCOUNTS * INITIAL_CENTS).unwrap();
        let count = usize::try_from(TRANSFERS).unwrap();
        the_bank_adds_up(&daemon, count, sum_cents).await;
    });
}

/// All clients with what each has to ask for.
fn clients(dice: &mut Dice) -> Vec<Client> {
    let mut clients: Vec<_> = (0..CLIENTS).map(|_| Client { wishes: Vec::new() }).collect();
    for number in 0..TRANSFERS {
        let from = dice.below(ACCOUNTS);
        let to = (from + 1 + dice.below(ACCOUNTS - 1)) % ACCOUNTS;
        let wish = Wish { number, from, to, cents: 1 + dice.below(50) };
        let index = usize::try_from(number % CLIENTS).unwrap();
        clients[index].wishes.push(wish);
    }
    clients
}

/// Lets the clients work, kills the daemon at a random moment, and waits until they have noticed.
async fn until_killed(daemon: &Arc<Daemon>, clients: Vec<Client>, dice: &mut Dice) -> Vec<Client> {
    let (answers, over) = (Arc::new(Semaphore::new(0)), Arc::new(AtomicBool::new(false)));
    let tasks = clients.into_iter().map(|client| {
        let (daemon, answers, over) = (Arc::clone(daemon), Arc::clone(&answers), Arc::clone(&over));
        tokio::spawn(client.work(daemon, answers, over))
    });
    let tasks: Vec<_> = tasks.collect();
    // In the middle of the work: after so many answers, not after a time, and not always just after one.
    let enough = u32::try_from(10 + dice.below(1_000)).unwrap();
    answers.acquire_many(enough).await.unwrap().forget();
    for _ in 0..dice.below(2_000) {
        tokio::task::yield_now().await;
    }
    kill_process(daemon.pid(), Signal::KILL).unwrap();
    let clients = join_all(tasks).await;
    clients.into_iter().map(|client| client.unwrap()).collect()
}
