//! A process manager that misbehaves: what it does, and what a host has to make of it.
//!
//! The constants name events of version 1. The same names, as the name of a timer and as the id of a
//! command's target, make it do the same in `on-timer` and `on-reply`; all but those of `correlate`.
//! Unless said otherwise the call fails, and the event is parked.

use std::sync::OnceLock;

use crate::build;

/// The process manager `misbehaving-process`. It sends `note` to the aggregate `misbehaving`, and an
/// event concerns the instance that is named as its stream's id is.
#[must_use]
pub fn misbehaving_process() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("tests/components/misbehaving-process"))
}

/// Sends `note` to `misbehaving/m1`, starts the timer `noted`, due long ago, and cancels the timer
/// `other`; the state stays, and begins as `{}`: the plugin can behave.
pub const NOTED: &str = "noted";
/// Refused, with the text `not this one`.
pub const REFUSED: &str = "refused";
/// Traps.
pub const TRAPPED: &str = "trapped";
/// Out of fuel.
pub const LOOPED: &str = "looped";
/// Out of memory.
pub const HOARDED: &str = "hoarded";
/// A command to a target that is not UTF-8.
pub const MISNAMED: &str = "misnamed";
/// A command of a type one past the descriptor's last.
pub const MISTYPED: &str = "mistyped";
/// A command whose data is not JSON.
pub const GARBLED: &str = "garbled";
/// 101 commands, one more than allowed.
pub const FLOODED: &str = "flooded";
/// 101 timers, one more than allowed.
pub const OVERWOUND: &str = "overwound";
/// A timer whose name is not kebab-case.
pub const MISTIMED: &str = "mistimed";
/// A state of one byte more than 256 KiB.
pub const BLOATED: &str = "bloated";
/// A command to the empty id.
pub const MISTARGETED: &str = "mistargeted";
/// Traps in `correlate`.
pub const CORRELATE_TRAPPED: &str = "correlate-trapped";
/// Out of fuel in `correlate`.
pub const CORRELATE_LOOPED: &str = "correlate-looped";
/// Out of memory in `correlate`.
pub const CORRELATE_HOARDED: &str = "correlate-hoarded";
/// An instance whose name is not UTF-8.
pub const CORRELATE_MISNAMED: &str = "correlate-misnamed";
/// No entry for the event, so there are fewer than events.
pub const CORRELATE_SHORT: &str = "correlate-short";
/// 101 instances, one more than allowed.
pub const CORRELATE_FLOODED: &str = "correlate-flooded";
/// An instance with the empty name.
pub const CORRELATE_BLANK: &str = "correlate-blank";
