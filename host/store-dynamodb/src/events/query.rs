//! Reading items: one, many by key, and those of a partition key in order. Always consistent.

use annals_core::error::DriverError;
use annals_core::port::event_store::{Direction, ReadError};
use annals_core::stream::StreamId;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use hashbrown::HashMap;

use super::fields::{Item, text};
use super::key::{self, Place};
use crate::client::{DynamoClient, Failed};

/// Most keys of one BatchGetItem.
const BATCH_KEYS_MAX: usize = 100;

/// Which items of a partition key, in which order.
#[derive(Debug, Clone)]
pub(super) struct Range {
    pub(super) pk: String,
    /// First sort key in the direction of reading (inclusive): the smallest when forwards, the largest
    /// when backwards.
    pub(super) from: String,
    pub(super) direction: Direction,
    /// Most items to read. A page may end earlier.
    pub(super) limit: i32,
}

/// Some items, and whether there may be more.
#[derive(Debug, Default)]
pub(super) struct Page {
    pub(super) items: Vec<Item>,
    pub(super) has_more: bool,
}

/// One page of a Query: up to `limit` items and up to 1 MB.
pub(super) async fn page(client: &DynamoClient, range: &Range) -> Result<Page, ReadError> {
    let condition = match range.direction {
        Direction::Forwards => "pk = :pk AND sk >= :sk",
        Direction::Backwards => "pk = :pk AND sk <= :sk",
    };
    let request = client
        .sdk()
        .query()
        .table_name(client.events_table())
        .key_condition_expression(condition)
        .expression_attribute_values(":pk", text(&range.pk))
        .expression_attribute_values(":sk", text(&range.from))
        .scan_index_forward(range.direction == Direction::Forwards)
        .limit(range.limit.max(1))
        .consistent_read(true)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let answer = client.call("read items", move || request.clone().send()).await;
    let answer = answer.map_err(unavailable)?;
    client.meter().read(answer.consumed_capacity.as_slice());
    Ok(Page {
        has_more: answer.last_evaluated_key.is_some_and(|key| !key.is_empty()),
        items: answer.items.unwrap_or_default(),
    })
}

/// The last item at or before `range.from`; `None` when there is none.
pub(super) async fn last(
    client: &DynamoClient,
    pk: String,
    from: String,
) -> Result<Option<Item>, ReadError> {
    let range = Range { pk, from, direction: Direction::Backwards, limit: 1 };
    Ok(page(client, &range).await?.items.pop())
}

/// One item by its key.
pub(super) async fn get(
    client: &DynamoClient,
    pk: &str,
    sk: &str,
) -> Result<Option<Item>, ReadError> {
    let request = client
        .sdk()
        .get_item()
        .table_name(client.events_table())
        .key("pk", text(pk))
        .key("sk", text(sk))
        .consistent_read(true)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let answer = client.call("read an item", move || request.clone().send()).await;
    let answer = answer.map_err(unavailable)?;
    client.meter().read(answer.consumed_capacity.as_slice());
    Ok(answer.item)
}

/// Items by their keys, in any order; those that are not there are missing. No key is named twice.
pub(super) async fn get_all(
    client: &DynamoClient,
    keys: &[(String, String)],
) -> Result<HashMap<(String, String), Item>, ReadError> {
    let mut found = HashMap::with_capacity(keys.len());
    for chunk in keys.chunks(BATCH_KEYS_MAX) {
        get_chunk(client, chunk, &mut found).await?;
    }
    Ok(found)
}

async fn get_chunk(
    client: &DynamoClient,
    keys: &[(String, String)],
    found: &mut HashMap<(String, String), Item>,
) -> Result<(), ReadError> {
    let mut keys: Vec<Item> = keys.iter().map(|(pk, sk)| key(pk, sk)).collect();
    let mut backoff = client.backoff();
    while !keys.is_empty() {
        let wanted =
            KeysAndAttributes::builder().set_keys(Some(keys)).consistent_read(true).build();
        let wanted = wanted.map_err(|error| {
            ReadError::Unavailable(DriverError::with_source("a request cannot be made", error))
        })?;
        let request = client
            .sdk()
            .batch_get_item()
            .request_items(client.events_table(), wanted)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let answer = client.call("read items by key", move || request.clone().send()).await;
        let answer = answer.map_err(unavailable)?;
        client.meter().read(answer.consumed_capacity());
        for item in answer.responses.into_iter().flatten().flat_map(|(_, items)| items) {
            if let Some(key) = key_of(&item) {
                found.insert(key, item);
            }
        }
        let left = answer.unprocessed_keys.into_iter().flatten();
        keys = left.flat_map(|(_, left)| left.keys).collect();
        // Throttled in part: what is left is asked for again, not at once.
        if !keys.is_empty() && !client.wait(&mut backoff).await {
            let error = DriverError::new("DynamoDB left keys unread until the time was over");
            return Err(ReadError::Unavailable(error));
        }
    }
    Ok(())
}

fn key_of(item: &Item) -> Option<(String, String)> {
    let part = |name| item.get(name).and_then(|value: &AttributeValue| value.as_s().ok()).cloned();
    Some((part("pk")?, part("sk")?))
}

/// A key as the attributes it consists of.
pub(super) fn key(pk: &str, sk: &str) -> Item {
    Item::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

/// The key of an item of a stream.
pub(super) fn item_key(namespace: &str, stream: &StreamId, place: Place) -> Item {
    key(&key::stream(namespace, stream), &place.sort_key())
}

/// The failure of a read.
fn unavailable<E: std::error::Error + Send + Sync + 'static>(failed: Failed<E>) -> ReadError {
    ReadError::Unavailable(failed.into_driver_error())
}
