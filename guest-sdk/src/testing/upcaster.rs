//! Given stored events, when upcast, then what they are now.

use std::fmt::Debug;
use std::marker::PhantomData;

use super::aggregate::expect;
use crate::bindings::exports::annals::plugin::upcaster::StoredEvent;
use crate::runtime::upcaster::{lower_shape, upcast_all};
use crate::{Message as _, Upcaster, Value};

/// Events as they are stored. Name the upcaster: `given_stored::<Deposits>([..])`.
#[track_caller]
pub fn given_stored<U: Upcaster>(events: impl IntoIterator<Item = U::From>) -> Stored<U> {
    let lower = |event: U::From| {
        let stored = lower_shape(&event);
        let decoded = U::From::decode(event.type_index(), &stored.data);
        let decoded = expect(decoded, "the event does not decode as it was encoded");
        assert_eq!(decoded, event, "the event changes on its way through JSON");
        stored
    };
    Stored { events: events.into_iter().map(lower).collect(), upcaster: PhantomData }
}

/// Stored events to make others of.
#[derive(Debug, Clone)]
pub struct Stored<U> {
    events: Vec<StoredEvent>,
    upcaster: PhantomData<U>,
}

impl<U: Upcaster> Stored<U> {
    /// A further event, as it is stored: its type, schema version and data.
    #[must_use]
    pub fn and_json(mut self, name: &str, schema_version: u32, data: &Value) -> Self {
        let data = data.to_string().into_bytes();
        self.events.push(StoredEvent { name: name.to_owned(), schema_version, data });
        self
    }

    /// Upcasts the events, once each: what comes of it is not upcast again.
    ///
    /// Does so in one call and one by one, and panics unless both give the same.
    #[must_use]
    #[track_caller]
    pub fn when_upcast(self) -> Upcasted<U> {
        let one_by_one: Vec<_> =
            self.events.iter().map(|event| upcast_all::<U>(std::slice::from_ref(event))).collect();
        let first_refusal = one_by_one.iter().find_map(|result| result.as_ref().err());
        let result = upcast_all::<U>(&self.events).map(|all| lift::<U>(all.concat()));
        let expected = match first_refusal {
            Some(text) => Err(text.clone()),
            None => Ok(lift::<U>(one_by_one.into_iter().flatten().flatten().flatten().collect())),
        };
        assert_eq!(result, expected, "events together become something else than one by one");
        Upcasted { result }
    }
}

#[track_caller]
fn lift<U: Upcaster>(made: Vec<StoredEvent>) -> Vec<U::To> {
    let lift = |made: &StoredEvent| {
        let is_its = |shape: &crate::MessageType| {
            shape.name == made.name && shape.schema_version == made.schema_version
        };
        let index = U::To::TYPES.iter().position(is_its);
        let index = index.and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::MAX);
        expect(U::To::decode(index, &made.data), "what was made does not decode as it was encoded")
    };
    made.iter().map(lift).collect()
}

/// What became of stored events.
#[derive(Debug)]
pub struct Upcasted<U: Upcaster> {
    result: Result<Vec<U::To>, String>,
}

impl<U: Upcaster> Upcasted<U> {
    /// They are exactly these events now, in order.
    #[track_caller]
    pub fn then(self, events: impl IntoIterator<Item = U::To>) -> Self {
        let expected: Vec<U::To> = events.into_iter().collect();
        let made = expect(self.result.as_ref(), "an event was refused");
        assert_eq!(made, &expected, "other events were made");
        self
    }

    /// One of them was refused, with this text.
    #[track_caller]
    pub fn then_refused(self, text: &str) -> Self {
        match &self.result {
            Err(refusal) => assert_eq!(refusal, text, "an event was refused for another reason"),
            Ok(made) => crate::trap_because(&format!("the events were upcast: {made:?}")),
        }
        self
    }
}
