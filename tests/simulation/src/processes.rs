//! What the process manager must have made of the log: each event handled once, each timer fired once,
//! each command with one effect, and nothing of it that nobody wanted.

use std::collections::{BTreeMap, BTreeSet, HashMap, VecDeque};
use std::time::Duration;

use annals_core::command::{CommandRecord, Outcome};
use annals_core::event::RecordedEvent;
use annals_core::id::CommandId;
use annals_core::name::PluginName;
use annals_core::port::state_store::StateError;
use annals_engine::Engine;
use annals_engine::process::instance::{HandledMessage, Instance};
use annals_engine::process::status::{InstanceFilter, ProcessQueryError};
use annals_engine::projection::Unpark;
use annals_store_memory::faulty::Random;
use anyhow::{Context as _, bail, ensure};
use uuid::Uuid;

use crate::courier::{self, COURIER, Note, PRINCIPAL, Said, TARGET};
use crate::guest;
use crate::world::{Log, World};

/// How often the end is looked for: more means that something is never done.
const LOOKS_MAX: u32 = 400;

/// Most instances that are read at once.
const PAGE: usize = 20;

/// Lets the process manager be well or not, or asks for what is parked to be handled.
pub(crate) async fn step(
    world: &World,
    engine: &Engine,
    random: &mut Random,
) -> anyhow::Result<()> {
    if random.happens(500) {
        if random.happens(500) {
            world.mood.turn_bad();
        } else {
            world.mood.turn_good();
        }
        return Ok(());
    }
    match engine.ask_process_all(&PluginName::new(COURIER)?, Unpark::Replay).await {
        Ok(_)
        | Err(ProcessQueryError::State(
            StateError::Unavailable(_) | StateError::OutcomeUnknown(_),
        )) => Ok(()),
        Err(error) => bail!("what is parked: {error}"),
    }
}

/// A command that the process manager sent and that has an outcome, as it is in the log.
#[derive(Debug, Clone, Copy)]
struct Effect<'a> {
    record: &'a CommandRecord,
    cause: Uuid,
}

/// Everything in the log that the process manager sent.
fn effects(log: &Log) -> HashMap<CommandId, Effect<'_>> {
    let own = log.commits.iter().filter_map(|recorded| {
        let (origin, record) = (&recorded.commit.origin, recorded.commit.command.as_ref()?);
        let is_own = origin.principal.as_deref() == Some(PRINCIPAL);
        let cause = origin.causation_id.map(|id| id.uuid()).unwrap_or_default();
        is_own.then_some((record.id, Effect { record, cause }))
    });
    own.collect()
}

/// How many commands of the log it sent.
pub(crate) fn commands_count(log: &Log) -> usize {
    effects(log).len()
}

/// Checks what holds at any time: each command follows from something that was durable before it, and
/// none has its effect twice under two ids.
pub(crate) fn check_log(log: &Log) -> anyhow::Result<()> {
    let (mut known, mut effects) = (BTreeSet::new(), BTreeSet::new());
    let ids_of: HashMap<CommandId, Vec<Uuid>> = {
        let mut ids: HashMap<CommandId, Vec<Uuid>> = HashMap::new();
        for event in log.events() {
            if let Some(command) = event.command_id {
                ids.entry(command).or_default().push(event.id.uuid());
            }
        }
        ids
    };
    let appended = log.events().filter(|event| event.command_id.is_none());
    known.extend(appended.map(|event| event.id.uuid()));
    for recorded in &log.commits {
        let Some(record) = &recorded.commit.command else { continue };
        let origin = &recorded.commit.origin;
        if origin.principal.as_deref() == Some(PRINCIPAL) {
            let cause = origin.causation_id.context("a command without a cause")?.uuid();
            ensure!(known.contains(&cause), "{cause}, the cause of {record:?}, is not there");
            let effect = (cause, record.stream.to_string(), record.name.to_string(), &record.data);
            ensure!(effects.insert(effect), "had its effect twice: {record:?}");
        }
        known.insert(record.id.uuid());
        known.extend(ids_of.get(&record.id).into_iter().flatten());
    }
    Ok(())
}

/// Lets all the time pass that is needed, and checks that everything was handled, once.
pub(crate) async fn clear_up(world: &World, engine: &Engine) -> anyhow::Result<()> {
    world.mood.turn_good();
    let name = PluginName::new(COURIER)?;
    let mut looks_count = 0;
    loop {
        looks_count += 1;
        engine.ask_process_all(&name, Unpark::Replay).await?;
        tokio::time::sleep(Duration::from_secs(20)).await;
        world.clock.advance(Duration::from_secs(600));
        let log = world.log().await?;
        let instances = instances(engine, &name).await?;
        let Err(not_yet) = is_quiet(&log, &instances) else {
            let streams = engine.process_parked_streams(&name, None, 1).await?;
            ensure!(streams.is_empty(), "a stream is still parked: {streams:?}");
            return check(&log, &instances);
        };
        if looks_count >= LOOKS_MAX {
            let progress = engine.process_progress(&name)?;
            return Err(not_yet.context(format!("the process manager never ends: {progress:?}")));
        }
    }
}

async fn instances(
    engine: &Engine,
    name: &PluginName,
) -> anyhow::Result<BTreeMap<String, Instance>> {
    let mut all = BTreeMap::new();
    let mut after = None;
    loop {
        let filter = InstanceFilter::All;
        let page = engine.process_instances(name, filter, after.as_deref(), PAGE).await?;
        all.extend(page.instances.into_iter().map(|it| (it.id.to_string(), it)));
        after = page.next_after;
        if after.is_none() {
            return Ok(all);
        }
    }
}

/// The events that concern each instance, those of a stream in order.
fn concerned(log: &Log) -> anyhow::Result<BTreeMap<String, Vec<&RecordedEvent>>> {
    let mut all: BTreeMap<String, Vec<&RecordedEvent>> = BTreeMap::new();
    for event in log.events().filter(|event| !event.stream.is_system()) {
        let number = guest::number_of(&event.data).context("an event is no number")?;
        for id in courier::concerned(event.stream.as_str(), event.revision.get(), number) {
            all.entry(id).or_default().push(event);
        }
    }
    Ok(all)
}

/// Whether nothing is under way any more; `Err`: what is.
fn is_quiet(log: &Log, instances: &BTreeMap<String, Instance>) -> anyhow::Result<()> {
    for (id, events) in concerned(log)? {
        let instance = instances.get(&id).with_context(|| format!("there is no `{id}`"))?;
        let is_at_rest =
            instance.pending.is_empty() && instance.timers.is_empty() && instance.parked.is_none();
        ensure!(is_at_rest, "`{id}` waits: {instance:?}");
        let Some(state) = &instance.state else { continue };
        let handled = courier::notes(state).context("an unreadable state")?;
        let handled = handled.iter().filter(|note| matches!(note, Note::Event(..))).count();
        ensure!(handled >= events.len(), "`{id}` has handled {handled} of {}", events.len());
    }
    Ok(())
}

/// Plays everything again by what the instances say they have handled.
fn check(log: &Log, instances: &BTreeMap<String, Instance>) -> anyhow::Result<()> {
    let effects = effects(log);
    let concerned = concerned(log)?;
    let same = instances.keys().eq(concerned.keys());
    ensure!(same, "there are {:?}, not {:?}", instances.keys(), concerned.keys());
    let mut answered_count = 0;
    for (id, events) in &concerned {
        let instance = instances.get(id).context("no such instance")?;
        let notes = match &instance.state {
            Some(state) => courier::notes(state).context("an unreadable state")?,
            None => history(instance).context("an unreadable history")?,
        };
        let is_all = instance.messages_count == u64::try_from(notes.len())?;
        ensure!(is_all, "`{id}` forgot something: {notes:?}, {instance:?}");
        let answered = Replay::new(id, &effects)
            .play(&notes, events)
            .with_context(|| format!("`{id}`: {notes:?}"))?;
        answered_count += answered;
    }
    let all = effects.len();
    ensure!(answered_count == all, "{answered_count} of {all} commands of the log are told of");
    Ok(())
}

/// What an instance that has ended says it has handled.
fn history(instance: &Instance) -> Option<Vec<Note>> {
    let note = |message: &HandledMessage| match message {
        HandledMessage::Event { event_id, .. } => Some(Note::Event(event_id.uuid(), 1)),
        // Its id is not kept; each has one, and there is at most one.
        HandledMessage::Timer { .. } => Some(Note::Timer(Uuid::nil())),
        HandledMessage::Reply { command_id, reply, .. } => {
            Some(Note::Reply(command_id.uuid(), 1, Said::of(reply)))
        }
        HandledMessage::Discarded { .. } => None,
    };
    instance.history.iter().map(|entry| note(&entry.message)).collect()
}

/// An instance that is played again.
struct Replay<'a> {
    id: &'a str,
    effects: &'a HashMap<CommandId, Effect<'a>>,
    /// Commands that wait for their reply, with what led to them.
    pending: VecDeque<(Uuid, &'static str, i64)>,
    /// The timer that runs, as the message that started it.
    timer: Option<Uuid>,
    seen: BTreeSet<Uuid>,
    answered_count: usize,
}

impl<'a> Replay<'a> {
    fn new(id: &'a str, effects: &'a HashMap<CommandId, Effect<'a>>) -> Self {
        let (pending, seen) = (VecDeque::new(), BTreeSet::new());
        Self { id, effects, pending, timer: None, seen, answered_count: 0 }
    }

    /// Returns how many of its commands have an outcome in the log.
    fn play(mut self, notes: &[Note], events: &[&RecordedEvent]) -> anyhow::Result<usize> {
        let handled = notes.iter().filter_map(|note| match note {
            Note::Event(id, _) => Some(*id),
            _ => None,
        });
        let wanted = events.iter().map(|event| event.id.uuid());
        ensure!(handled.eq(wanted), "events are not handled once and in order");
        for note in notes {
            let cause = self.cause_of(*note)?;
            let wish = courier::leads_to(self.id, *note);
            self.pending.extend(wish.commands.iter().map(|(name, number)| (cause, *name, *number)));
            if wish.cancels_timer || wish.ends {
                self.timer = None;
            }
            if wish.starts_timer {
                self.timer = Some(cause);
            }
        }
        ensure!(self.pending.is_empty(), "replies are missing: {:?}", self.pending);
        ensure!(self.timer.is_none(), "a timer did not fire");
        Ok(self.answered_count)
    }

    /// What a message counts as the cause of, if it could come just then.
    fn cause_of(&mut self, note: Note) -> anyhow::Result<Uuid> {
        let (Note::Event(id, _) | Note::Timer(id) | Note::Reply(id, ..)) = note;
        ensure!(self.seen.insert(id), "{note:?} was handled twice");
        match note {
            Note::Event(..) => Ok(id),
            Note::Timer(_) => self.timer.take().context("a timer fired that did not run"),
            Note::Reply(_, number, said) => {
                let (cause, name, wanted) = self.pending.pop_front().context("an odd reply")?;
                ensure!(number == wanted, "{note:?} is not the reply to {name} {wanted}");
                self.check_effect(CommandId::new(id), (cause, name, wanted), said)?;
                Ok(id)
            }
        }
    }

    fn check_effect(
        &mut self,
        id: CommandId,
        (cause, name, number): (Uuid, &str, i64),
        said: Said,
    ) -> anyhow::Result<()> {
        let Some(Effect { record, cause: its }) = self.effects.get(&id) else {
            ensure!(said == Said::Failed, "{id} was {said:?}, and is not there");
            return Ok(());
        };
        self.answered_count += 1;
        let is_as_wanted = *its == cause
            && record.name.as_str() == name
            && record.data == number.to_string()
            && record.stream.as_str() == format!("{TARGET}/{}", courier::target_of(self.id));
        ensure!(is_as_wanted, "{id} is there as {record:?}");
        let is_as_told = match &record.outcome {
            Outcome::Accepted => said == Said::Accepted,
            Outcome::Rejected(_) => said == Said::Rejected,
        };
        ensure!(is_as_told, "{id} was told as {said:?}, and is {:?}", record.outcome);
        Ok(())
    }
}
