//! One version at work: its sandbox, and the entity of the stream that is compared.

use std::sync::Arc;

use annals_core::columns::History;
use annals_core::command::RecordedCommand;
use annals_core::error::ErrorChain;
use annals_core::event::RecordedEvent;
use annals_core::id::CorrelationId;
use annals_core::place::ActualRevision;
use annals_core::plugin::{Context, Refusal};
use annals_core::port::guest::{AggregateGuest, EntityHandle, GuestFailure};
use annals_core::stream::StreamId;
use tracing::debug;

use super::decided::{Decided, Said};
use crate::catalog::ActiveAggregate;
use crate::check;
use crate::command::CommandError;
use crate::state::tell;

/// Longest cause that is told, in characters: a trap brings a backtrace.
const CAUSE_CHARS_MAX: usize = 500;

/// A version and its sandbox.
#[derive(Debug)]
pub(super) struct Side {
    version: Arc<ActiveAggregate>,
    // `None` after a failure: the next stream gets a new one.
    guest: Option<Box<dyn AggregateGuest>>,
    entity: Option<EntityHandle>,
    phase: Phase,
    revision: ActualRevision,
}

/// What a side still does in a stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    /// It folds and decides.
    Deciding,
    /// A decision failed: it folds.
    Folding,
    /// It cannot be folded.
    Lost,
}

impl Side {
    pub(super) fn new(version: Arc<ActiveAggregate>) -> Self {
        let revision = ActualRevision::NO_EVENT;
        Self { version, guest: None, entity: None, phase: Phase::Lost, revision }
    }

    pub(super) const fn phase(&self) -> Phase {
        self.phase
    }

    /// How far the stream is folded.
    pub(super) const fn revision(&self) -> ActualRevision {
        self.revision
    }

    /// Takes up a stream, before its first event.
    pub(super) fn begin(&mut self, stream: &StreamId) -> Result<(), CommandError> {
        self.phase = Phase::Deciding;
        self.revision = ActualRevision::NO_EVENT;
        self.entity = None;
        self.call(|guest, _| guest.create(stream.as_str()).map(Some))
            .map(|entity| self.entity = entity)
            .map_err(|failure| self.lose(CommandError::Plugin(failure)))
    }

    /// Tells the entity what happened. Events of a version that does not read them are an error.
    pub(super) fn evolve(&mut self, events: &[RecordedEvent]) -> Result<(), CommandError> {
        let Some(last) = events.last() else {
            return Ok(());
        };
        if self.phase == Phase::Lost {
            return Ok(());
        }
        let mut told: Vec<History> = Vec::new();
        let version = Arc::clone(&self.version);
        tell(&version, &mut told, events).map_err(|error| self.lose(error))?;
        let evolved = self.call(|guest, entity| match entity {
            Some(entity) => told.iter().try_for_each(|history| guest.evolve(entity, history)),
            None => Ok(()),
        });
        evolved.map_err(|failure| self.lose(CommandError::Plugin(failure)))?;
        self.revision = last.revision.into();
        Ok(())
    }

    /// Whether the version reads an event.
    pub(super) fn reads(&self, event: &RecordedEvent) -> bool {
        let mut told: Vec<History> = Vec::new();
        tell(&self.version, &mut told, std::slice::from_ref(event)).is_ok()
    }

    /// Decides a recorded command again, with the context it had. After a failure the entity is gone:
    /// fold it again with [`Self::begin_again`].
    pub(super) fn decide(
        &mut self,
        command: &RecordedCommand,
        namespace: &Arc<str>,
        events_max: usize,
    ) -> Said {
        let record = &command.record;
        let Some(index) = self.version.command_index(&record.name) else {
            return Said::without_claims(Decided::UnknownCommand);
        };
        let correlation = command.origin.correlation_id.as_ref().map_or("", CorrelationId::as_str);
        let context = Context {
            message_id: record.id.uuid(),
            correlation_id: Arc::from(correlation),
            now: record.decided_at,
            seed: record.seed,
            namespace: Arc::clone(namespace),
            principal: command.origin.principal.clone(),
        };
        let version = Arc::clone(&self.version);
        let said = self.call(|guest, entity| {
            let Some(entity) = entity else {
                let decided = Decided::Failed("there is no entity".to_owned());
                return Ok(Said::without_claims(decided));
            };
            match guest.decide(entity, &context, index, &record.data)? {
                Ok(decision) => {
                    let checked = check::decision(&version, &record.stream, decision, events_max)?;
                    let events = checked.events.into_iter().map(Into::into).collect();
                    let (claims, releases) = (checked.claims, checked.releases);
                    Ok(Said { decided: Decided::Accepted(events), claims, releases })
                }
                Err(Refusal::Rejected { code, message, detail }) => {
                    let rejection = check::rejection(&version, &code, &message, detail)?;
                    Ok(Said::without_claims(Decided::Rejected(rejection)))
                }
                Err(Refusal::Malformed(message)) => {
                    Ok(Said::without_claims(Decided::Malformed(message)))
                }
            }
        });
        said.unwrap_or_else(|failure| {
            self.phase = Phase::Folding;
            let cause = cause_of(&CommandError::Plugin(failure));
            Said::without_claims(Decided::Failed(cause))
        })
    }

    /// Takes up a stream anew, after a decision has failed in it: from here on it only folds.
    pub(super) fn begin_again(&mut self, stream: &StreamId) -> Result<(), CommandError> {
        self.begin(stream)?;
        self.phase = Phase::Folding;
        Ok(())
    }

    /// The state as the version writes it.
    pub(super) fn snapshot(&mut self) -> Result<Vec<u8>, CommandError> {
        let name = self.version.description.name.clone();
        let data = self.call(|guest, entity| match entity {
            Some(entity) => {
                let data = guest.snapshot(entity)?;
                check::state(&name, &data)?;
                Ok(data)
            }
            None => Ok(b"null".to_vec()),
        });
        data.map_err(|failure| self.lose(CommandError::Plugin(failure)))
    }

    /// Lets the entity go. A sandbox whose memory, which never shrinks, is three quarters full goes
    /// with it, before an innocent stream hits the limit.
    pub(super) fn end(&mut self) {
        let Some(entity) = self.entity.take() else {
            return;
        };
        let removed = self.call(|guest, _| guest.remove(entity));
        if let Err(failure) = removed {
            debug!(error = %failure, "entity could not be removed; its sandbox is dropped");
        }
        let is_nearly_full = self
            .guest
            .as_ref()
            .is_some_and(|guest| guest.memory_bytes() > guest.memory_bytes_max() / 4 * 3);
        if is_nearly_full {
            self.guest = None;
        }
    }

    fn lose(&mut self, error: CommandError) -> CommandError {
        self.phase = Phase::Lost;
        error
    }

    /// Calls the guest, making one when there is none. A failure drops it with its entity.
    fn call<T>(
        &mut self,
        work: impl FnOnce(&mut dyn AggregateGuest, Option<EntityHandle>) -> Result<T, GuestFailure>,
    ) -> Result<T, GuestFailure> {
        let mut guest = match self.guest.take() {
            Some(guest) => guest,
            None => self.version.plugin.uncounted_aggregate()?,
        };
        match work(&mut *guest, self.entity) {
            Ok(value) => {
                self.guest = Some(guest);
                Ok(value)
            }
            Err(failure) => {
                self.entity = None;
                Err(failure)
            }
        }
    }
}

/// A cause with its sources, its beginning when it is long.
pub(super) fn cause_of(error: &CommandError) -> String {
    let text = ErrorChain(error).to_string();
    if text.chars().nth(CAUSE_CHARS_MAX).is_none() {
        return text;
    }
    text.chars().take(CAUSE_CHARS_MAX).chain(['…']).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cause_has_a_limit() {
        // Guards the size of a verdict against backtraces.
        let failed = |cause: String| {
            let (plugin, call) = ("account".to_owned(), "evolve");
            cause_of(&CommandError::Plugin(GuestFailure::Trap { plugin, call, cause }))
        };
        let short = "the plugin failed: plugin `account` trapped in `evolve`: unreachable";
        assert_eq!(failed("unreachable".to_owned()), short);
        assert_eq!(failed("ü".repeat(1_000)).chars().count(), CAUSE_CHARS_MAX + 1);
    }
}
