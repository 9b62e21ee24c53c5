//! The JSON of subscriptions.

use annals_core::name::{Category, EventType};
use annals_core::place::{Partition, Position};
use annals_engine::subscription::{
    Delivery, MemberStatus, ParkedEvent, PartitionStatus, Settings, Settled, Start,
    SubscriptionFilter, SubscriptionStatus,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::event::{EventJson, Time};
use crate::problem::{Code, Problem};

/// What a subscription is; it cannot be changed later.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubscriptionSettings)]
pub(crate) struct SettingsBody {
    /// Which events it has; all but the host's own when absent.
    #[serde(default)]
    filter: FilterJson,
    /// Where it begins: `beginning`, `now`, or after a position of each partition that is named;
    /// `beginning` when absent.
    start: Option<StartJson>,
    /// How long a member has for a delivery unless it says otherwise, in milliseconds; 30000 when
    /// absent.
    lease_ms: Option<u64>,
    /// How often an event is delivered before it is parked; 5 when absent.
    attempts_max: Option<u32>,
    /// Most events that were read and are not handled; 1000, which is the most, when absent.
    in_flight_events_max: Option<u32>,
}

/// Which events a subscription has; all conditions must hold.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubscriptionFilter)]
pub(crate) struct FilterJson {
    /// Only these categories.
    #[serde(skip_serializing_if = "Option::is_none")]
    categories: Option<Vec<String>>,
    /// Only these event types.
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<Vec<String>>,
    /// Only streams whose `category/id` starts with this.
    #[serde(skip_serializing_if = "Option::is_none")]
    stream_prefix: Option<String>,
}

/// Where a subscription begins.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(untagged)]
#[schema(as = SubscriptionStart)]
pub(crate) enum StartJson {
    /// `beginning` or `now`.
    Word(String),
    /// After these positions (exclusive); partitions that are not named from their beginning.
    After(Vec<StartPlaceJson>),
}

/// A position after which a subscription begins.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = SubscriptionStartPlace)]
pub(crate) struct StartPlaceJson {
    /// The partition.
    partition: u32,
    /// The position of the last event that is not wanted.
    position: u64,
}

impl SettingsBody {
    pub(crate) fn into_settings(self) -> Result<Settings, Problem> {
        let defaults = Settings::default();
        let FilterJson { categories, types, stream_prefix } = self.filter;
        let categories = categories
            .map(|names| names.iter().map(|name| Category::parse_any(name)).collect())
            .transpose()?;
        let event_types = types
            .map(|names| names.iter().map(|name| EventType::new(name)).collect())
            .transpose()?;
        Ok(Settings {
            filter: SubscriptionFilter {
                categories,
                event_types,
                stream_prefix: stream_prefix.map(Into::into),
            },
            start: self.start.map_or(Ok(defaults.start), StartJson::into_start)?,
            lease_ms: self.lease_ms.unwrap_or(defaults.lease_ms),
            attempts_max: self.attempts_max.unwrap_or(defaults.attempts_max),
            in_flight_events_max: self
                .in_flight_events_max
                .unwrap_or(defaults.in_flight_events_max),
        })
    }
}

impl StartJson {
    fn into_start(self) -> Result<Start, Problem> {
        match self {
            Self::Word(word) if word == "beginning" => Ok(Start::Beginning),
            Self::Word(word) if word == "now" => Ok(Start::Now),
            Self::Word(_) => Err(Problem::new(
                Code::MalformedBody,
                "`start` is none of what it can be. Give `beginning`, `now`, or a list of \
                 `{\"partition\": 0, \"position\": 41}`.",
            )
            .with("field", "start")),
            Self::After(places) => Ok(Start::After(
                places
                    .into_iter()
                    .map(|place| (Partition(place.partition), Position::new(place.position)))
                    .collect(),
            )),
        }
    }

    fn new(start: &Start) -> Self {
        match start {
            Start::Beginning => Self::Word("beginning".to_owned()),
            Start::Now => Self::Word("now".to_owned()),
            Start::After(places) => Self::After(
                places
                    .iter()
                    .map(|(partition, position)| StartPlaceJson {
                        partition: partition.0,
                        position: position.get(),
                    })
                    .collect(),
            ),
        }
    }
}

/// The subscriptions.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscriptions)]
pub(crate) struct SubscriptionsJson {
    /// In order of name.
    pub(crate) subscriptions: Vec<SubscriptionJson>,
}

/// A subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Subscription)]
pub(crate) struct SubscriptionJson {
    /// Its name.
    name: String,
    /// Which events it has.
    filter: FilterJson,
    /// Where it began.
    start: StartJson,
    /// How long a member has for a delivery, in milliseconds.
    lease_ms: u64,
    /// How often an event is delivered before it is parked.
    attempts_max: u32,
    /// Most events that were read and are not handled.
    in_flight_events_max: u32,
    /// When it was made (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    created_at: Time,
    /// How far it is, in order of partition.
    partitions: Vec<SubscriptionPartitionJson>,
    /// How many events are after the checkpoints, whatever the filter says of them.
    lag_events: u64,
    /// How many events were read and are not handled.
    in_flight_count: usize,
    /// How many of them members have.
    leased_count: usize,
    /// How many events are parked; what waits behind them is not counted.
    parked_count: u64,
    /// How many streams were released from parking and are not read again to their end.
    released_streams_count: u64,
    /// Deliveries since it was made.
    delivered_count: u64,
    /// Those of them that were not the first of their event.
    redelivered_count: u64,
    /// Events that members acknowledged.
    handled_count: u64,
    /// Who was given events, in order of name.
    members: Vec<MemberJson>,
}

/// How far a subscription is in a partition of the feed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionPartition)]
pub(crate) struct SubscriptionPartitionJson {
    /// The partition.
    partition: u32,
    /// Every event of it up to here (inclusive) is handled, parked, or not for this subscription; null
    /// before the first.
    checkpoint: Option<u64>,
    /// The position of its newest event; null when there is none.
    head: Option<u64>,
}

/// A member of a subscription.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SubscriptionMember)]
pub(crate) struct MemberJson {
    /// Its name.
    member: String,
    /// How many events it has.
    leased_count: usize,
    /// When it was last given events (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    leased_at: Time,
}

impl SubscriptionJson {
    pub(crate) fn new(status: &SubscriptionStatus) -> Self {
        let Settings { filter, start, lease_ms, attempts_max, in_flight_events_max } =
            &status.settings;
        let partition = |place: &PartitionStatus| SubscriptionPartitionJson {
            partition: place.partition.0,
            checkpoint: place.checkpoint.map(Position::get),
            head: place.head.map(Position::get),
        };
        let member = |member: &MemberStatus| MemberJson {
            member: member.name.to_string(),
            leased_count: member.leased_count,
            leased_at: Time(member.leased_at),
        };
        let texts = |names: &mut dyn Iterator<Item = &str>| names.map(ToOwned::to_owned).collect();
        Self {
            name: status.name.to_string(),
            filter: FilterJson {
                categories: filter
                    .categories
                    .as_ref()
                    .map(|names| texts(&mut names.iter().map(Category::as_str))),
                types: filter
                    .event_types
                    .as_ref()
                    .map(|names| texts(&mut names.iter().map(EventType::as_str))),
                stream_prefix: filter.stream_prefix.as_deref().map(ToOwned::to_owned),
            },
            start: StartJson::new(start),
            lease_ms: *lease_ms,
            attempts_max: *attempts_max,
            in_flight_events_max: *in_flight_events_max,
            created_at: Time(status.created_at),
            partitions: status.partitions.iter().map(partition).collect(),
            lag_events: status.lag_events,
            in_flight_count: status.in_flight_count,
            leased_count: status.leased_count,
            parked_count: status.parked_count,
            released_streams_count: status.released_streams_count,
            delivered_count: status.delivered_count,
            redelivered_count: status.redelivered_count,
            handled_count: status.handled_count,
            members: status.members.iter().map(member).collect(),
        }
    }
}

/// What was deleted.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DeletedSubscription)]
pub(crate) struct DeletedJson {
    /// The name, which is free now.
    pub(crate) name: String,
}

/// Events for a member.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Deliveries)]
pub(crate) struct DeliveriesJson<'a> {
    /// Those of a stream in order; empty when there was none.
    pub(crate) deliveries: Vec<DeliveryJson<'a>>,
}

/// An event for a member.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Delivery)]
pub(crate) struct DeliveryJson<'a> {
    /// What it is acknowledged by: to be passed on as it is.
    delivery: String,
    /// The how many-th delivery of the event it is, from 1.
    attempt: u32,
    /// From then on others may be given it (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    leased_until: Time,
    /// The event.
    event: EventJson<'a>,
}

impl<'a> DeliveryJson<'a> {
    pub(crate) fn new(delivery: &'a Delivery) -> Self {
        Self {
            delivery: delivery.id.to_string(),
            attempt: delivery.attempt,
            leased_until: Time(delivery.leased_until),
            event: EventJson::new(&delivery.event),
        }
    }
}

/// What became of deliveries.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettledDeliveries)]
pub(crate) struct SettledJson<'a> {
    /// In the order in which they were named.
    pub(crate) results: Vec<SettledDeliveryJson<'a>>,
}

/// What became of a delivery.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = SettledDelivery)]
pub(crate) struct SettledDeliveryJson<'a> {
    /// The delivery.
    delivery: &'a str,
    /// `done`; `unknown`: the event is handled or parked already, or this member was not given it;
    /// `expired`: the event was taken back since. Only `done` changed anything.
    outcome: &'static str,
}

impl<'a> SettledDeliveryJson<'a> {
    pub(crate) fn new(delivery: &'a str, settled: Settled) -> Self {
        let outcome = match settled {
            Settled::Done => "done",
            Settled::Unknown => "unknown",
            Settled::Expired => "expired",
        };
        Self { delivery, outcome }
    }
}

/// Some parked events.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParkedEvents)]
pub(crate) struct ParkedEventsJson {
    /// In order of stream and revision.
    pub(crate) parked: Vec<ParkedEventJson>,
    /// The `page` of the next page; null when this is the last.
    pub(crate) next_page: Option<String>,
}

/// An event that is parked, or waits behind one that is.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ParkedEvent)]
pub(crate) struct ParkedEventJson {
    /// Its stream, as `category/id`.
    stream: String,
    /// Its partition of the feed.
    partition: u32,
    /// Its place in the partition.
    position: u64,
    /// Its id.
    event_id: String,
    /// What happened.
    event_type: String,
    /// Its place in the stream.
    revision: u64,
    /// Why it is parked; null when it waits.
    cause: Option<String>,
    /// How often it was delivered before it was parked; 0 when it waits.
    attempts: u32,
    /// When it was parked (RFC 3339); null when it waits.
    #[schema(value_type = Option<String>, format = "date-time")]
    parked_at: Option<Time>,
    /// Whether it waits behind the parked event of its stream.
    waiting: bool,
}

impl ParkedEventJson {
    pub(crate) fn new(parked: &ParkedEvent) -> Self {
        let ParkedEvent { event, parked: place } = parked;
        Self {
            stream: event.stream.to_string(),
            partition: event.partition.0,
            position: event.position.get(),
            event_id: event.id.to_string(),
            event_type: event.event_type.to_string(),
            revision: event.revision.get(),
            cause: place.as_ref().map(|place| place.cause.to_string()),
            attempts: place.as_ref().map_or(0, |place| place.attempts),
            parked_at: place.as_ref().map(|place| Time(place.parked_at)),
            waiting: place.is_none(),
        }
    }
}

/// What was released.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = ReleasedStreams)]
pub(crate) struct ReleasedJson {
    /// How many streams go on.
    pub(crate) streams_count: u64,
}
