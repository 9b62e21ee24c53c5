//! A commit of one row: one request, half the price of a transaction.
//!
//! Unlike a transaction it has no token, so one whose answer was lost may not simply be sent again:
//! it could be carried out twice, with the commits of others between. The row tells instead:
//!
//! ```text
//! commit               the row now                        so
//! with a condition     has the commit's id                it happened
//!                      is still as it must be             it did not, it is sent again
//! without, put         has the value                      the same as if it happened
//! without, delete      is not there                       the same as if it happened
//! any                  is something else                  nobody knows
//! ```

use annals_core::error::{DriverError, ErrorChain};
use annals_core::port::state_store::StateError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnConsumedCapacity};
use bytes::Bytes;
use uuid::Uuid;

use super::commit::Sent;
use super::keys::{COMMIT, Item, SpaceKeys, VALUE, row_value};
use super::plan::{After, Before, RowChange};
use super::{damaged, read};
use crate::client::{Backoff, DynamoClient, Failed, Repeat};

/// What one request came to.
enum Attempt {
    Done,
    /// The row is not as it must be.
    Unmet,
    NotDone(DriverError),
    Unknown(DriverError),
}

/// What the row tells about a request whose answer was lost.
#[derive(Debug, PartialEq, Eq)]
enum Trace {
    Happened,
    DidNot,
    Unclear,
}

/// Sends the commit of one row until it happened, was refused, or its time is over.
pub(super) async fn send<'a>(
    client: &DynamoClient,
    keys: &SpaceKeys,
    change: &'a RowChange,
    backoff: &mut Backoff,
) -> Result<Sent<'a>, StateError> {
    if change.after == After::Same {
        let value = read::row(client, keys, &change.row, backoff.clone()).await?;
        let is_met = change.before == Before::Any || change.before == Before::Is(value);
        return Ok(if is_met { Sent::Done } else { Sent::Refused(change) });
    }
    let id = client.ids().next_uuid();
    // The failure after which nobody knows whether it was carried out.
    let mut doubt: Option<DriverError> = None;
    loop {
        let attempt = attempt(client, keys, change, (id, backoff.clone())).await;
        let error = match (attempt, doubt.take()) {
            (Attempt::Done, _) => return Ok(Sent::Done),
            (Attempt::Unmet, None) => return Ok(Sent::Refused(change)),
            (Attempt::NotDone(error), None) => return Err(StateError::Unavailable(error)),
            (Attempt::Unknown(error), _) | (_, Some(error)) => error,
        };
        match look(client, keys, change, (id, backoff.clone())).await {
            Ok(Trace::Happened) => return Ok(Sent::Done),
            Ok(Trace::DidNot) => {}
            Ok(Trace::Unclear) => return Err(StateError::OutcomeUnknown(error)),
            Err(unread) => {
                tracing::debug!(error = %ErrorChain(&unread), "the row could not be read either");
                return Err(StateError::OutcomeUnknown(error));
            }
        }
        if !client.wait(backoff).await {
            // The request may still be under way.
            return Err(StateError::OutcomeUnknown(error));
        }
        doubt = Some(error);
    }
}

async fn attempt(
    client: &DynamoClient,
    keys: &SpaceKeys,
    change: &RowChange,
    (id, backoff): (Uuid, Backoff),
) -> Attempt {
    let key = keys.row(&change.row);
    let what = "write a row";
    let condition = condition(&change.before);
    let (expression, value) = condition.map_or((None, None), |(text, value)| (Some(text), value));
    let values = value.map(|value| Item::from([(":v".to_owned(), value)]));
    if let After::Put(value) = &change.after {
        let mut item = key;
        item.insert(VALUE.to_owned(), binary(value));
        if change.before != Before::Any {
            item.insert(COMMIT.to_owned(), AttributeValue::B(Blob::new(id.into_bytes())));
        }
        let request = client
            .sdk()
            .put_item()
            .table_name(client.state_table())
            .set_item(Some(item))
            .set_condition_expression(expression.map(str::to_owned))
            .set_expression_attribute_values(values)
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        let send = move || request.clone().send();
        let sent = client.call_within(what, send, backoff, Repeat::Never).await;
        let sent = sent.map(|answer| answer.consumed_capacity);
        return read_attempt(client, sent, |error| error.is_conditional_check_failed_exception());
    }
    let request = client
        .sdk()
        .delete_item()
        .table_name(client.state_table())
        .set_key(Some(key))
        .set_condition_expression(expression.map(str::to_owned))
        .set_expression_attribute_values(values)
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    let send = move || request.clone().send();
    let sent = client.call_within(what, send, backoff, Repeat::Never).await;
    let sent = sent.map(|answer| answer.consumed_capacity);
    read_attempt(client, sent, |error| error.is_conditional_check_failed_exception())
}

fn read_attempt<E>(
    client: &DynamoClient,
    sent: Result<Option<aws_sdk_dynamodb::types::ConsumedCapacity>, Failed<E>>,
    is_unmet: impl FnOnce(&E) -> bool,
) -> Attempt
where
    E: std::error::Error + Send + Sync + 'static,
{
    match sent {
        Ok(consumed) => {
            client.meter().write(consumed.as_slice());
            Attempt::Done
        }
        Err(Failed::Refused { error, .. }) if is_unmet(&error) => Attempt::Unmet,
        Err(Failed::Unknown(error)) => Attempt::Unknown(error),
        Err(failed) => Attempt::NotDone(failed.into_driver_error()),
    }
}

/// The condition of a request, and the value in it.
pub(super) fn condition(before: &Before) -> Option<(&'static str, Option<AttributeValue>)> {
    match before {
        Before::Any => None,
        Before::Is(None) => Some(("attribute_not_exists(pk)", None)),
        Before::Is(Some(value)) => Some(("v = :v", Some(binary(value)))),
    }
}

pub(super) fn binary(value: &Bytes) -> AttributeValue {
    AttributeValue::B(Blob::new(value.as_ref()))
}

/// A row that was read back.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Found {
    value: Bytes,
    /// The commit that wrote it, where that is kept.
    commit: Option<Uuid>,
}

/// Reads the row back.
async fn look(
    client: &DynamoClient,
    keys: &SpaceKeys,
    change: &RowChange,
    (id, backoff): (Uuid, Backoff),
) -> Result<Trace, StateError> {
    let item = read::item(client, keys.row(&change.row), "v, c", backoff).await?;
    let found = item.map(|item| {
        let value = row_value(&item).ok_or_else(|| damaged("a row has no value"))?;
        let commit = item.get(COMMIT).and_then(|id| id.as_b().ok());
        let commit = commit.and_then(|id| Uuid::from_slice(id.as_ref()).ok());
        Ok(Found { value, commit })
    });
    Ok(trace(change, id, found.transpose()?.as_ref()))
}

/// What the row tells about the commit `id`.
fn trace(change: &RowChange, id: Uuid, found: Option<&Found>) -> Trace {
    let value = found.map(|found| &found.value);
    let is_ours = found.and_then(|found| found.commit) == Some(id);
    match (&change.before, &change.after) {
        (Before::Is(_), After::Put(_)) if is_ours => Trace::Happened,
        (Before::Is(before), _) if before.as_ref() == value => Trace::DidNot,
        (Before::Any, After::Put(put)) if value == Some(put) => Trace::Happened,
        (Before::Any, After::Gone) if found.is_none() => Trace::Happened,
        _ => Trace::Unclear,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use annals_core::port::state_store::RowKey;

    use super::*;

    #[test]
    fn a_row_tells_what_became_of_a_commit() {
        // Guards commits whose answer was lost: neither repeated after they happened, nor taken for
        // refused.
        let some = |value| Some(Bytes::from_static(value));
        let before = |value| Before::Is(Some(Bytes::from_static(value)));
        let put = || After::Put(Bytes::from_static(b"new"));
        let cases = [
            (before(b"old"), put(), true, some(b"new"), Trace::Happened),
            (before(b"old"), put(), false, some(b"old"), Trace::DidNot),
            (before(b"old"), put(), false, some(b"new"), Trace::Unclear),
            (before(b"old"), put(), false, None, Trace::Unclear),
            (before(b"new"), put(), true, some(b"new"), Trace::Happened),
            (Before::Is(None), put(), false, None, Trace::DidNot),
            (Before::Is(None), put(), false, some(b"other"), Trace::Unclear),
            (Before::Any, put(), false, some(b"new"), Trace::Happened),
            (Before::Any, put(), false, some(b"other"), Trace::Unclear),
            (Before::Any, put(), false, None, Trace::Unclear),
            (Before::Any, After::Gone, false, None, Trace::Happened),
            (Before::Any, After::Gone, false, some(b"other"), Trace::Unclear),
            (before(b"old"), After::Gone, false, some(b"old"), Trace::DidNot),
            (before(b"old"), After::Gone, false, None, Trace::Unclear),
            (before(b"old"), After::Gone, false, some(b"other"), Trace::Unclear),
        ];
        let (ours, others) = (Uuid::from_u128(1), Uuid::from_u128(2));
        for (before, after, is_ours, value, expected) in cases {
            let row = RowKey { table: Arc::from("t"), key: Bytes::new() };
            let change = RowChange { row, is_condition: true, before, after };
            let commit = Some(if is_ours { ours } else { others });
            let found = value.map(|value| Found { value, commit });
            assert_eq!(trace(&change, ours, found.as_ref()), expected, "{change:?} {found:?}");
        }
    }
}
