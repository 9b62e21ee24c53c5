//! `EventStore::read_correlated` and `first_commit_since`: all that one outside request led to.

use std::sync::Arc;

use annals_core::commit::{Commit, RecordedCommit};
use annals_core::event::{NewEvent, Origin};
use annals_core::id::{CausationId, CorrelationId};
use annals_core::limits::{PAYLOAD_BYTES_MAX, READ_BYTES_MAX, READ_EVENTS_MAX};
use annals_core::place::{ExpectedRevision, Partition};
use annals_core::port::event_store::{CorrelatedPage, ReadError};
use annals_core::time::Timestamp;
use bytes::Bytes;
use uuid::Uuid;

use crate::support::{
    NOW, Store, after_now, all_commits, append, decided, event, events, ids_in_many_partitions,
    part, partition_of, partitions, plain, refused_by_domain,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;

/// Guards a look into a new store: nothing is there, and no more is to come.
pub async fn an_empty_store_has_nothing_of_a_correlation_id(store: &Store) {
    for partition in partitions(store) {
        for from in [0, 1, u64::MAX] {
            let page = store.read_correlated(partition, &id("any"), from).await.unwrap();
            let expected = CorrelatedPage { commits: Vec::new(), next: from, is_at_head: true };
            assert_eq!(page, expected);
        }
    }
}

/// Guards traces: accepted and rejected commands and plain appends of the id are found, in their order
/// and as they are recorded, and nothing of other ids, of ids that begin alike, or without one.
pub async fn every_commit_of_a_correlation_id_is_found_and_no_other(store: &Store) {
    let ids = ids_in_many_partitions(store, "trace");
    let mut number = 0;
    for stream in &ids {
        for correlation in ["trace-1", "trace-2", "trace-10", "trace", "TRACE-1", ""] {
            for _ in 0..2 {
                number += 1;
                let commits = [
                    decided(stream, number * 10, events(2)),
                    decided(stream, number * 10 + 1, Vec::new()),
                    refused_by_domain(stream, number * 10 + 2),
                    plain(stream, ANY, events(1)),
                ];
                for commit in commits {
                    append(store, of(correlation, commit)).await;
                }
            }
        }
    }
    for partition in partitions(store) {
        let all = all_commits(store, partition).await;
        for correlation in ["trace-1", "trace-2", "trace-10", "trace", "TRACE-1"] {
            let wanted = Some(id(correlation));
            let expected: Vec<_> = all
                .iter()
                .filter(|it| it.commit.origin.correlation_id == wanted)
                .cloned()
                .collect();
            assert_eq!(all_of(store, partition, correlation, 0).await, expected);
        }
        assert_eq!(all_of(store, partition, "trace-3", 0).await, []);
    }
    let mut found = 0;
    for partition in partitions(store) {
        found += all_of(store, partition, "trace-1", 0).await.len();
    }
    assert_eq!(found, ids.len() * 8);
}

/// Guards ids in front of others: cause and principal beside the correlation id neither hide it nor are
/// taken for it.
pub async fn a_correlation_id_is_found_beside_cause_and_principal(store: &Store) {
    let origins = [
        (Some("it"), None, None),
        (Some("it"), Some(7), None),
        (Some("it"), None, Some("it")),
        (Some("it"), Some(7), Some("ada")),
        (None, Some(7), Some("it")),
        (Some("other"), None, Some("it")),
    ];
    for (correlation, causation, principal) in origins {
        let origin = Origin {
            correlation_id: correlation.map(id),
            causation_id: causation.map(|number| CausationId::new(Uuid::from_u128(number))),
            principal: principal.map(Arc::from),
        };
        append(store, Commit { origin: Arc::new(origin), ..plain("beside", ANY, events(1)) }).await;
    }
    let partition = partition_of(store, "beside");
    let found = all_of(store, partition, "it", 0).await;
    let origins_found: Vec<_> = found
        .iter()
        .map(|it| (it.commit.origin.causation_id.is_some(), it.commit.origin.principal.clone()))
        .collect();
    let (it, ada) = (Some(Arc::from("it")), Some(Arc::from("ada")));
    assert_eq!(origins_found, [(false, None), (true, None), (false, it), (true, ada)]);
}

/// Guards going on: a look begins with the commit of its number, inclusive.
pub async fn looks_for_a_correlation_id_from_a_number_inclusive(store: &Store) {
    for _ in 0..6 {
        append(store, of("it", plain("from", ANY, events(1)))).await;
        append(store, of("other", plain("from", ANY, events(1)))).await;
    }
    let partition = partition_of(store, "from");
    for from in 0..14 {
        let numbers: Vec<_> =
            all_of(store, partition, "it", from).await.iter().map(|it| it.number).collect();
        let expected: Vec<_> = (from..12).filter(|number| number % 2 == 0).collect();
        assert_eq!(numbers, expected, "from {from}");
    }
}

/// Guards the memory of whoever looks: a page has at most so many commits, and at most so many bytes of
/// data before its last.
pub async fn limits_a_page_of_a_correlation_id(store: &Store) {
    let data = Bytes::from(vec![b' '; PAYLOAD_BYTES_MAX]);
    let count = READ_BYTES_MAX / PAYLOAD_BYTES_MAX + 3;
    for _ in 0..count {
        let large = NewEvent { data: data.clone(), ..event(0) };
        store.append(of("large", plain("page", ANY, vec![large]))).await.unwrap();
    }
    store.flush().await.unwrap();
    let partition = partition_of(store, "page");
    let mut from = 0;
    let mut pages_count = 0;
    loop {
        let page = store.read_correlated(partition, &id("large"), from).await.unwrap();
        let bytes = |commits: &[RecordedCommit]| -> usize {
            commits.iter().map(|it| it.commit.data_bytes()).sum()
        };
        let before_last = page.commits.split_last().map_or(0, |(_, before)| bytes(before));
        assert!(before_last < READ_BYTES_MAX && page.commits.len() <= READ_EVENTS_MAX);
        assert!(page.next > from || page.is_at_head, "no page without getting further");
        pages_count += 1;
        if page.is_at_head {
            break;
        }
        from = page.next;
    }
    assert!(pages_count > 1);
    assert_eq!(all_of(store, partition, "large", 0).await.len(), count);
}

/// Guards commits of several partitions: it is found once, in its own partition, with all its streams.
pub async fn a_commit_of_many_partitions_is_found_once(store: &Store) {
    let ids = ids_in_many_partitions(store, "once");
    let mut commit = plain(&ids[0], ANY, events(1));
    commit.streams.extend(ids.iter().skip(1).map(|id| part(id, ANY, events(1))));
    append(store, of("it", commit)).await;
    let mut found = Vec::new();
    for partition in partitions(store) {
        for commit in all_of(store, partition, "it", 0).await {
            found.push((partition, commit.commit.streams.len()));
        }
    }
    assert_eq!(found, [(partition_of(store, &ids[0]), ids.len())]);
}

/// Guards what is shown: nothing before it is durable, and everything that was durable before the call.
pub async fn what_is_durable_is_found_while_writers_run(store: &Store) {
    let partition = partition_of(store, "busy");
    let writer = {
        let store = Arc::clone(store);
        tokio::spawn(async move {
            for number in 0..120 {
                append(&store, of("it", refused_by_domain("busy", number))).await;
            }
        })
    };
    let mut last = 0;
    while !writer.is_finished() {
        let durable = all_commits(store, partition).await.len();
        let found = all_of(store, partition, "it", 0).await.len();
        assert!(found >= durable && found >= last, "{found} of {durable}, {last} before");
        last = found;
        tokio::task::yield_now().await;
    }
    writer.await.unwrap();
    // A commit without events may be said to be durable before it is.
    store.flush().await.unwrap();
    assert_eq!(all_of(store, partition, "it", 0).await.len(), 120);
}

/// Guards partitions: one that is not there is an error, not an empty answer.
pub async fn refuses_to_look_into_a_partition_that_is_not_there(store: &Store) {
    let partition = Partition(store.capabilities().partitions_count);
    let looked = store.read_correlated(partition, &id("it"), 0).await;
    assert!(matches!(looked, Err(ReadError::UnknownPartition { partition: p }) if p == partition));
    let since = store.first_commit_since(partition, NOW).await;
    assert!(matches!(since, Err(ReadError::UnknownPartition { partition: p }) if p == partition));
}

/// Guards looks since a time: no commit of that time or later is before the number, also where several
/// have the same time, and a time after all of them passes over them.
pub async fn every_commit_before_the_first_since_a_time_is_earlier(store: &Store) {
    let partition = partition_of(store, "since");
    assert_eq!(store.first_commit_since(partition, NOW).await.unwrap(), 0);
    for ms in [1, 1, 3, 3, 3, 4, 9, 9, 20, 21, 22, 23, 24] {
        let commit = match ms % 3 {
            0 => refused_by_domain("since", u128::from(ms) + 1_000 + count_of(store).await),
            _ => plain("since", ANY, events(1)),
        };
        append(store, Commit { recorded_at: after_now(ms), ..commit }).await;
    }
    let all = all_commits(store, partition).await;
    for since in (0..30).map(after_now).chain([Timestamp::from_ms(0)]) {
        let number = store.first_commit_since(partition, since).await.unwrap();
        let exact = all.iter().take_while(|it| it.commit.recorded_at < since).count();
        let exact = u64::try_from(exact).unwrap();
        assert!(number <= exact, "{number} is past {exact}");
    }
    // After all of them it is exact, and tells how many there are.
    let number = store.first_commit_since(partition, Timestamp::from_ms(u64::MAX)).await.unwrap();
    assert_eq!(number, u64::try_from(all.len()).unwrap());
}

/// How many commits all partitions have.
async fn count_of(store: &Store) -> u128 {
    let mut count = 0;
    for partition in partitions(store) {
        count += all_commits(store, partition).await.len();
    }
    u128::try_from(count).unwrap()
}

fn id(text: &str) -> CorrelationId {
    CorrelationId::new(text).unwrap()
}

/// The same commit with a correlation id, or without when it is empty.
fn of(correlation: &str, commit: Commit) -> Commit {
    let correlation_id = CorrelationId::new(correlation).ok();
    Commit { origin: Arc::new(Origin { correlation_id, ..Origin::default() }), ..commit }
}

/// All commits of a correlation id, page by page.
async fn all_of(
    store: &Store,
    partition: Partition,
    correlation: &str,
    from: u64,
) -> Vec<RecordedCommit> {
    let correlation = id(correlation);
    let (mut found, mut from) = (Vec::new(), from);
    loop {
        let page = store.read_correlated(partition, &correlation, from).await.unwrap();
        found.extend(page.commits);
        if page.is_at_head {
            return found;
        }
        assert!(page.next > from, "a page that is not at the head gets further");
        from = page.next;
    }
}
