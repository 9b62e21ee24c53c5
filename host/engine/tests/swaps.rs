//! Versions that swap while commands run: nobody is refused, nothing is decided twice, and no shard
//! goes back to a version it has left.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use annals_core::place::Revision;
use annals_core::port::event_store::Direction;
use annals_core::stream::StreamId;
use annals_engine::Engine;
use annals_engine::command::CommandError;
use annals_engine::plugins::{RemoveRequest, RollBackRequest};
use annals_store_memory::faulty::{Call, FaultPlan, FaultyEventStore};
use futures_util::future::join_all;
use tokio::time::sleep;

use crate::support::guest::{Probe, tally};
use crate::support::{World, add, name, request, run, state, with_id};

/// A store that takes its time, so that commands are under way at every swap.
#[derive(Debug)]
struct Slow;

impl FaultPlan for Slow {
    fn delay_before(&self, call: Call) -> Duration {
        match call {
            Call::ReadEvents => Duration::from_millis(3),
            Call::Append => Duration::from_millis(1),
            _ => Duration::ZERO,
        }
    }

    fn delay_after(&self, call: Call) -> Duration {
        if call == Call::Append { Duration::from_millis(4) } else { Duration::ZERO }
    }
}

fn slow() -> World {
    World::new().with_store(|store| Arc::new(FaultyEventStore::new(store, Arc::new(Slow))))
}

fn back() -> RollBackRequest {
    RollBackRequest { name: name("tally"), digest: None, principal: None, force: None }
}

const STREAMS_COUNT: usize = 30;
const COMMANDS_COUNT: u64 = 40;

/// Sends the commands of one stream, two at a time.
async fn send_all(engine: &Engine, stream: usize) {
    for number in 0..COMMANDS_COUNT / 2 {
        let id = |which: u128| {
            (u128::try_from(stream).unwrap() << 64) + u128::from(number) * 2 + which + 1
        };
        let send = |which| {
            let command = request(&stream.to_string(), "add", r#"{"amount":1}"#);
            engine.execute(with_id(command, id(which)))
        };
        let (one, other) = tokio::join!(send(0), send(1));
        assert!(!one.unwrap().is_repeat && !other.unwrap().is_repeat);
    }
}

#[test]
fn versions_that_swap_under_load_refuse_nobody_and_decide_nothing_twice() {
    // Guards activation between two commands, roll backs included: each command is decided once, by
    // dense revisions and distinct ids, and each shard makes one sandbox per version, so it never
    // went back to one it had left.
    run(async {
        let world = slow();
        let engine = world.start_with_tally().await;
        let is_done = AtomicBool::new(false);
        let load = async {
            join_all((0..STREAMS_COUNT).map(|stream| send_all(&engine, stream))).await;
            is_done.store(true, Ordering::Relaxed);
        };
        let swaps = async {
            let mut swaps_count = 0;
            while !is_done.load(Ordering::Relaxed) {
                sleep(Duration::from_millis(7)).await;
                if swaps_count % 2 == 0 {
                    engine.install(None, tally("2.0.0"), None).await.unwrap();
                } else {
                    engine.roll_back(back()).await.unwrap();
                }
                swaps_count += 1;
            }
            swaps_count
        };
        let ((), swaps_count) = tokio::join!(load, swaps);
        assert!(swaps_count > 10, "{swaps_count}");
        let shards_count = u64::try_from(world.options.shards_count.get()).unwrap();
        let sandboxes_count = Probe::take(&world.probe.sandboxes);
        assert_eq!(sandboxes_count, shards_count * (swaps_count + 1));
        assert_eq!(
            Probe::take(&world.probe.decided),
            u64::try_from(STREAMS_COUNT).unwrap() * COMMANDS_COUNT
        );
        for stream in 0..STREAMS_COUNT {
            let id = StreamId::parse(&format!("tally/{stream}")).unwrap();
            let page =
                world.ports.store.read_stream(&id, Revision::FIRST, 1_000, Direction::Forwards);
            let events = page.await.unwrap().events;
            let revisions: Vec<_> = events.iter().map(|event| event.revision.get()).collect();
            assert_eq!(revisions, (0..COMMANDS_COUNT).collect::<Vec<_>>());
            let ids: HashSet<_> = events.iter().map(|event| event.command_id.unwrap()).collect();
            assert_eq!(ids.len(), events.len());
            let expected = (COMMANDS_COUNT - 1, COMMANDS_COUNT.to_string());
            assert_eq!(state(&engine, &stream.to_string()).await, expected);
        }
    });
}

#[test]
fn a_command_under_way_ends_on_the_version_it_began_with() {
    // Guards a swap in the middle of a command: it is decided once, and the next command of its
    // stream finds its event.
    run(async {
        let world = slow();
        let engine = world.start_with_tally().await;
        add(&engine, "a", 1).await.unwrap();
        Probe::take(&world.probe.decided);
        let swap = async {
            sleep(Duration::from_millis(2)).await;
            assert_eq!(Probe::take(&world.probe.decided), 1);
            engine.install(None, tally("2.0.0"), None).await.unwrap();
        };
        let (added, ()) = tokio::join!(add(&engine, "a", 2), swap);
        added.unwrap();
        add(&engine, "a", 4).await.unwrap();
        assert_eq!(Probe::take(&world.probe.decided), 1);
        assert_eq!(state(&engine, "a").await, (2, "7".to_owned()));
    });
}

#[test]
fn removing_ends_what_is_under_way_and_refuses_what_comes() {
    // Guards removal: a command that was sent before is answered, one after it is of an unknown
    // aggregate, and nothing of the plugin stays in the shards.
    run(async {
        let world = slow();
        let engine = world.start_with_tally().await;
        let remove = async {
            sleep(Duration::from_millis(2)).await;
            let request =
                RemoveRequest { name: name("tally"), deletes_views: false, principal: None };
            engine.remove(request).await.unwrap();
        };
        let (added, ()) = tokio::join!(add(&engine, "a", 1), remove);
        added.unwrap();
        let refused = add(&engine, "a", 1).await.unwrap_err();
        assert!(matches!(refused, CommandError::UnknownAggregate { .. }), "{refused:?}");
        engine.install(None, tally("1.0.0"), None).await.unwrap();
        add(&engine, "a", 1).await.unwrap();
        assert_eq!(state(&engine, "a").await, (1, "2".to_owned()));
        engine.stop().await;
    });
}
