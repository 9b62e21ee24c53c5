//! Projections on the real binary: catching up, following, reading after a position.

use hyper::Method;

use crate::drivers::Place;
use crate::support::{at, reached};

pub(super) async fn a_new_projection_catches_up_while_commands_run_and_then_follows(place: &Place) {
    // Guards P2 with 10 000 events (100 000 are a matter of `annals bench`): installed late, progress
    // visible, commands go on, and the total is exact.
    let daemon = place.start_with_account().await;
    daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
    let line = r#"{"aggregate":"account","id":"a1","command":"deposit-funds","data":{"cents":1}}"#;
    let lines = vec![line; place.many(1_000)].join("\n");
    let headers = [("content-type", "application/x-ndjson")];
    for _ in 0..10 {
        let sent = daemon.try_send(Method::POST, "/v1/commands", &headers, lines.clone()).await;
        assert_eq!(sent.unwrap().status, 200);
    }
    daemon.install("account-balances", annals_components::account_balances()).await.ok();
    let last = daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
    let row = format!("/v1/views/account-balances/accounts/a1?{}&wait_ms=60000", reached(&last));
    let row = daemon.get(&row).await.ok();
    let total = 10 * place.many(1_000) + 1;
    assert_eq!(at(&row, "/value/balance_cents"), total);
    let status = daemon.get("/v1/projections/account-balances").await.ok();
    assert_eq!(at(&status, "/events_count"), total + 1);
    let query = "/v1/views/account-balances/queries/richest-accounts";
    let richest = daemon.post(query, &[], r#"{"limit":1}"#).await.ok();
    assert!(richest.to_string().contains(&total.to_string()), "{richest:#}");
}

pub(super) async fn a_read_waits_for_its_position_or_says_how_far_the_view_is(place: &Place) {
    // Guards P5: the row once the view is there; 504 after the wait for a position that never comes.
    let daemon = place.start_with_account().await;
    daemon.install("account-balances", annals_components::account_balances()).await.ok();
    for cents in 1..20 {
        let open = format!(r#"{{"owner":"Ada","initial_cents":{cents}}}"#);
        let opened = daemon.account(&format!("p{cents}"), "open-account", &open).await.ok();
        let row = format!("/v1/views/account-balances/accounts/p{cents}?{}", reached(&opened));
        let row = daemon.get(&row).await.ok();
        assert_eq!(at(&row, "/value/balance_cents"), cents);
    }
    let never = "/v1/views/account-balances/accounts/p1?position=999999&partition=0&wait_ms=50";
    let never = daemon.get(never).await;
    assert_eq!((never.status, never.code()), (504, "not-reached"));
    assert_eq!(daemon.get("/v1/views/account-balances/accounts/nobody").await.status, 404);
}

pub(super) async fn a_view_survives_kill_9_and_equals_the_fold(place: &Place) {
    // Guards P1 from outside: killed while projecting; every event counted once.
    let mut daemon = place.start_with_account().await;
    daemon.install("account-balances", annals_components::account_balances()).await.ok();
    daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
    let line = r#"{"aggregate":"account","id":"a1","command":"deposit-funds","data":{"cents":1}}"#;
    let lines = vec![line; place.many(500)].join("\n");
    let headers = [("content-type", "application/x-ndjson")];
    for _ in 0..3 {
        daemon.try_send(Method::POST, "/v1/commands", &headers, lines.clone()).await.unwrap();
        daemon.kill();
        daemon = place.start();
    }
    let last = daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
    let row = format!("/v1/views/account-balances/accounts/a1?{}&wait_ms=60000", reached(&last));
    let row = daemon.get(&row).await.ok();
    assert_eq!(at(&row, "/value/balance_cents"), 3 * place.many(500) + 1);
}

pub(super) async fn a_view_is_built_anew_beside_the_one_that_serves(place: &Place) {
    // Guards P3: the old view serves until the cut-over, the difference is told, and rolling back restores
    // at once what went on all the time; a restart in between finds the same.
    let daemon = place.start_with_account().await;
    daemon.install("account-balances", annals_components::account_balances()).await.ok();
    daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
    let line = r#"{"aggregate":"account","id":"a1","command":"deposit-funds","data":{"cents":1}}"#;
    let lines = vec![line; place.many(500)].join("\n");
    let headers = [("content-type", "application/x-ndjson")];
    daemon.try_send(Method::POST, "/v1/commands", &headers, lines).await.unwrap();
    let deposit = async |daemon: &crate::support::Daemon| {
        let last = daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
        let row =
            format!("/v1/views/account-balances/accounts/a1?{}&wait_ms=60000", reached(&last));
        at(&daemon.get(&row).await.ok(), "/value/balance_cents").as_u64().unwrap()
    };
    let before = deposit(&daemon).await;
    let wasm = [("content-type", "application/wasm")];
    let path = "/v1/projections/account-balances";
    let other = annals_components::account_balances_build(1);
    let begun = daemon.try_send(Method::POST, &format!("{path}/rebuild"), &wasm, other).await;
    assert_eq!(at(&begun.unwrap().ok(), "/rebuild/build"), 1);
    let deadline = tokio::time::Instant::now() + std::time::Duration::from_secs(60);
    let mut expected = before;
    loop {
        expected += 1;
        assert_eq!(deposit(&daemon).await, expected);
        let shown = daemon.get(path).await.ok();
        if at(&shown, "/build") == 1 {
            let compared = at(&shown, "/previous/comparison");
            assert_eq!(at(compared, "/old_rows_count"), at(compared, "/new_rows_count"));
            for sort in ["only_old", "only_new", "different"] {
                assert_eq!(at(compared, &format!("/{sort}/count")), 0, "{compared:#}");
            }
            break;
        }
        assert!(tokio::time::Instant::now() < deadline, "{shown:#}");
    }
    assert_eq!(daemon.stop(), Some(0));
    let daemon = place.start();
    assert_eq!(deposit(&daemon).await, expected + 1);
    let back = daemon.post(&format!("{path}/rollback"), &[], "").await.ok();
    assert_eq!(at(&back, "/build"), 0);
    assert_eq!(deposit(&daemon).await, expected + 2);
}
