//! Accepted and durable: what counts at once, what is shown when, and who waits.

use std::sync::Arc;

use annals_core::commit::{Accepted, Claim, Commit};
use annals_core::place::{ExpectedRevision, Revision};
use annals_core::port::event_store::{AppendError, FeedFilter};

use crate::support::{
    NOW, Store, after_now, assert_same, command_id, commit_of, decided, event_with_id, events,
    exactly, feed_of_stream, part, partition_of, plain, refused_by_domain, stream, whole_feed,
    whole_stream, wrong_revision,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;

/// Guards R9: a commit is checked against those accepted before it, durable or not: revisions,
/// command ids, event ids and claims.
pub async fn later_commits_are_checked_against_accepted_ones(store: &Store) {
    let create = ExpectedRevision::NoStream;
    let claiming = |id| Claim {
        scope: Arc::from("durability"),
        key: Arc::from("name"),
        stream: stream(id),
        expires_at: None,
    };
    let first = Commit { claims: vec![claiming("chain")], ..plain("chain", create, events(2)) };
    let mut pending = Vec::new();
    pending.push(accept(store, first).await);
    pending.push(accept(store, plain("chain", exactly(1), events(1))).await);
    pending.push(accept(store, decided("chain", 1, events(1))).await);
    let both = vec![part("chain", exactly(3), Vec::new()), part("rests", create, events(1))];
    pending.push(accept(store, commit_of(both)).await);

    let stale = store.append(plain("chain", exactly(2), events(1))).await;
    assert_same(&stale.err(), &Some(wrong_revision("chain", exactly(2), 4)));
    let repeated = store.append(decided("chain", 1, events(1))).await;
    let decided_before =
        AppendError::AlreadyDecided { stream: stream("chain"), command: command_id(1) };
    assert_same(&repeated.err(), &Some(decided_before));
    let claimed = Commit { claims: vec![claiming("other")], ..plain("other", ANY, events(1)) };
    let held = AppendError::ClaimHeld {
        scope: Arc::from("durability"),
        key: Arc::from("name"),
        holder: stream("chain"),
    };
    assert_same(&store.append(claimed).await.err(), &Some(held));

    for accepted in pending {
        accepted.durability.wait().await.unwrap();
    }
    assert_eq!(feed_of_stream(store, &stream("chain")).await.len(), 4);
}

/// Guards writers that read back: reads of a stream, its commands and claims show what was accepted
/// before they were called, without being told to wait.
pub async fn reads_show_what_was_accepted_before(store: &Store) {
    for number in 0..20_u64 {
        let id = format!("shown-{number}");
        let name = stream(&id);
        let mut commit = decided(&id, 1, events(2));
        commit.claims.push(Claim {
            scope: Arc::from("shown"),
            key: name.to_shared(),
            stream: name.clone(),
            expires_at: None,
        });
        let accepted = accept(store, commit).await;
        match number % 5 {
            0 => assert_eq!(whole_stream(store, &name, 10).await.len(), 2),
            1 => {
                let found = store.find_command(&name, command_id(1)).await.unwrap();
                assert_eq!(found.unwrap().events, accepted.receipt.streams[0].events);
            }
            2 => assert_eq!(store.read_commands(&name, 0, 10).await.unwrap().len(), 1),
            3 => {
                let holder = store.claim_holder("shown", name.as_str(), NOW).await.unwrap();
                assert_eq!(holder.unwrap().stream, name);
            }
            _ => {
                let info = store.stream_info(&name).await.unwrap();
                assert_eq!((info.revision, info.commands_count), (Revision::new(1).into(), 1));
            }
        }
    }
}

/// Guards readers against events that a crash takes back: what a stream read shows is durable, so
/// the head has reached it.
pub async fn no_read_shows_an_event_before_it_is_durable(store: &Store) {
    for number in 0..50 {
        drop(accept(store, plain("shown", ANY, events(1))).await);
        let recorded = whole_stream(store, &stream("shown"), usize::MAX).await;
        let last = recorded.last().unwrap();
        assert_eq!(last.revision, Revision::new(number));
        let head = store.head(last.partition).await.unwrap();
        assert!(head >= Some(last.position));
    }
}

/// Guards exports against commits that a crash takes back: commits are read without waiting, and end
/// at the last durable one.
pub async fn no_commit_is_shown_before_it_is_durable(store: &Store) {
    let partition = partition_of(store, "commits");
    for number in 0..50 {
        let accepted = accept(store, plain("commits", ANY, events(2))).await;
        let last = accepted.receipt.streams[0].events.unwrap().last_position;
        let is_shown = !store.read_commits(partition, number, 10).await.unwrap().is_empty();
        assert!(!is_shown || store.head(partition).await.unwrap() >= Some(last));
        accepted.durability.wait().await.unwrap();
        let page = store.read_commits(partition, number, 10).await.unwrap();
        assert_eq!(page.iter().map(|commit| commit.number).collect::<Vec<_>>(), [number]);
    }
}

/// Guards who waits for a commit: once it is durable, head and feed have it.
pub async fn the_feed_shows_what_is_durable(store: &Store) {
    let mut durabilities = Vec::new();
    for _ in 0..10 {
        durabilities.push(accept(store, plain("feed", ANY, events(3))).await);
    }
    for Accepted { receipt, durability } in durabilities {
        durability.wait().await.unwrap();
        let last = receipt.streams[0].events.unwrap().last_position;
        let partition = partition_of(store, "feed");
        assert!(store.head(partition).await.unwrap() >= Some(last));
        let feed = whole_feed(store, partition, &FeedFilter::default(), 7).await;
        assert!(feed.iter().any(|event| event.position == last));
    }
}

/// Guards shutdown: after a flush everything accepted before is durable, and a flush of nothing
/// returns.
pub async fn flush_waits_for_everything_accepted_before(store: &Store) {
    store.flush().await.unwrap();
    for number in 0..20_u64 {
        drop(accept(store, plain("flush", ANY, events(2))).await);
        drop(accept(store, refused_by_domain("flush", u128::from(number))).await);
        store.flush().await.unwrap();
        let recorded = feed_of_stream(store, &stream("flush")).await;
        assert_eq!(recorded.last().unwrap().revision, Revision::new(2 * number + 1));
    }
}

/// Guards R8: the success of a repeated append is not believed to be durable before the first is.
pub async fn a_repeated_append_is_durable_when_the_first_is(store: &Store) {
    for number in 0..20 {
        let commit = plain("repeat", ANY, vec![event_with_id(number)]);
        let first = accept(store, commit.clone()).await;
        let second = accept(store, commit).await;
        assert_eq!(second.receipt, first.receipt);
        second.durability.wait().await.unwrap();
        let last = feed_of_stream(store, &stream("repeat")).await;
        let last = last.last().unwrap();
        assert_eq!(Some(last.revision), first.receipt.streams[0].revision.0);
    }
}

/// Guards callbacks: a reply that is not awaited but left with the store is told too.
pub async fn a_callback_is_told_when_a_commit_is_durable(store: &Store) {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    for number in 0..20_u64 {
        let mut commit = plain("callback", ANY, events(1));
        commit.recorded_at = after_now(number);
        let accepted = accept(store, commit).await;
        let (tell, revision) = (tell.clone(), accepted.receipt.streams[0].revision);
        accepted.durability.on_done(move |outcome| {
            tell.send((outcome, revision)).unwrap();
        });
    }
    let mut revisions = Vec::new();
    for _ in 0..20 {
        let (outcome, revision) = told.recv().await.unwrap();
        assert_eq!(outcome, Ok(()));
        revisions.extend(revision.0);
    }
    revisions.sort_unstable();
    assert!(revisions.into_iter().eq((0..20).map(Revision::new)));
}

/// Appends, and does not wait until it is durable.
async fn accept(store: &Store, commit: Commit) -> Accepted {
    store.append(commit).await.unwrap()
}
