//! The sets of drivers that scenarios run on, each started for one test.

pub(crate) mod dynamodb;
pub(crate) mod redis;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::languages::Language;
use crate::support::{Daemon, folder};
use dynamodb::Tables;
use redis::RedisServer;

/// Where daemons of one test keep their data.
pub(crate) struct Place {
    _folder: tempfile::TempDir,
    data: PathBuf,
    remote: Option<Remote>,
    /// What the account is written in.
    language: Language,
}

struct Remote {
    tables: Tables,
    redis: RedisServer,
}

impl Place {
    /// A data folder.
    pub(crate) fn local() -> Self {
        Self::local_with(Language::Rust)
    }

    /// A data folder, and the account in JavaScript.
    pub(crate) fn local_javascript() -> Self {
        Self::local_with(Language::JavaScript)
    }

    /// A data folder, and the account in Python.
    pub(crate) fn local_python() -> Self {
        Self::local_with(Language::Python)
    }

    fn local_with(language: Language) -> Self {
        let (folder, data) = folder();
        Self { _folder: folder, data, remote: None, language }
    }

    /// Tables on a DynamoDB emulator, and a Redis.
    pub(crate) fn dynamodb_and_redis() -> Self {
        let (folder, data) = folder();
        let remote = Remote { tables: Tables::create(4), redis: RedisServer::start() };
        Self { _folder: folder, data, remote: Some(remote), language: Language::Rust }
    }

    /// Starts a daemon.
    pub(crate) fn start(&self) -> Daemon {
        self.start_in(&self.data)
    }

    /// Starts one more daemon on the same store. A data folder belongs to one alone.
    pub(crate) fn start_another(&self) -> Daemon {
        assert!(self.remote.is_some(), "a data folder belongs to one daemon");
        self.start_in(&self.data.with_file_name("another"))
    }

    fn start_in(&self, data: &Path) -> Daemon {
        self.language.spare_compiling(data);
        Daemon::start_with(data, |command| self.configure(command))
    }

    /// Tells a command which drivers to use.
    pub(crate) fn configure(&self, command: &mut Command) {
        if let Some(Remote { tables, redis }) = &self.remote {
            tables.configure(command);
            redis.configure(command);
        }
    }

    /// A daemon with the bank's account aggregate.
    pub(crate) async fn start_with_account(&self) -> Daemon {
        let daemon = self.start();
        self.install_account(&daemon).await;
        daemon
    }

    /// Installs the bank's account aggregate.
    pub(crate) async fn install_account(&self, daemon: &Daemon) {
        daemon.install("account", self.language.account()).await.ok();
    }

    /// A daemon with the whole bank.
    pub(crate) async fn start_with_bank(&self) -> Daemon {
        let daemon = self.start_with_account().await;
        for (name, component) in [
            ("account-balances", annals_components::account_balances()),
            ("money-transfer", annals_components::money_transfer()),
            ("transfer", annals_components::transfer()),
            ("transfer-overview", annals_components::transfer_overview()),
        ] {
            daemon.install(name, component).await.ok();
        }
        daemon
    }

    /// The tables, where there are some.
    pub(crate) fn tables(&self) -> &Tables {
        &self.remote.as_ref().expect("this place has no tables").tables
    }

    /// Redis, where there is one.
    pub(crate) fn redis(&self) -> &RedisServer {
        &self.remote.as_ref().expect("this place has no Redis").redis
    }

    /// The same, to stop it and to start it again.
    pub(crate) fn redis_mut(&mut self) -> &mut RedisServer {
        &mut self.remote.as_mut().expect("this place has no Redis").redis
    }

    /// How many things to do where thousands would be done on a disk: an emulator takes longer.
    pub(crate) fn many(&self, on_disk: usize) -> usize {
        if self.remote.is_some() { on_disk / 20 } else { on_disk }
    }

    /// Deletes snapshots, views and compiled plugins. No daemon runs.
    pub(crate) async fn delete_what_is_derived(&self) {
        std::fs::remove_dir_all(self.data.join("cache")).unwrap();
        match &self.remote {
            Some(remote) => remote.tables.delete_what_is_derived().await,
            None => std::fs::remove_dir_all(self.data.join("state")).unwrap(),
        }
    }
}
