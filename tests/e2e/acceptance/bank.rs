//! The bank over HTTP: the acceptance scenarios of commands and state, on the real binary.

use serde_json::json;

use crate::drivers::Place;
use crate::support::at;

const ID: &str = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";

pub(super) async fn accounts_end_where_the_scenario_says(place: &Place) {
    // Guards the part of B1 without transfers, and B4.
    let daemon = place.start_with_account().await;
    for id in ["a1", "a2"] {
        let opened = r#"{"owner":"Ada","initial_cents":10}"#;
        daemon.account(id, "open-account", opened).await.ok();
    }
    daemon.account("a1", "deposit-funds", r#"{"cents":190}"#).await.ok();
    daemon.account("a1", "withdraw-funds", r#"{"cents":100}"#).await.ok();
    let refused = daemon.account("a2", "withdraw-funds", r#"{"cents":100}"#).await;
    assert_eq!((refused.status, refused.code()), (422, "rejected"));
    assert_eq!(at(&refused.body, "/rejection/code"), "insufficient-funds");
    for (id, revision, balance) in [("a1", 2, 100), ("a2", 0, 10)] {
        let state = daemon.get(&format!("/v1/aggregates/account/{id}")).await.ok();
        assert_eq!(at(&state, "/revision"), revision);
        assert_eq!(at(&state, "/state/balance_cents"), balance);
    }
    let commands = daemon.get("/v1/streams/account/a2/commands").await.ok();
    assert_eq!(at(&commands, "/commands").as_array().unwrap().len(), 2);
    assert!(commands.to_string().contains("insufficient-funds"), "{commands:#}");
    let events = daemon.get("/v1/streams/account/a2").await.ok();
    assert_eq!(at(&events, "/events").as_array().unwrap().len(), 1);

    let again = daemon.account("a1", "open-account", r#"{"owner":"Eve","initial_cents":5}"#);
    let again = again.await;
    assert_eq!(at(&again.body, "/rejection/code"), "already-open");
    let state = daemon.get("/v1/aggregates/account/a1").await.ok();
    assert_eq!(at(&state, "/state/balance_cents"), 100);
}

pub(super) async fn unknown_and_malformed_are_told_apart(place: &Place) {
    // Guards C1 and C2: an id without events is decided on the empty state; unknown names are 404
    // with the known ones, data that does not fit is 400 with its place.
    let daemon = place.start_with_account().await;
    let nobody = daemon.account("nobody", "deposit-funds", r#"{"cents":1}"#).await;
    assert_eq!(at(&nobody.body, "/rejection/code"), "not-open");
    let unknown = daemon.post("/v1/aggregates/acount/a1/deposit-funds", &[], "{}").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.to_string().contains("account"), "{:#}", unknown.body);
    let unknown = daemon.account("a1", "deposit", "{}").await;
    assert_eq!(unknown.status, 404);
    assert!(unknown.body.to_string().contains("deposit-funds"), "{:#}", unknown.body);
    let malformed = daemon.account("a1", "deposit-funds", r#"{"cents":"ten"}"#).await;
    assert_eq!(malformed.status, 400);
    assert_eq!(at(&malformed.body, "/pointer"), "/cents");
    assert_eq!(daemon.account("a1", "deposit-funds", "{").await.status, 400);
}

pub(super) async fn a_repeat_gives_the_first_outcome_also_after_a_restart_and_fifty_at_once(
    place: &Place,
) {
    // Guards C3.
    let mut daemon = place.start_with_account().await;
    daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
    let deposit = "/v1/aggregates/account/a1/deposit-funds";
    let withdraw = "/v1/aggregates/account/a1/withdraw-funds";
    let key = [("idempotency-key", ID)];
    let other = [("idempotency-key", "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b11")];
    let sends = (0..50).map(|_| daemon.post(deposit, &key, r#"{"cents":7}"#));
    let answers = futures_util::future::join_all(sends).await;
    let first = answers.iter().find(|answer| answer.body["is_repeat"] == json!(false)).unwrap();
    let events = at(&first.body, "/events").clone();
    for answer in &answers {
        assert_eq!((answer.status, at(&answer.body, "/events")), (200, &events));
    }
    let refused = daemon.post(withdraw, &other, r#"{"cents":100}"#).await;
    assert_eq!(refused.status, 422);
    for _ in 0..2 {
        let again = daemon.post(deposit, &key, r#"{"cents":7}"#).await.ok();
        assert_eq!(at(&again, "/events"), &events);
        assert_eq!(at(&again, "/is_repeat"), true);
        let again = daemon.post(withdraw, &other, r#"{"cents":100}"#).await;
        assert_eq!(at(&again.body, "/rejection"), at(&refused.body, "/rejection"));
        assert_eq!(daemon.stop(), Some(0));
        daemon = place.start();
    }
    let state = daemon.get("/v1/aggregates/account/a1").await.ok();
    assert_eq!(at(&state, "/state/balance_cents"), 7);
    let changed = daemon.post(deposit, &key, r#"{"cents":8}"#).await;
    assert_eq!(changed.status, 409, "{:#}", changed.body);
}

pub(super) async fn a_wrong_belief_is_answered_with_expected_and_actual(place: &Place) {
    // Guards C4.
    let daemon = place.start_with_account().await;
    daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
    let deposit = "/v1/aggregates/account/a1/deposit-funds";
    let wrong = daemon.post(deposit, &[("if-revision", "7")], r#"{"cents":1}"#).await;
    assert_eq!((wrong.status, wrong.code()), (409, "wrong-expected-revision"));
    assert!(wrong.body.to_string().contains('7'), "{:#}", wrong.body);
    daemon.post(deposit, &[("if-revision", "0")], r#"{"cents":1}"#).await.ok();
}

pub(super) async fn a_decision_without_events_changes_nothing(place: &Place) {
    // Guards C6: a transfer that was debited already is accepted again, without an event.
    let daemon = place.start_with_account().await;
    daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":9}"#).await.ok();
    let debit = r#"{"transfer":"t1","cents":4}"#;
    let first = daemon.account("a1", "debit-for-transfer", debit).await.ok();
    let again = daemon.account("a1", "debit-for-transfer", debit).await.ok();
    assert_eq!((at(&first, "/revision"), at(&again, "/revision")), (&json!(1), &json!(1)));
    assert_eq!(at(&again, "/events"), &json!([]));
    assert_eq!(at(&again, "/position"), &json!(null));
}

pub(super) async fn a_state_at_a_revision_is_the_fold_of_its_events(place: &Place) {
    // Guards C9, and S1 from outside: 120 events, so a snapshot is among them after the restart.
    let daemon = place.start_with_account().await;
    daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
    for _ in 1..120 {
        daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
    }
    assert_eq!(daemon.stop(), Some(0));
    let daemon = place.start();
    for revision in [0, 1, 57, 119] {
        let path = format!("/v1/aggregates/account/a1?revision={revision}");
        assert_eq!(at(&daemon.get(&path).await.ok(), "/state/balance_cents"), revision);
    }
    let now = daemon.get("/v1/aggregates/account/a1").await.ok();
    assert_eq!(at(&now, "/state/balance_cents"), 119);
    assert_eq!(daemon.get("/v1/aggregates/account/a1?revision=120").await.status, 404);
    assert_eq!(daemon.get("/v1/aggregates/account/nobody").await.status, 404);
}

pub(super) async fn many_commands_in_one_request_do_not_fail_one_another(place: &Place) {
    // Guards NDJSON: results in order, a bad line is its own problem.
    let daemon = place.start_with_account().await;
    let lines = [
        r#"{"aggregate":"account","id":"b","command":"open-account","data":{"owner":"B","initial_cents":3}}"#,
        "nonsense",
        r#"{"aggregate":"account","id":"b","command":"withdraw-funds","data":{"cents":9}}"#,
        r#"{"aggregate":"account","id":"b","command":"deposit-funds","data":{"cents":4}}"#,
    ];
    let headers = [("content-type", "application/x-ndjson")];
    let answer = daemon.try_send(hyper::Method::POST, "/v1/commands", &headers, lines.join("\n"));
    let answer = answer.await.unwrap();
    let text = answer.body.as_str().unwrap();
    let statuses: Vec<_> = text
        .lines()
        .map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap()["status"].clone())
        .collect();
    assert_eq!(statuses, [200, 400, 422, 200]);
}
