//! The rules of an invite: one function per command, which says what it leads to or why not.

use annals_sdk::{Decision, Rejection, ensure};

use crate::{AGE_YEARS_MAX, Event, Invite, NAME_BYTES_MAX, Stage};

/// What every rule answers.
type Decided = Result<Decision<Event>, Rejection>;

impl Invite {
    pub(crate) fn create(&self, name: String, age: u32) -> Decided {
        ensure!(self.stage == Stage::None, "already-created", "the invite was sent already");
        let is_name = !name.trim().is_empty() && name.len() <= NAME_BYTES_MAX;
        ensure!(
            is_name,
            "invalid-name",
            "a name is not blank, and has at most {NAME_BYTES_MAX} bytes"
        );
        ensure!(age <= AGE_YEARS_MAX, "invalid-age", "nobody is {age} years old");
        Ok(Event::InviteCreated { name, age }.into())
    }

    pub(crate) fn accept(&self) -> Decided {
        match self.stage {
            Stage::None => Err(not_created()),
            Stage::Created => Ok(Event::InviteAccepted.into()),
            // What came of it is another matter.
            Stage::Accepted | Stage::Confirmed | Stage::Denied => Ok(Decision::none()),
            Stage::Declined => Err(already_declined()),
        }
    }

    pub(crate) fn decline(&self) -> Decided {
        match self.stage {
            Stage::None => Err(not_created()),
            Stage::Created => Ok(Event::InviteDeclined.into()),
            Stage::Declined => Ok(Decision::none()),
            Stage::Accepted | Stage::Confirmed | Stage::Denied => {
                Err(Rejection::new("already-accepted", "the guest has accepted already"))
            }
        }
    }

    pub(crate) fn confirm(&self) -> Decided {
        match self.stage {
            Stage::None => Err(not_created()),
            Stage::Created => Err(not_accepted()),
            Stage::Accepted => Ok(Event::InviteConfirmed.into()),
            Stage::Confirmed => Ok(Decision::none()),
            Stage::Declined => Err(already_declined()),
            Stage::Denied => Err(Rejection::new("already-denied", "the guest was denied already")),
        }
    }

    pub(crate) fn deny(&self) -> Decided {
        match self.stage {
            Stage::None => Err(not_created()),
            Stage::Created => Err(not_accepted()),
            Stage::Accepted => Ok(Event::InviteDenied.into()),
            Stage::Denied => Ok(Decision::none()),
            Stage::Declined => Err(already_declined()),
            Stage::Confirmed => {
                Err(Rejection::new("already-confirmed", "the guest was confirmed already"))
            }
        }
    }
}

fn not_created() -> Rejection {
    Rejection::new("not-created", "there is no such invite")
}

fn not_accepted() -> Rejection {
    Rejection::new("not-accepted", "the guest has not accepted yet")
}

fn already_declined() -> Rejection {
    Rejection::new("already-declined", "the guest has declined already")
}
