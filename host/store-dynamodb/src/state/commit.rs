//! One commit, until it happened, was refused, or its time is over.

use std::collections::HashMap;

use annals_core::error::DriverError;
use annals_core::port::state_store::{RowKey, StateCommit, StateError};
use bytes::Bytes;

use super::keys::SpaceKeys;
use super::plan::{Plan, RowChange, unknown_counters, unmet};
use super::{read, single, transaction};
use crate::client::{Backoff, DynamoClient};

/// What became of a plan that was sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sent<'a> {
    /// It happened: all rows were as they must be.
    Done,
    /// Nothing was written, because this row was not as it must be.
    Refused(&'a RowChange),
}

/// Commits.
pub(super) async fn run(
    client: &DynamoClient,
    keys: &SpaceKeys,
    commit: &StateCommit,
) -> Result<(), StateError> {
    let mut backoff = client.backoff();
    loop {
        let counters = read_counters(client, keys, commit, &backoff).await?;
        let plan = Plan::of(commit, &counters);
        let sent = match plan.rows.as_slice() {
            [] => Sent::Done,
            [row] => single::send(client, keys, row, &mut backoff).await?,
            rows => transaction::send(client, keys, rows, &mut backoff).await?,
        };
        match sent {
            Sent::Done => return plan.fault.map_or(Ok(()), Err),
            Sent::Refused(row) if row.is_condition => return Err(unmet(&row.row)),
            // Another writer was faster with a counter: add to what it wrote.
            Sent::Refused(_) if client.wait(&mut backoff).await => {}
            Sent::Refused(row) => {
                let text = format!(
                    "other writers changed a counter of table `{}` first, again and again",
                    row.row.table
                );
                return Err(StateError::Unavailable(DriverError::new(&text)));
            }
        }
    }
}

async fn read_counters(
    client: &DynamoClient,
    keys: &SpaceKeys,
    commit: &StateCommit,
    backoff: &Backoff,
) -> Result<HashMap<RowKey, Bytes>, StateError> {
    match unknown_counters(commit).as_slice() {
        [] => Ok(HashMap::new()),
        [one] => {
            let value = read::row(client, keys, one, backoff.clone()).await?;
            Ok(value.map(|value| ((*one).clone(), value)).into_iter().collect())
        }
        many => read::rows(client, keys, many, backoff).await,
    }
}
