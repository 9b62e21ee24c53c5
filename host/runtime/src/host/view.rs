//! `annals:plugin/view`: what a projection reads of its own view while it is called.

use std::sync::Arc;

use annals_core::limits::ROW_KEY_BYTES_MAX;
use annals_core::plugin::GuestRowKey;
use annals_core::port::guest::{ViewReadError, ViewReader, ViewRow};
use wasmtime::StoreContextMut;
use wasmtime::component::Linker;

use super::{HostState, charge, limit};
use crate::contract::v0_1_0::{RowKey, VIEW};
use crate::failure::HostStop;
use crate::limits::{SCAN_BOUND_BYTES_MAX, bytes_text};

/// What a read costs, in fuel, before its keys and bytes: about what a lookup takes.
const READ_FUEL: usize = 50_000;

/// What each row of a read costs, in fuel.
const ROW_FUEL: usize = 2_000;

/// Links the interface.
pub(crate) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    let mut instance = linker.instance(VIEW)?;
    instance.func_wrap("get-many", get_many)?;
    instance.func_wrap("scan", scan)
}

fn get_many(
    mut store: StoreContextMut<'_, HostState>,
    (keys,): (Vec<RowKey>,),
) -> wasmtime::Result<(Vec<Option<Vec<u8>>>,)> {
    let reader = reader(store.data())?;
    let keys_max = store.data().limits.view_keys_max;
    if keys.len() > keys_max {
        return Err(limit(format!(
            "{keys_max} keys in one `view.get-many` (limits.view_keys_max)"
        )));
    }
    let keys: Vec<GuestRowKey> = keys.into_iter().map(Into::into).collect();
    for key in &keys {
        check_table(store.data(), key.table)?;
        let is_valid = (1..=ROW_KEY_BYTES_MAX).contains(&key.key.len());
        if !is_valid {
            return Err(contract(format!(
                "a key of `view.get-many` has {} bytes, not 1 to {ROW_KEY_BYTES_MAX}",
                key.key.len()
            )));
        }
    }
    charge(&mut store, fuel_of(keys.len(), 0))?;
    let values = reader.get_many(&keys).map_err(unreadable)?;
    if values.len() != keys.len() {
        return Err(unreadable(ViewReadError(format!(
            "{} rows were read for {} keys",
            values.len(),
            keys.len()
        ))));
    }
    let bytes_count = values.iter().flatten().map(Vec::len).sum();
    check_answer(store.data(), bytes_count)?;
    charge(&mut store, bytes_count)?;
    Ok((values,))
}

fn scan(
    mut store: StoreContextMut<'_, HostState>,
    (table, start, end, limit): (u32, Vec<u8>, Vec<u8>, u32),
) -> wasmtime::Result<(Vec<ViewRow>,)> {
    let reader = reader(store.data())?;
    check_table(store.data(), table)?;
    for bound in [&start, &end] {
        if bound.len() > SCAN_BOUND_BYTES_MAX {
            return Err(contract(format!(
                "a bound of `view.scan` has {} bytes, more than {SCAN_BOUND_BYTES_MAX}",
                bound.len()
            )));
        }
    }
    // `limit` is guest-controlled: clamp before the host reads.
    let limit = limit.min(store.data().limits.view_scan_rows_max);
    let rows_max = usize::try_from(limit).unwrap_or(usize::MAX);
    charge(&mut store, fuel_of(0, 0))?;
    let mut rows = reader.scan(table, &start, &end, limit).map_err(unreadable)?;
    rows.truncate(rows_max);
    let bytes_count = keep_what_fits(&mut rows, store.data().limits.input_bytes_max);
    check_answer(store.data(), bytes_count)?;
    charge(&mut store, fuel_of(rows.len(), bytes_count))?;
    Ok((rows,))
}

/// Drops the rows at the end that make the answer too large, but never the first: no rows would mean
/// that there are none. Returns how many bytes the rest has.
fn keep_what_fits(rows: &mut Vec<ViewRow>, bytes_max: usize) -> usize {
    let mut bytes_count = 0_usize;
    let mut kept = 0;
    for (key, value) in rows.iter() {
        let with_row = bytes_count.saturating_add(key.len()).saturating_add(value.len());
        if kept > 0 && with_row > bytes_max {
            break;
        }
        bytes_count = with_row;
        kept += 1;
    }
    rows.truncate(kept);
    bytes_count
}

fn reader(state: &HostState) -> wasmtime::Result<Arc<dyn ViewReader>> {
    state
        .view
        .as_ref()
        .map(Arc::clone)
        .ok_or_else(|| contract("the view cannot be read in this call".to_owned()))
}

fn check_table(state: &HostState, table: u32) -> wasmtime::Result<()> {
    let is_known = usize::try_from(table).is_ok_and(|table| table < state.tables_count);
    if is_known {
        return Ok(());
    }
    Err(contract(format!(
        "table index {table} is out of range: the plugin describes {} tables",
        state.tables_count
    )))
}

fn check_answer(state: &HostState, bytes_count: usize) -> wasmtime::Result<()> {
    let bytes_max = state.limits.input_bytes_max;
    if bytes_count <= bytes_max {
        return Ok(());
    }
    Err(limit(format!(
        "{} read from the view in one call (limits.input_bytes_max)",
        bytes_text(bytes_max)
    )))
}

fn fuel_of(rows_count: usize, bytes_count: usize) -> usize {
    rows_count.saturating_mul(ROW_FUEL).saturating_add(bytes_count).saturating_add(READ_FUEL)
}

fn contract(cause: String) -> wasmtime::Error {
    wasmtime::Error::new(HostStop::Contract(cause))
}

fn unreadable(error: ViewReadError) -> wasmtime::Error {
    wasmtime::Error::new(HostStop::View(error.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_keeps_the_rows_that_fit_and_always_the_first() {
        // Guards that a scan over large rows goes on instead of ending early or failing.
        let row = |bytes: usize| (vec![1], vec![0; bytes]);
        let check = |rows: &[usize], kept: usize, bytes_count: usize| {
            let mut rows: Vec<_> = rows.iter().copied().map(row).collect();
            assert_eq!(keep_what_fits(&mut rows, 10), bytes_count);
            assert_eq!(rows.len(), kept);
        };
        check(&[], 0, 0);
        check(&[4, 4, 4], 2, 10);
        check(&[100, 1], 1, 101);
    }
}
