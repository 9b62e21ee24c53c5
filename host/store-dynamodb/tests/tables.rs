//! The tables: made, described, checked, deleted.

mod check;
mod create;
mod delete;
mod permissions;
mod recording;

use annals_core::time::Timestamp;
use annals_store_dynamodb::DynamoClient;
use annals_store_dynamodb::tables::{CreateOptions, Created, StoreDescription, create, describe};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::{BehaviorVersion, Region};
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use crate::support::emulator::Emulator;

/// The time of the tests.
pub(crate) const NOW: Timestamp = Timestamp::from_ms(1_795_167_000_000);

/// What is made unless told otherwise.
pub(crate) const DEFAULTS: CreateOptions = CreateOptions { partitions_count: None, now: NOW };

/// Makes the tables as `annals store create` does.
pub(crate) async fn make_tables(client: &DynamoClient) -> Created {
    create(client, DEFAULTS, &mut |_| {}).await.unwrap()
}

/// Looks past the driver.
pub(crate) fn sdk(emulator: &Emulator) -> Client {
    let options = emulator.options();
    let config = aws_sdk_dynamodb::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new("eu-central-1"))
        .endpoint_url(&emulator.endpoint)
        .credentials_provider(options.credentials.unwrap())
        .http_client(options.http_client.unwrap());
    Client::from_conf(config.build())
}

/// Makes a table with a partition key only, as somebody else might have.
async fn make_other_table(emulator: &Emulator, name: &str) {
    let attribute =
        AttributeDefinition::builder().attribute_name("id").attribute_type(ScalarAttributeType::N);
    let key = KeySchemaElement::builder().attribute_name("id").key_type(KeyType::Hash);
    sdk(emulator)
        .create_table()
        .table_name(name)
        .attribute_definitions(attribute.build().unwrap())
        .key_schema(key.build().unwrap())
        .billing_mode(BillingMode::PayPerRequest)
        .send()
        .await
        .unwrap();
}

async fn described(client: &DynamoClient) -> StoreDescription {
    describe(client).await.unwrap()
}
