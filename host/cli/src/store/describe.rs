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

/// Where DynamoDB was asked.
#[derive(Debug)]
struct Place {
    region: String,
    /// None: that of AWS in the region.
    endpoint: Option<String>,
}

/// What is said with `--output json`. What there is not is left away.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    prefix: &'a str,
    region: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    endpoint: Option<&'a str>,
    can_be_served: bool,
    #[serde(flatten)]
    store: Option<Store>,
    events: Table<'a>,
    state: Table<'a>,
}

/// The store in the tables.
#[derive(Debug, Serialize)]
struct Store {
    store: String,
    partitions_count: u32,
    layout_version: u32,
}

/// A table, which may be there.
#[derive(Debug, Serialize)]
struct Table<'a> {
    name: String,
    exists: bool,
    #[serde(flatten)]
    found: Option<Found<'a>>,
}

/// A table that is there.
#[derive(Debug, Serialize)]
struct Found<'a> {
    status: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    fault: Option<&'a str>,
    items_count_about: u64,
    bytes_count_about: u64,
    billing: &'a str,
    is_deletion_protected: bool,
    /// Empty: items do not expire. None: nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    ttl_attribute: Option<&'a str>,
    /// None: nobody knows.
    #[serde(skip_serializing_if = "Option::is_none")]
    is_recoverable: Option<bool>,
}

/// Runs the command.
pub(crate) fn run(args: &DescribeArgs, output: &mut Output) -> Result<(), Failure> {
    let settings = args.tables.settings(output)?;
    let (place, found) = tasks::run_here(async {
        let tables = Tables::connect(&settings).await?;
        let endpoint = tables.endpoint().map(str::to_owned);
        let place = Place { region: tables.region().to_owned(), endpoint };
        Ok((place, tables.describe().await?))
    })?;
    let prefix = settings.prefix.as_str();
    let faults = faults(prefix, &found);
    if output.is_json() {
        output.json(&summary(prefix, &place, &found, &faults))?;
    } else {
        say(&place, &found, output)?;
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
            "what is missing is made by `{}`",
            args.tables.create_command(&settings)
        )),
        (false, false) => failure,
    })
}

fn summary<'a>(
    prefix: &'a str,
    place: &'a Place,
    found: &'a StoreDescription,
    faults: &[String],
) -> Summary<'a> {
    let table = |suffix: &str, table: &'a Option<TableDescription>| Table {
        name: format!("{prefix}-{suffix}"),
        exists: table.is_some(),
        found: table.as_ref().map(|table| Found {
            status: &table.status,
            fault: table.fault.as_deref(),
            items_count_about: table.items_count_about,
            bytes_count_about: table.bytes_count_about,
            billing: &table.billing,
            is_deletion_protected: table.is_deletion_protected,
            ttl_attribute: table.ttl_attribute.as_deref(),
            is_recoverable: table.is_recoverable,
        }),
    };
    Summary {
        prefix,
        region: &place.region,
        endpoint: place.endpoint.as_deref(),
        can_be_served: faults.is_empty(),
        store: found.store.map(|store| Store {
            store: store.id.to_string(),
            partitions_count: store.partitions_count.get(),
            layout_version: store.layout_version,
        }),
        events: table("events", &found.events),
        state: table("state", &found.state),
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

fn say(place: &Place, found: &StoreDescription, output: &mut Output) -> Result<(), Failure> {
    match &place.endpoint {
        Some(endpoint) => output.line(format_args!("DynamoDB at {endpoint}"))?,
        None => output.line(format_args!("DynamoDB in region {}", place.region))?,
    }
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
