//! A commit of many rows: one transaction with a token.
//!
//! The service remembers the token of a transaction that happened for ten minutes and answers a repeat
//! with its success. So a refusal of a repeat says that nothing happened before either.

use annals_core::error::DriverError;
use annals_core::port::state_store::StateError;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{
    ConditionCheck, Delete, Put, ReturnConsumedCapacity, TransactWriteItem,
};

use super::commit::Sent;
use super::keys::{Item, SpaceKeys, VALUE};
use super::plan::{After, RowChange};
use super::single::{binary, condition};
use super::spaces::unbuilt;
use crate::client::{Backoff, DynamoClient, Failed, Repeat, reads_as_text};

/// Why a transaction was cancelled.
#[derive(Debug, PartialEq, Eq)]
enum Cancelled {
    /// The row with this index was not as it must be.
    Unmet(usize),
    /// Other writers were at the same rows, or there is too much to do: trying again may help.
    Busy,
    /// Something else.
    Other,
}

/// Sends the commit of many rows until it happened, was refused, or its time is over.
pub(super) async fn send<'a>(
    client: &DynamoClient,
    keys: &SpaceKeys,
    rows: &'a [RowChange],
    backoff: &mut Backoff,
) -> Result<Sent<'a>, StateError> {
    let items = rows.iter().map(|row| item(client.state_table(), keys, row));
    let items: Vec<TransactWriteItem> = items.collect::<Result<_, _>>().map_err(unbuilt)?;
    let request = client
        .sdk()
        .transact_write_items()
        .set_transact_items(Some(items))
        .client_request_token(client.ids().next_uuid().to_string())
        .return_consumed_capacity(ReturnConsumedCapacity::Total);
    // What a failure is: another one once an attempt may have been carried out.
    let mut failure: fn(DriverError) -> StateError = StateError::Unavailable;
    loop {
        let request = request.clone();
        let send = move || request.clone().send();
        let sent = client.call_within("commit rows", send, backoff.clone(), Repeat::Always).await;
        let error = match sent {
            Ok(answer) => {
                client.meter().write(answer.consumed_capacity());
                return Ok(Sent::Done);
            }
            Err(Failed::Unknown(error)) => return Err(StateError::OutcomeUnknown(error)),
            Err(Failed::NotDone(error)) => return Err(failure(error)),
            Err(Failed::Refused { error, may_be_done }) => {
                if may_be_done {
                    failure = StateError::OutcomeUnknown;
                }
                error
            }
        };
        let cancelled = cancelled(&error);
        if let Cancelled::Unmet(index) = cancelled
            && let Some(row) = rows.get(index)
        {
            return Ok(Sent::Refused(row));
        }
        tracing::debug!(error = %reads_as_text(&*error), "a commit of state was cancelled");
        if cancelled != Cancelled::Busy || !client.wait(backoff).await {
            let error = DriverError::with_source("DynamoDB did not commit rows", *error);
            return Err(failure(error));
        }
    }
}

/// What to do with one row.
fn item(
    table: &str,
    keys: &SpaceKeys,
    change: &RowChange,
) -> Result<TransactWriteItem, BuildError> {
    let key = keys.row(&change.row);
    let (expression, value) = match condition(&change.before) {
        Some((expression, value)) => (Some(expression.to_owned()), value),
        None => (None, None),
    };
    let values = value.map(|value| Item::from([(":v".to_owned(), value)]));
    let item = TransactWriteItem::builder();
    let item = match &change.after {
        After::Same => item.condition_check(
            ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key))
                .set_condition_expression(expression)
                .set_expression_attribute_values(values)
                .build()?,
        ),
        After::Put(value) => {
            let mut put = key;
            put.insert(VALUE.to_owned(), binary(value));
            item.put(
                Put::builder()
                    .table_name(table)
                    .set_item(Some(put))
                    .set_condition_expression(expression)
                    .set_expression_attribute_values(values)
                    .build()?,
            )
        }
        After::Gone => item.delete(
            Delete::builder()
                .table_name(table)
                .set_key(Some(key))
                .set_condition_expression(expression)
                .set_expression_attribute_values(values)
                .build()?,
        ),
    };
    Ok(item.build())
}

/// The first reason, in the order of the rows.
fn cancelled(error: &TransactWriteItemsError) -> Cancelled {
    let TransactWriteItemsError::TransactionCanceledException(cancelled) = error else {
        return Cancelled::Other;
    };
    let codes = cancelled.cancellation_reasons().iter().map(|reason| reason.code());
    first_reason(codes)
}

/// An earlier row that could not be looked at may not be as it must be either, so it is asked about
/// again before a later one is named.
fn first_reason<'a>(codes: impl Iterator<Item = Option<&'a str>>) -> Cancelled {
    for (index, code) in codes.enumerate() {
        match code {
            None | Some("None") => {}
            Some("ConditionalCheckFailed") => return Cancelled::Unmet(index),
            Some("TransactionConflict" | "ThrottlingError" | "ProvisionedThroughputExceeded") => {
                return Cancelled::Busy;
            }
            Some(_) => return Cancelled::Other,
        }
    }
    Cancelled::Other
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_reason_counts() {
        // Guards the order of conditions: the first that does not hold is told, and conflicts are no
        // answer.
        let of = |codes: &[&'static str]| first_reason(codes.iter().map(|code| Some(*code)));
        let unmet = "ConditionalCheckFailed";
        assert_eq!(of(&["None", unmet, unmet]), Cancelled::Unmet(1));
        assert_eq!(of(&[unmet, "TransactionConflict"]), Cancelled::Unmet(0));
        assert_eq!(of(&["TransactionConflict", unmet]), Cancelled::Busy);
        assert_eq!(of(&["ThrottlingError"]), Cancelled::Busy);
        assert_eq!(of(&["None", "ProvisionedThroughputExceeded"]), Cancelled::Busy);
        assert_eq!(of(&["ValidationError", unmet]), Cancelled::Other);
        assert_eq!(of(&["None"]), Cancelled::Other);
        assert_eq!(of(&[]), Cancelled::Other);
    }
}
