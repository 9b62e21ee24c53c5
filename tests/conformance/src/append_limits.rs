//! `EventStore::append` at its limits: at the edge it passes, one over it is refused.

use std::sync::Arc;

use annals_core::command::{CommandRecord, Outcome, Rejection};
use annals_core::commit::{CLAIM_PART_BYTES_MAX, Claim, Commit, Release};
use annals_core::event::NewEvent;
use annals_core::limits::{
    COMMIT_BYTES_MAX, COMMIT_EVENTS_MAX, COMMIT_ITEMS_MAX, METADATA_BYTES_MAX, PAYLOAD_BYTES_MAX,
    REJECTION_BYTES_MAX,
};
use annals_core::place::ExpectedRevision;
use annals_core::port::event_store::{AppendError, SizeLimit};
use bytes::Bytes;

use crate::support::{
    Store, append, assert_recorded, assert_refused, command, commit_of, decided, event, events,
    part, plain, refused_by_domain, stream,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;

/// Guards memory and the narrowest driver's items against one large event.
pub async fn limits_the_data_of_an_event(store: &Store) {
    let commit = |size| {
        let large = NewEvent { data: bytes(size), ..event(0) };
        plain("payload", ANY, vec![event(1), large])
    };
    check_edge(store, commit, SizeLimit::PayloadBytes, PAYLOAD_BYTES_MAX).await;
}

/// Guards the log against a large command: its data is kept too.
pub async fn limits_the_data_of_a_command(store: &Store) {
    let commit = |size| {
        let command = CommandRecord { data: bytes(size), ..command("command", 1) };
        Commit { command: Some(command), ..plain("command", ANY, events(1)) }
    };
    check_edge(store, commit, SizeLimit::PayloadBytes, PAYLOAD_BYTES_MAX).await;
}

/// Guards readers: metadata travels with every event.
pub async fn limits_the_metadata_of_an_event(store: &Store) {
    let commit = |size| {
        let large = NewEvent { metadata: bytes(size), ..event(0) };
        plain("metadata", ANY, vec![large])
    };
    check_edge(store, commit, SizeLimit::MetadataBytes, METADATA_BYTES_MAX).await;
}

/// Guards transactions of the narrowest driver: data, metadata and command count together.
pub async fn limits_the_bytes_of_a_commit(store: &Store) {
    let commit = |size: usize| {
        let mut commit = decided("bytes", 1, Vec::new());
        let command_bytes = b"{\"up_to\":3}".len();
        let mut rest = size - command_bytes - METADATA_BYTES_MAX;
        while rest > 0 {
            let data_bytes = rest.min(PAYLOAD_BYTES_MAX);
            rest -= data_bytes;
            commit.streams[0].events.push(NewEvent { data: bytes(data_bytes), ..event(0) });
        }
        commit.streams[0].events[0].metadata = bytes(METADATA_BYTES_MAX);
        commit
    };
    check_edge(store, commit, SizeLimit::CommitBytes, COMMIT_BYTES_MAX).await;
}

/// Guards the time a commit holds up others.
pub async fn limits_the_events_of_a_commit(store: &Store) {
    let commit = |count| {
        let mut commit =
            commit_of(vec![part("count-1", ANY, events(1)), part("count-2", ANY, Vec::new())]);
        commit.streams[1].events = (1..count).map(|_| event(0)).collect();
        commit
    };
    check_edge(store, commit, SizeLimit::CommitEvents, COMMIT_EVENTS_MAX).await;
}

/// Guards transactions of the narrowest driver: streams, claims and releases are items of one.
pub async fn limits_the_streams_claims_and_releases_of_a_commit(store: &Store) {
    let commit = |count| {
        let mut commit = commit_of(vec![part("items", ANY, events(1))]);
        for number in 1..count {
            let key: Arc<str> = Arc::from(format!("{number}"));
            let id = format!("item-{number}");
            match number % 3 {
                0 => commit.streams.push(part(&id, ANY, Vec::new())),
                1 => commit.claims.push(claim("item", &key)),
                _ => commit.releases.push(release("item", &key)),
            }
        }
        commit
    };
    check_edge(store, commit, SizeLimit::CommitItems, COMMIT_ITEMS_MAX).await;
}

/// Guards keys of the narrowest driver against long names.
pub async fn limits_the_scope_and_the_key_of_claims_and_releases(store: &Store) {
    let with = |claims, releases| Commit { claims, releases, ..plain("claim", ANY, events(1)) };
    let (what, max) = (SizeLimit::ClaimPartBytes, CLAIM_PART_BYTES_MAX);
    let commit = |size| with(vec![claim(&"s".repeat(size), "key")], Vec::new());
    check_edge(store, commit, what, max).await;
    let commit = |size| with(vec![claim("scope", &"k".repeat(size))], Vec::new());
    check_edge(store, commit, what, max).await;
    let commit = |size| with(Vec::new(), vec![release(&"s".repeat(size), "key")]);
    check_edge(store, commit, what, max).await;
    let commit = |size| with(Vec::new(), vec![release("scope", &"k".repeat(size))]);
    check_edge(store, commit, what, max).await;
}

/// Guards the log against a plugin that explains itself at length: code, message and detail count
/// together.
pub async fn limits_the_bytes_of_a_rejection(store: &Store) {
    let commit = |size| {
        let mut commit = refused_by_domain("rejection", 1);
        let outcome = Outcome::Rejected(Rejection {
            code: Arc::from("too-many"),
            message: Arc::from("no"),
            detail: bytes(size - "too-many".len() - "no".len()),
        });
        commit.command = Some(CommandRecord { outcome, ..command("rejection", 1) });
        commit
    };
    check_edge(store, commit, SizeLimit::RejectionBytes, REJECTION_BYTES_MAX).await;
}

/// Checks that a commit of a size over `max` is refused and one of `max` is recorded.
async fn check_edge(
    store: &Store,
    commit_of_size: impl Fn(usize) -> Commit,
    what: SizeLimit,
    max: usize,
) {
    let size = max + 1;
    let error = AppendError::TooLarge { what, size, max };
    assert_refused(store, commit_of_size(size), &error).await;
    let commit = commit_of_size(max);
    let receipt = append(store, commit.clone()).await;
    assert_recorded(store, &commit, &receipt).await;
}

fn bytes(count: usize) -> Bytes {
    Bytes::from(vec![b' '; count])
}

fn claim(scope: &str, key: &str) -> Claim {
    Claim {
        scope: Arc::from(scope),
        key: Arc::from(key),
        stream: stream("claimer"),
        expires_at: None,
    }
}

fn release(scope: &str, key: &str) -> Release {
    Release { scope: Arc::from(scope), key: Arc::from(key), stream: stream("claimer") }
}
