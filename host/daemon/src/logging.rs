//! Log lines on standard error: text for people, JSON for machines.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::config::{Environment, Log, LogFormat};

/// The log lines cannot be set up: somebody else has done it.
#[derive(Debug, thiserror::Error)]
#[error("the log lines are set up already")]
pub struct LoggingError;

/// Sends log lines to standard error from now on. Once per process.
///
/// # Errors
/// [`LoggingError`] when it was done before.
pub fn start(log: &Log, environment: &Environment) -> Result<(), LoggingError> {
    let builder = tracing_subscriber::fmt()
        .with_env_filter(EnvFilter::new(log.filter.as_str()))
        .with_writer(io::stderr);
    let started = match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            let has_colour = io::stderr().is_terminal() && !environment.is_without_colour();
            builder.with_ansi(has_colour).try_init()
        }
    };
    started.map_err(|_| LoggingError)
}

/// Whether `text` says what is logged: levels, and levels of parts.
pub(crate) fn is_filter(text: &str) -> bool {
    // A part without a level would be taken for one that is logged whole: a misspelt level.
    let is_clear = |directive: &str| {
        let level = directive.rsplit_once('=').map_or(directive, |(_, level)| level);
        level.trim().parse::<LevelFilter>().is_ok()
    };
    text.split(',').all(is_clear) && EnvFilter::builder().parse(text).is_ok()
}
