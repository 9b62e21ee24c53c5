//! Deleting the tables with all they hold.

use super::settings::unavailable;
use super::shape::BOTH;
use super::store_item::is_not_found;
use super::{TableError, Tell, table};
use crate::client::{DynamoClient, Failed};

/// What was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Deleted {
    /// The tables that were deleted now.
    pub tables: Vec<String>,
}

/// Deletes both tables and waits until they are gone; one that is not there is passed over. Deletion
/// protection is taken off first. Does not ask.
///
/// # Errors
/// [`TableError::OtherShape`], and nothing was deleted; [`TableError::NotReady`] or
/// [`TableError::Unavailable`]: doing it again goes on where it ended.
pub async fn delete(client: &DynamoClient, tell: Tell<'_>) -> Result<Deleted, TableError> {
    let prefix = client.options().prefix.as_str();
    let mut found = Vec::new();
    for shape in BOTH {
        let name = shape.name(prefix);
        if let Some(table) = table::ask(client, &name).await? {
            table::check_shape(&table, &shape)?;
            found.push((name, table));
        }
    }
    let mut deleted = Deleted::default();
    for (name, table) in found {
        if table.deletion_protection_enabled() == Some(true) {
            tell(&format!("taking the deletion protection off `{name}`"));
            unprotect(client, &name).await?;
        }
        if table::status(&table) != "DELETING" {
            // A table that is made or changed cannot be deleted.
            table::wait_until_active(client, &name, tell).await?;
            tell(&format!("deleting `{name}`"));
            delete_table(client, &name).await?;
        }
        table::wait_until_gone(client, &name, tell).await?;
        deleted.tables.push(name);
    }
    Ok(deleted)
}

async fn unprotect(client: &DynamoClient, table: &str) -> Result<(), TableError> {
    let request = client.sdk().update_table().table_name(table).deletion_protection_enabled(false);
    let sent = client.call("take the deletion protection off", move || request.clone().send());
    sent.await.map(drop).map_err(unavailable)
}

async fn delete_table(client: &DynamoClient, table: &str) -> Result<(), TableError> {
    let request = client.sdk().delete_table().table_name(table);
    let sent = client.call("delete a table", move || {
        let request = request.clone();
        async move {
            match request.send().await {
                Ok(_) => Ok(()),
                // Another one was first, or this one, in a request whose answer was lost.
                Err(error) if is_not_found(&error) => Ok(()),
                Err(error) => Err(error),
            }
        }
    });
    match sent.await {
        Ok(()) => Ok(()),
        // It is being deleted already.
        Err(Failed::Refused { error, .. }) if error.is_resource_in_use_exception() => Ok(()),
        Err(failed) => Err(unavailable(failed)),
    }
}
