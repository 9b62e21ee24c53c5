//! Log lines on standard error: text for people, JSON for machines.

use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::EnvFilter;

use crate::config::{Environment, Log, LogFormat};

/// The log lines cannot be set up: somebody else has done it.
#[derive(Debug, thiserror::Error)]
#[error("the log lines are set up already")]
pub struct LoggingError;

/// The AWS SDK warns of each place where it finds no credentials and no region, before there is an
/// error that says what to do. Whoever wants that names its crates in the filter: a longer name, or the
/// same name later, counts.
const QUIET: &str = "aws_=error";

/// Sends log lines to standard error from now on. Once per process.
///
/// # Errors
/// [`LoggingError`] when it was done before.
pub fn start(log: &Log, environment: &Environment) -> Result<(), LoggingError> {
    let builder = tracing_subscriber::fmt().with_env_filter(filter(log)).with_writer(io::stderr);
    let started = match log.format {
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
        LogFormat::Text => {
            let has_colour = io::stderr().is_terminal() && !environment.is_without_colour();
            builder.with_ansi(has_colour).try_init()
        }
    };
    started.map_err(|_| LoggingError)
}

fn filter(log: &Log) -> EnvFilter {
    EnvFilter::new(format!("{QUIET},{}", log.filter.as_str()))
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

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled};

    use super::*;
    use crate::config::{LogFilter, Setting as _};

    /// Whether warnings of the AWS SDK, its debug lines, and our own news are written.
    fn written(text: &str) -> [bool; 3] {
        let log = Log { filter: LogFilter::parse(text).unwrap(), ..Log::default() };
        let subscriber = tracing_subscriber::fmt().with_env_filter(filter(&log)).finish();
        tracing::subscriber::with_default(subscriber, || {
            [
                enabled!(target: "aws_config::imds::region", Level::WARN),
                enabled!(target: "aws_config::imds::region", Level::DEBUG),
                enabled!(target: "annals_daemon::host", Level::INFO),
            ]
        })
    }

    #[test]
    fn the_sdk_of_aws_is_silent_unless_it_is_asked_for() {
        // Guards the first line that a newcomer sees: our error with what to do, and no warnings about
        // each place that was looked at.
        assert_eq!(written("info"), [false, false, true]);
        assert_eq!(written("trace"), [false, false, true]);
        assert_eq!(written("error"), [false, false, false]);
        assert_eq!(written("info,aws_config=warn"), [true, false, true]);
        assert_eq!(written("error,aws_config=debug"), [true, true, false]);
        assert_eq!(written("warn,aws_=debug"), [true, true, false]);
    }
}
