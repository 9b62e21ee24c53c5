//! `annals store repair`: a log cut off before its damage.

use std::path::{Path, PathBuf};

use annals_daemon::maintenance::{CutOff, PlannedRepair, Repaired};
use serde::Serialize;

use super::consent::ConsentArgs;
use super::progress::{Reporter, of_files};
use super::{FolderArgs, counted, failed};
use crate::failure::Failure;
use crate::output::Output;

/// Cut a damaged log off before the damage
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The daemon must be stopped. Look with `annals store verify` first: it names the number to pass. A
backup that holds more is the better choice.

Everything behind the first COMMITS commits is cut off: events that clients were told of are gone
from the store. Nothing is destroyed: what is cut off is moved to a folder `removed-…` in the data
folder. Views and snapshots are made again. A repair that was interrupted is done again by the
same command; until then no daemon opens the folder.

Examples:
  annals store verify --data annals-data
  annals store repair --to 12345 --data annals-data
  annals store repair --to 12345 --data annals-data --yes")]
pub(crate) struct RepairArgs {
    /// How many commits stay
    #[arg(long, value_name = "COMMITS")]
    to: u64,

    #[command(flatten)]
    folder: FolderArgs,

    #[command(flatten)]
    consent: ConsentArgs,
}

/// What is said with `--output json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    data: &'a Path,
    commits_count: u64,
    events_count: u64,
    cut_off_commits_count: u64,
    cut_off_events_count: u64,
    /// None: nothing was cut off.
    removed_to: Option<PathBuf>,
    removed: Vec<PathBuf>,
}

/// Runs the command.
pub(crate) fn run(args: &RepairArgs, output: &mut Output) -> Result<(), Failure> {
    let folder = args.folder.settings(output)?.data;
    let mut reporter = Reporter::new(output);
    let planned = PlannedRepair::plan(&folder, args.to, &mut |progress| {
        reporter.tell(|| of_files("read", progress));
    });
    drop(reporter);
    let planned = planned.map_err(|error| failed(&error))?;
    let stay = counted(args.to, "commit");
    if planned.is_needed() {
        let what = said(planned.cut_off());
        let folder = folder.display();
        let question = format!("cut {what} off the log of `{folder}` and keep {stay}");
        args.consent.ask(&question, output)?;
    }
    let repaired = planned.run().map_err(|error| failed(&error))?;
    let Repaired { commits_count, events_count, cut_off, removed_to, removed } = repaired;
    if output.is_json() {
        return output.json(&Summary {
            data: &folder,
            commits_count,
            events_count,
            cut_off_commits_count: cut_off.commits_count,
            cut_off_events_count: cut_off.events_count,
            removed_to,
            removed,
        });
    }
    let events = counted(events_count, "event");
    let Some(removed_to) = removed_to else {
        return output.line(format_args!("the log ends there: {stay} with {events}"));
    };
    output.line(format_args!("cut {} off, kept {stay} with {events}", said(cut_off)))?;
    output.line(format_args!("what was cut off is in `{}`", removed_to.display()))
}

/// What is cut off, in words.
fn said(CutOff { commits_count, events_count }: CutOff) -> String {
    if commits_count == 0 {
        return "damage behind the last commit".to_owned();
    }
    let (commits, events) = (counted(commits_count, "commit"), counted(events_count, "event"));
    format!("{commits} with {events}")
}
