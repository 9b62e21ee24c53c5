//! The arguments of the command line. Each command's own are beside it.

use annals_daemon::config::{PORT, Setting as _};
use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand};

use crate::output::Format;

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

/// Run event-sourced applications whose rules are WebAssembly plugins
#[derive(Debug, Parser)]
#[command(
    name = "annals",
    version,
    styles = STYLES,
    max_term_width = 100,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  annals demo                                    See it work, with a small bank
  annals serve                                   Run the daemon
  annals plugin new shop-cart --kind aggregate   Write a plugin of your own

`annals COMMAND --help` explains a command."
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,

    /// Print data as text for people, or as JSON for programs
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    pub(crate) output: Format,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Serve(crate::serve::ServeArgs),
    Demo(crate::demo::DemoArgs),
    #[command(subcommand)]
    Plugin(crate::plugin::PluginCommand),
    #[command(name = "command")]
    Decide(crate::command::CommandArgs),
    #[command(subcommand)]
    Aggregate(crate::aggregate::AggregateCommand),
    #[command(subcommand)]
    Claim(crate::claim::ClaimCommand),
    #[command(subcommand)]
    Stream(crate::stream::StreamCommand),
    Trace(crate::trace::TraceArgs),
    #[command(subcommand)]
    Subscription(crate::subscription::SubscriptionCommand),
    #[command(subcommand)]
    Schedule(crate::schedule::ScheduleCommand),
    #[command(subcommand)]
    View(crate::view::ViewCommand),
    #[command(subcommand)]
    Parked(crate::parked::ParkedCommand),
    #[command(subcommand)]
    Process(crate::process::ProcessCommand),
    #[command(subcommand)]
    Projection(crate::projection::ProjectionCommand),
    #[command(subcommand)]
    Store(crate::store::StoreCommand),
    #[command(subcommand)]
    Bench(crate::bench::BenchCommand),
    Doctor(crate::doctor::DoctorArgs),
}

/// Which daemon to talk to.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ServerArgs {
    /// Talk to the daemon at this address
    #[arg(long, value_name = "URL", env = "ANNALS_SERVER", default_value_t = default_server())]
    pub(crate) server: String,
}

fn default_server() -> String {
    format!("http://127.0.0.1:{PORT}")
}

/// Reads a duration for clap, as the configuration does.
pub(crate) fn duration(text: &str) -> Result<std::time::Duration, annals_daemon::config::BadValue> {
    std::time::Duration::parse(text)
}

#[cfg(test)]
mod tests;
