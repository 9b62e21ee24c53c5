//! What `rename-event` and `replace-event` share: look, ask, change, say.

use std::path::Path;

use annals_daemon::maintenance::{EventChange, Rewrite, Rewritten};
use serde::Serialize;

use super::consent::ConsentArgs;
use super::progress::{Reporter, of_files};
use super::{FolderArgs, counted, failed};
use crate::failure::Failure;
use crate::output::Output;

/// Where, why and with whose consent something recorded is changed.
#[derive(Debug, clap::Args)]
pub(super) struct RewriteArgs {
    /// Why the change is made; it is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,

    #[command(flatten)]
    folder: FolderArgs,

    #[command(flatten)]
    consent: ConsentArgs,
}

/// What is said with `--output json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    data: &'a Path,
    events_count: u64,
    segments_count: usize,
    first_position: u64,
}

impl RewriteArgs {
    /// Makes a change. `what` says it in words: `rename` them `from a to b`.
    pub(super) fn run(
        self,
        change: EventChange,
        (verb, what): (&str, &str),
        output: &mut Output,
    ) -> Result<(), Failure> {
        let folder = self.folder.settings(output)?.data;
        let rewrite = Rewrite::new(&folder, change, self.reason);
        let mut reporter = Reporter::new(output);
        let planned = rewrite.plan(&mut |progress| reporter.tell(|| of_files("read", progress)));
        drop(reporter);
        let planned = planned.map_err(|error| failed(&error))?;
        let foreseen = said(&planned.foreseen());
        let question = format!(
            "{verb} {foreseen} {what} in `{}`, which cannot be taken back",
            folder.display()
        );
        self.consent.ask(&question, output)?;
        let rewritten = planned.run().map_err(|error| failed(&error))?;
        let Rewritten { events_count, segments_count, first_position } = rewritten;
        if output.is_json() {
            let first_position = first_position.get();
            return output.json(&Summary {
                data: &folder,
                events_count,
                segments_count,
                first_position,
            });
        }
        output.line(format_args!("{verb}d {} {what}", said(&rewritten)))?;
        output.line(
            "the stream `$maintenance/log` tells of it; views and snapshots are made again; backups \
             and exports made before still hold what was there",
        )
    }
}

fn said(Rewritten { events_count, first_position, .. }: &Rewritten) -> String {
    let events = counted(*events_count, "event");
    let first = if *events_count == 1 { "at" } else { "the first at" };
    format!("{events} ({first} position {first_position})")
}
