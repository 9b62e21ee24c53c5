//! What operations cost: units of DynamoDB, as the emulator counts them.

use annals_core::port::state_store::{KeyRange, StateWrite};
use annals_store_dynamodb::{DynamoStateStores, Units};

use super::{TABLE, commit, condition, host, put, row};
use crate::support::emulator::Emulator;
use crate::tables::make_tables;

#[tokio::test]
async fn a_row_costs_half_of_a_transaction() {
    // Guards the bill: one request of one unit for a row, two units for each of many.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_tables(&client).await;
    let stores = DynamoStateStores::open(client.clone()).await.unwrap();
    let state = host(&stores).await;
    // Registers the table, once.
    commit(&*state, vec![], vec![put("a", "1")]).await.unwrap();
    let mut before = client.units();
    let mut cost = || {
        let units = client.units() - before;
        before = client.units();
        units
    };
    let of = |reads, writes, requests_count| Units { reads, writes, requests_count };

    commit(&*state, vec![], vec![put("a", "2")]).await.unwrap();
    assert_eq!(cost(), of(0.0, 1.0, 1), "one row");
    commit(&*state, vec![condition("a", Some("2"))], vec![put("a", "3")]).await.unwrap();
    assert_eq!(cost(), of(0.0, 1.0, 1), "one row with a condition");
    commit(&*state, vec![condition("a", Some("3"))], vec![]).await.unwrap();
    assert_eq!(cost(), of(1.0, 0.0, 1), "only a condition");
    commit(&*state, vec![condition("a", Some("3"))], vec![put("a", "4"), put("b", "1")])
        .await
        .unwrap();
    assert_eq!(cost(), of(0.0, 4.0, 1), "two rows");
    commit(&*state, vec![], vec![StateWrite::Add(row("b"), 1)]).await.unwrap();
    assert_eq!(cost(), of(1.0, 1.0, 2), "a counter");
    state.get(TABLE, b"a").await.unwrap();
    assert_eq!(cost(), of(1.0, 0.0, 1), "a read");
    state.get_many(&[row("a"), row("b"), row("a"), row("c")]).await.unwrap();
    assert_eq!(cost(), of(3.0, 0.0, 1), "a read of many");
    state.scan(TABLE, KeyRange::default(), 10).await.unwrap();
    assert_eq!(cost(), of(1.0, 0.0, 1), "a scan");
    commit(&*state, vec![], vec![]).await.unwrap();
    assert_eq!(cost(), of(0.0, 0.0, 0), "nothing");
}

#[tokio::test]
async fn reads_more_than_one_answer_holds() {
    // Guards lookups of large rows: the service answers at most 16 MB at once and leaves the rest.
    let emulator = Emulator::start().await;
    let client = emulator.client().await;
    make_tables(&client).await;
    let stores = DynamoStateStores::open(client.clone()).await.unwrap();
    let state = host(&stores).await;
    let value = "v".repeat(annals_core::limits::ROW_BYTES_MAX);
    let names: Vec<&'static str> = (0..70).map(|n| &*format!("{n:02}").leak()).collect();
    for name in &names {
        commit(&*state, vec![], vec![put(name, &value)]).await.unwrap();
    }
    let before = client.units();
    let keys: Vec<_> = names.iter().map(|name| row(name)).collect();
    let found = state.get_many(&keys).await.unwrap();
    assert!(found.iter().all(|found| found.as_deref() == Some(value.as_bytes())));
    assert_eq!(found.len(), 70);
    assert_eq!((client.units() - before).requests_count, 2);
}
