//! Carrying out the transaction of a group, and finding out what became of it.

use annals_core::error::DriverError;
use annals_core::place::Partition;
use aws_sdk_dynamodb::operation::transact_write_items::TransactWriteItemsError;
use aws_sdk_dynamodb::types::{CancellationReason, ReturnConsumedCapacity};
use uuid::Uuid;

use super::super::feed_item::FeedItem;
use super::super::fields::{Fields, Item};
use super::super::plan::{About, FeedTail, Group};
use super::super::query;
use super::super::store::Shared;
use crate::client::Failed;

/// What became of a transaction.
#[derive(Debug)]
pub(super) enum Executed {
    /// It was carried out.
    Done,
    /// It was not: something is not as it was known to be, or others write the same items now.
    Contended(Contention),
    /// It was not, and trying again did not help.
    NotDone(DriverError),
    /// Nobody knows.
    Unknown(DriverError),
}

/// What a refusal showed.
#[derive(Debug, Default)]
pub(super) struct Contention {
    /// What must be looked up again.
    pub(super) about: Vec<About>,
    /// Where feeds go on after the item that was in the way.
    pub(super) seen: Vec<(Partition, FeedTail)>,
    /// Whether to wait before the next attempt.
    pub(super) is_slow: bool,
}

/// Whether a feed item that a transaction was to write is there.
enum Witness {
    Ours,
    AnotherOne,
    Nothing,
}

impl Shared {
    /// Writes a group. The same transaction is sent again, under one token, until it is answered.
    pub(super) async fn execute(&self, group: &Group) -> Executed {
        let transaction = self.client.ids().next_uuid();
        let table = self.client.events_table();
        let (actions, about) = match group.actions(table, transaction) {
            Ok(actions) => actions,
            Err(error) => {
                return Executed::NotDone(DriverError::with_source("no transaction", error));
            }
        };
        let request = self
            .client
            .sdk()
            .transact_write_items()
            .set_transact_items(Some(actions))
            .client_request_token(transaction.to_string())
            .return_consumed_capacity(ReturnConsumedCapacity::Total);
        match self.client.call("write a transaction", move || request.clone().send()).await {
            Ok(answer) => {
                self.client.meter().write(answer.consumed_capacity());
                Executed::Done
            }
            Err(Failed::Refused { error, may_be_done }) => {
                let refused = read_refusal(*error, transaction, &about);
                if !may_be_done || matches!(refused, Executed::Done) {
                    return refused;
                }
                // An earlier attempt of the same transaction may have been what was in the way.
                match self.witness(group, transaction).await {
                    Ok(Witness::Ours) => Executed::Done,
                    Ok(Witness::AnotherOne | Witness::Nothing) => refused,
                    Err(error) => Executed::Unknown(error),
                }
            }
            Err(Failed::NotDone(error)) => Executed::NotDone(error),
            Err(Failed::Unknown(error)) => match self.witness(group, transaction).await {
                Ok(Witness::Ours) => Executed::Done,
                // Its place is taken, so it can never be carried out.
                Ok(Witness::AnotherOne) => Executed::NotDone(error),
                Ok(Witness::Nothing) | Err(_) => Executed::Unknown(error),
            },
        }
    }

    async fn witness(&self, group: &Group, transaction: Uuid) -> Result<Witness, DriverError> {
        let Some((pk, sk)) = group.witness() else { return Ok(Witness::Nothing) };
        let found = query::get(&self.client, &pk, &sk).await;
        let found = found.map_err(|error| {
            DriverError::with_source("it cannot be seen whether a transaction is there", error)
        })?;
        Ok(match found {
            None => Witness::Nothing,
            Some(item) if is_of(&item, transaction) => Witness::Ours,
            Some(_) => Witness::AnotherOne,
        })
    }
}

fn is_of(item: &Item, transaction: Uuid) -> bool {
    matches!(Fields(item).optional_uuid("x"), Ok(Some(id)) if id == transaction)
}

/// Reads why a transaction was cancelled.
fn read_refusal(error: TransactWriteItemsError, transaction: Uuid, about: &[About]) -> Executed {
    let reasons = match &error {
        TransactWriteItemsError::TransactionCanceledException(cancelled) => {
            cancelled.cancellation_reasons().to_vec()
        }
        _ => Vec::new(),
    };
    let mut contention = Contention::default();
    let mut is_understood = false;
    for (reason, about) in reasons.iter().zip(about) {
        match reason.code().unwrap_or("None") {
            "None" => {}
            "ConditionalCheckFailed" => {
                is_understood = true;
                if reason.item().is_some_and(|item| is_of(item, transaction)) {
                    return Executed::Done;
                }
                contention.seen.extend(seen_after(reason, about));
                contention.about.push(about.clone());
            }
            "TransactionConflict" => {
                is_understood = true;
                contention.is_slow = true;
                contention.about.push(about.clone());
            }
            "ThrottlingError" | "ProvisionedThroughputExceeded" => {
                is_understood = true;
                contention.is_slow = true;
            }
            _ => {
                let text = "DynamoDB refused to write a transaction";
                return Executed::NotDone(DriverError::with_source(text, error));
            }
        }
    }
    if is_understood {
        return Executed::Contended(contention);
    }
    Executed::NotDone(DriverError::with_source("DynamoDB refused to write a transaction", error))
}

/// Where a feed goes on after the item that another writer put where ours was to go.
fn seen_after(reason: &CancellationReason, about: &About) -> Option<(Partition, FeedTail)> {
    let About::Feed(partition) = about else { return None };
    let item = FeedItem::read(reason.item()?).ok()?;
    Some((*partition, FeedTail { place: item.next_place(), latest: item.recorded_at }))
}
