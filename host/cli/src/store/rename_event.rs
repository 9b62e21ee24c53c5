//! `annals store rename-event`: another type for all events of a type.

use annals_core::name::{Category, EventType};
use annals_daemon::maintenance::EventChange;

use super::rewrite::RewriteArgs;
use crate::failure::Failure;
use crate::output::Output;

/// Give all events of a type another type
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The daemon must be stopped. This is for a name that was wrong from the beginning; what changed its
meaning is a new event type or schema version.

Only the type changes: positions, revisions, times, ids and data stay. Views and snapshots are
made again. What was done is recorded in the stream `$maintenance/log`. The change happens as a
whole or not at all; an interrupted one is completed at the next start. Plugins must know the new
name before the daemon starts again. Backups and exports made before still hold the old name.

Examples:
  annals store rename-event --from acount-opened --to account-opened --reason 'a typing error'
  annals store rename-event --from opened --to account-opened --category account \\
    --reason 'named as the others are' --data annals-data --yes")]
pub(crate) struct RenameEventArgs {
    /// The type that the events have
    #[arg(long, value_name = "TYPE")]
    from: EventType,

    /// The type that they get
    #[arg(long, value_name = "TYPE")]
    to: EventType,

    /// Only in streams of this category
    #[arg(long, value_parser = Category::new)]
    category: Option<Category>,

    #[command(flatten)]
    rewrite: RewriteArgs,
}

/// Runs the command.
pub(crate) fn run(args: RenameEventArgs, output: &mut Output) -> Result<(), Failure> {
    let RenameEventArgs { from, to, category, rewrite } = args;
    let of = category.as_ref().map(|category| format!(" of category `{category}`"));
    let what = format!("from `{from}` to `{to}`{}", of.unwrap_or_default());
    let category = category.map(|category| category.as_str().to_owned());
    rewrite.run(EventChange::Rename { from, to, category }, ("rename", &what), output)
}
