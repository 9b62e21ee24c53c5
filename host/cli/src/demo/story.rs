//! The story of the demo: what is sent to the daemon, and what it answers, told step by step.

use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::checkout::Bank;
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

/// What the story comes to, for programs.
#[derive(Debug, Serialize)]
struct Story<'a> {
    server: &'a str,
    data: &'a Path,
    outcomes: Vec<Outcome>,
    streams: Vec<Stream>,
    balances: Vec<Row>,
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
struct Rows {
    rows: Vec<Row>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Row {
    key: String,
    value: Balance,
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
    bank: &Bank,
    output: &mut Output,
) -> Result<(), Failure> {
    let mut client = Client::connect_to(server).await?;
    for (name, component) in
        [("account", &bank.account), ("account-balances", &bank.account_balances)]
    {
        let path = ApiPath::new("/v1/plugins").join(name);
        client.send(Call::put_component(path, component.clone())).await?;
    }
    let mut outcomes = Vec::new();
    for (id, command, data) in wishes() {
        outcomes.push(ask(&mut client, id, command, &data).await?);
    }
    let mut streams = Vec::new();
    for id in ["a1", "a2"] {
        streams.push(read(&mut client, id).await?);
    }
    let last = outcomes.iter().filter_map(|outcome| outcome.position).max();
    let path = ApiPath::new("/v1/views/account-balances/accounts").query("position", last);
    let Rows { rows: balances } = client.send(Call::get(path)).await?.json()?;
    let story = Story { server, data, outcomes, streams, balances };
    if output.is_json() { output.json(&story) } else { print(&story, bank, output) }
}

async fn ask(
    client: &mut Client,
    id: &str,
    command: &str,
    data: &Value,
) -> Result<Outcome, Failure> {
    let path = ApiPath::new("/v1/aggregates/account").join(id).join(command);
    let (_, body) = client.exchange(Call::post(path, data.to_string())).await?;
    let outcome: Result<Outcome, _> = serde_json::from_slice(&body);
    let outcome = outcome.ok().filter(|it| it.position.is_some() || it.rejection.is_some());
    outcome.ok_or_else(|| {
        let body = String::from_utf8_lossy(&body).into_owned();
        Failure::ours(format!("the command `{command}` of the demo failed: {body}"))
    })
}

async fn read(client: &mut Client, id: &str) -> Result<Stream, Failure> {
    let path = ApiPath::new("/v1/streams/account").join(id);
    let mut stream: Stream = client.send(Call::get(path.clone())).await?.json()?;
    let Commands { commands } = client.send(Call::get(path.join("commands"))).await?.json()?;
    stream.rejected.extend(commands.into_iter().filter(|command| command.rejection.is_some()));
    Ok(stream)
}

fn print(story: &Story<'_>, bank: &Bank, output: &mut Output) -> Result<(), Failure> {
    let Story { server, data, .. } = story;
    output.line(format_args!("A daemon serves on {server} and keeps its data in"))?;
    output.line(format_args!("{}.\n", data.display()))?;
    print_plugins(bank, output)?;
    print_outcomes(&story.outcomes, output)?;
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
        format!("curl -N -H 'accept: text/event-stream' {server}/v1/events"),
    ] {
        output.line(format_args!("  {line}"))?;
    }
    Ok(())
}

fn print_plugins(bank: &Bank, output: &mut Output) -> Result<(), Failure> {
    let size = |component: &[u8]| text::bytes(u64::try_from(component.len()).unwrap_or(u64::MAX));
    output.heading("1. Two plugins are installed, WebAssembly components built from Rust")?;
    let rows = [
        ["account", &size(&bank.account), "an aggregate: it keeps the rules of one account"],
        [
            "account-balances",
            &size(&bank.account_balances),
            "a projection: it keeps a table of all balances",
        ],
    ];
    print_table(rows.map(|row| row.map(str::to_owned).to_vec()).as_slice(), output)
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

fn print_streams(streams: &[Stream], output: &mut Output) -> Result<(), Failure> {
    output.heading("3. What happened is in the log, as events; each account has its own stream")?;
    let mut rows = Vec::new();
    for Stream { stream, events, rejected } in streams {
        for Event { revision, r#type, data } in events {
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

fn print_balances(balances: &[Row], output: &mut Output) -> Result<(), Failure> {
    output.heading("4. The view `account-balances` is made of the events")?;
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
