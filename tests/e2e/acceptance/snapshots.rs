//! What is derived from the log can be deleted.

use serde_json::json;

use crate::drivers::Place;
use crate::support::{at, reached};

pub(super) async fn without_snapshots_views_and_caches_everything_is_as_before(place: &Place) {
    // Guards S3 and invariant 6: a stream long enough for snapshots, a view, a compiled plugin; all
    // that is derived deleted while the daemon is off; states, views and idempotency as before.
    let daemon = place.start_with_account().await;
    daemon.install("account-balances", annals_components::account_balances()).await.ok();
    daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":0}"#).await.ok();
    let id = [("idempotency-key", "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10")];
    let deposit = "/v1/aggregates/account/a1/deposit-funds";
    daemon.post(deposit, &id, r#"{"cents":1}"#).await.ok();
    for _ in 0..250 {
        daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
    }
    let state = daemon.get("/v1/aggregates/account/a1").await.ok();
    assert_eq!(daemon.stop(), Some(0));
    place.delete_what_is_derived().await;
    let daemon = place.start();
    assert_eq!(daemon.get("/v1/aggregates/account/a1").await.ok(), state);
    assert_eq!(at(&state, "/state/balance_cents"), 251);
    let again = daemon.post(deposit, &id, r#"{"cents":1}"#).await.ok();
    assert_eq!((at(&again, "/is_repeat"), at(&again, "/revision")), (&json!(true), &json!(1)));
    let last = daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
    let row = format!("/v1/views/account-balances/accounts/a1?{}", reached(&last));
    assert_eq!(at(&daemon.get(&row).await.ok(), "/value/balance_cents"), 252);
}
