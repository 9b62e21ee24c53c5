//! What the host gives: log lines out, rows in. Natively, in tests, a thread plays the host.

#[cfg(not(target_arch = "wasm32"))]
pub(crate) mod native;

use crate::bindings::annals::plugin::log::Level;
use crate::bindings::annals::plugin::view::RowKey;

#[cfg(target_arch = "wasm32")]
mod wasm {
    pub(crate) use crate::bindings::annals::plugin::log::write as log;
    pub(crate) use crate::bindings::annals::plugin::view::{get_many, scan};
}

#[cfg(not(target_arch = "wasm32"))]
use self::native as imports;
#[cfg(target_arch = "wasm32")]
use self::wasm as imports;

/// Writes one log line.
pub(crate) fn log(level: Level, message: &str) {
    imports::log(level, message);
}

/// Values of rows, in the order of the keys.
pub(crate) fn get_many(keys: &[RowKey]) -> Vec<Option<Vec<u8>>> {
    imports::get_many(keys)
}

/// Some of the rows from `start` (inclusive) to `end` (exclusive, empty for no bound), in key
/// order, at most `limit`; none only when there are none.
pub(crate) fn scan(table: u32, start: &[u8], end: &[u8], limit: u32) -> Vec<(Vec<u8>, Vec<u8>)> {
    imports::scan(table, start, end, limit)
}

/// Sends the text and place of a panic to the host's log: the trap that follows says neither.
pub(crate) fn report_panics() {
    #[cfg(target_arch = "wasm32")]
    {
        use std::sync::Once;

        static HOOK: Once = Once::new();
        HOOK.call_once(|| {
            std::panic::set_hook(Box::new(|panic| log(Level::Error, &panic.to_string())));
        });
    }
}
