//! What a store holds already, and whether it is a part of what is imported.
//!
//! An import that ended early left in each partition what it had appended. Where places stay the same
//! these are the first commits of the partition, each at its number. Elsewhere a commit that had to be
//! tried again may have been passed by some others: then commits are known by their content, within
//! as many as may have been in flight.

use std::collections::{HashMap, VecDeque};

use annals_core::commit::RecordedCommit;
use annals_core::id::Digest;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::Partition;
use annals_core::port::EventStore;
use annals_core::port::event_store::ReadError;
use annals_core::time::Timestamp;

use super::content::fingerprint;
use super::count::{commits_counts, index_of, partitions_of};
use super::error::ImportError;
use super::retry::reading;
use super::route::Places;
use super::run::IN_FLIGHT_COMMITS_MAX;

/// What all partitions of a store held before the import.
#[derive(Debug)]
pub(super) struct Targets {
    places: Places,
    targets: Vec<Target>,
}

/// What one of them held.
#[derive(Debug)]
struct Target {
    partition: Partition,
    /// How many commits it had, and how many of them were read.
    found_count: u64,
    read_count: u64,
    /// How many commits of the export belong here, so far.
    export_count: u64,
    /// Commits that were read, from the one that is compared next.
    page: VecDeque<RecordedCommit>,
    /// Number and time of commits that were read and not met in the export, by content.
    unmet: HashMap<Digest, VecDeque<(u64, Timestamp)>>,
    unmet_count: usize,
}

impl Targets {
    /// Looks how much is there.
    pub(super) async fn look(store: &dyn EventStore, places: Places) -> Result<Self, ReadError> {
        let counts = commits_counts(store).await?;
        let targets = partitions_of(store).zip(counts).map(|(partition, found_count)| Target {
            partition,
            found_count,
            read_count: 0,
            export_count: 0,
            page: VecDeque::new(),
            unmet: HashMap::new(),
            unmet_count: 0,
        });
        Ok(Self { places, targets: targets.collect() })
    }

    /// How many commits each partition had.
    pub(super) fn found_counts(&self) -> Vec<u64> {
        self.targets.iter().map(|target| target.found_count).collect()
    }

    /// Whether everything that is there was met in the export.
    pub(super) fn are_met(&self) -> bool {
        self.targets.iter().all(Target::is_met)
    }

    /// When the next commit of the export was recorded in this partition; `None` when it is not
    /// there.
    pub(super) async fn meet(
        &mut self,
        store: &dyn EventStore,
        source: &str,
        (partition, recorded): (Partition, &RecordedCommit),
    ) -> Result<Option<Timestamp>, ImportError> {
        let Some(target) = self.targets.get_mut(index_of(partition)) else { return Ok(None) };
        target.export_count += 1;
        match self.places {
            Places::Same => target.meet_at_place(store, recorded).await,
            Places::Other => target.meet_anywhere(store, source, recorded).await,
        }
    }

    /// What is wrong when the export has ended and something that is there was not met.
    pub(super) fn not_met(&self) -> Option<ImportError> {
        let Target { partition, found_count, export_count, .. } =
            self.targets.iter().find(|target| !target.is_met())?;
        if found_count > export_count {
            let (partition, export, store) = (*partition, *export_count, *found_count);
            return Some(ImportError::Ahead { partition, export, store });
        }
        self.other_content()
    }

    /// The first commit that was read and not met.
    pub(super) fn other_content(&self) -> Option<ImportError> {
        let targets = self.targets.iter();
        let first = targets.filter_map(|target| {
            let unmet = target.unmet.values().flatten().map(|(number, _)| *number);
            Some((target.partition, unmet.min()?))
        });
        let (partition, number) = first.min_by_key(|(_, number)| *number)?;
        Some(ImportError::OtherContent { partition, number })
    }

    /// How many commits of the export belong to a partition, so far.
    pub(super) fn export_count(&self, partition: Partition) -> u64 {
        self.targets.get(index_of(partition)).map_or(0, |target| target.export_count)
    }
}

impl Target {
    fn is_met(&self) -> bool {
        self.read_count == self.found_count && self.page.is_empty() && self.unmet_count == 0
    }

    fn take_unmet(&mut self, wanted: &Digest) -> Option<(u64, Timestamp)> {
        let places = self.unmet.get_mut(wanted)?;
        let place = places.pop_front()?;
        if places.is_empty() {
            self.unmet.remove(wanted);
        }
        self.unmet_count -= 1;
        Some(place)
    }

    async fn read_on(&mut self, store: &dyn EventStore, limit: usize) -> Result<(), ReadError> {
        let left = usize::try_from(self.found_count - self.read_count).unwrap_or(usize::MAX);
        let (partition, from, limit) = (self.partition, self.read_count, limit.min(left));
        self.page = reading(|| store.read_commits(partition, from, limit)).await?.into();
        let count = u64::try_from(self.page.len()).unwrap_or(u64::MAX);
        // It was there when commits were counted: what is gone is not waited for.
        self.read_count = if count == 0 { self.found_count } else { self.read_count + count };
        Ok(())
    }

    async fn meet_at_place(
        &mut self,
        store: &dyn EventStore,
        recorded: &RecordedCommit,
    ) -> Result<Option<Timestamp>, ImportError> {
        let (partition, number) = (self.partition, recorded.number);
        if number >= self.found_count {
            return Ok(None);
        }
        if self.page.is_empty() {
            self.read_on(store, READ_EVENTS_MAX).await?;
        }
        let is_there = self.page.pop_front().as_ref() == Some(recorded);
        if is_there {
            Ok(Some(recorded.commit.recorded_at))
        } else {
            Err(ImportError::OtherContent { partition, number })
        }
    }

    async fn meet_anywhere(
        &mut self,
        store: &dyn EventStore,
        source: &str,
        recorded: &RecordedCommit,
    ) -> Result<Option<Timestamp>, ImportError> {
        let unsaid = |number| ImportError::OtherContent { partition: self.partition, number };
        let wanted = fingerprint(source, recorded).map_err(|_| unsaid(recorded.number))?;
        loop {
            if let Some((number, recorded_at)) = self.take_unmet(&wanted) {
                let is_moved_back = recorded_at < recorded.commit.recorded_at;
                let partition = self.partition;
                let other = ImportError::OtherContent { partition, number };
                return if is_moved_back { Err(other) } else { Ok(Some(recorded_at)) };
            }
            if self.read_count == self.found_count || self.unmet_count >= IN_FLIGHT_COMMITS_MAX {
                return Ok(None);
            }
            self.read_on(store, IN_FLIGHT_COMMITS_MAX).await?;
            for found in std::mem::take(&mut self.page) {
                let (partition, number) = (self.partition, found.number);
                let content = fingerprint(source, &found)
                    .map_err(|_| ImportError::OtherContent { partition, number })?;
                let place = (number, found.commit.recorded_at);
                self.unmet.entry(content).or_default().push_back(place);
                self.unmet_count += 1;
            }
        }
    }
}
