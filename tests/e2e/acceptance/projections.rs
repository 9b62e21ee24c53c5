//! Projections on the real binary: catching up, following, reading after a position.

use hyper::Method;

use crate::support::{Daemon, at, folder, run};

#[test]
fn a_new_projection_catches_up_while_commands_run_and_then_follows() {
    // Guards P2 with 10 000 events (100 000 are a matter of `annals bench`): installed late, progress
    // visible, commands go on, and the total is exact.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
        let line =
            r#"{"aggregate":"account","id":"a1","command":"deposit-funds","data":{"cents":1}}"#;
        let lines = vec![line; 1_000].join("\n");
        let headers = [("content-type", "application/x-ndjson")];
        for _ in 0..10 {
            let sent = daemon.try_send(Method::POST, "/v1/commands", &headers, lines.clone()).await;
            assert_eq!(sent.unwrap().status, 200);
        }
        daemon.install("account-balances", annals_components::account_balances()).await.ok();
        let last = daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
        let position = at(&last, "/position");
        let row =
            format!("/v1/views/account-balances/accounts/a1?position={position}&wait_ms=60000");
        let row = daemon.get(&row).await.ok();
        assert_eq!(at(&row, "/value/balance_cents"), 10_001);
        let status = daemon.get("/v1/projections/account-balances").await.ok();
        assert!(status.to_string().contains("10002"), "{status:#}");
        let query = "/v1/views/account-balances/queries/richest-accounts";
        let richest = daemon.post(query, &[], r#"{"limit":1}"#).await.ok();
        assert!(richest.to_string().contains("10001"), "{richest:#}");
    });
}

#[test]
fn a_read_waits_for_its_position_or_says_how_far_the_view_is() {
    // Guards P5: the row once the view is there; 504 after the wait for a position that never comes.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.install("account-balances", annals_components::account_balances()).await.ok();
        for cents in 1..20 {
            let open = format!(r#"{{"owner":"Ada","initial_cents":{cents}}}"#);
            let opened = daemon.account(&format!("p{cents}"), "open-account", &open).await.ok();
            let position = at(&opened, "/position");
            let row = format!("/v1/views/account-balances/accounts/p{cents}?position={position}");
            let row = daemon.get(&row).await.ok();
            assert_eq!(at(&row, "/value/balance_cents"), cents);
        }
        let never = "/v1/views/account-balances/accounts/p1?position=999999&wait_ms=50";
        let never = daemon.get(never).await;
        assert_eq!((never.status, never.code()), (504, "not-reached"));
        assert_eq!(daemon.get("/v1/views/account-balances/accounts/nobody").await.status, 404);
    });
}

#[test]
fn a_view_survives_kill_9_and_equals_the_fold() {
    // Guards P1 from outside: killed while projecting; every event counted once.
    run(async {
        let (_folder, data) = folder();
        let mut daemon = Daemon::start_with_account(&data).await;
        daemon.install("account-balances", annals_components::account_balances()).await.ok();
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
        let line =
            r#"{"aggregate":"account","id":"a1","command":"deposit-funds","data":{"cents":1}}"#;
        let lines = vec![line; 500].join("\n");
        let headers = [("content-type", "application/x-ndjson")];
        for _ in 0..3 {
            daemon.try_send(Method::POST, "/v1/commands", &headers, lines.clone()).await.unwrap();
            daemon.kill();
            daemon = Daemon::start(&data);
        }
        let last = daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
        let position = at(&last, "/position");
        let row =
            format!("/v1/views/account-balances/accounts/a1?position={position}&wait_ms=60000");
        let row = daemon.get(&row).await.ok();
        assert_eq!(at(&row, "/value/balance_cents"), 1_501);
    });
}
