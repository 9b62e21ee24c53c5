//! Tables for the tests.

use std::num::NonZeroU32;

use annals_core::time::Timestamp;
use annals_store_dynamodb::DynamoClient;
use annals_store_dynamodb::tables::CreateOptions;

/// Makes the tables of a store with `partitions` partitions.
pub(crate) async fn create(client: &DynamoClient, partitions: u32) {
    let partitions_count = NonZeroU32::new(partitions);
    let options = CreateOptions { partitions_count, now: Timestamp::from_ms(0) };
    annals_store_dynamodb::tables::create(client, options, &mut |_| {}).await.unwrap();
}
