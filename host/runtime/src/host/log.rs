//! `annals:plugin/log`: lines of the plugin to the host's log. The guest cannot observe what becomes
//! of them.

use wasmtime::StoreContextMut;
use wasmtime::component::{Linker, WasmStr};

use super::{HostState, charge};
use crate::contract::v0_1_0::{LOG, Level};
use crate::text::printable;

/// What a line costs, in fuel, before its bytes: about what taking it in takes.
const LINE_FUEL: usize = 2_000;

/// Longest line of level `error` that is kept to explain a trap, in bytes.
const LAST_ERROR_BYTES_MAX: usize = 1 << 10;

/// Links the interface.
pub(crate) fn link(linker: &mut Linker<HostState>) -> wasmtime::Result<()> {
    linker.instance(LOG)?.func_wrap("write", write)
}

/// Every line is decoded and paid for, kept or not: what the clock says must not change what a
/// guest's call comes to.
fn write(
    mut store: StoreContextMut<'_, HostState>,
    (level, line): (Level, WasmStr),
) -> wasmtime::Result<()> {
    let state = store.data();
    let text = line.to_str(&store)?;
    let bytes_count = text.len();
    if let Some(log) = &state.log {
        log.write(level, &text, state.message_id);
    }
    let last_error = matches!(level, Level::Error).then(|| printable(&text, LAST_ERROR_BYTES_MAX));
    if last_error.is_some() {
        store.data_mut().last_error = last_error;
    }
    charge(&mut store, bytes_count.saturating_add(LINE_FUEL))
}
