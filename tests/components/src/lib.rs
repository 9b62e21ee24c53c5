//! Components for tests, as bytes: the examples' plugins, plugins that misbehave when they are called,
//! and files that are no plugin at all.
//!
//! Each is built once per process and target folder, on first use, from the sources beside it. A
//! function here panics when its component cannot be built, with what cargo said: without it there
//! is nothing to test.

pub mod bindings;
mod build;
mod contract;
mod crafted;
pub mod misbehaving;
pub mod misbehaving_process;
pub mod misbehaving_upcaster;

use std::sync::OnceLock;

pub use crate::contract::workspace_root;
pub use crate::crafted::{
    core_module, forbidden_imports, large_memory, loops_on_start, no_exports,
    other_contract_version, oversized, process_manager, traps_everywhere, truncated, two_kinds,
    upcaster, without_descriptor,
};
pub use crate::misbehaving::{DescribeFault, Misdeed, misbehaving, misbehaving_in_describe};
pub use crate::misbehaving_process::misbehaving_process;
pub use crate::misbehaving_upcaster::misbehaving_upcaster;

/// The bank's aggregate `account`.
#[must_use]
pub fn account() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/bank/account"))
}

/// Another build of the bank's aggregate `account`: it does the same, and has another content for each
/// `number`, as a compiler of another day would make it.
#[must_use]
pub fn account_build(number: u8) -> Vec<u8> {
    build_of(account(), number)
}

fn build_of(component: &[u8], number: u8) -> Vec<u8> {
    // A custom section with a name of one letter and a byte of content.
    let section = [0, 3, 1, b'n', number];
    [component, &section].concat()
}

/// The next version of [`account`]: it refuses deposits of more than 1 000 cents, and has forgotten the
/// events of transfers and of closed accounts.
#[must_use]
pub fn capped_account() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("tests/components/capped-account"))
}

/// The bank's projection `account-balances`, with its query `richest-accounts`.
#[must_use]
pub fn account_balances() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/bank/account-balances"))
}

/// The aggregate `todo`.
#[must_use]
pub fn todo() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/todo/list"))
}

/// The projection `todo-lists`, with its query `open-items`.
#[must_use]
pub fn todo_lists() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/todo/lists"))
}

/// Another build of the bank's projection `account-balances`, as [`account_build`] is one of `account`.
#[must_use]
pub fn account_balances_build(number: u8) -> Vec<u8> {
    build_of(account_balances(), number)
}

/// The aggregate `user`.
#[must_use]
pub fn user() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/user"))
}

/// The aggregate `invite` of the guest list.
#[must_use]
pub fn invite() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/guest-list/invite"))
}

/// The projection `guests` of the guest list.
#[must_use]
pub fn guests() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/guest-list/guests"))
}

/// The projection `invite-totals` of the guest list.
#[must_use]
pub fn invite_totals() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/guest-list/invite-totals"))
}

/// The bank's upcaster `first-accounts`.
#[must_use]
pub fn first_accounts() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/bank/first-accounts"))
}

/// The aggregate `money-transfer` of the bank.
#[must_use]
pub fn money_transfer() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/bank/money-transfer"))
}

/// The process manager `transfer` of the bank.
#[must_use]
pub fn transfer() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/bank/transfer"))
}

/// The projection `transfer-overview` of the bank.
#[must_use]
pub fn transfer_overview() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/bank/transfer-overview"))
}

/// The process manager `confirm-guests` of the guest list.
#[must_use]
pub fn confirm_guests() -> &'static [u8] {
    static BYTES: OnceLock<Vec<u8>> = OnceLock::new();
    BYTES.get_or_init(|| build::plugin("plugins/guest-list/confirm-guests"))
}
