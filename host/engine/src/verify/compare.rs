//! Comparing: every stream of the walk, its events and commands in order, on both versions.

use std::sync::Arc;

use annals_core::command::{Outcome, RecordedCommand};
use annals_core::event::RecordedEvent;
use annals_core::place::{ActualRevision, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::ReadError;
use annals_core::stream::StreamId;

use super::decided::{Decided, DecidedEvent, Drift, Likeness, Said, value_of};
use super::difference::differences;
use super::page::{Commands, Events};
use super::report::{BrokenExample, CommandExample, Report, StateExample, Tally};
use super::side::{Phase, Side, cause_of};
use super::walk::{Sample, Walk};
use super::{Progress, Run, Step, VerifyError};
use crate::catalog::ActiveAggregate;
use crate::command::CommandError;

/// A running comparison.
#[derive(Debug)]
pub(super) struct Comparison {
    run: Run,
    active: Side,
    candidate: Side,
    tally: Tally,
    progress: Progress,
}

impl Comparison {
    pub(super) fn new(run: Run) -> Self {
        let tally = Tally::new(&run.active, &run.candidate, run.options.examples_max);
        let active = Side::new(Arc::clone(&run.active));
        let candidate = Side::new(Arc::clone(&run.candidate));
        Self { run, active, candidate, tally, progress: Progress::default() }
    }

    /// Compares all streams, or the sample of them. `None`: nobody waits for it any more.
    pub(super) async fn run(mut self) -> Result<Option<Report>, VerifyError> {
        let store = Arc::clone(&self.run.store);
        let category = self.run.candidate.description.name.to_string();
        let walk = Walk::new(&*store, &category, self.run.started_at).await?;
        self.progress.total_count = walk.events_count();
        let is_done = match self.run.options.streams_max {
            Some(streams_max) => self.run_sample(&*store, walk, streams_max.get()).await?,
            None => self.run_all(&*store, walk).await?,
        };
        if !is_done {
            // Who waits while the host stops is told so by the reply that goes away.
            return Ok(None);
        }
        let Self { mut tally, progress, .. } = self;
        let report = &mut tally.report;
        report.streams_count = progress.streams_count;
        report.events_count = progress.events_count;
        report.commands_count = report.commands.decided_count + report.commands.undecided_count;
        Ok(Some(tally.finish()))
    }

    async fn run_all(
        &mut self,
        store: &dyn EventStore,
        mut walk: Walk,
    ) -> Result<bool, VerifyError> {
        while let Some(found) = walk.next(store).await? {
            self.progress.done_count += found.others_count;
            for stream in found.streams {
                if !self.stream(store, &stream).await? {
                    return Ok(false);
                }
            }
            if !self.tell().await {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn run_sample(
        &mut self,
        store: &dyn EventStore,
        mut walk: Walk,
        streams_max: usize,
    ) -> Result<bool, VerifyError> {
        let mut sample = Sample::new(streams_max);
        self.progress.step = Step::Choosing;
        let mut offered_count = 0_usize;
        while let Some(found) = walk.next(store).await? {
            self.progress.done_count += found.events_count;
            offered_count += found.streams.len();
            found.streams.iter().for_each(|stream| sample.offer(stream));
            if !self.tell().await {
                return Ok(false);
            }
        }
        let streams = sample.into_streams();
        self.tally.report.is_sample = offered_count > streams.len();
        self.progress.step = Step::Verifying;
        self.progress.total_count = u64::try_from(streams.len()).unwrap_or(u64::MAX);
        for (done_count, stream) in (0..).zip(&streams) {
            self.progress.done_count = done_count;
            if !self.stream(store, stream).await? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Tells how far it is, and lets others on the same thread get on. `false`: it is to end.
    async fn tell(&mut self) -> bool {
        self.run.progress.send_replace(self.progress);
        tokio::task::yield_now().await;
        !self.run.is_over()
    }

    /// Compares one stream. `false`: it is to end.
    async fn stream(
        &mut self,
        store: &dyn EventStore,
        stream: &StreamId,
    ) -> Result<bool, VerifyError> {
        let info = store.stream_info(stream).await?;
        let mut events = Events::new(stream, info.revision.events_count());
        let mut commands = Commands::new(stream, info.commands_count);
        self.progress.streams_count += 1;
        let begun = self.candidate.begin(stream);
        self.begin_active(stream);
        let mut broken = begun.err();
        while broken.is_none() {
            let Some(command) = commands.next(store).await? else { break };
            let place = decided_at(&command);
            broken = self.fold(store, &mut events, place).await?;
            if broken.is_none() {
                broken = self.command(store, stream, (&command, place), &mut events).await?;
            } else {
                self.tally.command(&command.record.name, |counts| counts.undecided_count += 1);
            }
            if !self.tell().await {
                return Ok(false);
            }
        }
        if broken.is_none() {
            let end = events.end();
            broken = self.fold(store, &mut events, end).await?;
        }
        if broken.is_none() {
            broken = self.states(stream, info.revision);
        }
        if let Some(error) = broken {
            self.broken(store, stream, (&mut events, &commands), &error).await?;
        }
        self.active.end();
        self.candidate.end();
        Ok(self.tell().await)
    }

    /// A version that is active and cannot be folded is nothing new: it is counted, and has no say.
    fn begin_active(&mut self, stream: &StreamId) {
        if self.active.begin(stream).is_err() {
            self.tally.report.active_broken_streams_count += 1;
        }
    }

    /// Folds both versions up to `count` events. The error is the candidate's.
    async fn fold(
        &mut self,
        store: &dyn EventStore,
        events: &mut Events<'_>,
        count: u64,
    ) -> Result<Option<CommandError>, VerifyError> {
        while events.taken() < count {
            let page = events.take_to(store, count).await?;
            if page.is_empty() {
                break;
            }
            self.passed(page.len());
            let was_folding = self.active.phase() != Phase::Lost;
            if was_folding && self.active.evolve(&page).is_err() {
                self.tally.report.active_broken_streams_count += 1;
            }
            if let Err(error) = self.candidate.evolve(&page) {
                self.unreadable(&error, &page);
                return Ok(Some(error));
            }
            if page.len() > 1 && !self.tell().await {
                break;
            }
        }
        Ok(None)
    }

    fn passed(&mut self, events_count: usize) {
        let events_count = u64::try_from(events_count).unwrap_or(0);
        self.progress.events_count += events_count;
        if self.run.options.streams_max.is_none() {
            self.progress.done_count += events_count;
        }
    }

    /// Decides a command again, on both versions. The error is the candidate's, when its entity was lost
    /// by a failing decision and cannot be folded again.
    async fn command(
        &mut self,
        store: &dyn EventStore,
        stream: &StreamId,
        (command, place): (&RecordedCommand, u64),
        events: &mut Events<'_>,
    ) -> Result<Option<CommandError>, VerifyError> {
        let name = &command.record.name;
        if self.candidate.phase() != Phase::Deciding {
            self.tally.command(name, |counts| counts.undecided_count += 1);
            return Ok(None);
        }
        self.progress.commands_count += 1;
        let version = &self.run.candidate;
        let recorded = recorded_outcome(store, command, events, version).await?;
        let said = decide(&mut self.candidate, &self.run, command);
        let active = (self.active.phase() == Phase::Deciding)
            .then(|| decide(&mut self.active, &self.run, command));
        self.tally.command(name, |counts| counts.decided_count += 1);
        self.judge(stream, (command, place), &recorded, (&said, active.as_ref()));
        if matches!(active, Some(Said { decided: Decided::Failed(_), .. }))
            && fold_again(&mut self.active, store, stream, place).await?.is_some()
        {
            self.tally.report.active_broken_streams_count += 1;
        }
        match said.decided {
            Decided::Failed(_) => Ok(fold_again(&mut self.candidate, store, stream, place).await?),
            _ => Ok(None),
        }
    }

    /// Compares what was said with what was recorded, and counts it.
    fn judge(
        &mut self,
        stream: &StreamId,
        (command, place): (&RecordedCommand, u64),
        recorded: &Decided,
        (said, active): (&Said, Option<&Said>),
    ) {
        let name = &command.record.name;
        let likeness = said.decided.compared_with(recorded);
        let is_shared = active.is_some_and(|active| {
            active.decided.is_like(&said.decided) && active.claims_like(said)
        });
        // The log does not tell which claims a command took: the active version does, where it decides
        // as recorded.
        let reference = active.filter(|active| {
            !matches!(active.decided.compared_with(recorded), Likeness::Differs(_))
        });
        let drift = match (likeness, reference) {
            (Likeness::Differs(drift), _) => drift,
            (_, Some(active)) if !active.claims_like(said) => Drift::Claims,
            (Likeness::OtherWords, _) => {
                return self.tally.command(name, |counts| counts.other_words_count += 1);
            }
            (Likeness::Same, _) => return,
        };
        self.tally.command(name, |counts| {
            counts.drifted_count += 1;
            counts.shared_count += u64::from(is_shared);
            match drift {
                Drift::Outcome => counts.outcome_count += 1,
                Drift::Events => counts.events_count += 1,
                Drift::Claims => counts.claims_count += 1,
            }
        });
        self.tally.command_example(|| CommandExample {
            stream: stream.clone(),
            command: name.clone(),
            command_id: command.record.id,
            revision: Revision::last_of(place).into(),
            drift,
            is_shared,
            differences: match (drift, active) {
                (Drift::Claims, Some(active)) => {
                    differences(&active.claims_json(), &said.claims_json())
                }
                _ => differences(&recorded.to_json(), &said.decided.to_json()),
            },
        });
    }

    /// Compares the states at the end of a stream. The error is the candidate's.
    fn states(&mut self, stream: &StreamId, revision: ActualRevision) -> Option<CommandError> {
        let state = self.candidate.snapshot();
        let active = (self.active.phase() != Phase::Lost).then(|| self.active.snapshot());
        let states = &mut self.tally.report.states;
        let (state, active) = match (state, active) {
            (Ok(state), Some(Ok(active))) if states.is_comparable => (state, active),
            (Err(error), None | Some(Ok(_))) => return Some(error),
            // What the active version cannot write either is nothing new.
            (Ok(_), _) | (Err(_), Some(Err(_))) => {
                states.uncompared_count += 1;
                return None;
            }
        };
        states.compared_count += 1;
        if state == active {
            return None;
        }
        let differences = differences(&value_of(&active), &value_of(&state));
        if !differences.is_empty() {
            states.differing_count += 1;
            let stream = stream.clone();
            self.tally.state_example(|| StateExample { stream, revision, differences });
        }
        None
    }

    /// Counts a stream that the candidate cannot fold, with all of its events that cannot be read.
    async fn broken(
        &mut self,
        store: &dyn EventStore,
        stream: &StreamId,
        (events, commands): (&mut Events<'_>, &Commands<'_>),
        error: &CommandError,
    ) -> Result<(), VerifyError> {
        let is_shared = self.active.phase() == Phase::Lost;
        let revision = match error {
            // The events before it in its page could have been folded.
            CommandError::UnreadableEvent { revision, .. } => {
                Revision::last_of(revision.get()).into()
            }
            _ => self.candidate.revision(),
        };
        let report = &mut self.tally.report;
        report.broken_streams_count += 1;
        report.states.uncompared_count += 1;
        report.commands.undecided_count += commands.left();
        self.tally.broken_example(|| BrokenExample {
            stream: stream.clone(),
            revision,
            cause: cause_of(error),
            is_shared,
        });
        if matches!(error, CommandError::UnreadableEvent { .. }) {
            let end = events.end();
            while events.taken() < end && !self.run.is_over() {
                let page = events.take_to(store, end).await?;
                if page.is_empty() {
                    break;
                }
                self.passed(page.len());
                self.unreadable(error, &page);
            }
        }
        if self.run.options.streams_max.is_none() {
            // What is passed over is done with.
            self.progress.done_count += events.end().saturating_sub(events.taken());
        }
        Ok(())
    }

    fn unreadable(&mut self, error: &CommandError, events: &[RecordedEvent]) {
        if matches!(error, CommandError::UnreadableEvent { .. }) {
            let unreadable = events.iter().filter(|event| !self.candidate.reads(event));
            unreadable.for_each(|event| self.tally.unreadable(event));
        }
    }
}

fn decide(side: &mut Side, run: &Run, command: &RecordedCommand) -> Said {
    side.decide(command, &run.namespace, run.decision_events_max)
}

/// How many events the stream had when a command was decided.
fn decided_at(command: &RecordedCommand) -> u64 {
    command.events.map_or(command.revision.events_count(), |range| range.first_revision.get())
}

/// What was recorded of a command; its events come next.
async fn recorded_outcome(
    store: &dyn EventStore,
    command: &RecordedCommand,
    events: &mut Events<'_>,
    version: &ActiveAggregate,
) -> Result<Decided, ReadError> {
    match &command.record.outcome {
        Outcome::Rejected(rejection) => Ok(Decided::Rejected(rejection.clone())),
        Outcome::Accepted => {
            let count = command.events.map_or(0, |range| {
                let before = range.first_revision.get();
                range.last_revision.events_count().saturating_sub(before)
            });
            let ahead = events.ahead(store, count).await?;
            let ahead: Vec<_> = ahead.cloned().collect();
            Ok(Decided::Accepted(as_read_by(version, &ahead)))
        }
    }
}

/// Recorded events in the shapes in which a version reads them: it would not write older ones. Those of
/// which no upcaster makes what it reads are as they are.
fn as_read_by(version: &ActiveAggregate, mut events: &[RecordedEvent]) -> Vec<DecidedEvent> {
    let mut read = Vec::with_capacity(events.len());
    while !events.is_empty() {
        let Ok(stretch) = version.upcasts.first(events, version.events()) else {
            read.extend(events.iter().map(DecidedEvent::from));
            break;
        };
        for (event, changed) in stretch.iter() {
            match changed {
                None => read.push(DecidedEvent::from(event)),
                Some(shapes) => read.extend(shapes.iter().map(DecidedEvent::from)),
            }
        }
        events = events.get(stretch.taken()..).unwrap_or_default();
    }
    read
}

/// Folds a version again whose entity was lost by a failing decision. The inner error is the version's.
async fn fold_again(
    side: &mut Side,
    store: &dyn EventStore,
    stream: &StreamId,
    count: u64,
) -> Result<Option<CommandError>, ReadError> {
    if let Err(error) = side.begin_again(stream) {
        return Ok(Some(error));
    }
    let mut events = Events::new(stream, count);
    while events.taken() < count {
        let page = events.take_to(store, count).await?;
        if page.is_empty() {
            break;
        }
        if let Err(error) = side.evolve(&page) {
            return Ok(Some(error));
        }
    }
    Ok(None)
}
