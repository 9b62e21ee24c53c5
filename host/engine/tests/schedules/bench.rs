//! A host with the tally, whose clock goes on with the time of the test and can be set.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annals_core::event::Origin;
use annals_core::name::CommandName;
use annals_core::time::{Clock, Timestamp};
use annals_engine::Engine;
use annals_engine::schedule::{
    Schedule, ScheduleError, ScheduleId, ScheduleRequest, ScheduleStatus, Timing,
};
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::support::guest::tally;
use crate::support::{World, name};

pub(super) const SECOND: Duration = Duration::from_secs(1);
pub(super) const HOUR: Duration = Duration::from_secs(3_600);

/// 2026-11-20T09:30:00Z, a Friday.
pub(super) const START_MS: u64 = 1_795_167_000_000;

/// Time that goes on with the paused time of the test, and can be set.
#[derive(Debug)]
pub(super) struct TestClock {
    begun: Instant,
    begun_ms: AtomicU64,
}

impl TestClock {
    /// Sets it to so many milliseconds after `START_MS`.
    pub(super) fn set(&self, ms: u64) {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap();
        self.begun_ms.store(START_MS + ms - elapsed, Ordering::Relaxed);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Timestamp {
        let elapsed = u64::try_from(self.begun.elapsed().as_millis()).unwrap();
        Timestamp::from_ms(self.begun_ms.load(Ordering::Relaxed) + elapsed)
    }
}

/// A host with the tally.
pub(super) struct Bench {
    pub(super) world: World,
    pub(super) clock: Arc<TestClock>,
    pub(super) engine: Engine,
}

impl Bench {
    pub(super) async fn start() -> Self {
        Self::start_with(World::new()).await
    }

    pub(super) async fn start_with(mut world: World) -> Self {
        let begun_ms = AtomicU64::new(START_MS);
        let clock = Arc::new(TestClock { begun: Instant::now(), begun_ms });
        world.ports.clock = Arc::clone(&clock) as _;
        let engine = world.start_with_tally().await;
        Self { world, clock, engine }
    }

    /// The same host after an orderly stop and, some time later, a start.
    pub(super) async fn restarted_after(self, downtime: Duration) -> Self {
        let Self { world, clock, engine } = self;
        engine.stop().await;
        drop(engine);
        sleep(downtime).await;
        let engine = world.start().await;
        Self { world, clock, engine }
    }

    pub(super) async fn schedule(&self, request: ScheduleRequest) -> Schedule {
        self.engine.schedules().create(request).await.unwrap()
    }

    pub(super) async fn show(&self, id: &str) -> Schedule {
        self.engine.schedules().show(&schedule_id(id)).await.unwrap()
    }

    pub(super) async fn cancel(&self, id: &str) -> Result<Schedule, ScheduleError> {
        self.engine.schedules().cancel(&schedule_id(id)).await
    }

    pub(super) async fn retry(&self, id: &str) -> Result<Schedule, ScheduleError> {
        self.engine.schedules().retry(&schedule_id(id)).await
    }

    /// Waits until a schedule is as said, for at most two hours of paused time.
    pub(super) async fn until(&self, id: &str, is: impl Fn(&Schedule) -> bool) -> Schedule {
        let begun = Instant::now();
        loop {
            let schedule = self.show(id).await;
            if is(&schedule) {
                return schedule;
            }
            assert!(begun.elapsed() < 2 * HOUR, "{schedule:#?}");
            sleep(Duration::from_millis(100)).await;
        }
    }

    pub(super) async fn until_status(&self, id: &str, status: ScheduleStatus) -> Schedule {
        self.until(id, |schedule| schedule.status == status).await
    }

    /// How many commands the aggregate was asked to decide since the last time.
    pub(super) fn decided_count(&self) -> u64 {
        crate::support::guest::Probe::take(&self.world.probe.decided)
    }
}

pub(super) fn schedule_id(text: &str) -> ScheduleId {
    ScheduleId::new(text).unwrap()
}

/// What adds 1 to the tally `a`.
pub(super) fn add(id: &str, timing: Timing) -> ScheduleRequest {
    command(id, "add", r#"{"amount":1}"#, timing)
}

/// A command for the tally `a`.
pub(super) fn command(id: &str, command: &str, data: &str, timing: Timing) -> ScheduleRequest {
    ScheduleRequest {
        id: Some(schedule_id(id)),
        aggregate: name("tally"),
        target: "a".to_owned(),
        command: CommandName::new(command).unwrap(),
        data: Bytes::copy_from_slice(data.as_bytes()),
        timing,
        origin: Origin::default(),
    }
}

pub(super) fn after(text: &str) -> Timing {
    Timing::after(text).unwrap()
}

pub(super) fn cron(expression: &str) -> Timing {
    Timing::cron(expression, "UTC").unwrap()
}

/// So many milliseconds after the test began.
pub(super) fn ms(after: u64) -> Timestamp {
    Timestamp::from_ms(START_MS + after)
}

/// When the commands of a schedule were due, after the test began, and what was said to them.
pub(super) fn outcomes(schedule: &Schedule) -> Vec<(u64, &str)> {
    let outcomes = schedule.outcomes.iter().map(|outcome| {
        let said = outcome.rejection.as_ref().map_or("accepted", |rejection| &rejection.code);
        (outcome.due_at.ms() - START_MS, said)
    });
    outcomes.collect()
}

/// A version of the tally without the command `look`.
pub(super) async fn install(engine: &Engine, component: Bytes) {
    engine.install(None, component, None).await.unwrap();
}

/// The tally as it is at first, in another version.
pub(super) fn tally_again() -> Bytes {
    tally("3.0.0")
}
