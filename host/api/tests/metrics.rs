//! `/metrics`.

use serde_json::json;

use crate::support::Host;

#[tokio::test]
async fn figures_of_the_host_are_written_for_prometheus() {
    // Guards what dashboards and alerts rest on: names, labels and what is counted.
    let host = Host::start().await;
    let position = host.open_account("a1", 10).await;
    host.post("/v1/aggregates/account/a1/withdraw-funds", &json!({"cents": 99})).await;
    host.post("/v1/aggregates/account/a1/deposit-funds", &json!({"cents": "x"})).await;
    host.post("/v1/aggregates/misbehaving/1/trap", &json!({})).await;
    let row = format!("/v1/views/account-balances/balances/a1?position={position}");
    assert_eq!(host.get(&row).await.status.as_u16(), 200);
    let answer = host.get("/metrics").await;
    assert_eq!(answer.status.as_u16(), 200);
    assert_eq!(answer.header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = String::from_utf8(answer.body).unwrap();
    let families: Vec<_> = text.lines().filter_map(|line| line.strip_prefix("# TYPE ")).collect();
    assert_eq!(
        families,
        [
            "annals_commands_in_flight gauge",
            "annals_commands_total counter",
            "annals_plugin_calls_total counter",
            "annals_plugin_fuel_total counter",
            "annals_plugin_input_bytes_total counter",
            "annals_plugin_output_bytes_total counter",
            "annals_plugin_seconds_total counter",
            "annals_plugin_failures_total counter",
            "annals_plugin_memory_bytes gauge",
            "annals_plugin_memory_high_bytes gauge",
            "annals_plugin_entities gauge",
            "annals_plugin_quarantined_streams gauge",
            "annals_projection_lag_events gauge",
            "annals_projection_lag_seconds gauge",
            "annals_projection_parked_streams gauge",
            "annals_schedules gauge",
            "annals_schedule_firings_total counter",
            "annals_schedules_parked_total counter",
            "annals_schedules_late_seconds gauge",
        ]
    );
    let samples: Vec<_> = text
        .lines()
        // How many are in flight is a matter of time.
        .filter(|line| line.starts_with("annals_commands_total") || line.contains("_lag_events{"))
        .collect();
    assert_eq!(
        samples,
        [
            "annals_commands_total{outcome=\"accepted\"} 1",
            "annals_commands_total{outcome=\"rejected\"} 1",
            "annals_commands_total{outcome=\"refused\"} 1",
            "annals_commands_total{outcome=\"shed\"} 0",
            "annals_commands_total{outcome=\"failed\"} 1",
            "annals_projection_lag_events{plugin=\"account-balances\"} 0",
        ]
    );
}

#[tokio::test]
async fn figures_are_read_when_every_request_slot_is_taken() {
    // Guards seeing an overload while it lasts.
    let host = Host::empty_with(|setup| setup.api.requests_in_flight_max = 0).await;
    assert_eq!(host.get("/metrics").await.status.as_u16(), 200);
}
