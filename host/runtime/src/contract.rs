//! The versions of the contract that this host speaks.
//!
//! Each has its own bindings and maps them to the types of `annals_core::plugin`. A second one is a
//! module beside [`v0_1_0`] with the same items and an entry in [`VERSIONS`]; what is loaded then
//! becomes an enum over them, and nothing else changes.

pub(crate) mod v0_1_0;

/// The versions spoken, oldest first.
pub(crate) const VERSIONS: [&str; 1] = [v0_1_0::VERSION];

/// The package all interfaces of the contract are in.
pub(crate) const PACKAGE: &str = "annals:plugin";

/// The versions spoken, for people.
pub(crate) fn versions_text() -> String {
    VERSIONS.join(", ")
}
