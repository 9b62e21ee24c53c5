//! Several hosts on one store: one projects, the others stand by.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use annals_core::commit::Commit;
use annals_core::event::NewEvent;
use annals_core::name::EventType;
use annals_core::place::ExpectedRevision;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_engine::Engine;
use annals_engine::projection::Phase;
use annals_engine::view::{ReadWhen, ViewError, ViewTag, WaitFor};
use annals_store_memory::faulty::FaultyStateStores;
use tokio::time::{Instant, sleep};

use crate::support::faults::StateCommitsLate;
use crate::support::guest::{NativeRuntime, tallies};
use crate::support::{World, add, name, reaching, row, run, table};

const SECOND: Duration = Duration::from_secs(1);

fn phase(engine: &Engine) -> Phase {
    engine.plugin(&name("tallies")).unwrap().progress.unwrap().phase
}

/// Adds 1 to many tallies, until `engine` has seen that another host projects.
async fn add_until_it_stands_by(engine: &Engine) -> u64 {
    let mut events_count = 0;
    while phase(engine) != Phase::StandingBy {
        assert!(events_count < 1_000, "{:?}", phase(engine));
        add(engine, &format!("t{}", events_count % 9), 1).await.unwrap();
        events_count += 1;
        sleep(Duration::from_millis(10)).await;
    }
    events_count
}

/// Two hosts, the first of which stands by, and how many events there are.
async fn two_hosts(world: &World) -> (Engine, Engine, u64) {
    let standby = world.start_with_tally().await;
    standby.install(None, tallies("1.0.0"), None).await.unwrap();
    let working = world.start().await;
    let events_count = add_until_it_stands_by(&standby).await;
    (standby, working, events_count)
}

/// Waits until a host projects.
async fn works(engine: &Engine) -> Duration {
    let start = Instant::now();
    while phase(engine) != Phase::CaughtUp {
        assert!(start.elapsed() < 60 * SECOND, "{:?}", phase(engine));
        sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}

#[test]
fn of_two_hosts_one_projects_and_the_other_stands_by() {
    // Guards the fence: each event is counted once, and the view is there on both hosts.
    run(async {
        let world = World::of_partitions(4);
        let (standby, working, before) = two_hosts(&world).await;
        for number in 0..40 {
            let added = add(&standby, &format!("t{number}"), 1).await.unwrap();
            for engine in [&standby, &working] {
                let count = row(engine, "counts:events", reaching(&added)).await;
                assert_eq!(count, Some((before + number + 1).to_string()));
            }
        }
        assert_eq!((phase(&standby), phase(&working)), (Phase::StandingBy, Phase::CaughtUp));
        let progress = |engine: &Engine| {
            let progress = engine.plugin(&name("tallies")).unwrap().progress.unwrap();
            (progress.checkpoints, progress.events_count)
        };
        sleep(2 * SECOND).await;
        assert_eq!(progress(&standby), progress(&working));
    });
}

#[test]
fn a_reader_on_a_host_that_stands_by_does_not_wait_for_its_next_look() {
    // Guards reading one's own write on any host: it looks more often while somebody waits.
    run(async {
        let mut world = World::of_partitions(4);
        world.options.standby_check_every = 60 * SECOND;
        let (standby, _working, _) = two_hosts(&world).await;
        for number in 0..10 {
            sleep(Duration::from_millis(number * 333)).await;
            let added = add(&standby, &format!("t{number}"), 1).await.unwrap();
            let start = Instant::now();
            row(&standby, "counts:events", reaching(&added)).await;
            assert!(start.elapsed() <= Duration::from_millis(51), "{:?}", start.elapsed());
        }
    });
}

#[test]
fn a_host_that_stands_by_says_that_nothing_changed_only_if_a_position_is_asked_for() {
    // Guards tags on several hosts: the same one everywhere, and no old copy held to be new because
    // a host has not looked yet.
    run(async {
        let mut world = World::of_partitions(4);
        world.options.standby_check_every = 60 * SECOND;
        let (standby, working, _) = two_hosts(&world).await;
        let added = add(&working, "t1", 1).await.unwrap();
        let read = async |engine: &Engine, wait: Option<WaitFor>, known: &[ViewTag]| {
            let when = ReadWhen { wait, unless: known };
            let (tallies, counts) = (name("tallies"), table("counts"));
            match engine.view_row(&tallies, &counts, b"events", when).await {
                Ok(answer) => Ok(answer.tag),
                Err(ViewError::Unchanged { tag, .. }) => Err(tag),
                Err(error) => panic!("{error}"),
            }
        };
        let tag = read(&working, reaching(&added), &[]).await.unwrap();
        assert_eq!(read(&standby, reaching(&added), &[]).await, Ok(tag));
        for (engine, wait, expected) in [
            (&working, None, Err(tag)),
            (&working, reaching(&added), Err(tag)),
            (&standby, None, Ok(tag)),
            (&standby, reaching(&added), Err(tag)),
        ] {
            assert_eq!(read(engine, wait, &[tag]).await, expected);
        }
        let added = add(&working, "t1", 1).await.unwrap();
        let next = read(&working, reaching(&added), &[tag]).await.unwrap();
        assert_eq!(read(&standby, reaching(&added), &[tag]).await, Ok(next));
    });
}

#[test]
fn a_position_without_interest_is_reached_on_a_host_that_stands_by() {
    // Guards readers: an event that a projection does not want moves no stored checkpoint, and is
    // no reason to take the view over.
    run(async {
        let world = World::of_partitions(4);
        let (standby, working, _) = two_hosts(&world).await;
        for number in 0..9 {
            let stream = StreamId::parse(&format!("note/{number}")).unwrap();
            let event = NewEvent::json(EventType::new("noted").unwrap(), "{}");
            let (any, now) = (ExpectedRevision::Any, Timestamp::from_ms(1_000));
            let commit = Commit::plain(stream.clone(), any, vec![event], now);
            let receipt = working.store().append(commit).await.unwrap().receipt;
            let partition = working.store().capabilities().partition_of(&stream);
            let position = receipt.streams[0].events.unwrap().last_position;
            for engine in [&standby, &working] {
                let wait = Some(WaitFor { partition, position, wait: SECOND });
                row(engine, "counts:events", wait).await;
            }
        }
        sleep(60 * SECOND).await;
        assert_eq!((phase(&standby), phase(&working)), (Phase::StandingBy, Phase::CaughtUp));
    });
}

#[test]
fn a_host_takes_over_at_once_from_one_that_stops() {
    // Guards rolling restarts: who stops gives the view back.
    run(async {
        let world = World::of_partitions(4);
        let (standby, working, before) = two_hosts(&world).await;
        working.stop().await;
        assert!(works(&standby).await <= SECOND + Duration::from_millis(10));
        let added = add(&standby, "a", 1).await.unwrap();
        let count = row(&standby, "counts:events", reaching(&added)).await;
        assert_eq!(count, Some((before + 1).to_string()));
    });
}

#[test]
fn a_host_takes_over_after_a_while_from_one_that_died() {
    // Guards crashes: nobody gave the view back, and events wait.
    run(async {
        let world = World::of_partitions(4);
        let (standby, working, before) = two_hosts(&world).await;
        drop(working);
        sleep(60 * SECOND).await;
        assert_eq!(phase(&standby), Phase::StandingBy, "there is nothing to project");
        let added = add(&standby, "a", 1).await.unwrap();
        let took = works(&standby).await;
        assert!((10 * SECOND..12 * SECOND).contains(&took), "{took:?}");
        let count = row(&standby, "counts:events", reaching(&added)).await;
        assert_eq!(count, Some((before + 1).to_string()));
    });
}

#[test]
fn a_host_that_wakes_up_late_does_not_count_again() {
    // Guards the fence: what it was about to write while another took over is refused.
    run(async {
        let world = World::of_partitions(4);
        let late = Arc::new(StateCommitsLate::default());
        let faults = Arc::<StateCommitsLate>::clone(&late);
        let slow =
            world.clone().with_states(|states| Arc::new(FaultyStateStores::new(states, faults)));
        let standby = world.start_with_tally().await;
        standby.install(None, tallies("1.0.0"), None).await.unwrap();
        let working = slow.start().await;
        let before = add_until_it_stands_by(&standby).await;
        row(&working, "counts:events", None).await;
        works(&working).await;

        late.is_late.store(true, Ordering::Relaxed);
        let added = add(&standby, "a", 1).await.unwrap();
        let took = works(&standby).await;
        assert!((10 * SECOND..12 * SECOND).contains(&took), "{took:?}");
        late.is_late.store(false, Ordering::Relaxed);
        let count = row(&standby, "counts:events", reaching(&added)).await;
        assert_eq!(count, Some((before + 1).to_string()));
        // It writes at last, is refused, and stands by.
        sleep(30 * SECOND).await;
        assert_eq!((phase(&standby), phase(&working)), (Phase::CaughtUp, Phase::StandingBy));
        let added = add(&working, "a", 1).await.unwrap();
        for engine in [&standby, &working] {
            let count = row(engine, "counts:events", reaching(&added)).await;
            assert_eq!(count, Some((before + 2).to_string()));
        }
    });
}

#[test]
fn a_host_that_fails_alone_sees_that_another_one_gets_on() {
    // Guards readers on a host whose plugin fails there: once another host has taken the view over,
    // it stands by and shows what that one has projected.
    run(async {
        let mut world = World::of_partitions(4);
        world.options.projection_attempts_max = NonZeroU32::MAX;
        let mut ill = world.clone();
        ill.probe = Arc::default();
        ill.ports.runtime = Arc::new(NativeRuntime { probe: Arc::clone(&ill.probe) });
        let standby = world.start_with_tally().await;
        standby.install(None, tallies("1.0.0"), None).await.unwrap();
        let working = ill.start().await;
        let before = add_until_it_stands_by(&standby).await;
        works(&working).await;
        ill.probe.projection_failures.store(u64::MAX, Ordering::Relaxed);
        let added = add(&standby, "a", 1).await.unwrap();
        assert!(works(&standby).await >= 10 * SECOND);
        sleep(60 * SECOND).await;
        assert_eq!((phase(&standby), phase(&working)), (Phase::CaughtUp, Phase::StandingBy));
        for engine in [&standby, &working] {
            let count = row(engine, "counts:events", reaching(&added)).await;
            assert_eq!(count, Some((before + 1).to_string()));
        }
    });
}
