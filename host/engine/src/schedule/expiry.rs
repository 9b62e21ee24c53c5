//! Removing schedules some time after their end, in small steps.

use annals_core::port::state_store::{RowKey, StateError};
use annals_core::time::Timestamp;

use super::rows::{self, COMMIT_REMOVED_MAX, ENDED, RECORDS, ScheduleCounts, Stored};
use super::{ScheduleError, Shared};

impl Shared {
    /// Removes some schedules that ended long ago, or are too many. Says whether there may be more.
    pub(super) async fn remove_some_ended(&self) -> Result<bool, ScheduleError> {
        let (entries, _) =
            rows::in_order_of_time(&*self.state, ENDED, None, COMMIT_REMOVED_MAX).await?;
        if entries.is_empty() {
            return Ok(false);
        }
        let ended_count = ScheduleCounts::read(&*self.state).await?.ended;
        let ended_max = u64::from(self.limits.ended_max);
        let excess = usize::try_from(ended_count.saturating_sub(ended_max)).unwrap_or(usize::MAX);
        let now = self.clock.now();
        let goes = |index: usize, ended_at: Timestamp| {
            u128::from(now.ms_since(ended_at)) >= self.limits.ended_kept_for.as_millis()
                || index < excess
        };
        let going =
            entries.into_iter().enumerate().filter(|(index, entry)| goes(*index, entry.time));
        let ids: Vec<_> = going.map(|(_, entry)| entry.id).collect();
        if ids.is_empty() {
            return Ok(false);
        }
        let key = |id: &super::ScheduleId| RowKey {
            table: RECORDS.into(),
            key: bytes::Bytes::copy_from_slice(id.as_str().as_bytes()),
        };
        let values = self.state.get_many(&ids.iter().map(key).collect::<Vec<_>>()).await?;
        let is_full = ids.len() == COMMIT_REMOVED_MAX;
        let mut going = Vec::new();
        for (id, value) in ids.into_iter().zip(values) {
            // One that is gone was removed by another host.
            let Some(value) = value else { continue };
            let stored = Stored::parse(id, value)?;
            if stored.record.stage.ended_at().is_some() {
                going.push(stored);
            }
        }
        let removed = rows::remove(&*self.state, &going).await;
        match removed {
            // Without any to remove, another host is at it.
            Ok(_) => Ok(is_full && !going.is_empty()),
            // Reading tells what is left, at the next look.
            Err(StateError::OutcomeUnknown(_)) => Ok(true),
            Err(error) => Err(error.into()),
        }
    }
}
