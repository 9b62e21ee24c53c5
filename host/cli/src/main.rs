//! The `annals` binary: the daemon, the tools for plugins, and a client of the HTTP API.
//!
//! ```text
//! args.rs ─► one file per command ─► client.rs ─► a running daemon
//!                 │                  annals-daemon, annals-sdk-build
//!                 ▼
//!            output.rs, failure.rs: the only ones that print
//! ```

mod aggregate;
mod args;
mod bench;
mod claim;
mod client;
mod command;
mod demo;
mod doctor;
mod failure;
mod input;
mod output;
mod parked;
mod plugin;
mod process;
mod projection;
mod schedule;
mod serve;
mod store;
mod stream;
mod subscription;
mod tasks;
mod text;
mod trace;
mod view;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Args, Command};
use failure::{Failure, Fault};
use output::Output;

fn main() -> ExitCode {
    let args = match Args::try_parse() {
        Ok(args) => args,
        Err(error) => return refused(&error),
    };
    let mut output = Output::new(args.output);
    match run(args.command, &mut output) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output.failure(&failure);
            failure.exit_code()
        }
    }
}

fn run(command: Command, output: &mut Output) -> Result<(), Failure> {
    match command {
        Command::Serve(args) => serve::run(args, output),
        Command::Demo(args) => demo::run(&args, output),
        Command::Plugin(command) => plugin::run(command, output),
        Command::Decide(args) => command::run(args, output),
        Command::Aggregate(command) => aggregate::run(command, output),
        Command::Claim(command) => claim::run(command, output),
        Command::Stream(command) => stream::run(command, output),
        Command::Trace(args) => trace::run(&args, output),
        Command::Subscription(command) => subscription::run(command, output),
        Command::Schedule(command) => schedule::run(command, output),
        Command::View(command) => view::run(command, output),
        Command::Parked(command) => parked::run(command, output),
        Command::Process(command) => process::run(command, output),
        Command::Projection(command) => projection::run(command, output),
        Command::Store(command) => store::run(command, output),
        Command::Bench(command) => bench::run(command, output),
        Command::Doctor(args) => doctor::run(&args, output),
    }
}

/// Prints what clap has to say: the help that was asked for, or why the arguments are none.
fn refused(error: &clap::Error) -> ExitCode {
    let is_help = !error.use_stderr();
    let printed = error.print().is_ok();
    if is_help && printed { ExitCode::SUCCESS } else { Fault::Yours.exit_code() }
}
