//! Process managers: what they send has its effect once, and what cannot be handled holds up nothing
//! else.

mod failures;
mod hosts;
mod random;
mod timers;

use std::sync::Arc;
use std::time::Duration;

use annals_core::id::{CommandId, CorrelationId};
use annals_core::name::Category;
use annals_core::place::{Partition, Position, Revision};
use annals_core::plugin::Reply;
use annals_core::port::event_store::Direction;
use annals_core::stream::StreamId;
use annals_engine::Engine;
use annals_engine::process::ProcessProgress;
use annals_engine::process::instance::{HandledMessage, Instance};
use annals_engine::process::status::InstanceFilter;
use annals_engine::projection::Phase;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use crate::support::guest::{adder, tally};
use crate::support::manager::{END, NEGATIVE, QUIET, TWO};
use crate::support::{World, add, name, request, run, state};

/// An engine with the tally and the process manager.
async fn start_with_adder(world: &World) -> Engine {
    let engine = world.start_with_tally().await;
    engine.install(None, adder("1.0.0"), None).await.unwrap();
    engine
}

fn progress(engine: &Engine) -> ProcessProgress {
    engine.process_progress(&name("adder")).unwrap()
}

/// Waits until the process manager is so.
async fn until(engine: &Engine, is_so: impl Fn(&ProcessProgress) -> bool) -> ProcessProgress {
    let deadline = Instant::now() + Duration::from_mins(5);
    loop {
        let progress = progress(engine);
        if is_so(&progress) {
            return progress;
        }
        assert!(Instant::now() < deadline, "{progress:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

/// Waits until all events are handled and nothing is on the way.
async fn until_quiet(engine: &Engine) {
    let deadline = Instant::now() + Duration::from_mins(30);
    loop {
        let heads = heads(engine).await;
        let found = progress(engine);
        let is_caught_up = found.checkpoints == heads && found.phase == Phase::CaughtUp;
        if is_caught_up && found.sending_count == 0 && heads == self::heads(engine).await {
            return;
        }
        assert!(Instant::now() < deadline, "{heads:?}, {found:?}");
        sleep(Duration::from_millis(10)).await;
    }
}

async fn heads(engine: &Engine) -> Vec<Option<Position>> {
    let store = engine.store();
    let mut heads = Vec::new();
    for partition in 0..store.capabilities().partitions_count {
        heads.push(store.head(Partition(partition)).await.unwrap());
    }
    heads
}

async fn instance(engine: &Engine, id: &str) -> Option<Instance> {
    engine.process_instance(&name("adder"), id).await.unwrap()
}

/// What an instance remembers.
async fn seen(engine: &Engine, id: &str) -> Vec<String> {
    let instance = instance(engine, id).await.unwrap();
    instance.state.map_or_else(Vec::new, |state| serde_json::from_slice(&state).unwrap())
}

async fn ids(engine: &Engine, filter: InstanceFilter) -> Vec<String> {
    let page = engine.process_instances(&name("adder"), filter, None, 500).await.unwrap();
    assert_eq!(page.next_after, None);
    page.instances.iter().map(|it| it.id.to_string()).collect()
}

#[test]
fn an_event_leads_to_a_command_and_its_outcome_comes_back() {
    // Guards the whole circle, and that what led to what is recorded.
    run(async {
        let world = World::new();
        let engine = start_with_adder(&world).await;
        let mut asked = request("a", "add", r#"{"amount":7}"#);
        asked.origin.correlation_id = Some(CorrelationId::new("whole-story").unwrap());
        let added = engine.execute(asked).await.unwrap();
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "a").await, ["event 7", "7 accepted"]);
        assert_eq!(state(&engine, "sum-a").await, (0, "7".to_owned()));
        let stream = StreamId::new(&Category::new("tally").unwrap(), "sum-a").unwrap();
        let page =
            engine.store().read_stream(&stream, Revision::default(), 9, Direction::Forwards).await;
        let event = page.unwrap().events.remove(0);
        let annals_engine::command::Verdict::Accepted(events) = &added.verdict else { panic!() };
        assert_eq!(event.origin.correlation_id.as_ref().unwrap().as_str(), "whole-story");
        assert_eq!(event.origin.causation_id.unwrap().uuid(), events[0].id.uuid());
        assert_eq!(event.origin.principal.as_deref(), Some("process-manager/adder"));
        let instance = instance(&engine, "a").await.unwrap();
        assert_eq!((instance.messages_count, instance.history.len()), (2, 2));
        assert_eq!(instance.history[0].commands[0].target, "tally/sum-a");
        assert_eq!(instance.history[0].commands[0].command_id, event.command_id.unwrap());
        let HandledMessage::Reply { command_id, reply, .. } = &instance.history[1].message else {
            panic!("{:?}", instance.history)
        };
        assert_eq!((*command_id, reply), (event.command_id.unwrap(), &Reply::Accepted));
    });
}

#[test]
fn commands_of_an_instance_go_one_after_the_other_and_a_rejection_is_a_reply() {
    // Guards the order that a compensation relies on, and that the domain's no reaches who asked.
    run(async {
        let world = World::new();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", TWO).await.unwrap();
        add(&engine, "b", NEGATIVE).await.unwrap();
        until_quiet(&engine).await;
        let expected = ["event 24", "-1 rejected negative", "2 accepted"];
        assert_eq!(seen(&engine, "a").await, expected);
        assert_eq!(seen(&engine, "b").await, ["event 20", "-1 rejected negative"]);
        assert_eq!(state(&engine, "sum-a").await, (0, "2".to_owned()));
    });
}

#[test]
fn an_instance_ends_and_begins_anew_and_is_kept_for_a_while() {
    // Guards the end of an instance: seen for a time, gone after it, and no hindrance to a new one.
    run(async {
        let mut world = World::new();
        world.options.processes.ended_kept_for = Duration::from_secs(10);
        let clock = Arc::new(crate::support::ManualClock::default());
        world.ports.clock = Arc::clone(&clock) as _;
        clock.set(1_000);
        let engine = start_with_adder(&world).await;
        for (id, amount) in [("a", QUIET), ("a", END), ("b", END), ("c", QUIET)] {
            add(&engine, id, amount).await.unwrap();
        }
        until_quiet(&engine).await;
        assert_eq!(progress(&engine).running_count, 1);
        // `b` began and ended in one: nothing is to be kept of it.
        assert_eq!(ids(&engine, InstanceFilter::All).await, ["a", "c"]);
        assert_eq!(ids(&engine, InstanceFilter::Ended).await, ["a"]);
        assert_eq!(ids(&engine, InstanceFilter::Running).await, ["c"]);
        assert!(instance(&engine, "a").await.unwrap().history[1].is_end);
        add(&engine, "a", QUIET).await.unwrap();
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "a").await, ["event 10"]);
        add(&engine, "c", END).await.unwrap();
        until_quiet(&engine).await;
        clock.set(11_500);
        let deadline = Instant::now() + Duration::from_mins(1);
        while instance(&engine, "c").await.is_some() {
            assert!(Instant::now() < deadline);
            sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(ids(&engine, InstanceFilter::All).await, ["a"]);
    });
}

#[test]
fn of_instances_that_ended_only_so_many_are_kept() {
    // Guards the size of what a process manager knows, whatever the load; the first to end go first.
    run(async {
        let mut world = World::new();
        world.options.processes.ended_kept_max = 3;
        let engine = start_with_adder(&world).await;
        for number in 0..30 {
            add(&engine, &format!("i{number:02}"), QUIET).await.unwrap();
            add(&engine, &format!("i{number:02}"), END).await.unwrap();
        }
        let deadline = Instant::now() + Duration::from_mins(1);
        while ids(&engine, InstanceFilter::All).await.len() > 3 {
            assert!(Instant::now() < deadline);
            sleep(Duration::from_millis(100)).await;
        }
        until_quiet(&engine).await;
        assert_eq!(ids(&engine, InstanceFilter::Ended).await, ["i27", "i28", "i29"]);
    });
}

#[test]
fn a_new_version_goes_on_where_the_one_before_was() {
    // Guards upgrades: the state of every instance is the next version's, and nothing is handled twice.
    run(async {
        let world = World::new();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", 1).await.unwrap();
        until_quiet(&engine).await;
        engine.install(None, adder("1.1.0"), None).await.unwrap();
        add(&engine, "a", 2).await.unwrap();
        until_quiet(&engine).await;
        let expected = ["event 1", "1 accepted", "event 2", "2 accepted"];
        assert_eq!(seen(&engine, "a").await, expected);
        engine.install(None, tally("2.0.0"), None).await.unwrap();
        engine.stop().await;
        let engine = world.start().await;
        add(&engine, "a", 3).await.unwrap();
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "a").await.len(), 6);
        assert_eq!(state(&engine, "sum-a").await, (2, "6".to_owned()));
    });
}

#[test]
fn pages_of_instances_hold_each_once() {
    // Guards lists that are longer than a page.
    run(async {
        let world = World::new();
        let engine = start_with_adder(&world).await;
        for number in 0..25 {
            let amount = if number % 3 == 0 { END } else { QUIET };
            add(&engine, &format!("i{number:02}"), QUIET).await.unwrap();
            add(&engine, &format!("i{number:02}"), amount).await.unwrap();
        }
        until_quiet(&engine).await;
        for (filter, count) in [(InstanceFilter::All, 25), (InstanceFilter::Running, 16)] {
            let (mut found, mut after) = (Vec::new(), None::<Arc<str>>);
            loop {
                let asked = (&name("adder"), filter, after.as_deref(), 4);
                let page =
                    engine.process_instances(asked.0, asked.1, asked.2, asked.3).await.unwrap();
                assert!(page.instances.len() <= 4);
                found.extend(page.instances.iter().map(|it| it.id.to_string()));
                match page.next_after {
                    Some(next) => after = Some(next),
                    None => break,
                }
            }
            assert_eq!(found.len(), count, "{filter:?}");
            assert!(found.is_sorted());
        }
        let unknown = engine.process_progress(&name("tally")).unwrap_err().to_string();
        assert_eq!(unknown, "there is no process manager `tally`");
    });
}

#[test]
fn a_removed_process_manager_goes_on_when_it_is_installed_again() {
    // Guards removal: nothing is sent meanwhile, nothing is missed, and its state goes only when asked.
    run(async {
        let world = World::new();
        let engine = start_with_adder(&world).await;
        add(&engine, "a", 1).await.unwrap();
        until_quiet(&engine).await;
        let remove = |deletes_views| annals_engine::plugins::RemoveRequest {
            name: name("adder"),
            principal: None,
            deletes_views,
        };
        engine.remove(remove(false)).await.unwrap();
        add(&engine, "a", 2).await.unwrap();
        assert!(engine.process_progress(&name("adder")).is_err());
        engine.install(None, adder("1.0.0"), None).await.unwrap();
        until_quiet(&engine).await;
        let expected = ["1 accepted", "2 accepted", "event 1", "event 2"];
        let all = async |engine| {
            let mut seen = seen(engine, "a").await;
            seen.sort();
            seen
        };
        assert_eq!(all(&engine).await, expected);
        let removal = engine.remove(remove(true)).await.unwrap();
        assert_eq!((removal.deleted_views_count, removal.has_deleted_instances), (1, true));
        engine.install(None, adder("1.0.0"), None).await.unwrap();
        until_quiet(&engine).await;
        // It was told everything again, and its commands were those of before.
        assert_eq!(all(&engine).await, expected);
        assert_eq!(state(&engine, "sum-a").await, (1, "3".to_owned()));
    });
}

#[test]
fn the_id_of_a_command_of_a_client_has_no_depth() {
    // Guards clients that make ids of their own kind: they are not taken for process managers.
    run(async {
        let world = World::new();
        let engine = start_with_adder(&world).await;
        let mut asked = request("a", "add", r#"{"amount":1}"#);
        asked.command_id = Some(CommandId::new(Uuid::from_u128(u128::MAX)));
        engine.execute(asked).await.unwrap();
        until_quiet(&engine).await;
        assert_eq!(seen(&engine, "a").await, ["event 1", "1 accepted"]);
    });
}
