//! What the client sent, and what it was told of it.

use annals_core::commit::Receipt;
use annals_core::id::{CommandId, EventId};
use annals_core::stream::StreamId;
use annals_engine::command::{CommandError, CommandOutcome, CommandRequest};
use anyhow::{Context as _, ensure};

use crate::schedules::SentSchedule;

/// What became of something that was sent, as far as the client was told.
#[derive(Debug)]
pub(crate) struct Fate<T> {
    /// What it was told; the same at every repeat.
    pub(crate) told: Option<T>,
    /// Whether it may be recorded although nobody said so.
    pub(crate) may_be_recorded: bool,
    /// How many times it is on its way: a client may send a command again before the first answer.
    in_flight_count: u32,
}

impl<T> Default for Fate<T> {
    fn default() -> Self {
        Self { told: None, may_be_recorded: false, in_flight_count: 0 }
    }
}

impl<T> Fate<T> {
    /// The process died; returns whether something of it was on its way.
    fn process_died(&mut self) -> bool {
        let was_in_flight = std::mem::take(&mut self.in_flight_count) > 0;
        self.may_be_recorded |= was_in_flight;
        was_in_flight
    }

    /// Whether sending it again could still tell something new.
    pub(crate) fn is_open(&self) -> bool {
        self.told.is_none() && self.may_be_recorded
    }
}

/// A command that was sent, once or more often.
#[derive(Debug)]
pub(crate) struct SentCommand {
    pub(crate) request: CommandRequest,
    pub(crate) id: CommandId,
    pub(crate) fate: Fate<CommandOutcome>,
}

/// A plain append that was sent, once or more often.
#[derive(Debug)]
pub(crate) struct SentAppend {
    pub(crate) stream: StreamId,
    pub(crate) id: EventId,
    pub(crate) number: i64,
    pub(crate) fate: Fate<Receipt>,
}

/// What the client is told of a plain append.
#[derive(Debug)]
pub(crate) enum AppendAnswer {
    /// It is durable.
    Told(Receipt),
    /// This attempt left nothing.
    Refused,
    /// It may be there or not.
    Unknown,
}

/// All that was sent.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) commands: Vec<SentCommand>,
    pub(crate) appends: Vec<SentAppend>,
    pub(crate) schedules: Vec<SentSchedule>,
    /// How often the client was not told what became of something.
    pub(crate) unknown_count: usize,
}

impl Ledger {
    pub(crate) fn told_count(&self) -> usize {
        self.commands.iter().filter(|sent| sent.fate.told.is_some()).count()
    }

    /// Notes that a command goes out now.
    pub(crate) fn command_goes_out(&mut self, index: usize) {
        if let Some(sent) = self.commands.get_mut(index) {
            sent.fate.in_flight_count += 1;
        }
    }

    /// Notes that an append goes out now.
    pub(crate) fn append_goes_out(&mut self, index: usize) {
        if let Some(sent) = self.appends.get_mut(index) {
            sent.fate.in_flight_count += 1;
        }
    }

    /// Whatever was in flight when the process died may be recorded.
    pub(crate) fn process_died(&mut self) {
        for sent in &mut self.commands {
            self.unknown_count += usize::from(sent.fate.process_died());
        }
        for sent in &mut self.appends {
            self.unknown_count += usize::from(sent.fate.process_died());
        }
    }

    /// Notes the answer to a command; `None` when the client did not wait for it.
    pub(crate) fn note_command(
        &mut self,
        index: usize,
        answer: Option<Result<CommandOutcome, CommandError>>,
    ) -> anyhow::Result<()> {
        let sent = self.commands.get_mut(index).context("a command that was not sent")?;
        let (id, fate) = (sent.id, &mut sent.fate);
        fate.in_flight_count = fate.in_flight_count.saturating_sub(1);
        match answer {
            None | Some(Err(CommandError::OutcomeUnknown { .. })) => {
                fate.may_be_recorded = true;
                self.unknown_count += 1;
            }
            Some(Ok(mut outcome)) => {
                outcome.is_repeat = false;
                if let Some(told) = &fate.told {
                    ensure!(*told == outcome, "command {id}: told {told:?}, now {outcome:?}");
                }
                fate.told = Some(outcome);
            }
            Some(Err(CommandError::Unavailable(source))) => {
                let source = annals_core::error::ErrorChain(&source).to_string();
                ensure!(!source.contains("ended early"), "command {id}: {source}");
            }
            Some(Err(error)) => {
                ensure!(fate.told.is_none(), "command {id} has an outcome, now: {error}");
                ensure!(is_refusal(&error), "command {id}: {error:?}");
            }
        }
        Ok(())
    }

    /// Notes the answer to a plain append.
    pub(crate) fn note_append(&mut self, index: usize, answer: AppendAnswer) -> anyhow::Result<()> {
        let sent = self.appends.get_mut(index).context("an append that was not sent")?;
        let (id, fate) = (sent.id, &mut sent.fate);
        fate.in_flight_count = fate.in_flight_count.saturating_sub(1);
        match answer {
            AppendAnswer::Refused => {}
            AppendAnswer::Unknown => {
                fate.may_be_recorded = true;
                self.unknown_count += 1;
            }
            AppendAnswer::Told(receipt) => {
                if let Some(told) = &fate.told {
                    ensure!(*told == receipt, "append {id}: told {told:?}, now {receipt:?}");
                }
                fate.told = Some(receipt);
            }
        }
        Ok(())
    }
}

/// Whether an error says that this attempt left nothing.
fn is_refusal(error: &CommandError) -> bool {
    matches!(
        error,
        CommandError::WrongExpectedRevision { .. }
            | CommandError::ClaimHeld { .. }
            | CommandError::Contended { .. }
            | CommandError::Plugin(_)
            | CommandError::Quarantined(_)
    )
}
