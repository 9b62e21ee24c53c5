//! Leases: events are given to a member, which is recorded before it is told, or it waits for some.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use annals_core::error::{DriverError, ErrorChain};
use annals_core::event::RecordedEvent;
use annals_core::name::SubscriptionName;
use annals_core::place::{Partition, Position};
use annals_core::port::event_store::{Direction, ReadError};
use annals_core::time::Timestamp;
use futures_util::FutureExt as _;
use futures_util::future::select_all;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, sleep_until, timeout_at};
use tracing::warn;

use super::Subscriptions;
use super::draft::Draft;
use super::error::SubscriptionError;
use super::fill::Filling;
use super::hub::Shared;
use super::names::{DeliveryId, MemberName};
use super::record::{Member, Record};
use super::settings::in_range;
use super::window::Holding;

/// What a member asks for.
#[derive(Debug, Clone)]
pub struct LeaseRequest {
    /// Who asks. What it still has of earlier leases is taken back: it acknowledges before it asks for
    /// more, and of two of one name the newer one goes on.
    pub member: MemberName,
    /// Most events it takes.
    pub events_max: usize,
    /// How long it waits for one when there is none.
    pub wait: Duration,
    /// How long it has for them, in milliseconds; `None`: as the subscription says.
    pub lease_ms: Option<u64>,
}

/// An event for a member.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// What it is acknowledged by.
    pub id: DeliveryId,
    /// The how many-th delivery of the event it is, from 1.
    pub attempt: u32,
    /// The event.
    pub event: RecordedEvent,
    /// From then on others may be given it.
    pub leased_until: Timestamp,
}

/// What a try to take events led to.
enum Taken {
    Deliveries(Vec<Delivery>),
    Nothing(Idle),
    /// A newer call of the same member was given events.
    Fenced,
}

/// What there is to wait for.
struct Idle {
    places: Vec<Option<Position>>,
    next_end_ms: Option<u64>,
    is_full: bool,
    /// Whether there is more to do at once.
    goes_on: bool,
}

/// A call of a member, over its tries.
struct Call<'a> {
    name: &'a SubscriptionName,
    request: &'a LeaseRequest,
    /// The member's newest lease when the call began.
    seen: Option<u64>,
    /// Whether no other try follows.
    is_last: bool,
}

type Place = (Partition, Position);

impl Subscriptions {
    /// Gives events to a member, each with all earlier ones of its stream handled or among them; waits
    /// for one when there is none. Each delivery is counted durably before this returns: a crash of
    /// the member, or of this host, is an attempt.
    ///
    /// # Errors
    /// - [`SubscriptionError::Unknown`], also when it is deleted while this waits.
    /// - [`SubscriptionError::Invalid`]: a number is out of its range.
    /// - [`SubscriptionError::TooManyMembers`], [`SubscriptionError::Contended`],
    ///   [`SubscriptionError::State`], [`SubscriptionError::Store`].
    pub async fn lease(
        &self,
        name: &SubscriptionName,
        request: LeaseRequest,
    ) -> Result<Vec<Delivery>, SubscriptionError> {
        let limits = &self.ports.limits;
        in_range("events_max", request.events_max, 1, limits.lease_events_max)?;
        if let Some(lease_ms) = request.lease_ms {
            in_range("lease_ms", lease_ms, limits.lease_ms_min, limits.lease_ms_max)?;
        }
        let deadline = Instant::now() + request.wait;
        let mut call =
            Call { name, request: &request, seen: None, is_last: request.wait.is_zero() };
        let shared = self.hub.of(name);
        let mut changes = shared.changes();
        let first = self.try_lease(&mut call).await?;
        if let Some(ended) = first.ended() {
            return Ok(ended);
        }
        if call.is_last {
            return Ok(Vec::new());
        }
        let Ok(_watch) = timeout_at(deadline, shared.watch()).await else { return Ok(Vec::new()) };
        loop {
            changes.mark_unchanged();
            let idle = match self.try_lease(&mut call).await? {
                Taken::Nothing(idle) if !call.is_last => idle,
                taken => return Ok(taken.ended().unwrap_or_default()),
            };
            tokio::select! {
                biased;
                // One more look, that notes how far it came.
                () = sleep_until(deadline) => call.is_last = true,
                () = self.something_new(&idle, &mut changes) => {}
            }
        }
    }

    /// Waits until trying again may lead to events.
    async fn something_new(&self, idle: &Idle, changes: &mut watch::Receiver<u64>) {
        if idle.goes_on {
            // E.g. the filter held everything back: others get a turn before the next pages.
            tokio::task::yield_now().await;
            return;
        }
        let check_every = self.ports.limits.check_every;
        let next_end = idle.next_end_ms.map_or(check_every, Duration::from_millis);
        tokio::select! {
            () = sleep(next_end.min(check_every)) => {}
            // The sender lives as long as the subscription; without it there is nothing to hear.
            Ok(()) = changes.changed() => {}
            () = self.news(idle) => {}
        }
    }

    /// Waits for news of any partition.
    async fn news(&self, idle: &Idle) {
        if idle.is_full || idle.places.is_empty() {
            return std::future::pending().await;
        }
        let partitions = (0..).map(Partition).zip(&idle.places);
        let news = partitions.map(|(partition, place)| {
            let store = &self.ports.store;
            async move { store.wait_for_news(partition, *place).await }.boxed()
        });
        let (news, _, _) = select_all(news).await;
        if let Err(error) = news {
            warn!(error = %ErrorChain(&error), "waiting for news failed");
            sleep(self.ports.limits.check_every).await;
        }
    }

    async fn try_lease(&self, call: &mut Call<'_>) -> Result<Taken, SubscriptionError> {
        let shared = self.hub.of(call.name);
        let _turn = shared.turn().await;
        for _ in 0..self.ports.limits.conflict_retries_max.get() {
            if let Some(taken) = Box::pin(self.take(call, &shared)).await? {
                return Ok(taken);
            }
        }
        Err(self.contended(call.name))
    }

    /// One try; `None`: another host changed the subscription meanwhile.
    async fn take(
        &self,
        call: &mut Call<'_>,
        shared: &Shared,
    ) -> Result<Option<Taken>, SubscriptionError> {
        let (name, request) = (call.name, call.request);
        let limits = &self.ports.limits;
        let state = &*self.ports.state;
        let mut draft = Draft::new(self.load(name).await?);
        let now = self.ports.clock.now();
        let member = draft.record().member(&request.member).map(|it| (it.number, it.lease));
        let newest = member.map_or(0, |(_, lease)| lease);
        if *call.seen.get_or_insert(newest) != newest {
            return Ok(Some(Taken::Fenced));
        }
        if let Some((number, _)) = member {
            draft.record_mut().window.take_back(number);
        }
        draft.record_mut().window.expire(now);
        draft.park_exhausted(state, limits, now).await?;
        let mut filling = Filling::new(&self.ports, &draft);
        filling.read_released(&mut draft).await?;
        let first = first_partition(draft.record());
        let wanted = request.events_max;
        let attempts_max = draft.attempts_max(limits);
        let there = draft.record().window.deliverable(first, wanted, attempts_max);
        if there.len() < wanted {
            filling.read_feed(&mut draft, first, wanted - there.len()).await?;
        }
        let places = draft.record().window.deliverable(first, wanted, attempts_max);
        let idle = Idle {
            places: draft.record().partitions.iter().map(|place| place.read_up_to).collect(),
            next_end_ms: draft.record().window.next_end().map(|end| end.ms_since(now)),
            is_full: filling.is_full,
            goes_on: (!filling.is_at_head && !filling.is_full) || draft.has_exhausted(limits),
        };
        let events = self.load_events(draft.record(), places, filling.events).await?;
        let has_released = draft.writes_count() > 0;
        let deliveries = match events.is_empty() {
            true => Vec::new(),
            false => self.deliver(name, draft.record_mut(), request, events)?,
        };
        let worth_events = if call.is_last { 1 } else { limits.passed_over_events_max };
        if !draft.is_worth_it(worth_events) {
            return Ok(Some(Taken::Nothing(idle)));
        }
        if !draft.commit(state).await?.is_done() {
            return Ok(None);
        }
        if has_released {
            shared.changed();
        }
        Ok(Some(match deliveries.is_empty() {
            true => Taken::Nothing(idle),
            false => Taken::Deliveries(deliveries),
        }))
    }

    /// Notes that a member is given events.
    fn deliver(
        &self,
        name: &SubscriptionName,
        record: &mut Record,
        request: &LeaseRequest,
        events: Vec<RecordedEvent>,
    ) -> Result<Vec<Delivery>, SubscriptionError> {
        let now = self.ports.clock.now();
        let members_max = self.ports.limits.members_max;
        record.leases_count = record.leases_count.saturating_add(1);
        let lease = record.leases_count;
        let lease_ms = request.lease_ms.unwrap_or(record.settings.lease_ms);
        let until = Timestamp::from_ms(now.ms().saturating_add(lease_ms));
        let member = noted(record, &request.member, now, members_max)
            .ok_or_else(|| SubscriptionError::TooManyMembers { name: name.clone(), members_max })?;
        let incarnation = record.mark();
        let mut deliveries = Vec::with_capacity(events.len());
        for event in events {
            let place = (event.partition, event.position);
            let Some(entry) = record.window.get_mut(place) else { continue };
            if entry.attempts > 0 {
                record.counts.redelivered = record.counts.redelivered.saturating_add(1);
            }
            record.counts.delivered = record.counts.delivered.saturating_add(1);
            entry.attempts = entry.attempts.saturating_add(1);
            entry.holding = Holding::Leased { member, lease, until };
            let incarnation = Arc::clone(&incarnation);
            let (partition, position) = place;
            deliveries.push(Delivery {
                id: DeliveryId { partition, position, lease, incarnation },
                attempt: entry.attempts,
                event,
                leased_until: until,
            });
        }
        Ok(deliveries)
    }

    /// The events at these places, in their order, up to the bytes of one lease.
    async fn load_events(
        &self,
        record: &Record,
        places: Vec<Place>,
        mut at_hand: HashMap<Place, RecordedEvent>,
    ) -> Result<Vec<RecordedEvent>, SubscriptionError> {
        let mut events = Vec::with_capacity(places.len());
        let mut bytes = 0_usize;
        for place in places {
            if bytes >= self.ports.limits.lease_bytes_max {
                break;
            }
            let event = match at_hand.remove(&place) {
                Some(event) => event,
                None => self.load_event(record, place, &mut at_hand).await?,
            };
            bytes = bytes.saturating_add(event.data.len() + event.metadata.len());
            events.push(event);
        }
        Ok(events)
    }

    /// Reads an event of the window, and those after it that its stream has in the window.
    async fn load_event(
        &self,
        record: &Record,
        place: Place,
        at_hand: &mut HashMap<Place, RecordedEvent>,
    ) -> Result<RecordedEvent, SubscriptionError> {
        const AHEAD_EVENTS: usize = 16;
        const GONE: &str = "an event of a subscription is not in its stream";
        let gone = || SubscriptionError::Store(ReadError::Damaged(DriverError::new(GONE)));
        let entry = record.window.get(place).ok_or_else(gone)?;
        let store = &self.ports.store;
        let read =
            store.read_stream(&entry.stream, entry.revision, AHEAD_EVENTS, Direction::Forwards);
        let mut events = read.await?.events.into_iter();
        let event = events.next().filter(|event| (event.partition, event.position) == place);
        for event in events {
            let place = (event.partition, event.position);
            if record.window.get(place).is_some() {
                at_hand.insert(place, event);
            }
        }
        event.ok_or_else(gone)
    }
}

impl Taken {
    /// What the member is answered, unless it is to wait.
    fn ended(self) -> Option<Vec<Delivery>> {
        match self {
            Self::Deliveries(deliveries) => Some(deliveries),
            Self::Fenced => Some(Vec::new()),
            Self::Nothing(_) => None,
        }
    }
}

/// Each lease begins with another partition, so that none waits for the others for ever.
fn first_partition(record: &Record) -> Partition {
    let count = u64::try_from(record.partitions.len()).unwrap_or(1).max(1);
    Partition(u32::try_from(record.leases_count % count).unwrap_or_default())
}

/// The number of a member, which is remembered from now on; `None`: there are too many.
fn noted(
    record: &mut Record,
    name: &MemberName,
    now: Timestamp,
    members_max: usize,
) -> Option<u64> {
    let lease = record.leases_count;
    if let Some(member) = record.members.iter_mut().find(|member| member.name == *name) {
        (member.lease, member.leased_at) = (lease, now);
        return Some(member.number);
    }
    if record.members.len() >= members_max {
        let window = &record.window;
        let idle = record.members.iter().enumerate();
        let idle = idle.filter(|(_, member)| window.held_count(member.number) == 0);
        let (index, _) = idle.min_by_key(|(_, member)| member.lease)?;
        record.members.remove(index);
    }
    record.members.push(Member { number: lease, name: name.clone(), lease, leased_at: now });
    Some(lease)
}
