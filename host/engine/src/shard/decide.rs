//! One command, from its id to its reply.
//!
//! ```text
//! decided before? ─yes─► first outcome again
//!       │ no
//!       ▼
//!   resident ─► decide ─► append ─► evolve ─► reply when durable
//!       ▲                   │ written by another host
//!       └───────────────────┘ at most `command_conflict_retries_max` times
//! ```
//! State never leads the log: `evolve` runs only on events the store has accepted.

use std::cell::Cell;
use std::rc::Rc;
use std::sync::Arc;

use annals_core::command::{CommandRecord, Outcome, Rejection};
use annals_core::commit::{Accepted, Commit, StreamAppend};
use annals_core::event::{ContentType, NewEvent, Origin};
use annals_core::id::{CommandId, CorrelationId, seed_of};
use annals_core::invariants;
use annals_core::place::{ActualRevision, ExpectedRevision, Partition};
use annals_core::plugin::{Context, Refusal};
use annals_core::port::event_store::AppendError;
use annals_core::port::failure_sink::FailedCommand;
use annals_core::port::guest::GuestFailure;
use annals_core::stream::StreamId;
use tokio::sync::OwnedSemaphorePermit;

use super::run::ShardState;
use super::sandbox::Resident;
use super::{Reply, load};
use crate::catalog::ActiveAggregate;
use crate::check::{self, CheckedDecision};
use crate::command::{CommandError, CommandOutcome, CommandRequest, Verdict};
use crate::outcome::{first_outcome, malformed, outcome_events, unknown_command};

/// A command on its way, with what is the same at each attempt.
struct Attempted<'a> {
    active: &'a Arc<ActiveAggregate>,
    stream: StreamId,
    id: CommandId,
    /// Whether the id was made for this request, so that it cannot have been decided before.
    is_new: bool,
    command_index: u32,
    request: CommandRequest,
    origin: Arc<Origin>,
    context: Context,
    /// Whether the plugin failed on events of this command, which are recorded.
    evolve_failed: Cell<bool>,
}

impl Attempted<'_> {
    /// What repeats it.
    fn as_failed(&self) -> FailedCommand {
        FailedCommand {
            command_type: self.command_index,
            data: self.request.data.clone(),
            context: self.context.clone(),
        }
    }
}

/// What one attempt came to.
enum Step {
    /// The stream was written by another host: decide again.
    Again,
    /// The store accepted it.
    Accepted(Box<CommandOutcome>, Accepted),
    /// It has an answer without a new commit.
    Answer(Result<CommandOutcome, CommandError>),
}

impl ShardState {
    /// Runs one command and sees to its reply.
    pub(super) async fn run_command(
        self: &Rc<Self>,
        active: &Arc<ActiveAggregate>,
        stream: StreamId,
        request: CommandRequest,
        (reply, permit): (Reply<CommandOutcome>, OwnedSemaphorePermit),
    ) {
        match self.attempt_all(active, stream, request).await {
            Step::Accepted(outcome, accepted) => {
                let command_id = outcome.command_id;
                accepted.durability.on_done(move |durable| {
                    let answer = durable.map(|()| *outcome).map_err(|lost| {
                        CommandError::OutcomeUnknown { command_id, cause: lost.cause }
                    });
                    // The sender may have gone away; the outcome is in the log.
                    drop(reply.send(answer));
                    drop(permit);
                });
            }
            Step::Answer(answer) => drop(reply.send(answer)),
            Step::Again => {}
        }
    }

    async fn attempt_all(
        self: &Rc<Self>,
        active: &Arc<ActiveAggregate>,
        stream: StreamId,
        mut request: CommandRequest,
    ) -> Step {
        let Some(command_index) = active.command_index(&request.command) else {
            return Step::Answer(Err(unknown_command(active, &request.command)));
        };
        let is_new = request.id_is_new || request.command_id.is_none();
        let id = request.command_id.unwrap_or_else(|| CommandId::new(self.context.ids.next_uuid()));
        request.command_id = Some(id);
        let origin = with_correlation(std::mem::take(&mut request.origin), id);
        let context = self.plugin_context(id, &origin);
        let command = Attempted {
            active,
            stream,
            id,
            is_new,
            command_index,
            request,
            origin,
            context,
            evolve_failed: Cell::new(false),
        };
        if !is_new && let Some(answer) = self.decided_before(&command).await {
            return Step::Answer(answer);
        }
        let (quarantine, now) = (&self.context.quarantine, command.context.now);
        if let Some(refused) = quarantine.refusal(&command.stream, active.generation, now) {
            return Step::Answer(Err(CommandError::Quarantined(Box::new(refused))));
        }
        let retries_max = self.context.options.command_conflict_retries_max;
        for _ in 0..=retries_max {
            let step = self.attempt(&command).await;
            self.note(&command, &step);
            if let Err(CommandError::Plugin(failure)) = &step {
                let (stream, failed) = (&command.stream, command.as_failed());
                self.keep_bundle(active, stream, failure, Some(failed)).await;
            }
            match step {
                Ok(Step::Again) => self.forget(active, &command.stream),
                Ok(step) => return step,
                Err(error) => return Step::Answer(Err(error)),
            }
        }
        let attempts = retries_max.saturating_add(1);
        Step::Answer(Err(CommandError::Contended { stream: command.stream, attempts }))
    }

    /// Notes whether the plugin failed.
    fn note(&self, command: &Attempted<'_>, step: &Result<Step, CommandError>) {
        let generation = command.active.generation;
        match step {
            Ok(Step::Accepted(..)) | Err(CommandError::Malformed { .. })
                if !command.evolve_failed.get() =>
            {
                self.context.quarantine.succeeded(&command.stream, generation);
            }
            Err(CommandError::Plugin(failure)) => self.note_failure(command, failure),
            _ => {}
        }
    }

    fn note_failure(&self, command: &Attempted<'_>, failure: &GuestFailure) {
        // A view that cannot be read is not the plugin's fault.
        if !matches!(failure, GuestFailure::View { .. }) {
            let (generation, now) = (command.active.generation, self.context.clock.now());
            self.context.quarantine.failed(&command.stream, generation, failure, now);
        }
    }

    fn plugin_context(&self, id: CommandId, origin: &Origin) -> Context {
        let correlation = origin.correlation_id.as_ref().map_or("", CorrelationId::as_str);
        Context {
            message_id: id.uuid(),
            correlation_id: Arc::from(correlation),
            now: self.context.clock.now(),
            seed: seed_of(id.uuid()),
            namespace: Arc::clone(&self.context.namespace),
            principal: origin.principal.clone(),
        }
    }

    async fn decided_before(
        &self,
        command: &Attempted<'_>,
    ) -> Option<Result<CommandOutcome, CommandError>> {
        match self.context.store.find_command(&command.stream, command.id).await {
            Ok(None) => None,
            Ok(Some(recorded)) => {
                Some(first_outcome(&*self.context.store, recorded, &command.request).await)
            }
            Err(error) => Some(Err(load::read_error(error))),
        }
    }

    async fn attempt(self: &Rc<Self>, command: &Attempted<'_>) -> Result<Step, CommandError> {
        let active = command.active;
        let mut resident = self.resident(active, &command.stream).await?;
        if !command.request.expected.is_met_by(resident.revision) {
            // The resident may be behind the store when there are several hosts: look again once.
            self.forget(active, &command.stream);
            resident = self.resident(active, &command.stream).await?;
            if !command.request.expected.is_met_by(resident.revision) {
                return Err(CommandError::WrongExpectedRevision {
                    stream: command.stream.clone(),
                    expected: command.request.expected,
                    actual: resident.revision,
                });
            }
        }
        let (outcome, decision) = self.decide(command, resident)?;
        let event_indexes = decision.event_indexes;
        let events = decision.events;
        let commit = Commit {
            recorded_at: command.context.now,
            origin: Arc::clone(&command.origin),
            command: Some(record(command, outcome.clone())),
            streams: vec![StreamAppend {
                stream: command.stream.clone(),
                expected: ExpectedRevision::at(resident.revision),
                events: events.clone(),
            }],
            claims: decision.claims,
            releases: decision.releases,
            id_is_new: command.is_new,
        };
        match self.context.store.append(commit).await {
            Ok(accepted) => {
                self.evolve(command, resident, &accepted, (&events, &event_indexes));
                let partition = self.context.store.capabilities().partition_of(&command.stream);
                let outcome = outcome_of(command, outcome, (&accepted, partition), events);
                Ok(Step::Accepted(Box::new(outcome), accepted))
            }
            Err(error) => self.refused(command, error).await,
        }
    }

    fn decide(
        self: &Rc<Self>,
        command: &Attempted<'_>,
        resident: Resident,
    ) -> Result<(Outcome, CheckedDecision), CommandError> {
        let active = command.active;
        let events_max = self.context.options.decision_events_max(&active.description.name);
        let decided = self.with_sandbox(active, |sandbox| {
            let data = &command.request.data;
            let index = command.command_index;
            let start_ns = self.context.clock.elapsed_ns();
            let said = sandbox.guest.decide(resident.entity, &command.context, index, data)?;
            active.pace.decided(self.context.clock.elapsed_ns().saturating_sub(start_ns));
            // A broken rule counts as a failure of the guest: its sandbox is dropped.
            match said {
                Ok(decision) => {
                    let checked = check::decision(active, &command.stream, decision, events_max)?;
                    Ok(Ok((Outcome::Accepted, checked)))
                }
                Err(Refusal::Rejected { code, message, detail }) => {
                    let rejection: Rejection = check::rejection(active, &code, &message, detail)?;
                    Ok(Ok((Outcome::Rejected(rejection), CheckedDecision::default())))
                }
                Err(Refusal::Malformed(message)) => Ok(Err(message)),
            }
        });
        decided
            .map_err(CommandError::Plugin)?
            .map_err(|message| malformed(active, command.command_index, &command.request, &message))
    }

    /// Brings the resident up to the accepted commit.
    fn evolve(
        self: &Rc<Self>,
        command: &Attempted<'_>,
        before: Resident,
        accepted: &Accepted,
        (events, indexes): (&[NewEvent], &[u32]),
    ) {
        let Some(receipt) = accepted.receipt.streams.first() else {
            return;
        };
        let Some(range) = receipt.events else { return };
        debug_assert!(
            invariants::range_follows(before.revision, range, events.len()),
            "the events are not where the resident expects them"
        );
        let snapshot_due = self.snapshot_is_due(before.revision, receipt.revision);
        let evolved = self.with_sandbox(command.active, |sandbox| {
            let resident = sandbox.residents.peek(&command.stream);
            if resident.map(|r| (r.entity, r.revision)) != Some((before.entity, before.revision)) {
                // It was dropped meanwhile; the next command loads it.
                return Ok(None);
            }
            let mut history = sandbox.take_history(range.first_revision);
            for (event, index) in events.iter().zip(indexes) {
                if history.push(*index, accepted.receipt.recorded_at, &event.data).is_err() {
                    return sandbox.remove(&command.stream).map(|()| None);
                }
            }
            sandbox.guest.evolve(before.entity, &history)?;
            sandbox.history = history;
            if let Some(resident) = sandbox.residents.peek_mut(&command.stream) {
                resident.revision = receipt.revision;
            }
            if snapshot_due { sandbox.guest.snapshot(before.entity).map(Some) } else { Ok(None) }
        });
        // The events are in the log whatever `evolve` does; a failure shows at the next command,
        // which loads the stream again. `with_sandbox` has logged it.
        match evolved {
            Ok(Some(state)) => self.save_snapshot(command, receipt.revision, state),
            Ok(None) => {}
            Err(failure) => {
                command.evolve_failed.set(true);
                self.evolve_failed(command, &failure);
            }
        }
    }

    /// Notes a failure after the events of a command were accepted.
    fn evolve_failed(&self, command: &Attempted<'_>, failure: &GuestFailure) {
        if failure.call() == "snapshot" {
            // Commands go on without snapshots.
            self.context.quarantine.suspected(&command.stream, command.active.generation);
        } else {
            self.note_failure(command, failure);
        }
    }

    fn snapshot_is_due(&self, before: ActualRevision, after: ActualRevision) -> bool {
        let every = self.context.options.snapshot_every_events.max(1);
        before.events_count() / every != after.events_count() / every
    }

    /// Keeps a snapshot in the background, once what is in it is durable.
    fn save_snapshot(
        self: &Rc<Self>,
        command: &Attempted<'_>,
        revision: ActualRevision,
        state: Vec<u8>,
    ) {
        let in_flight = self.snapshots_in_flight.get();
        let Some(revision) = revision.0 else { return };
        if in_flight >= self.context.options.snapshots_in_flight_max {
            return;
        }
        self.snapshots_in_flight.set(in_flight + 1);
        let (shard, stream) = (Rc::clone(self), command.stream.clone());
        let active = Arc::clone(command.active);
        // Owned by `snapshots_in_flight`, which the shard waits for before it ends.
        tokio::task::spawn_local(async move {
            if shard.context.store.flush().await.is_ok() {
                shard.context.snapshots.save(&stream, active.build(), revision, &state).await;
            }
            shard.snapshot_ended();
        });
    }

    async fn refused(
        self: &Rc<Self>,
        command: &Attempted<'_>,
        error: AppendError,
    ) -> Result<Step, CommandError> {
        match error {
            AppendError::WrongExpectedRevision { .. } => Ok(Step::Again),
            AppendError::AlreadyDecided { .. } => match self.decided_before(command).await {
                Some(answer) => Ok(Step::Answer(answer)),
                None => Ok(Step::Again),
            },
            AppendError::ClaimHeld { scope, key, holder } => {
                Err(CommandError::ClaimHeld { scope, key, holder })
            }
            AppendError::TooLarge { what, size, max } => {
                Err(CommandError::TooLarge { what, size, max })
            }
            AppendError::OutcomeUnknown(source) => {
                self.forget(command.active, &command.stream);
                let cause = Arc::from(annals_core::error::ErrorChain(&source).to_string());
                Err(CommandError::OutcomeUnknown { command_id: command.id, cause })
            }
            AppendError::Unavailable(source) => Err(CommandError::Unavailable(source)),
            other => {
                let message = "the store refused the commit";
                Err(CommandError::Unavailable(annals_core::error::DriverError::with_source(
                    message, other,
                )))
            }
        }
    }
}

fn with_correlation(mut origin: Origin, id: CommandId) -> Arc<Origin> {
    origin.correlation_id.get_or_insert_with(|| CorrelationId::from(id));
    Arc::new(origin)
}

fn record(command: &Attempted<'_>, outcome: Outcome) -> CommandRecord {
    CommandRecord {
        id: command.id,
        name: command.request.command.clone(),
        stream: command.stream.clone(),
        content_type: ContentType::Json,
        data: command.request.data.clone(),
        decided_at: command.context.now,
        seed: command.context.seed,
        plugin: command.active.digest,
        outcome,
    }
}

fn outcome_of(
    command: &Attempted<'_>,
    outcome: Outcome,
    (accepted, partition): (&Accepted, Partition),
    events: Vec<NewEvent>,
) -> CommandOutcome {
    let receipt = accepted.receipt.streams.first();
    let verdict = match outcome {
        Outcome::Accepted => {
            let range = receipt.and_then(|receipt| receipt.events);
            let first_revision = range.map(|range| range.first_revision).unwrap_or_default();
            Verdict::Accepted(outcome_events(command.id, &command.stream, first_revision, events))
        }
        Outcome::Rejected(rejection) => Verdict::Rejected(rejection),
    };
    CommandOutcome {
        command_id: command.id,
        correlation_id: command.origin.correlation_id.clone(),
        stream: command.stream.clone(),
        revision: receipt.map(|receipt| receipt.revision).unwrap_or_default(),
        partition,
        position: receipt.and_then(|receipt| receipt.events).map(|range| range.last_position),
        recorded_at: accepted.receipt.recorded_at,
        verdict,
        is_repeat: false,
    }
}
