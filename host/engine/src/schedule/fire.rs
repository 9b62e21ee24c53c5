//! Sending the command of a schedule, and noting what became of it.
//!
//! ```text
//! read ─► take it, for `firing_wait_max` ─► send ─► note
//!             │ another host was first                │ another host was first: it took it when the
//!             ▼                                       ▼ time was over, and notes the same outcome
//!           leave it                                leave it
//! ```
//! Whatever is lost in between, the schedule is due again when its time for firing is over.

use std::sync::atomic::Ordering::Relaxed;

use annals_core::error::ErrorChain;
use annals_core::event::Origin;
use annals_core::place::ExpectedRevision;
use tracing::{debug, warn};

use super::record::{Record, Stage};
use super::rows::{self, Stored};
use super::{ScheduleError, ScheduleId, ScheduleStatus, Shared};
use crate::command::{CommandError, CommandOutcome, CommandRequest, Verdict};

impl Shared {
    /// Fires the command of a schedule if it is due and nobody else does.
    ///
    /// # Errors
    /// [`ScheduleError::Damaged`], [`ScheduleError::State`]: it is due again, at the latest when the
    /// time for firing it is over.
    pub(super) async fn fire(&self, id: &ScheduleId) -> Result<(), ScheduleError> {
        let Some(mut stored) = self.find(id).await? else { return Ok(()) };
        let now = self.clock.now();
        let is_due = stored.record.stage.look_at().is_some_and(|time| time <= now);
        if !is_due {
            return Ok(());
        }
        let Some(data) = rows::data(&*self.state, id).await? else {
            let fault = "without the data of its command".to_owned();
            return Err(ScheduleError::Damaged { id: id.clone(), fault });
        };
        stored.record.take(now, &self.limits);
        let Some(stored) = stored.replace(&*self.state, None).await? else { return Ok(()) };
        let command_id = stored.record.command_id();
        let sent = self.commands.execute_or_find(command_of(id, &stored.record, data));
        let ended = match tokio::time::timeout(self.limits.firing_wait_max, sent).await {
            Ok(ended) => ended,
            Err(late) => {
                let cause = format!("there was no outcome in time ({late})").into();
                Err(CommandError::OutcomeUnknown { command_id, cause })
            }
        };
        self.settle(stored, &ended).await
    }

    /// Notes what became of a command, also of a schedule that was cancelled meanwhile.
    async fn settle(
        &self,
        mut stored: Stored,
        ended: &Result<CommandOutcome, CommandError>,
    ) -> Result<(), ScheduleError> {
        let (id, taken) = (stored.id.clone(), stored.record.clone());
        for _ in 0..self.limits.conflict_retries_max.get() {
            let now = self.clock.now();
            match ended {
                Ok(outcome) => stored.record.note(outcome, now, &self.limits),
                Err(error) => stored.record.note_failure(error, now, &self.limits),
            }
            if let Some(stored) = stored.replace(&*self.state, None).await? {
                self.tell(&stored, ended);
                return Ok(());
            }
            let Some(there) = self.find(&id).await? else { return Ok(()) };
            let is_ours = there.record.stage == taken.stage
                && there.record.due == taken.due
                && there.record.tries_count == taken.tries_count;
            if !is_ours {
                return Ok(());
            }
            stored = there;
        }
        Ok(())
    }

    /// Tells the log and the counters.
    fn tell(&self, stored: &Stored, ended: &Result<CommandOutcome, CommandError>) {
        let (id, counts) = (&stored.id, &self.counts);
        match ended {
            Ok(CommandOutcome { verdict: Verdict::Accepted(_), .. }) => {
                counts.accepted.fetch_add(1, Relaxed);
            }
            Ok(_) => {
                counts.rejected.fetch_add(1, Relaxed);
            }
            Err(error) => {
                counts.failed.fetch_add(1, Relaxed);
                let error = ErrorChain(error).to_string();
                if stored.record.stage.status() == ScheduleStatus::Parked {
                    counts.parked.fetch_add(1, Relaxed);
                    warn!(schedule = %id, error, "a scheduled command is parked");
                } else {
                    warn!(schedule = %id, error, "a scheduled command is tried again");
                }
                return;
            }
        }
        debug!(schedule = %id, "a scheduled command was decided");
    }
}

fn command_of(id: &ScheduleId, record: &Record, data: bytes::Bytes) -> CommandRequest {
    debug_assert!(matches!(record.stage, Stage::Firing(_)), "nobody took it");
    CommandRequest {
        aggregate: record.aggregate.clone(),
        id: record.target.to_string(),
        command: record.command.clone(),
        data,
        command_id: Some(record.command_id()),
        // Another host may have sent it.
        id_is_new: false,
        expected: ExpectedRevision::Any,
        origin: Origin {
            // What led to one command is what asked for it. A recurring one is led to by the time
            // alone: without an id, the command's own becomes it.
            correlation_id: record.correlation_id.clone().filter(|_| !record.timing.is_recurring()),
            causation_id: Some(record.incarnation),
            // Where nobody is known to have asked for it, who looks at the log sees what did.
            principal: record.principal.clone().or_else(|| Some(format!("schedule/{id}").into())),
        },
    }
}
