//! Log lines. They go to the host's log with the plugin's name and the message id; a plugin cannot
//! observe what becomes of them, so they change nothing.
//!
//! In native tests [`testing::logged`](crate::testing::logged) has them.
//!
//! ```
//! use annals_sdk::log;
//!
//! log::info(format!("opened for {}", "Athena"));
//! assert_eq!(annals_sdk::testing::logged(), ["info: opened for Athena"]);
//! ```

pub use crate::bindings::annals::plugin::log::Level;
use crate::host;

/// Writes a line at a level.
pub fn write(level: Level, message: impl AsRef<str>) {
    host::log(level, message.as_ref());
}

/// What only someone who follows every step wants to see.
pub fn trace(message: impl AsRef<str>) {
    write(Level::Trace, message);
}

/// Why something was decided.
pub fn debug(message: impl AsRef<str>) {
    write(Level::Debug, message);
}

/// What is worth a line in daily operation.
pub fn info(message: impl AsRef<str>) {
    write(Level::Info, message);
}

/// Something is not as it should be, and we go on.
pub fn warn(message: impl AsRef<str>) {
    write(Level::Warn, message);
}

/// A human must act.
pub fn error(message: impl AsRef<str>) {
    write(Level::Error, message);
}
