//! `annals bench transfers`: how fast money moves through the bank's process manager, from asking for a
//! transfer to its end.
//!
//! ```text
//!  in-flight senders ── start-transfer ─► engine ─► transfer-started ─► process manager
//!        ▲                                                               │ debit, mark, credit, complete
//!        └── permit ◄── follower of the feed ◄── transfer-completed ◄────┘
//! ```

mod report;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use annals_core::event::{Origin, RecordedEvent};
use annals_core::name::{CommandName, EventType, PluginName};
use annals_core::place::{ExpectedRevision, Partition, Position};
use annals_core::port::event_store::FeedFilter;
use annals_daemon::Assembly;
use annals_engine::Engine;
use annals_engine::command::{CommandRequest, Verdict};
use bytes::Bytes;
use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::time::{Instant, timeout};

use super::machine::{Machine, Usage};
use super::{config_in, folder_in};
use crate::demo::checkout;
use crate::failure::{Failure, Fault};
use crate::output::Output;
use crate::tasks;
use report::{Configuration, Report};

/// Measure how fast a process manager moves money between accounts
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It builds the bank from a checkout, opens accounts with 1 000 cents each, and asks for transfers of 1 to
50 cents between them. Latency is from asking for a transfer to its end, all of it durable: five commands
of three aggregates, and what the process manager keeps. At the end the accounts are added up. Use a
release build.

Examples:
  annals bench transfers
  annals bench transfers --count 20000 --in-flight 256")]
pub(crate) struct TransfersArgs {
    /// Ask for so many transfers
    #[arg(long, value_name = "COUNT", default_value = "2000", value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    count: u64,

    /// Keep so many transfers unfinished
    #[arg(long, value_name = "COUNT", default_value = "64", value_parser = clap::value_parser!(u32).range(1..=65_536))]
    in_flight: u32,

    /// Move money between so many accounts
    #[arg(long, value_name = "COUNT", default_value = "20", value_parser = clap::value_parser!(u64).range(2..=1_000_000))]
    accounts: u64,

    /// Keep the data in a new folder inside this one, which is removed at the end
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
}

/// What is on each account at first.
const INITIAL_CENTS: i64 = 1_000;

/// Longest wait for the end of any transfer.
const STALLED_MAX: Duration = Duration::from_mins(1);

/// Most events of one read of the feed.
const PAGE_EVENTS: usize = 1_000;

/// Runs the command.
pub(super) fn run(args: &TransfersArgs, output: &mut Output) -> Result<(), Failure> {
    let bank = checkout::build_bank(|name| {
        output.note(format_args!("building the bank's plugin `{name}` …"));
    })?;
    let folder = folder_in(args.data.as_deref(), output)?;
    let components = bank.into_iter().map(|plugin| plugin.component).collect();
    let report = tasks::run(measure(args, components, folder.path(), output))?;
    if output.is_json() { output.json(&report) } else { report.print(output) }
}

async fn measure(
    args: &TransfersArgs,
    components: Vec<Vec<u8>>,
    folder: &Path,
    output: &mut Output,
) -> Result<Report, Failure> {
    let config = config_in(folder);
    let assembly = Assembly::open(&config).await?;
    let engine = Arc::clone(assembly.engine());
    let measured = transfer(args, &engine, components, output).await;
    drop(engine);
    assembly.close(&config).await;
    measured
}

async fn transfer(
    args: &TransfersArgs,
    engine: &Engine,
    components: Vec<Vec<u8>>,
    output: &mut Output,
) -> Result<Report, Failure> {
    for component in components {
        let installed = engine.install(None, Bytes::from(component), None).await;
        installed.map_err(|error| Failure::of(Fault::Ours, &error))?;
    }
    output.note(format_args!("opening {} accounts …", args.accounts));
    for number in 0..args.accounts {
        let data = json!({ "owner": "Athena", "initial_cents": INITIAL_CENTS });
        send(engine, ("account", &format!("a{number}"), "open-account"), &data).await?;
    }
    output.note("moving money …");
    let (before, begin) = (Usage::now(), Instant::now());
    let done = Movement::new(engine).await?.run(args).await?;
    let (time, cost) = (begin.elapsed(), Usage::now().since(before));
    let mut sum_cents = 0;
    for number in 0..args.accounts {
        sum_cents += balance(engine, &format!("a{number}")).await?;
    }
    let expected = INITIAL_CENTS.saturating_mul(i64::try_from(args.accounts).unwrap_or(i64::MAX));
    if sum_cents != expected {
        let text = format!("the accounts add up to {sum_cents} cents and not to {expected}");
        return Err(Failure::ours(text));
    }
    Ok(Report {
        machine: Machine::this(),
        configuration: Configuration {
            transfers: args.count,
            in_flight: args.in_flight,
            accounts: args.accounts,
            is_release_build: !cfg!(debug_assertions),
        },
        done,
        time,
        cost,
    })
}

/// What became of the transfers.
#[derive(Debug)]
struct Done {
    completed_count: u64,
    failed_count: u64,
    /// From asking to the end, in microseconds.
    latency: Histogram<u64>,
}

/// Transfers under way.
struct Movement<'a> {
    engine: &'a Engine,
    filter: FeedFilter,
    read_up_to: Option<Position>,
    /// When each transfer that has not ended was asked for.
    asked: HashMap<String, Instant>,
    done: Done,
}

impl<'a> Movement<'a> {
    async fn new(engine: &'a Engine) -> Result<Self, Failure> {
        let ends = ["transfer-completed", "transfer-failed"].map(EventType::new);
        let ends = ends.into_iter().collect::<Result<_, _>>();
        let event_types = Some(ends.map_err(|error| Failure::of(Fault::Ours, &error))?);
        let head = engine.store().head(Partition::default()).await;
        let latency = Histogram::new(3).map_err(|error| Failure::of(Fault::Ours, &error))?;
        Ok(Self {
            engine,
            filter: FeedFilter { event_types, ..FeedFilter::default() },
            read_up_to: head.map_err(|error| Failure::of(Fault::Ours, &error))?,
            asked: HashMap::new(),
            done: Done { completed_count: 0, failed_count: 0, latency },
        })
    }

    /// Keeps as many transfers unfinished as wanted, until all have ended.
    async fn run(mut self, args: &TransfersArgs) -> Result<Done, Failure> {
        let in_flight_max = usize::try_from(args.in_flight).unwrap_or(usize::MAX);
        let mut next = 0;
        while next < args.count || !self.asked.is_empty() {
            let mut wishes = Vec::new();
            while next < args.count && self.asked.len() < in_flight_max {
                let wish = Wish::of(next, args.accounts);
                self.asked.insert(wish.id.clone(), Instant::now());
                wishes.push(wish);
                next += 1;
            }
            let asking = wishes.iter().map(|wish| wish.send(self.engine));
            for asked in futures_util::future::join_all(asking).await {
                asked?;
            }
            self.follow().await?;
        }
        Ok(self.done)
    }

    /// Waits for ends, and notes them.
    async fn follow(&mut self) -> Result<(), Failure> {
        let (store, partition) = (self.engine.store(), Partition::default());
        let read = |error| Failure::of(Fault::Ours, &error);
        loop {
            let after = self.read_up_to;
            let page = store.read_feed(partition, after, &self.filter, PAGE_EVENTS).await;
            let page = page.map_err(read)?;
            self.read_up_to = page.read_up_to.or(self.read_up_to);
            for event in &page.events {
                self.has_ended(event);
            }
            if !page.events.is_empty() {
                return Ok(());
            }
            let news = timeout(STALLED_MAX, store.wait_for_news(partition, self.read_up_to)).await;
            let stalled = || {
                let count = self.asked.len();
                Failure::ours(format!("{count} transfers do not end"))
            };
            news.map_err(|_| stalled())?.map_err(read)?;
        }
    }

    fn has_ended(&mut self, event: &RecordedEvent) {
        let Some(asked) = self.asked.remove(event.stream.id()) else { return };
        let us = u64::try_from(asked.elapsed().as_micros()).unwrap_or(u64::MAX);
        // It grows to whatever is recorded.
        self.done.latency += us;
        if event.event_type.as_str() == "transfer-completed" {
            self.done.completed_count += 1;
        } else {
            self.done.failed_count += 1;
        }
    }
}

/// A transfer to ask for.
struct Wish {
    id: String,
    data: Value,
}

impl Wish {
    /// The transfer of this number: between two accounts, spread over all of them.
    fn of(number: u64, accounts: u64) -> Self {
        let from = number % accounts;
        // From 1 to one less than there are accounts: never the same account.
        let distance = 1 + (number / accounts) % (accounts - 1);
        let to = (from + distance) % accounts;
        let (from, to) = (format!("a{from}"), format!("a{to}"));
        let data = json!({ "from": from, "to": to, "cents": 1 + number % 50 });
        Self { id: format!("t{number}"), data }
    }

    async fn send(&self, engine: &Engine) -> Result<(), Failure> {
        send(engine, ("money-transfer", &self.id, "start-transfer"), &self.data).await
    }
}

async fn send(
    engine: &Engine,
    (aggregate, id, command): (&str, &str, &str),
    data: &Value,
) -> Result<(), Failure> {
    let bad_name = |error| Failure::of(Fault::Ours, &error);
    let outcome = engine.execute(CommandRequest {
        aggregate: PluginName::new(aggregate).map_err(bad_name)?,
        id: id.to_owned(),
        command: CommandName::new(command).map_err(bad_name)?,
        data: data.to_string().into(),
        command_id: None,
        id_is_new: false,
        expected: ExpectedRevision::Any,
        origin: Origin::default(),
    });
    let outcome = outcome.await.map_err(|error| Failure::of(Fault::Ours, &error))?;
    match outcome.verdict {
        Verdict::Accepted(_) => Ok(()),
        Verdict::Rejected(rejection) => {
            Err(Failure::ours(format!("`{command}` was rejected: {}", rejection.code)))
        }
    }
}

async fn balance(engine: &Engine, id: &str) -> Result<i64, Failure> {
    let bad_name = |error| Failure::of(Fault::Ours, &error);
    let account = PluginName::new("account").map_err(bad_name)?;
    let state = engine.state(&account, id).await;
    let state = state.map_err(|error| Failure::of(Fault::Ours, &error))?;
    let state: Value = serde_json::from_slice(&state.data)
        .map_err(|error| Failure::ours(format!("the state of an account is not JSON: {error}")))?;
    let cents = state.get("balance_cents").and_then(Value::as_i64);
    cents.ok_or_else(|| Failure::ours("an account has no balance"))
}
