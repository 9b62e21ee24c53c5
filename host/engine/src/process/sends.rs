//! The commands of one process manager that are on the way.
//!
//! An instance has one command on the way at a time: the next is sent when the outcome of the one
//! before is handled. Nothing here is kept: what is in the state is sent again after a restart, under
//! the same ids.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use annals_core::error::ErrorChain;
use annals_core::event::Origin;
use annals_core::place::ExpectedRevision;
use annals_core::plugin::Reply;
use annals_core::time::Clock;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use tokio::time::Instant;
use tracing::{debug, warn};

use super::instance::{Pending, cut};
use super::limits::ProcessLimits;
use super::runner::CAUSE_BYTES_MAX;
use crate::command::{CommandError, CommandOutcome, CommandRequest, Verdict};
use crate::commands::Commands;

/// The outcome of a command, to be handled.
#[derive(Debug)]
pub(super) struct Answered {
    pub(super) instance: Arc<str>,
    pub(super) sent: Pending,
    pub(super) reply: Reply,
}

type Ended = (Arc<str>, Pending, Result<CommandOutcome, CommandError>);

/// What is known of an instance with commands.
#[derive(Debug)]
struct Sending {
    /// The command that is next; `None`: too many to keep them all, it has to be read.
    next: Option<Pending>,
    /// Attempts, and those of them that count.
    attempts: u32,
    counted: u32,
}

pub(super) struct Sends {
    commands: Arc<Commands>,
    clock: Arc<dyn Clock>,
    limits: ProcessLimits,
    principal: Arc<str>,
    in_flight: FuturesUnordered<BoxFuture<'static, Ended>>,
    instances: HashMap<Arc<str>, Sending>,
    ready: VecDeque<Arc<str>>,
    waiting: BTreeSet<(Instant, Arc<str>)>,
    // Data of the commands in `instances`, in bytes.
    bytes_count: usize,
}

/// After so many attempts the log says why: about a second and a half after the first.
const TOLD_AFTER_ATTEMPTS: u32 = 5;

/// Most data of commands that is kept while they wait to be sent, in bytes.
const BYTES_MAX: usize = 16 << 20;

/// What to do after an attempt.
enum Next {
    Reply(Reply),
    /// Again after a while; whether it counts as an attempt.
    Again {
        counts: bool,
        wait: Option<Duration>,
    },
}

impl Sends {
    pub(super) fn new(
        commands: Arc<Commands>,
        clock: Arc<dyn Clock>,
        limits: ProcessLimits,
        manager: &str,
    ) -> Self {
        Self {
            commands,
            clock,
            limits,
            principal: Arc::from(format!("process-manager/{manager}")),
            in_flight: FuturesUnordered::new(),
            instances: HashMap::new(),
            ready: VecDeque::new(),
            waiting: BTreeSet::new(),
            bytes_count: 0,
        }
    }

    /// Forgets everything: it is read again.
    pub(super) fn clear(&mut self) {
        self.in_flight = FuturesUnordered::new();
        self.instances.clear();
        self.ready.clear();
        self.waiting.clear();
        self.bytes_count = 0;
    }

    /// How many instances have commands.
    pub(super) fn instances_count(&self) -> usize {
        self.instances.len()
    }

    /// Whether events may be taken that lead to more commands.
    pub(super) fn has_room(&self) -> bool {
        self.instances.len() < self.limits.instances_sending_max.get()
    }

    /// Notes which command of an instance is next, as it is stored now.
    pub(super) fn note(&mut self, instance: &Arc<str>, next: Option<&Pending>) {
        let Some(next) = next else {
            self.forget(instance);
            return;
        };
        if self.instances.contains_key(instance) {
            // The one before is on the way; or it is the same, and is not sent twice.
            return;
        }
        let fits = self.bytes_count + next.data.len() <= BYTES_MAX;
        let next = fits.then(|| next.clone());
        self.bytes_count += next.as_ref().map_or(0, |it| it.data.len());
        self.instances.insert(Arc::clone(instance), Sending { next, attempts: 0, counted: 0 });
        self.ready.push_back(Arc::clone(instance));
    }

    /// Notes that an instance has commands, whatever they are.
    pub(super) fn note_unread(&mut self, instance: &Arc<str>) {
        if !self.instances.contains_key(instance) {
            self.instances
                .insert(Arc::clone(instance), Sending { next: None, attempts: 0, counted: 0 });
            self.ready.push_back(Arc::clone(instance));
        }
    }

    /// Forgets an instance whose outcome is handled.
    pub(super) fn forget(&mut self, instance: &Arc<str>) {
        if let Some(Sending { next: Some(next), .. }) = self.instances.remove(instance) {
            self.bytes_count -= next.data.len();
        }
    }

    /// Instances whose next command has to be read before it can be sent, at most as many as there is
    /// room for.
    pub(super) fn unread(&mut self) -> Vec<Arc<str>> {
        self.wake();
        let room = self.room();
        let is_unread =
            |id: &&Arc<str>| self.instances.get(*id).is_some_and(|it| it.next.is_none());
        self.ready.iter().take(room).filter(is_unread).map(Arc::clone).collect()
    }

    /// Notes what was read.
    pub(super) fn has_read(&mut self, instance: &Arc<str>, next: Option<&Pending>) {
        match (self.instances.get_mut(instance), next) {
            (Some(sending), Some(next)) if sending.next.is_none() => {
                self.bytes_count += next.data.len();
                sending.next = Some(next.clone());
            }
            (Some(_), Some(_)) | (None, _) => {}
            (Some(_), None) => {
                self.forget(instance);
                self.ready.retain(|ready| ready != instance);
            }
        }
    }

    fn room(&self) -> usize {
        self.limits.commands_in_flight_max.get().saturating_sub(self.in_flight.len())
    }

    /// Moves what has waited long enough to what is ready.
    fn wake(&mut self) {
        let now = Instant::now();
        while self.waiting.first().is_some_and(|(at, _)| *at <= now) {
            self.ready.extend(self.waiting.pop_first().map(|(_, instance)| instance));
        }
    }

    /// Sends what is ready, as much as there is room for.
    pub(super) fn send(&mut self) {
        self.wake();
        while self.room() > 0 {
            let Some(instance) = self.ready.pop_front() else { return };
            let Some(sending) = self.instances.get(&instance) else { continue };
            let Some(next) = sending.next.clone() else {
                // It is read before the next turn.
                self.ready.push_front(instance);
                return;
            };
            let request = self.request(&next);
            let commands = Arc::clone(&self.commands);
            let sent = async move { (instance, next, commands.execute_or_find(request).await) };
            self.in_flight.push(sent.boxed());
        }
    }

    fn request(&self, next: &Pending) -> CommandRequest {
        CommandRequest {
            aggregate: next.aggregate.clone(),
            id: next.target_id.clone(),
            command: next.command.clone(),
            data: next.data.clone(),
            command_id: Some(next.id),
            id_is_new: false,
            expected: ExpectedRevision::Any,
            origin: Origin {
                correlation_id: Some(next.correlation_id.clone()),
                causation_id: Some(next.causation_id),
                principal: Some(Arc::clone(&self.principal)),
            },
        }
    }

    /// When something has to be tried again.
    pub(super) fn next_wake(&self) -> Option<Instant> {
        self.waiting.first().map(|(at, _)| *at)
    }

    /// Waits for the next outcome; for ever when nothing is on the way.
    pub(super) async fn next_answer(&mut self) -> Option<Answered> {
        match self.in_flight.next().await {
            Some(ended) => self.ended(ended),
            None => std::future::pending().await,
        }
    }

    /// The outcomes that are there.
    pub(super) fn answers(&mut self) -> Vec<Answered> {
        let mut answers = Vec::new();
        while let Some(Some(ended)) = self.in_flight.next().now_or_never() {
            answers.extend(self.ended(ended));
        }
        answers
    }

    fn ended(&mut self, (instance, sent, result): Ended) -> Option<Answered> {
        let error = match result {
            Ok(outcome) => {
                let reply = reply_of(&outcome.verdict);
                return Some(Answered { instance, sent, reply });
            }
            Err(error) => error,
        };
        let wait = match self.next(&error) {
            Next::Reply(reply) => return Some(Answered { instance, sent, reply }),
            Next::Again { counts, wait } => {
                let sending = self.instances.get_mut(&instance)?;
                sending.attempts = sending.attempts.saturating_add(1);
                sending.counted = sending.counted.saturating_add(u32::from(counts));
                let (attempts, counted) = (sending.attempts, sending.counted);
                if self.bytes_count > BYTES_MAX
                    && let Some(next) = sending.next.take()
                {
                    // It is read again when it is sent again.
                    self.bytes_count -= next.data.len();
                }
                let cause = cause_of(&error);
                if counts && counted >= self.limits.send_attempts_max.get() {
                    warn!(%instance, command = %sent.command, attempts, cause, "command given up");
                    return Some(Answered { instance, sent, reply: Reply::Failed { cause } });
                }
                let target = sent.target();
                if attempts == TOLD_AFTER_ATTEMPTS {
                    warn!(%instance, command = %sent.command, target, attempts, cause, "command tried again");
                } else {
                    debug!(%instance, command = %sent.command, target, attempts, cause, "command tried again");
                }
                wait.unwrap_or_else(|| self.wait_after(attempts))
            }
        };
        self.waiting.insert((Instant::now() + wait, instance));
        None
    }

    fn wait_after(&self, attempts: u32) -> Duration {
        let doubled = 1_u32.checked_shl(attempts.saturating_sub(1)).unwrap_or(u32::MAX);
        self.limits.send_wait.saturating_mul(doubled.max(1)).min(self.limits.send_wait_max)
    }

    fn next(&self, error: &CommandError) -> Next {
        let failed = || Reply::Failed { cause: cause_of(error) };
        match error {
            // The domain's no in other words: a name that another stream holds.
            CommandError::ClaimHeld { .. } => Next::Reply(Reply::Rejected {
                code: "claim-held".to_owned(),
                message: error.to_string(),
            }),
            // Trying again does not change it.
            CommandError::InvalidId(_)
            | CommandError::Malformed { .. }
            | CommandError::TooLarge { .. }
            | CommandError::CommandIdReused { .. }
            | CommandError::WrongExpectedRevision { .. } => Next::Reply(failed()),
            // Another version of the target may take it; it may be about to be installed.
            CommandError::UnknownAggregate { .. }
            | CommandError::UnknownCommand { .. }
            | CommandError::Plugin(_)
            | CommandError::UnreadableEvent { .. }
            | CommandError::Upcast(_) => Next::Again { counts: true, wait: None },
            CommandError::Quarantined(stream) => {
                let wait = stream.until.ms_since(self.clock.now());
                Next::Again { counts: true, wait: Some(Duration::from_millis(wait.max(1))) }
            }
            // Nothing is wrong with the command.
            CommandError::Contended { .. }
            | CommandError::Busy { .. }
            | CommandError::Unavailable(_)
            | CommandError::Damaged(_)
            | CommandError::OutcomeUnknown { .. }
            | CommandError::Stopping => Next::Again { counts: false, wait: None },
        }
    }
}

/// What is told of a failure; a plugin may have said anything.
fn cause_of(error: &CommandError) -> String {
    cut(ErrorChain(error).to_string(), CAUSE_BYTES_MAX)
}

fn reply_of(verdict: &Verdict) -> Reply {
    match verdict {
        Verdict::Accepted(_) => Reply::Accepted,
        Verdict::Rejected(rejection) => Reply::Rejected {
            code: rejection.code.to_string(),
            message: rejection.message.to_string(),
        },
    }
}
