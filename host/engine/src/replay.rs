//! Doing again what made a plugin fail, outside of any host.

use std::sync::{Arc, Mutex, PoisonError};

use annals_core::plugin::{GuestRowKey, Refusal};
use annals_core::port::failure_sink::{FailedBatch, FailedStream, FailedWork, ViewAnswer};
use annals_core::port::guest::{GuestFailure, GuestPlugin, ViewReadError, ViewReader, ViewRow};
use annals_core::stream::StreamId;

use crate::catalog::ActiveAggregate;
use crate::check;
use crate::options::EngineOptions;
use crate::projection::{Tables, check_writes};
use crate::upcast::Upcasts;

/// Gives `plugin` what it was given when it failed, and checks what it says as a host does.
///
/// # Errors
/// [`GuestFailure`] when it fails, whether as before or in another way.
pub fn replay(
    plugin: &Arc<dyn GuestPlugin>,
    work: &FailedWork,
    options: &EngineOptions,
) -> Result<(), GuestFailure> {
    match work {
        FailedWork::Stream(stream) => replay_stream(plugin, stream, options),
        FailedWork::Batch(batch) => replay_batch(plugin, batch, options),
    }
}

fn replay_stream(
    plugin: &Arc<dyn GuestPlugin>,
    failed: &FailedStream,
    options: &EngineOptions,
) -> Result<(), GuestFailure> {
    // The events are as upcasters had made them.
    let no_upcasters = Upcasts::new(options).current();
    let active = ActiveAggregate::new(Arc::clone(plugin), no_upcasters, 0, Vec::new());
    let mut guest = plugin.aggregate()?;
    let entity = match &failed.snapshot {
        Some(snapshot) => guest.restore(&failed.stream, snapshot)?.map_err(|text| {
            let cause = format!("it does not take its snapshot any more: {text}");
            GuestFailure::Contract {
                plugin: active.description.name.to_string(),
                call: "restore",
                cause,
            }
        })?,
        None => guest.create(&failed.stream)?,
    };
    for page in &failed.pages {
        guest.evolve(entity, page)?;
    }
    let Some(command) = &failed.command else {
        let state = guest.snapshot(entity)?;
        return check::state(&active.description.name, &state);
    };
    match guest.decide(entity, &command.context, command.command_type, &command.data)? {
        Ok(decision) => {
            let stream = StreamId::parse(&failed.stream).map_err(|error| {
                let (plugin, cause) = (active.description.name.to_string(), error.to_string());
                GuestFailure::Contract { plugin, call: "decide", cause }
            })?;
            check::decision(&active, &stream, decision, options.decision_events_max).map(drop)
        }
        Err(Refusal::Rejected { code, message, detail }) => {
            check::rejection(&active, &code, &message, detail).map(drop)
        }
        Err(Refusal::Malformed(_)) => Ok(()),
    }
}

fn replay_batch(
    plugin: &Arc<dyn GuestPlugin>,
    failed: &FailedBatch,
    options: &EngineOptions,
) -> Result<(), GuestFailure> {
    let description = plugin.description();
    let mut guest = plugin.projection()?;
    let view = Arc::new(RecordedView(Mutex::new(failed.reads.clone().into_iter())));
    let Ok(writes) = guest.project(&failed.events, view)? else { return Ok(()) };
    let tables = Tables::new(&description.tables);
    check_writes(description.name.as_str(), &tables, writes, options.batch_writes_max).map(drop)
}

/// A view that answers what it answered before, in the same order.
struct RecordedView(Mutex<std::vec::IntoIter<ViewAnswer>>);

impl RecordedView {
    fn next(&self) -> Option<ViewAnswer> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).next()
    }
}

impl ViewReader for RecordedView {
    fn get_many(&self, keys: &[GuestRowKey]) -> Result<Vec<Option<Vec<u8>>>, ViewReadError> {
        match self.next() {
            Some(ViewAnswer::Values(values)) if values.len() == keys.len() => Ok(values),
            _ => Err(other_read()),
        }
    }

    fn scan(&self, _: u32, _: &[u8], _: &[u8], _: u32) -> Result<Vec<ViewRow>, ViewReadError> {
        match self.next() {
            Some(ViewAnswer::Rows(rows)) => Ok(rows),
            _ => Err(other_read()),
        }
    }
}

fn other_read() -> ViewReadError {
    ViewReadError("it reads other rows than when it failed".to_owned())
}
