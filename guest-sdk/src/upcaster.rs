//! Upcasters: old shapes of events made new.

use std::fmt;

use crate::Shapes;

/// Makes new shapes of old ones when events are read. What is stored never changes.
///
/// It has no state and sees nothing but one event: the same event always becomes the same. See the
/// [crate's documentation](crate) for a whole one.
pub trait Upcaster: 'static {
    /// Kebab-case name, e.g. `deposits-with-currency`.
    const NAME: &'static str;

    /// The events it takes, in the versions it takes, whatever stream they are in. No other upcaster
    /// can take them.
    type From: Shapes;

    /// The events it makes. What a reader does not read goes to the upcaster that takes it, which may
    /// be this one again.
    type To: Shapes;

    /// Says what an event is now.
    ///
    /// # Errors
    ///
    /// [`Unreadable`], when nothing can be made of the event. Whoever reads it stops there, so do
    /// this only where going on would be wrong.
    fn upcast(event: Self::From) -> Result<Upcast<Self::To>, Unreadable>;
}

/// What an event is now: one event or several, never none.
///
/// ```
/// use annals_sdk::Upcast;
///
/// #[annals_sdk::event]
/// enum Event {
///     AccountOpened,
///     FundsDeposited { cents: i64 },
/// }
///
/// let one: Upcast<Event> = Event::AccountOpened.into();
/// let two = one.and(Event::FundsDeposited { cents: 1 });
/// assert_eq!(two.events(), [Event::AccountOpened, Event::FundsDeposited { cents: 1 }]);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upcast<E> {
    // Invariant: not empty.
    events: Vec<E>,
}

impl<E> Upcast<E> {
    /// A further event, after those there are.
    #[must_use]
    pub fn and(mut self, event: E) -> Self {
        self.events.push(event);
        self
    }

    /// The events, in order.
    #[must_use]
    pub fn events(&self) -> &[E] {
        &self.events
    }
}

impl<E> From<E> for Upcast<E> {
    fn from(event: E) -> Self {
        Self { events: vec![event] }
    }
}

/// Why nothing can be made of an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreadable {
    pub(crate) message: String,
}

impl Unreadable {
    /// A reason, for whoever reads the event.
    #[must_use]
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

impl fmt::Display for Unreadable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.message)
    }
}

impl std::error::Error for Unreadable {}
