//! What Redis says of a stream.

use std::collections::HashMap;
use std::time::Duration;

use annals_core::place::Position;
use redis::{FromRedisValue as _, Value, from_redis_value};
use serde::Deserialize;

use crate::entry::position_of;
use crate::failure::{Failure, FailureKind};
use crate::link::Link;

/// What Redis says of a stream, as far as we look at it.
pub(super) struct StreamInfo {
    /// The largest id that it ever had: it takes only larger ones, also when the entry is gone.
    last_id: String,
    /// The fields of the last entry that is there.
    last_entry: Option<HashMap<String, Vec<u8>>>,
}

/// The one attribute of a CloudEvent that is looked at.
#[derive(Deserialize)]
struct Source {
    source: String,
}

impl StreamInfo {
    /// Asks about the stream `key`; `None` when it is not there.
    pub(super) async fn ask(
        link: &Link,
        key: &str,
        wait_max: Duration,
    ) -> Result<Option<Self>, Failure> {
        let mut command = redis::cmd("XINFO");
        command.arg("STREAM").arg(key);
        let mut answer = match link.query::<HashMap<String, Value>>(command, wait_max).await {
            Ok(answer) => answer,
            Err(failure) if failure.is_code("ERR") && failure.says("no such key") => {
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        let strange = || Failure::new(FailureKind::Refused, "Redis does not say where it ends");
        let last_id = answer.remove("last-generated-id").ok_or_else(strange)?;
        let last_id = String::from_redis_value(last_id).map_err(|_| strange())?;
        let last_entry = answer.remove("last-entry").filter(|entry| *entry != Value::Nil);
        let last_entry = last_entry.map(from_redis_value::<(String, HashMap<String, Vec<u8>>)>);
        let last_entry = last_entry.transpose().map_err(|_| strange())?;
        Ok(Some(Self { last_id, last_entry: last_entry.map(|(_, fields)| fields) }))
    }

    /// The position that the stream ends with; `None` when it has had no entry.
    ///
    /// # Errors
    /// When not all of it was written by hosts of the store that `source` names.
    pub(super) fn last_position(
        &self,
        key: &str,
        source: &str,
    ) -> Result<Option<Position>, Failure> {
        let number = self.last_id.strip_suffix("-0").and_then(|number| number.parse().ok());
        let found = self.last_entry.as_ref().map(|fields| {
            let cloud_event = fields.get("cloudevent");
            cloud_event.and_then(|text| serde_json::from_slice::<Source>(text).ok())
        });
        let (is_of_annals, other) = match &found {
            None => (true, None),
            Some(None) => (false, None),
            Some(Some(found)) => (true, (found.source != source).then_some(&found.source)),
        };
        let remedy = "delete the key, or choose another namespace";
        if let Some(other) = other {
            let text = format!("`{key}` holds the events of another store, `{other}`: {remedy}");
            return Err(Failure::new(FailureKind::Refused, &text));
        }
        let Some(number) = number.filter(|_| is_of_annals) else {
            let id = &self.last_id;
            let text = format!("`{key}` holds an entry that is not ours, up to `{id}`: {remedy}");
            return Err(Failure::new(FailureKind::Refused, &text));
        };
        Ok(position_of(number))
    }
}
