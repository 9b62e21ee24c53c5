//! The two tables: made, described, checked at start, deleted.
//!
//! ```text
//! shape.rs        keys, their types, the TTL attribute          requests.rs   what making them sends
//! store_item.rs   the item that names the store                 table.rs      one table, described
//! create.rs       describe.rs       delete.rs                   settings.rs   TTL and recovery
//! ```
//! `docs/deploy/terraform` makes the same tables; a test compares.

mod create;
mod delete;
mod describe;
mod requests;
mod settings;
mod shape;
mod store_item;
mod table;

use std::time::Duration;

use annals_core::error::DriverError;

pub use create::{CreateOptions, Created, create};
pub use delete::{Deleted, delete};
pub use describe::{StoreDescription, TableDescription, check, describe};
pub use requests::{PlannedRequest, requests_of_create, requests_of_delete};
pub use shape::{EVENTS, PARTITION_KEY, SORT_KEY, STATE, TTL_ATTRIBUTE, TableShape};
pub use store_item::{
    LAYOUT_VERSION, PARTITIONS_COUNT, PARTITIONS_COUNT_MAX, StoreItem, load_store_item,
};

use crate::client::{DynamoClient, DynamoOptions};

/// Longest wait for a table to be made, changed or deleted. It takes seconds.
pub const TABLE_WAIT_MAX: Duration = Duration::from_secs(600);

/// How often a table that is made, changed or deleted is looked at.
const TABLE_LOOK_WAIT: Duration = Duration::from_millis(500);

/// Hears of each step of an operation on tables, in words.
pub type Tell<'a> = &'a mut (dyn FnMut(&str) + Send);

/// Why the tables cannot be used, made or deleted.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TableError {
    /// A table is not there.
    #[error("there is no table `{table}`: make it with `{create}`")]
    Missing {
        /// The table.
        table: String,
        /// The command that makes it.
        create: String,
    },
    /// The tables are there, but what is in them was not begun.
    #[error(
        "the table `{table}` says nothing about a store, its creation was interrupted: complete it \
         with `{create}`"
    )]
    Unfinished {
        /// The table.
        table: String,
        /// The command that completes it.
        create: String,
    },
    /// There is a table of this name that is another one.
    #[error("the table `{table}` is not one of Annals: {difference}")]
    OtherShape {
        /// The table.
        table: String,
        /// What it has, and what it should have.
        difference: String,
    },
    /// A table is being made, changed or deleted.
    #[error("the table `{table}` cannot be used now, its status is {status}")]
    NotActive {
        /// The table.
        table: String,
        /// Its status, as DynamoDB calls it.
        status: String,
    },
    /// A table did not become what it was to become.
    #[error(
        "the table `{table}` was not ready after {} s, its status is {status}",
        TABLE_WAIT_MAX.as_secs()
    )]
    NotReady {
        /// The table.
        table: String,
        /// Its last status, as DynamoDB calls it.
        status: String,
    },
    /// The number of partitions cannot be changed.
    #[error("the store has {}, which cannot be changed to {wanted}", partitions_text(*found))]
    OtherPartitions {
        /// How many it has.
        found: u32,
        /// How many were asked for.
        wanted: u32,
    },
    /// Too many partitions were asked for.
    #[error("{wanted} partitions are too many, at most {PARTITIONS_COUNT_MAX} are allowed")]
    TooManyPartitions {
        /// How many were asked for.
        wanted: u32,
    },
    /// The items are those of another version.
    #[error(
        "the items of table `{table}` have layout {found}, this version knows layout \
         {LAYOUT_VERSION}"
    )]
    OtherLayout {
        /// The table.
        table: String,
        /// The layout of its items.
        found: u32,
    },
    /// What the store says about itself cannot be read.
    #[error("the tables are damaged")]
    Damaged(#[source] DriverError),
    /// The service did not do it.
    #[error("DynamoDB did not do what it was asked to")]
    Unavailable(#[source] DriverError),
}

/// `1 partition`, `2 partitions`.
fn partitions_text(count: u32) -> String {
    format!("{count} partition{}", if count == 1 { "" } else { "s" })
}

/// The command that makes the tables, as a shell reads it: whatever region and endpoint the settings
/// name, wherever it is run.
#[must_use]
pub fn create_command(options: &DynamoOptions) -> String {
    let variables = [
        ("ANNALS_DYNAMODB_REGION", &options.region),
        ("ANNALS_DYNAMODB_ENDPOINT", &options.endpoint),
    ];
    let set = variables.into_iter().filter_map(|(name, value)| {
        let value = value.as_ref()?;
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "-_.:/@".contains(c);
        if value.chars().all(is_plain) {
            return Some(format!("{name}={value} "));
        }
        Some(format!("{name}='{}' ", value.replace('\'', r"'\''")))
    });
    let set: String = set.collect();
    format!("{set}annals store create --driver dynamodb --prefix {}", options.prefix)
}

impl TableError {
    fn missing(client: &DynamoClient, table: &str) -> Self {
        Self::Missing { table: table.to_owned(), create: create_command(client.options()) }
    }

    /// Whether whoever asked can put it right by asking otherwise, or for the tables first.
    #[must_use]
    pub const fn is_the_users(&self) -> bool {
        match self {
            Self::Missing { .. }
            | Self::Unfinished { .. }
            | Self::OtherShape { .. }
            | Self::OtherPartitions { .. }
            | Self::TooManyPartitions { .. }
            | Self::OtherLayout { .. } => true,
            Self::NotActive { .. }
            | Self::NotReady { .. }
            | Self::Damaged(_)
            | Self::Unavailable(_) => false,
        }
    }
}
