//! What the failure of a request means: nothing was done, nobody knows, or the service refused.

use std::error::Error;
use std::io;

use annals_core::error::{DriverError, ErrorChain};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

/// Why a request, with all its repetitions, did not succeed.
#[derive(Debug)]
pub(crate) enum Failed<E> {
    /// The service refused the last attempt, for a reason the caller knows how to read.
    Refused {
        /// The reason.
        error: Box<E>,
        /// Whether an earlier attempt may have been carried out.
        may_be_done: bool,
    },
    /// Nothing was done.
    NotDone(DriverError),
    /// Nobody knows whether it was done.
    Unknown(DriverError),
}

impl<E> Failed<E> {
    /// The failure of a request whose refusals have no meaning to the caller.
    pub(crate) fn into_driver_error(self) -> DriverError
    where
        E: Error + Send + Sync + 'static,
    {
        match self {
            Self::Refused { error, .. } => DriverError::with_source("DynamoDB refused", *error),
            Self::NotDone(error) | Self::Unknown(error) => error,
        }
    }
}

/// A request, in words for people.
#[derive(Debug)]
pub(super) struct Request {
    /// Completes "DynamoDB did not …".
    pub(super) what: &'static str,
    /// Completes "no answer from DynamoDB …".
    pub(super) place: String,
}

impl Request {
    /// Nobody answered, for a reason that the SDK knows.
    fn unanswered(&self, error: &(dyn Error + 'static)) -> DriverError {
        let cause = format!("no answer from DynamoDB {}: {}", self.place, reads_as_text(error));
        DriverError::with_source(&self.text(), Answer(cause))
    }

    fn text(&self) -> String {
        format!("DynamoDB did not {}", self.what)
    }
}

/// What one attempt came to.
pub(super) enum Attempt<T, E> {
    Done(T),
    Refused(Box<E>),
    /// Nothing was done, and trying again may help.
    TryAgain(DriverError),
    /// Nothing was done, and trying again will not help.
    Hopeless(DriverError),
    /// Nobody knows, and trying again may tell.
    Unknown(DriverError),
}

/// Codes by which the service says that it did nothing because there is too much to do.
const THROTTLED: [&str; 6] = [
    "ProvisionedThroughputExceededException",
    "ThrottlingException",
    "Throttling",
    "RequestLimitExceeded",
    "LimitExceededException",
    "TransactionConflictException",
];

/// Codes by which the service says that it did nothing and will not, whatever is repeated.
const HOPELESS: [&str; 11] = [
    "ResourceNotFoundException",
    "AccessDeniedException",
    "UnrecognizedClientException",
    "InvalidSignatureException",
    "IncompleteSignatureException",
    "MissingAuthenticationTokenException",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "ValidationException",
    "SerializationException",
    "IdempotentParameterMismatchException",
];

/// Codes by which the service says that it does not know.
const CONFUSED: [&str; 4] = [
    "InternalServerError",
    "InternalFailure",
    "ServiceUnavailable",
    "TransactionInProgressException",
];

/// Reads the result of one attempt.
pub(super) fn read<T, E>(
    request: &Request,
    result: Result<T, SdkError<E, HttpResponse>>,
) -> Attempt<T, E>
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    let error = match result {
        Ok(done) => return Attempt::Done(done),
        Err(error) => error,
    };
    let text = request.text();
    match error {
        SdkError::ServiceError(failure) => {
            let status = failure.raw().status().as_u16();
            let code = failure.err().code().unwrap_or_default().to_owned();
            let error = failure.into_err();
            if THROTTLED.contains(&code.as_str()) {
                return Attempt::TryAgain(DriverError::with_source(&text, error));
            }
            if HOPELESS.contains(&code.as_str()) {
                let hint = hint(&code);
                return Attempt::Hopeless(DriverError::with_source(
                    &format!("{text}{hint}"),
                    Answer(format!("{code}: {}", error.message().unwrap_or("no explanation"))),
                ));
            }
            if status >= 500 || CONFUSED.contains(&code.as_str()) {
                return Attempt::Unknown(DriverError::with_source(&text, error));
            }
            Attempt::Refused(Box::new(error))
        }
        SdkError::ConstructionFailure(_) => Attempt::Hopeless(cause(&text, &error)),
        // The service, or something in between, answered what cannot be read.
        SdkError::ResponseError(_) => Attempt::Unknown(cause(&text, &error)),
        SdkError::DispatchFailure(_) if was_never_sent(&error) => {
            Attempt::TryAgain(request.unanswered(&error))
        }
        _ => Attempt::Unknown(request.unanswered(&error)),
    }
}

/// What to do about a refusal, for people.
fn hint(code: &str) -> &'static str {
    match code {
        "ResourceNotFoundException" => {
            ": a table is missing, `annals doctor` with the same settings says what to do"
        }
        "AccessDeniedException" => {
            ": the credentials lack a permission, see docs/guide/dynamodb.md"
        }
        "UnrecognizedClientException"
        | "InvalidSignatureException"
        | "MissingAuthenticationTokenException"
        | "ExpiredTokenException"
        | "InvalidClientTokenId" => ": the AWS credentials are not valid",
        _ => "",
    }
}

/// Whether nothing can have been sent, because there was nobody at the address.
fn was_never_sent(error: &(dyn Error + 'static)) -> bool {
    let mut source = Some(error);
    while let Some(error) = source {
        if let Some(io) = error.downcast_ref::<io::Error>()
            && io.kind() == io::ErrorKind::ConnectionRefused
        {
            return true;
        }
        source = error.source();
    }
    false
}

/// What the service answered, or why it did not, in words.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Answer(String);

/// The whole chain as text: the SDK's errors are not `Clone` and carry the raw answer.
fn cause(text: &str, error: &(dyn Error + 'static)) -> DriverError {
    DriverError::with_source(text, Answer(reads_as_text(error)))
}

/// An error with all its causes, as text.
pub(crate) fn reads_as_text(error: &(dyn Error + 'static)) -> String {
    ErrorChain(error).to_string()
}
