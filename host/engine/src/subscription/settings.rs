//! What is said about a subscription when it is made, and never changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use annals_core::name::{Category, EventType};
use annals_core::place::{Partition, Position};
use annals_core::port::event_store::FeedFilter;
use serde::{Deserialize, Serialize};

use super::error::SubscriptionError;
use super::limits::SubscriptionLimits;

/// What a subscription is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settings {
    /// Which events it has.
    pub filter: SubscriptionFilter,
    /// Where it begins.
    pub start: Start,
    /// How long a member has for a delivery unless it says otherwise, in milliseconds.
    pub lease_ms: u64,
    /// How often an event is delivered before it is parked.
    pub attempts_max: u32,
    /// Most events that were read and are not handled; nothing is read beyond.
    pub in_flight_events_max: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            filter: SubscriptionFilter::default(),
            start: Start::Beginning,
            lease_ms: 30_000,
            attempts_max: 5,
            in_flight_events_max: 1_000,
        }
    }
}

/// Which events a subscription has. Each condition that is `None` lets everything through; all must
/// hold.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct SubscriptionFilter {
    /// Only these categories. `None`: all but the host's own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub categories: Option<BTreeSet<Category>>,
    /// Only these event types.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_types: Option<BTreeSet<EventType>>,
    /// Only streams whose id (`category/id`) starts with this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stream_prefix: Option<Arc<str>>,
}

impl SubscriptionFilter {
    /// The same for the feed.
    pub(super) fn for_feed(&self) -> FeedFilter {
        FeedFilter {
            categories: self.categories.as_ref().map(|categories| {
                categories.iter().map(|category| Arc::from(category.as_str())).collect()
            }),
            event_types: self.event_types.as_ref().map(|types| types.iter().cloned().collect()),
            stream_prefix: self.stream_prefix.clone(),
        }
    }
}

/// Where a subscription begins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Start {
    /// With the first event there is.
    Beginning,
    /// With what is recorded after it was made.
    Now,
    /// After these positions (exclusive); partitions that are not named from their beginning.
    After(Vec<(Partition, Position)>),
}

impl Start {
    /// Up to where a partition counts as read.
    pub(super) fn of(
        &self,
        partition: Partition,
        head: Option<Position>,
    ) -> Result<Option<Position>, SubscriptionError> {
        let places = match self {
            Self::Beginning => return Ok(None),
            Self::Now => return Ok(head),
            Self::After(places) => places,
        };
        let named = places.iter().find(|(named, _)| *named == partition);
        let position = named.map(|(_, position)| *position);
        if position > head {
            let fault = format!(
                "names a position of partition {partition} where nothing is recorded yet: give one \
                 that an event has, or `now`"
            );
            return Err(SubscriptionError::Invalid { field: "start", fault });
        }
        Ok(position)
    }
}

impl Settings {
    /// Checks every setting against its range.
    pub(super) fn check(
        &self,
        limits: &SubscriptionLimits,
        partitions_count: u32,
    ) -> Result<(), SubscriptionError> {
        let SubscriptionFilter { categories, event_types, stream_prefix } = &self.filter;
        let names = |names: Option<usize>| names.unwrap_or(1);
        in_range(
            "categories",
            names(categories.as_ref().map(BTreeSet::len)),
            1,
            limits.filter_names_max,
        )?;
        in_range(
            "types",
            names(event_types.as_ref().map(BTreeSet::len)),
            1,
            limits.filter_names_max,
        )?;
        let prefix_bytes = stream_prefix.as_ref().map_or(0, |prefix| prefix.len());
        in_range("stream_prefix", prefix_bytes, 0, limits.prefix_bytes_max)?;
        in_range("lease_ms", self.lease_ms, limits.lease_ms_min, limits.lease_ms_max)?;
        in_range("attempts_max", self.attempts_max, 1, limits.attempts_max)?;
        in_range(
            "in_flight_events_max",
            self.in_flight_events_max,
            1,
            limits.in_flight_events_max,
        )?;
        let Start::After(places) = &self.start else { return Ok(()) };
        let mut seen = BTreeSet::new();
        for (partition, _) in places {
            let fault = match (partition.0 < partitions_count, seen.insert(*partition)) {
                (true, true) => continue,
                (true, false) => format!("names partition {partition} twice: name it once"),
                (false, _) => format!(
                    "names partition {partition}: the store has those from 0 to {}",
                    partitions_count.saturating_sub(1)
                ),
            };
            return Err(SubscriptionError::Invalid { field: "start", fault });
        }
        Ok(())
    }

    /// The settings that are not the same.
    pub(super) fn differences(&self, other: &Self) -> Vec<&'static str> {
        let fields = [
            ("filter", self.filter == other.filter),
            ("start", self.start == other.start),
            ("lease_ms", self.lease_ms == other.lease_ms),
            ("attempts_max", self.attempts_max == other.attempts_max),
            ("in_flight_events_max", self.in_flight_events_max == other.in_flight_events_max),
        ];
        fields.iter().filter(|(_, is_same)| !is_same).map(|(field, _)| *field).collect()
    }
}

/// Checks that a number is in its range (both inclusive).
pub(super) fn in_range<N: PartialOrd + std::fmt::Display>(
    field: &'static str,
    number: N,
    min: N,
    max: N,
) -> Result<(), SubscriptionError> {
    if min <= number && number <= max {
        return Ok(());
    }
    let fault = match field {
        "categories" | "types" | "deliveries" => {
            format!("has {number} entries: give {min} to {max}")
        }
        "stream_prefix" => format!("has {number} bytes: give at most {max}"),
        _ => format!("is {number}: give a number from {min} to {max}"),
    };
    Err(SubscriptionError::Invalid { field, fault })
}
