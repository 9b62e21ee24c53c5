//! What upcasters made of events, kept for the next reader: the results that were used last, up to a
//! number of bytes. Upcasters are pure, so an entry is right for as long as it is there.

use std::sync::{Arc, Mutex, PoisonError};

use annals_core::id::Digest;
use lru::LruCache;

use super::Shape;

/// What one step made of one event.
pub(super) type Made = Arc<[Shape]>;

/// The results of all upcasters.
#[derive(Debug)]
pub(crate) struct Cache {
    entries: Mutex<Entries>,
    bytes_max: usize,
}

#[derive(Debug)]
struct Entries {
    by_key: LruCache<Box<[u8]>, Made>,
    // Invariant: the sum of `bytes_of` over `by_key`.
    bytes: usize,
}

/// What an entry takes beside its data, about: the map, the list, the shared shapes.
const ENTRY_BYTES: usize = 192;

/// What a shape takes beside its data, about.
const SHAPE_BYTES: usize = 128;

/// Writes what stands for `shape` given to the upcaster with this digest.
pub(super) fn write_key(key: &mut Vec<u8>, upcaster: Digest, shape: &Shape) {
    key.clear();
    key.extend_from_slice(upcaster.as_bytes());
    key.extend_from_slice(&shape.schema_version.0.to_le_bytes());
    key.extend_from_slice(shape.event_type.as_str().as_bytes());
    // Not part of any name, so names and data are never mistaken for each other.
    key.push(0);
    key.extend_from_slice(&shape.data);
}

impl Cache {
    pub(super) fn new(bytes_max: usize) -> Self {
        let entries = Entries { by_key: LruCache::unbounded(), bytes: 0 };
        Self { entries: Mutex::new(entries), bytes_max }
    }

    /// Per shape given to the upcaster with this digest: what it made of it, where that is known.
    pub(super) fn get_many(&self, upcaster: Digest, shapes: &[&Shape]) -> Vec<Option<Made>> {
        if self.bytes_max == 0 {
            return vec![None; shapes.len()];
        }
        let mut key = Vec::new();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let find = |shape: &&Shape| {
            write_key(&mut key, upcaster, shape);
            entries.by_key.get(key.as_slice()).map(Arc::clone)
        };
        shapes.iter().map(find).collect()
    }

    /// Keeps what an upcaster made of shapes.
    pub(super) fn put_many<'a>(
        &self,
        upcaster: Digest,
        results: impl Iterator<Item = (&'a Shape, &'a Made)>,
    ) {
        if self.bytes_max == 0 {
            return;
        }
        let mut key = Vec::new();
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        for (shape, made) in results {
            write_key(&mut key, upcaster, shape);
            entries.put(key.as_slice().into(), Arc::clone(made), self.bytes_max);
        }
    }

    #[cfg(test)]
    pub(super) fn bytes(&self) -> usize {
        self.entries.lock().unwrap().bytes
    }
}

impl Entries {
    fn put(&mut self, key: Box<[u8]>, made: Made, bytes_max: usize) {
        let bytes = bytes_of(&key, &made);
        if bytes > bytes_max {
            return;
        }
        let key_bytes = key.len();
        if let Some(before) = self.by_key.put(key, made) {
            self.bytes = self.bytes.saturating_sub(bytes_of_parts(key_bytes, &before));
        }
        self.bytes = self.bytes.saturating_add(bytes);
        while self.bytes > bytes_max {
            let Some((key, made)) = self.by_key.pop_lru() else { break };
            self.bytes = self.bytes.saturating_sub(bytes_of(&key, &made));
        }
    }
}

fn bytes_of(key: &[u8], made: &[Shape]) -> usize {
    bytes_of_parts(key.len(), made)
}

fn bytes_of_parts(key_bytes: usize, made: &[Shape]) -> usize {
    let shape = |shape: &Shape| shape.data.len().saturating_add(SHAPE_BYTES);
    made.iter().map(shape).fold(key_bytes.saturating_add(ENTRY_BYTES), usize::saturating_add)
}

#[cfg(test)]
mod tests {
    use annals_core::event::{ContentType, SchemaVersion};
    use annals_core::name::EventType;
    use bytes::Bytes;

    use super::*;

    fn shape(version: u32, data: &str) -> Shape {
        Shape {
            event_type: EventType::new("funds-deposited").unwrap(),
            schema_version: SchemaVersion(version),
            content_type: ContentType::Json,
            data: Bytes::copy_from_slice(data.as_bytes()),
        }
    }

    fn put(cache: &Cache, upcaster: &[u8], of: &Shape, made: &Shape) {
        let made: Made = Arc::from([made.clone()]);
        cache.put_many(Digest::of(upcaster), std::iter::once((of, &made)));
    }

    fn get(cache: &Cache, upcaster: &[u8], of: &Shape) -> Option<Vec<Shape>> {
        let found = cache.get_many(Digest::of(upcaster), &[of]).remove(0);
        found.map(|made| made.to_vec())
    }

    #[test]
    fn results_are_found_under_all_that_they_depend_on() {
        // Guards against the result of another event, version or upcaster.
        let cache = Cache::new(1 << 20);
        let (old, made) = (shape(1, "{}"), shape(2, "{\"a\":1}"));
        put(&cache, b"one", &old, &made);
        assert_eq!(get(&cache, b"one", &old), Some(vec![made]));
        let others =
            [(&b"two"[..], shape(1, "{}")), (b"one", shape(2, "{}")), (b"one", shape(1, "[]"))];
        for (upcaster, of) in others {
            assert_eq!(get(&cache, upcaster, &of), None);
        }
    }

    #[test]
    fn the_least_recently_used_go_when_the_bytes_are_used_up() {
        // Guards `upcast_cache_bytes_max`: memory has a bound, and what is read often stays.
        let bytes_max = 1_800;
        let cache = Cache::new(bytes_max);
        let old = |number: u32| shape(1, &number.to_string());
        for number in 0..4 {
            put(&cache, b"one", &old(number), &shape(2, "{}"));
        }
        let all = cache.bytes();
        assert!(all <= bytes_max && all > bytes_max / 4 * 3, "{all}");
        assert!(get(&cache, b"one", &old(0)).is_some());
        put(&cache, b"one", &old(4), &shape(2, "{}"));
        let kept = [0, 1, 2, 3, 4].map(|number| get(&cache, b"one", &old(number)).is_some());
        assert_eq!((kept, cache.bytes()), ([true, false, true, true, true], all));
        // The same again takes no more.
        put(&cache, b"one", &old(4), &shape(2, "{}"));
        assert_eq!(cache.bytes(), all);
        // What is larger than the whole cache is not kept.
        put(&cache, b"one", &old(5), &shape(2, &"x".repeat(bytes_max)));
        assert_eq!((get(&cache, b"one", &old(5)), cache.bytes()), (None, all));
    }

    #[test]
    fn a_cache_of_no_bytes_keeps_nothing() {
        // Guards turning it off.
        let cache = Cache::new(0);
        put(&cache, b"one", &shape(1, "{}"), &shape(2, "{}"));
        assert_eq!((get(&cache, b"one", &shape(1, "{}")), cache.bytes()), (None, 0));
    }
}
