//! How an entity becomes resident: from its snapshot, if there is a usable one, and its events.

use std::rc::Rc;
use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::event::RecordedEvent;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::{ActualRevision, Revision};
use annals_core::port::event_store::{Direction, ReadError, StreamPage};
use annals_core::port::guest::{EntityHandle, GuestFailure};
use annals_core::stream::StreamId;
use bytes::Bytes;

use super::ResidentState;
use super::run::ShardState;
use super::sandbox::{Resident, Sandbox};
use crate::catalog::ActiveAggregate;
use crate::check;
use crate::command::CommandError;
use crate::snapshot::Snapshot;
use crate::state::Folding;
use crate::upcast::Stretch;

/// An entity that is being loaded: not resident yet, in one particular sandbox.
#[derive(Debug, Clone, Copy)]
struct Loading {
    entity: EntityHandle,
    sandbox: u64,
    revision: ActualRevision,
}

impl ShardState {
    /// The resident of `stream`, loaded when it is not there.
    pub(super) async fn resident(
        self: &Rc<Self>,
        active: &Arc<ActiveAggregate>,
        stream: &StreamId,
    ) -> Result<Resident, CommandError> {
        // Whenever the sandbox was dropped meanwhile (another stream's trap), loading starts again;
        // each round either ends or has seen one more failure of somebody else.
        loop {
            let found = self
                .with_sandbox(active, |sandbox| Ok(sandbox.residents.get(stream).copied()))
                .map_err(CommandError::Plugin)?;
            if let Some(resident) = found {
                return Ok(resident);
            }
            self.load(active, stream).await?;
        }
    }

    async fn load(
        self: &Rc<Self>,
        active: &Arc<ActiveAggregate>,
        stream: &StreamId,
    ) -> Result<(), CommandError> {
        let snapshot = self.context.snapshots.load(stream, active.build()).await;
        let mut page = self.read(stream, snapshot.as_ref().map(|s| s.revision)).await?;
        let start = match snapshot {
            Some(snapshot) => self.start_from(active, stream, &snapshot, &mut page)?,
            None => None,
        };
        let mut loading = match start {
            Some(loading) => loading,
            None => {
                page = self.read(stream, None).await?;
                self.create(active, stream)?
            }
        };
        loop {
            match self.evolve_loading(active, &mut loading, &page.events) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                // Its sandbox was dropped, and with it what was loaded.
                Err(error @ CommandError::Plugin(_)) => return Err(error),
                Err(error) => {
                    self.abandon(active, loading);
                    return Err(error);
                }
            }
            let Some(next) = page.next else { break };
            page = match self.read(stream, Some(next)).await {
                Ok(page) => page,
                Err(error) => {
                    self.abandon(active, loading);
                    return Err(error);
                }
            };
        }
        let resident = Resident { entity: loading.entity, revision: loading.revision };
        self.with_sandbox(active, |sandbox| {
            if sandbox.number == loading.sandbox {
                sandbox.insert(stream, resident)
            } else {
                Ok(())
            }
        })
        .map_err(CommandError::Plugin)
    }

    /// Evolves a loading entity by a page of events; `false` when its sandbox is gone.
    fn evolve_loading(
        self: &Rc<Self>,
        active: &Arc<ActiveAggregate>,
        loading: &mut Loading,
        mut events: &[RecordedEvent],
    ) -> Result<bool, CommandError> {
        debug_assert!(annals_core::invariants::revisions_are_dense(events), "a stream has a hole");
        while !events.is_empty() {
            let seen = active.upcasts.first(events, active.events());
            let seen = seen.map_err(CommandError::Upcast)?;
            let evolved = self.with_sandbox(active, |sandbox| {
                if sandbox.number != loading.sandbox {
                    return Ok(Ok(false));
                }
                evolve(sandbox, loading, &seen)
            });
            let is_there = evolved.map_err(CommandError::Plugin)??;
            if !is_there {
                return Ok(false);
            }
            let (done, rest) = events.split_at_checked(seen.taken()).unwrap_or((events, &[]));
            if let Some(last) = done.last() {
                loading.revision = last.revision.into();
            }
            events = rest;
        }
        Ok(true)
    }

    async fn read(
        &self,
        stream: &StreamId,
        from: Option<Revision>,
    ) -> Result<StreamPage, CommandError> {
        let from = from.unwrap_or(Revision::FIRST);
        let page =
            self.context.store.read_stream(stream, from, READ_EVENTS_MAX, Direction::Forwards);
        page.await.map_err(read_error)
    }

    fn create(
        self: &Rc<Self>,
        active: &Arc<ActiveAggregate>,
        stream: &StreamId,
    ) -> Result<Loading, CommandError> {
        self.with_sandbox(active, |sandbox| {
            let entity = sandbox.guest.create(stream.as_str())?;
            let revision = ActualRevision::NO_EVENT;
            Ok(Loading { entity, sandbox: sandbox.number, revision })
        })
        .map_err(CommandError::Plugin)
    }

    /// An entity restored from `snapshot`. `page` was read from the snapshot's own revision on, and
    /// loses that event: when it is not there, the snapshot is ahead of the log and not used.
    fn start_from(
        self: &Rc<Self>,
        active: &Arc<ActiveAggregate>,
        stream: &StreamId,
        snapshot: &Snapshot,
        page: &mut StreamPage,
    ) -> Result<Option<Loading>, CommandError> {
        let snapshots = &self.context.snapshots;
        if page.events.first().is_none_or(|event| event.revision != snapshot.revision) {
            snapshots.warn_once(stream, "it is ahead of the log");
            return Ok(None);
        }
        page.events.remove(0);
        let restored = self.with_sandbox(active, |sandbox| {
            let restored = sandbox.guest.restore(stream.as_str(), &snapshot.data)?;
            Ok(restored.map(|entity| Loading {
                entity,
                sandbox: sandbox.number,
                revision: snapshot.revision.into(),
            }))
        });
        match restored {
            Ok(Ok(loading)) => Ok(Some(loading)),
            Ok(Err(reason)) => {
                snapshots.warn_once(stream, &reason);
                Ok(None)
            }
            // A trap while restoring is the snapshot's fault until the events prove otherwise.
            Err(failure) => {
                snapshots.warn_once(stream, &failure.to_string());
                Ok(None)
            }
        }
    }

    /// Lets a half loaded entity go.
    fn abandon(self: &Rc<Self>, active: &Arc<ActiveAggregate>, loading: Loading) {
        // A failure has dropped the sandbox and the entity with it.
        drop(self.with_sandbox(active, |sandbox| {
            if sandbox.number == loading.sandbox {
                sandbox.guest.remove(loading.entity)?;
            }
            Ok(())
        }));
    }

    /// The state of a stream now, durable events only.
    pub(super) async fn state_now(
        self: &Rc<Self>,
        active: &Arc<ActiveAggregate>,
        stream: &StreamId,
    ) -> Result<ResidentState, CommandError> {
        // Another host may have written the stream since it became resident here. One look, since
        // who reads wants what was there when it asked, and no more.
        let known = self.resident(active, stream).await?;
        let info = self.context.store.stream_info(stream).await.map_err(read_error)?;
        if info.revision != known.revision {
            self.forget(active, stream);
        }
        loop {
            let resident = self.resident(active, stream).await?;
            let state = self
                .with_sandbox(active, |sandbox| {
                    let is_same = sandbox.residents.peek(stream).map(|r| r.entity);
                    if is_same != Some(resident.entity) {
                        return Ok(None);
                    }
                    let data = sandbox.guest.snapshot(resident.entity)?;
                    check::state(&active.description.name, &data)?;
                    Ok(Some(data))
                })
                .map_err(CommandError::Plugin)?;
            if let Some(data) = state {
                let lost = |error| {
                    CommandError::Unavailable(DriverError::with_source("flush failed", error))
                };
                self.context.store.flush().await.map_err(lost)?;
                return Ok(ResidentState { revision: resident.revision, data: Bytes::from(data) });
            }
        }
    }
}

/// Evolves a loading entity by events as upcasters show them. The inner error is about the events,
/// the outer one about the guest. `Ok(Ok(true))`: done.
fn evolve(
    sandbox: &mut Sandbox,
    loading: &Loading,
    seen: &Stretch<'_>,
) -> Result<Result<bool, CommandError>, GuestFailure> {
    let mut folding = Folding {
        guest: &mut *sandbox.guest,
        entity: loading.entity,
        active: &sandbox.active,
        history: &mut sandbox.history,
    };
    Ok(folding.fold(seen)?.map(|()| true))
}

/// What a failed read means for a command.
pub(crate) fn read_error(error: ReadError) -> CommandError {
    match error {
        ReadError::Damaged(source) => CommandError::Damaged(source),
        other => CommandError::Unavailable(DriverError::with_source("a read failed", other)),
    }
}
