//! What drivers fail with, and how a chain of errors is printed.

use std::error::Error;
use std::fmt;
use std::sync::Arc;

/// What went wrong inside a driver: for logs and operators, never for clients.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct DriverError {
    message: Arc<str>,
    #[source]
    source: Option<Arc<dyn Error + Send + Sync>>,
}

impl DriverError {
    /// A failure that is told in words.
    #[must_use]
    pub fn new(message: &str) -> Self {
        Self { message: Arc::from(message), source: None }
    }

    /// A failure of something below, with what the driver was doing.
    #[must_use]
    pub fn with_source(message: &str, source: impl Error + Send + Sync + 'static) -> Self {
        Self { message: Arc::from(message), source: Some(Arc::new(source)) }
    }
}

/// Prints an error with all its causes, separated by `: `.
#[derive(Debug, Clone, Copy)]
pub struct ErrorChain<'a>(pub &'a (dyn Error + 'a));

impl fmt::Display for ErrorChain<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut source = self.0.source();
        while let Some(error) = source {
            write!(f, ": {error}")?;
            source = error.source();
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_prints_every_cause_once() {
        // Guards log lines: the cause is what an operator needs.
        let error = DriverError::with_source("failed to read", DriverError::new("no such file"));
        assert_eq!(ErrorChain(&error).to_string(), "failed to read: no such file");
    }
}
