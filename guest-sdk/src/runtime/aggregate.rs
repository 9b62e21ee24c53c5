//! The component that an [`Aggregate`] becomes.

use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::sync::Arc;

use crate::bindings::annals::plugin::types;
use crate::bindings::exports::annals::plugin::{aggregate, descriptor};
use crate::canonical::to_canonical_json;
use crate::message::chain;
use crate::runtime::columns::{entry, payload};
use crate::runtime::descriptor::{Package, describe_aggregate};
use crate::{Aggregate, Context, Decision, Event, Message as _, Rejection, host, trap};

/// Exports `A`, described with `P`.
#[derive(Debug)]
pub struct AggregateComponent<A, P>(PhantomData<(A, P)>);

impl<A: Aggregate, P: Package> descriptor::Guest for AggregateComponent<A, P> {
    fn describe() -> descriptor::Description {
        host::report_panics();
        describe_aggregate::<A, P>()
    }
}

impl<A: Aggregate, P: Package> aggregate::Guest for AggregateComponent<A, P> {
    type Entity = Entity<A>;
}

/// One stream's state.
pub struct Entity<A> {
    stream_id: Arc<str>,
    state: RefCell<A>,
}

impl<A> fmt::Debug for Entity<A> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Entity").field("stream_id", &self.stream_id).finish_non_exhaustive()
    }
}

impl<A: Aggregate> Entity<A> {
    /// The state that a snapshot holds.
    pub(crate) fn from_snapshot(stream_id: String, snapshot: &[u8]) -> Result<Self, String> {
        let state = serde_json::from_slice(snapshot).map_err(|error| chain(&error))?;
        Ok(Self { stream_id: stream_id.into(), state: RefCell::new(state) })
    }

    #[cfg(not(target_arch = "wasm32"))]
    pub(crate) fn with_state<R>(&self, look: impl FnOnce(&A) -> R) -> R {
        look(&self.state.borrow())
    }

    /// Decides a command of the author's type, before its events become bytes.
    pub(crate) fn decide_command(
        &self,
        call: types::Context,
        command: A::Command,
    ) -> Result<Decision<A::Event>, Rejection> {
        let ctx = Context { stream_id: Arc::clone(&self.stream_id), call };
        self.state.borrow().decide(command, &ctx)
    }
}

impl<A: Aggregate> aggregate::GuestEntity for Entity<A> {
    fn new(stream_id: String) -> Self {
        host::report_panics();
        Self { stream_id: stream_id.into(), state: RefCell::new(A::default()) }
    }

    fn restore(stream_id: String, snapshot: Vec<u8>) -> Result<aggregate::Entity, String> {
        host::report_panics();
        Self::from_snapshot(stream_id, &snapshot).map(aggregate::Entity::new)
    }

    fn evolve(&self, events: types::History) {
        let mut state = self.state.borrow_mut();
        for index in 0..events.event_types.len() {
            let type_index = entry(&events.event_types, index);
            let data = payload(&events.data, &events.data_ends, index);
            // The event happened and cannot be skipped: without it every later decision would be
            // taken on a wrong state. So this traps, and the host says which stream.
            let event = A::Event::decode(type_index, data)
                .unwrap_or_else(|error| trap("recorded event", &error));
            state.evolve(event);
        }
    }

    fn decide(
        &self,
        ctx: types::Context,
        command: types::Command,
    ) -> Result<aggregate::Decision, aggregate::Refusal> {
        let command = A::Command::decode(command.command_type, &command.data)
            .map_err(|error| aggregate::Refusal::Malformed(chain(&error)))?;
        match self.decide_command(ctx, command) {
            Ok(decision) => Ok(lower_decision(decision)),
            Err(rejection) => Err(aggregate::Refusal::Rejected(lower_rejection(&rejection))),
        }
    }

    fn snapshot(&self) -> Vec<u8> {
        to_canonical_json(&*self.state.borrow()).unwrap_or_else(|error| trap("state", &error))
    }
}

fn lower_decision<E: Event>(decision: Decision<E>) -> aggregate::Decision {
    let claims = decision.claims.into_iter().map(|claim| aggregate::Claim {
        scope: claim.scope,
        key: claim.key,
        expires_at: claim.expires_at_ms,
    });
    let releases = decision.releases.into_iter().map(|release| (release.scope, release.key));
    aggregate::Decision {
        events: decision.events.iter().map(lower_event).collect(),
        claims: claims.collect(),
        releases: releases.collect(),
    }
}

pub(crate) fn lower_event<E: Event>(event: &E) -> types::NewEvent {
    let data = event.encode().unwrap_or_else(|error| trap(event.name(), &error));
    types::NewEvent { event_type: event.type_index(), data }
}

fn lower_rejection(rejection: &Rejection) -> types::Rejection {
    types::Rejection {
        code: rejection.code().to_owned(),
        message: rejection.message().to_owned(),
        detail: rejection.detail().map(|detail| detail.to_string().into_bytes()),
    }
}
