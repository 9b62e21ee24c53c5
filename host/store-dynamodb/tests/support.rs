//! What the tests share: an emulator on loopback, and stores on it.

pub(crate) mod emulator;
pub(crate) mod faults;
pub(crate) mod tables;
