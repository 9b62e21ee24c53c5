//! `annals store delete`: the end of a store on DynamoDB.

use annals_daemon::tables::{Deleted, StoreDescription, Tables, requests_of_delete};
use serde::Serialize;

use super::consent::ConsentArgs;
use super::counted;
use super::progress::Reporter;
use super::tables::{TableArgs, print};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Delete the tables of a store on DynamoDB, with all they hold
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Both tables go, with every event, view and plugin in them: no daemon may run on them any more. Of a
table with point-in-time recovery DynamoDB keeps a backup for 35 days, which the AWS console restores.

Protection against deletion is taken off first, if it is set. Tables that are not there are passed
over, and tables of somebody else are left alone.

Examples:
  annals store export --to export.ndjson
  annals store delete --driver dynamodb --prefix annals
  annals store delete --driver dynamodb --prefix annals --yes")]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    tables: TableArgs,

    #[command(flatten)]
    consent: ConsentArgs,

    /// Print the requests as JSON, and send none
    #[arg(long)]
    dry_run: bool,
}

/// What is said with `--output json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    prefix: &'a str,
    deleted: &'a [String],
}

/// Runs the command.
pub(crate) fn run(args: &DeleteArgs, output: &mut Output) -> Result<(), Failure> {
    let settings = args.tables.settings(output)?;
    if args.dry_run {
        return print(&requests_of_delete(&settings), output);
    }
    let found = tasks::run_here(async { Ok(Tables::connect(&settings).await?.describe().await?) })?;
    let mut deleted = Deleted::default();
    if let Some(question) = question(&found) {
        args.consent.ask(&question, output)?;
        let mut reporter = Reporter::new(output);
        // The answer took its time, so the tables are looked at again.
        let done = tasks::run_here(async {
            let tables = Tables::connect(&settings).await?;
            let mut tell = |step: &str| reporter.tell(|| step.to_owned());
            Ok(tables.delete(&mut tell).await?)
        });
        drop(reporter);
        deleted = done?;
    }
    let (prefix, deleted) = (settings.prefix.as_str(), deleted.tables.as_slice());
    if output.is_json() {
        return output.json(&Summary { prefix, deleted });
    }
    if deleted.is_empty() {
        return output.line(format_args!("there are no tables of `{prefix}`"));
    }
    for table in deleted {
        output.line(format_args!("deleted the table `{table}`"))?;
    }
    Ok(())
}

/// What is to be consented to; `None`: there is nothing to delete.
fn question(found: &StoreDescription) -> Option<String> {
    let tables: Vec<_> = [&found.events, &found.state].into_iter().flatten().collect();
    let named = tables.iter().map(|table| {
        format!("`{}` (about {})", table.name, counted(table.items_count_about, "item"))
    });
    let named: Vec<_> = named.collect();
    if named.is_empty() {
        return None;
    }
    let store = found.store.map(|store| format!(" of the store {}", store.id));
    let what = if named.len() == 1 { "the table" } else { "the tables" };
    Some(format!(
        "delete {what} {}{} with all they hold, which cannot be taken back",
        named.join(" and "),
        store.unwrap_or_default()
    ))
}
