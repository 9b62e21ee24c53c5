//! All that a store can be asked, to compare two stores that should be the same.

use annals_core::command::RecordedCommand;
use annals_core::commit::{ClaimHolder, RecordedCommit};
use annals_core::event::RecordedEvent;
use annals_core::id::EventId;
use annals_core::place::{Partition, Position, Revision};
use annals_core::port::EventStore;
use annals_core::port::event_store::{
    Direction, EventTypeCount, FeedFilter, StreamInfo, StreamPage,
};
use annals_core::time::Timestamp;
use pollster::block_on;
use uuid::Uuid;

use super::seed::Seed;
use super::support::{command_id, stream};
use super::workload::{KEYS, SCOPE, STREAMS};

#[derive(Debug, PartialEq)]
pub(crate) struct Everything {
    pub(crate) commits: Vec<RecordedCommit>,
    pub(crate) feed: Vec<RecordedEvent>,
    head: Option<Position>,
    /// From random positions, with random filters.
    feeds: Vec<Vec<RecordedEvent>>,
    /// From random revisions.
    pages: Vec<StreamPage>,
    commands: Vec<Vec<RecordedCommand>>,
    found: Vec<Option<RecordedCommand>>,
    claims: Vec<Option<ClaimHolder>>,
    infos: Vec<StreamInfo>,
    counts: Vec<EventTypeCount>,
}

/// Asks a store everything, with questions that depend on `seed` only.
pub(crate) fn everything(store: &dyn EventStore, mut seed: Seed, ids_count: u128) -> Everything {
    let streams = STREAMS.map(stream);
    let commits = all_commits(store, &mut seed);
    let events_count: usize = commits.iter().map(|commit| commit.commit.events_count()).sum();
    let times = commits.iter().map(|commit| commit.commit.recorded_at.ms());
    let last_ms = times.max().unwrap_or_default();
    let everyone = FeedFilter {
        categories: Some(["account", "ledger", "$plugins"].map(Into::into).into()),
        ..FeedFilter::default()
    };
    let feeds = (0..4).map(|_| {
        let after = seed.below(events_count as u64 + 2).checked_sub(1).map(Position::new);
        feed_from(store, after, &filter(&mut seed.fork()), &mut seed)
    });
    let feeds = feeds.collect();
    let mut pages = Vec::new();
    for stream in &streams {
        for direction in [Direction::Forwards, Direction::Backwards] {
            let from = Revision::new(seed.below(40));
            let limit = seed.index(12);
            pages.push(block_on(store.read_stream(stream, from, limit, direction)).unwrap());
            let (from, limit) = (Revision::FIRST, 4_096);
            pages.push(block_on(store.read_stream(stream, from, limit, direction)).unwrap());
        }
    }
    let commands = streams.iter().map(|stream| {
        let mut all = block_on(store.read_commands(stream, 0, 3)).unwrap();
        let skip = all.len() as u64;
        all.extend(block_on(store.read_commands(stream, skip, 4_096)).unwrap());
        all
    });
    let found = (0..20).map(|_| {
        let id = u128::from(seed.below(u64::try_from(ids_count).unwrap() + 2));
        block_on(store.find_command(&seed.pick(&streams), command_id(id))).unwrap()
    });
    let found = found.collect();
    let claims = KEYS.iter().flat_map(|key| {
        [0, last_ms, last_ms + 100]
            .map(|now| block_on(store.claim_holder(SCOPE, key, Timestamp::from_ms(now))).unwrap())
    });
    Everything {
        feed: feed_from(store, None, &everyone, &mut seed),
        head: block_on(store.head(Partition::ZERO)).unwrap(),
        feeds,
        pages,
        commands: commands.collect(),
        found,
        claims: claims.collect(),
        infos: streams.iter().map(|stream| block_on(store.stream_info(stream)).unwrap()).collect(),
        counts: block_on(store.event_type_counts()).unwrap(),
        commits,
    }
}

fn all_commits(store: &dyn EventStore, seed: &mut Seed) -> Vec<RecordedCommit> {
    let mut commits: Vec<RecordedCommit> = Vec::new();
    loop {
        let limit = 1 + seed.index(40);
        let page = block_on(store.read_commits(Partition::ZERO, commits.len() as u64, limit));
        let page = page.unwrap();
        if page.is_empty() {
            return commits;
        }
        commits.extend(page);
    }
}

fn feed_from(
    store: &dyn EventStore,
    mut after: Option<Position>,
    filter: &FeedFilter,
    seed: &mut Seed,
) -> Vec<RecordedEvent> {
    let mut events = Vec::new();
    loop {
        let limit = 1 + seed.index(50);
        let page = block_on(store.read_feed(Partition::ZERO, after, filter, limit)).unwrap();
        assert!(page.events.len() <= limit && page.read_up_to >= after);
        assert!(page.is_at_head || page.read_up_to > after, "the feed does not go on");
        events.extend(page.events);
        after = page.read_up_to;
        if page.is_at_head {
            return events;
        }
    }
}

fn filter(seed: &mut Seed) -> FeedFilter {
    let categories = [vec!["account"], vec!["ledger", "$plugins"], vec![]];
    let categories = seed.percent(50).then(|| seed.pick(&categories));
    FeedFilter {
        categories: categories.map(|names| names.iter().map(|&name| name.into()).collect()),
        event_types: seed
            .percent(50)
            .then(|| ["opened", "closed"].map(|name| name.parse().unwrap()).into()),
        stream_prefix: seed.percent(30).then(|| "account/a".into()),
    }
}

impl Everything {
    /// Without the ids that a store makes for plain events, which every driver makes in its own way.
    pub(crate) fn without_made_ids(mut self, ids_count: u128) -> Self {
        let made = |id: Uuid| id.as_u128() > ids_count;
        let feeds = self.feeds.iter_mut().flatten();
        let pages = self.pages.iter_mut().flat_map(|page| &mut page.events);
        for event in self.feed.iter_mut().chain(feeds).chain(pages) {
            if event.command_id.is_none() && made(event.id.uuid()) {
                event.id = EventId::new(Uuid::nil());
            }
        }
        let appends = self.commits.iter_mut().flat_map(|commit| &mut commit.commit.streams);
        for event in appends.flat_map(|append| &mut append.events) {
            event.id = event.id.filter(|id| !made(id.uuid()));
        }
        self
    }

    /// Fails where two stores differ, with the part in which they do.
    #[track_caller]
    pub(crate) fn assert_same(&self, other: &Self, what: &str) {
        assert_eq!(self.commits, other.commits, "{what}: commits");
        assert_eq!(self.feed, other.feed, "{what}: feed");
        assert_eq!(self.feeds, other.feeds, "{what}: filtered feeds");
        assert_eq!(self.pages, other.pages, "{what}: pages of streams");
        assert_eq!(self.commands, other.commands, "{what}: commands");
        assert_eq!(self.found, other.found, "{what}: commands by id");
        assert_eq!(self.claims, other.claims, "{what}: claims");
        assert_eq!(self.infos, other.infos, "{what}: ends of streams");
        assert_eq!(self.counts, other.counts, "{what}: counts");
        assert_eq!(self.head, other.head, "{what}: head");
    }

    /// Fails when positions or revisions have a hole or a repeat, or the store made an id twice.
    #[track_caller]
    pub(crate) fn assert_dense(&self, ids_count: u128) {
        for (number, commit) in (0..).zip(&self.commits) {
            assert_eq!(commit.number, number);
        }
        let mut revisions = std::collections::BTreeMap::new();
        let mut ids = std::collections::HashSet::new();
        let mut latest = Timestamp::from_ms(0);
        for (number, event) in (0..).zip(&self.feed) {
            assert_eq!(event.position, Position::new(number));
            let next = revisions.entry(event.stream.as_str()).or_insert(0);
            assert_eq!(event.revision, Revision::new(*next));
            *next += 1;
            let is_made = event.command_id.is_none() && event.id.uuid().as_u128() > ids_count;
            assert!(!is_made || ids.insert(event.id), "an id was made twice");
            assert!(event.recorded_at >= latest, "time goes back");
            latest = event.recorded_at;
        }
    }
}
