//! `annals store describe`: the tables of a store on DynamoDB, and what is in them.

use annals_daemon::tables::{StoreDescription, TableDescription, Tables};
use serde::Serialize;

use super::counted;
use super::tables::TableArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;
use crate::text::bytes;

/// Describe the tables of a store on DynamoDB
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is changed, and no item is read but the one about the store. DynamoDB counts items and bytes
every six hours, so those figures are about right at best.

Exit codes: 0 a daemon can be run on the tables, 1 it cannot, 2 DynamoDB does not answer.

Examples:
  annals store describe --driver dynamodb --prefix annals
  annals store describe --driver dynamodb --output json | jq '.events.bytes_count_about'")]
pub(crate) struct DescribeArgs {
    #[command(flatten)]
    tables: TableArgs,
}

/// What is said with `--output json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    prefix: &'a str,
    can_be_served: bool,
    store: Option<String>,
    partitions_count: Option<u32>,
    layout_version: Option<u32>,
    events: Option<Table<'a>>,
    state: Option<Table<'a>>,
}

/// A table.
#[derive(Debug, Serialize)]
struct Table<'a> {
    name: &'a str,
    status: &'a str,
    fault: Option<&'a str>,
    items_count_about: u64,
    bytes_count_about: u64,
    billing: &'a str,
    is_deletion_protected: bool,
    /// Empty: items do not expire. None: nobody knows.
    ttl_attribute: Option<&'a str>,
    /// None: nobody knows.
    is_recoverable: Option<bool>,
}

/// Runs the command.
pub(crate) fn run(args: &DescribeArgs, output: &mut Output) -> Result<(), Failure> {
    let settings = args.tables.settings(output)?;
    let found = tasks::run_here(async { Ok(Tables::connect(&settings).await?.describe().await?) })?;
    let prefix = settings.prefix.as_str();
    let faults = faults(prefix, &found);
    if output.is_json() {
        output.json(&summary(prefix, &found, &faults))?;
    } else {
        say(&found, output)?;
    }
    if faults.is_empty() {
        return Ok(());
    }
    let failure = Failure::yours(faults.join("; "));
    let is_missing = found.events.is_none() || found.state.is_none() || found.store.is_none();
    let has_other =
        [&found.events, &found.state].into_iter().flatten().any(|table| table.fault.is_some());
    Err(match (is_missing, has_other) {
        (_, true) => failure.with_hint("choose another prefix with `--prefix`"),
        (true, false) => failure.with_hint(format!(
            "what is missing is made by `annals store create --driver dynamodb --prefix {prefix}`"
        )),
        (false, false) => failure,
    })
}

fn summary<'a>(prefix: &'a str, found: &'a StoreDescription, faults: &[String]) -> Summary<'a> {
    let table = |table: &'a Option<TableDescription>| {
        table.as_ref().map(|table| Table {
            name: &table.name,
            status: &table.status,
            fault: table.fault.as_deref(),
            items_count_about: table.items_count_about,
            bytes_count_about: table.bytes_count_about,
            billing: &table.billing,
            is_deletion_protected: table.is_deletion_protected,
            ttl_attribute: table.ttl_attribute.as_deref(),
            is_recoverable: table.is_recoverable,
        })
    };
    Summary {
        prefix,
        can_be_served: faults.is_empty(),
        store: found.store.map(|store| store.id.to_string()),
        partitions_count: found.store.map(|store| store.partitions_count.get()),
        layout_version: found.store.map(|store| store.layout_version),
        events: table(&found.events),
        state: table(&found.state),
    }
}

/// Why no daemon can be run on the tables.
fn faults(prefix: &str, found: &StoreDescription) -> Vec<String> {
    let mut faults = Vec::new();
    for (suffix, table) in [("events", &found.events), ("state", &found.state)] {
        match table {
            None => faults.push(format!("there is no table `{prefix}-{suffix}`")),
            Some(TableDescription { name, fault: Some(fault), .. }) => {
                faults.push(format!("`{name}` is not a table of Annals: {fault}"));
            }
            Some(TableDescription { name, status, .. }) => {
                if status != "ACTIVE" && status != "UPDATING" {
                    faults.push(format!("`{name}` cannot be used now, its status is {status}"));
                }
            }
        }
    }
    if faults.is_empty() && found.store.is_none() {
        faults.push("no store was begun in the tables".to_owned());
    }
    faults
}

fn say(found: &StoreDescription, output: &mut Output) -> Result<(), Failure> {
    if let Some(store) = &found.store {
        let partitions = counted(u64::from(store.partitions_count.get()), "partition");
        let layout = store.layout_version;
        output.line(format_args!("the store {} with {partitions}, layout {layout}", store.id))?;
    }
    for table in [&found.events, &found.state].into_iter().flatten() {
        let TableDescription { name, status, billing, .. } = table;
        let items = counted(table.items_count_about, "item");
        let size = bytes(table.bytes_count_about);
        let billing = match billing.as_str() {
            "PAY_PER_REQUEST" => "on demand",
            "PROVISIONED" => "provisioned capacity",
            other => other,
        };
        output.line(format_args!("`{name}`: {status}, about {items} with {size}, {billing}"))?;
        for line in settings(table) {
            output.line(format_args!("  {line}"))?;
        }
    }
    Ok(())
}

/// What is set on a table, in words.
fn settings(table: &TableDescription) -> [String; 3] {
    let ttl = match table.ttl_attribute.as_deref() {
        None => "this service does not say whether what expired is removed".to_owned(),
        Some("") => "what expired is not removed".to_owned(),
        Some(attribute) => format!("what expired is removed, by `{attribute}`"),
    };
    let recovery = match table.is_recoverable {
        None => "this service does not say whether point-in-time recovery is on",
        Some(true) => "point-in-time recovery is on",
        Some(false) => "point-in-time recovery is off",
    };
    let protection = if table.is_deletion_protected { "protected" } else { "not protected" };
    [ttl, recovery.to_owned(), format!("{protection} against deletion")]
}
