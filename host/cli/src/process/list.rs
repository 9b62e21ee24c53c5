//! `annals process list`: process managers, or the instances of one.

use serde::Deserialize;

use super::status::{Process, Summary, cut};
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{tasks, text};

/// List process managers, or the instances of one
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns of process managers: name, version, what it does, events handled, and how many instances run,
have a command on the way, are parked and are stuck.
Columns of instances: id, what it does, when that began, what it waits for, and its state in short.

Instances that ended are kept for a while: `processes.ended_kept_for` and `processes.ended_kept_max`.

Examples:
  annals process list
  annals process list transfer
  annals process list transfer --state parked
  annals process list transfer --state stuck --output json")]
pub(crate) struct ListArgs {
    /// The process manager whose instances to list, e.g. `transfer`
    name: Option<String>,

    /// Only instances that are so
    #[arg(long, value_enum, default_value_t = WhichInstances::All, requires = "name")]
    state: WhichInstances,

    /// Most instances to list
    #[arg(long, value_name = "COUNT", default_value_t = 100, requires = "name")]
    limit: usize,

    #[command(flatten)]
    server: ServerArgs,
}

/// Which instances to list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum WhichInstances {
    /// All that are kept
    All,
    /// Those that have not ended
    Running,
    /// Those that have ended
    Ended,
    /// Those that cannot handle what came
    Parked,
    /// Those that do not get on
    Stuck,
}

impl WhichInstances {
    const fn as_str(self) -> &'static str {
        match self {
            Self::All => "all",
            Self::Running => "running",
            Self::Ended => "ended",
            Self::Parked => "parked",
            Self::Stuck => "stuck",
        }
    }
}

#[derive(Debug, Deserialize)]
struct Processes {
    processes: Vec<Process>,
}

/// Runs the command.
pub(super) fn run(args: &ListArgs, output: &mut Output) -> Result<(), Failure> {
    match &args.name {
        Some(name) => instances(args, name, output),
        None => processes(args, output),
    }
}

fn processes(args: &ListArgs, output: &mut Output) -> Result<(), Failure> {
    let answer = super::send(&args.server, Call::get(ApiPath::new("/v1/processes")))?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let Processes { processes } = answer.json()?;
    if processes.is_empty() {
        output.note("no process manager is installed; install one with `annals plugin install`");
        return Ok(());
    }
    let rows: Vec<_> = processes.iter().map(row).collect();
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))?;
    let first = processes.iter().find(|it| it.parked_count > 0).or_else(|| processes.first());
    if let Some(Process { name, parked_count, .. }) = first {
        let state = if *parked_count > 0 { " --state parked" } else { "" };
        output.note(format_args!("\nSee its instances:\n  annals process list {name}{state}"));
    }
    Ok(())
}

fn row(process: &Process) -> Vec<String> {
    let some = |count: u64, what: &str| match count {
        0 => String::new(),
        count => format!("{} {what}", text::thousands(count)),
    };
    let streams = match process.parked_streams_count {
        0 => String::new(),
        streams_count => format!("{} parked", text::count(streams_count, "stream")),
    };
    vec![
        process.name.clone(),
        process.version.clone(),
        process.phase.clone(),
        text::count(process.events_count, "event"),
        format!("{} running", text::thousands(process.running_count)),
        format!("{} sending", text::thousands(process.sending_count)),
        some(process.parked_count, "parked"),
        some(process.stuck_count, "stuck"),
        streams,
    ]
}

/// How much of a state a list shows, in characters.
const STATE_CHARS: usize = 60;

fn instances(args: &ListArgs, name: &str, output: &mut Output) -> Result<(), Failure> {
    let which = args.state.as_str();
    let (found, has_more, process) = tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        let process: Process = client.send(Call::get(super::path(name))).await?.json()?;
        let (found, has_more) = super::instances(&mut client, (name, which), args.limit).await?;
        Ok::<_, Failure>((found, has_more, process))
    })?;
    if output.is_json() {
        return found.iter().try_for_each(|instance| output.line(instance));
    }
    if process.parked_streams_count > 0 {
        output.note(format_args!(
            "nobody can tell whom an event of {} concerns, and its later ones wait; see \
             `annals process show {name}`\n",
            text::count(process.parked_streams_count, "stream")
        ));
    }
    if found.is_empty() {
        let what = if which == "all" { "kept" } else { which };
        return output.line(format_args!("no instance of `{name}` is {what}"));
    }
    let mut rows = Vec::with_capacity(found.len());
    for instance in &found {
        let it: Summary = super::parse(instance)?;
        let since = it.parked.as_ref().map_or(&it.changed_at, |parked| &parked.parked_at).clone();
        let state = it.state.as_ref().map(ToString::to_string).unwrap_or_default();
        let (status, waits_for) = (it.status(), it.waits_for());
        rows.push(vec![it.id, status, since, waits_for, cut(&state, STATE_CHARS)]);
    }
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))?;
    if has_more {
        output.note(format_args!("\nThere may be more; list them with `--limit`."));
    }
    output.note(format_args!("\nSee one with its history:\n  annals process show {name} INSTANCE"));
    Ok(())
}
