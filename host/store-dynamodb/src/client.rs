//! One connection to DynamoDB, shared by all stores: deadlines, retries, and what a failure means.
//!
//! The SDK's own retries are off, because it cannot tell "nothing was written" from "nobody knows".
//! Every request runs on the runtime the client was made on, so that whoever awaits it may be on
//! another executor, or on none.

mod attempt;
mod failure;
mod meter;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use annals_core::error::DriverError;
use annals_core::id::IdGenerator;
use aws_config::BehaviorVersion;
use aws_config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::{Credentials, ProvideCredentials, Region, SharedHttpClient};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

pub(crate) use attempt::{Backoff, Repeat};
pub(crate) use failure::{Failed, reads_as_text};
pub(crate) use meter::Meter;
pub use meter::Units;

/// Longest prefix of table names, in bytes. DynamoDB allows 255 for a table's whole name.
pub const PREFIX_BYTES_MAX: usize = 200;

/// How to reach DynamoDB, and how long to try.
#[derive(Debug, Clone)]
pub struct DynamoOptions {
    /// The tables are `<prefix>-events` and `<prefix>-state`: 1 to [`PREFIX_BYTES_MAX`] letters,
    /// digits, `-`, `_` and `.`.
    pub prefix: String,
    /// The namespace whose data is served.
    pub namespace: String,
    /// The region. `None`: what the SDK's usual chain says.
    pub region: Option<String>,
    /// Another endpoint than AWS', e.g. of an emulator. `None`: what the SDK's usual chain says.
    pub endpoint: Option<String>,
    /// Longest wait for the answer to one request.
    pub request_wait_max: Duration,
    /// Longest time an operation is tried again, all its requests together.
    pub operation_wait_max: Duration,
    /// Most operations at once; further ones wait for their turn.
    pub operations_in_flight_max: usize,
    /// First wait before a request is tried again. It doubles up to `retry_wait_max`; a random part
    /// of it is waited.
    pub retry_wait: Duration,
    /// Longest wait before a request is tried again.
    pub retry_wait_max: Duration,
    /// Who asks. `None`: what the SDK's usual chain finds.
    pub credentials: Option<Credentials>,
    /// Sends the requests. `None`: over TLS with the certificates of the system.
    pub http_client: Option<SharedHttpClient>,
}

impl DynamoOptions {
    /// The defaults, for tables that begin with `prefix`.
    #[must_use]
    pub fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            namespace: "default".to_owned(),
            region: None,
            endpoint: None,
            request_wait_max: Duration::from_secs(3),
            operation_wait_max: Duration::from_secs(15),
            operations_in_flight_max: 128,
            retry_wait: Duration::from_millis(20),
            retry_wait_max: Duration::from_secs(1),
            credentials: None,
            http_client: None,
        }
    }
}

/// Why there is no client.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The prefix cannot be part of a table's name.
    #[error(
        "`{prefix}` cannot begin the names of tables: use 1 to {PREFIX_BYTES_MAX} letters, digits, \
         `-`, `_` and `.`"
    )]
    Prefix {
        /// The prefix as it was given.
        prefix: String,
    },
    /// Nothing says which region.
    #[error(
        "no region is known: set `dynamodb.region` in annals.toml, `AWS_REGION`, or a region in the \
         AWS profile"
    )]
    NoRegion,
    /// Nothing says who asks.
    #[error(
        "no AWS credentials were found: set `AWS_PROFILE`, or `AWS_ACCESS_KEY_ID` and \
         `AWS_SECRET_ACCESS_KEY` (for an emulator any will do)"
    )]
    NoCredentials(#[source] DriverError),
}

/// Sends requests to DynamoDB. Cloning is cheap.
#[derive(Clone)]
pub struct DynamoClient(Arc<Inner>);

struct Inner {
    sdk: Client,
    /// Where the SDK finds credentials, where that is known.
    credentials: Option<Arc<dyn ProvideCredentials>>,
    runtime: Handle,
    options: DynamoOptions,
    ids: Arc<dyn IdGenerator>,
    meter: Meter,
    turns: Arc<Semaphore>,
    events_table: String,
    state_table: String,
    region: String,
    endpoint: Option<String>,
}

impl DynamoClient {
    /// Finds credentials, region and endpoint as the AWS SDK usually does, and sends nothing yet.
    ///
    /// Must be called on the tokio runtime that is to run the requests.
    ///
    /// # Errors
    /// Each variant of [`ConnectError`].
    pub async fn connect(
        options: DynamoOptions,
        ids: Arc<dyn IdGenerator>,
    ) -> Result<Self, ConnectError> {
        let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let prefix = options.prefix.as_str();
        if !(1..=PREFIX_BYTES_MAX).contains(&prefix.len()) || !prefix.bytes().all(is_named) {
            return Err(ConnectError::Prefix { prefix: prefix.chars().take(64).collect() });
        }
        let http = options.http_client.clone().unwrap_or_else(https);
        let timeouts = TimeoutConfig::builder()
            .operation_attempt_timeout(options.request_wait_max)
            .connect_timeout(options.request_wait_max)
            .build();
        let mut loader = aws_config::defaults(BehaviorVersion::latest())
            .http_client(http)
            .retry_config(RetryConfig::disabled())
            .timeout_config(timeouts);
        if let Some(region) = &options.region {
            loader = loader.region(Region::new(region.clone()));
        }
        if let Some(endpoint) = &options.endpoint {
            loader = loader.endpoint_url(endpoint);
        }
        if let Some(credentials) = &options.credentials {
            loader = loader.credentials_provider(credentials.clone());
        }
        let config = loader.load().await;
        let region = config.region().ok_or(ConnectError::NoRegion)?.to_string();
        Ok(Self(Arc::new(Inner {
            sdk: Client::new(&config),
            credentials: config.credentials_provider().map(|it| Arc::new(it) as _),
            runtime: Handle::current(),
            events_table: format!("{prefix}-events"),
            state_table: format!("{prefix}-state"),
            region,
            endpoint: config.endpoint_url().map(str::to_owned),
            turns: Arc::new(Semaphore::new(options.operations_in_flight_max.max(1))),
            options,
            ids,
            meter: Meter::default(),
        })))
    }

    /// Looks whether there are credentials at all, so that a host without any says so at once, and not
    /// after all repeats of its first request.
    ///
    /// # Errors
    /// [`ConnectError::NoCredentials`].
    pub async fn check_credentials(&self) -> Result<(), ConnectError> {
        let Some(provider) = self.0.credentials.clone() else { return Ok(()) };
        let asked =
            self.0.runtime.spawn(async move { provider.provide_credentials().await.map(drop) });
        match asked.await {
            Ok(Err(error)) => {
                // The SDK writes a line for each place it looked at.
                let places = reads_as_text(&error).replace('\n', ";");
                Err(ConnectError::NoCredentials(DriverError::new(&places)))
            }
            // An error means that the runtime ends.
            Ok(Ok(())) | Err(_) => Ok(()),
        }
    }

    /// The capacity units of all requests so far.
    #[must_use]
    pub fn units(&self) -> Units {
        self.0.meter.units()
    }

    /// How it was made.
    #[must_use]
    pub fn options(&self) -> &DynamoOptions {
        &self.0.options
    }

    /// Name of the table of events.
    #[must_use]
    pub fn events_table(&self) -> &str {
        &self.0.events_table
    }

    /// Name of the table of state.
    #[must_use]
    pub fn state_table(&self) -> &str {
        &self.0.state_table
    }

    /// The region, wherever it was found.
    #[must_use]
    pub fn region(&self) -> &str {
        &self.0.region
    }

    /// The endpoint, wherever it was found. `None`: that of AWS in the region.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.0.endpoint.as_deref()
    }

    /// Where DynamoDB is asked, in words that follow a name: `at http://…` or `in region …`.
    #[must_use]
    pub fn place(&self) -> String {
        match self.endpoint() {
            Some(endpoint) => format!("at {endpoint}"),
            None => format!("in region {}", self.region()),
        }
    }

    /// The SDK's client, to build requests with.
    pub(crate) fn sdk(&self) -> &Client {
        &self.0.sdk
    }

    /// Counts what requests cost.
    pub(crate) fn meter(&self) -> &Meter {
        &self.0.meter
    }

    /// Makes ids, and the randomness of waits.
    pub(crate) fn ids(&self) -> &dyn IdGenerator {
        &*self.0.ids
    }

    /// The runtime that runs requests.
    pub(crate) fn runtime(&self) -> &Handle {
        &self.0.runtime
    }
}

impl fmt::Debug for DynamoClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DynamoClient")
            .field("prefix", &self.0.options.prefix)
            .finish_non_exhaustive()
    }
}

/// HTTP over TLS by rustls and ring, trusting the certificates of the system.
fn https() -> SharedHttpClient {
    use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}
