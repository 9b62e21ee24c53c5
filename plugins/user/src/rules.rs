//! The rules of a user: one function per command, which says what it leads to or why not.

use annals_sdk::{Decision, Rejection, ensure};

use crate::email::normalized;
use crate::{EMAIL_SCOPE, Event, HOLD_MS_MAX, NAME_BYTES_MAX, Status, User};

/// What every rule answers.
type Decided = Result<Decision<Event>, Rejection>;

impl User {
    pub(crate) fn reserve_email(&self, email: &str, hold_ms: u64, now_ms: u64) -> Decided {
        self.must_be_new()?;
        let email = normalized(email)?;
        ensure!(
            (1..=HOLD_MS_MAX).contains(&hold_ms),
            "invalid-hold",
            "an address is kept for 1 to {HOLD_MS_MAX} milliseconds"
        );
        let expires_at_ms = now_ms + hold_ms;
        let reserved = Event::EmailReserved { email: email.clone(), expires_at_ms };
        let decision = self.without_other_than(&email, reserved);
        Ok(decision.claim_until(EMAIL_SCOPE, email, expires_at_ms))
    }

    pub(crate) fn register(&self, email: &str, name: String) -> Decided {
        self.must_be_new()?;
        let email = normalized(email)?;
        ensure!(
            !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX,
            "invalid-name",
            "a name is not blank, and has at most {NAME_BYTES_MAX} bytes"
        );
        // Whether the address was reserved before or not: claimed again, it does not expire any more.
        let registered = Event::UserRegistered { email: email.clone(), name };
        Ok(self.without_other_than(&email, registered).claim(EMAIL_SCOPE, email))
    }

    pub(crate) fn change_email(&self, email: &str) -> Decided {
        self.must_be_registered()?;
        let email = normalized(email)?;
        if self.email.as_ref() == Some(&email) {
            return Ok(Decision::none());
        }
        let changed = Event::EmailChanged { email: email.clone() };
        Ok(self.without_other_than(&email, changed).claim(EMAIL_SCOPE, email))
    }

    pub(crate) fn close(&self) -> Decided {
        self.must_be_registered()?;
        Ok(self.without_other_than("", Event::UserClosed))
    }

    /// A decision that releases the address the stream has, unless it is `email`.
    fn without_other_than(&self, email: &str, event: Event) -> Decision<Event> {
        let decision = Decision::from(event);
        match &self.email {
            Some(other) if other != email => decision.release(EMAIL_SCOPE, other),
            _ => decision,
        }
    }

    fn must_be_new(&self) -> Result<(), Rejection> {
        ensure!(self.status != Status::Registered, "already-registered", "the user is registered");
        ensure!(self.status != Status::Closed, "closed", "the user is gone for good");
        Ok(())
    }

    fn must_be_registered(&self) -> Result<(), Rejection> {
        ensure!(self.status != Status::Closed, "closed", "the user is gone for good");
        ensure!(
            self.status == Status::Registered,
            "not-registered",
            "the user is not registered; register first"
        );
        Ok(())
    }
}
