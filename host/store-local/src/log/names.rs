//! Stream ids and event types that were seen first, so that equal ones share their text: building a
//! recorded event then costs two reference counts instead of two allocations. Only as many stream ids
//! as a processor's cache holds: past that, finding one costs more than making it.

use std::hash::BuildHasher as _;
use std::sync::{Mutex, PoisonError};

use annals_core::name::EventType;
use annals_core::stream::StreamId;
use hashbrown::{DefaultHashBuilder, HashTable};

use super::fault::FrameFault;

/// How many parts the stream ids are in, so that readers rarely wait for one another.
const SHARDS_COUNT: usize = 16;

/// Most stream ids per part, and most event types (inclusive).
const SHARD_STREAMS_MAX: usize = 1_024;
const EVENT_TYPES_MAX: usize = 4_096;

#[derive(Debug, Default)]
pub(crate) struct Names {
    hasher: DefaultHashBuilder,
    streams: [Mutex<HashTable<StreamId>>; SHARDS_COUNT],
    event_types: Mutex<HashTable<EventType>>,
}

impl Names {
    /// The stream id that `text` is.
    pub(crate) fn stream(&self, text: &str) -> Result<StreamId, FrameFault> {
        self.stream_or(text, || {
            StreamId::parse(text)
                .map_err(|_| FrameFault::Malformed { what: "a stream id is not one" })
        })
    }

    /// A stream id equal to `stream` that shares its text with all the others.
    pub(crate) fn shared(&self, stream: &StreamId) -> StreamId {
        self.stream_or(stream.as_str(), || Ok(stream.clone())).unwrap_or_else(|_| stream.clone())
    }

    fn stream_or(
        &self,
        text: &str,
        make: impl FnOnce() -> Result<StreamId, FrameFault>,
    ) -> Result<StreamId, FrameFault> {
        let hash = self.hasher.hash_one(text);
        // The table uses the high and the low bits; the shard takes some from the middle.
        let shard = usize::from(hash.to_le_bytes()[4]) % SHARDS_COUNT;
        let Some(shard) = self.streams.get(shard) else {
            return make();
        };
        let mut streams = shard.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = streams.find(hash, |stream| stream.as_str() == text) {
            return Ok(stream.clone());
        }
        let stream = make()?;
        if streams.len() < SHARD_STREAMS_MAX {
            let hash_of = |stream: &StreamId| self.hasher.hash_one(stream.as_str());
            streams.insert_unique(hash, stream.clone(), hash_of);
        }
        Ok(stream)
    }

    /// The event type that `text` is.
    pub(crate) fn event_type(&self, text: &str) -> Result<EventType, FrameFault> {
        let hash = self.hasher.hash_one(text);
        let mut types = self.event_types.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(event_type) = types.find(hash, |event_type| event_type.as_str() == text) {
            return Ok(event_type.clone());
        }
        let event_type = EventType::new(text)
            .map_err(|_| FrameFault::Malformed { what: "an event type is not one" })?;
        if types.len() < EVENT_TYPES_MAX {
            types.insert_unique(hash, event_type.clone(), |event_type| {
                self.hasher.hash_one(event_type.as_str())
            });
        }
        Ok(event_type)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn equal_names_share_their_text_and_bad_ones_are_refused() {
        // Guards memory: ten million events of a stream keep its id once.
        let names = Names::default();
        let first = names.stream("account/a1").unwrap();
        let again = names.shared(&StreamId::parse("account/a1").unwrap());
        assert!(Arc::ptr_eq(&first.to_shared(), &again.to_shared()));
        assert_eq!(names.event_type("opened").unwrap().as_str(), "opened");
        assert!(names.stream("account").is_err());
        assert!(names.event_type("Opened").is_err());
    }

    #[test]
    fn keeps_only_so_many() {
        // Guards memory: it does not grow with the number of streams.
        let names = Names::default();
        let most = SHARDS_COUNT * SHARD_STREAMS_MAX;
        for number in 0..2 * most {
            names.stream(&format!("account/{number}")).unwrap();
        }
        for number in 0..2 * EVENT_TYPES_MAX {
            names.event_type(&format!("type-{number}")).unwrap();
        }
        let kept = names.streams.iter().map(|shard| shard.lock().unwrap().len()).sum::<usize>();
        assert_eq!((kept, names.event_types.lock().unwrap().len()), (most, EVENT_TYPES_MAX));
        assert_eq!(names.stream("account/99999999").unwrap().as_str(), "account/99999999");
    }
}
