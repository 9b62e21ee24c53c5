//! `annals projection show`: a projection, what is built beside it, and what can be restored.

use super::status::{Comparison, Partition, Projection};
use crate::args::ServerArgs;
use crate::client::Call;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// Show a projection: how far it is, its rebuild, and what can be rolled back to
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals projection show account-balances
  annals projection show account-balances --output json")]
pub(crate) struct ShowArgs {
    /// The projection, e.g. `account-balances`
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(args: &ShowArgs, output: &mut Output) -> Result<(), Failure> {
    let answer = super::send(&args.server, Call::get(super::path(&args.name)))?;
    if output.is_json() {
        return output.line(answer.text());
    }
    print(&answer.json()?, output)
}

fn print(projection: &Projection, output: &mut Output) -> Result<(), Failure> {
    let Projection { name, version, digest, build, phase, events_count, .. } = projection;
    output.heading(format_args!("{name} {version}"))?;
    rows(
        output,
        &[
            ("content", digest.clone()),
            ("view", format!("build {build}")),
            ("phase", phase.clone()),
            ("events", text::thousands(*events_count)),
        ],
    )?;
    partitions(&projection.partitions, output)?;
    if let Some(rebuild) = &projection.rebuild {
        output.heading("\nrebuild")?;
        let rate = rebuild.events_per_second.map(|rate| format!(" ({}/s)", text::thousands(rate)));
        let attempts = rebuild.attempts.map(|count| format!(", {count} failures in a row"));
        rows(
            output,
            &[
                ("phase", format!("{}{}", rebuild.phase, attempts.unwrap_or_default())),
                ("version", rebuild.version.clone()),
                ("content", rebuild.digest.clone()),
                ("view", format!("build {}", rebuild.build)),
                ("started", rebuild.started_at.clone()),
                ("cuts over", rebuild.cuts_over.clone()),
                (
                    "events",
                    format!(
                        "{}{}",
                        text::thousands(rebuild.events_count),
                        rate.unwrap_or_default()
                    ),
                ),
            ],
        )?;
        partitions(&rebuild.partitions, output)?;
        compared(rebuild.comparison.as_ref(), output)?;
    }
    if let Some(previous) = &projection.previous {
        output.heading("\nprevious view")?;
        rows(
            output,
            &[
                ("version", previous.version.clone()),
                ("content", previous.digest.clone()),
                ("until", previous.until.clone()),
            ],
        )?;
        compared(previous.comparison.as_ref(), output)?;
        output.note(format_args!("\nRestore it with:\n  annals projection rollback {name}"));
    }
    Ok(())
}

fn rows(output: &mut Output, rows: &[(&str, String)]) -> Result<(), Failure> {
    let rows: Vec<_> =
        rows.iter().map(|(name, value)| vec![format!("  {name}"), value.clone()]).collect();
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}

fn partitions(partitions: &[Partition], output: &mut Output) -> Result<(), Failure> {
    let place = |position: Option<u64>| {
        position.map_or_else(|| "-".to_owned(), |position| position.to_string())
    };
    let row = |it: &Partition| {
        let (checkpoint, head) = (place(it.checkpoint), place(it.head));
        vec![format!("  partition {}", it.partition), format!("at {checkpoint} of {head}")]
    };
    let rows: Vec<_> = partitions.iter().map(row).collect();
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}

fn compared(comparison: Option<&Comparison>, output: &mut Output) -> Result<(), Failure> {
    comparison.map_or(Ok(()), |comparison| comparison.print(output))
}
