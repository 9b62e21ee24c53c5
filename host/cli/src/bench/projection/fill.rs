//! Fills a store with the events of accounts, by plain appends.

use std::sync::Arc;

use annals_core::commit::Commit;
use annals_core::event::NewEvent;
use annals_core::name::{Category, EventType};
use annals_core::place::ExpectedRevision;
use annals_core::port::EventStore;
use annals_core::stream::StreamId;
use annals_engine::Engine;

use crate::failure::{Failure, Fault};
use crate::output::Output;
use crate::text;

/// How many events are appended before it is waited until they are durable, which bounds what waits in
/// memory.
const FLUSH_EVERY_EVENTS: u64 = 10_000;

/// How often it is said how far it is, in events.
const TELL_EVERY_EVENTS: u64 = 1_000_000;

/// Deposits vary, so that accounts differ: multiples of a prime, up to about a thousand.
const CENTS: (u64, u64) = (7_919, 997);

/// Opens `streams` accounts and deposits into them in turn, until there are `events` events. Each is a
/// commit of its own, as after commands.
pub(super) async fn fill(
    engine: &Engine,
    (events, streams): (u64, u64),
    output: &mut Output,
) -> Result<(), Failure> {
    let bad_name = |error| Failure::of(Fault::Ours, &error);
    let opened = EventType::new("account-opened").map_err(bad_name)?;
    let deposited = EventType::new("funds-deposited").map_err(bad_name)?;
    let category = Category::new("account").map_err(bad_name)?;
    let store: &Arc<dyn EventStore> = engine.store();
    for number in 0..events {
        let event = if number < streams {
            NewEvent::json(opened.clone(), r#"{"owner":"Athena","initial_cents":0}"#)
        } else {
            let cents = number * CENTS.0 % CENTS.1 + 1;
            NewEvent::json(deposited.clone(), format!(r#"{{"cents":{cents}}}"#))
        };
        let stream = StreamId::new(&category, &format!("filled-{}", number % streams));
        let stream = stream.map_err(|error| Failure::of(Fault::Ours, &error))?;
        let now = engine.clock().now();
        let commit = Commit::plain(stream, ExpectedRevision::Any, vec![event], now);
        // Whether it is durable is asked for many at once.
        store.append(commit).await.map_err(|error| Failure::of(Fault::Ours, &error))?;
        let done = number + 1;
        if done.is_multiple_of(FLUSH_EVERY_EVENTS) {
            store.flush().await.map_err(|error| Failure::of(Fault::Ours, &error))?;
        }
        if done.is_multiple_of(TELL_EVERY_EVENTS) && done < events {
            output.note(format_args!("{} events …", text::thousands(done)));
        }
    }
    store.flush().await.map_err(|error| Failure::of(Fault::Ours, &error))
}
