//! One life of a process, or of two hosts on one store: start, steps with a check after each, and an
//! end, often in their midst.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use annals_engine::process::limits::ProcessLimits;
use annals_engine::schedule::ScheduleLimits;
use annals_engine::{Engine, EngineOptions, Placement, Ports};
use annals_store_memory::faulty::Random;
use anyhow::Context as _;
use tokio::task::LocalSet;
use tokio::time::{Instant, sleep_until};

use crate::world::World;
use crate::{check, client, guest, processes, schedules};

/// Most steps of a life (exclusive).
const STEPS_MAX: u64 = 40;

/// Most awaits of drivers that a life may last (exclusive).
const AWAITS_MAX: u64 = 1_200;

/// Longest a life that ends at a time lasts (exclusive), in milliseconds of virtual time.
const LIFE_MS_MAX: u64 = 1_500;

/// Longer than any run.
const NEVER: Duration = Duration::from_secs(100 * 365 * 24 * 3_600);

/// Which life it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One that may end at any await.
    Mortal,
    /// The last, which ends when everything is told and projected.
    Last,
}

/// How a life ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// At an await, or between two steps, with everything in flight.
    Died,
    /// The engine was asked to stop, and did.
    Stopped,
}

/// Lives once. Whatever the process has started is gone when this returns.
pub(crate) async fn live(
    world: &mut World,
    random: &mut Random,
    kind: Kind,
) -> anyhow::Result<End> {
    let tasks = LocalSet::new();
    tasks.run_until(live_in_here(world, random, kind)).await
}

async fn live_in_here(world: &mut World, random: &mut Random, kind: Kind) -> anyhow::Result<End> {
    let ports = world.ports();
    world.clock.hold();
    let hosts = start(&ports, 1 + random.below(2), kind).await?;
    // Loading runs on other threads: whatever was started meanwhile comes to rest before the seed
    // decides again.
    tokio::time::sleep(Duration::from_secs(1)).await;
    world.clock.release();
    check::all(world).await.context("after the start")?;

    // Half of them die at an await of a driver, the others at a time, which is while something is
    // on its way to the disk more often than not.
    let awaits = 1 + random.below(AWAITS_MAX);
    let time = Duration::from_millis(random.below(LIFE_MS_MAX));
    let dies_at_await = kind == Kind::Mortal && random.happens(500);
    let dies_at_time = kind == Kind::Mortal && !dies_at_await;
    world.plan.begin(if dies_at_await { awaits } else { u64::MAX });
    let plan = std::sync::Arc::clone(&world.plan);
    let end_of_time = Instant::now() + if dies_at_time { time } else { NEVER };
    for number in 1..=random.below(STEPS_MAX) {
        tokio::select! {
            biased;
            () = plan.died() => return Ok(End::Died),
            () = sleep_until(end_of_time) => return Ok(End::Died),
            done = step(world, &hosts, &ports, random) => {
                done.with_context(|| format!("in step {number}"))?;
            }
        }
        check::all(world).await.with_context(|| format!("after step {number}"))?;
    }
    let dies_in_between = kind == Kind::Mortal && random.happens(500);
    if dies_in_between || plan.is_dead() {
        return Ok(End::Died);
    }
    plan.calm_down();
    stop(world, &hosts, kind).await?;
    Ok(End::Stopped)
}

/// Starts as many hosts, with all plugins.
async fn start(ports: &Ports, hosts_count: u64, kind: Kind) -> anyhow::Result<Vec<Engine>> {
    let mut hosts = Vec::new();
    for _ in 0..hosts_count {
        let engine =
            Engine::start(ports.clone(), options(kind)).await.context("it does not start")?;
        for component in guest::components() {
            engine.install(None, component, None).await.context("a plugin is not installed")?;
        }
        hosts.push(engine);
    }
    Ok(hosts)
}

/// Stops the hosts; in the last life after everything is told and projected.
async fn stop(world: &mut World, hosts: &[Engine], kind: Kind) -> anyhow::Result<()> {
    // Whatever waits in a fault waits no longer than this.
    tokio::time::sleep(Duration::from_secs(60)).await;
    if kind == Kind::Last {
        let engine = hosts.first().context("no host")?;
        client::clear_up(world, engine).await.context("clearing up")?;
        schedules::clear_up(world, engine).await.context("scheduled commands")?;
        processes::clear_up(world, engine).await.context("process managers")?;
        for engine in hosts {
            client::reach_heads(world, engine).await?;
        }
    }
    for engine in hosts {
        engine.stop().await;
    }
    check::all(world).await.context("after the engine stopped")?;
    if kind == Kind::Last { check::is_complete(world).await } else { Ok(()) }
}

async fn step(
    world: &mut World,
    hosts: &[Engine],
    ports: &Ports,
    random: &mut Random,
) -> anyhow::Result<()> {
    let engine = client::pick(hosts, random)?;
    match random.below(20) {
        0..=7 => client::send_commands(world, hosts, random).await,
        8..=9 => client::append_plain(world, engine, random).await,
        10 => client::read_state(world, engine, random).await,
        11 => client::read_view(world, engine, random).await,
        12 => client::wake(world, &*ports.bus).await,
        13 => {
            // Deleting snapshots changes nothing but time, also when it fails.
            drop(engine.delete_snapshots().await);
            Ok(())
        }
        14 => {
            world.clock.step(random);
            Ok(())
        }
        15..=16 => schedules::step(world, engine, random).await,
        17..=18 => processes::step(world, engine, random).await,
        _ => {
            tokio::time::sleep(Duration::from_millis(random.below(300))).await;
            Ok(())
        }
    }
}

/// Small numbers, so that every limit is met often.
fn options(kind: Kind) -> EngineOptions {
    EngineOptions {
        shards_count: NonZeroUsize::MIN.saturating_add(1),
        residents_max: NonZeroUsize::MIN.saturating_add(1),
        snapshot_every_events: 3,
        snapshots_in_flight_max: 2,
        batch_events_max: 5,
        batch_bytes_max: 4,
        projection_retry_wait: Duration::from_millis(10),
        projection_retry_wait_max: Duration::from_millis(100),
        standby_check_every: Duration::from_millis(50),
        // While faults last, hosts take over from each other without reason. In the last life the one that
        // works says often enough that it does.
        standby_takeover_after: match kind {
            Kind::Mortal => Duration::from_millis(200),
            Kind::Last => Duration::from_secs(15),
        },
        quarantine_wait: Duration::from_millis(200),
        quarantine_wait_max: Duration::from_secs(2),
        processes: ProcessLimits {
            commands_in_flight_max: NonZeroUsize::MIN.saturating_add(1),
            instances_sending_max: NonZeroUsize::MIN.saturating_add(1),
            send_attempts_max: NonZeroU32::MIN.saturating_add(2),
            send_wait: Duration::from_millis(20),
            send_wait_max: Duration::from_millis(100),
            messages_waiting_max: NonZeroUsize::MIN.saturating_add(11),
            ..ProcessLimits::default()
        },
        schedules: ScheduleLimits {
            in_flight_max: NonZeroUsize::MIN.saturating_add(1),
            attempts_max: NonZeroU32::MIN.saturating_add(2),
            firing_wait_max: Duration::from_millis(500),
            check_every: Duration::from_millis(100),
            retry_wait: Duration::from_millis(100),
            ..ScheduleLimits::default()
        },
        placement: Placement::LocalTasks,
        ..EngineOptions::default()
    }
}
