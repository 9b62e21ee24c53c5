//! How many events of each kind there are: the feeds, added up. What was added up once is kept in an
//! item, so that the next time only what came later is read. Deleting it costs time only.
//!
//! ```text
//! f  where the feed goes on     c  counts: c category · t type@schema*count
//! ```

use std::collections::BTreeMap;
use std::sync::Arc;

use annals_core::event::SchemaVersion;
use annals_core::name::EventType;
use annals_core::place::Partition;
use annals_core::port::event_store::{EventTypeCount, ReadError};
use aws_sdk_dynamodb::types::AttributeValue;

use super::event::put;
use super::feed::FeedItems;
use super::feed_item::TypeRun;
use super::fields::{Fault, Fields, Item, shared, text};
use super::key::{self, Place};
use super::query;
use super::size;
use super::store::Shared;

/// Fewer feed items are read again rather than kept.
const ITEMS_WORTH_KEEPING: u64 = 1_000;

/// Largest item of counts, in bytes. More are not kept, and added up again after each start.
const COUNTS_BYTES_MAX: usize = 350_000;

type Kind = (Arc<str>, EventType, SchemaVersion);

/// The events of a feed before a place.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct FeedCounts {
    is_loaded: bool,
    place: Place,
    kinds: BTreeMap<Kind, u64>,
    unkept_items: u64,
}

impl Shared {
    /// The counts of all feeds.
    pub(super) async fn count_event_types(&self) -> Result<Vec<EventTypeCount>, ReadError> {
        let mut sums: BTreeMap<Kind, u64> = BTreeMap::new();
        for partition in (0..self.capabilities.partitions_count).map(Partition) {
            let index = usize::try_from(partition.0).unwrap_or(usize::MAX);
            let Some(counts) = self.counts.get(index) else { continue };
            let mut counts = counts.lock().await;
            self.bring_up_to_date(partition, &mut counts).await?;
            for (kind, count) in &counts.kinds {
                *sums.entry(kind.clone()).or_default() += count;
            }
        }
        let counts = sums.into_iter().map(|((category, event_type, schema_version), count)| {
            EventTypeCount { category, event_type, schema_version, events_count: count }
        });
        Ok(counts.collect())
    }

    async fn bring_up_to_date(
        &self,
        partition: Partition,
        counts: &mut FeedCounts,
    ) -> Result<(), ReadError> {
        if !counts.is_loaded {
            *counts = self.load_counts(partition).await?;
        }
        let mut items = FeedItems::from(self, partition, counts.place);
        loop {
            let (read, has_more) = items.page().await?;
            for item in &read {
                for span in item.entries.iter().flat_map(|entry| &entry.spans) {
                    let category: Arc<str> = Arc::from(span.stream.category());
                    for run in &span.types {
                        let kind =
                            (Arc::clone(&category), run.event_type.clone(), run.schema_version);
                        *counts.kinds.entry(kind).or_default() += run.count;
                    }
                }
                counts.place = item.next_place();
                counts.unkept_items += 1;
            }
            if counts.unkept_items >= ITEMS_WORTH_KEEPING {
                self.keep_counts(partition, counts).await;
            }
            if !has_more {
                return Ok(());
            }
        }
    }

    async fn load_counts(&self, partition: Partition) -> Result<FeedCounts, ReadError> {
        let pk = key::counts(self.namespace());
        let found = query::get(&self.client, &pk, &partition.to_string()).await?;
        // Counts that cannot be read are added up again.
        let read = found.and_then(|item| read(Fields(&item)).ok());
        Ok(FeedCounts { is_loaded: true, ..read.unwrap_or_default() })
    }

    /// Keeps counts, unless newer ones are kept. A failure costs time only.
    async fn keep_counts(&self, partition: Partition, counts: &mut FeedCounts) {
        let mut item = write(counts);
        put(&mut item, "pk", Some(text(&key::counts(self.namespace()))));
        put(&mut item, "sk", Some(text(&partition.to_string())));
        counts.unkept_items = 0;
        if size::of_item(&item) > COUNTS_BYTES_MAX {
            return;
        }
        let request = self
            .client
            .sdk()
            .put_item()
            .table_name(self.client.events_table())
            .set_item(Some(item))
            .condition_expression("attribute_not_exists(pk) OR f < :f")
            .expression_attribute_values(":f", text(&counts.place.sort_key()))
            .return_consumed_capacity(aws_sdk_dynamodb::types::ReturnConsumedCapacity::Total);
        match self.client.call("keep counts", move || request.clone().send()).await {
            Ok(answer) => self.client.meter().write(answer.consumed_capacity.as_slice()),
            Err(crate::client::Failed::Refused { .. }) => {}
            Err(failed) => {
                let error = failed.into_driver_error();
                tracing::warn!(%partition, error = %crate::client::reads_as_text(&error), "counts not kept");
            }
        }
    }
}

fn write(counts: &FeedCounts) -> Item {
    let kind = |((category, event_type, schema_version), count): (&Kind, &u64)| {
        let run = TypeRun {
            event_type: event_type.clone(),
            schema_version: *schema_version,
            count: *count,
        };
        let mut item = Item::new();
        put(&mut item, "c", Some(text(category)));
        put(&mut item, "t", Some(text(&run.write())));
        AttributeValue::M(item)
    };
    let mut item = Item::new();
    put(&mut item, "f", Some(text(&counts.place.sort_key())));
    put(&mut item, "c", Some(AttributeValue::L(counts.kinds.iter().map(kind).collect())));
    item
}

fn read(fields: Fields<'_>) -> Result<FeedCounts, Fault> {
    let place = Place::parse(fields.text("f")?).ok_or_else(|| Fault::new("f", "is not a place"))?;
    let mut kinds = BTreeMap::new();
    for kind in fields.maps("c")? {
        let run = TypeRun::read(kind.text("t")?);
        let run = run.ok_or_else(|| Fault::new("t", "is not a kind of event"))?;
        kinds.insert((shared(kind.text("c")?), run.event_type, run.schema_version), run.count);
    }
    Ok(FeedCounts { is_loaded: true, place, kinds, unkept_items: 0 })
}
