//! Looking at, copying, cutting and changing real data folders.

mod backup;
mod repair;
mod rewrite;
mod verify;

use std::path::{Path, PathBuf};

use annals_core::commit::{Commit, RecordedCommit};
use annals_core::event::NewEvent;
use annals_core::name::{EventType, PluginName};
use annals_core::place::{ExpectedRevision, Partition};
use annals_core::port::state_store::{RowKey, StateCommit, StateSpace, StateWrite};
use annals_core::port::{BlobStore as _, EventStore as _, StateStores as _};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use pollster::block_on;

use super::{
    MaintenanceError, PlannedRepair, PlannedRewrite, Progress, Repaired, RewriteRequest, Rewritten,
    Verified,
};
use crate::log::CountedIds;
use crate::{LocalStore, LogOptions, OpenError};

/// A data folder that goes away with the test.
struct Data(tempfile::TempDir);

impl Data {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// With commits in several segments, a view, a snapshot and a plugin.
    fn filled(commits_count: u64) -> Self {
        let data = Self::new();
        let store = data.open();
        for number in 0..commits_count {
            append(&store, number);
        }
        let projection = PluginName::new("balances").unwrap();
        let digest = annals_core::id::Digest::of(b"1");
        put(&store, &StateSpace::View { projection, digest, build: 0 }, "balances");
        put(&store, &StateSpace::Host, "snapshots");
        put(&store, &StateSpace::Host, "timers");
        tokio::runtime::Runtime::new()
            .unwrap()
            .block_on(store.blobs.put(Bytes::from_static(b"component")))
            .unwrap();
        drop(store);
        data
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn open(&self) -> LocalStore {
        open(&self.path()).unwrap()
    }

    /// The segments, oldest first.
    fn segments(&self) -> Vec<PathBuf> {
        let mut paths: Vec<_> = std::fs::read_dir(self.path().join("log"))
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|it| it == "seg"))
            .collect();
        paths.sort_unstable();
        paths
    }
}

fn open(folder: &Path) -> Result<LocalStore, OpenError> {
    let options = LogOptions { segment_bytes: 4 << 10, ..LogOptions::default() };
    LocalStore::open_with(folder, &CountedIds::default(), options)
}

fn event(number: u64) -> NewEvent {
    let event_type = if number.is_multiple_of(3) { "opened" } else { "deposited" };
    NewEvent::json(EventType::new(event_type).unwrap(), format!("{{\"n\":{number}}}"))
}

/// Appends one event to one of seven streams, and two to another every now and then.
fn append(store: &LocalStore, number: u64) {
    let stream = StreamId::parse(&format!("account/{}", number % 7)).unwrap();
    let events = vec![event(number); if number.is_multiple_of(5) { 2 } else { 1 }];
    let commit =
        Commit::plain(stream, ExpectedRevision::Any, events, Timestamp::from_ms(number + 1));
    let accepted = block_on(store.events.append(commit)).unwrap();
    block_on(accepted.durability.wait()).unwrap();
}

fn put(store: &LocalStore, space: &StateSpace, table: &str) {
    let state = block_on(store.states.open(space)).unwrap();
    let row = RowKey { table: table.into(), key: Bytes::from_static(b"k") };
    let writes = vec![StateWrite::Put(row, Bytes::from_static(b"{}"))];
    block_on(state.commit(StateCommit { conditions: Vec::new(), writes })).unwrap();
}

fn has_row(store: &LocalStore, table: &str) -> bool {
    let state = block_on(store.states.open(&StateSpace::Host)).unwrap();
    block_on(state.get(table, b"k")).unwrap().is_some()
}

fn commits(store: &LocalStore) -> Vec<RecordedCommit> {
    let mut commits: Vec<RecordedCommit> = Vec::new();
    loop {
        let from = u64::try_from(commits.len()).unwrap();
        let page = block_on(store.events.read_commits(Partition::ZERO, from, 1_000)).unwrap();
        if page.is_empty() {
            return commits;
        }
        commits.extend(page);
    }
}

fn quietly(_: Progress<'_>) {}

fn repair(folder: &Path, commits_count: u64) -> Result<Repaired, MaintenanceError> {
    PlannedRepair::new(folder, commits_count, &mut quietly)?.run(Timestamp::from_ms(7))
}

fn rewrite(folder: &Path, request: &RewriteRequest) -> Result<Rewritten, MaintenanceError> {
    let ids = CountedIds::default();
    PlannedRewrite::new(folder, request, &ids, &mut quietly)?.run(&ids)
}

fn verify(folder: &Path) -> Result<Verified, MaintenanceError> {
    super::verify(folder, &mut quietly)
}
