//! Scheduled commands over HTTP. The clock of these tests stands still, so what is due is due at once.

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use axum::body::Body;
use axum::http::Method;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Answer, Host, NOW, request};

const SCHEDULES: &str = "/v1/schedules";

/// Longest wait for what another thread does.
const DEADLINE: Duration = Duration::from_secs(60);

async fn delete(host: &Host, id: &str) -> Answer {
    let uri = format!("{SCHEDULES}/{id}");
    host.send(request(Method::DELETE, &uri, &[], Body::empty())).await
}

/// Waits until a schedule is of that status.
async fn until(host: &Host, id: &str, status: &str) -> Value {
    let begun = Instant::now();
    loop {
        let schedule = host.get(&format!("{SCHEDULES}/{id}")).await.json();
        if schedule["status"] == status {
            return schedule;
        }
        assert!(begun.elapsed() < DEADLINE, "{schedule:#}");
        sleep(Duration::from_millis(5)).await;
    }
}

fn opening(id: &str, timing: &Value) -> Value {
    let mut body = json!({
        "id": id,
        "aggregate": "account",
        "target": "a1",
        "command": "open-account",
        "data": {"owner": "ada", "initial_cents": 7},
    });
    body.as_object_mut().unwrap().extend(timing.as_object().unwrap().clone());
    body
}

fn malformed(detail: &str, field: &str) -> Value {
    json!({"code": "malformed-body", "detail": detail, "field": field})
}

#[tokio::test]
async fn a_schedule_is_made_shown_and_cancelled() {
    // Guards the documents: all fields of one that waits, repeats, other content, and the end.
    let host = Host::start().await;
    let wanted = opening("opening", &json!({"after": "90m"}));
    let headers = [("x-correlation-id", "order-7")];
    let made = host.post_with(SCHEDULES, &headers, &wanted).await.json();
    let expected = json!({
        "id": "opening",
        "aggregate": "account",
        "target": "a1",
        "command": "open-account",
        "data": {"owner": "ada", "initial_cents": 7},
        "after": "1h30m",
        "status": "waiting",
        "is_cancelling": false,
        "due_at": "2026-11-20T11:00:00.000Z",
        "next_try_at": "2026-11-20T11:00:00.000Z",
        "attempts_count": 0,
        "last_failure": null,
        "outcomes_count": 0,
        "outcomes": [],
        "created_at": NOW,
        "ended_at": null,
        "correlation_id": "order-7",
        "causation_id": made["causation_id"],
    });
    assert_eq!(made, expected);
    assert_eq!(host.post(SCHEDULES, &wanted).await.json(), expected);
    assert_eq!(host.get("/v1/schedules/opening").await.json(), expected);
    let other = opening("opening", &json!({"after": "91m"}));
    host.post(SCHEDULES, &other).await.assert_problem(
        409,
        &json!({
            "code": "schedule-differs",
            "detail": "Schedule `opening` is there with other content: timing. Give the new one \
                another id: an id is used once, also when what had it is cancelled or done.",
            "fields": ["timing"],
        }),
    );
    let mut cancelled = expected;
    for (field, value) in [
        ("status", json!("cancelled")),
        ("due_at", json!(null)),
        ("next_try_at", json!(null)),
        ("ended_at", json!(NOW)),
    ] {
        cancelled[field] = value;
    }
    assert_eq!(delete(&host, "opening").await.json(), cancelled);
    assert_eq!(delete(&host, "opening").await.json(), cancelled);
    delete(&host, "none").await.assert_problem(
        404,
        &json!({
            "code": "unknown-schedule",
            "detail": "There is no schedule `none`. It never was, or ended so long ago that it is \
                not kept.",
        }),
    );
}

#[tokio::test]
async fn outcomes_of_commands_are_shown() {
    // Guards C7 over HTTP: what was accepted with its place, what was rejected with its code, and that
    // neither can be cancelled any more.
    let host = Host::start().await;
    host.post(SCHEDULES, &opening("opening", &json!({"at": "2026-11-20T10:30:00+01:00"}))).await;
    let done = until(&host, "opening", "done").await;
    let event = host.get("/v1/streams/account/a1").await.json()["events"][0].clone();
    let outcome = json!({
        "command_id": event["command_id"],
        "due_at": NOW,
        "recorded_at": NOW,
        "outcome": "accepted",
        "revision": 0,
        "partition": 0,
        "position": event["position"],
    });
    assert_eq!(done["outcomes"], json!([outcome]));
    assert_eq!((&done["at"], &done["ended_at"]), (&json!(NOW), &json!(NOW)));
    let sent = host.get("/v1/streams/account/a1/commands").await.json()["commands"][0].clone();
    assert_eq!(sent["causation_id"], done["causation_id"]);
    let withdrawal = json!({
        "aggregate": "account",
        "target": "a1",
        "command": "withdraw-funds",
        "data": {"cents": 99},
        "after": "0s",
    });
    let key = "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10";
    host.post_with(SCHEDULES, &[("idempotency-key", key)], &withdrawal).await;
    let rejected = until(&host, key, "rejected").await;
    let rejection = json!({"code": "insufficient-funds", "message": "not enough money"});
    let outcome = &rejected["outcomes"][0];
    assert_eq!((&outcome["outcome"], &outcome["rejection"]), (&json!("rejected"), &rejection));
    delete(&host, key).await.assert_problem(
        409,
        &json!({
            "code": "schedule-ended",
            "detail": format!(
                "Schedule `{key}` is rejected already. Look at it for what became of its commands."
            ),
            "schedule_status": "rejected",
        }),
    );
}

#[tokio::test]
async fn a_parked_command_is_tried_again() {
    // Guards parking over HTTP: the cause without insides of the plugin, the retry, and that nothing
    // else can be tried again.
    let attempts_max = NonZeroU32::MIN;
    let host = Host::start_with(|setup| setup.engine.schedules.attempts_max = attempts_max).await;
    let trap = json!({
        "id": "trap", "aggregate": "misbehaving", "target": "1", "command": "trap", "after": "0s",
    });
    host.post(SCHEDULES, &trap).await;
    let parked = until(&host, "trap", "parked").await;
    let failure = &parked["last_failure"];
    let cause = failure["cause"].as_str().unwrap();
    assert!(cause.starts_with("the plugin trapped in `decide` (failure "), "{cause}");
    assert!(!cause.contains("secret"), "{cause}");
    assert_eq!((&parked["attempts_count"], &failure["is_counted"]), (&json!(1), &json!(true)));
    let again = host.post("/v1/schedules/trap/retry", &json!({})).await.json();
    assert_eq!((&again["status"], &again["due_at"]), (&json!("waiting"), &json!(NOW)));
    until(&host, "trap", "parked").await;
    delete(&host, "trap").await;
    host.post("/v1/schedules/trap/retry", &json!({})).await.assert_problem(
        409,
        &json!({
            "code": "schedule-not-parked",
            "detail": "Schedule `trap` is cancelled, not parked. Only what is parked can be tried \
                again.",
            "schedule_status": "cancelled",
        }),
    );
}

#[tokio::test]
async fn what_cannot_be_scheduled_is_refused_with_what_to_do() {
    // Guards bodies: times, cron expressions, zones, ids, and the problems of commands.
    let host = Host::start().await;
    let post = async |timing: Value| host.post(SCHEDULES, &opening("x", &timing)).await;
    let unclear = "The time is not clear. Give exactly one of `at`, `after` and `cron`, and \
                   `time_zone` with `cron` alone.";
    for timing in
        [json!({}), json!({"at": NOW, "after": "1h"}), json!({"after": "1h", "time_zone": "UTC"})]
    {
        post(timing).await.assert_problem(400, &malformed(unclear, "at"));
    }
    for (timing, detail, field) in [
        (
            json!({"after": "tomorrow"}),
            "`after` is no delay: give one such as `90s`, `1h30m` or `7d`, in `d`, `h`, `m`, `s` and \
             `ms`, at most `36500d`.",
            "after",
        ),
        (
            json!({"at": "12:00"}),
            "`at` is no time after 1970: give a time with its offset from UTC, such as \
             `2026-11-20T09:30:00Z` or `2026-11-20T10:30:00+01:00`.",
            "at",
        ),
        (
            json!({"cron": "0 9 * * *", "time_zone": "Berlin"}),
            "`time_zone` is not known: give its IANA name, such as `Europe/Berlin` or `UTC`.",
            "time_zone",
        ),
        (json!({"cron": "0 0 31 2 *"}), "`cron` never comes: give a day that a month has.", "cron"),
    ] {
        post(timing).await.assert_problem(400, &malformed(detail, field));
    }
    post(json!({"cron": "every day"})).await.assert_code(400, "malformed-body");
    post(json!({"when": "1h"})).await.assert_code(400, "malformed-body");
    let mut nobody = opening("x", &json!({"after": "1h"}));
    nobody["aggregate"] = json!("nobody");
    host.post(SCHEDULES, &nobody).await.assert_code(404, "unknown-aggregate");
    let mut vanish = opening("x", &json!({"after": "1h"}));
    vanish["command"] = json!("vanish");
    host.post(SCHEDULES, &vanish).await.assert_code(404, "unknown-command");
    let slash = opening("a/b", &json!({"after": "1h"}));
    host.post(SCHEDULES, &slash).await.assert_problem(
        400,
        &json!({
            "code": "bad-schedule-id",
            "detail": "`a/b` is not the id of a schedule: use 1 to 128 ASCII letters, digits, `-`, \
                `_`, `.` and `:`.",
        }),
    );
}

#[tokio::test]
async fn there_are_only_so_many_schedules() {
    // Guards `schedules_max` over HTTP.
    let host = Host::start_with(|setup| {
        setup.engine.schedules.schedules_max = NonZeroUsize::MIN;
    })
    .await;
    host.post(SCHEDULES, &opening("one", &json!({"after": "1h"}))).await;
    host.post(SCHEDULES, &opening("two", &json!({"after": "1h"}))).await.assert_problem(
        409,
        &json!({
            "code": "too-many-schedules",
            "detail": "There are 1 schedules already. Cancel some of them, or wait until some have \
                ended.",
            "schedules_max": 1,
        }),
    );
}

#[tokio::test]
async fn schedules_are_listed_in_pages_and_by_status() {
    // Guards lists: order, pages, the filter, no data; and what is no page and no status.
    let host = Host::start().await;
    for id in ["c", "a", "b"] {
        let cron = json!({"cron": "0 9 * * MON-FRI", "time_zone": "europe/berlin"});
        host.post(SCHEDULES, &opening(id, &cron)).await;
    }
    delete(&host, "b").await;
    let list = async |query: &str| host.get(&format!("{SCHEDULES}?{query}")).await.json();
    let ids = |page: &Value| {
        let ids = page["schedules"].as_array().unwrap().iter();
        ids.map(|it| it["id"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let first = list("limit=2").await;
    assert_eq!(ids(&first), ["a", "b"]);
    let schedule = &first["schedules"][0];
    assert_eq!(schedule["data"], json!(null), "no data in lists");
    assert_eq!(schedule["time_zone"], "Europe/Berlin");
    assert_eq!(schedule["due_at"], "2026-11-23T08:00:00.000Z");
    let second = list(&format!("limit=2&page={}", first["next_page"].as_str().unwrap())).await;
    assert_eq!((ids(&second), &second["next_page"]), (vec!["c".to_owned()], &json!(null)));
    assert_eq!(ids(&list("status=waiting").await), ["a", "c"]);
    assert_eq!(ids(&list("status=cancelled").await), ["b"]);
    host.get(&format!("{SCHEDULES}?status=late")).await.assert_problem(
        400,
        &json!({
            "code": "bad-query-parameter",
            "detail": "Query parameter `status` has a value it cannot have. Give one of `waiting`, \
                `firing`, `parked`, `done`, `rejected`, `cancelled`.",
            "parameter": "status",
            "expected": "one of `waiting`, `firing`, `parked`, `done`, `rejected`, `cancelled`",
        }),
    );
    host.get(&format!("{SCHEDULES}?page=%20")).await.assert_code(400, "bad-query-parameter");
}

#[tokio::test]
async fn figures_of_schedules_are_written_for_prometheus() {
    // Guards what alerts rest on: what waits, what is parked, and what became of commands.
    let attempts_max = NonZeroU32::MIN;
    let host = Host::start_with(|setup| setup.engine.schedules.attempts_max = attempts_max).await;
    let trap = json!({
        "id": "trap", "aggregate": "misbehaving", "target": "1", "command": "trap", "after": "0s",
    });
    host.post(SCHEDULES, &trap).await;
    host.post(SCHEDULES, &opening("later", &json!({"after": "1h"}))).await;
    host.post(SCHEDULES, &opening("now", &json!({"after": "0s"}))).await;
    until(&host, "trap", "parked").await;
    until(&host, "now", "done").await;
    let begun = Instant::now();
    let expected = [
        "annals_schedules{status=\"waiting\"} 1",
        "annals_schedules{status=\"parked\"} 1",
        "annals_schedules{status=\"ended\"} 1",
        "annals_schedule_firings_total{outcome=\"accepted\"} 1",
        "annals_schedule_firings_total{outcome=\"rejected\"} 0",
        "annals_schedule_firings_total{outcome=\"failed\"} 1",
        "annals_schedules_parked_total 1",
        "annals_schedules_late_seconds 0.000000000",
    ];
    loop {
        let text = String::from_utf8(host.get("/metrics").await.body).unwrap();
        let samples: Vec<_> =
            text.lines().filter(|line| line.starts_with("annals_schedule")).collect();
        // The counters of a host come a moment after the row.
        if samples == expected {
            return;
        }
        assert!(begun.elapsed() < DEADLINE, "{samples:#?}");
        sleep(Duration::from_millis(5)).await;
    }
}
