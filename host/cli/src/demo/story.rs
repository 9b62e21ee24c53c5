//! The story of the demo: what is sent to the daemon, and what it answers, told step by step.

use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::checkout::BankPlugin;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// What is asked, in order: whose account, which command, with what.
fn wishes() -> [(&'static str, &'static str, Value); 5] {
    [
        ("a1", "open-account", json!({ "owner": "Athena", "initial_cents": 10 })),
        ("a2", "open-account", json!({ "owner": "Hades", "initial_cents": 10 })),
        ("a1", "deposit-funds", json!({ "cents": 190 })),
        ("a1", "withdraw-funds", json!({ "cents": 100 })),
        ("a2", "withdraw-funds", json!({ "cents": 100 })),
    ]
}

/// The transfers, one after the other: its id, and what is asked.
fn transfers() -> [(&'static str, Value); 2] {
    [
        ("t1", json!({ "from": "a1", "to": "a2", "cents": 10 })),
        ("t2", json!({ "from": "a2", "to": "a1", "cents": 100 })),
    ]
}

/// How often it is looked whether a transfer has ended.
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// Longest wait for the end of a transfer: after half of it the process manager gives up itself.
const TRANSFER_WAIT_MAX: Duration = Duration::from_mins(1);

/// What the story comes to, for programs.
#[derive(Debug, Serialize)]
struct Story<'a> {
    server: &'a str,
    data: &'a Path,
    outcomes: Vec<Outcome>,
    streams: Vec<Stream>,
    balances: Vec<Row<Balance>>,
    transfers: Vec<Row<Transfer>>,
}

/// What became of a command: of an accepted one `position`, of a rejected one `rejection`.
#[derive(Debug, Serialize, Deserialize)]
struct Outcome {
    position: Option<u64>,
    rejection: Option<Rejection>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Rejection {
    code: String,
    message: String,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stream {
    stream: String,
    events: Vec<Event>,
    #[serde(default)]
    rejected: Vec<Rejected>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Event {
    revision: u64,
    position: u64,
    r#type: String,
    data: Box<RawValue>,
}

#[derive(Debug, Deserialize)]
struct Commands {
    commands: Vec<Rejected>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Rejected {
    command: String,
    data: Box<RawValue>,
    rejection: Option<Rejection>,
}

#[derive(Debug, Deserialize)]
struct Rows<T> {
    rows: Vec<Row<T>>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row<T> {
    key: String,
    value: T,
}

#[derive(Debug, Serialize, Deserialize)]
struct Transfer {
    from: String,
    to: String,
    cents: i64,
    status: String,
    reason: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Balance {
    owner: String,
    balance_cents: i64,
    is_open: bool,
}

/// Tells the story on the daemon at `server`.
pub(super) async fn tell(
    server: &str,
    data: &Path,
    bank: &[BankPlugin],
    output: &mut Output,
) -> Result<(), Failure> {
    let mut client = Client::connect_to(server).await?;
    for BankPlugin { name, component, .. } in bank {
        let path = ApiPath::new("/v1/plugins").join(name);
        client.send(Call::put_component(path, component.clone())).await?;
    }
    let mut outcomes = Vec::new();
    for (id, command, data) in wishes() {
        outcomes.push(ask(&mut client, ("account", id), command, &data).await?);
    }
    for (id, data) in transfers() {
        ask(&mut client, ("money-transfer", id), "start-transfer", &data).await?;
        ended(&mut client, id).await?;
    }
    let mut streams = Vec::new();
    for stream in ["account/a1", "account/a2", "money-transfer/t1", "money-transfer/t2"] {
        streams.push(read(&mut client, stream).await?);
    }
    let events = streams.iter().flat_map(|stream| &stream.events);
    let last = events.map(|event| event.position).max();
    let path = ApiPath::new("/v1/views/account-balances/accounts").query("position", last);
    let Rows { rows: balances } = client.send(Call::get(path)).await?.json()?;
    let path = ApiPath::new("/v1/views/transfer-overview/transfers").query("position", last);
    let Rows { rows: transfers } = client.send(Call::get(path)).await?.json()?;
    let story = Story { server, data, outcomes, streams, balances, transfers };
    if output.is_json() { output.json(&story) } else { print(&story, bank, output) }
}

/// Waits for the end of a transfer.
async fn ended(client: &mut Client, id: &str) -> Result<(), Failure> {
    let path = ApiPath::new("/v1/aggregates/money-transfer").join(id);
    let wait = async {
        loop {
            let shown: Value = client.send(Call::get(path.clone())).await?.json()?;
            let stage = shown.pointer("/state/stage").and_then(Value::as_str).unwrap_or_default();
            if ["completed", "failed"].iter().any(|end| stage.eq_ignore_ascii_case(end)) {
                return Ok(());
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(TRANSFER_WAIT_MAX, wait).await;
    waited
        .unwrap_or_else(|_| Err(Failure::ours(format!("transfer `{id}` of the demo does not end"))))
}

async fn ask(
    client: &mut Client,
    (aggregate, id): (&str, &str),
    command: &str,
    data: &Value,
) -> Result<Outcome, Failure> {
    let path = ApiPath::new("/v1/aggregates").join(aggregate).join(id).join(command);
    let (_, body) = client.exchange(Call::post(path, data.to_string())).await?;
    let outcome: Result<Outcome, _> = serde_json::from_slice(&body);
    let outcome = outcome.ok().filter(|it| it.position.is_some() || it.rejection.is_some());
    outcome.ok_or_else(|| {
        let body = String::from_utf8_lossy(&body).into_owned();
        Failure::ours(format!("the command `{command}` of the demo failed: {body}"))
    })
}

async fn read(client: &mut Client, stream: &str) -> Result<Stream, Failure> {
    let (category, id) = stream.split_once('/').unwrap_or_default();
    let path = ApiPath::new("/v1/streams").join(category).join(id);
    let mut stream: Stream = client.send(Call::get(path.clone())).await?.json()?;
    let Commands { commands } = client.send(Call::get(path.join("commands"))).await?.json()?;
    stream.rejected.extend(commands.into_iter().filter(|command| command.rejection.is_some()));
    Ok(stream)
}

fn print(story: &Story<'_>, bank: &[BankPlugin], output: &mut Output) -> Result<(), Failure> {
    let Story { server, data, .. } = story;
    output.line(format_args!("A daemon serves on {server} and keeps its data in"))?;
    output.line(format_args!("{}.\n", data.display()))?;
    print_plugins(bank, output)?;
    print_outcomes(&story.outcomes, output)?;
    print_transfers(&story.transfers, output)?;
    print_streams(&story.streams, output)?;
    print_balances(&story.balances, output)?;
    output.heading("Try it, from another terminal")?;
    for line in [
        format!("curl {server}/v1/aggregates/account/a1"),
        format!("curl '{server}/v1/aggregates/account/a1?revision=0'    # as it was then"),
        format!(
            "curl {server}/v1/aggregates/account/a2/deposit-funds \\\n    \
             -H 'content-type: application/json' -d '{{\"cents\": 500}}'"
        ),
        format!("curl {server}/v1/views/account-balances/accounts"),
        format!(
            "curl {server}/v1/processes/transfer/instances/t1    # what the process manager did"
        ),
        format!("curl -N -H 'accept: text/event-stream' {server}/v1/events"),
    ] {
        output.line(format_args!("  {line}"))?;
    }
    Ok(())
}

fn print_plugins(bank: &[BankPlugin], output: &mut Output) -> Result<(), Failure> {
    output.heading("1. Five plugins are installed, WebAssembly components built from Rust")?;
    let rows = bank.iter().map(|BankPlugin { name, does, component }| {
        let size = text::bytes(u64::try_from(component.len()).unwrap_or(u64::MAX));
        vec![(*name).to_owned(), size, (*does).to_owned()]
    });
    print_table(&rows.collect::<Vec<_>>(), output)
}

fn print_outcomes(outcomes: &[Outcome], output: &mut Output) -> Result<(), Failure> {
    output.heading("2. Commands are sent, and the rules decide")?;
    let rows = wishes().into_iter().zip(outcomes).map(|((id, command, data), outcome)| {
        let outcome = match &outcome.rejection {
            None => "accepted".to_owned(),
            Some(Rejection { code, message }) => format!("rejected, {code}: {message}"),
        };
        vec![id.to_owned(), command.to_owned(), data.to_string(), outcome]
    });
    print_table(&rows.collect::<Vec<_>>(), output)
}

fn print_transfers(transfers: &[Row<Transfer>], output: &mut Output) -> Result<(), Failure> {
    output
        .heading("3. Money is moved: the process manager tells both accounts, and the transfer")?;
    let rows = transfers.iter().map(|Row { key, value }| {
        let Transfer { from, to, cents, status, reason } = value;
        let reason = reason.as_ref().map(|reason| format!(", {reason}")).unwrap_or_default();
        let moved = format!("{cents} cents from {from} to {to}");
        vec![key.clone(), moved, format!("{status}{reason}")]
    });
    print_table(&rows.collect::<Vec<_>>(), output)
}

fn print_streams(streams: &[Stream], output: &mut Output) -> Result<(), Failure> {
    output.heading("4. What happened is in the log, as events; each account and each transfer has its own stream")?;
    let mut rows = Vec::new();
    for Stream { stream, events, rejected } in streams {
        for Event { revision, r#type, data, .. } in events {
            let place = format!("{stream} {revision}");
            rows.push(vec![place, r#type.clone(), data.get().to_owned()]);
        }
        for Rejected { command, data, .. } in rejected {
            let note = format!("{data}  (a rejected command: no event, but in the log as well)");
            rows.push(vec![format!("{stream} -"), command.clone(), note]);
        }
    }
    print_table(&rows, output)
}

fn print_balances(balances: &[Row<Balance>], output: &mut Output) -> Result<(), Failure> {
    output.heading("5. The view `account-balances` is made of the events")?;
    let rows = balances.iter().map(|Row { key, value }| {
        vec![key.clone(), value.owner.clone(), format!("{} cents", value.balance_cents)]
    });
    print_table(&rows.collect::<Vec<_>>(), output)
}

fn print_table(rows: &[Vec<String>], output: &mut Output) -> Result<(), Failure> {
    for line in text::table(rows) {
        output.line(format_args!("   {line}"))?;
    }
    output.line("")
}
