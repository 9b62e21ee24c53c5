//! Stopping a runner at given places for a moment, so that two views can be compared there.
//!
//! ```text
//!  who compares                 runner
//!   hold.stop() ───────────────► ends its batch, tells how far it has read, reads no more
//!   hold.stop_at(positions) ───► reads on to exactly there, tells it, reads no more
//!   drop ──────────────────────► goes on
//! ```
//! Whoever holds a runner bounds the time: meanwhile its view stands still.

use std::sync::Arc;

use annals_core::place::Position;
use annals_core::port::event_store::FeedPage;
use tokio::sync::watch;

use super::feeds::Feeds;

/// Where a runner has read to, per partition.
pub(crate) type Places = Vec<Option<Position>>;

/// What a runner is told to do, and by which order.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Order {
    number: u64,
    stop: Option<Stop>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Stop {
    /// Where it is.
    Here,
    /// After having handled all up to these positions (inclusive), per partition.
    At(Arc<[Option<Position>]>),
}

/// Which order a runner has followed, and where it stands.
type Followed = Option<(u64, Places)>;

/// Both ends of holding one runner.
pub(super) fn new() -> (HoldControl, Hold) {
    let (orders, ordered) = watch::channel(Order::default());
    let (follow, followed) = watch::channel(None);
    (HoldControl { orders, followed }, Hold { orders: ordered, followed: follow, is_held: false })
}

/// The end of whoever compares.
#[derive(Debug)]
pub(crate) struct HoldControl {
    orders: watch::Sender<Order>,
    followed: watch::Receiver<Followed>,
}

/// A runner that is held until this is dropped.
#[derive(Debug)]
pub(crate) struct Held<'a>(&'a HoldControl);

impl HoldControl {
    /// Begins to hold the runner: it stops where it is.
    pub(crate) fn stop(&self) -> Held<'_> {
        self.order(Some(Stop::Here));
        Held(self)
    }

    fn order(&self, stop: Option<Stop>) {
        self.orders.send_modify(|order| {
            *order = Order { number: order.number.saturating_add(1), stop };
        });
    }

    /// Waits until the last order is followed; returns where the runner stands. The caller bounds the
    /// waiting; `None`: the runner is gone.
    async fn followed(&self) -> Option<Places> {
        let number = self.orders.borrow().number;
        let mut followed = self.followed.clone();
        let is_last = |followed: &Followed| followed.as_ref().is_some_and(|it| it.0 == number);
        let found = followed.wait_for(is_last).await.ok()?;
        found.as_ref().map(|(_, places)| places.clone())
    }
}

impl Held<'_> {
    /// Where the runner stands, once it does.
    pub(crate) async fn places(&self) -> Option<Places> {
        self.0.followed().await
    }

    /// Lets the runner go on to exactly `places`, none of which may be before where it stands.
    pub(crate) fn go_to(&self, places: &[Option<Position>]) {
        self.0.order(Some(Stop::At(places.into())));
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.0.order(None);
    }
}

/// The end of the runner.
#[derive(Debug)]
pub(super) struct Hold {
    orders: watch::Receiver<Order>,
    followed: watch::Sender<Followed>,
    is_held: bool,
}

/// What a runner may read next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Whatever comes.
    Free,
    /// This partition, up to where it is to stop.
    Of(usize),
    /// Nothing.
    Held,
}

impl Hold {
    /// What to read next. When nothing, whoever holds the runner is told where it stands.
    pub(super) fn turn(&mut self, feeds: &Feeds) -> Turn {
        let order = self.orders.borrow_and_update().clone();
        let Some(stop) = order.stop else {
            self.is_held = false;
            return Turn::Free;
        };
        if let Stop::At(places) = &stop {
            let here = feeds.places().map(|place| place.read_up_to);
            let is_before = here.zip(places.iter()).position(|(here, there)| here < *there);
            if let Some(index) = is_before {
                self.is_held = false;
                return Turn::Of(index);
            }
        }
        self.is_held = true;
        let places = feeds.places().map(|place| place.read_up_to).collect();
        self.followed.send_replace(Some((order.number, places)));
        Turn::Held
    }

    /// Takes away what is after where the runner is to stop.
    pub(super) fn cut(&self, index: usize, page: &mut FeedPage) {
        let order = self.orders.borrow();
        let Some(Stop::At(places)) = &order.stop else { return };
        let Some(Some(last)) = places.get(index).copied() else { return };
        if page.read_up_to > Some(last) {
            page.events.retain(|event| event.position <= last);
            page.read_up_to = Some(last);
            page.is_at_head = false;
        }
    }

    pub(super) const fn is_held(&self) -> bool {
        self.is_held
    }

    /// Waits for another order.
    pub(super) async fn changed(&mut self) {
        if self.orders.changed().await.is_err() {
            // Nobody can hold it any more.
            self.is_held = false;
            std::future::pending::<()>().await;
        }
    }
}
