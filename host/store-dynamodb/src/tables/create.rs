//! Making the tables and the store in them. It may be done again, and by two at once.

use std::num::NonZeroU32;

use annals_core::id::{IdGenerator, StoreId};
use annals_core::time::Timestamp;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ScalarAttributeType,
};

use super::settings::{self, unavailable, unbuilt};
use super::shape::{BOTH, PARTITION_KEY, SORT_KEY, TableShape};
use super::store_item::{LAYOUT_VERSION, PARTITIONS_COUNT, PARTITIONS_COUNT_MAX, StoreItem};
use super::{TableError, Tell, store_item, table};
use crate::client::{DynamoClient, Failed};

/// What to make.
#[derive(Debug, Clone, Copy)]
pub struct CreateOptions {
    /// How many partitions the feed has, for ever: 1 to [`PARTITIONS_COUNT_MAX`]. `None`: as many
    /// as the store has, or [`PARTITIONS_COUNT`] when there is none.
    pub partitions_count: Option<NonZeroU32>,
    /// The time now, kept for people.
    pub now: Timestamp,
}

impl CreateOptions {
    /// Refuses what is over a limit.
    pub(super) fn check(&self) -> Result<(), TableError> {
        match self.partitions_count.map(NonZeroU32::get) {
            Some(wanted) if wanted > PARTITIONS_COUNT_MAX => {
                Err(TableError::TooManyPartitions { wanted })
            }
            _ => Ok(()),
        }
    }
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// The store, made now or before.
    pub store: StoreItem,
    /// The tables that were made now.
    pub made: Vec<String>,
    /// What was to be set and was not, in words.
    pub warnings: Vec<String>,
}

/// Makes what is missing of the tables and the store, and waits until it can be used. What is set on
/// the tables of a store that is there already is left as it is.
///
/// # Errors
/// [`TableError`]; doing it again goes on where it ended.
pub async fn create(
    client: &DynamoClient,
    options: CreateOptions,
    tell: Tell<'_>,
) -> Result<Created, TableError> {
    options.check()?;
    let wanted = options.partitions_count.map(NonZeroU32::get);
    let prefix = client.options().prefix.as_str();
    let mut created = Vec::new();
    // Both are begun before either is waited for.
    for shape in BOTH {
        let name = shape.name(prefix);
        match table::ask(client, &name).await? {
            Some(found) => {
                table::check_shape(&found, &shape)?;
                let status = table::status(&found);
                if status == "DELETING" {
                    return Err(TableError::NotActive { table: name, status });
                }
            }
            None => {
                tell(&format!("creating `{name}`"));
                create_table(client, &shape, &name).await?;
                created.push(name);
            }
        }
    }
    for shape in BOTH {
        let name = shape.name(prefix);
        table::wait_until_active(client, &name, tell).await?;
    }
    let found = store_item::read(client).await?;
    if let Some(store) = found {
        check_store(client, store, wanted)?;
    }
    let mut warnings = Vec::new();
    for shape in BOTH {
        let name = shape.name(prefix);
        if found.is_some() && !created.contains(&name) {
            continue;
        }
        tell(&format!("setting time to live and recovery of `{name}`"));
        warnings.extend(settings::set_ttl(client, &name).await?);
        warnings.extend(settings::set_recovery(client, &name).await?);
        table::wait_until_active(client, &name, tell).await?;
    }
    if let Some(store) = found {
        return Ok(Created { store, made: created, warnings });
    }
    // Last, so that a store that is there has all of it.
    store_item::write(client, new_store(client.ids(), options), options.now).await?;
    let store = super::load_store_item(client).await?;
    check_store(client, store, wanted)?;
    Ok(Created { store, made: created, warnings })
}

/// A store that is to be made.
pub(super) fn new_store(ids: &dyn IdGenerator, options: CreateOptions) -> StoreItem {
    StoreItem {
        id: StoreId::new(ids.next_uuid()),
        partitions_count: options.partitions_count.unwrap_or(PARTITIONS_COUNT),
        layout_version: LAYOUT_VERSION,
    }
}

fn check_store(
    client: &DynamoClient,
    store: StoreItem,
    wanted: Option<u32>,
) -> Result<(), TableError> {
    if store.layout_version != LAYOUT_VERSION {
        let table = client.events_table().to_owned();
        return Err(TableError::OtherLayout { table, found: store.layout_version });
    }
    let found = store.partitions_count.get();
    match wanted {
        Some(wanted) if wanted != found => Err(TableError::OtherPartitions { found, wanted }),
        _ => Ok(()),
    }
}

async fn create_table(
    client: &DynamoClient,
    shape: &TableShape,
    name: &str,
) -> Result<(), TableError> {
    let attribute = |name: &str, of: &ScalarAttributeType| {
        AttributeDefinition::builder().attribute_name(name).attribute_type(of.clone()).build()
    };
    let key =
        |name: &str, of| KeySchemaElement::builder().attribute_name(name).key_type(of).build();
    let request = client
        .sdk()
        .create_table()
        .table_name(name)
        .attribute_definitions(
            attribute(PARTITION_KEY, &shape.partition_key_type).map_err(unbuilt)?,
        )
        .attribute_definitions(attribute(SORT_KEY, &shape.sort_key_type).map_err(unbuilt)?)
        .key_schema(key(PARTITION_KEY, KeyType::Hash).map_err(unbuilt)?)
        .key_schema(key(SORT_KEY, KeyType::Range).map_err(unbuilt)?)
        .billing_mode(BillingMode::PayPerRequest)
        .deletion_protection_enabled(true);
    match client.call("create a table", move || request.clone().send()).await {
        Ok(_) => Ok(()),
        // Another creator was first, or this one, in a request whose answer was lost.
        Err(Failed::Refused { error, .. }) if error.is_resource_in_use_exception() => Ok(()),
        Err(failed) => Err(unavailable(failed)),
    }
}
