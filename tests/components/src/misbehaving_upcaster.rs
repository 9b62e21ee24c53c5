//! An upcaster that misbehaves: the events it takes, of version 1, and what a host has to make of
//! them. Unless said otherwise an event makes every reader fail, with a text that names it.

use std::sync::OnceLock;

use crate::build;

/// The upcaster `misbehaving-upcaster`.
#[must_use]
pub fn misbehaving_upcaster() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("tests/components/misbehaving-upcaster"))
}

/// Becomes [`NOTED`] of version 2, with the same data: the plugin can behave.
pub const NOTED: &str = "noted";
/// Refused, with the text `not this one`.
pub const REFUSED: &str = "refused";
/// Traps.
pub const TRAPPED: &str = "trapped";
/// Out of fuel.
pub const LOOPED: &str = "looped";
/// Out of memory.
pub const HOARDED: &str = "hoarded";
/// Becomes nothing.
pub const VANISHED: &str = "vanished";
/// Becomes an event that the plugin does not say it produces.
pub const UNDECLARED: &str = "undeclared";
/// Becomes what is not JSON.
pub const GARBLED: &str = "garbled";
/// Becomes an event whose name is not UTF-8.
pub const MISNAMED: &str = "misnamed";
/// Becomes 101 events, one more than allowed.
pub const MULTIPLIED: &str = "multiplied";
/// Becomes itself.
pub const CIRCLED: &str = "circled";
