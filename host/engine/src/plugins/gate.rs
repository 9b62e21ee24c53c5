//! The history gate: a version is activated only if it reads what is recorded.
//!
//! An aggregate must read every event type and schema version of its category; a projection every
//! recorded version of each event type it wants: itself or through the installed upcasters. An upcaster
//! takes over or goes only if the plugins that are active read as much afterwards. What was recorded is counted by the store, so the
//! answer says how many events of what would be unreadable.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::sync::Arc;

use annals_core::event::SchemaVersion;
use annals_core::name::EventType;
use annals_core::plugin::{Description, PluginKind};
use annals_core::port::event_store::EventTypeCount;

use crate::upcast::UpcastSet;

/// Events that a version does not read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadableEvents {
    /// Category of their streams.
    pub category: String,
    /// Their type.
    pub event_type: EventType,
    /// Shape of their data.
    pub schema_version: SchemaVersion,
    /// How many there are.
    pub events_count: u64,
}

impl fmt::Display for UnreadableEvents {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { category, event_type, schema_version, events_count } = self;
        let events = if *events_count == 1 { "event" } else { "events" };
        write!(
            f,
            "{events_count} {events} `{event_type}` of schema version {schema_version} in `{category}`"
        )
    }
}

/// What is recorded and a version of a plugin cannot read, in the order of `counts`.
pub(super) fn unreadable(
    kind: PluginKind,
    description: &Description,
    counts: &[EventTypeCount],
    upcasts: &UpcastSet,
) -> Vec<UnreadableEvents> {
    let wanted: HashSet<_> = description.events.iter().map(|event| &event.name).collect();
    let concerns = |count: &&EventTypeCount| match kind {
        PluginKind::Aggregate => &*count.category == description.name.as_str(),
        PluginKind::Projection | PluginKind::ProcessManager => {
            // The host's own streams are in nobody's feed.
            !count.category.starts_with('$') && wanted.contains(&count.event_type)
        }
        PluginKind::Upcaster => false,
    };
    let counts = counts.iter().filter(concerns);
    let unreadable = counts.filter(|count| {
        count.events_count > 0
            && !upcasts.reads(description, &count.event_type, count.schema_version)
    });
    let told = unreadable.map(|count| UnreadableEvents {
        category: count.category.to_string(),
        event_type: count.event_type.clone(),
        schema_version: count.schema_version,
        events_count: count.events_count,
    });
    told.collect()
}

/// The events that a version records, each in its newest shape, as if one of each were recorded.
pub(super) fn newest_as_counts(category: &str, description: &Description) -> Vec<EventTypeCount> {
    let mut newest = BTreeMap::new();
    for event in &description.events {
        let version: &mut SchemaVersion = newest.entry(&event.name).or_insert(event.schema_version);
        *version = (*version).max(event.schema_version);
    }
    let counts = newest.into_iter().map(|(event_type, schema_version)| EventTypeCount {
        category: Arc::from(category),
        event_type: event_type.clone(),
        schema_version,
        events_count: 1,
    });
    counts.collect()
}

/// The events, for a sentence; the first few when there are many.
pub(super) fn list(unreadable: &[UnreadableEvents]) -> String {
    const NAMED_MAX: usize = 5;
    let mut named: Vec<_> =
        unreadable.iter().take(NAMED_MAX).map(UnreadableEvents::to_string).collect();
    if let Some(further) = unreadable.len().checked_sub(NAMED_MAX).filter(|count| *count > 0) {
        named.push(format!("{further} further kinds"));
    }
    named.join(", ")
}
