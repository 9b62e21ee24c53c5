//! `annals schedule add`.

use serde::Serialize;
use serde_json::value::RawValue;

use super::{ask, schedules, show};
use crate::args::ServerArgs;
use crate::client::Call;
use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// Have a command sent later
#[derive(Debug, clap::Args)]
#[command(
    group = clap::ArgGroup::new("when").required(true),
    after_help = "\
It survives restarts, and runs once, whichever host sends it. One whose time was missed runs as soon as
there is a host; of a recurring one the times that were missed run once. With --id it is safe to repeat.

Examples:
  annals schedule add account a1 close-account --after 30d
  annals schedule add account a1 deposit-funds '{\"cents\": 100}' --at 2027-01-01T00:00:00+01:00
  annals schedule add account a1 deposit-funds '{\"cents\": 5}' --cron '0 9 * * MON-FRI' \\
      --time-zone Europe/Berlin --id allowance"
)]
pub(crate) struct AddArgs {
    /// The aggregate that decides, e.g. `account`
    aggregate: String,

    /// Which one, e.g. `a1`
    #[arg(id = "target", value_name = "ID")]
    target: String,

    /// What is wished for, e.g. `deposit-funds`
    command: String,

    /// Its data: JSON, `@FILE`, or `-` for standard input
    #[arg(value_name = "JSON", default_value = "{}")]
    data: String,

    /// Once, at this time, with its offset from UTC; at once when it is over
    #[arg(long, value_name = "TIME", group = "when")]
    at: Option<String>,

    /// Once, after this delay: `90s`, `1h30m`, `7d`
    #[arg(long, value_name = "DELAY", group = "when")]
    after: Option<String>,

    /// Again and again: minute, hour, day of month, month, day of week; or six fields with the second
    /// first
    #[arg(long, value_name = "EXPRESSION", group = "when")]
    cron: Option<String>,

    /// Read the expression in this time zone, by its IANA name; `UTC` unless said
    #[arg(long, value_name = "ZONE", requires = "cron")]
    time_zone: Option<String>,

    /// Give it this id, by which a repeat is recognised; made by the host unless said
    #[arg(long = "id", id = "schedule_id", value_name = "ID")]
    schedule_id: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// What the API takes.
#[derive(Debug, Serialize)]
struct Body<'a> {
    id: Option<&'a str>,
    aggregate: &'a str,
    target: &'a str,
    command: &'a str,
    data: &'a RawValue,
    at: Option<&'a str>,
    after: Option<&'a str>,
    cron: Option<&'a str>,
    time_zone: Option<&'a str>,
}

/// Runs the command.
pub(super) fn run(args: &AddArgs, output: &mut Output) -> Result<(), Failure> {
    let data = input::json(&args.data)?;
    let body = Body {
        id: args.schedule_id.as_deref(),
        aggregate: &args.aggregate,
        target: &args.target,
        command: &args.command,
        data: &data,
        at: args.at.as_deref(),
        after: args.after.as_deref(),
        cron: args.cron.as_deref(),
        time_zone: args.time_zone.as_deref(),
    };
    let body = serde_json::to_vec(&body)
        .map_err(|error| Failure::ours(format!("the request has no JSON: {error}")))?;
    show::print(&ask(&args.server, Call::post(schedules(), body))?, output)
}
