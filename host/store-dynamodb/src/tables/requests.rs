//! What making and deleting the tables sends, as JSON, for people to look at before.

use std::collections::HashMap;

use annals_core::id::IdGenerator;
use aws_sdk_dynamodb::types::AttributeValue;
use serde_json::{Value, json};

use super::TableError;
use super::create::{CreateOptions, new_store};
use super::shape::{BOTH, EVENTS, PARTITION_KEY, SORT_KEY, TTL_ATTRIBUTE, TableShape};
use super::store_item::attributes;

/// A request that would be sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedRequest {
    /// The operation, as DynamoDB calls it.
    pub operation: &'static str,
    /// Its body.
    pub body: Value,
}

/// What [`create`](super::create()) sends when nothing is there, apart from looking and waiting, to
/// tables that begin with `prefix`. Nobody is asked for it, so it needs no client.
///
/// # Errors
/// [`TableError::TooManyPartitions`].
pub fn requests_of_create(
    prefix: &str,
    ids: &dyn IdGenerator,
    options: CreateOptions,
) -> Result<Vec<PlannedRequest>, TableError> {
    options.check()?;
    let mut requests: Vec<_> = BOTH.iter().map(|shape| create_table(shape, prefix)).collect();
    for shape in BOTH {
        let table = shape.name(prefix);
        requests.push(PlannedRequest {
            operation: "UpdateTimeToLive",
            body: json!({
                "TableName": table,
                "TimeToLiveSpecification": { "Enabled": true, "AttributeName": TTL_ATTRIBUTE },
            }),
        });
        requests.push(PlannedRequest {
            operation: "UpdateContinuousBackups",
            body: json!({
                "TableName": table,
                "PointInTimeRecoverySpecification": { "PointInTimeRecoveryEnabled": true },
            }),
        });
    }
    requests.push(PlannedRequest {
        operation: "PutItem",
        body: json!({
            "TableName": EVENTS.name(prefix),
            "Item": as_json(&attributes(new_store(ids, options), options.now)),
            "ConditionExpression": "attribute_not_exists(pk)",
            "ReturnConsumedCapacity": "TOTAL",
        }),
    });
    Ok(requests)
}

/// What [`delete`](super::delete()) sends when both tables are there, apart from looking and waiting.
#[must_use]
pub fn requests_of_delete(prefix: &str) -> Vec<PlannedRequest> {
    let requests = BOTH.into_iter().flat_map(|shape| {
        let table = shape.name(prefix);
        let unprotected = json!({ "TableName": table, "DeletionProtectionEnabled": false });
        [
            PlannedRequest { operation: "UpdateTable", body: unprotected },
            PlannedRequest { operation: "DeleteTable", body: json!({ "TableName": table }) },
        ]
    });
    requests.collect()
}

fn create_table(shape: &TableShape, prefix: &str) -> PlannedRequest {
    PlannedRequest {
        operation: "CreateTable",
        body: json!({
            "TableName": shape.name(prefix),
            "AttributeDefinitions": [
                {
                    "AttributeName": PARTITION_KEY,
                    "AttributeType": shape.partition_key_type.as_str(),
                },
                { "AttributeName": SORT_KEY, "AttributeType": shape.sort_key_type.as_str() },
            ],
            "KeySchema": [
                { "AttributeName": PARTITION_KEY, "KeyType": "HASH" },
                { "AttributeName": SORT_KEY, "KeyType": "RANGE" },
            ],
            "BillingMode": "PAY_PER_REQUEST",
            "DeletionProtectionEnabled": true,
        }),
    }
}

/// An item as DynamoDB writes it in JSON; of the kinds of values that the item of a store has.
fn as_json(item: &HashMap<String, AttributeValue>) -> Value {
    let values = item.iter().map(|(name, value)| {
        let value = match value {
            AttributeValue::S(text) => json!({ "S": text }),
            AttributeValue::N(number) => json!({ "N": number }),
            AttributeValue::B(bytes) => json!({ "B": aws_smithy_types::base64::encode(bytes) }),
            _ => Value::Null,
        };
        (name.clone(), value)
    });
    Value::Object(values.collect())
}
