//! Calls the guest of one process manager, and checks what it answers.

use std::sync::Arc;

use annals_core::columns::EventBatch;
use annals_core::id::{CorrelationId, seed_of};
use annals_core::plugin::{
    Context, Description, GivenEvent, GuestTimer, Outgoing, Reaction, Reply,
};
use annals_core::port::guest::{GuestFailure, GuestPlugin, ProcessManagerGuest};
use annals_core::time::Timestamp;
use uuid::Uuid;

use super::check::{Checked, Checker};
use super::instance::{Instance, Message, Pending, Timer};
use crate::projection::sight::Sight;
use crate::upcast::Upcasts;

/// The guest, and how it is called.
pub(super) struct Manager {
    plugin: Arc<dyn GuestPlugin>,
    pub(super) description: Arc<Description>,
    pub(super) sight: Sight,
    guest: Option<Box<dyn ProcessManagerGuest>>,
    namespace: Arc<str>,
}

/// Why a call has no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum CallError {
    /// Nothing can be asked.
    #[error("the plugin does not start")]
    Start(#[source] GuestFailure),
    /// What it was asked about cannot be handled.
    #[error("{0}")]
    Refused(String),
}

/// What is asked, and on behalf of what.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) message: &'a Message,
    pub(super) message_id: Uuid,
    pub(super) correlation_id: &'a CorrelationId,
    pub(super) now: Timestamp,
    /// Of a message that is an event, the event.
    pub(super) event: Option<&'a GivenEvent<'a>>,
}

impl Manager {
    pub(super) fn new(
        plugin: Arc<dyn GuestPlugin>,
        upcasts: Arc<Upcasts>,
        namespace: Arc<str>,
    ) -> Self {
        let description = Arc::clone(plugin.description());
        let sight = Sight::new(&description, upcasts);
        Self { plugin, description, sight, guest: None, namespace }
    }

    /// Calls the guest; after a failure once more in a fresh sandbox, since what failed may have been
    /// what earlier calls left behind.
    fn call<T>(
        &mut self,
        ask: impl Fn(&mut dyn ProcessManagerGuest) -> Result<T, GuestFailure>,
    ) -> Result<T, CallError> {
        let was_used = self.guest.is_some();
        match self.call_once(&ask) {
            Err(CallError::Refused(_)) if was_used => self.call_once(&ask),
            ended => ended,
        }
    }

    fn call_once<T>(
        &mut self,
        ask: impl Fn(&mut dyn ProcessManagerGuest) -> Result<T, GuestFailure>,
    ) -> Result<T, CallError> {
        let mut guest = match self.guest.take() {
            Some(guest) => guest,
            None => self.plugin.process_manager().map_err(CallError::Start)?,
        };
        // After a failure the guest is not put back: the next call gets a fresh one.
        let said = ask(&mut *guest).map_err(|failure| CallError::Refused(failure.to_string()))?;
        self.guest = Some(guest);
        Ok(said)
    }

    /// Per event of the batch, the instances it concerns.
    pub(super) fn correlate(
        &mut self,
        batch: &EventBatch,
    ) -> Result<Vec<Vec<Arc<str>>>, CallError> {
        let description = Arc::clone(&self.description);
        let checker = Checker { description: &description, call: "correlate" };
        self.call(|guest| checker.instances(guest.correlate(batch)?, batch.events_count()))
    }

    /// What `instance` makes of a message. `None`: nobody is there any more to be asked.
    pub(super) fn react(
        &mut self,
        instance: &Instance,
        question: &Question<'_>,
    ) -> Result<Option<Checked>, CallError> {
        let context = Context {
            message_id: question.message_id,
            correlation_id: Arc::from(question.correlation_id.as_str()),
            now: question.now,
            seed: seed_of(question.message_id),
            namespace: Arc::clone(&self.namespace),
            principal: None,
        };
        let (id, state) = (&*instance.id, instance.state.as_deref());
        let said = match (question.message, state) {
            (Message::Event(_), state) => {
                let lost = || CallError::Refused("the event is not there".to_owned());
                let event = question.event.ok_or_else(lost)?;
                self.checked("on-event", |guest| guest.on_event(&context, id, state, event))?
            }
            (Message::Timer { name, timer }, Some(state)) => {
                let fired = fired(name, timer);
                self.checked("on-timer", |guest| guest.on_timer(&context, id, state, &fired))?
            }
            (Message::Reply { sent, reply }, Some(state)) => {
                let sent = self.outgoing(sent)?;
                let answered: (&Outgoing, &Reply) = (&sent, reply);
                self.checked("on-reply", |guest| guest.on_reply(&context, id, state, answered))?
            }
            (Message::Timer { .. } | Message::Reply { .. }, None) => return Ok(None),
        };
        Ok(Some(said))
    }

    fn checked(
        &mut self,
        call: &'static str,
        ask: impl Fn(&mut dyn ProcessManagerGuest) -> Result<Result<Reaction, String>, GuestFailure>,
    ) -> Result<Checked, CallError> {
        let description = Arc::clone(&self.description);
        let checker = Checker { description: &description, call };
        let said = self.call(|guest| match ask(guest)? {
            Ok(reaction) => checker.reaction(reaction).map(Ok),
            Err(refused) => Ok(Err(refused)),
        })?;
        said.map_err(CallError::Refused)
    }

    /// A command it sent, as this version knows it.
    fn outgoing(&self, sent: &Pending) -> Result<Outgoing, CallError> {
        let mut known = self.description.commands.iter().zip(&self.description.targets);
        let index = known.position(|(command, target)| {
            command.name == sent.command && *target == sent.aggregate
        });
        let index = index.and_then(|index| u32::try_from(index).ok()).ok_or_else(|| {
            CallError::Refused(format!(
                "it sent `{}` to `{}`, and version {} does not describe that command",
                sent.command, sent.aggregate, self.description.version
            ))
        })?;
        let (target_id, data) = (sent.target_id.clone(), sent.data.to_vec());
        Ok(Outgoing { target_id, command_type: index, data })
    }
}

fn fired(name: &str, timer: &Timer) -> GuestTimer {
    GuestTimer { name: name.to_owned(), due_at: timer.due_at, data: timer.data.to_vec() }
}
