//! The ids that streams remember: those in the items of a stream's last commits. They have no items
//! of their own; what was read of them once is kept in memory and brought up to date.

use std::collections::VecDeque;
use std::num::NonZeroUsize;
use std::sync::{Mutex, MutexGuard, PoisonError};

use annals_core::port::event_store::{Direction, ReadError};
use annals_core::stream::StreamId;
use hashbrown::HashMap;
use lru::LruCache;
use uuid::Uuid;

use super::key::Place;
use super::query;
use super::store::Shared;
use super::stream_item::StreamItem;

/// A stream remembers the ids of this many last commits.
pub(super) const COMMITS_REMEMBERED: u64 = 1_000;

/// Most streams whose ids are kept in memory; about 100 KiB each when their commits are small.
const WINDOWS_MAX: NonZeroUsize = NonZeroUsize::new(1_024).unwrap();

/// Items asked for when some are known already.
const NEWER_ITEMS: i32 = 25;

/// Items asked for when none is known.
const FIRST_ITEMS: i32 = 250;

/// An id that a stream remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum KnownId {
    Command(Uuid),
    Event(Uuid),
}

/// The ids of a stream's last commits.
#[derive(Debug, Default)]
struct Window {
    // Invariant: every commit before this one, as far back as is remembered, is in `commits`.
    upto: u64,
    /// Number and ids of each commit that has ids, oldest first.
    commits: VecDeque<(u64, Vec<KnownId>)>,
    /// Where the head of each id is.
    places: HashMap<KnownId, Place>,
}

/// The windows of the streams used lately.
#[derive(Debug)]
pub(super) struct Windows(Mutex<LruCache<StreamId, Window>>);

impl Default for Windows {
    fn default() -> Self {
        Self(Mutex::new(LruCache::new(WINDOWS_MAX)))
    }
}

impl Windows {
    fn lock(&self) -> MutexGuard<'_, LruCache<StreamId, Window>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How many commits of a stream are known; 0 when none is.
    fn upto(&self, stream: &StreamId) -> u64 {
        self.lock().get(stream).map_or(0, |window| window.upto)
    }

    fn find(&self, stream: &StreamId, ids: &[KnownId]) -> Option<(KnownId, Place)> {
        let mut windows = self.lock();
        let window = windows.get(stream)?;
        ids.iter().find_map(|id| Some((*id, *window.places.get(id)?)))
    }

    /// Adds commits that were read, newest first, the newest being number `upto - 1`.
    fn add(&self, stream: &StreamId, upto: u64, read: Vec<(u64, Place, Vec<KnownId>)>) {
        let mut windows = self.lock();
        let window = windows.get_or_insert_mut(stream.clone(), Window::default);
        for (number, place, ids) in read.into_iter().rev() {
            if number >= window.upto {
                window.places.extend(ids.iter().map(|id| (*id, place)));
                window.commits.push_back((number, ids));
            }
        }
        window.upto = window.upto.max(upto);
        window.forget();
    }

    /// Adds a commit that was written, if the ones before it are known.
    pub(super) fn written(&self, stream: &StreamId, number: u64, place: Place, ids: Vec<KnownId>) {
        if self.upto(stream) == number {
            self.add(stream, number + 1, vec![(number, place, ids)]);
        }
    }
}

impl Window {
    fn forget(&mut self) {
        let first = self.upto.saturating_sub(COMMITS_REMEMBERED);
        while self.commits.front().is_some_and(|(number, _)| *number < first) {
            for id in self.commits.pop_front().into_iter().flat_map(|(_, ids)| ids) {
                self.places.remove(&id);
            }
        }
    }
}

impl Shared {
    /// The first of `ids` that a stream remembers, and where its head is. The commits before number
    /// `known` must be looked at; `None`: all there are now.
    pub(super) async fn remembered(
        &self,
        stream: &StreamId,
        ids: &[KnownId],
        known: Option<u64>,
    ) -> Result<Option<(KnownId, Place)>, ReadError> {
        let upto = self.windows.upto(stream);
        if known.is_none_or(|known| upto < known) {
            self.look_at_newer(stream, upto).await?;
        }
        Ok(self.windows.find(stream, ids))
    }

    /// Reads the commits from number `known` on, as far back as they are remembered.
    async fn look_at_newer(&self, stream: &StreamId, known: u64) -> Result<(), ReadError> {
        let mut range = self.stream_range(stream, Place::last_at(u64::MAX), Direction::Backwards);
        range.limit = if known > 0 { NEWER_ITEMS } else { FIRST_ITEMS };
        let (mut upto, mut read) = (None, Vec::new());
        loop {
            let page = query::page(&self.client, &range).await?;
            let mut is_done = !page.has_more;
            for item in &page.items {
                let item = Self::read_item(item, stream)?;
                let newest = *upto.get_or_insert(item.commits_before + 1);
                let first = newest.saturating_sub(COMMITS_REMEMBERED).max(known);
                if item.commits_before < first {
                    is_done = true;
                    break;
                }
                let Some(before) = item.place.before.checked_sub(1) else {
                    read.push((item.commits_before, item.place, ids_of(&item)));
                    is_done = true;
                    break;
                };
                range.from = Place { first: item.place.first, before }.sort_key();
                read.push((item.commits_before, item.place, ids_of(&item)));
            }
            range.limit = FIRST_ITEMS;
            if is_done {
                break;
            }
        }
        read.retain(|(_, _, ids)| !ids.is_empty());
        self.windows.add(stream, upto.unwrap_or_default(), read);
        Ok(())
    }
}

/// The ids that a stream remembers of an item.
pub(super) fn ids_of(item: &StreamItem) -> Vec<KnownId> {
    let Some(head) = &item.head else { return Vec::new() };
    if let Some(command) = &head.command {
        return vec![KnownId::Command(command.id.uuid())];
    }
    let own = item.events.iter().filter_map(|event| event.id);
    own.chain(head.other_ids.iter().copied()).map(|id| KnownId::Event(id.uuid())).collect()
}
