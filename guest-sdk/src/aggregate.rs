//! Aggregates: the rule-keepers of one stream.

use schemars::JsonSchema;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::{Command, Context, Event, Rejection};

/// Keeps the rules of one kind of stream. The type is the state; the host holds one value of it per
/// stream it keeps in memory.
///
/// The state starts as `Default`, changes only in [`evolve`](Self::evolve) and is judged in
/// [`decide`](Self::decide). See the [crate's documentation](crate) for a whole one.
pub trait Aggregate: Default + Serialize + DeserializeOwned + JsonSchema + 'static {
    /// Kebab-case name, also the category of the streams: `account` has `account/a1`.
    const NAME: &'static str;

    /// Count this up when `evolve` starts to compute something else from the same events while the
    /// fields of the state stay the same. A change of the fields is noticed without it.
    const STATE_VERSION: u32 = 1;

    /// The commands it decides.
    type Command: Command;

    /// The events it records.
    type Event: Event;

    /// Changes the state by an event that happened.
    ///
    /// Total: there is nothing to refuse, so neither return early with half a change nor panic.
    fn evolve(&mut self, event: Self::Event);

    /// Says what happens if the command is accepted, or why it is not.
    ///
    /// Pure: it sees the state and does not change it, and knows nothing but `command` and `ctx`.
    ///
    /// # Errors
    ///
    /// A [`Rejection`] when the rules forbid the command.
    fn decide(
        &self,
        command: Self::Command,
        ctx: &Context,
    ) -> Result<Decision<Self::Event>, Rejection>;
}

/// What an accepted command leads to: events, and names taken or given up. All of it happens or
/// nothing does.
///
/// ```
/// use annals_sdk::Decision;
///
/// #[annals_sdk::event]
/// enum Event {
///     UserRegistered { email: String },
///     NewsletterOrdered,
/// }
///
/// // One event, several, none:
/// let one: Decision<Event> = Event::NewsletterOrdered.into();
/// let several: Decision<Event> = vec![
///     Event::UserRegistered { email: "athena@example.com".to_owned() },
///     Event::NewsletterOrdered,
/// ]
/// .into();
/// let none = Decision::<Event>::none();
///
/// // An e-mail address that no other user may have:
/// let claimed = several.claim("email", "athena@example.com");
/// assert_eq!(claimed.claims()[0].key, "athena@example.com");
/// # assert_eq!((one.events().len(), none.events().len()), (1, 0));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Decision<E> {
    pub(crate) events: Vec<E>,
    pub(crate) claims: Vec<Claim>,
    pub(crate) releases: Vec<Release>,
}

/// A name that a stream holds alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// What kind of name it is, kebab-case.
    pub scope: String,
    /// The name.
    pub key: String,
    /// When it becomes free again, in milliseconds since 1970-01-01T00:00:00Z; `None` is when it
    /// is released.
    pub expires_at_ms: Option<u64>,
}

/// A name that a stream gives up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// What kind of name it is, kebab-case.
    pub scope: String,
    /// The name.
    pub key: String,
}

impl<E> Decision<E> {
    /// Acceptance without change: what was asked for is so already.
    #[must_use]
    pub const fn none() -> Self {
        Self { events: Vec::new(), claims: Vec::new(), releases: Vec::new() }
    }

    /// Takes a name for this stream until it is released. The command is refused when another
    /// stream of the namespace holds it; holding it already is fine.
    #[must_use]
    pub fn claim(self, scope: impl Into<String>, key: impl Into<String>) -> Self {
        self.push_claim(Claim { scope: scope.into(), key: key.into(), expires_at_ms: None })
    }

    /// Like [`claim`](Self::claim), free again at a time in milliseconds since
    /// 1970-01-01T00:00:00Z (exclusive).
    #[must_use]
    pub fn claim_until(
        self,
        scope: impl Into<String>,
        key: impl Into<String>,
        expires_at_ms: u64,
    ) -> Self {
        let expires_at_ms = Some(expires_at_ms);
        self.push_claim(Claim { scope: scope.into(), key: key.into(), expires_at_ms })
    }

    /// Gives a name up; one this stream does not hold is ignored.
    #[must_use]
    pub fn release(mut self, scope: impl Into<String>, key: impl Into<String>) -> Self {
        self.releases.push(Release { scope: scope.into(), key: key.into() });
        self
    }

    /// The events, in order.
    #[must_use]
    pub fn events(&self) -> &[E] {
        &self.events
    }

    /// The names taken.
    #[must_use]
    pub fn claims(&self) -> &[Claim] {
        &self.claims
    }

    /// The names given up.
    #[must_use]
    pub fn releases(&self) -> &[Release] {
        &self.releases
    }

    fn push_claim(mut self, claim: Claim) -> Self {
        self.claims.push(claim);
        self
    }
}

impl<E: Event> From<E> for Decision<E> {
    fn from(event: E) -> Self {
        vec![event].into()
    }
}

impl<E: Event> From<Vec<E>> for Decision<E> {
    fn from(events: Vec<E>) -> Self {
        Self { events, ..Self::none() }
    }
}

impl<E: Event, const N: usize> From<[E; N]> for Decision<E> {
    fn from(events: [E; N]) -> Self {
        Vec::from(events).into()
    }
}
