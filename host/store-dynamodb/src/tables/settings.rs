//! What is set on a table after it was made: removal of expired items, and recovery.
//!
//! Emulators know little of it: what one does not know is `None` when asked for, and a warning when
//! it was to be set.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::types::{
    PointInTimeRecoverySpecification, PointInTimeRecoveryStatus, TimeToLiveSpecification,
    TimeToLiveStatus,
};

use super::shape::TTL_ATTRIBUTE;
use super::{TABLE_LOOK_WAIT, TABLE_WAIT_MAX, TableError};
use crate::client::{DynamoClient, Failed};

/// What was to be set and was not: for people.
pub(super) type Warning = Option<String>;

/// The attribute by which items expire; empty: they do not.
pub(super) async fn ttl_attribute(
    client: &DynamoClient,
    table: &str,
) -> Result<Option<String>, TableError> {
    let request = client.sdk().describe_time_to_live().table_name(table);
    let send = move || known(request.clone().send());
    let answer = client.call("describe the time to live", send).await.map_err(unavailable)?;
    let Some(answer) = answer else { return Ok(None) };
    let is_on = |status: &TimeToLiveStatus| {
        matches!(status, TimeToLiveStatus::Enabled | TimeToLiveStatus::Enabling)
    };
    let ttl =
        answer.time_to_live_description.filter(|ttl| ttl.time_to_live_status().is_some_and(is_on));
    Ok(Some(ttl.and_then(|ttl| ttl.attribute_name).unwrap_or_default()))
}

/// Lets items expire by [`TTL_ATTRIBUTE`].
pub(super) async fn set_ttl(client: &DynamoClient, table: &str) -> Result<Warning, TableError> {
    match ttl_attribute(client, table).await? {
        Some(set) if set == TTL_ATTRIBUTE => return Ok(None),
        Some(set) if !set.is_empty() => {
            let difference = format!("items expire by `{set}`, it must be `{TTL_ATTRIBUTE}`");
            return Err(TableError::OtherShape { table: table.to_owned(), difference });
        }
        _ => {}
    }
    let ttl = TimeToLiveSpecification::builder().enabled(true).attribute_name(TTL_ATTRIBUTE);
    let ttl = ttl.build().map_err(unbuilt)?;
    let request =
        client.sdk().update_time_to_live().table_name(table).time_to_live_specification(ttl);
    let send = move || known(request.clone().send());
    let answer = client.call("set the time to live", send).await.map_err(unavailable)?;
    Ok(answer.is_none().then(|| {
        format!("`{table}`: this service knows no time to live, expired items are not removed")
    }))
}

/// Whether the table can be restored as of any second of the last days.
pub(super) async fn is_recoverable(
    client: &DynamoClient,
    table: &str,
) -> Result<Option<bool>, TableError> {
    let request = client.sdk().describe_continuous_backups().table_name(table);
    let send = move || known(request.clone().send());
    let answer = client.call("describe the recovery of a table", send).await;
    let Some(answer) = answer.map_err(unavailable)? else { return Ok(None) };
    let backups = answer.continuous_backups_description;
    let recovery = backups.and_then(|backups| backups.point_in_time_recovery_description);
    let status = recovery.and_then(|recovery| recovery.point_in_time_recovery_status);
    Ok(Some(status == Some(PointInTimeRecoveryStatus::Enabled)))
}

/// Turns point-in-time recovery on.
pub(super) async fn set_recovery(
    client: &DynamoClient,
    table: &str,
) -> Result<Warning, TableError> {
    if is_recoverable(client, table).await? == Some(true) {
        return Ok(None);
    }
    let recovery = PointInTimeRecoverySpecification::builder().point_in_time_recovery_enabled(true);
    let recovery = recovery.build().map_err(unbuilt)?;
    let request = client
        .sdk()
        .update_continuous_backups()
        .table_name(table)
        .point_in_time_recovery_specification(recovery);
    let looks_max = TABLE_WAIT_MAX.as_millis() / TABLE_LOOK_WAIT.as_millis();
    for _ in 0..looks_max {
        let request = request.clone();
        let send = move || known(request.clone().send());
        let answer = match client.call("set the recovery of a table", send).await {
            Ok(answer) => answer,
            // A table that was just made is prepared for backups first.
            Err(Failed::Refused { error, .. })
                if error.is_continuous_backups_unavailable_exception() =>
            {
                client.pause(TABLE_LOOK_WAIT).await;
                continue;
            }
            Err(failed) => return Err(unavailable(failed)),
        };
        return Ok(answer.is_none().then(|| {
            format!("`{table}`: this service knows no point-in-time recovery, it is not on")
        }));
    }
    Err(TableError::NotReady { table: table.to_owned(), status: "without backups".to_owned() })
}

/// An answer; `None` when the service does not know the operation.
async fn known<T, E: ProvideErrorMetadata, R>(
    sent: impl Future<Output = Result<T, SdkError<E, R>>>,
) -> Result<Option<T>, SdkError<E, R>> {
    match sent.await {
        Ok(answer) => Ok(Some(answer)),
        Err(error) => {
            let code = error.as_service_error().and_then(ProvideErrorMetadata::code);
            if code == Some("UnknownOperationException") { Ok(None) } else { Err(error) }
        }
    }
}

pub(super) fn unavailable<E>(failed: Failed<E>) -> TableError
where
    E: std::error::Error + Send + Sync + 'static,
{
    TableError::Unavailable(failed.into_driver_error())
}

pub(super) fn unbuilt(error: aws_sdk_dynamodb::error::BuildError) -> TableError {
    let error = annals_core::error::DriverError::with_source("a request was not complete", error);
    TableError::Unavailable(error)
}
