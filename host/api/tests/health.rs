//! `/health/live` and `/health/ready`.

use serde_json::json;

use crate::support::{Fault, Host};

#[tokio::test]
async fn is_live_and_ready_while_it_serves() {
    // Guards probes: ready also when every request slot is taken.
    let host = Host::empty_with(|setup| setup.api.requests_in_flight_max = 0).await;
    assert_eq!(host.get("/health/live").await.json(), json!({"status": "live"}));
    assert_eq!(host.get("/health/ready").await.json(), json!({"status": "ready"}));
}

#[tokio::test]
async fn is_not_ready_when_the_store_takes_no_more_events() {
    // Guards that a host with a broken disk is taken out of service, and is live nevertheless.
    let host = Host::empty_with(|_| ()).await;
    host.store.break_with(Fault::Lost);
    let answer = host.get("/health/ready").await;
    answer.assert_problem(
        503,
        &json!({
            "code": "unavailable",
            "detail": "The event store takes no more events. Tell the operator, with the request \
                id.",
        }),
    );
    assert_eq!(host.get("/health/live").await.status.as_u16(), 200);
}

#[tokio::test]
async fn refuses_requests_and_is_not_ready_while_stopping() {
    // Guards shutdown: load balancers look elsewhere, clients know that nothing happened.
    let host = Host::start().await;
    host.lifecycle.stop();
    assert!(host.lifecycle.is_stopping());
    for uri in ["/health/ready", "/v1/plugins"] {
        let answer = host.get(uri).await;
        answer.assert_problem(
            503,
            &json!({
                "code": "stopping",
                "detail": "The host is stopping. Try again when it is back.",
            }),
        );
        assert_eq!(answer.header("retry-after"), Some("1"));
    }
    assert_eq!(host.get("/health/live").await.status.as_u16(), 200);
}

#[tokio::test]
async fn an_engine_that_stopped_first_refuses_commands() {
    // Guards the other order of stopping: a command is refused, not lost.
    let host = Host::start().await;
    host.engine.stop().await;
    let answer = host.post("/v1/aggregates/account/a1/check-account", &json!({})).await;
    answer.assert_code(503, "stopping");
}

#[tokio::test]
async fn a_bus_without_copies_has_nothing_to_relay() {
    // Guards monitoring: on one host there is no relay that could be late.
    let host = Host::start().await;
    assert_eq!(host.get("/v1/relay").await.json(), json!({"partitions": []}));
}
