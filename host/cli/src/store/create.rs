//! `annals store create`: the tables of a store on DynamoDB.

use std::num::NonZeroU32;

use annals_daemon::tables::{Created, Tables, requests_of_create};
use serde::Serialize;

use super::progress::Reporter;
use super::tables::{TableArgs, print};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Make the tables of a store on DynamoDB
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Two tables are made, `PREFIX-events` and `PREFIX-state`: on demand, so that they cost nothing while
nothing happens, with removal of what expired, point-in-time recovery and protection against
deletion. Then the store is begun in them.

It can be run again: what is there stays as it is, and what an interruption left is completed. Tables
that Terraform made (docs/deploy/terraform) only get the store.

Credentials and region come from where the AWS tools find them: AWS_PROFILE, AWS_REGION, `~/.aws`,
or the role of the machine. ANNALS_DYNAMODB_ENDPOINT names another address, e.g. of an emulator.

Partitions are written side by side, and every host reads all of them: 16 are right for most. Their
number cannot be changed later.

Examples:
  annals store create --driver dynamodb --prefix annals
  annals store create --driver dynamodb --prefix annals --dry-run
  ANNALS_STORE_DRIVER=dynamodb ANNALS_DYNAMODB_PREFIX=annals annals serve")]
pub(crate) struct CreateArgs {
    #[command(flatten)]
    tables: TableArgs,

    /// Spread events over this many partitions, 1 to 1024; 16 for a new store when absent
    #[arg(long, value_name = "COUNT")]
    partitions: Option<NonZeroU32>,

    /// Print the requests as JSON, and send none
    #[arg(long)]
    dry_run: bool,
}

/// What is said with `--output json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    prefix: &'a str,
    store: String,
    partitions_count: u32,
    made: &'a [String],
    warnings: &'a [String],
}

/// Runs the command.
pub(crate) fn run(args: &CreateArgs, output: &mut Output) -> Result<(), Failure> {
    let settings = args.tables.settings(output)?;
    if args.dry_run {
        let requests = requests_of_create(&settings, args.partitions)?;
        return print(&requests, output);
    }
    let mut reporter = Reporter::new(output);
    let created = tasks::run_here(async {
        let tables = Tables::connect(&settings).await?;
        let mut tell = |step: &str| reporter.tell(|| step.to_owned());
        Ok(tables.create(args.partitions, &mut tell).await?)
    });
    drop(reporter);
    let Created { store, made, warnings } = created?;
    warnings.iter().for_each(|warning| output.warning(warning));
    let (prefix, partitions_count) = (settings.prefix.as_str(), store.partitions_count.get());
    let store = store.id.to_string();
    if output.is_json() {
        return output.json(&Summary {
            prefix,
            store,
            partitions_count,
            made: &made,
            warnings: &warnings,
        });
    }
    if made.is_empty() {
        output.line(format_args!("the tables of `{prefix}` were there already"))?;
    }
    for table in &made {
        output.line(format_args!("made the table `{table}`"))?;
    }
    let partitions = super::counted(u64::from(partitions_count), "partition");
    output.line(format_args!("they hold the store {store} with {partitions}"))?;
    output.note(format_args!("serve it: {}", args.tables.serve_command(&settings)));
    Ok(())
}
