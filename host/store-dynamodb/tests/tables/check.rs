//! What a host says at its start.

use std::sync::Arc;

use annals_store_dynamodb::tables::{check, create_command};
use annals_store_dynamodb::{DynamoOptions, TableError};
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;

use super::{make_other_table, make_tables, sdk};
use crate::support::emulator::Emulator;
use crate::support::faults::{Fault, Seen, http_with};

/// Sets an attribute of the item of the store.
async fn set(emulator: &Emulator, table: &str, name: &str, value: AttributeValue) {
    sdk(emulator)
        .update_item()
        .table_name(table)
        .key("pk", AttributeValue::S("m".to_owned()))
        .key("sk", AttributeValue::S("store".to_owned()))
        .update_expression("SET #n = :v")
        .expression_attribute_names("#n", name)
        .expression_attribute_values(":v", value)
        .send()
        .await
        .unwrap();
}

#[tokio::test]
async fn tables_that_can_be_used_give_their_store() {
    // Guards the start of a host.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    let store = make_tables(&client).await.store;
    assert_eq!(check(&client).await.unwrap(), store);
}

#[tokio::test]
async fn a_missing_table_is_named_with_the_command_that_makes_it() {
    // Guards the first start of a newcomer.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    let refused = check(&client).await.unwrap_err();
    let expected = format!(
        "there is no table `annals-test-events`: make it with `ANNALS_DYNAMODB_REGION=eu-central-1 \
         ANNALS_DYNAMODB_ENDPOINT={} annals store create --driver dynamodb --prefix annals-test`",
        emulator.endpoint
    );
    assert_eq!(refused.to_string(), expected);
}

#[test]
fn the_command_that_makes_tables_names_what_the_settings_name() {
    // Guards the shell of whoever pastes it: region and endpoint, where the settings have some.
    let mut options = DynamoOptions::new("shop");
    assert_eq!(create_command(&options), "annals store create --driver dynamodb --prefix shop");
    options.endpoint = Some("http://[::1]:8000/?a='b'&c".to_owned());
    assert_eq!(
        create_command(&options),
        r"ANNALS_DYNAMODB_ENDPOINT='http://[::1]:8000/?a='\''b'\''&c' annals store create --driver dynamodb --prefix shop"
    );
}

#[tokio::test]
async fn a_table_of_another_shape_is_told_with_the_difference() {
    // Guards a prefix that somebody else uses.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_other_table(&emulator, client.events_table()).await;
    let refused = check(&client).await.unwrap_err();
    assert!(matches!(refused, TableError::OtherShape { .. }), "{refused}");
}

#[tokio::test]
async fn a_store_that_was_not_finished_is_told() {
    // Guards tables that Terraform made: the store in them is made by `annals store create`.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_tables(&client).await;
    sdk(&emulator)
        .delete_item()
        .table_name(client.events_table())
        .key("pk", AttributeValue::S("m".to_owned()))
        .key("sk", AttributeValue::S("store".to_owned()))
        .send()
        .await
        .unwrap();
    let refused = check(&client).await.unwrap_err();
    assert!(matches!(refused, TableError::Unfinished { .. }), "{refused}");
    let made = make_tables(&client).await;
    assert_eq!(made.made, Vec::<String>::new());
    assert_eq!(check(&client).await.unwrap(), made.store);
}

#[tokio::test]
async fn an_item_of_another_version_is_not_served() {
    // Guards a store that a later version wrote, and one that something else wrote.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_tables(&client).await;
    let table = client.events_table();
    set(&emulator, table, "v", AttributeValue::N("2".to_owned())).await;
    let refused = check(&client).await.unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the items of table `annals-test-events` have layout 2, this version knows layout 1"
    );
    set(&emulator, table, "v", AttributeValue::N("1".to_owned())).await;
    let damages = [
        ("p", AttributeValue::N("0".to_owned())),
        ("p", AttributeValue::N("1025".to_owned())),
        ("id", AttributeValue::B(Blob::new([1, 2]))),
        ("v", AttributeValue::S("1".to_owned())),
    ];
    for (name, value) in damages {
        set(&emulator, table, name, value).await;
        let refused = check(&client).await.unwrap_err();
        assert!(matches!(refused, TableError::Damaged(_)), "{refused}");
    }
}

#[tokio::test]
async fn a_service_that_does_not_answer_is_told() {
    // Guards a wrong endpoint: an error within the time that is set, and no wait without end.
    let emulator = Emulator::start().await;
    let mut options = emulator.options();
    options.endpoint = Some("http://127.0.0.1:1".to_owned());
    options.operation_wait_max = std::time::Duration::from_millis(50);
    let client = emulator.client_with(options.clone()).await;
    let refused = check(&client).await.unwrap_err();
    assert!(matches!(refused, TableError::Unavailable(_)), "{refused}");
    let cause = annals_core::error::ErrorChain(&refused).to_string();
    let expected =
        "DynamoDB did not describe a table: no answer from DynamoDB at http://127.0.0.1:1: ";
    assert!(cause.contains(expected), "{cause}");

    // Without an endpoint the region is named. Nothing leaves this machine.
    options.endpoint = None;
    options.http_client = Some(http_with(Arc::new(|_: &Seen| Fault::Refused)));
    let client = emulator.client_with(options).await;
    assert_eq!((client.region(), client.endpoint()), ("eu-central-1", None));
    let refused = check(&client).await.unwrap_err();
    let cause = annals_core::error::ErrorChain(&refused).to_string();
    let expected =
        "DynamoDB did not describe a table: no answer from DynamoDB in region eu-central-1: ";
    assert!(cause.contains(expected), "{cause}");
}
