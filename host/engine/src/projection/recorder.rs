//! A view that remembers what was read of it.

use std::sync::{Arc, Mutex, PoisonError};

use annals_core::plugin::GuestRowKey;
use annals_core::port::failure_sink::ViewAnswer;
use annals_core::port::guest::{ViewReadError, ViewReader, ViewRow};

/// Most bytes of keys and values that are remembered; further reads fail.
const BYTES_MAX: usize = 16 << 20;

/// Reads of a view, passed on and remembered.
pub(super) struct Recorder {
    view: Arc<dyn ViewReader>,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    reads: Vec<ViewAnswer>,
    bytes_count: usize,
}

impl Recorder {
    pub(super) fn new(view: Arc<dyn ViewReader>) -> Self {
        Self { view, seen: Mutex::default() }
    }

    /// What was read, in order.
    pub(super) fn into_reads(self: Arc<Self>) -> Vec<ViewAnswer> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut seen.reads)
    }

    fn remember(&self, answer: ViewAnswer, bytes_count: usize) -> Result<(), ViewReadError> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.bytes_count = seen.bytes_count.saturating_add(bytes_count);
        if seen.bytes_count > BYTES_MAX {
            return Err(ViewReadError("more was read than a bundle holds".to_owned()));
        }
        seen.reads.push(answer);
        Ok(())
    }
}

impl ViewReader for Recorder {
    fn get_many(&self, keys: &[GuestRowKey]) -> Result<Vec<Option<Vec<u8>>>, ViewReadError> {
        let values = self.view.get_many(keys)?;
        let bytes_count = values.iter().flatten().map(Vec::len).sum();
        self.remember(ViewAnswer::Values(values.clone()), bytes_count)?;
        Ok(values)
    }

    fn scan(
        &self,
        table: u32,
        start: &[u8],
        end: &[u8],
        limit: u32,
    ) -> Result<Vec<ViewRow>, ViewReadError> {
        let rows = self.view.scan(table, start, end, limit)?;
        let bytes_count = rows.iter().map(|(key, value)| key.len() + value.len()).sum();
        self.remember(ViewAnswer::Rows(rows.clone()), bytes_count)?;
        Ok(rows)
    }
}
