//! Which spaces there are: registered, found, unregistered.

use annals_core::error::DriverError;
use annals_core::port::state_store::{StateError, StateSpace};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeValue, Delete, Put, ReturnConsumedCapacity, TransactWriteItem,
};
use uuid::Uuid;

use super::keys::{self, Item};
use super::{damaged, read, removal, unavailable};
use crate::client::{DynamoClient, Failed};

/// Attribute of a space: its generation.
const GENERATION: &str = "g";

/// How often another host may make, or remove, a space between two requests before it is given up.
const RACES_MAX: usize = 8;

/// The generation of a space; `None`: there is no such space.
pub(super) async fn generation(
    client: &DynamoClient,
    space: &StateSpace,
) -> Result<Option<Uuid>, StateError> {
    let key = key(client, space);
    let Some(item) = read::item(client, key, GENERATION, client.backoff()).await? else {
        return Ok(None);
    };
    let generation = item.get(GENERATION).and_then(|value| value.as_b().ok());
    let generation = generation.and_then(|bytes| Uuid::from_slice(bytes.as_ref()).ok());
    generation.map(Some).ok_or_else(|| damaged(&format!("the item of {space} has no generation")))
}

/// The generation of a space, which is made when there is none.
pub(super) async fn generation_or_new(
    client: &DynamoClient,
    space: &StateSpace,
) -> Result<Uuid, StateError> {
    for _ in 0..RACES_MAX {
        if let Some(generation) = generation(client, space).await? {
            return Ok(generation);
        }
        let mut item = key(client, space);
        let generation = client.ids().next_uuid();
        item.insert(GENERATION.to_owned(), binary(generation));
        let request = client
            .sdk()
            .put_item()
            .table_name(client.state_table())
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk)")
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let sent = client.call("register a state space", move || request.clone().send()).await;
        match sent {
            Ok(answer) => {
                client.meter().write(answer.consumed_capacity.as_slice());
                return Ok(generation);
            }
            // Another opener was first, or this one, in a request whose answer was lost.
            Err(Failed::Refused { error, .. }) if error.is_conditional_check_failed_exception() => {
            }
            Err(failed) => return Err(unavailable(failed)),
        }
    }
    Err(raced(space))
}

/// Unregisters a space and notes that its rows are to be deleted, both or neither; one that is not
/// there is passed over.
pub(super) async fn unregister(
    client: &DynamoClient,
    space: &StateSpace,
) -> Result<(), StateError> {
    for _ in 0..RACES_MAX {
        let Some(generation) = generation(client, space).await? else {
            return Ok(());
        };
        let delete = Delete::builder()
            .table_name(client.state_table())
            .set_key(Some(key(client, space)))
            .condition_expression("g = :g")
            .expression_attribute_values(":g", binary(generation));
        let put = Put::builder()
            .table_name(client.state_table())
            .set_item(Some(removal::item_of(client, space, generation)));
        let (delete, put) = (delete.build().map_err(unbuilt)?, put.build().map_err(unbuilt)?);
        let request = client
            .sdk()
            .transact_write_items()
            .transact_items(TransactWriteItem::builder().delete(delete).build())
            .transact_items(TransactWriteItem::builder().put(put).build())
            .client_request_token(client.ids().next_uuid().to_string())
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let sent = client.call("unregister a state space", move || request.clone().send()).await;
        match sent {
            Ok(answer) => {
                client.meter().write(answer.consumed_capacity());
                return Ok(());
            }
            // Another host removes it, or makes it anew: look again.
            Err(Failed::Refused { error, .. }) if error.is_transaction_canceled_exception() => {
                tracing::debug!(%space, "another host changed the registration of a state space");
            }
            Err(failed) => return Err(unavailable(failed)),
        }
        if !client.wait(&mut client.backoff()).await {
            break;
        }
    }
    Err(raced(space))
}

/// All spaces of the namespace, in order.
pub(super) async fn list(client: &DynamoClient) -> Result<Vec<StateSpace>, StateError> {
    let partition = keys::spaces(&client.options().namespace);
    let items = read::all_sort_keys(client, &partition).await?;
    let mut spaces = Vec::with_capacity(items.len());
    for text in items {
        match keys::parse_space(&text) {
            Some(space) => spaces.push(space),
            // Kinds of spaces that a later version has are none of ours to look after.
            None => tracing::warn!(
                space = %String::from_utf8_lossy(&text),
                "a state space of an unknown kind is passed over"
            ),
        }
    }
    spaces.sort();
    Ok(spaces)
}

fn key(client: &DynamoClient, space: &StateSpace) -> Item {
    keys::item(&keys::spaces(&client.options().namespace), keys::space_text(space))
}

fn binary(generation: Uuid) -> AttributeValue {
    AttributeValue::B(Blob::new(generation.into_bytes()))
}

fn raced(space: &StateSpace) -> StateError {
    let text = format!("other hosts make and remove the {space} all the time");
    StateError::Unavailable(DriverError::new(&text))
}

/// A request that lacks a part, which all have that are made here.
pub(super) fn unbuilt(error: aws_sdk_dynamodb::error::BuildError) -> StateError {
    StateError::Unavailable(DriverError::with_source("a request was not complete", error))
}
