//! The components are what they are said to be.

mod bindings;
mod examples;
mod misbehaving;
