//! `annals view`: reads rows of views and asks named questions.

use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use crate::args::ServerArgs;
use crate::client::{Answer, ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{input, tasks};

/// Read the views that projections keep
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ViewCommand {
    Get(GetArgs),
    List(ListArgs),
    Query(QueryArgs),
}

/// Read one row of a view
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals view get account-balances accounts a1
  annals view get account-balances accounts a1 --position 41   Wait until it has handled that event")]
pub(crate) struct GetArgs {
    /// The projection, e.g. `account-balances`
    projection: String,

    /// One of its tables, e.g. `accounts`
    table: String,

    /// The key of the row
    key: String,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    server: ServerArgs,
}

/// List rows of a view, in the order of their keys
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals view list account-balances accounts
  annals view list account-balances accounts --prefix a --output json")]
pub(crate) struct ListArgs {
    /// The projection, e.g. `account-balances`
    projection: String,

    /// One of its tables, e.g. `accounts`
    table: String,

    /// List only rows whose keys begin with this
    #[arg(long)]
    prefix: Option<String>,

    /// List at most so many rows
    #[arg(long, value_name = "COUNT")]
    limit: Option<u64>,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    server: ServerArgs,
}

/// Ask a projection a named question
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals view query account-balances richest-accounts '{\"limit\": 3}'")]
pub(crate) struct QueryArgs {
    /// The projection, e.g. `account-balances`
    projection: String,

    /// The question, e.g. `richest-accounts`
    query: String,

    /// Its parameters: JSON, `@FILE`, or `-` for standard input
    #[arg(value_name = "JSON", default_value = "{}")]
    parameters: String,

    #[command(flatten)]
    wait: WaitArgs,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Clone, Copy, clap::Args)]
struct WaitArgs {
    /// Wait until the view has reached this position, which commands print
    #[arg(long, value_name = "POSITION")]
    position: Option<u64>,

    /// The partition of the position, which commands print; needed when the store has several
    #[arg(long, value_name = "PARTITION", requires = "position")]
    partition: Option<u32>,

    /// Wait for it at most so many milliseconds
    #[arg(long, value_name = "MS", requires = "position")]
    wait_ms: Option<u64>,
}

impl WaitArgs {
    fn add_to(self, path: ApiPath) -> ApiPath {
        let path = path.query("position", self.position).query("partition", self.partition);
        path.query("wait_ms", self.wait_ms)
    }
}

/// A row; what is not text is in base64.
#[derive(Debug, Deserialize)]
struct Row {
    key: Option<String>,
    key_base64: Option<String>,
    value: Option<Box<RawValue>>,
    value_base64: Option<String>,
}

impl Row {
    fn into_texts(self) -> (String, String) {
        let value = self.value.map(|value| value.get().to_owned());
        let key = self.key.or(self.key_base64).unwrap_or_default();
        (key, value.or(self.value_base64).unwrap_or_default())
    }
}

#[derive(Debug, Deserialize)]
struct Page {
    rows: Vec<Box<RawValue>>,
    next_page: Option<String>,
}

/// Runs the command.
pub(crate) fn run(command: ViewCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        ViewCommand::Get(args) => get(&args, output),
        ViewCommand::List(args) => list(&args, output),
        ViewCommand::Query(args) => query(&args, output),
    }
}

fn get(args: &GetArgs, output: &mut Output) -> Result<(), Failure> {
    let path = ApiPath::new("/v1/views").join(&args.projection).join(&args.table).join(&args.key);
    let answer = ask(&args.server, Call::get(args.wait.add_to(path)))?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let row: Row = answer.json()?;
    pretty(&row.into_texts().1, output)
}

fn list(args: &ListArgs, output: &mut Output) -> Result<(), Failure> {
    let path = ApiPath::new("/v1/views").join(&args.projection).join(&args.table);
    let path = args.wait.add_to(path).query("prefix", args.prefix.as_ref());
    let mut left = args.limit.unwrap_or(u64::MAX);
    tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        let mut next_page = None;
        loop {
            let path = path.clone().query("page", next_page.as_ref());
            let path = path.query("limit", (left < PAGE_ROWS).then_some(left));
            let page: Page = client.send(Call::get(path)).await?.json()?;
            for row in page.rows {
                left = left.saturating_sub(1);
                print_row(&row, output)?;
            }
            next_page = page.next_page;
            if next_page.is_none() || left == 0 {
                return Ok(());
            }
        }
    })
}

/// Rows of one page when nothing is said.
const PAGE_ROWS: u64 = 100;

fn print_row(row: &RawValue, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.line(row);
    }
    let row: Row = serde_json::from_str(row.get())
        .map_err(|error| Failure::ours(format!("a row does not fit: {error}")))?;
    let (key, value) = row.into_texts();
    output.line(format_args!("{key}  {value}"))
}

fn query(args: &QueryArgs, output: &mut Output) -> Result<(), Failure> {
    let parameters = input::json(&args.parameters)?;
    let path = ApiPath::new("/v1/views").join(&args.projection).join("queries").join(&args.query);
    let path = args.wait.add_to(path);
    let answer = ask(&args.server, Call::post(path, parameters.get().to_owned()))?;
    if output.is_json() {
        return output.line(answer.text());
    }
    pretty(&answer.text(), output)
}

fn ask(server: &ServerArgs, call: Call) -> Result<Answer, Failure> {
    tasks::run_here(async { Client::connect(server).await?.send(call).await })
}

fn pretty(json: &str, output: &mut Output) -> Result<(), Failure> {
    match serde_json::from_str::<Value>(json) {
        Ok(value) => output.line(format_args!("{value:#}")),
        Err(_) => output.line(json),
    }
}
