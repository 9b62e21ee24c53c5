//! What there is, for people; and whether it can be used, at start.

use super::settings::{is_recoverable, ttl_attribute};
use super::shape::{EVENTS, STATE, TableShape};
use super::store_item::{self, StoreItem, load_store_item};
use super::{TableError, table};
use crate::client::DynamoClient;

/// The tables and the store in them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreDescription {
    /// The table of events; `None`: there is none.
    pub events: Option<TableDescription>,
    /// The table of state; `None`: there is none.
    pub state: Option<TableDescription>,
    /// The store; `None`: there is none in the tables. Of any layout.
    pub store: Option<StoreItem>,
}

/// A table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TableDescription {
    /// Its name.
    pub name: String,
    /// Its status, as DynamoDB calls it: `ACTIVE` when it can be used.
    pub status: String,
    /// Why it is not one of ours, in words.
    pub fault: Option<String>,
    /// About how many items it holds: DynamoDB counts every six hours.
    pub items_count_about: u64,
    /// About how many bytes it holds: DynamoDB counts every six hours.
    pub bytes_count_about: u64,
    /// How it is paid for, as DynamoDB calls it: `PAY_PER_REQUEST` is on demand.
    pub billing: String,
    /// Whether it must be unprotected before it can be deleted.
    pub is_deletion_protected: bool,
    /// By which attribute items expire; empty: they do not. `None`: the service does not say.
    pub ttl_attribute: Option<String>,
    /// Whether it can be restored as of any second of the last days. `None`: the service does not
    /// say.
    pub is_recoverable: Option<bool>,
}

/// Describes the tables and the store.
///
/// # Errors
/// [`TableError::Unavailable`] or [`TableError::Damaged`]. What is missing or wrong is in the result.
pub async fn describe(client: &DynamoClient) -> Result<StoreDescription, TableError> {
    let events = describe_table(client, &EVENTS).await?;
    let state = describe_table(client, &STATE).await?;
    let is_readable = |table: &TableDescription| table.fault.is_none() && table.status == "ACTIVE";
    let store = match &events {
        Some(events) if is_readable(events) => store_item::read(client).await?,
        _ => None,
    };
    Ok(StoreDescription { events, state, store })
}

async fn describe_table(
    client: &DynamoClient,
    shape: &TableShape,
) -> Result<Option<TableDescription>, TableError> {
    let name = shape.name(&client.options().prefix);
    let Some(found) = table::ask(client, &name).await? else {
        return Ok(None);
    };
    let fault = match table::check_shape(&found, shape) {
        Err(TableError::OtherShape { difference, .. }) => Some(difference),
        _ => None,
    };
    let count = |number: Option<i64>| number.and_then(|it| u64::try_from(it).ok()).unwrap_or(0);
    Ok(Some(TableDescription {
        status: table::status(&found),
        fault,
        items_count_about: count(found.item_count()),
        bytes_count_about: count(found.table_size_bytes()),
        billing: table::billing(&found),
        is_deletion_protected: found.deletion_protection_enabled() == Some(true),
        ttl_attribute: ttl_attribute(client, &name).await?,
        is_recoverable: is_recoverable(client, &name).await?,
        name,
    }))
}

/// Checks, at start, that both tables are there, have the right keys and can be used, and gives the
/// store in them.
///
/// # Errors
/// Each variant of [`TableError`] but those about making and deleting.
pub async fn check(client: &DynamoClient) -> Result<StoreItem, TableError> {
    for shape in [EVENTS, STATE] {
        let name = shape.name(&client.options().prefix);
        let found = table::ask(client, &name).await?;
        let found = found.ok_or_else(|| TableError::missing(client, &name))?;
        table::check_shape(&found, &shape)?;
        let status = table::status(&found);
        // A table whose settings are being changed answers as always.
        if status != "ACTIVE" && status != "UPDATING" {
            return Err(TableError::NotActive { table: name, status });
        }
    }
    load_store_item(client).await
}
