//! Random histories on a store and on a reference model: both must say the same.

mod reference;
mod step;

use std::cell::{Cell, RefCell};
use std::sync::Arc;

use annals_core::commit::{Commit, Receipt};
use annals_core::place::Revision;
use annals_core::port::event_store::{Direction, FeedFilter};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Handle;

use self::reference::Reference;
use self::step::{EXPIRY_STEPS_MAX, History, SCOPE, Step};
use crate::support::{
    Store, append, assert_same, partitions, whole_commits, whole_feed, whole_stream,
};

/// How many histories are tried. The same ones each time: a failure is never a matter of luck.
pub const HISTORIES_COUNT: u32 = 64;

/// Most steps of a history (inclusive).
pub const STEPS_MAX: usize = 40;

/// Guards all rules together: commits of one and several streams, with and without commands, given
/// ids, claims and releases, accepted and refused, and what can be read after each.
pub async fn random_histories_equal_the_reference_model(store: &Store) {
    let config = Config { cases: HISTORIES_COUNT, failure_persistence: None, ..Config::default() };
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(config, rng);
    // Each history has streams, ids and claims of its own, the shorter ones of a failure too.
    let number = Cell::new(0);
    // How many commits each partition has at least.
    let known = RefCell::new(vec![0; partitions(store).count()]);
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&step::history(STEPS_MAX), |steps| {
            let history = History::new(number.replace(number.get() + 1));
            let commits_before = known.borrow().clone();
            let commits_before = Handle::current().block_on(async {
                let commits_before = commits_counts(store, &commits_before).await;
                check_history(store, &history, &steps, &commits_before).await;
                commits_before
            });
            *known.borrow_mut() = commits_before;
            Ok(())
        })
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

async fn check_history(store: &Store, history: &History, steps: &[Step], commits_before: &[u64]) {
    let mut reference = Reference::new(store.capabilities().command_ids_remembered);
    let mut receipts = Vec::new();
    for (index, step) in steps.iter().enumerate() {
        let commit = history.commit(index, steps);
        match reference.append(commit.clone()) {
            Ok(number) => {
                let receipt = append(store, commit.clone()).await;
                if number < receipts.len() {
                    assert_eq!(receipt, receipts[number]);
                } else {
                    check_receipt(&receipt, &commit, &reference);
                    receipts.push(receipt);
                }
            }
            Err(expected) => {
                let refused = store.append(commit).await.map(|accepted| accepted.receipt);
                assert_same(&refused, &Err::<Receipt, _>(expected));
            }
        }
        check_page(store, history, &reference, step).await;
    }
    check_streams(store, history, &reference).await;
    check_claims(store, history, &reference, steps.len()).await;
    check_feed(store, history, &reference).await;
    check_commits(store, &reference, commits_before).await;
}

/// Checks the receipt of the commit that was appended last.
fn check_receipt(receipt: &Receipt, commit: &Commit, reference: &Reference) {
    let told: Vec<_> = receipt.streams.iter().map(|it| it.revision).collect();
    let revisions = commit.streams.iter().map(|part| reference.revision(&part.stream));
    assert_eq!((receipt.recorded_at, told), (commit.recorded_at, revisions.collect()));
}

/// Checks a page of the stream that the step looks at.
async fn check_page(store: &Store, history: &History, reference: &Reference, step: &Step) {
    let stream = history.stream(step.look.stream);
    let (from, limit) = (Revision::new(step.look.from), step.look.limit);
    let revisions = reference.events(&stream).len();
    let revisions = (0..u64::try_from(revisions).unwrap()).map(Revision::new);
    let mut rest: Vec<Revision> = match step.look.direction {
        Direction::Forwards => revisions.filter(|revision| *revision >= from).collect(),
        Direction::Backwards => revisions.filter(|revision| *revision <= from).rev().collect(),
    };
    let next = rest.get(limit).copied();
    rest.truncate(limit);
    let page = store.read_stream(&stream, from, limit, step.look.direction);
    let page = page.await.unwrap();
    let read: Vec<Revision> = page.events.iter().map(|event| event.revision).collect();
    assert_eq!((read, page.next), (rest, next));
}

/// Checks all events and commands of all streams of the history.
async fn check_streams(store: &Store, history: &History, reference: &Reference) {
    for stream in history.streams() {
        let recorded = whole_stream(store, &stream, 3).await;
        let recorded = recorded.into_iter().map(|event| event.data);
        let events = reference.events(&stream);
        assert!(recorded.eq(events.iter().map(|event| event.data.clone())));

        let commands = store.read_commands(&stream, 0, usize::MAX).await.unwrap();
        let records: Vec<_> = commands.iter().map(|command| &command.record).collect();
        assert_eq!(records, reference.commands(&stream));
        for command in &commands {
            let id = command.record.id;
            let found = store.find_command(&stream, id).await.unwrap();
            let expected = reference.find_command(&stream, id);
            assert_eq!(found.as_ref().map(|found| &found.record), expected);
            let last = commands.iter().rfind(|command| command.record.id == id);
            assert!(found.is_none() || found.as_ref() == last);
        }

        let info = store.stream_info(&stream).await.unwrap();
        let commands_count = u64::try_from(commands.len()).unwrap();
        let told = (info.revision, info.commands_count);
        assert_eq!(told, (reference.revision(&stream), commands_count));
    }
}

/// Checks who holds the claims of the history after its last step, until the last has expired.
async fn check_claims(store: &Store, history: &History, reference: &Reference, steps_count: usize) {
    for key in history.keys() {
        for index in 0..=EXPIRY_STEPS_MAX {
            let now = history.time(steps_count + index);
            let holder = store.claim_holder(SCOPE, &key, now).await.unwrap();
            assert_eq!(holder, reference.holder(&key, now));
        }
    }
}

/// Checks that the feed has the events of the history in the order of its commits.
async fn check_feed(store: &Store, history: &History, reference: &Reference) {
    let filter = FeedFilter {
        stream_prefix: Some(Arc::from(history.stream_prefix())),
        ..FeedFilter::default()
    };
    for partition in partitions(store) {
        let feed = whole_feed(store, partition, &filter, 5).await;
        let feed: Vec<_> = feed.iter().map(|event| (&event.stream, &event.data)).collect();
        let capabilities = store.capabilities();
        let parts = reference.parts();
        let parts = parts.filter(|part| capabilities.partition_of(&part.stream) == partition);
        let expected =
            parts.flat_map(|part| part.events.iter().map(|event| (&part.stream, &event.data)));
        let expected: Vec<_> = expected.collect();
        assert_eq!(feed, expected);
    }
}

/// How many commits each partition has, when it has at least as many as are known.
async fn commits_counts(store: &Store, known: &[u64]) -> Vec<u64> {
    store.flush().await.unwrap();
    let mut counts = Vec::new();
    for (partition, known) in partitions(store).zip(known) {
        let more = whole_commits(store, partition, *known, 1_000).await.len();
        counts.push(known + u64::try_from(more).unwrap());
    }
    counts
}

/// Checks that the commits after those before the history are its accepted ones, as they were
/// recorded.
async fn check_commits(store: &Store, reference: &Reference, commits_before: &[u64]) {
    store.flush().await.unwrap();
    for (partition, from) in partitions(store).zip(commits_before) {
        let mut expected = reference.commits.clone();
        let capabilities = store.capabilities();
        expected.retain(|commit| {
            commit.home().map(|stream| capabilities.partition_of(stream)) == Some(partition)
        });
        let mut recorded = Vec::new();
        for (number, found) in (*from..).zip(whole_commits(store, partition, *from, 7).await) {
            assert_eq!(found.number, number);
            recorded.push(found.commit);
        }
        for (commit, expected) in recorded.iter_mut().zip(&expected) {
            forget_made_ids(commit, expected);
        }
        assert_eq!(recorded, expected);
    }
}

/// Takes the ids away that the store made, where `appended` gave none.
fn forget_made_ids(recorded: &mut Commit, appended: &Commit) {
    let is_plain = recorded.command.is_none();
    for (part, appended) in recorded.streams.iter_mut().zip(&appended.streams) {
        for (event, appended) in part.events.iter_mut().zip(&appended.events) {
            assert_eq!(event.id.is_some(), is_plain);
            event.id = event.id.filter(|_| appended.id.is_some());
        }
    }
}
