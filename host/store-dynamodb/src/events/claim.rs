//! Claims: one item per name, and what a commit makes of it.
//!
//! ```text
//! h  holder     x  expires at, in ms     ttl  when DynamoDB may delete it, in s
//! ```
//! An expired claim is free whether its item is there or not. DynamoDB may delete the item a day
//! later, so that a clock that is behind does not find a claim gone too early.

use annals_core::commit::ClaimHolder;
use annals_core::port::event_store::ReadError;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{ConditionCheck, Delete, Put, TransactWriteItem};

use super::event::put;
use super::fields::{Fault, Fields, Item, damaged, number, text};
use super::key::{self, ALONE};
use super::query;
use crate::client::DynamoClient;

/// How long an expired claim is kept, in seconds.
const KEPT_SECONDS: u64 = 86_400;

/// A claim as it was read, and as a commit leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ClaimState {
    pub(super) read: Option<ClaimHolder>,
    pub(super) now: Option<ClaimHolder>,
}

impl ClaimState {
    /// Who holds it at `time`, after what was staged.
    pub(super) fn holder(&self, time: Timestamp) -> Option<&ClaimHolder> {
        self.now.as_ref().filter(|holder| holder.expires_at.is_none_or(|expiry| expiry > time))
    }

    /// What a transaction does to the item: it also keeps it as it was read.
    pub(super) fn action(&self, table: &str, pk: &str) -> Result<TransactWriteItem, BuildError> {
        let condition = match &self.read {
            None => "attribute_not_exists(pk)",
            Some(ClaimHolder { expires_at: None, .. }) => "h = :h AND attribute_not_exists(x)",
            Some(ClaimHolder { expires_at: Some(_), .. }) => "h = :h AND x = :x",
        };
        let values = self.read.as_ref().map(|holder| {
            let mut values = Item::new();
            put(&mut values, ":h", Some(text(holder.stream.as_str())));
            put(&mut values, ":x", holder.expires_at.map(|expiry| number(expiry.ms())));
            values
        });
        let key = Item::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(ALONE))]);
        let action = TransactWriteItem::builder();
        let is_changed = self.now != self.read;
        Ok(match (&self.now, is_changed) {
            (Some(holder), true) => {
                let item = write(key, holder);
                let put = Put::builder().table_name(table).set_item(Some(item));
                let put =
                    put.condition_expression(condition).set_expression_attribute_values(values);
                action.put(put.build()?).build()
            }
            (None, true) => {
                let delete = Delete::builder().table_name(table).set_key(Some(key));
                let delete =
                    delete.condition_expression(condition).set_expression_attribute_values(values);
                action.delete(delete.build()?).build()
            }
            (_, false) => {
                let check = ConditionCheck::builder().table_name(table).set_key(Some(key));
                let check =
                    check.condition_expression(condition).set_expression_attribute_values(values);
                action.condition_check(check.build()?).build()
            }
        })
    }
}

fn write(mut item: Item, holder: &ClaimHolder) -> Item {
    put(&mut item, "h", Some(text(holder.stream.as_str())));
    put(&mut item, "x", holder.expires_at.map(|expiry| number(expiry.ms())));
    let ttl = holder.expires_at.map(|expiry| expiry.ms() / 1_000 + KEPT_SECONDS);
    put(&mut item, "ttl", ttl.map(number));
    item
}

/// Reads a claim.
pub(super) async fn read(
    client: &DynamoClient,
    scope: &str,
    key: &str,
) -> Result<Option<ClaimHolder>, ReadError> {
    let pk = key::claim(&client.options().namespace, scope, key);
    let Some(item) = query::get(client, &pk, ALONE).await? else { return Ok(None) };
    let holder = read_holder(&item).map_err(|fault| damaged(&item, fault))?;
    Ok(Some(holder))
}

fn read_holder(item: &Item) -> Result<ClaimHolder, Fault> {
    let fields = Fields(item);
    Ok(ClaimHolder {
        stream: fields.parsed::<StreamId>("h")?,
        expires_at: fields.optional_number("x")?.map(Timestamp::from_ms),
    })
}
