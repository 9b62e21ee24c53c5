//! What goes on beside the messages: taking over from a host that does not get on, saying that this one
//! does, forgetting instances that ended long ago, and finding those that are stuck.

use std::sync::Arc;
use std::time::Duration;

use annals_core::port::state_store::{KeyRange, StateError, StateWrite};
use annals_core::time::Timestamp;
use bytes::Bytes;
use tokio::time::Instant;
use tracing::warn;

use super::{CLEAN_UP_EVERY, Next, Role, Runner};
use crate::process::draft::Changed;
use crate::process::{Fault, tables};
use crate::projection::Phase;
use crate::projection::checkpoint::{self, Checkpoint};
use crate::projection::fence::{self, Fence};

/// Most instances that are forgotten in one commit.
const FORGOTTEN_MAX: usize = 20;

/// After so many rows no further instance is forgotten in a commit; the last one adds at most a dozen.
const FORGOTTEN_ROWS_MAX: usize = 60;

/// Most instances that are looked at together.
const LOOKED_AT_MAX: usize = 500;

const BEAT: &[u8] = b"beat";

/// What a host that stands by sees of the one that works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    saved: Vec<Option<Checkpoint>>,
    due: Option<Timestamp>,
    working: Option<Arc<str>>,
    beat: Option<Bytes>,
}

/// Looking for instances that do not get on.
#[derive(Debug, Default)]
pub(super) struct StuckScan {
    /// How many the last whole look found; `None`: there was none yet.
    found: Option<u64>,
    /// How many this look has found, the first of them, and where it goes on.
    finding: u64,
    example: Option<Arc<str>>,
    after: Option<Bytes>,
    next_at: Option<Instant>,
}

impl StuckScan {
    pub(super) fn count(&self) -> u64 {
        self.found.unwrap_or_default()
    }
}

impl Runner {
    /// Looks how far the host that works is, and takes over when it does not get on.
    pub(super) async fn stand_by(&mut self) -> Result<Next, Fault> {
        if self.is_free().await? {
            self.role = Role::Starting;
            return Ok(Next::Step);
        }
        self.set_phase(Phase::StandingBy);
        Ok(Next::Wait)
    }

    async fn is_free(&mut self) -> Result<bool, Fault> {
        let shared = &self.ports.shared;
        let (state, name) = (&*self.state, &self.manager.description.name);
        if self.standby.due(shared.options.standby_check_every) > Instant::now() {
            return Ok(false);
        }
        let fence = fence::read(state).await?;
        if fence.is_none_or(|fence| !fence.is_held) {
            return Ok(true);
        }
        let working = tables::names(state, tables::WORKING, None, 1).await?;
        let seen = Seen {
            saved: checkpoint::read(state, &*shared.store, name).await?,
            due: tables::next_due(state).await?.filter(|due| *due <= shared.clock.now()),
            working: working.into_iter().next(),
            beat: state.get(checkpoint::TABLE, BEAT).await?,
        };
        self.counts = super::Counts::load(state).await?;
        self.standby.has_looked(fence);
        self.feeds.follow(seen.saved.clone());
        let has_work = seen.due.is_some() || seen.working.is_some() || self.has_events().await?;
        let is_same = self.seen.as_ref() == Some(&seen);
        self.seen = Some(seen);
        if !has_work || !is_same {
            self.standby.gets_on();
            return Ok(false);
        }
        let takeover_after = self.ports.shared.options.standby_takeover_after;
        Ok(self.standby.is_behind() >= takeover_after)
    }

    /// Whether there is an event that the host that works has not handled.
    async fn has_events(&mut self) -> Result<bool, Fault> {
        self.feeds.let_go();
        while let Some(index) = self.feeds.turn() {
            let page = self.feeds.read(index, &self.filter, 1).await?;
            if !page.events.is_empty() {
                return Ok(true);
            }
            self.feeds.has_read(index, &page);
            self.feeds.end_turn();
        }
        Ok(false)
    }

    /// Does what is due now and then.
    pub(super) async fn clean_up(&mut self, fence: Fence) -> Result<(), Fault> {
        self.clean_up_at = Instant::now() + CLEAN_UP_EVERY;
        if self.forget_ended(fence).await? {
            self.clean_up_at = Instant::now();
        }
        match self.look_for_stuck().await {
            // One instance that cannot be read is no reason to hold up the others.
            Err(error @ StateError::Damaged(_)) => {
                let process = &self.manager.description.name;
                let error = crate::projection::chain(&error);
                warn!(%process, error, "an instance cannot be read");
                self.stuck = StuckScan::default();
                Ok(())
            }
            looked => Ok(looked?),
        }
    }

    /// When this host should say next that it gets on: well before another one takes over.
    pub(super) fn beat_at(&self) -> Instant {
        self.committed_at + self.ports.shared.options.standby_takeover_after / 3
    }

    /// Says that this host gets on, when it has commands on the way and nothing else to write.
    pub(super) async fn beat(&mut self, fence: Fence) -> Result<(), Fault> {
        if self.sends.instances_count() == 0 || self.beat_at() > Instant::now() {
            return Ok(());
        }
        self.beats_count += 1;
        let beat = tables::row(checkpoint::TABLE, Bytes::from_static(BEAT));
        let number = Bytes::from(format!("{}-{}", fence.epoch, self.beats_count));
        Ok(self.write(vec![StateWrite::Put(beat, number)], &[], fence).await?)
    }

    /// Forgets some of the instances that ended long ago; returns whether there may be more.
    async fn forget_ended(&mut self, fence: Fence) -> Result<bool, Fault> {
        let limits = self.ports.shared.options.processes;
        let now = self.ports.shared.clock.now();
        let kept_ms = u64::try_from(limits.ended_kept_for.as_millis()).unwrap_or(u64::MAX);
        let end = Timestamp::from_ms(now.ms().saturating_sub(kept_ms));
        let surplus = u64::try_from(self.counts.over).unwrap_or_default();
        let surplus = surplus.saturating_sub(limits.ended_kept_max);
        if self.counts.over <= 0 {
            return Ok(false);
        }
        let rows = self.state.scan(tables::ENDED, KeyRange::default(), FORGOTTEN_MAX).await?;
        let surplus = usize::try_from(surplus).unwrap_or(usize::MAX);
        let timed = rows.iter().filter_map(|row| tables::timed(&row.key));
        let gone: Vec<_> = timed
            .enumerate()
            .filter(|(number, (at, _))| *at < end || *number < surplus)
            .map(|(_, gone)| gone)
            .collect();
        if gone.is_empty() {
            return Ok(false);
        }
        let ids: Vec<_> = gone.iter().map(|(_, id)| Arc::clone(id)).collect();
        let found = tables::get_many(&*self.state, &ids).await?;
        let mut writes = Vec::new();
        let mut gone_count = 0_i32;
        for ((at, id), found) in gone.iter().zip(&found) {
            if writes.len() >= FORGOTTEN_ROWS_MAX {
                break;
            }
            gone_count += 1;
            let key = tables::timed_key(*at, id);
            writes.push(StateWrite::Delete(tables::row(tables::ENDED, key)));
            if let Some((instance, parts_count)) = found
                && instance.ended_at == Some(*at)
                && instance.is_over()
            {
                writes.extend(tables::delete(id, *parts_count));
            }
        }
        let by = i64::from(gone_count);
        let changed = Changed { over: -by, ..Changed::default() };
        writes.extend(changed.writes());
        self.write(writes, &[], fence).await?;
        self.counts.over -= by;
        Ok(gone.len() == FORGOTTEN_MAX)
    }

    /// Looks at some instances, whether they get on.
    async fn look_for_stuck(&mut self) -> Result<(), StateError> {
        let stuck_after = self.ports.shared.options.processes.stuck_after;
        if self.stuck.next_at.is_some_and(|at| at > Instant::now()) {
            return Ok(());
        }
        let range = match &self.stuck.after {
            Some(after) => KeyRange::default().after(after),
            None => KeyRange::default(),
        };
        let rows = self.state.scan(tables::INSTANCES, range, LOOKED_AT_MAX).await?;
        let now = self.ports.shared.clock.now();
        for row in &rows {
            let id = std::str::from_utf8(&row.key).unwrap_or_default();
            let (instance, _) = tables::whole(&*self.state, id, &row.value).await?;
            if instance.is_stuck(now, stuck_after) {
                self.stuck.finding += 1;
                self.stuck.example.get_or_insert(instance.id);
            }
        }
        self.stuck.after = rows.last().map(|row| row.key.clone());
        if rows.len() < LOOKED_AT_MAX {
            self.end_of_look(stuck_after);
        }
        Ok(())
    }

    fn end_of_look(&mut self, stuck_after: Duration) {
        const EVERY_MIN: Duration = Duration::from_secs(3);
        const EVERY_MAX: Duration = Duration::from_mins(1);
        let before = self.stuck.found;
        let (found, example) = (self.stuck.finding, self.stuck.example.take());
        if found > before.unwrap_or_default() {
            let process = &self.manager.description.name;
            let example = example.unwrap_or_default();
            warn!(%process, found, %example, ?stuck_after, "instances do not get on");
        }
        let every = (stuck_after / 4).clamp(EVERY_MIN, EVERY_MAX);
        let next_at = Some(Instant::now() + every);
        self.stuck = StuckScan { found: Some(found), next_at, ..StuckScan::default() };
    }
}
