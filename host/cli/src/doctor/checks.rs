//! What the doctor looks at.

use std::path::Path;
use std::process::{Command, Stdio};

use annals_daemon::config::StoreDriver;
use annals_daemon::tables::Tables;
use annals_daemon::{Config, DataFolder, StartError, is_free, look_into};
use serde::Deserialize;

use super::Finding;
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;

/// Where to get Rust.
const RUSTUP: &str = "to build plugins, install Rust from https://rustup.rs";

/// Is there a Rust toolchain?
pub(super) fn rust() -> Finding {
    match said("cargo", &["--version"]) {
        Some(version) => Finding::ok("rust", version),
        None => Finding::warn("rust", Failure::yours("there is no `cargo`").with_hint(RUSTUP)),
    }
}

/// Can it compile to Wasm?
pub(super) fn wasm_target() -> Finding {
    let target = annals_sdk_build::TARGET;
    let folder = said("rustc", &["--print", "target-libdir", "--target", target]);
    if folder.is_some_and(|folder| Path::new(&folder).is_dir()) {
        return Finding::ok("wasm", format!("the target `{target}` is installed"));
    }
    let failure = Failure::yours(format!("the target `{target}` is not installed"));
    let hint = format!("to build plugins, run `rustup target add {target}`");
    Finding::warn("wasm", failure.with_hint(hint))
}

/// Is there what plugins in other languages are built with?
pub(super) fn other_languages() -> [Finding; 2] {
    let found = |name, program: &str, language: &str| match said(program, &["--version"]) {
        Some(version) => Finding::ok(name, version),
        None => Finding::ok(name, format!("no `{program}`: only plugins in {language} need it")),
    };
    [found("node", "node", "JavaScript"), found("python", "python3", "Python")]
}

/// The first line that a program says.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout);
    let line = text.lines().next()?.trim();
    (output.status.success() && !line.is_empty()).then(|| line.to_owned())
}

/// Are the settings as they should be?
pub(super) fn settings(file: Option<&Path>, warnings: &[String]) -> Finding {
    if !warnings.is_empty() {
        return Finding::warn("settings", Failure::yours(warnings.join("; ")));
    }
    match file {
        Some(file) => Finding::ok("settings", format!("read from `{}`", file.display())),
        None => Finding::ok("settings", "the defaults, as there is no `annals.toml` here"),
    }
}

/// Whether a daemon answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Running {
    Yes,
    No,
}

/// The data folder, the port, the daemon and its plugins.
pub(super) async fn daemon(config: &Config, server: &ServerArgs) -> Vec<Finding> {
    let client = Client::connect(server).await;
    let running = client.as_ref().map_or(Running::No, |_| Running::Yes);
    let mut findings = vec![data(config, running).await, port(config, running).await];
    match client {
        Ok(mut client) => {
            findings.push(ready(&mut client, server).await);
            findings.push(plugins(&mut client).await);
        }
        Err(failure) => findings.push(Finding::warn("daemon", failure)),
    }
    findings
}

async fn data(config: &Config, running: Running) -> Finding {
    match config.store.driver {
        StoreDriver::Memory => return Finding::ok("data", "everything is kept in memory"),
        StoreDriver::Dynamodb => return tables(config).await,
        StoreDriver::Local => {}
    }
    let folder = config.store.data.display();
    match look_into(&config.store) {
        Ok(DataFolder::Missing) => Finding::ok("data", format!("`{folder}` will be made")),
        Ok(DataFolder::Readable { commits_count }) => {
            Finding::ok("data", format!("`{folder}` has a log of {commits_count} commits"))
        }
        Err(error) if error.is_in_use() && running == Running::Yes => {
            Finding::ok("data", format!("`{folder}` is in use by a daemon"))
        }
        Err(error) => Finding::fail("data", error.into()),
    }
}

async fn tables(config: &Config) -> Finding {
    let prefix = config.dynamodb.prefix.as_str();
    let checked = match Tables::connect(&config.dynamodb).await {
        Ok(tables) => tables.check().await,
        Err(error) => Err(error),
    };
    match checked {
        Ok(store) => {
            let count = store.partitions_count.get();
            let plural = if count == 1 { "" } else { "s" };
            let text =
                format!("the tables of `{prefix}` hold a store of {count} partition{plural}");
            Finding::ok("data", text)
        }
        Err(error) => Finding::fail("data", error.into()),
    }
}

async fn port(config: &Config, running: Running) -> Finding {
    let address = config.server.listen;
    match is_free(address).await {
        Ok(()) => Finding::ok("port", format!("`{address}` is free")),
        Err(StartError::Listen { .. }) if running == Running::Yes => {
            Finding::ok("port", format!("`{address}` is in use, and there is a daemon"))
        }
        Err(error) => Finding::fail("port", error.into()),
    }
}

async fn ready(client: &mut Client, server: &ServerArgs) -> Finding {
    match client.send(Call::get(ApiPath::new("/health/ready"))).await {
        Ok(_) => Finding::ok("daemon", format!("`{}` is ready", server.server)),
        Err(failure) => Finding::fail("daemon", failure),
    }
}

#[derive(Debug, Deserialize)]
struct Plugins {
    plugins: Vec<Plugin>,
}

#[derive(Debug, Deserialize)]
struct Plugin {
    name: String,
}

#[derive(Debug, Deserialize)]
struct Projections {
    projections: Vec<Projection>,
}

#[derive(Debug, Deserialize)]
struct Projection {
    name: String,
    phase: String,
}

async fn plugins(client: &mut Client) -> Finding {
    match installed(client).await {
        Ok(finding) => finding,
        Err(failure) => Finding::fail("plugins", failure),
    }
}

async fn installed(client: &mut Client) -> Result<Finding, Failure> {
    let plugins: Plugins = client.send(Call::get(ApiPath::new("/v1/plugins"))).await?.json()?;
    let path = ApiPath::new("/v1/projections");
    let projections: Projections = client.send(Call::get(path)).await?.json()?;
    let is_ill = |projection: &&Projection| projection.phase == "failing";
    if let Some(ill) = projections.projections.iter().find(is_ill) {
        let text = format!("the projection `{}` is {}", ill.name, ill.phase);
        return Ok(Finding::fail(
            "plugins",
            Failure::ours(text).with_hint("the daemon's log has the cause"),
        ));
    }
    let names: Vec<_> = plugins.plugins.into_iter().map(|plugin| plugin.name).collect();
    if names.is_empty() {
        return Ok(Finding::ok("plugins", "none is installed"));
    }
    Ok(Finding::ok("plugins", format!("{} installed: {}", names.len(), names.join(", "))))
}
