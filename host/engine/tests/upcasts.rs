//! Upcasters: what aggregates and projections read of events that others wrote in older shapes.

mod aggregates;
mod failures;
mod gate;
mod projections;
mod registry;

use annals_core::commit::Commit;
use annals_core::event::{NewEvent, SchemaVersion};
use annals_core::name::EventType;
use annals_core::place::ExpectedRevision;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_engine::Engine;
use bytes::Bytes;

use crate::support::World;
use crate::support::guest::{tally_with_other_events, upcaster};
use crate::support::upcaster::{Act, rule};

/// Appends events to the stream `tally/<id>` as some older program did: type, version, amount.
async fn wrote(engine: &Engine, id: &str, events: &[(&str, u32, i64)]) {
    let new = |(event_type, version, amount): &(&str, u32, i64)| NewEvent {
        schema_version: SchemaVersion(*version),
        ..NewEvent::json(EventType::new(event_type).unwrap(), format!("{{\"amount\":{amount}}}"))
    };
    let stream: StreamId = format!("tally/{id}").parse().unwrap();
    let events = events.iter().map(new).collect();
    let commit = Commit::plain(stream, ExpectedRevision::Any, events, Timestamp::from_ms(7));
    engine.store().append(commit).await.unwrap().durability.wait().await.unwrap();
}

/// Makes `added` of version 2 of version 1, a number of times as large.
fn doubled(version: &str, factor: i64) -> Bytes {
    upcaster("old-sums", version, &[rule(("added", 1), &[("added", 2)], Act::Times(factor))])
}

/// An engine with a tally that reads version 2 of its events, and upcasters.
async fn start_with(world: &World, upcasters: &[Bytes]) -> Engine {
    let engine = world.start().await;
    for upcaster in upcasters {
        engine.install(None, upcaster.clone(), None).await.unwrap();
    }
    engine.install(None, tally_with_other_events("2.0.0"), None).await.unwrap();
    engine
}
