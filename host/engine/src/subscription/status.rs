//! What can be seen of a subscription.

use annals_core::name::SubscriptionName;
use annals_core::place::{Partition, Position};
use annals_core::time::Timestamp;

use super::names::MemberName;
use super::record::{Member, Record};
use super::settings::Settings;
use super::window::{Entry, Holding};

/// How a subscription is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubscriptionStatus {
    /// Its name.
    pub name: SubscriptionName,
    /// As it was made.
    pub settings: Settings,
    /// When it was made.
    pub created_at: Timestamp,
    /// How far it is, in order of partition.
    pub partitions: Vec<PartitionStatus>,
    /// How many events are after the checkpoints, whatever the filter says of them.
    pub lag_events: u64,
    /// How many events were read and are not handled.
    pub in_flight_count: usize,
    /// How many of them members have.
    pub leased_count: usize,
    /// How many events are parked, each with what waits behind it.
    pub parked_count: u64,
    /// How many streams are released from parking and still to be read again.
    pub released_streams_count: u64,
    /// Deliveries since it was made.
    pub delivered_count: u64,
    /// Those of them that were not the first of their event.
    pub redelivered_count: u64,
    /// Events that members acknowledged.
    pub handled_count: u64,
    /// Who took deliveries, in order of name.
    pub members: Vec<MemberStatus>,
}

/// How far a subscription is in a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PartitionStatus {
    /// The partition.
    pub partition: Partition,
    /// Every event up to here (inclusive) is handled or parked, or not for this subscription.
    pub checkpoint: Option<Position>,
    /// The newest event.
    pub head: Option<Position>,
}

/// A member as it was last seen.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MemberStatus {
    /// Its name.
    pub name: MemberName,
    /// How many events it has.
    pub leased_count: usize,
    /// When it was last given events.
    pub leased_at: Timestamp,
}

/// How a subscription is, with the head of each partition.
pub(super) fn status_of(
    name: SubscriptionName,
    record: Record,
    heads: &[Option<Position>],
) -> SubscriptionStatus {
    let place = |(partition, head): (Partition, &Option<Position>)| PartitionStatus {
        partition,
        checkpoint: record.checkpoint(partition),
        head: *head,
    };
    let partitions: Vec<_> = (0..).map(Partition).zip(heads).map(place).collect();
    let lags = partitions.iter().map(|place| events_between(place.checkpoint, place.head));
    let lag_events = lags.fold(0_u64, u64::saturating_add);
    let is_leased = |entry: &&Entry| matches!(entry.holding, Holding::Leased { .. });
    let mut members: Vec<_> = record.members.iter().collect();
    members.sort_by(|one, other| one.name.cmp(&other.name));
    let member = |member: &Member| MemberStatus {
        name: member.name.clone(),
        leased_count: record.window.held_count(member.number),
        leased_at: member.leased_at,
    };
    SubscriptionStatus {
        name,
        created_at: record.created_at,
        partitions,
        lag_events,
        in_flight_count: record.window.len(),
        leased_count: record.window.iter().filter(is_leased).count(),
        parked_count: record.parked_streams_count,
        released_streams_count: record.released_streams_count,
        delivered_count: record.counts.delivered,
        redelivered_count: record.counts.redelivered,
        handled_count: record.counts.handled,
        members: members.into_iter().map(member).collect(),
        settings: record.settings,
    }
}

/// How many events are after one place and up to another. Positions have no hole, so the difference
/// counts them.
pub(super) fn events_between(from: Option<Position>, to: Option<Position>) -> u64 {
    let count = |place: Option<Position>| place.map_or(0, |it| it.get().saturating_add(1));
    count(to).saturating_sub(count(from))
}
