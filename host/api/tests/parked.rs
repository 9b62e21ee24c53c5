//! `/v1/projections/{name}/parked…`.

use serde_json::{Value, json};

use crate::support::{Host, NOW};

/// Two accounts, and a deposit to each that the projection cannot handle, with an ordinary one behind.
async fn host_with_parked() -> Host {
    let host = Host::start().await;
    for id in ["a1", "a2"] {
        host.open_account(id, 10).await;
        for cents in [json!("many"), json!(5)] {
            let event = json!({"type": "funds-deposited", "data": {"cents": cents}});
            let uri = format!("/v1/streams/account/{id}");
            let appended = host.post(&uri, &json!({"events": [event]})).await;
            assert_eq!(appended.status.as_u16(), 200, "{appended:?}");
        }
    }
    settled(&host, 2).await;
    host
}

/// Waits until so many streams wait.
async fn settled(host: &Host, parked_count: u64) {
    loop {
        let shown = host.get("/v1/projections/account-balances").await.json();
        if shown["parked_count"] == json!(parked_count) && shown["phase"] == "caught-up" {
            return;
        }
        tokio::task::yield_now().await;
    }
}

async fn balance(host: &Host, id: &str) -> Value {
    let uri = format!("/v1/views/account-balances/balances/{id}");
    host.get(&uri).await.json()["value"]["balance_cents"].clone()
}

#[tokio::test]
async fn parked_events_are_listed_with_their_cause_page_by_page() {
    // Guards what an operator sees: which event, why, and how much waits behind it; the figure too.
    let host = host_with_parked().await;
    let page = host.get("/v1/projections/account-balances/parked?limit=1").await.json();
    let first = &page["parked"][0];
    let expected = json!({
        "stream": "account/a1", "revision": 1, "partition": 0, "position": 4,
        "event_id": first["event_id"], "event_type": "funds-deposited",
        "cause": "event at position 4 was refused: no cents", "attempts": 1, "parked_at": NOW,
        "asked": null, "waiting_count": 1,
    });
    assert_eq!(*first, expected);
    let token = page["next_page"].as_str().unwrap();
    let uri = format!("/v1/projections/account-balances/parked?page={token}");
    let rest = host.get(&uri).await.json();
    assert_eq!(
        (&rest["parked"][0]["stream"], &rest["next_page"]),
        (&json!("account/a2"), &Value::Null)
    );
    let of_one = host.get("/v1/projections/account-balances/parked?stream=account/a1").await.json();
    assert_eq!(of_one, json!({"parked": [expected], "next_page": null}));
    let none = host.get("/v1/projections/account-balances/parked?stream=account/a3").await.json();
    assert_eq!(none, json!({"parked": [], "next_page": null}));
    let metrics = host.get("/metrics").await;
    let line = "annals_projection_parked_streams{plugin=\"account-balances\"} 2";
    assert!(metrics.text().lines().any(|it| it == line), "{}", metrics.text());
    assert_eq!([balance(&host, "a1").await, balance(&host, "a2").await], [json!(10), json!(10)]);
}

#[tokio::test]
async fn what_is_discarded_goes_on_and_what_is_replayed_in_vain_waits_again() {
    // Guards both wishes over HTTP, for one stream and for all.
    let host = host_with_parked().await;
    let of_one = json!({"streams": ["account/a1", "account/a9"]});
    let asked = host.post("/v1/projections/account-balances/parked/discard", &of_one).await;
    assert_eq!(asked.json(), json!({"streams_count": 1}));
    settled(&host, 1).await;
    assert_eq!(balance(&host, "a1").await, json!(15));
    let asked = host.post("/v1/projections/account-balances/parked/replay", &json!({})).await;
    assert_eq!(asked.json(), json!({"streams_count": 1}));
    loop {
        let parked = host.get("/v1/projections/account-balances/parked").await.json();
        if parked["parked"][0]["attempts"] == 2 {
            break;
        }
        tokio::task::yield_now().await;
    }
    assert_eq!(balance(&host, "a2").await, json!(10));
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    // Guards bad input: no projection, no stream, too many, a foreign token.
    let host = Host::start().await;
    let unknown = host.get("/v1/projections/nobody/parked").await;
    unknown.assert_code(404, "unknown-projection");
    let base = "/v1/projections/account-balances/parked";
    host.get(&format!("{base}?stream=a1")).await.assert_code(400, "bad-stream-id");
    host.get(&format!("{base}?page=.")).await.assert_code(400, "bad-query-parameter");
    let many = vec!["account/a1"; 1_001];
    for (streams, code) in [(json!(["a1"]), "bad-stream-id"), (json!(many), "malformed-body")] {
        let body = json!({"streams": streams});
        host.post(&format!("{base}/replay"), &body).await.assert_code(400, code);
    }
}
