//! Making the tables.

use std::num::NonZeroU32;

use annals_store_dynamodb::tables::{
    CreateOptions, Created, PARTITIONS_COUNT_MAX, StoreDescription, TableDescription, create,
    load_store_item, requests_of_create,
};
use annals_store_dynamodb::{StoreItem, TableError};
use aws_sdk_dynamodb::config::SharedHttpClient;

use super::recording::Recording;
use super::{DEFAULTS, NOW, described, make_other_table, make_tables, sdk};
use crate::support::emulator::{Emulator, RandomIds};

fn partitions(count: u32) -> CreateOptions {
    CreateOptions { partitions_count: NonZeroU32::new(count), now: NOW }
}

#[tokio::test]
async fn makes_both_tables_and_the_store() {
    // Guards a new installation: keys, billing, expiry, protection, and what the emulator does not
    // know is told.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    let mut told = Vec::new();
    let created = create(&client, DEFAULTS, &mut |text| told.push(text.to_owned())).await.unwrap();
    let warning =
        |table| format!("`{table}`: this service knows no point-in-time recovery, it is not on");
    let expected = Created {
        store: StoreItem {
            id: created.store.id,
            partitions_count: NonZeroU32::new(16).unwrap(),
            layout_version: 1,
        },
        made: vec!["annals-test-state".to_owned(), "annals-test-events".to_owned()],
        warnings: vec![warning("annals-test-state"), warning("annals-test-events")],
    };
    assert_eq!(created, expected);
    assert_eq!(told.first().map(String::as_str), Some("creating `annals-test-state`"));
    let table = |name: &str, items_count_about| TableDescription {
        name: name.to_owned(),
        status: "ACTIVE".to_owned(),
        fault: None,
        items_count_about,
        bytes_count_about: 0,
        billing: "PAY_PER_REQUEST".to_owned(),
        is_deletion_protected: true,
        ttl_attribute: Some("ttl".to_owned()),
        is_recoverable: None,
    };
    let mut found = described(&client).await;
    // How much the emulator counts is its own affair.
    found.events.as_mut().unwrap().bytes_count_about = 0;
    let expected = StoreDescription {
        events: Some(table("annals-test-events", 1)),
        state: Some(table("annals-test-state", 0)),
        store: Some(created.store),
    };
    assert_eq!(found, expected);
}

#[tokio::test]
async fn making_again_changes_nothing() {
    // Guards deployments that create at every start: the store stays the one that it is.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    let first = create(&client, partitions(4), &mut |_| {}).await.unwrap();
    let again = make_tables(&client).await;
    let expected = Created { store: first.store, made: Vec::new(), warnings: Vec::new() };
    assert_eq!(again, expected);
    assert_eq!(create(&client, partitions(4), &mut |_| {}).await.unwrap(), expected);
    assert_eq!(load_store_item(&client).await.unwrap(), first.store);
}

#[tokio::test]
async fn creators_at_once_agree_on_one_store() {
    // Guards two hosts that are installed at once.
    let emulator = Emulator::start().await;
    let (one, other) = (emulator.client().await, emulator.client().await);
    let (one, other) = tokio::join!(make_tables(&one), make_tables(&other));
    assert_eq!(one.store, other.store);
}

#[tokio::test]
async fn an_interrupted_creation_is_completed() {
    // Guards an operator who pressed Ctrl-C: a table that is made later has all that is set.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    let store = make_tables(&client).await.store;
    let sdk = sdk(&emulator);
    let state = client.state_table();
    sdk.update_table().table_name(state).deletion_protection_enabled(false).send().await.unwrap();
    sdk.delete_table().table_name(state).send().await.unwrap();
    let again = make_tables(&client).await;
    assert_eq!((again.store, again.made), (store, vec!["annals-test-state".to_owned()]));
    let found = described(&client).await.state.unwrap();
    assert_eq!(found.ttl_attribute, Some("ttl".to_owned()));
}

#[tokio::test]
async fn the_number_of_partitions_cannot_be_changed() {
    // Guards a store against an order of events that no host agrees on.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    let over = partitions(PARTITIONS_COUNT_MAX + 1);
    let refused = create(&client, over, &mut |_| {}).await.unwrap_err();
    assert_eq!(refused.to_string(), "1025 partitions are too many, at most 1024 are allowed");
    let planned = requests_of_create("annals-test", &RandomIds, over).unwrap_err();
    assert_eq!(planned.to_string(), refused.to_string());
    assert_eq!(described(&client).await.events, None);
    create(&client, partitions(PARTITIONS_COUNT_MAX), &mut |_| {}).await.unwrap();
    let refused = create(&client, partitions(16), &mut |_| {}).await.unwrap_err();
    assert_eq!(refused.to_string(), "the store has 1024 partitions, which cannot be changed to 16");
    let one = TableError::OtherPartitions { found: 1, wanted: 2 };
    assert_eq!(one.to_string(), "the store has 1 partition, which cannot be changed to 2");
}

#[tokio::test]
async fn a_table_of_another_shape_is_left_alone() {
    // Guards the table of somebody else with the same name.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_other_table(&emulator, client.events_table()).await;
    let refused = create(&client, DEFAULTS, &mut |_| {}).await.unwrap_err();
    assert!(matches!(refused, TableError::OtherShape { .. }));
    assert_eq!(
        refused.to_string(),
        "the table `annals-test-events` is not one of Annals: its keys are `id` (N), they must be \
         `pk` (S) and `sk` (S)"
    );
    let found = described(&client).await;
    assert_eq!(
        found.events.unwrap().fault,
        Some("its keys are `id` (N), they must be `pk` (S) and `sk` (S)".to_owned())
    );
    assert_eq!(found.store, None);
}

#[tokio::test]
async fn what_is_printed_is_what_is_sent() {
    // Guards `--dry-run`: operations and bodies, apart from the id that is drawn anew.
    let emulator = Emulator::start().await;
    let mut options = emulator.options();
    let recording = Recording::over(options.http_client.take().unwrap());
    options.http_client = Some(SharedHttpClient::new(recording.clone()));
    let client = emulator.client_with(options).await;
    let planned = requests_of_create("annals-test", &RandomIds, DEFAULTS).unwrap();
    let created = make_tables(&client).await;
    let mut planned: Vec<_> =
        planned.into_iter().map(|request| (request.operation.to_owned(), request.body)).collect();
    let id = aws_smithy_types::base64::encode(created.store.id.uuid().into_bytes());
    planned.last_mut().unwrap().1["Item"]["id"]["B"] = id.into();
    assert_eq!(recording.changes(), planned);
}
