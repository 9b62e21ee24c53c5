//! `annals schedule list`, `show`, `cancel` and `retry`.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{ask, schedules};
use crate::args::ServerArgs;
use crate::client::{Answer, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{tasks, text};

/// List schedules
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns: id, stream, command, status, and when it is due, or ended.

Examples:
  annals schedule list
  annals schedule list --status parked
  annals schedule list --output json")]
pub(crate) struct ListArgs {
    /// Only those that are `waiting`, `firing`, `parked`, `done`, `rejected` or `cancelled`
    #[arg(long)]
    status: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Which schedule.
#[derive(Debug, clap::Args)]
struct Which {
    /// The schedule
    id: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Show a schedule, and what became of its commands
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals schedule show allowance
  annals schedule show allowance --output json    With its data, and places in the stream")]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    which: Which,
}

/// Cancel a schedule: nothing of it is sent any more
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It is safe to repeat. A command that is on its way already may still be decided, which is said; one that
was decided cannot be cancelled any more.

Examples:
  annals schedule cancel allowance")]
pub(crate) struct CancelArgs {
    #[command(flatten)]
    which: Which,
}

/// Have a parked command tried again, now
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A command is parked when it could not be decided again and again. `show` has the cause.

Examples:
  annals schedule list --status parked
  annals schedule retry allowance")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    which: Which,
}

#[derive(Debug, Deserialize)]
struct Page {
    schedules: Vec<Box<RawValue>>,
    next_page: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Schedule {
    id: String,
    aggregate: String,
    target: String,
    command: String,
    data: Option<Box<RawValue>>,
    cron: Option<String>,
    time_zone: Option<String>,
    status: String,
    is_cancelling: bool,
    due_at: Option<String>,
    next_try_at: Option<String>,
    attempts_count: u64,
    last_failure: Option<LastFailure>,
    outcomes_count: u64,
    outcomes: Vec<Outcome>,
    ended_at: Option<String>,
}

#[derive(Debug, Deserialize)]
struct LastFailure {
    failed_at: String,
    cause: String,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    due_at: String,
    outcome: String,
    revision: Option<u64>,
    rejection: Option<Rejection>,
}

#[derive(Debug, Deserialize)]
struct Rejection {
    code: String,
    message: String,
}

/// Lists them.
pub(super) fn list(args: &ListArgs, output: &mut Output) -> Result<(), Failure> {
    let path = schedules().query("status", args.status.as_ref());
    tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        let (mut next_page, mut is_empty) = (None, true);
        loop {
            let call = Call::get(path.clone().query("page", next_page.as_ref()));
            let page: Page = client.send(call).await?.json()?;
            is_empty &= page.schedules.is_empty();
            print_page(&page.schedules, output)?;
            next_page = page.next_page;
            if next_page.is_none() {
                break;
            }
        }
        if is_empty && !output.is_json() {
            output.note("there is no such schedule; make one with `annals schedule add`");
        }
        Ok(())
    })
}

fn print_page(schedules: &[Box<RawValue>], output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return schedules.iter().try_for_each(|schedule| output.line(schedule));
    }
    let mut rows = Vec::with_capacity(schedules.len());
    for schedule in schedules {
        let it: Schedule = serde_json::from_str(schedule.get())
            .map_err(|error| Failure::ours(format!("a schedule does not fit: {error}")))?;
        let stream = format!("{}/{}", it.aggregate, it.target);
        let time = it.due_at.or(it.ended_at).unwrap_or_default();
        rows.push(vec![it.id, stream, it.command, it.status, time]);
    }
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}

/// Shows one.
pub(super) fn show(args: &ShowArgs, output: &mut Output) -> Result<(), Failure> {
    let Which { id, server } = &args.which;
    print(&ask(server, Call::get(schedules().join(id)))?, output)
}

/// Cancels one.
pub(super) fn cancel(args: &CancelArgs, output: &mut Output) -> Result<(), Failure> {
    let Which { id, server } = &args.which;
    let answer = ask(server, Call::delete(schedules().join(id)))?;
    let is_on_its_way = answer.json::<Schedule>()?.is_cancelling;
    if is_on_its_way {
        output.note("a command of it was on its way: look again for what became of it");
    }
    print(&answer, output)
}

/// Has one tried again.
pub(super) fn retry(args: &RetryArgs, output: &mut Output) -> Result<(), Failure> {
    let Which { id, server } = &args.which;
    let call = Call::post(schedules().join(id).join("retry"), "{}");
    print(&ask(server, call)?, output)
}

/// Prints a schedule that was answered.
pub(super) fn print(answer: &Answer, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.line(answer.text());
    }
    let it: Schedule = answer.json()?;
    output.heading(&it.id)?;
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    let data = it.data.map_or_else(String::new, |data| format!(" {data}"));
    row("command", format!("{}/{} {}{data}", it.aggregate, it.target, it.command));
    if let (Some(cron), Some(zone)) = (it.cron, it.time_zone) {
        row("recurs", format!("{cron} ({zone})"));
    }
    row("status", it.status);
    let times = [("due", it.due_at), ("next try", it.next_try_at), ("ended", it.ended_at)];
    for (name, time) in times {
        if let Some(time) = time {
            row(name, time);
        }
    }
    if let Some(LastFailure { failed_at, cause }) = it.last_failure {
        row("failed", format!("{failed_at}  {cause} ({} attempts)", it.attempts_count));
    }
    let kept_count = u64::try_from(it.outcomes.len()).unwrap_or(u64::MAX);
    if it.outcomes_count > kept_count {
        row("outcomes", format!("{}, of which the newest are", it.outcomes_count));
    }
    for Outcome { due_at, outcome, revision, rejection } in it.outcomes {
        let said = rejection.map_or_else(
            || revision.map_or_else(String::new, |revision| format!(" at revision {revision}")),
            |Rejection { code, message }| format!(": {code}: {message}"),
        );
        row("outcome", format!("{due_at}  {outcome}{said}"));
    }
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}
