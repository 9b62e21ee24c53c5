//! The domain says no.

use std::fmt;

use serde::Serialize;
use serde_json::Value;

/// Why an aggregate does not accept a command: a code for programs, a message for people and,
/// where it helps, detail for programs. It is recorded and given to the caller; it is not an error.
///
/// ```
/// use annals_sdk::{Rejection, json};
///
/// let rejection = Rejection::new("insufficient-funds", "the balance is 10, asked were 100")
///     .with_detail(json!({ "balance_cents": 10 }));
///
/// assert_eq!(rejection.code(), "insufficient-funds");
/// assert_eq!(rejection.to_string(), "insufficient-funds: the balance is 10, asked were 100");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejection {
    code: String,
    message: String,
    detail: Option<Value>,
}

impl Rejection {
    /// A rejection with a stable kebab-case `code` and a sentence.
    #[must_use]
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { code: code.into(), message: message.into(), detail: None }
    }

    /// Adds what a caller can use more than a sentence, as JSON.
    ///
    /// # Panics
    ///
    /// When `detail` is something JSON cannot say, such as a map whose keys are not strings.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Serialize) -> Self {
        let detail = serde_json::to_value(detail);
        self.detail = Some(detail.unwrap_or_else(|error| crate::trap("rejection detail", &error)));
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &str {
        &self.code
    }

    /// The sentence.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The detail, when there is one.
    #[must_use]
    pub fn detail(&self) -> Option<&Value> {
        self.detail.as_ref()
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}: {}", self.code, self.message)
    }
}

impl std::error::Error for Rejection {}

/// Rejects the command unless a condition holds.
///
/// Takes the condition, the code and a message like [`format!`] does, and returns from the
/// surrounding function.
///
/// ```
/// use annals_sdk::{Rejection, ensure};
///
/// fn withdraw(balance: i64, cents: i64) -> Result<i64, Rejection> {
///     ensure!(cents <= balance, "insufficient-funds", "the balance is {balance}");
///     Ok(balance - cents)
/// }
///
/// assert_eq!(withdraw(10, 4), Ok(6));
/// assert_eq!(withdraw(10, 11).unwrap_err().code(), "insufficient-funds");
/// ```
#[macro_export]
macro_rules! ensure {
    ($condition:expr, $code:expr, $($message:tt)+) => {
        if !$condition {
            return ::core::result::Result::Err($crate::Rejection::new(
                $code,
                ::std::format!($($message)+),
            ));
        }
    };
}
