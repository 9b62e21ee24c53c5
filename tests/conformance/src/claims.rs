//! Claims: names that one stream holds alone.

use std::sync::Arc;

use annals_core::commit::{Claim, ClaimHolder, Commit, Release};
use annals_core::place::{ExpectedRevision, Revision};
use annals_core::port::event_store::AppendError;
use annals_core::time::Timestamp;

use crate::support::{
    NOW, Store, after_now, append, assert_recorded, assert_refused, decided, events, exactly,
    plain, stream, wrong_revision,
};

const ANY: ExpectedRevision = ExpectedRevision::Any;
const SCOPE: &str = "e-mail";

/// Guards C8: who holds a name, and that nobody held it before.
pub async fn a_claim_is_held_by_its_stream(store: &Store) {
    assert_eq!(holder(store, "ada", NOW).await, None);
    let commit = claiming(claim("ada", "held-1", None), NOW);
    let receipt = append(store, commit.clone()).await;
    assert_recorded(store, &commit, &receipt).await;
    let for_ever = Timestamp::from_ms(u64::MAX);
    for now in [Timestamp::from_ms(0), NOW, for_ever] {
        assert_eq!(holder(store, "ada", now).await, held("held-1", None));
    }
}

/// Guards C8: another stream is refused, told who holds the name, and records nothing.
pub async fn refuses_a_claim_that_another_stream_holds(store: &Store) {
    append(store, claiming(claim("ada", "other-1", None), NOW)).await;
    let commit = claiming(claim("ada", "other-2", None), NOW);
    assert_refused(store, commit, &claim_held("ada", "other-1")).await;
}

/// Guards C8: the holder may claim again, and the new expiry counts, earlier or later or none.
pub async fn its_own_stream_takes_a_claim_again_with_the_new_expiry(store: &Store) {
    for expires_at in [Some(after_now(5)), None, Some(after_now(9)), Some(after_now(3))] {
        append(store, claiming(claim("ada", "again", expires_at), NOW)).await;
        assert_eq!(holder(store, "ada", NOW).await, held("again", expires_at));
    }
    assert_eq!(holder(store, "ada", after_now(3)).await, None);
}

/// Guards C8: a claim is free from its expiry on, not before and not after it.
pub async fn an_expired_claim_is_free(store: &Store) {
    let expires_at = Some(after_now(10));
    append(store, claiming(claim("ada", "expired-1", expires_at), NOW)).await;
    assert_eq!(holder(store, "ada", after_now(9)).await, held("expired-1", expires_at));
    assert_eq!(holder(store, "ada", after_now(10)).await, None);
    let early = claiming(claim("ada", "expired-2", None), after_now(9));
    assert_refused(store, early, &claim_held("ada", "expired-1")).await;
    append(store, claiming(claim("ada", "expired-2", None), after_now(10))).await;
    assert_eq!(holder(store, "ada", after_now(10)).await, held("expired-2", None));
}

/// Guards decisions that come late: a claim that has expired when it is taken is accepted and holds
/// nothing, also where the stream held the name; what another stream holds it does not take.
pub async fn a_claim_that_has_expired_when_it_is_taken_holds_nothing(store: &Store) {
    append(store, claiming(claim("ada", "late-1", Some(NOW)), NOW)).await;
    assert_eq!(holder(store, "ada", NOW).await, None);
    append(store, claiming(claim("ada", "late-2", None), NOW)).await;
    assert_refused(
        store,
        claiming(claim("ada", "late-1", Some(NOW)), NOW),
        &claim_held("ada", "late-2"),
    )
    .await;
    append(store, claiming(claim("ada", "late-2", Some(NOW)), NOW)).await;
    assert_eq!(holder(store, "ada", NOW).await, None);
}

/// Guards recovery, which sees only the time the store gave: expiry is judged by that time, not by
/// the time the commit came with.
pub async fn expiry_is_judged_by_the_time_of_the_receipt(store: &Store) {
    append(store, claiming(claim("ada", "judged-1", Some(after_now(10))), NOW)).await;
    append(store, Commit::plain(stream("judged-2"), ANY, events(1), after_now(10))).await;
    let receipt = append(store, claiming(claim("ada", "judged-2", None), NOW)).await;
    assert_eq!(receipt.recorded_at, after_now(10));
    assert_eq!(holder(store, "ada", after_now(10)).await, held("judged-2", None));
}

/// Guards C8: a released name is free for anybody.
pub async fn a_released_claim_is_free(store: &Store) {
    append(store, claiming(claim("ada", "released-1", None), NOW)).await;
    append(store, releasing("ada", "released-1")).await;
    assert_eq!(holder(store, "ada", NOW).await, None);
    append(store, claiming(claim("ada", "released-2", None), NOW)).await;
    assert_eq!(holder(store, "ada", NOW).await, held("released-2", None));
}

/// Guards holders: nobody releases what is not theirs, and trying is harmless.
pub async fn passes_over_a_release_of_what_the_stream_does_not_hold(store: &Store) {
    append(store, claiming(claim("ada", "mine", None), NOW)).await;
    for (key, id) in [("ada", "not-mine"), ("nobodys", "mine")] {
        let commit = releasing(key, id);
        let receipt = append(store, commit.clone()).await;
        assert_recorded(store, &commit, &receipt).await;
    }
    assert_eq!(holder(store, "ada", NOW).await, held("mine", None));
    assert_eq!(holder(store, "nobodys", NOW).await, None);
}

/// Guards handing a name over in one commit: releases come before claims.
pub async fn releases_come_before_claims(store: &Store) {
    append(store, claiming(claim("ada", "giver", None), NOW)).await;
    let commit = Commit { claims: vec![claim("ada", "taker", None)], ..releasing("ada", "giver") };
    append(store, commit).await;
    assert_eq!(holder(store, "ada", NOW).await, held("taker", None));

    let commit = Commit { claims: vec![claim("ada", "giver", None)], ..releasing("ada", "giver") };
    assert_refused(store, commit, &claim_held("ada", "taker")).await;
}

/// Guards atomicity: a refused commit neither takes nor gives back.
pub async fn a_refused_commit_neither_claims_nor_releases(store: &Store) {
    append(store, claiming(claim("ada", "refused-1", None), NOW)).await;
    let mut commit = releasing("ada", "refused-1");
    commit.claims.push(claim("grace", "refused-1", None));
    commit.streams[0].expected = ExpectedRevision::NoStream;
    let error = wrong_revision("refused-1", ExpectedRevision::NoStream, 1);
    assert_refused(store, commit.clone(), &error).await;
    assert_eq!(holder(store, "ada", NOW).await, held("refused-1", None));

    append(store, claiming(claim("edsger", "refused-2", None), NOW)).await;
    commit.streams[0].expected = exactly(0);
    commit.claims.push(claim("edsger", "refused-1", None));
    assert_refused(store, commit, &claim_held("edsger", "refused-2")).await;
    assert_eq!(holder(store, "ada", NOW).await, held("refused-1", None));
    assert_eq!(holder(store, "grace", NOW).await, None);
}

/// Guards the answer to a commit with several names: the first that is held, in the commit's order.
pub async fn reports_the_first_claim_that_is_held(store: &Store) {
    append(store, claiming(claim("ada", "first-1", None), NOW)).await;
    append(store, claiming(claim("grace", "first-2", None), NOW)).await;
    let mut commit = claiming(claim("free", "first-3", None), NOW);
    commit.claims.push(claim("grace", "first-3", None));
    commit.claims.push(claim("ada", "first-3", None));
    assert_refused(store, commit, &claim_held("grace", "first-2")).await;
}

/// Guards keys that are glued together somewhere: scope and key are two things, byte for byte.
pub async fn keeps_scopes_and_keys_apart(store: &Store) {
    let names =
        [("a", "bc"), ("ab", "c"), ("a\0b", "c"), ("a", "b\0c"), ("A", "bc"), ("\u{1f600}", "#/")];
    for (index, (scope, key)) in names.into_iter().enumerate() {
        let claim =
            Claim { scope: Arc::from(scope), ..claim(key, &format!("apart-{index}"), None) };
        append(store, claiming(claim, NOW)).await;
    }
    for (index, (scope, key)) in names.into_iter().enumerate() {
        let holder = store.claim_holder(scope, key, NOW).await.unwrap();
        assert_eq!(holder, held(&format!("apart-{index}"), None));
    }
}

/// Guards decisions of a command: names are claimed with it, and for other streams than it writes.
pub async fn a_command_claims_for_any_stream(store: &Store) {
    let commit = Commit {
        claims: vec![claim("ada", "elsewhere", None)],
        ..decided("command", 1, Vec::new())
    };
    append(store, commit).await;
    assert_eq!(holder(store, "ada", NOW).await, held("elsewhere", None));
    let info = store.stream_info(&stream("elsewhere")).await.unwrap();
    assert_eq!((info.revision.0, info.commands_count), (None::<Revision>, 0));
}

/// Guards the meaning of a commit: two holders of one name, or a name without letters.
pub async fn refuses_claims_that_contradict_themselves(store: &Store) {
    let invalid = |what| AppendError::Invalid { what };
    for other in ["contradict-1", "contradict-2"] {
        let mut commit = claiming(claim("ada", "contradict-1", None), NOW);
        commit.claims.push(claim("grace", other, None));
        commit.claims.push(claim("ada", other, None));
        assert_refused(store, commit, &invalid("a key is claimed twice")).await;
    }
    let empty = invalid("the scope or key of a claim is empty");
    let no_key = claiming(claim("", "contradict-1", None), NOW);
    assert_refused(store, no_key, &empty).await;
    let mut no_scope = claiming(claim("ada", "contradict-1", None), NOW);
    no_scope.claims[0].scope = Arc::from("");
    assert_refused(store, no_scope, &empty).await;
    assert_refused(store, releasing("", "contradict-1"), &empty).await;
}

/// Guards against empty frames: a claim alone is no commit.
pub async fn refuses_claims_without_event_and_command(store: &Store) {
    let mut commit = claiming(claim("ada", "alone", None), NOW);
    commit.streams[0].events.clear();
    assert_refused(store, commit, &AppendError::Empty).await;
}

async fn holder(store: &Store, key: &str, now: Timestamp) -> Option<ClaimHolder> {
    store.claim_holder(SCOPE, key, now).await.unwrap()
}

fn held(id: &str, expires_at: Option<Timestamp>) -> Option<ClaimHolder> {
    Some(ClaimHolder { stream: stream(id), expires_at })
}

fn claim(key: &str, id: &str, expires_at: Option<Timestamp>) -> Claim {
    Claim { scope: Arc::from(SCOPE), key: Arc::from(key), stream: stream(id), expires_at }
}

fn claim_held(key: &str, id: &str) -> AppendError {
    AppendError::ClaimHeld { scope: Arc::from(SCOPE), key: Arc::from(key), holder: stream(id) }
}

/// A commit of one event and a claim of its stream.
fn claiming(claim: Claim, recorded_at: Timestamp) -> Commit {
    Commit {
        claims: vec![claim.clone()],
        ..Commit::plain(claim.stream, ANY, events(1), recorded_at)
    }
}

/// A commit of one event and a release of its stream.
fn releasing(key: &str, id: &str) -> Commit {
    Commit {
        releases: vec![Release {
            scope: Arc::from(SCOPE),
            key: Arc::from(key),
            stream: stream(id),
        }],
        ..plain(id, ANY, events(1))
    }
}
