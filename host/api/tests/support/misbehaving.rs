//! The aggregate `misbehaving`: fails in every way, or waits.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

use annals_core::columns::History;
use annals_core::plugin::{Context, Decision, Description, Refusal};
use annals_core::port::guest::{AggregateGuest, EntityHandle, GuestFailure};
use serde_json::json;

use super::probe::SECRET;
use super::runtime::{bare, message};

pub(super) fn description() -> Description {
    let any = json!({});
    Description {
        commands: ["trap", "reach-limit", "break-contract", "wait"]
            .iter()
            .map(|name| message(name, &any))
            .collect(),
        ..bare("misbehaving", "Fails.")
    }
}

/// Holds back the command `wait`, and events of the account `slow`, until it is opened.
#[derive(Debug, Default)]
pub(crate) struct Gate {
    is_open: Mutex<bool>,
    opened: Condvar,
}

impl Gate {
    pub(crate) fn open(&self) {
        *self.is_open.lock().unwrap_or_else(PoisonError::into_inner) = true;
        self.opened.notify_all();
    }

    pub(super) fn pass(&self) {
        let is_open = self.is_open.lock().unwrap_or_else(PoisonError::into_inner);
        drop(self.opened.wait_while(is_open, |is_open| !*is_open));
    }
}

#[derive(Debug)]
pub(super) struct MisbehavingGuest {
    gate: Arc<Gate>,
}

impl MisbehavingGuest {
    pub(super) fn new(gate: Arc<Gate>) -> Self {
        Self { gate }
    }
}

impl AggregateGuest for MisbehavingGuest {
    fn create(&mut self, _stream_id: &str) -> Result<EntityHandle, GuestFailure> {
        Ok(EntityHandle(0))
    }

    fn restore(
        &mut self,
        _stream_id: &str,
        _snapshot: &[u8],
    ) -> Result<Result<EntityHandle, String>, GuestFailure> {
        Ok(Ok(EntityHandle(0)))
    }

    fn evolve(&mut self, _entity: EntityHandle, _events: &History) -> Result<(), GuestFailure> {
        Ok(())
    }

    fn decide(
        &mut self,
        _entity: EntityHandle,
        _context: &Context,
        command_type: u32,
        _data: &[u8],
    ) -> Result<Result<Decision, Refusal>, GuestFailure> {
        let (plugin, call, cause) = ("misbehaving".to_owned(), "decide", SECRET.to_owned());
        match command_type {
            0 => Err(GuestFailure::Trap { plugin, call, cause }),
            1 => {
                Err(GuestFailure::Limit { plugin, call, limit: "5 of fuel (fuel_max)".to_owned() })
            }
            2 => Err(GuestFailure::Contract { plugin, call, cause: "no such event".to_owned() }),
            _ => {
                self.gate.pass();
                Ok(Ok(Decision::default()))
            }
        }
    }

    fn snapshot(&mut self, _entity: EntityHandle) -> Result<Vec<u8>, GuestFailure> {
        Ok(b"null".to_vec())
    }

    fn remove(&mut self, _entity: EntityHandle) -> Result<(), GuestFailure> {
        Ok(())
    }

    fn memory_bytes(&self) -> usize {
        0
    }

    fn memory_bytes_max(&self) -> usize {
        usize::MAX
    }
}
