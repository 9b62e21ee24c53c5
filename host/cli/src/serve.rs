//! `annals serve`: runs the daemon until it is told to stop.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use annals_core::durability::DurabilityLost;
use annals_daemon::config::{ConfigSource, Environment, Loaded};
use annals_daemon::{Config, Host, StopSignals, logging};
use serde::Serialize;

use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Run the daemon until Ctrl-C or SIGTERM
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Settings come from `annals.toml` in the current folder, then from variables such as
ANNALS_SERVER_LISTEN, then from flags. A second Ctrl-C ends the daemon at once; what was acknowledged
is kept even then.

Exit codes: 0 stopped as told, 1 it cannot start as told, 2 it failed.

Examples:
  annals serve
  annals serve --data /var/lib/annals --listen 127.0.0.1:7070
  annals serve --watch-plugins target/plugins
  annals serve --web todo=plugins/todo/web
  annals serve --config annals.toml --print-config")]
pub(crate) struct ServeArgs {
    /// Read settings from this file
    #[arg(long, value_name = "FILE", env = "ANNALS_CONFIG")]
    config: Option<PathBuf>,

    /// Keep everything in this folder
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,

    /// Listen on this address and port; port 0 takes a free one
    #[arg(long, value_name = "ADDR")]
    listen: Option<SocketAddr>,

    /// Allow an address that other machines can reach, although nobody is asked who they are
    #[arg(long)]
    insecure: bool,

    /// Write log lines as text for people, or as JSON for machines
    #[arg(long, value_name = "FORMAT", value_parser = ["text", "json"])]
    log_format: Option<String>,

    /// Install the components (*.wasm) of this folder, now and whenever they change; for development
    #[arg(long, value_name = "DIR")]
    watch_plugins: Option<PathBuf>,

    /// Serve the pages of this folder under /apps/NAME/; once per app
    #[arg(long, value_name = "NAME=DIR")]
    web: Vec<String>,

    /// Print the settings in force, as an `annals.toml`, and end
    #[arg(long)]
    print_config: bool,
}

impl ServeArgs {
    fn source(&self) -> ConfigSource {
        let mut flags = Vec::new();
        if let Some(data) = &self.data {
            flags.push(("--data", "store", "data", data.display().to_string()));
        }
        if let Some(listen) = self.listen {
            flags.push(("--listen", "server", "listen", listen.to_string()));
        }
        if self.insecure {
            flags.push(("--insecure", "server", "insecure", true.to_string()));
        }
        if let Some(format) = &self.log_format {
            flags.push(("--log-format", "log", "format", format.clone()));
        }
        if let Some(folder) = &self.watch_plugins {
            flags.push(("--watch-plugins", "plugins", "watch", folder.display().to_string()));
        }
        if !self.web.is_empty() {
            flags.push(("--web", "web", "folders", self.web.join(",")));
        }
        ConfigSource { file: self.config.clone(), environment: Environment::of_process(), flags }
    }
}

/// What is said when the daemon serves.
#[derive(Debug, Serialize)]
struct Serving<'a> {
    server: String,
    data: &'a Path,
}

/// Runs the command.
pub(crate) fn run(args: ServeArgs, output: &mut Output) -> Result<(), Failure> {
    let source = args.source();
    let Loaded { config, warnings, .. } = Config::load(&source)?;
    warnings.iter().for_each(|warning| output.warning(warning));
    if args.print_config {
        return output.line(config.to_toml().trim_end());
    }
    logging::start(&config.log, &source.environment)
        .map_err(|error| Failure::of(crate::failure::Fault::Ours, &error))?;
    tasks::run(serve(&config, output))
}

async fn serve(config: &Config, output: &mut Output) -> Result<(), Failure> {
    let mut signals = signals()?;
    let host = tokio::select! {
        host = Host::start(config) => host?,
        () = signals.next() => return Ok(()),
    };
    let server = format!("http://{}", host.address());
    if output.is_json() {
        output.json(&Serving { server, data: &config.store.data })?;
    } else {
        output.line(format_args!("serving on {server}"))?;
    }
    run_until_told(host, &mut signals).await
}

/// Serves until a signal or a failure, and stops.
pub(crate) async fn run_until_told(host: Host, signals: &mut StopSignals) -> Result<(), Failure> {
    let failed = tokio::select! {
        () = signals.next() => None,
        lost = host.failed() => Some(lost),
    };
    tokio::select! {
        () = host.stop() => {}
        // What was acknowledged is durable: nothing is lost by leaving now.
        () = signals.next() => {}
    }
    match failed {
        None => Ok(()),
        Some(DurabilityLost { cause }) => {
            Err(Failure::ours(format!("the log failed, the daemon has stopped: {cause}"))
                .with_hint(
                    "look at the disk, then start the daemon again: it finds out what was kept",
                ))
        }
    }
}

/// Listens for the wish to stop.
pub(crate) fn signals() -> Result<StopSignals, Failure> {
    StopSignals::listen().map_err(|error| Failure::ours(format!("no signals: {error}")))
}
