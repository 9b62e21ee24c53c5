//! Reads: one item, many rows, a range. All are consistent, none is of one moment.

use std::collections::HashMap;

use annals_core::limits::SCAN_ROWS_MAX;
use annals_core::port::state_store::{KeyRange, Row, RowKey, StateError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnConsumedCapacity};
use bytes::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _};

use super::keys::{self, Item, SpaceKeys, VALUE, row_key, row_sort, row_value, sort_of};
use super::spaces::unbuilt;
use super::{damaged, unavailable};
use crate::client::{Backoff, DynamoClient, Repeat};
use crate::tables::PARTITION_KEY;

/// Most keys of one request: the service's limit.
const BATCH_KEYS_MAX: usize = 100;

/// Requests of one lookup that are sent at once.
const BATCHES_AT_ONCE: usize = 8;

/// An answer with this much data was full, and not short because of too much traffic. The service
/// answers at most 16 MB.
const FULL_ANSWER_BYTES: usize = 1 << 20;

/// The attributes `what` of an item.
pub(super) async fn item(
    client: &DynamoClient,
    key: Item,
    what: &str,
    backoff: Backoff,
) -> Result<Option<Item>, StateError> {
    let request = client
        .sdk()
        .get_item()
        .table_name(client.state_table())
        .set_key(Some(key))
        .projection_expression(what)
        .consistent_read(true)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let send = move || request.clone().send();
    let sent = client.call_within("read an item of state", send, backoff, Repeat::Always).await;
    let answer = sent.map_err(unavailable)?;
    client.meter().read(answer.consumed_capacity.as_slice());
    Ok(answer.item)
}

/// The value of a row.
pub(super) async fn row(
    client: &DynamoClient,
    keys: &SpaceKeys,
    row: &RowKey,
    backoff: Backoff,
) -> Result<Option<Bytes>, StateError> {
    let found = item(client, keys.row(row), VALUE, backoff).await?;
    found.map(|item| row_value(&item).ok_or_else(|| no_row(&row.table))).transpose()
}

/// The values of the rows that are there.
pub(super) async fn rows(
    client: &DynamoClient,
    keys: &SpaceKeys,
    rows: &[&RowKey],
    backoff: &Backoff,
) -> Result<HashMap<RowKey, Bytes>, StateError> {
    // By what the service calls them, each once: it refuses a key that is there twice.
    let mut by_name: HashMap<(String, Vec<u8>), RowKey> = HashMap::new();
    for row in rows {
        by_name.insert((keys.rows(&row.table), row_sort(&row.key)), (*row).clone());
    }
    let names: Vec<_> = by_name.keys().cloned().collect();
    let batches = names.chunks(BATCH_KEYS_MAX).map(|names| {
        let names = names.iter().map(|(partition, sort)| keys::item(partition, sort.as_slice()));
        batch(client, names.collect(), backoff.clone())
    });
    let batches: Vec<_> = batches.collect();
    let answers = futures_util::stream::iter(batches).buffer_unordered(BATCHES_AT_ONCE);
    let answers: Vec<Vec<Item>> = answers.try_collect().await?;
    let mut found = HashMap::with_capacity(by_name.len());
    for item in answers.into_iter().flatten() {
        let partition = item.get(PARTITION_KEY).and_then(|value| value.as_s().ok());
        let name = partition.cloned().zip(sort_of(&item).map(<[u8]>::to_vec));
        let row = name.and_then(|name| by_name.get(&name));
        let row = row.ok_or_else(|| damaged("an answer holds an item that nobody asked for"))?;
        let value = row_value(&item).ok_or_else(|| no_row(&row.table))?;
        found.insert(row.clone(), value);
    }
    Ok(found)
}

/// The items with at most [`BATCH_KEYS_MAX`] keys that are there.
async fn batch(
    client: &DynamoClient,
    mut names: Vec<Item>,
    mut backoff: Backoff,
) -> Result<Vec<Item>, StateError> {
    let mut found = Vec::with_capacity(names.len());
    loop {
        let asked = KeysAndAttributes::builder()
            .set_keys(Some(names))
            .consistent_read(true)
            .projection_expression("pk, sk, v")
            .build()
            .map_err(unbuilt)?;
        let request = client
            .sdk()
            .batch_get_item()
            .request_items(client.state_table(), asked)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let send = move || request.clone().send();
        let sent = client.call_within("read rows", send, backoff.clone(), Repeat::Always).await;
        let answer = sent.map_err(unavailable)?;
        client.meter().read(answer.consumed_capacity());
        let items = answer.responses.unwrap_or_default().remove(client.state_table());
        let items = items.unwrap_or_default();
        let bytes_count = items.iter().filter_map(value_bytes).sum::<usize>();
        found.extend(items);
        let rest = answer.unprocessed_keys.unwrap_or_default().remove(client.state_table());
        names = match rest {
            Some(rest) if !rest.keys.is_empty() => rest.keys,
            _ => return Ok(found),
        };
        if bytes_count < FULL_ANSWER_BYTES && !client.wait(&mut backoff).await {
            return Err(too_busy());
        }
    }
}

/// At most `limit` rows of a table with keys in `range`, in their order.
pub(super) async fn range(
    client: &DynamoClient,
    partition: &str,
    range: KeyRange,
    limit: usize,
) -> Result<Vec<Row>, StateError> {
    let limit = limit.min(SCAN_ROWS_MAX);
    let is_empty = range.end.as_ref().is_some_and(|end| *end <= range.start);
    if limit == 0 || is_empty {
        return Ok(Vec::new());
    }
    let mut query = Query {
        partition,
        start: row_sort(&range.start),
        // Inclusive: the row at the end, if there is one, is the last that is read.
        end: range.end.as_deref().map(row_sort),
        attributes: "sk, v",
        limit: Some(limit),
        after: None,
    };
    let mut rows = Vec::new();
    loop {
        let (items, after) = page(client, &query).await?;
        for item in items {
            let (Some(key), Some(value)) = (row_key(&item), row_value(&item)) else {
                return Err(damaged(&format!("an item under `{partition}` is not a row")));
            };
            if range.end.as_ref() != Some(&key) {
                rows.push(Row { key, value });
            }
        }
        query.limit = Some(limit.saturating_sub(rows.len())).filter(|rest| *rest > 0);
        query.after = after;
        if query.limit.is_none() || query.after.is_none() {
            return Ok(rows);
        }
    }
}

/// All sort keys under a partition key.
pub(super) async fn all_sort_keys(
    client: &DynamoClient,
    partition: &str,
) -> Result<Vec<Vec<u8>>, StateError> {
    let mut query = Query::of(partition, "sk");
    let mut found = Vec::new();
    loop {
        let (items, after) = page(client, &query).await?;
        found.extend(items.iter().filter_map(sort_of).map(<[u8]>::to_vec));
        query.after = after;
        if query.after.is_none() {
            return Ok(found);
        }
    }
}

/// What to read of the items under a partition key.
#[derive(Debug)]
pub(super) struct Query<'a> {
    partition: &'a str,
    /// First sort key, inclusive.
    start: Vec<u8>,
    /// Last sort key, inclusive.
    end: Option<Vec<u8>>,
    attributes: &'static str,
    limit: Option<usize>,
    /// Where the page before ended.
    pub(super) after: Option<Item>,
}

impl<'a> Query<'a> {
    /// All items.
    pub(super) const fn of(partition: &'a str, attributes: &'static str) -> Self {
        Self { partition, start: Vec::new(), end: None, attributes, limit: None, after: None }
    }
}

/// A page of at most 1 MB, and where the next begins.
pub(super) async fn page(
    client: &DynamoClient,
    query: &Query<'_>,
) -> Result<(Vec<Item>, Option<Item>), StateError> {
    let bytes = |bytes: &[u8]| AttributeValue::B(Blob::new(bytes));
    let condition = match (query.start.is_empty(), query.end.is_some()) {
        (true, _) => "pk = :p",
        (false, false) => "pk = :p AND sk >= :a",
        (false, true) => "pk = :p AND sk BETWEEN :a AND :b",
    };
    let mut request = client
        .sdk()
        .query()
        .table_name(client.state_table())
        .key_condition_expression(condition)
        .expression_attribute_values(":p", AttributeValue::S(query.partition.to_owned()))
        .projection_expression(query.attributes)
        .consistent_read(true)
        .set_exclusive_start_key(query.after.clone())
        .set_limit(query.limit.and_then(|limit| i32::try_from(limit).ok()))
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    if !query.start.is_empty() {
        request = request.expression_attribute_values(":a", bytes(&query.start));
        if let Some(end) = &query.end {
            request = request.expression_attribute_values(":b", bytes(end));
        }
    }
    let sent = client.call("read a range of state", move || request.clone().send()).await;
    let answer = sent.map_err(unavailable)?;
    client.meter().read(answer.consumed_capacity.as_slice());
    let after = answer.last_evaluated_key.filter(|key| !key.is_empty());
    Ok((answer.items.unwrap_or_default(), after))
}

fn value_bytes(item: &Item) -> Option<usize> {
    item.get(VALUE)?.as_b().ok().map(|value| value.as_ref().len())
}

/// The error of a batch of which the service leaves some undone, again and again.
pub(super) fn too_busy() -> StateError {
    let error =
        annals_core::error::DriverError::new("DynamoDB leaves requests undone, it is too busy");
    StateError::Unavailable(error)
}

fn no_row(table: &str) -> StateError {
    damaged(&format!("a row of table `{table}` has no value"))
}
