//! Whether the repository is as its documents say: who may depend on whom, how files begin and how
//! long they are, which words are used, that links lead somewhere, and that golden files stay.
//!
//! Tests only. Each rule is a function from text to a list of breaches, tried on a made-up text
//! that breaks it and then on the repository. Formatting and lints are the business of `cargo fmt`
//! and `cargo clippy`.

#[cfg(test)]
mod dependencies;
#[cfg(test)]
mod documents;
#[cfg(test)]
mod files;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod imports;
#[cfg(test)]
mod manifests;
#[cfg(test)]
mod sources;
#[cfg(test)]
mod words;
