//! `GET /v1/claims/{scope}/{key}`.

use std::sync::Arc;

use annals_core::commit::{CLAIM_PART_BYTES_MAX, Claim, Commit};
use annals_core::event::NewEvent;
use annals_core::place::ExpectedRevision;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::json;

use crate::support::{Host, NOW};

/// Has `user/u1` claim a name.
async fn claim(host: &Host, scope: &str, key: &str, expires_at: Option<Timestamp>) {
    let stream = StreamId::parse("user/u1").unwrap();
    let event = NewEvent::json("noted".parse().unwrap(), "{}");
    let now = host.engine.clock().now();
    let mut commit = Commit::plain(stream.clone(), ExpectedRevision::Any, vec![event], now);
    let (scope, key) = (Arc::from(scope), Arc::from(key));
    commit.claims = vec![Claim { scope, key, stream, expires_at }];
    host.engine.store().append(commit).await.unwrap().durability.wait().await.unwrap();
}

#[tokio::test]
async fn a_claim_is_shown_with_its_holder_and_its_end() {
    // Guards the look at a name: until when it is held, and that a claim without end has none.
    let host = Host::empty_with(|_| ()).await;
    let now = host.engine.clock().now();
    claim(&host, "email", "for-ever", None).await;
    claim(&host, "email", "a-moment", Some(Timestamp::from_ms(now.ms() + 1))).await;
    let shown = |key: &str, expires_at| json!({ "scope": "email", "key": key, "holder": "user/u1", "expires_at": expires_at });
    let answer = host.get("/v1/claims/email/for-ever").await;
    assert_eq!((answer.status.as_u16(), answer.json()), (200, shown("for-ever", None)));
    let answer = host.get("/v1/claims/email/a-moment").await;
    let end = NOW.replace("00.000Z", "00.001Z");
    assert_eq!((answer.status.as_u16(), answer.json()), (200, shown("a-moment", Some(end))));
}

#[tokio::test]
async fn what_nobody_holds_is_not_found() {
    // Guards 404: never claimed, of another scope, and expired by the clock of the host.
    let host = Host::empty_with(|_| ()).await;
    claim(&host, "email", "over", Some(host.engine.clock().now())).await;
    claim(&host, "phone", "ada", None).await;
    for key in ["over", "ada", "nobody"] {
        host.get(&format!("/v1/claims/email/{key}")).await.assert_problem(
            404,
            &json!({
                "code": "claim-not-held",
                "detail": format!(
                    "No stream holds `{key}` of `email` now. A stream gets it when one of its \
                     commands claims it."
                ),
                "scope": "email",
                "key": key,
            }),
        );
    }
}

#[tokio::test]
async fn a_key_may_have_any_characters() {
    // Guards keys against the path: what is encoded is the key, byte for byte.
    let host = Host::empty_with(|_| ()).await;
    let longest = "k".repeat(CLAIM_PART_BYTES_MAX);
    for key in ["a/b", "..", "ada@example.org", "100%", "a b+c", "?x=1#y", "\u{1f600}\0", &longest]
    {
        claim(&host, "any", key, None).await;
        let encoded = utf8_percent_encode(key, NON_ALPHANUMERIC);
        let answer = host.get(&format!("/v1/claims/any/{encoded}")).await;
        assert_eq!((answer.status.as_u16(), &answer.json()["key"]), (200, &json!(key)));
    }
}

#[tokio::test]
async fn what_cannot_be_a_claim_is_refused() {
    // Guards the path's limits: a byte too many, no UTF-8, a parameter.
    let host = Host::empty_with(|_| ()).await;
    let long = "k".repeat(CLAIM_PART_BYTES_MAX + 1);
    for path in [format!("email/{long}"), format!("{long}/ada"), "email/%ff".to_owned()] {
        host.get(&format!("/v1/claims/{path}")).await.assert_code(400, "bad-path");
    }
    let answer = host.get("/v1/claims/email/ada?now=1").await;
    answer.assert_code(400, "unknown-query-parameter");
}
