//! Partitions: which stream and commit is in which, and commits of several of them. A store of one
//! partition keeps the same rules.

use std::collections::HashSet;
use std::sync::Arc;

use annals_core::commit::Commit;
use annals_core::event::RecordedEvent;
use annals_core::place::{ExpectedRevision, Partition};
use annals_core::port::event_store::FeedFilter;
use annals_core::stream::StreamId;
use futures_util::future::join_all;

use crate::support::{
    Store, after_now, all_commits, all_feeds, append, assert_recorded, assert_refused, commit_of,
    decided, events, exactly, feed_of_stream, ids_in_many_partitions, part, partition_of,
    partitions, plain, refused_by_domain, stream, whole_feed, whole_stream, wrong_revision,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;

/// Guards every host's reckoning of partitions: a stream is where its id says, before and after its
/// first event, and its events are in the feed of that partition and of no other.
pub async fn a_stream_is_in_the_partition_that_its_id_says(store: &Store) {
    let ids = ["account/1", "account/2", "accounts/1", "transfer/\u{1f600}", "$plugins/registry"];
    let ids = ids.map(|id| StreamId::parse(id).unwrap());
    let filter = FeedFilter {
        categories: Some(ids.iter().map(|id| Arc::from(id.category())).collect()),
        ..FeedFilter::default()
    };
    for id in &ids {
        let expected = store.capabilities().partition_of(id);
        assert_eq!(store.stream_info(id).await.unwrap().partition, expected, "{id}");
        let commit = Commit::plain(id.clone(), ExpectedRevision::NoStream, events(2), after_now(0));
        append(store, commit).await;
        assert_eq!(store.stream_info(id).await.unwrap().partition, expected, "{id}");
        for partition in partitions(store) {
            let mut own = whole_feed(store, partition, &filter, usize::MAX).await;
            own.retain(|event| event.stream == *id);
            let told: HashSet<Partition> = own.iter().map(|event| event.partition).collect();
            let count = if partition == expected { 2 } else { 0 };
            assert_eq!((own.len(), told.len()), (count, count.min(1)), "{id}");
            assert!(told.into_iter().all(|told| told == partition), "{id}");
        }
    }
}

/// Guards readers that count: the positions of a partition are 0, 1, 2 … whatever commits are
/// between its events, of other partitions, without events, refused or repeated.
pub async fn positions_of_a_partition_have_no_hole(store: &Store) {
    let ids = ids_in_many_partitions(store, "dense");
    for (number, id) in (1..).zip(&ids) {
        let parts = ids.iter().skip(1).map(|id| part(id, ANY, events(2)));
        append(store, commit_of(parts.collect())).await;
        append(store, refused_by_domain(id, number)).await;
        append(store, decided(id, 100 + number, events(1))).await;
        append(store, decided(id, 200 + number, Vec::new())).await;
        assert!(store.append(plain(id, exactly(99), events(1))).await.is_err());
        assert!(store.append(decided(id, 100 + number, events(1))).await.is_err());
    }
    let mut events_count = 0;
    for feed in all_feeds(store).await {
        assert_dense(&feed);
        events_count += feed.len();
    }
    assert_eq!(events_count, ids.len() * (2 * (ids.len() - 1) + 1));
}

/// Guards atomicity over partitions: every feed has the commit's events, or none has.
pub async fn a_commit_of_many_partitions_is_in_the_feed_of_each(store: &Store) {
    let ids = ids_in_many_partitions(store, "each");
    let commit = |last| {
        let mut parts: Vec<_> = ids.iter().map(|id| part(id, ANY, events(2))).collect();
        parts.last_mut().unwrap().expected = last;
        commit_of(parts)
    };
    let last = ids.last().unwrap();
    assert_refused(store, commit(exactly(0)), &wrong_revision(last, exactly(0), 0)).await;
    for id in &ids {
        assert_eq!(feed_of_stream(store, &stream(id)).await, []);
    }
    let commit = commit(ExpectedRevision::NoStream);
    let receipt = append(store, commit.clone()).await;
    assert_recorded(store, &commit, &receipt).await;
    for (id, receipt) in ids.iter().zip(&receipt.streams) {
        let feed = feed_of_stream(store, &stream(id)).await;
        let positions: Vec<_> = feed.iter().map(|event| event.position).collect();
        let range = receipt.events.unwrap();
        assert_eq!(positions, [range.first_position, range.last_position]);
    }
}

/// Guards writers over partitions against each other: commits that name the same streams in many
/// orders at once are all accepted, each whole.
pub async fn commits_of_many_partitions_at_once_are_all_whole(store: &Store) {
    const COMMITS_COUNT: usize = 24;
    let ids = ids_in_many_partitions(store, "at-once");
    let commits = (0..COMMITS_COUNT).map(|number| {
        let mut ids = ids.clone();
        let first = number % ids.len();
        ids.rotate_left(first);
        if number % 2 == 0 {
            ids.reverse();
        }
        let (store, number) = (Arc::clone(store), u64::try_from(number).unwrap());
        tokio::spawn(async move {
            let parts = ids.iter().map(|id| part(id, ANY, events(1 + number % 3)));
            append(&store, commit_of(parts.collect())).await
        })
    });
    for appended in join_all(commits).await {
        assert_eq!(appended.unwrap().streams.len(), ids.len());
    }
    let mut commits_counts = 0;
    for (partition, feed) in partitions(store).zip(all_feeds(store).await) {
        assert_dense(&feed);
        assert!(feed.is_sorted_by_key(|event| event.recorded_at));
        commits_counts += all_commits(store, partition).await.len();
    }
    assert_eq!(commits_counts, COMMITS_COUNT);
    for id in &ids {
        let events_count = whole_stream(store, &stream(id), usize::MAX).await.len();
        assert_eq!(events_count, COMMITS_COUNT / 3 * (1 + 2 + 3));
    }
}

/// Guards R7 over partitions: a commit of several is not before the latest of any of them, and none
/// of them goes back behind it.
pub async fn a_commit_of_many_partitions_is_recorded_after_all_of_them(store: &Store) {
    let ids = ids_in_many_partitions(store, "times");
    let mut latest = 0;
    for (ms, id) in (1..).map(|number| number * 7 % 5).zip(&ids) {
        latest = latest.max(ms);
        append(store, Commit { recorded_at: after_now(ms), ..plain(id, ANY, events(1)) }).await;
    }
    let of_all = commit_of(ids.iter().map(|id| part(id, ANY, events(1))).collect());
    let recorded_at =
        append(store, Commit { recorded_at: after_now(1), ..of_all }).await.recorded_at;
    assert_eq!(recorded_at, after_now(latest));
    for id in &ids {
        assert_eq!(append(store, plain(id, ANY, events(1))).await.recorded_at, after_now(latest));
    }
}

/// Guards exports, which read partition by partition: a commit is in that of its command's stream, or
/// of its first stream, and in no other, whatever it writes.
pub async fn a_commit_is_in_the_partition_of_its_command_or_first_stream(store: &Store) {
    let ids = ids_in_many_partitions(store, "own");
    let mut expected = vec![Vec::new(); partitions(store).count()];
    for (number, id) in (1..).zip(&ids) {
        let parts = |events_count| ids.iter().map(move |id| part(id, ANY, events(events_count)));
        let mut others = parts(1).collect::<Vec<_>>();
        others.retain(|other| other.stream != stream(id));
        let first = part(id, ANY, Vec::new());
        let by_first_stream = commit_of([first].into_iter().chain(others.clone()).collect());
        let by_command = Commit { streams: others, ..decided(id, number, Vec::new()) };
        let rejected = refused_by_domain(id, 100 + number);
        for commit in [by_first_stream, by_command, rejected] {
            let index = usize::try_from(partition_of(store, id).0).unwrap();
            expected[index].push((commit.command.clone(), commit.events_count()));
            append(store, commit).await;
        }
    }
    for (partition, expected) in partitions(store).zip(expected) {
        let recorded = all_commits(store, partition).await;
        assert!(recorded.iter().map(|it| it.number).eq((0..).take(recorded.len())));
        let recorded = recorded.into_iter().map(|it| it.commit);
        let recorded = recorded.map(|commit| (commit.command.clone(), commit.events_count()));
        assert_eq!(recorded.collect::<Vec<_>>(), expected);
    }
}

/// Guards positions of commits against events that other partitions' commits bring: they count.
pub async fn the_position_of_a_commit_counts_events_of_other_commits(store: &Store) {
    let ids = ids_in_many_partitions(store, "brought");
    let (own, other) = (&ids[0], &ids[1]);
    for number in 0..3 {
        let both = vec![part(other, ANY, events(1)), part(own, ANY, events(2))];
        append(store, commit_of(both)).await;
        append(store, refused_by_domain(own, number)).await;
        append(store, plain(own, ANY, events(1))).await;
    }
    let recorded = all_commits(store, partition_of(store, own)).await;
    let feed = feed_of_stream(store, &stream(own)).await;
    // The positions of the plain appends, which come directly after the rejected commands.
    let expected = feed.chunks(3).flat_map(|round| [round[2].position; 2]);
    let told = recorded.iter().filter(|it| it.commit.streams.len() < 2);
    assert!(told.map(|it| it.first_position).eq(expected));
}

/// Asserts that the events of a whole feed have the positions 0, 1, 2 …
fn assert_dense(feed: &[RecordedEvent]) {
    let positions = feed.iter().map(|event| event.position.get());
    assert!(positions.eq((0..).take(feed.len())));
}
