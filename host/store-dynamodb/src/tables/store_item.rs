//! The item about the store itself: which store the tables are, and what cannot be changed later.

use std::collections::HashMap;
use std::num::NonZeroU32;

use annals_core::error::DriverError;
use annals_core::id::StoreId;
use annals_core::time::Timestamp;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use uuid::Uuid;

use super::TableError;
use super::shape::{PARTITION_KEY, SORT_KEY};
use crate::client::{DynamoClient, Failed};

/// The layout of items that this version reads and writes.
pub const LAYOUT_VERSION: u32 = 1;

/// Most partitions of a store (inclusive): each is polled by every host.
pub const PARTITIONS_COUNT_MAX: u32 = 1_024;

/// Partitions of a store unless told otherwise.
pub const PARTITIONS_COUNT: NonZeroU32 = NonZeroU32::MIN.saturating_add(15);

/// Its partition key and sort key.
pub(crate) const STORE_KEY: (&str, &str) = ("m", "store");

/// What the store says about itself. Written once, when the tables are made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoreItem {
    /// The store.
    pub id: StoreId,
    /// Partitions of its feed; at most [`PARTITIONS_COUNT_MAX`].
    pub partitions_count: NonZeroU32,
    /// Layout of its items.
    pub layout_version: u32,
}

/// Reads what the store of the tables says about itself.
///
/// # Errors
/// [`TableError::Missing`], [`TableError::Unfinished`], [`TableError::OtherLayout`],
/// [`TableError::Damaged`] or [`TableError::Unavailable`].
pub async fn load_store_item(client: &DynamoClient) -> Result<StoreItem, TableError> {
    let item = read(client).await?.ok_or_else(|| TableError::Unfinished {
        table: client.events_table().to_owned(),
        create: super::create_command(client.options()),
    })?;
    if item.layout_version != LAYOUT_VERSION {
        return Err(TableError::OtherLayout {
            table: client.events_table().to_owned(),
            found: item.layout_version,
        });
    }
    Ok(item)
}

/// The item of any layout; `None` when there is none.
pub(super) async fn read(client: &DynamoClient) -> Result<Option<StoreItem>, TableError> {
    let request = client
        .sdk()
        .get_item()
        .table_name(client.events_table())
        .set_key(Some(key()))
        .consistent_read(true)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let sent = client.call("read the item of the store", move || {
        let request = request.clone();
        async move {
            match request.send().await {
                Ok(answer) => Ok(Some(answer)),
                Err(error) if is_not_found(&error) => Ok(None),
                Err(error) => Err(error),
            }
        }
    });
    let answer =
        sent.await.map_err(|failed| TableError::Unavailable(failed.into_driver_error()))?;
    let Some(answer) = answer else {
        return Err(TableError::missing(client, client.events_table()));
    };
    client.meter().read(answer.consumed_capacity.as_slice());
    answer.item.as_ref().map(|item| parse(client.events_table(), item)).transpose()
}

/// Writes the item, unless there is one already. The caller reads what is there.
pub(super) async fn write(
    client: &DynamoClient,
    item: StoreItem,
    now: Timestamp,
) -> Result<(), TableError> {
    let request = client
        .sdk()
        .put_item()
        .table_name(client.events_table())
        .set_item(Some(attributes(item, now)))
        .condition_expression("attribute_not_exists(pk)")
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let sent = client.call("write the item of the store", move || request.clone().send()).await;
    match sent {
        Ok(answer) => client.meter().write(answer.consumed_capacity.as_slice()),
        // Another creator was first, or this one, in a request whose answer was lost.
        Err(Failed::Refused { error, .. }) if error.is_conditional_check_failed_exception() => {}
        Err(failed) => return Err(TableError::Unavailable(failed.into_driver_error())),
    }
    Ok(())
}

/// The attributes of the item.
pub(super) fn attributes(item: StoreItem, now: Timestamp) -> HashMap<String, AttributeValue> {
    let number = |number: u32| AttributeValue::N(number.to_string());
    let mut attributes = key();
    attributes.extend([
        ("id".to_owned(), AttributeValue::B(Blob::new(item.id.uuid().into_bytes()))),
        ("v".to_owned(), number(item.layout_version)),
        ("p".to_owned(), number(item.partitions_count.get())),
        ("c".to_owned(), AttributeValue::S(now.to_string())),
    ]);
    attributes
}

fn key() -> HashMap<String, AttributeValue> {
    let (partition, sort) = STORE_KEY;
    HashMap::from([
        (PARTITION_KEY.to_owned(), AttributeValue::S(partition.to_owned())),
        (SORT_KEY.to_owned(), AttributeValue::S(sort.to_owned())),
    ])
}

fn parse(table: &str, item: &HashMap<String, AttributeValue>) -> Result<StoreItem, TableError> {
    let damaged = |what: &str| {
        let text = format!("the item `m`, `store` of table `{table}`: {what}");
        TableError::Damaged(DriverError::new(&text))
    };
    let number = |name: &str| item.get(name)?.as_n().ok()?.parse::<u32>().ok();
    let id = item.get("id").and_then(|id| Uuid::from_slice(id.as_b().ok()?.as_ref()).ok());
    let partitions = number("p").filter(|count| *count <= PARTITIONS_COUNT_MAX);
    Ok(StoreItem {
        id: id.map(StoreId::new).ok_or_else(|| damaged("`id` is not a UUID"))?,
        partitions_count: partitions
            .and_then(NonZeroU32::new)
            .ok_or_else(|| damaged("`p` is not a number from 1 to 1024"))?,
        layout_version: number("v").ok_or_else(|| damaged("`v` is not a number"))?,
    })
}

/// Whether the service says that there is no such table.
pub(super) fn is_not_found<E, R>(error: &SdkError<E, R>) -> bool
where
    E: aws_sdk_dynamodb::error::ProvideErrorMetadata,
{
    error.as_service_error().and_then(|error| error.code()) == Some("ResourceNotFoundException")
}
