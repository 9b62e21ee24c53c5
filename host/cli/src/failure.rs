//! Why a command did not do what was asked: what to say, what to do next, and whose fault it is.

use std::error::Error;
use std::io;
use std::process::ExitCode;

use annals_core::error::ErrorChain;
use annals_daemon::StartError;
use annals_daemon::config::ConfigError;
use annals_daemon::tables::TablesError;
use annals_sdk_build::BuildError;

/// Whose fault a failure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The user's, who can put it right.
    Yours,
    /// Ours, or the machine's.
    Ours,
    /// Nobody's: it was asked to end.
    Interrupted,
}

impl Fault {
    /// The exit code of a process that ends with it.
    pub(crate) fn exit_code(self) -> ExitCode {
        match self {
            Self::Yours => ExitCode::from(1),
            Self::Ours => ExitCode::from(2),
            // As shells say it of a program that Ctrl-C ended.
            Self::Interrupted => ExitCode::from(130),
        }
    }
}

/// Why a command did not do what was asked.
#[derive(Debug)]
pub(crate) struct Failure {
    /// What is wrong: lower case, no period. Empty when all is said already.
    pub(crate) message: String,
    /// What to do next, where that is known.
    pub(crate) hint: Option<String>,
    fault: Fault,
}

impl Failure {
    /// The user's fault.
    pub(crate) fn yours(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, fault: Fault::Yours }
    }

    /// Our fault.
    pub(crate) fn ours(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None, fault: Fault::Ours }
    }

    /// An error with its causes, by somebody's fault.
    pub(crate) fn of(fault: Fault, error: &(dyn Error + 'static)) -> Self {
        Self { message: ErrorChain(error).to_string(), hint: None, fault }
    }

    /// Nobody reads the output any more, which is fine: nothing is said.
    pub(crate) fn nobody_reads() -> Self {
        Self::yours("")
    }

    /// Ctrl-C.
    pub(crate) fn interrupted() -> Self {
        Self { message: "interrupted".to_owned(), hint: None, fault: Fault::Interrupted }
    }

    /// Adds what to do next.
    #[must_use]
    pub(crate) fn with_hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// The exit code that tells whose fault it is.
    pub(crate) fn exit_code(&self) -> ExitCode {
        self.fault.exit_code()
    }

    /// A file or folder of the user that cannot be used.
    pub(crate) fn file(action: &str, path: &std::path::Path, error: &io::Error) -> Self {
        Self::yours(format!("failed to {action} `{}`: {error}", path.display()))
    }
}

impl From<ConfigError> for Failure {
    fn from(error: ConfigError) -> Self {
        let hint = error.hint();
        Self { hint, ..Self::of(Fault::Yours, &error) }
    }
}

impl From<StartError> for Failure {
    fn from(error: StartError) -> Self {
        let fault = if error.is_the_users() { Fault::Yours } else { Fault::Ours };
        let hint = error.hint().map(str::to_owned);
        Self { hint, ..Self::of(fault, &error) }
    }
}

impl From<TablesError> for Failure {
    fn from(error: TablesError) -> Self {
        let fault = if error.is_the_users() { Fault::Yours } else { Fault::Ours };
        let hint = error.hint().map(str::to_owned);
        Self { hint, ..Self::of(fault, &error) }
    }
}

impl From<BuildError> for Failure {
    fn from(error: BuildError) -> Self {
        let hint = error.hint().map(str::to_owned);
        Self { hint, ..Self::of(Fault::Yours, &error) }
    }
}
