//! Many writers and readers at once.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_core::commit::{Accepted, Claim, Commit, Receipt};
use annals_core::event::RecordedEvent;
use annals_core::invariants::positions_increase;
use annals_core::place::{ExpectedRevision, Partition, Position, Revision};
use annals_core::port::event_store::{AppendError, FeedFilter};
use futures_util::future::join_all;
use tokio::task::JoinHandle;

use crate::support::{
    NOW, Store, all_feeds, append, assert_same, command_id, commit_of, data_from, data_of, decided,
    event, event_with_id, events, exactly, part, partition_of, partitions, plain, stream,
    whole_feed, whole_stream, wrong_revision,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;
const WRITERS_COUNT: u64 = 32;

/// Guards R8: of many writers at one revision exactly one wins, each loser is told where the stream
/// is, and losers' events are nowhere.
pub async fn of_writers_at_one_revision_exactly_one_wins(store: &Store) {
    for (round, expected) in (0..).zip([ExpectedRevision::NoStream, exactly(0), exactly(1)]) {
        let commits = (0..WRITERS_COUNT).map(|number| plain("one", expected, vec![event(number)]));
        let mut winners = Vec::new();
        for (number, outcome) in (0..).zip(append_at_once(store, commits.collect()).await) {
            match outcome {
                Ok(receipt) => winners.push((number, receipt.streams[0].revision)),
                Err(error) => assert_same(&error, &wrong_revision("one", expected, round + 1)),
            }
        }
        assert_eq!(winners.len(), 1);
        let (winner, revision) = winners[0];
        assert_eq!(revision, Revision::new(round).into());
        let recorded = whole_stream(store, &stream("one"), usize::MAX).await;
        assert_eq!(recorded.len(), usize::try_from(round).unwrap() + 1);
        assert_eq!(recorded.last().unwrap().data, event(winner).data);
    }
    let feeds = all_feeds(store).await;
    assert_eq!(feeds.concat(), whole_stream(store, &stream("one"), usize::MAX).await);
}

/// Guards throughput and independence: writers of different streams do not refuse each other.
pub async fn writers_of_different_streams_all_win(store: &Store) {
    let create = ExpectedRevision::NoStream;
    let ids: Vec<String> = (0..WRITERS_COUNT).map(|number| format!("own-{number}")).collect();
    let commits = ids.iter().map(|id| plain(id, create, events(3)));
    for outcome in append_at_once(store, commits.collect()).await {
        assert_eq!(outcome.unwrap().streams[0].revision, Revision::new(2).into());
    }
    for id in &ids {
        assert_eq!(whole_stream(store, &stream(id), usize::MAX).await.len(), 3);
    }
}

/// Guards the order of a stream: writers that expect nothing all win, without a hole and with the
/// events of each commit together.
pub async fn writers_that_expect_nothing_all_win(store: &Store) {
    let commits = (0..WRITERS_COUNT).map(|number| plain("any", ANY, vec![event(number); 3]));
    let mut places = HashSet::new();
    for (number, outcome) in (0..).zip(append_at_once(store, commits.collect()).await) {
        let range = outcome.unwrap().streams[0].events.unwrap();
        let page = whole_stream(store, &stream("any"), usize::MAX).await;
        let first = usize::try_from(range.first_revision.get()).unwrap();
        let own = &page[first..first + 3];
        let numbers = data_of(own);
        assert_eq!(numbers, vec![String::from_utf8(event(number).data.to_vec()).unwrap(); 3]);
        places.extend(own.iter().map(|event| event.revision));
    }
    assert_eq!(places, (0..WRITERS_COUNT * 3).map(Revision::new).collect());
}

/// Guards C3: a command sent many times at once is decided once.
pub async fn of_one_command_many_times_exactly_one_wins(store: &Store) {
    let commits = vec![decided("command", 1, events(2)); 50];
    let error = AppendError::AlreadyDecided { stream: stream("command"), command: command_id(1) };
    let mut winners = Vec::new();
    for outcome in append_at_once(store, commits).await {
        match outcome {
            Ok(receipt) => winners.push(receipt),
            Err(refusal) => assert_same(&refusal, &error),
        }
    }
    let found = store.find_command(&stream("command"), command_id(1)).await.unwrap();
    let events_of = |receipt: &Receipt| receipt.streams[0].events;
    assert_eq!(winners.len(), 1);
    assert_eq!(found.unwrap().events, events_of(&winners[0]));
    assert_eq!(whole_stream(store, &stream("command"), 10).await.len(), 2);
}

/// Guards R8: a plain append sent many times at once is written once and succeeds each time.
pub async fn of_one_append_many_times_all_get_one_receipt(store: &Store) {
    let commit = plain("ids", ExpectedRevision::NoStream, vec![event_with_id(1), event_with_id(2)]);
    let outcomes = append_at_once(store, vec![commit; 50]).await;
    let receipts: Vec<Receipt> = outcomes.into_iter().map(Result::unwrap).collect();
    assert!(receipts.iter().all(|receipt| receipt == &receipts[0]));
    assert_eq!(whole_stream(store, &stream("ids"), 10).await.len(), 2);
}

/// Guards C8: of many streams that claim a name at once exactly one gets it, and the others are told
/// which.
pub async fn of_claims_of_one_name_exactly_one_wins(store: &Store) {
    let claiming = |number| {
        let id = format!("claims-{number}");
        Commit {
            claims: vec![Claim {
                scope: Arc::from("concurrency"),
                key: Arc::from("name"),
                stream: stream(&id),
                expires_at: None,
            }],
            ..plain(&id, ANY, events(1))
        }
    };
    let outcomes = append_at_once(store, (0..WRITERS_COUNT).map(claiming).collect()).await;
    let holder = store.claim_holder("concurrency", "name", NOW).await.unwrap();
    let holder = holder.unwrap().stream;
    let error = AppendError::ClaimHeld {
        scope: Arc::from("concurrency"),
        key: Arc::from("name"),
        holder: holder.clone(),
    };
    for (number, outcome) in outcomes.into_iter().enumerate() {
        let has_won = holder == stream(&format!("claims-{number}"));
        match outcome {
            Ok(_) => assert!(has_won),
            Err(refusal) => assert_same(&refusal, &error),
        }
    }
    let events_count: usize = all_feeds(store).await.iter().map(Vec::len).sum();
    assert_eq!(events_count, 1);
}

/// Guards R9: two commits at once, each of which expects what the other changes. One is accepted; a
/// store that checked both before it wrote either would accept two.
pub async fn of_commits_that_refute_each_other_exactly_one_wins(store: &Store) {
    let create = ExpectedRevision::NoStream;
    for round in 0..20 {
        let (left, right) = (format!("left-{round}"), format!("right-{round}"));
        let commit = |written: &str, expected: &str| {
            let expectation = part(expected, create, Vec::new());
            commit_of(vec![expectation, part(written, create, events(1))])
        };
        let commits = vec![commit(&left, &right), commit(&right, &left)];
        let outcomes = append_at_once(store, commits).await;
        let winners_count = outcomes.iter().filter(|outcome| outcome.is_ok()).count();
        assert_eq!(winners_count, 1, "{outcomes:?}");
        for (outcome, expected) in outcomes.into_iter().zip([&right, &left]) {
            if let Err(error) = outcome {
                assert_same(&error, &wrong_revision(expected, create, 1));
            }
        }
    }
}

/// Guards R9: commits on the way together, of which the second rests on the first. Whichever comes
/// first, the outcome is that of one after the other.
pub async fn commits_at_once_count_one_after_the_other(store: &Store) {
    for round in 0..20 {
        let id = format!("chain-{round}");
        let commits = vec![
            plain(&id, ExpectedRevision::NoStream, vec![event(0)]),
            plain(&id, exactly(0), vec![event(1)]),
            plain(&id, exactly(1), vec![event(2)]),
        ];
        let outcomes = append_at_once(store, commits).await;
        assert!(outcomes[0].is_ok(), "nothing refutes the first: {outcomes:?}");
        let mut accepted = 0;
        for outcome in &outcomes {
            let is_next = match outcome {
                Ok(receipt) => receipt.streams[0].revision == Revision::new(accepted).into(),
                Err(error) => matches!(error, AppendError::WrongExpectedRevision { .. }),
            };
            assert!(is_next, "{outcomes:?}");
            accepted += u64::from(outcome.is_ok());
        }
        let recorded = whole_stream(store, &stream(&id), 10).await;
        assert_eq!(u64::try_from(recorded.len()).unwrap(), accepted);
    }
}

/// Guards the safe position (R10): a reader at the head, while writers run, is given every event in
/// order once; no smaller position appears later.
pub async fn a_reader_at_the_head_misses_nothing_while_writers_run(store: &Store) {
    const COMMITS_COUNT: u64 = 40;
    let readers: Vec<JoinHandle<Vec<RecordedEvent>>> = partitions(store)
        .map(|partition| {
            let store = Arc::clone(store);
            tokio::spawn(async move { read_until_sealed(&store, partition).await })
        })
        .collect();
    let writers = (0..8).map(|number| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for round in 0..COMMITS_COUNT {
                let own = plain(&format!("writer-{number}"), ANY, events(1 + round % 3));
                let Accepted { durability, .. } = store.append(own).await.unwrap();
                store.append(plain("all-writers", ANY, events(1))).await.unwrap();
                if round % 5 == 0 {
                    durability.wait().await.unwrap();
                }
            }
        })
    });
    for writer in join_all(writers).await {
        writer.unwrap();
    }
    seal(store).await;
    for (partition, reader) in partitions(store).zip(readers) {
        let seen = reader.await.unwrap();
        let filter = FeedFilter::default();
        assert_eq!(seen, whole_feed(store, partition, &filter, usize::MAX).await);
    }
}

/// Guards the safe position (R10): whenever a reader looks at the whole feed beside many writers, it
/// sees the beginning of what the feed is in the end. A position that appears below one that was
/// shown would make the look differ from it.
pub async fn every_look_at_the_feed_is_the_beginning_of_the_final_one(store: &Store) {
    let writers = (0..8).map(|number| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for round in 0..25 {
                let shared = part(&format!("shared-{}", round % 3), ANY, events(1));
                let own = part(&format!("look-{number}"), ANY, events(1 + round % 4));
                store.append(commit_of(vec![own, shared])).await.unwrap();
            }
        })
    });
    let writers: Vec<JoinHandle<()>> = writers.collect();
    let readers = (0..3).map(|number| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let mut looks: Vec<Vec<Vec<RecordedEvent>>> = Vec::new();
            for _ in 0..20 {
                let mut look = Vec::new();
                for partition in partitions(&store) {
                    let filter = FeedFilter::default();
                    let limit = if number == 0 { 13 } else { usize::MAX };
                    look.push(whole_feed(&store, partition, &filter, limit).await);
                }
                looks.push(look);
                tokio::task::yield_now().await;
            }
            looks
        })
    });
    let readers: Vec<JoinHandle<_>> = readers.collect();
    for writer in writers {
        writer.await.unwrap();
    }
    store.flush().await.unwrap();
    let in_the_end = all_feeds(store).await;
    assert_eq!(in_the_end.iter().map(Vec::len).sum::<usize>(), 8 * 25 + 8 * (25 + 36));
    for reader in readers {
        for look in reader.await.unwrap() {
            for (feed, in_the_end) in look.iter().zip(&in_the_end) {
                assert!(
                    in_the_end.starts_with(feed),
                    "an event appeared before one that was shown"
                );
            }
        }
    }
}

/// Guards R10, the seam: readers that stop anywhere and go on from their last position beside running
/// writers are given each event once.
pub async fn a_reader_that_stops_goes_on_from_its_position(store: &Store) {
    let writer = {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for number in 0..100 {
                store.append(plain("seam", ANY, vec![event(number)])).await.unwrap();
            }
        })
    };
    let partition = partition_of(store, "seam");
    let filter = FeedFilter::default();
    let (mut seen, mut after) = (Vec::new(), None);
    while seen.len() < 100 {
        // Its checkpoint is the last event it has seen, not how far the page was read.
        let limit = 1 + seen.len() % 4;
        let page = store.read_feed(partition, after, &filter, limit).await.unwrap();
        after = page.events.last().map(|event| event.position).or(after);
        seen.extend(page.events);
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    assert_eq!(data_of(&seen), data_from(0..100));
}

/// Guards R10: many thousand idle subscribers hold up neither writers nor each other, those that go
/// away while they wait are not waited for, and all that stay are told.
pub async fn many_idle_subscribers_hold_up_nobody(store: &Store) {
    let partition = partition_of(store, "idle");
    // One look is enough for all, since each look of a remote driver is a request.
    let is_there = Arc::new(AtomicBool::new(false));
    let waiters = (0..10_000).map(|_| {
        let (store, is_there) = (Arc::clone(store), Arc::clone(&is_there));
        tokio::spawn(async move {
            loop {
                store.wait_for_news(partition, None).await.unwrap();
                if is_there.load(Ordering::SeqCst) {
                    break;
                }
                let has_event = store.head(partition).await.unwrap().is_some();
                is_there.fetch_or(has_event, Ordering::SeqCst);
            }
        })
    });
    let mut waiters: Vec<JoinHandle<()>> = waiters.collect();
    tokio::task::yield_now().await;
    for gone in waiters.drain(..5_000) {
        gone.abort();
    }
    append(store, plain("idle", ANY, events(1))).await;
    for waiter in waiters {
        waiter.await.unwrap();
    }
}

/// Guards reads while a stream grows: a page is what the stream was at one moment, without a hole.
pub async fn a_stream_read_while_it_grows_has_no_hole(store: &Store) {
    let writer = {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for number in 0..100 {
                let commit = plain("grows", ANY, vec![event(number), event(number)]);
                store.append(commit).await.unwrap();
            }
        })
    };
    let mut events_count = 0;
    while events_count < 200 {
        let recorded = whole_stream(store, &stream("grows"), usize::MAX).await;
        assert!(recorded.len() >= events_count, "events went away");
        assert_eq!(recorded.len() % 2, 0, "half a commit was shown");
        events_count = recorded.len();
        let revisions = recorded.iter().map(|event| event.revision.get());
        assert!(revisions.eq((0..).take(events_count)));
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
}

/// Appends all commits at once, each in a task of its own, and waits until they are durable.
async fn append_at_once(store: &Store, commits: Vec<Commit>) -> Vec<Result<Receipt, AppendError>> {
    let tasks = commits.into_iter().map(|commit| {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            let accepted = store.append(commit).await?;
            accepted.durability.wait().await.unwrap();
            Ok(accepted.receipt)
        })
    });
    let outcomes = join_all(tasks).await;
    outcomes.into_iter().map(Result::unwrap).collect()
}

/// Appends an event `number: 99` to a stream of every partition.
async fn seal(store: &Store) {
    for partition in partitions(store) {
        let ids = (0..).map(|number: u64| format!("seal-{number}"));
        let mut ids = ids.filter(|id| partition_of(store, id) == partition);
        append(store, plain(&ids.next().unwrap(), ANY, vec![event(99)])).await;
    }
}

/// Reads a partition at its head until the event that [`seal`] appends.
async fn read_until_sealed(store: &Store, partition: Partition) -> Vec<RecordedEvent> {
    let filter = FeedFilter::default();
    let (mut seen, mut after): (Vec<RecordedEvent>, Option<Position>) = (Vec::new(), None);
    loop {
        let page = store.read_feed(partition, after, &filter, 7).await.unwrap();
        assert!(positions_increase(after, &page.events));
        assert!(page.read_up_to >= after);
        after = page.read_up_to;
        seen.extend(page.events);
        if seen.last().is_some_and(|event| event.stream.id().starts_with("seal-")) {
            return seen;
        }
        if page.is_at_head {
            store.wait_for_news(partition, after).await.unwrap();
        }
    }
}
