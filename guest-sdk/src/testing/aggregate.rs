//! Given events, when a command, then events or a rejection.

use std::fmt::Debug;

use super::{NOW_MS, context};
use crate::bindings::annals::plugin::types;
use crate::bindings::exports::annals::plugin::aggregate::GuestEntity as _;
use crate::runtime::aggregate::{Entity, lower_event};
use crate::{Aggregate, Claim, Decision, Message as _, Rejection, Release};

/// A stream in which `events` happened. Name the aggregate: `given::<Account>([..])`.
#[track_caller]
pub fn given<A: Aggregate>(events: impl IntoIterator<Item = A::Event>) -> Given<A> {
    let stream_id = format!("{}/1", A::NAME);
    let events: Vec<A::Event> = events.into_iter().collect();
    let entity = Entity::new(stream_id);
    evolve(&entity, 0, &events);
    Given { call: context(), entity, events }
}

/// A stream to ask something of.
#[derive(Debug)]
pub struct Given<A: Aggregate> {
    call: types::Context,
    entity: Entity<A>,
    events: Vec<A::Event>,
}

impl<A: Aggregate> Given<A> {
    /// The stream, as `category/id`; without this the id is `1`.
    #[must_use]
    #[track_caller]
    pub fn in_stream(self, stream_id: impl Into<String>) -> Self {
        let entity = Entity::new(stream_id.into());
        evolve(&entity, 0, &self.events);
        Self { entity, ..self }
    }

    /// The time of the next commands, in milliseconds since 1970-01-01T00:00:00Z; without this it
    /// is 2025-01-01T00:00:00Z.
    #[must_use]
    pub fn at_ms(mut self, now_ms: u64) -> Self {
        self.call.now = now_ms;
        self
    }

    /// Who sends the next commands; without this nobody.
    #[must_use]
    pub fn by(mut self, principal: impl Into<String>) -> Self {
        self.call.principal = Some(principal.into());
        self
    }

    /// What the next commands seed their random numbers with.
    #[must_use]
    pub fn with_seed(mut self, seed: (u64, u64)) -> Self {
        self.call.seed = seed;
        self
    }

    /// Sends a command, as a client would: in JSON.
    #[must_use]
    #[track_caller]
    pub fn when(self, command: A::Command) -> Outcome<A> {
        let data = expect(command.encode(), "the command is not JSON");
        let decoded = A::Command::decode(command.type_index(), &data);
        let decoded = expect(decoded, "the command does not decode as it was encoded");
        assert_eq!(decoded, command, "the command changes on its way through JSON");

        let before = self.entity.snapshot();
        let result = self.entity.decide_command(self.call.clone(), decoded);
        let after = self.entity.snapshot();
        assert_eq!(text(&before), text(&after), "`decide` changed the state");
        Outcome { given: self, result }.evolved()
    }

    /// Looks at the state that the given events lead to.
    #[track_caller]
    pub fn then_state(self, look: impl FnOnce(&A)) -> Self {
        self.entity.with_state(look);
        self
    }
}

/// What became of a command.
#[derive(Debug)]
pub struct Outcome<A: Aggregate> {
    given: Given<A>,
    result: Result<Decision<A::Event>, Rejection>,
}

impl<A: Aggregate> Outcome<A> {
    /// The command was accepted with exactly these events, which may be none.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = A::Event>) -> Self {
        let expected: Vec<A::Event> = events.into_iter().collect();
        assert_eq!(self.decision().events(), expected.as_slice(), "other events were recorded");
        self
    }

    /// The command was rejected with this code.
    #[track_caller]
    pub fn then_rejected(self, code: &str) -> Self {
        assert_eq!(self.rejection().code(), code, "the command was rejected for another reason");
        self
    }

    /// The names the command took, exactly.
    #[track_caller]
    pub fn then_claims(self, claims: impl IntoIterator<Item = Claim>) -> Self {
        let expected: Vec<Claim> = claims.into_iter().collect();
        assert_eq!(self.decision().claims(), expected.as_slice(), "other names were taken");
        self
    }

    /// The names the command gave up, exactly.
    #[track_caller]
    pub fn then_releases(self, releases: impl IntoIterator<Item = Release>) -> Self {
        let expected: Vec<Release> = releases.into_iter().collect();
        assert_eq!(self.decision().releases(), expected.as_slice(), "other names were given up");
        self
    }

    /// Looks at the state after the command, which a rejection leaves as it was.
    #[track_caller]
    pub fn then_state(self, look: impl FnOnce(&A)) -> Self {
        self.given.entity.with_state(look);
        self
    }

    /// Sends a further command to the same stream.
    #[must_use]
    #[track_caller]
    pub fn when(self, command: A::Command) -> Self {
        self.given.when(command)
    }

    /// What was decided, or why the command was rejected.
    ///
    /// # Errors
    ///
    /// The rejection.
    pub const fn result(&self) -> Result<&Decision<A::Event>, &Rejection> {
        self.result.as_ref()
    }

    /// What was decided.
    ///
    /// # Panics
    ///
    /// When the command was rejected.
    #[must_use]
    #[track_caller]
    pub fn decision(&self) -> &Decision<A::Event> {
        expect(self.result.as_ref(), "the command was rejected")
    }

    /// Why the command was rejected.
    ///
    /// # Panics
    ///
    /// When it was accepted.
    #[must_use]
    #[track_caller]
    pub fn rejection(&self) -> &Rejection {
        match &self.result {
            Err(rejection) => rejection,
            Ok(decision) => crate::trap_because(&format!("the command was accepted: {decision:?}")),
        }
    }

    /// Records the decided events.
    #[track_caller]
    fn evolved(mut self) -> Self {
        if let Ok(decision) = &self.result {
            evolve(&self.given.entity, self.given.events.len(), decision.events());
            self.given.events.extend_from_slice(decision.events());
        }
        self
    }
}

/// Passes events as the host does, and checks that the state survives a snapshot.
#[track_caller]
fn evolve<A: Aggregate>(entity: &Entity<A>, first_revision: usize, events: &[A::Event]) {
    let mut history = types::History {
        first_revision: u64::try_from(first_revision).unwrap_or(u64::MAX),
        event_types: Vec::new(),
        recorded_at: Vec::new(),
        data_ends: Vec::new(),
        data: Vec::new(),
    };
    for event in events {
        let new_event = lower_event(event);
        let decoded = A::Event::decode(new_event.event_type, &new_event.data);
        let decoded = expect(decoded, "the event does not decode as it was encoded");
        assert_eq!(&decoded, event, "the event changes on its way through JSON");
        history.event_types.push(new_event.event_type);
        history.recorded_at.push(NOW_MS);
        history.data.extend_from_slice(&new_event.data);
        history.data_ends.push(u32::try_from(history.data.len()).unwrap_or(u32::MAX));
    }
    entity.evolve(history);

    let snapshot = entity.snapshot();
    let restored = Entity::<A>::from_snapshot(A::NAME.to_owned(), &snapshot);
    let restored = expect(restored, "the snapshot does not decode as the state");
    assert_eq!(
        text(&snapshot),
        text(&restored.snapshot()),
        "the state changes on its way through a snapshot",
    );
}

#[track_caller]
pub(super) fn expect<T, E: Debug>(result: Result<T, E>, otherwise: &str) -> T {
    match result {
        Ok(value) => value,
        Err(error) => crate::trap_because(&format!("{otherwise}: {error:?}")),
    }
}

fn text(json: &[u8]) -> std::borrow::Cow<'_, str> {
    String::from_utf8_lossy(json)
}
