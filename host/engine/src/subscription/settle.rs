//! What members answer: done, again later, give up, or more time.

use std::sync::Arc;

use annals_core::name::SubscriptionName;
use annals_core::place::{Partition, Position};
use annals_core::time::Timestamp;

use super::Subscriptions;
use super::draft::{COMMIT_PARKED_MAX, Draft};
use super::error::SubscriptionError;
use super::limits::SubscriptionLimits;
use super::names::{DeliveryId, MemberName};
use super::record::Record;
use super::settings::in_range;
use super::window::Holding;

/// What is to become of deliveries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Settlement {
    /// They are handled.
    Ack,
    /// They are to be delivered again, after so many milliseconds.
    Retry {
        /// How long to wait.
        after_ms: u64,
        /// Why, for the case that they are parked in the end.
        cause: Option<Arc<str>>,
    },
    /// They are given up, and kept with the cause.
    Park {
        /// Why.
        cause: Arc<str>,
    },
    /// The member goes on with them for so many milliseconds from now.
    Extend {
        /// How long.
        lease_ms: u64,
    },
}

/// What became of one delivery.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Settled {
    /// What was asked.
    Done,
    /// Nothing: the event is handled or parked already, or no such delivery was made to this member.
    Unknown,
    /// Nothing: the event was taken back from this member since, and perhaps given to another one.
    Expired,
}

impl Subscriptions {
    /// Does what a member says of deliveries; `None` is one that no host ever wrote. Answers are in the
    /// order of `deliveries`. What is too late changes nothing; all of it is safe to repeat.
    ///
    /// # Errors
    /// - [`SubscriptionError::Unknown`].
    /// - [`SubscriptionError::Invalid`]: a number is out of its range.
    /// - [`SubscriptionError::TooManyParked`]: nothing, or only some of the events, are parked.
    /// - [`SubscriptionError::Contended`], [`SubscriptionError::State`].
    pub async fn settle(
        &self,
        name: &SubscriptionName,
        member: &MemberName,
        deliveries: &[Option<DeliveryId>],
        settlement: Settlement,
    ) -> Result<Vec<Settled>, SubscriptionError> {
        let limits = &self.ports.limits;
        in_range("deliveries", deliveries.len(), 1, limits.deliveries_max)?;
        match &settlement {
            Settlement::Retry { after_ms, .. } => {
                in_range("after_ms", *after_ms, 0, limits.retry_after_ms_max)?;
            }
            Settlement::Extend { lease_ms } => {
                in_range("lease_ms", *lease_ms, limits.lease_ms_min, limits.lease_ms_max)?;
            }
            Settlement::Ack | Settlement::Park { .. } => {}
        }
        let at_once = match settlement {
            Settlement::Park { .. } => COMMIT_PARKED_MAX,
            _ => limits.deliveries_max,
        };
        let mut settled = Vec::with_capacity(deliveries.len());
        for deliveries in deliveries.chunks(at_once) {
            settled.extend(self.settle_some(name, member, deliveries, &settlement).await?);
        }
        Ok(settled)
    }

    async fn settle_some(
        &self,
        name: &SubscriptionName,
        member: &MemberName,
        deliveries: &[Option<DeliveryId>],
        settlement: &Settlement,
    ) -> Result<Vec<Settled>, SubscriptionError> {
        let shared = self.hub.of(name);
        let _turn = shared.turn().await;
        for _ in 0..self.ports.limits.conflict_retries_max.get() {
            let mut draft = Draft::new(self.load(name).await?);
            let looked_up = look_up(draft.record(), member, deliveries);
            let places: Vec<_> = looked_up.iter().filter_map(|found| found.ok()).collect();
            let settled = looked_up.into_iter().map(|found| found.map_or_else(|it| it, done));
            let settled = settled.collect();
            if places.is_empty() {
                return Ok(settled);
            }
            self.apply(name, &mut draft, places, settlement).await?;
            if draft.commit(&*self.ports.state).await?.is_done() {
                shared.changed();
                return Ok(settled);
            }
        }
        Err(self.contended(name))
    }

    async fn apply(
        &self,
        name: &SubscriptionName,
        draft: &mut Draft,
        places: Vec<(Partition, Position)>,
        settlement: &Settlement,
    ) -> Result<(), SubscriptionError> {
        let limits = &self.ports.limits;
        let state = &*self.ports.state;
        let now = self.ports.clock.now();
        match settlement {
            Settlement::Ack => {
                let record = draft.record_mut();
                for place in places {
                    record.window.remove(place);
                    record.counts.handled = record.counts.handled.saturating_add(1);
                }
            }
            Settlement::Retry { after_ms, cause } => {
                let cause = cause.as_ref().map(|cause| cut(cause, limits));
                let until = Timestamp::from_ms(now.ms().saturating_add(*after_ms));
                put_back(draft, &places, until, cause, limits);
                draft.park_exhausted(state, limits, now).await?;
            }
            Settlement::Park { cause } => {
                let cause = cut(cause, limits);
                let count = u64::try_from(places.len()).unwrap_or(u64::MAX);
                let parked = draft.record().parked_streams_count.saturating_add(count);
                let parked_streams_max = limits.parked_streams_max;
                if parked > parked_streams_max {
                    let name = name.clone();
                    return Err(SubscriptionError::TooManyParked { name, parked_streams_max });
                }
                let places = places.into_iter().map(|place| (place, Arc::clone(&cause)));
                draft.park(state, places.collect(), now).await?;
            }
            Settlement::Extend { lease_ms } => {
                let extended = Timestamp::from_ms(now.ms().saturating_add(*lease_ms));
                for place in places {
                    let entry = draft.record_mut().window.get_mut(place);
                    if let Some(Holding::Leased { until, .. }) = entry.map(|it| &mut it.holding) {
                        *until = extended;
                    }
                }
            }
        }
        Ok(())
    }
}

fn done(_place: (Partition, Position)) -> Settled {
    Settled::Done
}

/// Where the deliveries are that a member has, or what is the matter with them.
fn look_up(
    record: &Record,
    member: &MemberName,
    deliveries: &[Option<DeliveryId>],
) -> Vec<Result<(Partition, Position), Settled>> {
    let number = record.member(member).map(|member| member.number);
    let mark = record.mark();
    let mut seen = std::collections::HashSet::new();
    let look_up = |delivery: &Option<DeliveryId>| {
        let known = delivery.as_ref().filter(|delivery| delivery.incarnation == mark);
        let delivery = known.ok_or(Settled::Unknown)?;
        let place = (delivery.partition, delivery.position);
        let entry = record.window.get(place).ok_or(Settled::Unknown)?;
        match entry.holding {
            Holding::Leased { lease, member, .. } if lease == delivery.lease => {
                // The second of two in one request finds what the first one did.
                let is_its_own = Some(member) == number && seen.insert(place);
                if is_its_own { Ok(place) } else { Err(Settled::Unknown) }
            }
            // A lease that there never was.
            _ if delivery.lease > record.leases_count => Err(Settled::Unknown),
            _ => Err(Settled::Expired),
        }
    };
    deliveries.iter().map(look_up).collect()
}

/// Events are to be delivered again: later ones of their streams come after them.
fn put_back(
    draft: &mut Draft,
    places: &[(Partition, Position)],
    until: Timestamp,
    cause: Option<Arc<str>>,
    limits: &SubscriptionLimits,
) {
    let bytes = cause.as_ref().map_or(0, |cause| cause.len()).saturating_mul(places.len());
    // A row that is full keeps events rather than causes.
    let cause = cause.filter(|_| draft.has_room_for(bytes, limits));
    let window = &mut draft.record_mut().window;
    for place in places {
        if let Some(entry) = window.get_mut(*place) {
            entry.holding = Holding::Waits(until);
            entry.cause.clone_from(&cause);
        }
    }
    window.restore_order();
}

/// The part of a cause that is kept.
fn cut(cause: &Arc<str>, limits: &SubscriptionLimits) -> Arc<str> {
    let end = cause.floor_char_boundary(limits.cause_bytes_max);
    cause.get(..end).map_or_else(|| Arc::clone(cause), Arc::from)
}
