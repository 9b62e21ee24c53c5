//! One table: asked for, waited for, compared with what it must be.

use aws_sdk_dynamodb::types::{self as aws, BillingMode, KeyType};

use super::shape::{TableShape, keys_text};
use super::store_item::is_not_found;
use super::{TABLE_LOOK_WAIT, TABLE_WAIT_MAX, TableError, Tell};
use crate::client::DynamoClient;

/// What the service says about a table; `None`: there is none.
pub(super) async fn ask(
    client: &DynamoClient,
    table: &str,
) -> Result<Option<aws::TableDescription>, TableError> {
    let request = client.sdk().describe_table().table_name(table);
    let sent = client.call("describe a table", move || {
        let request = request.clone();
        async move {
            match request.send().await {
                Ok(answer) => Ok(answer.table),
                Err(error) if is_not_found(&error) => Ok(None),
                Err(error) => Err(error),
            }
        }
    });
    sent.await.map_err(|failed| TableError::Unavailable(failed.into_driver_error()))
}

/// Waits until a table can be used.
pub(super) async fn wait_until_active(
    client: &DynamoClient,
    table: &str,
    tell: Tell<'_>,
) -> Result<(), TableError> {
    let is_active = |status: Option<&str>| status == Some("ACTIVE");
    wait(client, table, is_active, tell).await
}

/// Waits until there is no such table.
pub(super) async fn wait_until_gone(
    client: &DynamoClient,
    table: &str,
    tell: Tell<'_>,
) -> Result<(), TableError> {
    wait(client, table, |status| status.is_none(), tell).await
}

async fn wait(
    client: &DynamoClient,
    table: &str,
    is_done: impl Fn(Option<&str>) -> bool + Send + Sync,
    tell: Tell<'_>,
) -> Result<(), TableError> {
    let looks_max = TABLE_WAIT_MAX.as_millis() / TABLE_LOOK_WAIT.as_millis();
    let mut last = String::new();
    for _ in 0..looks_max {
        let found = ask(client, table).await?;
        let status = found.as_ref().map(status);
        if is_done(status.as_deref()) {
            return Ok(());
        }
        // A table that was just made may not be known everywhere yet.
        last = status.unwrap_or_else(|| "UNKNOWN".to_owned());
        tell(&format!("waiting for `{table}`, its status is {last}"));
        client.pause(TABLE_LOOK_WAIT).await;
    }
    Err(TableError::NotReady { table: table.to_owned(), status: last })
}

/// The status of a table, as the service calls it.
pub(super) fn status(table: &aws::TableDescription) -> String {
    table.table_status().map_or("UNKNOWN", |status| status.as_str()).to_owned()
}

/// How a table is paid for.
pub(super) fn billing(table: &aws::TableDescription) -> String {
    let mode = table.billing_mode_summary().and_then(|billing| billing.billing_mode());
    // A table that was never anything but provisioned has no summary.
    mode.unwrap_or(&BillingMode::Provisioned).as_str().to_owned()
}

/// Whether a table has the keys that it must have.
pub(super) fn check_shape(
    table: &aws::TableDescription,
    shape: &TableShape,
) -> Result<(), TableError> {
    let type_of = |name: &str| {
        let mut definitions = table.attribute_definitions().iter();
        let found = definitions.find(|definition| definition.attribute_name() == name);
        found.map_or("?", |definition| definition.attribute_type().as_str())
    };
    let key = |of: KeyType| {
        let mut schema = table.key_schema().iter();
        let found = schema.find(|element| *element.key_type() == of)?.attribute_name();
        Some((found, type_of(found)))
    };
    let keys: Vec<_> = [key(KeyType::Hash), key(KeyType::Range)].into_iter().flatten().collect();
    let (found, wanted) = (keys_text(&keys), shape.keys());
    if found == wanted {
        return Ok(());
    }
    Err(TableError::OtherShape {
        table: table.table_name().unwrap_or_default().to_owned(),
        difference: format!("its keys are {found}, they must be {wanted}"),
    })
}
