//! `annals doctor`: looks whether everything is there that Annals needs.

mod checks;

use std::path::PathBuf;

use annals_daemon::config::{ConfigSource, Environment};
use annals_daemon::{Config, config::Loaded};
use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::args::ServerArgs;
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Check the toolchain, the settings, the data folder and the daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Nothing is changed, except that an unfinished end of the log, after a crash, is cut as at every start.
Exit code 1 means that something has failed.

Examples:
  annals doctor
  annals doctor --config /etc/annals.toml")]
pub(crate) struct DoctorArgs {
    /// Read settings from this file
    #[arg(long, value_name = "FILE", env = "ANNALS_CONFIG")]
    config: Option<PathBuf>,

    #[command(flatten)]
    server: ServerArgs,
}

/// How a check ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// As it should be.
    Ok,
    /// Something cannot be done.
    Warn,
    /// Something is wrong.
    Fail,
}

impl Verdict {
    fn style(self) -> (&'static str, Style) {
        match self {
            Self::Ok => ("ok  ", AnsiColor::Green.on_default()),
            Self::Warn => ("warn", AnsiColor::Yellow.on_default()),
            Self::Fail => ("fail", AnsiColor::Red.on_default().bold()),
        }
    }
}

/// What was looked at, and what was found.
#[derive(Debug, Serialize)]
struct Finding {
    name: &'static str,
    verdict: Verdict,
    detail: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    hint: Option<String>,
}

impl Finding {
    fn ok(name: &'static str, detail: impl Into<String>) -> Self {
        Self { name, verdict: Verdict::Ok, detail: detail.into(), hint: None }
    }

    fn warn(name: &'static str, failure: Failure) -> Self {
        Self { verdict: Verdict::Warn, ..Self::fail(name, failure) }
    }

    fn fail(name: &'static str, failure: Failure) -> Self {
        Self { name, verdict: Verdict::Fail, detail: failure.message, hint: failure.hint }
    }
}

#[derive(Debug, Serialize)]
struct Findings {
    findings: Vec<Finding>,
}

/// Runs the command.
pub(crate) fn run(args: &DoctorArgs, output: &mut Output) -> Result<(), Failure> {
    let mut findings = vec![checks::rust(), checks::wasm_target()];
    findings.extend(checks::other_languages());
    let source = ConfigSource {
        file: args.config.clone(),
        environment: Environment::of_process(),
        flags: Vec::new(),
    };
    match Config::load(&source) {
        Ok(Loaded { config, file, warnings }) => {
            findings.push(checks::settings(file.as_deref(), &warnings));
            let of_daemon = tasks::run(async { Ok(checks::daemon(&config, &args.server).await) })?;
            findings.extend(of_daemon);
        }
        Err(error) => findings.push(Finding::fail("settings", error.into())),
    }
    let failed_count = findings.iter().filter(|finding| finding.verdict == Verdict::Fail).count();
    if output.is_json() {
        output.json(&Findings { findings })?;
    } else {
        findings.iter().try_for_each(|finding| print(finding, output))?;
    }
    match failed_count {
        0 => Ok(()),
        1 => Err(Failure::yours("1 check failed")),
        _ => Err(Failure::yours(format!("{failed_count} checks failed"))),
    }
}

fn print(finding: &Finding, output: &mut Output) -> Result<(), Failure> {
    let (word, style) = finding.verdict.style();
    output.line(format_args!("{style}{word}{style:#}  {:<9} {}", finding.name, finding.detail))?;
    match &finding.hint {
        Some(hint) => output.line(format_args!("      {:<9} hint: {hint}", "")),
        None => Ok(()),
    }
}
