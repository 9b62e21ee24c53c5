//! The history gate: a version is activated only if it reads what is recorded.
//!
//! An aggregate must read every event type and schema version of its category; a projection every
//! recorded version of each event type it wants. What was recorded is counted by the store, so the
//! answer says how many events of what would be unreadable.

use std::collections::HashSet;
use std::fmt;

use annals_core::event::SchemaVersion;
use annals_core::name::EventType;
use annals_core::plugin::{Description, PluginKind};
use annals_core::port::event_store::EventTypeCount;

/// Which events a version of a plugin reads.
#[derive(Debug)]
pub(super) struct Readable<'a> {
    declared: HashSet<(&'a EventType, SchemaVersion)>,
}

impl<'a> Readable<'a> {
    pub(super) fn of(description: &'a Description) -> Self {
        let declared = description.events.iter().map(|event| (&event.name, event.schema_version));
        Self { declared: declared.collect() }
    }

    /// Whether events of this type and shape can be given to the plugin.
    pub(super) fn is_readable(&self, event_type: &EventType, version: SchemaVersion) -> bool {
        self.declared.contains(&(event_type, version))
    }
}

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
) -> Vec<UnreadableEvents> {
    let readable = Readable::of(description);
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
        count.events_count > 0 && !readable.is_readable(&count.event_type, count.schema_version)
    });
    let told = unreadable.map(|count| UnreadableEvents {
        category: count.category.to_string(),
        event_type: count.event_type.clone(),
        schema_version: count.schema_version,
        events_count: count.events_count,
    });
    told.collect()
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
