//! Tables for the tests.

use annals_store_dynamodb::DynamoClient;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, AttributeValue, BillingMode, KeySchemaElement, KeyType,
    ScalarAttributeType,
};

pub(crate) async fn create(client: &DynamoClient, partitions: u32) {
    let sdk = client.sdk_for_tests();
    let attr = |n: &str, t| {
        AttributeDefinition::builder().attribute_name(n).attribute_type(t).build().unwrap()
    };
    let key =
        |n: &str, t| KeySchemaElement::builder().attribute_name(n).key_type(t).build().unwrap();
    for (table, t) in [
        (client.events_table(), ScalarAttributeType::S),
        (client.state_table(), ScalarAttributeType::B),
    ] {
        sdk.create_table()
            .table_name(table)
            .attribute_definitions(attr("pk", ScalarAttributeType::S))
            .attribute_definitions(attr("sk", t))
            .key_schema(key("pk", KeyType::Hash))
            .key_schema(key("sk", KeyType::Range))
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await
            .unwrap();
    }
    sdk.put_item()
        .table_name(client.events_table())
        .item("pk", AttributeValue::S("m".into()))
        .item("sk", AttributeValue::S("store".into()))
        .item("id", AttributeValue::B(Blob::new(uuid::Uuid::now_v7().as_bytes().to_vec())))
        .item("v", AttributeValue::N("1".into()))
        .item("p", AttributeValue::N(partitions.to_string()))
        .item("c", AttributeValue::S("2026".into()))
        .send()
        .await
        .unwrap();
}
