//! Deleting many rows: of a table, or of spaces that were removed.

use annals_core::port::state_store::{StateError, StateSpace};
use aws_sdk_dynamodb::types::{
    AttributeValue, DeleteRequest, ReturnConsumedCapacity, WriteRequest,
};
use futures_util::{StreamExt as _, TryStreamExt as _};
use uuid::Uuid;

use super::keys::{self, Item};
use super::read::{Query, all_sort_keys, page, too_busy};
use super::spaces::unbuilt;
use super::{damaged, unavailable};
use crate::client::{Backoff, DynamoClient, Repeat};

/// Most items of one request: the service's limit.
const BATCH_ITEMS_MAX: usize = 25;

/// Requests that are sent at once.
const BATCHES_AT_ONCE: usize = 4;

/// The item that says that the rows of a space are to be deleted.
pub(super) fn item_of(client: &DynamoClient, space: &StateSpace, generation: Uuid) -> Item {
    let partition = keys::removed(&client.options().namespace);
    let mut item = keys::item(&partition, generation.simple().to_string());
    item.insert("s".to_owned(), AttributeValue::S(keys::space_text(space)));
    item
}

/// Generations of removed spaces whose rows are not all deleted.
pub(super) async fn pending(client: &DynamoClient) -> Result<Vec<Uuid>, StateError> {
    let partition = keys::removed(&client.options().namespace);
    let generations = all_sort_keys(client, &partition).await?;
    let parsed = generations.iter().map(|text| {
        Uuid::try_parse_ascii(text).map_err(|_| damaged("a removed space has no generation"))
    });
    parsed.collect()
}

/// Deletes all rows of spaces that were removed, here or elsewhere. May be done by many at once.
pub(super) async fn complete(client: &DynamoClient) -> Result<(), StateError> {
    let namespace = client.options().namespace.as_str();
    for generation in pending(client).await? {
        let tables = keys::tables(namespace, generation);
        for table in all_sort_keys(client, &tables).await? {
            let name = std::str::from_utf8(&table);
            let name = name.map_err(|_| damaged("the name of a table is not text"))?;
            delete_all(client, &keys::rows(namespace, generation, name)).await?;
            delete(client, vec![keys::item(&tables, table)], client.backoff()).await?;
        }
        let marker = keys::item(&keys::removed(namespace), generation.simple().to_string());
        delete(client, vec![marker], client.backoff()).await?;
    }
    Ok(())
}

/// Deletes every item under a partition key.
pub(super) async fn delete_all(client: &DynamoClient, partition: &str) -> Result<(), StateError> {
    let mut query = Query::of(partition, "pk, sk");
    loop {
        let (items, after) = page(client, &query).await?;
        let batches: Vec<_> = items
            .chunks(BATCH_ITEMS_MAX)
            .map(|items| delete(client, items.to_vec(), client.backoff()))
            .collect();
        let deleting = futures_util::stream::iter(batches).buffer_unordered(BATCHES_AT_ONCE);
        deleting.try_collect::<()>().await?;
        query.after = after;
        if query.after.is_none() {
            return Ok(());
        }
    }
}

/// Deletes at most [`BATCH_ITEMS_MAX`] items.
async fn delete(
    client: &DynamoClient,
    items: Vec<Item>,
    mut backoff: Backoff,
) -> Result<(), StateError> {
    let mut writes = Vec::with_capacity(items.len());
    for key in items {
        let delete = DeleteRequest::builder().set_key(Some(key)).build().map_err(unbuilt)?;
        writes.push(WriteRequest::builder().delete_request(delete).build());
    }
    loop {
        let request = client
            .sdk()
            .batch_write_item()
            .request_items(client.state_table(), writes)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let send = move || request.clone().send();
        let sent = client.call_within("delete rows", send, backoff.clone(), Repeat::Always).await;
        let answer = sent.map_err(unavailable)?;
        client.meter().write(answer.consumed_capacity());
        let rest = answer.unprocessed_items.unwrap_or_default().remove(client.state_table());
        writes = match rest {
            Some(rest) if !rest.is_empty() => rest,
            _ => return Ok(()),
        };
        if !client.wait(&mut backoff).await {
            return Err(too_busy());
        }
    }
}
