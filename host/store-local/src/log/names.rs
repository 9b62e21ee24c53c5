//! Stream ids, and event types that were seen: equal event types share their text, so that building a
//! recorded event costs no allocation for it. Stream ids are too many for that: finding one among
//! thousands costs more than making it.

use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};

use annals_core::name::EventType;
use annals_core::stream::StreamId;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::fault::FrameFault;

/// Most event types that are kept (inclusive).
const EVENT_TYPES_MAX: usize = 4_096;

/// The stream id that `text` is.
pub(crate) fn stream_id(text: &str) -> Result<StreamId, FrameFault> {
    StreamId::parse(text).map_err(|_| FrameFault::Malformed { what: "a stream id is not one" })
}

#[derive(Debug, Default)]
pub(crate) struct EventTypes {
    hasher: DefaultHashBuilder,
    seen: Mutex<HashTable<EventType>>,
}

impl EventTypes {
    /// The event type that `text` is.
    pub(crate) fn get(&self, text: &str) -> Result<EventType, FrameFault> {
        let hash = self.hasher.hash_one(text);
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event_type) = seen.find(hash, |event_type| event_type.as_str() == text) {
            return Ok(event_type.clone());
        }
        let event_type = EventType::new(text)
            .map_err(|_| FrameFault::Malformed { what: "an event type is not one" })?;
        if seen.len() < EVENT_TYPES_MAX {
            seen.insert_unique(hash, event_type.clone(), |event_type| {
                self.hasher.hash_one(event_type.as_str())
            });
        }
        Ok(event_type)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn knows_event_types_within_a_bound_and_refuses_what_is_no_name() {
        // Guards memory, and what is read: a damaged name is never passed on.
        let types = EventTypes::default();
        for number in 0..2 * EVENT_TYPES_MAX {
            assert_eq!(types.get(&format!("t-{number}")).unwrap().as_str(), format!("t-{number}"));
        }
        assert_eq!(types.seen.lock().unwrap().len(), EVENT_TYPES_MAX);
        assert!(types.get("Opened").is_err());
        assert!(stream_id("account").is_err());
        assert_eq!(stream_id("account/a1").unwrap().as_str(), "account/a1");
    }
}
