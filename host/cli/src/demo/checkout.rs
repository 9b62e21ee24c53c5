//! Finds a checkout of Annals and builds the plugins of its bank.

use std::path::{Path, PathBuf};

use annals_sdk_build::{BuildOptions, build};

use crate::failure::Failure;

/// A component of the bank, and what is said of it.
#[derive(Debug)]
pub(crate) struct BankPlugin {
    /// Its name.
    pub(crate) name: &'static str,
    /// What it does.
    pub(crate) does: &'static str,
    /// The component.
    pub(crate) component: Vec<u8>,
}

const ACCOUNT: &str = "plugins/bank/account";
const ACCOUNT_BALANCES: &str = "plugins/bank/account-balances";
const ACCOUNT_TOTALS: &str = "plugins/bank/account-totals";
const MONEY_TRANSFER: &str = "plugins/bank/money-transfer";
const TRANSFER: &str = "plugins/bank/transfer";
const TRANSFER_OVERVIEW: &str = "plugins/bank/transfer-overview";

/// The plugins of the bank, in the order in which they are installed.
const BANK: [(&str, &str, &str); 5] = [
    ("account", ACCOUNT, "an aggregate: it keeps the rules of one account"),
    ("money-transfer", MONEY_TRANSFER, "an aggregate: it keeps the rules of one transfer"),
    ("transfer", TRANSFER, "a process manager: it moves the money, or gives it back"),
    ("account-balances", ACCOUNT_BALANCES, "a projection: it keeps a table of all balances"),
    ("transfer-overview", TRANSFER_OVERVIEW, "a projection: it keeps a table of all transfers"),
];

/// Builds the plugins of the bank; `begin` is told of each before it is built.
pub(crate) fn build_bank(mut begin: impl FnMut(&str)) -> Result<Vec<BankPlugin>, Failure> {
    let root = find()?;
    let build = |(name, folder, does)| {
        begin(name);
        Ok(BankPlugin { name, does, component: build_plugin(&root, folder)? })
    };
    BANK.into_iter().map(build).collect()
}

/// Builds the aggregate `account` of the bank.
pub(crate) fn build_account() -> Result<Vec<u8>, Failure> {
    build_plugin(&find()?, ACCOUNT)
}

/// Builds the projection `account-balances` of the bank.
pub(crate) fn build_account_balances() -> Result<Vec<u8>, Failure> {
    build_plugin(&find()?, ACCOUNT_BALANCES)
}

/// Builds the projection `account-totals` of the bank.
pub(crate) fn build_account_totals() -> Result<Vec<u8>, Failure> {
    build_plugin(&find()?, ACCOUNT_TOTALS)
}

fn build_plugin(root: &Path, folder: &str) -> Result<Vec<u8>, Failure> {
    let target_dir = target_dir(root).join("plugins");
    let built = build(&BuildOptions {
        profile: "plugin".to_owned(),
        output_dir: target_dir.join("components"),
        target_dir: Some(target_dir),
        ..BuildOptions::new(root.join(folder))
    })?;
    std::fs::read(&built.path).map_err(|error| Failure::file("read", &built.path, &error))
}

/// The root of the checkout: above the current folder, or above this program.
fn find() -> Result<PathBuf, Failure> {
    let current = std::env::current_dir().ok();
    let program = std::env::current_exe().ok();
    let starts = [current.as_deref(), program.as_deref()];
    let mut folders = starts.into_iter().flatten().flat_map(Path::ancestors);
    let root = folders.find(|folder| folder.join(ACCOUNT).join("Cargo.toml").is_file());
    root.map(Path::to_owned).ok_or_else(|| {
        Failure::yours("there is no checkout of Annals here, which has the bank's sources")
            .with_hint("run it inside a checkout, e.g. with `cargo run --release -- demo`")
    })
}

/// Cargo's target folder: the folder above this program that cargo marked, or the usual one.
fn target_dir(root: &Path) -> PathBuf {
    let program = std::env::current_exe().ok();
    let mut folders = program.iter().flat_map(|program| program.ancestors());
    let marked = folders.find(|folder| folder.join("CACHEDIR.TAG").is_file());
    marked.map_or_else(|| root.join("target"), Path::to_owned)
}
