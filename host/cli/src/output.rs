//! What is printed: data on standard output, everything else on standard error. Nothing else prints.

use std::fmt::Display;
use std::io::{self, Write as _};

use anstyle::{AnsiColor, Style};
use serde::Serialize;

use crate::failure::Failure;

const ERROR: Style = AnsiColor::Red.on_default().bold();
const WARNING: Style = AnsiColor::Yellow.on_default().bold();
const HINT: Style = AnsiColor::Cyan.on_default().bold();
const HEADING: Style = Style::new().bold();

/// How data is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Format {
    /// For people
    Text,
    /// For programs: one JSON value per line
    Json,
}

/// Prints. Colour is left away where nobody sees it, and when `NO_COLOR` is set.
#[derive(Debug)]
pub(crate) struct Output {
    format: Format,
}

impl Output {
    /// Prints data in a format.
    pub(crate) fn new(format: Format) -> Self {
        Self { format }
    }

    /// Whether data is printed for programs.
    pub(crate) fn is_json(&self) -> bool {
        self.format == Format::Json
    }

    /// Prints a line of data.
    pub(crate) fn line(&mut self, line: impl Display) -> Result<(), Failure> {
        let mut out = anstream::stdout().lock();
        writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| unwritten(&error))
    }

    /// Prints a heading above lines of data.
    pub(crate) fn heading(&mut self, line: impl Display) -> Result<(), Failure> {
        self.line(format_args!("{HEADING}{line}{HEADING:#}"))
    }

    /// Prints data as one line of JSON.
    pub(crate) fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value)
            .map_err(|error| Failure::ours(format!("the data has no JSON form: {error}")))?;
        self.line(text)
    }

    /// Says something that is not data.
    pub(crate) fn note(&mut self, text: impl Display) {
        self.say(format_args!("{text}"));
    }

    /// Shows how far something is, in place of what was shown before. Only for terminals.
    pub(crate) fn progress(&mut self, text: impl Display) {
        let mut err = anstream::stderr().lock();
        write!(err, "\r\x1b[2K{text}").and_then(|()| err.flush()).unwrap_or_default();
    }

    /// Says that something is strange.
    pub(crate) fn warning(&mut self, text: impl Display) {
        self.say(format_args!("{WARNING}warning:{WARNING:#} {text}"));
    }

    /// Says why the command failed, and what to do next.
    pub(crate) fn failure(&mut self, failure: &Failure) {
        if !failure.message.is_empty() {
            self.say(format_args!("{ERROR}error:{ERROR:#} {}", failure.message));
        }
        if let Some(hint) = &failure.hint {
            self.say(format_args!("\n{HINT}hint:{HINT:#} {hint}"));
        }
    }

    /// A standard error that is gone has nobody to be told about it.
    fn say(&mut self, text: impl Display) {
        writeln!(anstream::stderr().lock(), "{text}").unwrap_or_default();
    }
}

fn unwritten(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::nobody_reads();
    }
    Failure::ours(format!("failed to write to standard output: {error}"))
}
