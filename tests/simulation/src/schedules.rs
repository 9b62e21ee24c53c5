//! Scheduled commands: made, made again and cancelled by a client, and what must have become of each in
//! the end.

use std::collections::HashMap;
use std::time::Duration;

use annals_core::command::Outcome;
use annals_core::commit::RecordedCommit;
use annals_core::event::Origin;
use annals_core::id::CommandId;
use annals_core::port::state_store::StateError;
use annals_engine::Engine;
use annals_engine::schedule::{
    Schedule, ScheduleError, ScheduleId, ScheduleRequest, ScheduleStatus, Timing,
};
use annals_store_memory::faulty::Random;
use anyhow::{Context as _, bail, ensure};

use crate::client;
use crate::world::World;

/// How often the end is looked for: more means that something is never sent.
const LOOKS_MAX: u32 = 2_000;

/// A command that a client scheduled, or tried to.
#[derive(Debug)]
pub(crate) struct SentSchedule {
    request: ScheduleRequest,
    /// What its command is called, once the client was told.
    command_id: Option<CommandId>,
    /// Whether the client was told that it is cancelled before it was sent for the first time.
    must_not_run: bool,
}

/// Schedules a command, or an older one again, or cancels one.
pub(crate) async fn step(
    world: &mut World,
    engine: &Engine,
    random: &mut Random,
) -> anyhow::Result<()> {
    let sent_count = u64::try_from(world.ledger.schedules.len())?;
    if sent_count == 0 || random.happens(600) {
        let number = world.ledger.schedules.len();
        let command = client::new_command(number, random)?.request;
        let request = ScheduleRequest {
            id: Some(ScheduleId::new(&format!("s{number}"))?),
            aggregate: command.aggregate,
            target: command.id,
            command: command.command,
            data: command.data,
            timing: Timing::AfterMs(random.below(20_000)),
            origin: Origin::default(),
        };
        let (command_id, must_not_run) = (None, false);
        world.ledger.schedules.push(SentSchedule { request, command_id, must_not_run });
        return create(world, engine, number).await.map(drop);
    }
    let index = usize::try_from(random.below(sent_count))?;
    if random.happens(500) {
        create(world, engine, index).await.map(drop)
    } else {
        cancel(world, engine, index).await
    }
}

/// Makes a schedule, which may be there; gives it back when it is.
async fn create(
    world: &mut World,
    engine: &Engine,
    index: usize,
) -> anyhow::Result<Option<Schedule>> {
    let sent = world.ledger.schedules.get_mut(index).context("no such schedule")?;
    match engine.schedules().create(sent.request.clone()).await {
        Ok(schedule) => {
            let sent_id = schedule.outcomes.first().map(|outcome| outcome.command_id);
            let due_id =
                schedule.due_at.map(|due| CommandId::derive(schedule.causation_id, due.ms()));
            let command_id = sent_id.or(due_id).or(sent.command_id);
            let is_the_same = sent.command_id.is_none() || sent.command_id == command_id;
            ensure!(is_the_same, "schedule {index} is another one: {schedule:?}");
            sent.command_id = command_id;
            Ok(Some(schedule))
        }
        Err(error) => allowed(error).map(|()| None),
    }
}

async fn cancel(world: &mut World, engine: &Engine, index: usize) -> anyhow::Result<()> {
    let sent = world.ledger.schedules.get_mut(index).context("no such schedule")?;
    let id = sent.request.id.as_ref().context("no id")?;
    match engine.schedules().cancel(id).await {
        Ok(schedule) => {
            sent.must_not_run |= schedule.status == ScheduleStatus::Cancelled
                && !schedule.is_cancelling
                && schedule.last_failure.is_none();
            Ok(())
        }
        Err(error) => allowed(error),
    }
}

/// What faults of the drivers, and the order of things, may lead to.
fn allowed(error: ScheduleError) -> anyhow::Result<()> {
    match error {
        ScheduleError::State(StateError::Unavailable(_) | StateError::OutcomeUnknown(_))
        | ScheduleError::Contended { .. }
        | ScheduleError::Unknown { .. }
        | ScheduleError::Ended { .. } => Ok(()),
        error => bail!("a schedule: {error}"),
    }
}

/// Lets all the time pass that is needed, and checks that each command has one outcome: the one that is
/// in the log.
pub(crate) async fn clear_up(world: &mut World, engine: &Engine) -> anyhow::Result<()> {
    let mut ended = Vec::new();
    for index in 0..world.ledger.schedules.len() {
        let mut looks_count = 0;
        let schedule = loop {
            looks_count += 1;
            ensure!(looks_count < LOOKS_MAX, "schedule {index} never ends");
            let found = create(world, engine, index).await?;
            let is_over =
                |it: &Schedule| it.status.is_ended() || it.status == ScheduleStatus::Parked;
            match found.filter(is_over) {
                Some(schedule) => break schedule,
                None => {
                    world.clock.advance(Duration::from_secs(60));
                    tokio::time::sleep(Duration::from_secs(2)).await;
                }
            }
        };
        ended.push(schedule);
    }
    let log = world.log().await?;
    let recorded: HashMap<_, _> = log
        .commits
        .iter()
        .filter_map(|recorded| Some((recorded.commit.command.as_ref()?.id, recorded)))
        .collect();
    for (sent, schedule) in world.ledger.schedules.iter().zip(&ended) {
        let recorded = sent.command_id.and_then(|id| recorded.get(&id)).copied();
        check(sent, schedule, recorded).with_context(|| format!("{schedule:?}, {recorded:?}"))?;
    }
    Ok(())
}

fn check(
    sent: &SentSchedule,
    schedule: &Schedule,
    recorded: Option<&RecordedCommit>,
) -> anyhow::Result<()> {
    ensure!(!sent.must_not_run || recorded.is_none(), "was cancelled, and has run");
    let Some(outcome) = schedule.outcomes.first() else {
        // One that was cancelled on its way may have been decided by a host that died then.
        let may_have_run = schedule.status == ScheduleStatus::Cancelled;
        ensure!(recorded.is_none() || may_have_run, "has run, and does not say so");
        return Ok(());
    };
    ensure!(schedule.outcomes_count == 1, "has run more than once");
    let commit = &recorded.context("says that it has run")?.commit;
    let command = commit.command.as_ref().context("has no record")?;
    let is_rejected = matches!(command.outcome, Outcome::Rejected(_));
    let is_as_told = command.data == sent.request.data
        && commit.recorded_at == outcome.recorded_at
        && is_rejected == outcome.rejection.is_some()
        && is_rejected == (schedule.status == ScheduleStatus::Rejected);
    ensure!(is_as_told, "has another outcome than it says");
    Ok(())
}
