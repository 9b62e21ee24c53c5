//! Deleting the tables.

use annals_store_dynamodb::TableError;
use annals_store_dynamodb::tables::{Deleted, delete, requests_of_delete};
use aws_sdk_dynamodb::config::SharedHttpClient;

use super::recording::Recording;
use super::{described, make_other_table, make_tables};
use crate::support::emulator::Emulator;

#[tokio::test]
async fn deletes_both_tables_and_what_was_printed_is_what_is_sent() {
    // Guards the end of an installation: protection is taken off first, `--dry-run` tells the truth,
    // and nothing is left.
    let emulator = Emulator::start().await;
    make_tables(&emulator.client().await).await;
    let mut options = emulator.options();
    let recording = Recording::over(options.http_client.take().unwrap());
    options.http_client = Some(SharedHttpClient::new(recording.clone()));
    let client = emulator.client_with(options).await;
    let planned: Vec<_> = requests_of_delete("annals-test")
        .into_iter()
        .map(|request| (request.operation.to_owned(), request.body))
        .collect();
    let deleted = delete(&client, &mut |_| {}).await.unwrap();
    let tables = ["annals-test-state", "annals-test-events"].map(str::to_owned).to_vec();
    assert_eq!(deleted, Deleted { tables });
    assert_eq!(recording.changes(), planned);
    let found = described(&client).await;
    assert_eq!((found.events, found.state, found.store), (None, None, None));
}

#[tokio::test]
async fn deleting_what_is_not_there_is_passed_over() {
    // Guards clean-up that runs twice.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    assert_eq!(delete(&client, &mut |_| {}).await.unwrap(), Deleted::default());
}

#[tokio::test]
async fn a_table_of_somebody_else_is_not_deleted() {
    // Guards a prefix that somebody else uses: neither table goes.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_other_table(&emulator, client.events_table()).await;
    let refused = delete(&client, &mut |_| {}).await.unwrap_err();
    assert!(matches!(refused, TableError::OtherShape { .. }), "{refused}");
    assert!(described(&client).await.events.is_some());
}
