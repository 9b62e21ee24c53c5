//! What an operator does with the tables of a store on DynamoDB: the driver's tools, with the settings,
//! the clock and the ids of this process.
//!
//! `annals store create`, `describe` and `delete` are these.

use std::num::NonZeroU32;
use std::sync::Arc;

use annals_core::time::Clock as _;
use annals_store_dynamodb::tables::{self, CreateOptions};
use annals_store_dynamodb::{ConnectError, DynamoClient};

pub use annals_store_dynamodb::tables::{
    Created, Deleted, PARTITIONS_COUNT, PARTITIONS_COUNT_MAX, PlannedRequest, StoreDescription,
    StoreItem, TableDescription, TableError,
};

use crate::config::Dynamodb;
use crate::{RandomIds, SystemClock, options};

/// Why a tool did not do what it was asked to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TablesError {
    /// There is no way to DynamoDB.
    #[error(transparent)]
    Connect(#[from] ConnectError),
    /// DynamoDB did not do it, or the tables are not such that it can be done.
    #[error(transparent)]
    Table(#[from] TableError),
}

impl TablesError {
    /// Whether whoever asked can put it right.
    #[must_use]
    pub const fn is_the_users(&self) -> bool {
        match self {
            Self::Connect(_) => true,
            Self::Table(error) => error.is_the_users(),
        }
    }

    /// What to do about it, where that is known and not said by the error itself.
    #[must_use]
    pub const fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Connect(_) => None,
            Self::Table(error) => match error {
                TableError::OtherShape { .. } => {
                    Some("nothing was changed: choose another prefix with `--prefix`")
                }
                TableError::OtherPartitions { .. } => Some(
                    "leave `--partitions` away, or export the store and import it into another one",
                ),
                TableError::OtherLayout { .. } => Some("use the version of Annals that made it"),
                TableError::NotActive { .. } | TableError::NotReady { .. } => {
                    Some("run the same command again in a minute: it goes on where it ended")
                }
                TableError::Unavailable(_) => Some(
                    "docs/guide/dynamodb.md says how credentials, region and endpoint are found",
                ),
                _ => None,
            },
        }
    }
}

/// The tables that the settings name, which may be there or not.
#[derive(Debug)]
pub struct Tables(DynamoClient);

impl Tables {
    /// Finds credentials, region and endpoint, and asks nothing of DynamoDB yet. Must be called on
    /// the tokio runtime that is to run the requests.
    ///
    /// # Errors
    /// [`TablesError::Connect`].
    pub async fn connect(settings: &Dynamodb) -> Result<Self, TablesError> {
        let options = options::dynamodb(settings);
        Ok(Self(DynamoClient::connect(options, Arc::new(RandomIds)).await?))
    }

    /// Makes what is missing of the tables and the store in them. `tell` hears of each step.
    ///
    /// # Errors
    /// [`TablesError`].
    pub async fn create(
        &self,
        partitions_count: Option<NonZeroU32>,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Created, TablesError> {
        self.0.check_credentials().await?;
        Ok(tables::create(&self.0, of(partitions_count), tell).await?)
    }

    /// The region, wherever it was found.
    #[must_use]
    pub fn region(&self) -> &str {
        self.0.region()
    }

    /// The endpoint, wherever it was found. `None`: that of AWS in the region.
    #[must_use]
    pub fn endpoint(&self) -> Option<&str> {
        self.0.endpoint()
    }

    /// What there is.
    ///
    /// # Errors
    /// [`TablesError`].
    pub async fn describe(&self) -> Result<StoreDescription, TablesError> {
        self.0.check_credentials().await?;
        Ok(tables::describe(&self.0).await?)
    }

    /// Whether a daemon can be run on them, and the store that is in them.
    ///
    /// # Errors
    /// [`TablesError`].
    pub async fn check(&self) -> Result<StoreItem, TablesError> {
        self.0.check_credentials().await?;
        Ok(tables::check(&self.0).await?)
    }

    /// Deletes both tables with all they hold. Does not ask. `tell` hears of each step.
    ///
    /// # Errors
    /// [`TablesError`].
    pub async fn delete(
        &self,
        tell: &mut (dyn FnMut(&str) + Send),
    ) -> Result<Deleted, TablesError> {
        self.0.check_credentials().await?;
        Ok(tables::delete(&self.0, tell).await?)
    }
}

/// What [`Tables::create`] would send if nothing is there. It is made up without DynamoDB, so that
/// neither region nor credentials are needed.
///
/// # Errors
/// [`TablesError::Table`].
pub fn requests_of_create(
    settings: &Dynamodb,
    partitions_count: Option<NonZeroU32>,
) -> Result<Vec<PlannedRequest>, TablesError> {
    let prefix = settings.prefix.as_str();
    Ok(tables::requests_of_create(prefix, &RandomIds, of(partitions_count))?)
}

/// What [`Tables::delete`] would send if both tables are there, made up without DynamoDB.
#[must_use]
pub fn requests_of_delete(settings: &Dynamodb) -> Vec<PlannedRequest> {
    tables::requests_of_delete(settings.prefix.as_str())
}

/// The command that makes the tables of these settings, as a shell reads it.
#[must_use]
pub fn create_command(settings: &Dynamodb) -> String {
    tables::create_command(&options::dynamodb(settings))
}

fn of(partitions_count: Option<NonZeroU32>) -> CreateOptions {
    CreateOptions { partitions_count, now: SystemClock.now() }
}
