//! What is exported and imported is what was there.

use std::sync::Arc;

use annals_core::command::{CommandRecord, Outcome, Rejection};
use annals_core::commit::{Claim, Commit, Release, StreamAppend};
use annals_core::event::{ContentType, NewEvent};
use annals_core::limits::{
    COMMIT_BYTES_MAX, COMMIT_EVENTS_MAX, METADATA_BYTES_MAX, PAYLOAD_BYTES_MAX, REJECTION_BYTES_MAX,
};
use annals_core::place::{ExpectedRevision, Partition};
use annals_core::port::EventStore;
use annals_core::port::event_store::FeedFilter;
use annals_core::time::Timestamp;
use bytes::Bytes;
use proptest::collection::vec;
use proptest::prelude::{Strategy, any, proptest};
use proptest::test_runner::Config;

use super::support::{
    at, command, commits, empty_store, event, exported, full_store, import, note, stream,
};

/// Everything that both stores say must be the same.
async fn assert_same(one: &dyn EventStore, other: &dyn EventStore) {
    let all = commits(one).await;
    assert_eq!(commits(other).await, all);
    let feed = async |store: &dyn EventStore| {
        let filter = FeedFilter::default();
        store.read_feed(Partition::ZERO, None, &filter, usize::MAX).await.unwrap()
    };
    assert_eq!(feed(other).await, feed(one).await);
    assert_eq!(other.event_type_counts().await.unwrap(), one.event_type_counts().await.unwrap());
    for record in all.iter().filter_map(|recorded| recorded.commit.command.as_ref()) {
        let found = one.find_command(&record.stream, record.id).await.unwrap();
        assert_eq!(other.find_command(&record.stream, record.id).await.unwrap(), found);
    }
    for claim in all.iter().flat_map(|recorded| &recorded.commit.claims) {
        for now in [at(0), at(100)] {
            let held = one.claim_holder(&claim.scope, &claim.key, now).await.unwrap();
            assert_eq!(other.claim_holder(&claim.scope, &claim.key, now).await.unwrap(), held);
        }
    }
}

#[tokio::test]
async fn commits_of_every_kind_come_back_byte_for_byte() {
    // Guards the promise of an export: nothing of a commit is lost, not even its spaces.
    let store = full_store(1).await;
    let (text, said) = exported(&store).await;
    let other = empty_store(2);
    let imported = import(&text, &other).await.unwrap();
    assert_eq!((imported.appended_count, &imported.export), (said.commits_count, &said));
    assert_same(&store, &other).await;
    let (other_text, _) = exported(&other).await;
    let without_end =
        |text: &str| text.lines().rev().skip(1).map(str::to_owned).collect::<Vec<_>>();
    let renamed = other_text.replace("000000000002\"", "000000000001\"");
    assert_eq!(
        without_end(&renamed),
        without_end(&text.replace("000000000002\"", "000000000001\""))
    );
    let (again, _) = exported(&store).await;
    assert!(again == text, "the same store gave another text");
}

#[tokio::test]
async fn an_empty_store_has_an_export_too() {
    // Guards a backup job that runs on the first day.
    let (text, said) = exported(&empty_store(1)).await;
    assert_eq!((text.lines().count(), said.commits_count), (2, 0));
    let imported = import(&text, &empty_store(2)).await.unwrap();
    assert_eq!((imported.appended_count, imported.export), (0, said));
}

#[tokio::test]
async fn the_largest_commits_come_back() {
    // Guards the limits of lines: what every driver accepts fits, also when every byte becomes six.
    let store = empty_store(1);
    let metadata = Bytes::from(vec![0; METADATA_BYTES_MAX]);
    let escaped = NewEvent { metadata, ..event(b"") };
    let mut many = note(b"", 0);
    many.streams[0].events = vec![escaped; COMMIT_BYTES_MAX / METADATA_BYTES_MAX];
    let mut most = note(b"", 1);
    most.streams[0].events = vec![event(b"{}"); COMMIT_EVENTS_MAX];
    let largest = note(&vec![0xff; PAYLOAD_BYTES_MAX], 2);
    let rejection = Rejection {
        code: Arc::from("no"),
        message: Arc::from("\0".repeat(REJECTION_BYTES_MAX - 2)),
        detail: Bytes::new(),
    };
    let mut refused = Commit { streams: Vec::new(), ..note(b"", 3) };
    refused.command = Some(CommandRecord {
        data: Bytes::from(vec![b'\n'; PAYLOAD_BYTES_MAX]),
        ..command(1, "note/n1", Outcome::Rejected(rejection))
    });
    for commit in [many, most, largest, refused] {
        store.append(commit).await.unwrap();
    }
    let (text, said) = exported(&store).await;
    let other = empty_store(2);
    assert_eq!(import(&text, &other).await.unwrap().export, said);
    assert_same(&store, &other).await;
}

/// A step of a random history; many are refused, as those of real clients.
#[derive(Debug, Clone)]
struct Step {
    /// Stream, number of events.
    parts: Vec<(u8, u8)>,
    command: Option<(u8, bool)>,
    claim: Option<(u8, u8)>,
    release: Option<(u8, u8)>,
    data: Vec<u8>,
    text: String,
    ms: u8,
}

fn step() -> impl Strategy<Value = Step> {
    let parts = vec((0..4_u8, 0..3_u8), 0..3);
    let command = proptest::option::of((0..40_u8, any::<bool>()));
    let claim = || proptest::option::weighted(0.2, (0..3_u8, 0..4_u8));
    let data = vec(any::<u8>(), 0..6);
    (parts, command, claim(), claim(), data, ".{0,6}", any::<u8>()).prop_map(
        |(parts, command, claim, release, data, text, ms)| Step {
            parts,
            command,
            claim,
            release,
            data,
            text,
            ms,
        },
    )
}

impl Step {
    fn commit(&self) -> Commit {
        let mut parts: Vec<_> = self.parts.clone();
        parts.dedup_by_key(|(stream, _)| *stream);
        let name = |number: u8| stream(&format!("note/n{number}"));
        let json = serde_json::to_vec(&self.text).unwrap();
        let one = event(if self.ms.is_multiple_of(2) { &json } else { &self.data });
        let content_type = if self.ms.is_multiple_of(5) { "text/plain" } else { "" };
        let one = NewEvent {
            content_type: ContentType::from(content_type),
            metadata: Bytes::from(self.data.clone()),
            ..one
        };
        let streams = parts.into_iter().map(|(number, count)| StreamAppend {
            stream: name(number),
            expected: ExpectedRevision::Any,
            events: vec![one.clone(); usize::from(count)],
        });
        let command = self.command.map(|(number, is_accepted)| {
            let rejection = Rejection {
                code: Arc::from("no"),
                message: Arc::from(self.text.as_str()),
                detail: Bytes::from(self.data.clone()),
            };
            let outcome =
                if is_accepted { Outcome::Accepted } else { Outcome::Rejected(rejection) };
            command(u128::from(number), &format!("note/n{}", number % 4), outcome)
        });
        let key = |number: u8| Arc::from(format!("k{number}"));
        let (scope, expires_at) = (Arc::<str>::from("s"), self.ms.is_multiple_of(3));
        let claims = self.claim.map(|(number, holder)| Claim {
            scope: Arc::clone(&scope),
            key: key(number),
            stream: name(holder),
            expires_at: expires_at.then(|| at(u64::from(self.ms) + 20)),
        });
        let releases = self.release.map(|(number, holder)| Release {
            scope: Arc::clone(&scope),
            key: key(number),
            stream: name(holder),
        });
        Commit {
            recorded_at: Timestamp::from_ms(at(0).ms() + u64::from(self.ms)),
            origin: Arc::default(),
            command,
            streams: streams.collect(),
            claims: claims.into_iter().collect(),
            releases: releases.into_iter().collect(),
            id_is_new: false,
        }
    }
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, cases: 128, ..Config::default() })]

    #[test]
    fn random_histories_come_back(steps in vec(step(), 0..40)) {
        // Guards what nobody thought of: whatever a store accepted, an export brings it back.
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let store = empty_store(1);
            let mut accepted_count = 0;
            for step in &steps {
                accepted_count += u64::from(store.append(step.commit()).await.is_ok());
            }
            let (text, said) = exported(&store).await;
            assert_eq!(said.commits_count, accepted_count);
            let other = empty_store(2);
            assert_eq!(import(&text, &other).await.unwrap().export, said);
            assert_same(&store, &other).await;
        });
    }
}
