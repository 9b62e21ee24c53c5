//! `annals demo`: a small bank, from sources to balances, on a daemon that goes on running.

pub(crate) mod checkout;
mod story;

use std::io::ErrorKind;
use std::net::SocketAddr;
use std::path::Path;

use annals_daemon::config::{Environment, LogFilter, PORT, Setting as _};
use annals_daemon::{Config, Host, StartError, StopSignals, logging};

use crate::failure::{Failure, Fault};
use crate::output::Output;
use crate::serve::{run_until_told, signals};
use crate::tasks;
use checkout::BankPlugin;

/// See it work: build a small bank, open accounts, move money, read the balances
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It needs a checkout of Annals, for the sources of the bank's plugins, and Rust to build them. It keeps
everything in a temporary folder, and goes on serving until Ctrl-C.

Examples:
  annals demo
  cargo run --release -- demo    From a checkout, without anything installed")]
pub(crate) struct DemoArgs {
    /// End after the story, instead of serving until Ctrl-C
    #[arg(long)]
    exit: bool,
}

/// Runs the command.
pub(crate) fn run(args: &DemoArgs, output: &mut Output) -> Result<(), Failure> {
    let bank = checkout::build_bank(|name| {
        output.note(format_args!("building the bank's plugin `{name}` …"));
    })?;
    let folder = tempfile::Builder::new()
        .prefix("annals-demo-")
        .tempdir()
        .map_err(|error| Failure::file("make a folder in", &std::env::temp_dir(), &error))?;
    let told = tasks::run(tell(args, folder.path(), &bank, output));
    // Removed whatever happened; an error of the story says more than one of cleaning up.
    let removed = folder.close();
    told?;
    removed.map_err(|error| Failure::ours(format!("failed to remove the data folder: {error}")))
}

async fn tell(
    args: &DemoArgs,
    data: &Path,
    bank: &[BankPlugin],
    output: &mut Output,
) -> Result<(), Failure> {
    let mut config = Config::default();
    config.store.data = data.to_owned();
    // The story is what is to be read: only what is wrong comes between.
    config.log.filter = LogFilter::parse("warn").unwrap_or_default();
    logging::start(&config.log, &Environment::of_process())
        .map_err(|error| Failure::of(Fault::Ours, &error))?;
    let mut signals = signals()?;
    let host = start(&mut config, output).await?;
    let server = format!("http://{}", host.address());
    let told = tokio::select! {
        told = story::tell(&server, data, bank, output) => told,
        () = signals.next() => Err(Failure::nobody_reads()),
    };
    if told.is_err() || args.exit {
        host.stop().await;
        return told;
    }
    serve(host, &mut signals, output).await
}

async fn serve(host: Host, signals: &mut StopSignals, output: &mut Output) -> Result<(), Failure> {
    output.note("\nThe daemon goes on serving. Ctrl-C ends it and removes its data.");
    run_until_told(host, signals).await
}

/// Starts the daemon on the usual port, or on a free one when that is taken.
async fn start(config: &mut Config, output: &mut Output) -> Result<Host, Failure> {
    match Host::start(config).await {
        Err(StartError::Listen { source, .. }) if source.kind() == ErrorKind::AddrInUse => {
            output.note(format_args!("port {PORT} is taken, the demo takes a free one"));
            config.server.listen = SocketAddr::new(config.server.listen.ip(), 0);
            Ok(Host::start(config).await?)
        }
        started => Ok(started?),
    }
}
