//! Random histories on a store and on a reference model: both must say the same.

mod reference;
mod step;

use std::cell::Cell;
use std::sync::Arc;

use annals_core::commit::Receipt;
use annals_core::place::{Partition, Revision};
use annals_core::port::event_store::{Direction, FeedFilter};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use tokio::runtime::Handle;

use self::reference::Reference;
use self::step::{EXPIRY_STEPS_MAX, History, SCOPE, Step};
use crate::support::{Store, append, assert_same, whole_feed, whole_stream};

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
    let outcome = tokio::task::block_in_place(|| {
        runner.run(&step::history(STEPS_MAX), |steps| {
            let history = History::new(number.replace(number.get() + 1));
            Handle::current().block_on(check_history(store, &history, &steps));
            Ok(())
        })
    });
    assert!(outcome.is_ok(), "{}", outcome.unwrap_err());
}

async fn check_history(store: &Store, history: &History, steps: &[Step]) {
    let mut reference = Reference::default();
    for (index, step) in steps.iter().enumerate() {
        let commit = history.commit(index, steps);
        match reference.append(commit.clone()) {
            Ok(expected) => {
                let receipt = append(store, commit).await;
                let revisions = receipt.streams.iter().map(|receipt| receipt.revision);
                assert_eq!((receipt.recorded_at, revisions.collect()), expected);
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
            let found = store.find_command(&stream, command.record.id).await;
            assert_eq!(found.unwrap().as_ref(), Some(command));
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
    let mut partitions = Vec::new();
    for stream in history.streams() {
        partitions.push((store.stream_info(&stream).await.unwrap().partition, stream));
    }
    for partition in (0..store.capabilities().partitions_count).map(Partition) {
        let feed = whole_feed(store, partition, &filter, 5).await;
        let feed: Vec<_> = feed.iter().map(|event| (&event.stream, &event.data)).collect();
        let parts = reference.parts().filter(|part| {
            let in_partition = |(its, stream): &(_, _)| *its == partition && *stream == part.stream;
            partitions.iter().any(in_partition)
        });
        let expected =
            parts.flat_map(|part| part.events.iter().map(|event| (&part.stream, &event.data)));
        let expected: Vec<_> = expected.collect();
        assert_eq!(feed, expected);
    }
}
