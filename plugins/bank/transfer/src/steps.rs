//! The steps of a transfer: one function per answer, which says what is sent next.

use annals_sdk::{ProcessContext, Reaction, Reply, log};

use crate::{
    Command, Owed, RETRY_MS_MAX, RETRY_MS_MIN, Step, TIME_OUT, TIMED_OUT, Transfer, UNAVAILABLE,
};

/// What a step leads to.
type Next = Reaction<Transfer, Command>;

impl Transfer {
    /// The time is up.
    pub(crate) fn timed_out(mut self, id: &str) -> Next {
        match self.step {
            // Decided after the debit, so it gives back what the debit took, if it took something.
            Step::Debit => self.end([Owed::Refund, failure(TIMED_OUT)], id),
            // It is under way and cannot be called back.
            Step::Credit { .. } => {
                self.step = Step::Credit { is_timed_out: true };
                Reaction::keep(self)
            }
            Step::End { .. } => Reaction::keep(self),
        }
    }

    /// The source has paid, or not.
    pub(crate) fn debit_answered(mut self, reply: &Reply, id: &str) -> Next {
        if !matches!(self.step, Step::Debit) {
            // The time was up first; the refund that waits knows what to do.
            return Reaction::keep(self);
        }
        let Some(code) = refusal(reply) else {
            self.step = Step::Credit { is_timed_out: false };
            let target = self.to.clone();
            let credit = Command::CreditForTransfer { transfer: id.to_owned(), cents: self.cents };
            return Reaction::keep(self).send(id, Command::MarkDebited).send(target, credit);
        };
        self.end([failure(code)], id)
    }

    /// The target has the money, or not.
    pub(crate) fn credit_answered(self, reply: &Reply, id: &str) -> Next {
        let Step::Credit { is_timed_out } = self.step else {
            return Reaction::keep(self);
        };
        let Some(code) = refusal(reply) else {
            return self.end([Owed::Completion], id);
        };
        let reason = if is_timed_out { TIMED_OUT.to_owned() } else { format!("target-{code}") };
        self.end([Owed::Refund, failure(reason)], id)
    }

    /// Something that ends the transfer was done, is not needed, or must be tried again.
    pub(crate) fn owed_answered(mut self, done: Owed, reply: &Reply, ctx: &ProcessContext) -> Next {
        let Step::End { owed } = &mut self.step else {
            return Reaction::keep(self);
        };
        if let Reply::Failed { cause } = reply {
            log::warn(format!("{} of transfer {} failed: {cause}", done.name(), ctx.instance()));
            let wait_ms = RETRY_MS_MIN.saturating_mul(1 << self.failures_count.min(10));
            self.failures_count = self.failures_count.saturating_add(1);
            let due_at_ms = ctx.now_ms().saturating_add(wait_ms.min(RETRY_MS_MAX));
            return Reaction::keep(self).start_timer_with(done.timer(), due_at_ms, &done);
        }
        // A rejection ends it as well: nothing was debited, or somebody else has ended the transfer.
        owed.retain(|owed| *owed != done);
        if owed.is_empty() { Reaction::end() } else { Reaction::keep(self) }
    }

    /// Sends what ends the transfer. It is over when all of it is answered.
    fn end<const N: usize>(mut self, owed: [Owed; N], id: &str) -> Next {
        let commands = owed.each_ref().map(|owed| self.command_of(owed, id));
        self.step = Step::End { owed: owed.to_vec() };
        let next = Reaction::keep(self).cancel_timer(TIME_OUT);
        commands.into_iter().fold(next, |next, (target, command)| next.send(target, command))
    }

    /// How something is done: the target's id and the command.
    pub(crate) fn command_of(&self, owed: &Owed, id: &str) -> (String, Command) {
        let id = id.to_owned();
        match owed {
            Owed::Refund => (self.from.clone(), Command::RefundTransfer { transfer: id }),
            Owed::Completion => (id, Command::CompleteTransfer),
            Owed::Failure { reason } => (id, Command::FailTransfer { reason: reason.clone() }),
        }
    }
}

impl Owed {
    const fn name(&self) -> &'static str {
        match self {
            Self::Refund => "the refund",
            Self::Completion => "the completion",
            Self::Failure { .. } => "the failure",
        }
    }

    /// The timer that tries it again.
    const fn timer(&self) -> &'static str {
        match self {
            Self::Refund => "retry-refund",
            Self::Completion => "retry-completion",
            Self::Failure { .. } => "retry-failure",
        }
    }
}

fn failure(reason: impl Into<String>) -> Owed {
    Owed::Failure { reason: reason.into() }
}

/// Why an account did not do it; `None` when it did.
fn refusal(reply: &Reply) -> Option<&str> {
    match reply {
        Reply::Accepted => None,
        Reply::Rejected { code, .. } => Some(code),
        Reply::Failed { .. } => Some(UNAVAILABLE),
    }
}
