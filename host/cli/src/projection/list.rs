//! `annals projection list`: the projections of a running daemon, and how far they are.

use serde::Deserialize;

use super::status::{Projection, done_of_total};
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call};
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// List the projections of a running daemon, and how far they are
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns: name, version, what it does, events handled, how much of the feed, streams that wait behind an
event it could not handle, and what is beside the view that serves.

Examples:
  annals projection list
  annals projection list --output json    With checkpoints and heads")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Projections {
    projections: Vec<Projection>,
}

/// Runs the command.
pub(super) fn run(args: &ListArgs, output: &mut Output) -> Result<(), Failure> {
    let answer = super::send(&args.server, Call::get(ApiPath::new("/v1/projections")))?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let Projections { projections } = answer.json()?;
    if projections.is_empty() {
        output.note("no projection is installed; install one with `annals plugin install`");
    }
    let rows: Vec<_> = projections.into_iter().map(row).collect();
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}

fn row(projection: Projection) -> Vec<String> {
    let beside = match (&projection.rebuild, &projection.previous) {
        (Some(rebuild), _) => format!("rebuild: {}", rebuild.phase),
        (None, Some(previous)) => format!("rollback until {}", previous.until),
        (None, None) => String::new(),
    };
    let parked = match projection.parked_count {
        0 => String::new(),
        streams_count => format!("{} parked", text::count(streams_count, "stream")),
    };
    let (done, total) = done_of_total(&projection.partitions);
    let percent = done.saturating_mul(100).checked_div(total).unwrap_or(100);
    let events = text::count(projection.events_count, "event");
    let Projection { name, version, phase, .. } = projection;
    vec![name, version, phase, events, format!("{percent} %"), parked, beside]
}
