//! A host over the drivers of DynamoDB, on an emulator in this process.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use annals_core::time::Timestamp;
use annals_store_dynamodb::tables::{CreateOptions, create};
use annals_store_dynamodb::{
    ChunkedBlobStore, DynamoClient, DynamoEventStore, DynamoOptions, DynamoStateStores,
};
use aws_sdk_dynamodb::config::Credentials;
use dynoxide::Database;
use tokio::net::TcpListener;
use tokio::task::LocalSet;
use tokio::time::timeout;

use super::{CountingIds, World, logs};

/// Longest that a test may take: its time is real, as an emulator does not wait for a clock.
const DEADLINE: Duration = Duration::from_secs(120);

/// Runs a test on one thread, as local tasks, with real time.
pub(crate) fn run_on_dynamodb<F: Future<Output = ()>>(test: impl FnOnce(World) -> F) {
    logs::install();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    LocalSet::new().block_on(&runtime, async {
        let world = world().await;
        timeout(DEADLINE, test(world)).await.unwrap();
    });
}

/// A world in four partitions. The emulator ends with the runtime of the test.
async fn world() -> World {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let database = Database::memory().unwrap();
    drop(tokio::spawn(dynoxide::server::serve_on(listener, database)));
    let options = DynamoOptions {
        region: Some("eu-central-1".to_owned()),
        endpoint: Some(endpoint),
        credentials: Some(Credentials::new("test", "test", None, None, "tests")),
        http_client: Some(aws_smithy_http_client::Builder::new().build_http()),
        ..DynamoOptions::new("test")
    };
    let ids = Arc::new(CountingIds::default());
    let client = DynamoClient::connect(options, ids).await.unwrap();
    let tables =
        CreateOptions { partitions_count: NonZeroU32::new(4), now: Timestamp::from_ms(1_000) };
    create(&client, tables, &mut |_| {}).await.unwrap();
    let states = DynamoStateStores::open(client.clone()).await.unwrap();
    let mut world = World::new();
    world.ports.blobs = Arc::new(ChunkedBlobStore::open(&states).await.unwrap());
    world.ports.states = Arc::new(states);
    world.ports.store = Arc::new(DynamoEventStore::open(client).await.unwrap());
    world
}
