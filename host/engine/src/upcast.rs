//! Events as readers see them: old shapes made new by the installed upcasters. Stored bytes never
//! change.
//!
//! ```text
//!   stored event ── does the reader read exactly this version? ──yes──► as it is stored
//!        ▲                        │ no
//!        │                        ▼
//!   each output ◄── cache, or the upcaster that takes it ── nobody takes it ──► for the reader to
//!                                                                               refuse or pass over
//! ```
//!
//! `set.rs` knows who takes what and what leads where, `chain.rs` goes from step to step with many
//! events at once, `upcaster.rs` calls a guest and checks what it says, `cache.rs` keeps results.
//! Which set counts is decided where a reader begins: an aggregate has one from one activation to
//! the next, a projection takes the current one for each page.

mod cache;
mod chain;
mod error;
mod set;
mod upcaster;

use std::sync::{Arc, PoisonError, RwLock};

use annals_core::event::{ContentType, RecordedEvent, SchemaVersion};
use annals_core::name::{EventType, PluginName};
use annals_core::plugin::Description;
use annals_core::port::guest::GuestPlugin;
use bytes::Bytes;

use crate::options::EngineOptions;
use cache::Cache;

pub(crate) use chain::Stretch;
pub use error::{UpcastError, UpcastFault, UpcastReadError};
pub(crate) use set::UpcastSet;

/// What an event says, and how: as it is stored, or as an upcaster made it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shape {
    /// What happened.
    pub event_type: EventType,
    /// Shape of `data`.
    pub schema_version: SchemaVersion,
    /// Media type of `data`.
    pub content_type: ContentType,
    /// What the event says.
    pub data: Bytes,
}

impl Shape {
    fn of(event: &RecordedEvent) -> Self {
        Self {
            event_type: event.event_type.clone(),
            schema_version: event.schema_version,
            content_type: event.content_type.clone(),
            data: event.data.clone(),
        }
    }
}

/// An event at the end of its chain, beside what is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UpcastEvent {
    /// The event, with the place and the ids of the stored one.
    pub event: RecordedEvent,
    /// Type and schema version as stored; `None` when the event is as it is stored.
    pub stored: Option<(EventType, SchemaVersion)>,
    /// Whether it is the last that became of the stored event.
    pub is_last: bool,
}

impl UpcastEvent {
    fn new(stored: &RecordedEvent, shape: Shape) -> Self {
        let event = RecordedEvent {
            event_type: shape.event_type,
            schema_version: shape.schema_version,
            content_type: shape.content_type,
            data: shape.data,
            ..stored.clone()
        };
        let stored = Some((stored.event_type.clone(), stored.schema_version));
        Self { event, stored, is_last: false }
    }
}

/// The upcasters that are active, for all readers of a host.
#[derive(Debug)]
pub(crate) struct Upcasts {
    // Replaced as a whole, so that a reader has one set for as long as it needs.
    current: RwLock<Arc<UpcastSet>>,
}

/// What upcasting may use. All bounds are inclusive.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Most events that one stored event may become.
    pub(crate) events_max: usize,
    /// Most upcasters one after the other.
    pub(crate) steps_max: u32,
}

impl Upcasts {
    pub(crate) fn new(options: &EngineOptions) -> Self {
        let cache = Arc::new(Cache::new(options.upcast_cache_bytes_max));
        let limits = Limits {
            events_max: options.upcast_events_max.get(),
            steps_max: options.upcast_chain_max.get(),
        };
        let none = UpcastSet::new(Vec::new(), 0, cache, limits);
        Self { current: RwLock::new(Arc::new(none)) }
    }

    /// The upcasters that are active now.
    pub(crate) fn current(&self) -> Arc<UpcastSet> {
        Arc::clone(&self.current.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Makes `plugin` the active version of the upcaster `name`, or with `None` no version of it;
    /// returns the set as it is then.
    pub(crate) fn set(
        &self,
        name: &PluginName,
        plugin: Option<Arc<dyn GuestPlugin>>,
    ) -> Arc<UpcastSet> {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        *current = Arc::new(current.with(name, plugin));
        Arc::clone(&current)
    }

    /// The event of `description`, which is of an upcaster, that another upcaster takes, and its
    /// name.
    pub(crate) fn conflict(
        &self,
        description: &Description,
    ) -> Option<(EventType, SchemaVersion, PluginName)> {
        let current = self.current();
        description.events.iter().find_map(|event| {
            let taker = current.taker(&event.name, event.schema_version)?.name();
            let is_other = *taker != description.name;
            is_other.then(|| (event.name.clone(), event.schema_version, taker.clone()))
        })
    }
}

/// Most data that events shown at once may become, in bytes (inclusive).
const SHOWN_BYTES_MAX: usize = 64 << 20;

/// Events as the upcasters of `set` make them, to the end of each chain.
pub(crate) fn to_the_end(
    set: &UpcastSet,
    mut events: &[RecordedEvent],
) -> Result<Vec<UpcastEvent>, UpcastReadError> {
    let (mut shown, mut bytes) = (Vec::with_capacity(events.len()), 0_usize);
    while !events.is_empty() {
        let stretch = set.first(events, &set::ToTheEnd)?;
        for (event, changed) in stretch.iter() {
            let Some(shapes) = changed else {
                let event = event.clone();
                shown.push(UpcastEvent { event, stored: None, is_last: true });
                continue;
            };
            for shape in shapes {
                bytes = bytes.saturating_add(shape.data.len());
                shown.push(UpcastEvent::new(event, shape.clone()));
            }
            if let Some(last) = shown.last_mut() {
                last.is_last = true;
            }
        }
        if bytes > SHOWN_BYTES_MAX {
            return Err(UpcastReadError::TooLarge { bytes_max: SHOWN_BYTES_MAX });
        }
        events = events.get(stretch.taken()..).unwrap_or_default();
    }
    Ok(shown)
}
