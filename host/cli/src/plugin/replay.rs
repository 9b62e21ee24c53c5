//! `annals plugin replay`: repeats the failure of a bug bundle.

use std::path::{Path, PathBuf};

use annals_core::port::guest::GuestFailure;
use annals_daemon::bundles::{Bundle, BundleError, Replayed};
use serde::Serialize;

use crate::failure::{Failure, Fault};
use crate::output::Output;

/// Repeat the failure of a bug bundle
#[derive(Debug, clap::Args)]
#[command(after_help = "\
A daemon writes a bug bundle into the folder `bug-bundles` of its data when a plugin traps or reaches
a limit. This gives the plugin what it was given then, under the same limits, without any daemon.

A bundle holds data of the application.

Exit codes: 0 it fails as before, 1 it does not, 2 it cannot be tried.

Examples:
  annals plugin replay annals-data/bug-bundles/account-0191e2c47d1a.json
  annals plugin replay account-0191e2c47d1a.json --component account.wasm")]
pub(crate) struct ReplayArgs {
    /// The bundle
    bundle: PathBuf,

    /// Use this component; the one in the bundle's data folder when absent
    #[arg(long, value_name = "FILE")]
    component: Option<PathBuf>,
}

/// What is said with `--output json`.
#[derive(Debug, Serialize)]
struct Summary<'a> {
    plugin: &'a str,
    version: &'a str,
    expected: &'a str,
    found: Option<String>,
    is_same: bool,
}

/// Runs the command.
pub(super) fn run(args: &ReplayArgs, output: &mut Output) -> Result<(), Failure> {
    let bundle = Bundle::read(&args.bundle).map_err(|error| failed(&error))?;
    let path = match &args.component {
        Some(path) => path.clone(),
        None => component_beside(&args.bundle, &bundle),
    };
    let component = std::fs::read(&path).map_err(|error| {
        Failure::file("read", &path, &error)
            .with_hint("name the component that failed with `--component`")
    })?;
    let (plugin, version) = bundle.plugin();
    let (plugin, version) = (plugin.to_owned(), version.to_owned());
    let expected = bundle.failure().to_owned();
    if bundle.wasmtime_version() != annals_daemon::bundles::WASMTIME_VERSION {
        output.warning(format_args!(
            "it failed in wasmtime {}, this is {}: what fails is the same, its text may differ",
            bundle.wasmtime_version(),
            annals_daemon::bundles::WASMTIME_VERSION
        ));
    }
    let replayed = bundle.replay(&component).map_err(|error| failed(&error))?;
    if output.is_json() {
        let found = match &replayed {
            Replayed::Same(failure) | Replayed::Other(failure) => Some(failure.to_string()),
            Replayed::NoFailure => None,
        };
        let is_same = matches!(replayed, Replayed::Same(_));
        output.json(&Summary {
            plugin: &plugin,
            version: &version,
            expected: &expected,
            found,
            is_same,
        })?;
    } else {
        output.heading(format_args!("{plugin} {version}"))?;
        if let Replayed::Same(failure) | Replayed::Other(failure) = &replayed {
            print(failure, output)?;
        }
    }
    match replayed {
        Replayed::Same(_) => Ok(()),
        Replayed::Other(_) => {
            Err(Failure::yours(format!("it fails in another way; before it was: {expected}")))
        }
        Replayed::NoFailure => {
            Err(Failure::yours(format!("it does not fail; before it was: {expected}")))
        }
    }
}

/// The failure, with one function of the backtrace per line.
fn print(failure: &GuestFailure, output: &mut Output) -> Result<(), Failure> {
    let text = failure.to_string();
    let (what, backtrace) = text.split_once("; in ").unwrap_or((&text, ""));
    output.line(format_args!("  {what}"))?;
    let functions = backtrace.split(" < ").filter(|function| !function.is_empty());
    functions.into_iter().try_for_each(|function| output.line(format_args!("    in {function}")))
}

/// Where the data folder that a bundle is in keeps the component.
fn component_beside(bundle_path: &Path, bundle: &Bundle) -> PathBuf {
    let folder = bundle_path.parent().and_then(Path::parent).unwrap_or(Path::new(""));
    folder.join("plugins").join(format!("{}.wasm", bundle.digest()))
}

fn failed(error: &BundleError) -> Failure {
    let failure = Failure::of(Fault::Ours, error);
    match error {
        BundleError::OtherComponent { .. } => {
            failure.with_hint("name the component that failed with `--component`")
        }
        _ => failure,
    }
}
