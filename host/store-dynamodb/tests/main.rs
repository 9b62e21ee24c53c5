//! The driver against an emulator.
