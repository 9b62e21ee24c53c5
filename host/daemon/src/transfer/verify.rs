//! Reading a store again after an import, and comparing it with what was imported.

use annals_core::commit::RecordedCommit;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::Partition;
use annals_core::port::EventStore;
use annals_core::port::event_store::ReadError;
use futures_util::future::try_join_all;

use super::content::Contents;
use super::count::partitions_of;
use super::error::ImportError;
use super::retry::reading;
use super::totals::{Progress, Step, Tally};

/// Most pages in memory: so many partitions are read at once.
const PAGES_MAX: usize = 4;

/// A store that is read from its first commit to its last.
#[derive(Debug)]
struct Reread<'a> {
    store: &'a dyn EventStore,
    /// Partitions that have more, and the number of the commit that is read next.
    unread: Vec<(Partition, u64)>,
}

impl<'a> Reread<'a> {
    fn new(store: &'a dyn EventStore) -> Self {
        Self { store, unread: partitions_of(store).map(|partition| (partition, 0)).collect() }
    }

    /// The next commits of some partitions; none at the end.
    async fn next(&mut self) -> Result<Vec<(Partition, Vec<RecordedCommit>)>, ReadError> {
        loop {
            let store = self.store;
            let reads = self.unread.iter().take(PAGES_MAX).map(|(partition, from)| {
                reading(move || store.read_commits(*partition, *from, READ_EVENTS_MAX))
            });
            let pages = try_join_all(reads).await?;
            let read: Vec<_> = self.unread.drain(..pages.len()).collect();
            let is_end = read.is_empty();
            let mut found = Vec::new();
            for ((partition, _), page) in read.into_iter().zip(pages) {
                if let Some(last) = page.last() {
                    self.unread.push((partition, last.number.saturating_add(1)));
                    found.push((partition, page));
                }
            }
            if is_end || !found.is_empty() {
                return Ok(found);
            }
        }
    }
}

/// Compares a store that has as many partitions as the one that was exported: every commit must be at
/// its place.
pub(super) async fn verify_places(
    store: &dyn EventStore,
    source: &str,
    expected: &[Tally],
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), ImportError> {
    let mut tallies: Vec<_> = partitions_of(store).map(Tally::of).collect();
    let mut text = Vec::new();
    let mut bytes_count = 0;
    let commits_total = Some(Tally::counts(expected).0);
    let mut reread = Reread::new(store);
    loop {
        let pages = reread.next().await?;
        if pages.is_empty() {
            break;
        }
        for (partition, page) in &pages {
            let tally = tallies.get_mut(super::count::index_of(*partition));
            let partition = *partition;
            let tally = tally.ok_or(ImportError::NotTheSame { partition })?;
            for recorded in page {
                text.clear();
                let added = tally.add(source, recorded, &mut text);
                added.map_err(|_| ImportError::NotTheSame { partition })?;
                bytes_count += u64::try_from(text.len()).unwrap_or(u64::MAX);
            }
        }
        let ((commits_count, events_count), step) = (Tally::counts(&tallies), Step::Verifying);
        progress(Progress { step, commits_count, commits_total, events_count, bytes_count });
    }
    for (tally, expected) in tallies.iter().zip(expected) {
        let (actual, expected) = (tally.totals(), expected.totals());
        if actual != expected {
            return Err(ImportError::NotTheSame { partition: expected.partition });
        }
    }
    Ok(())
}

/// Compares a store that has another number of partitions: it must hold the same commits.
pub(super) async fn verify_contents(
    store: &dyn EventStore,
    source: &str,
    expected: &Contents,
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<(), ImportError> {
    let mut actual = Contents::default();
    let commits_total = Some(expected.commits_count);
    let mut reread = Reread::new(store);
    loop {
        let pages = reread.next().await?;
        if pages.is_empty() {
            break;
        }
        for (partition, page) in &pages {
            for recorded in page {
                let added = actual.add(source, recorded, recorded.commit.recorded_at);
                added.map_err(|_| ImportError::NotTheSame { partition: *partition })?;
            }
        }
        progress(Progress {
            step: Step::Verifying,
            commits_count: actual.commits_count,
            commits_total,
            events_count: actual.events_count,
            bytes_count: actual.bytes_count,
        });
    }
    let totals = [
        ("commits", expected.commits_count, actual.commits_count),
        ("events", expected.events_count, actual.events_count),
        ("claims", expected.claims_count, actual.claims_count),
    ];
    for (what, export, store) in totals {
        if export != store {
            return Err(ImportError::OtherTotals { what, export, store });
        }
    }
    let (export, store) = (expected.digest(), actual.digest());
    if export == store { Ok(()) } else { Err(ImportError::OtherContents { export, store }) }
}
