//! `GET /v1/aggregates/{aggregate}/{id}`.

use serde_json::json;

use crate::support::{Fault, Host};

#[tokio::test]
async fn shows_the_state_now_and_at_each_revision() {
    // Guards C9: the state at revision N is the fold of the first N + 1 events.
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    for cents in [5, 7] {
        host.post("/v1/aggregates/account/a1/deposit-funds", &json!({"cents": cents})).await;
    }
    let now = host.get("/v1/aggregates/account/a1").await;
    let state = |revision: u64, cents: u64| {
        json!({
            "stream": "account/a1",
            "revision": revision,
            "state": {"owner": "ada", "balance_cents": cents},
        })
    };
    assert_eq!((now.status.as_u16(), now.json()), (200, state(2, 22)));
    for (revision, cents) in [(0, 10), (1, 15), (2, 22)] {
        let then = host.get(&format!("/v1/aggregates/account/a1?revision={revision}")).await;
        assert_eq!(then.json(), state(revision, cents));
    }
    host.get("/v1/aggregates/account/a1?revision=3").await.assert_problem(
        404,
        &json!({
            "code": "unknown-revision",
            "detail": "Stream `account/a1` is at revision 2, before revision 3. Ask for one the \
                stream has.",
            "actual": 2,
        }),
    );
}

#[tokio::test]
async fn a_stream_without_events_has_no_state() {
    // Guards 404 against an empty state that looks like a real one.
    let host = Host::start().await;
    host.post("/v1/aggregates/account/a1/deposit-funds", &json!({"cents": 1})).await;
    for uri in ["/v1/aggregates/account/a1", "/v1/aggregates/account/a1?revision=0"] {
        host.get(uri).await.assert_problem(
            404,
            &json!({
                "code": "unknown-stream",
                "detail": "Stream `account/a1` has no event. Check the id, or record its first \
                    event.",
                "stream": "account/a1",
            }),
        );
    }
    host.get("/v1/aggregates/invoice/a1").await.assert_code(404, "unknown-aggregate");
}

#[tokio::test]
async fn a_damaged_store_is_told_without_its_words() {
    // Guards that the driver's words stay in the log.
    let host = Host::start().await;
    host.open_account("a1", 10).await;
    host.store.break_with(Fault::Damaged);
    host.get("/v1/aggregates/account/a1?revision=0").await.assert_problem(
        500,
        &json!({
            "code": "damaged",
            "detail": "What is stored cannot be read. Tell the operator, with the request id.",
        }),
    );
}
