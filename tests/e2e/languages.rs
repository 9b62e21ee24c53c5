//! Plugins in JavaScript and Python: the bank's account is the same in every language, the SDKs pass
//! their own tests, and `plugin new --lang` leads to a plugin that runs.
//!
//! The acceptance scenarios run on each of the accounts, too: see `acceptance`.

mod account;
mod built;
mod sdk;

pub(crate) use built::Language;
