//! The components are what they are said to be.

mod bank;
mod bindings;
mod misbehaving;
