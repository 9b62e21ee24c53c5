//! `/v1/processes…`.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::{Host, NOW, Setup};

const BASE: &str = "/v1/processes/reminders";

/// The time a minute after [`NOW`].
const LATER: &str = "2026-11-20T09:31:00.000Z";

/// A host with accounts opened with so many cents each, when all is handled.
async fn host_with(change: impl FnOnce(&mut Setup), accounts: &[(&str, u64)]) -> Host {
    let host = Host::start_with(change).await;
    for (id, cents) in accounts {
        host.open_account(id, *cents).await;
    }
    let component = b"reminders 1.0.0".to_vec();
    host.engine.install(None, component.into(), None).await.unwrap();
    until(&host, |it| it["phase"] == "caught-up" && it["lag_events"] == 0).await;
    host
}

/// Waits until the process manager is so.
async fn until(host: &Host, is_so: impl Fn(&Value) -> bool) -> Value {
    loop {
        let shown = host.get(BASE).await.json();
        if is_so(&shown) {
            return shown;
        }
        tokio::task::yield_now().await;
    }
}

/// The path of the instance of an account.
fn instance(account: &str) -> String {
    format!("{BASE}/instances/account%2F{account}%3F%C3%B6")
}

async fn ids(host: &Host, query: &str) -> Vec<String> {
    let page = host.get(&format!("{BASE}/instances{query}")).await.json();
    let ids = page["instances"].as_array().unwrap().iter();
    ids.map(|it| it["id"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_process_manager_is_shown_with_its_numbers() {
    // Guards what an operator sees first: how far it is, and what its instances do; the figures too.
    let accounts = [("a", 1), ("b", 13), ("c", 15), ("d", 21)];
    let host = host_with(|_| (), &accounts).await;
    let shown = until(&host, |it| it["sending_count"] == 1).await;
    let expected = json!({
        "name": "reminders", "version": "1.0.0", "digest": shown["digest"],
        "partitions": shown["partitions"], "events_count": 4, "lag_events": 0, "lag_ms": 0,
        "phase": "caught-up", "running_count": 2, "parked_count": 1, "parked_streams_count": 1,
        "sending_count": 1, "stuck_count": 0,
    });
    assert_eq!(shown, expected);
    let partition = &shown["partitions"][0];
    assert_eq!(
        (&partition["partition"], &partition["checkpoint"]),
        (&json!(0), &partition["head"])
    );
    assert_eq!(host.get("/v1/processes").await.json(), json!({"processes": [expected]}));
    let metrics = host.get("/metrics").await;
    let lines: Vec<_> =
        metrics.text().lines().filter(|line| line.starts_with("annals_process_")).collect();
    assert_eq!(
        lines,
        [
            "annals_process_lag_events{plugin=\"reminders\"} 0",
            "annals_process_lag_seconds{plugin=\"reminders\"} 0.000000000",
            "annals_process_running_instances{plugin=\"reminders\"} 2",
            "annals_process_parked_instances{plugin=\"reminders\"} 1",
            "annals_process_parked_streams{plugin=\"reminders\"} 1",
            "annals_process_stuck_instances{plugin=\"reminders\"} 0",
            "annals_process_sending_instances{plugin=\"reminders\"} 1",
        ]
    );
    let kind = host.get("/v1/plugins/reminders").await.json();
    assert_eq!(kind["kind"], "process-manager");
}

#[tokio::test]
async fn an_instance_is_shown_with_what_it_waits_for_and_what_it_did() {
    // Guards the history that an operator reads: what happened, what it led to, and what is next.
    let host = host_with(|_| (), &[("a", 1), ("d", 21), ("e", 20), ("f", 22)]).await;
    let timer = host.get(&instance("a")).await.json();
    let opened = &timer["history"][0]["message"];
    let expected = json!({
        "id": "account/a?ö", "status": "running", "is_stuck": false, "started_at": NOW,
        "changed_at": NOW, "ended_at": null, "messages_count": 1, "state": {"says": "opened"},
        "timers": [{"name": "remind", "due_at": LATER}], "pending": [], "parked": null,
        "waiting": [],
        "history": [{
            "at": NOW,
            "message": {
                "kind": "event", "event_id": opened["event_id"], "event_type": "account-opened",
                "stream": "account/a", "revision": 0,
            },
            "commands": [], "started_timers": ["remind"], "cancelled_timers": [], "is_end": false,
        }],
    });
    assert_eq!(timer, expected);

    let sending = host.get(&instance("d")).await.json();
    let pending = &sending["pending"][0];
    let expected = json!([{
        "command_id": pending["command_id"], "command": "remind", "target": "nobody/d-2",
        "data": {"cents": 1}, "wanted_at": NOW, "causation_id": pending["causation_id"],
        "correlation_id": pending["correlation_id"],
    }]);
    assert_eq!(sending["pending"], expected);
    let sent = &sending["history"][0]["commands"];
    let of_history = json!({
        "command_id": pending["command_id"], "command": "remind", "target": "nobody/d-2",
    });
    assert_eq!(*sent, json!([of_history]));

    let ended = loop {
        let found = host.get(&instance("e")).await.json();
        if found["status"] == "ended" {
            break found;
        }
        tokio::task::yield_now().await;
    };
    let reply = &ended["history"][1];
    let expected = json!({
        "at": NOW,
        "message": {
            "kind": "reply", "command_id": reply["message"]["command_id"],
            "command": "deposit-funds", "target": "account/e-2", "outcome": "rejected",
            "code": "not-open", "cause": "the account is not open",
        },
        "commands": [], "started_timers": [], "cancelled_timers": [], "is_end": true,
    });
    assert_eq!(*reply, expected);
    let what = (&ended["ended_at"], ended.get("state"), &ended["timers"]);
    assert_eq!(what, (&json!(NOW), None, &json!([])));

    let bytes = host.get(&instance("f")).await.json();
    assert_eq!((bytes.get("state"), &bytes["state_base64"]), (None, &json!("/w==")));
}

#[tokio::test]
async fn instances_are_listed_page_by_page_and_by_what_they_do() {
    // Guards lists: each once, in order, in short, and only those that were asked for.
    let accounts = [("a", 1), ("b", 13), ("d", 21), ("e", 20), ("f", 22)];
    let host = host_with(|_| (), &accounts).await;
    until(&host, |it| it["running_count"] == 3).await;
    let page = host.get(&format!("{BASE}/instances?limit=2")).await.json();
    let parked = &page["instances"][1];
    let expected = json!({
        "id": "account/b?ö", "status": "parked", "is_stuck": false, "started_at": NOW,
        "changed_at": NOW, "ended_at": null, "messages_count": 0, "state": null,
        "next_timer": null, "next_command": null, "pending_count": 0,
        "parked": {"cause": "unheard of", "parked_at": NOW, "asked": null}, "waiting_count": 1,
    });
    assert_eq!(*parked, expected);
    let first = &page["instances"][0];
    assert_eq!(first["next_timer"], json!({"name": "remind", "due_at": LATER}));
    let token = page["next_page"].as_str().unwrap();
    let rest = ids(&host, &format!("?page={token}")).await;
    assert_eq!(rest, ["account/d?ö", "account/e?ö", "account/f?ö"]);
    for (state, expected) in [
        ("running", vec!["account/a?ö", "account/d?ö", "account/f?ö"]),
        ("ended", vec!["account/e?ö"]),
        ("parked", vec!["account/b?ö"]),
        ("stuck", vec![]),
    ] {
        assert_eq!(ids(&host, &format!("?state={state}")).await, expected, "{state}");
    }
    let listed = host.get(&format!("{BASE}/instances?limit=3")).await.json();
    let sending = &listed["instances"][2];
    assert_eq!(sending["next_command"]["target"], "nobody/d-2");
    assert_eq!((sending["next_command"].get("data"), &sending["pending_count"]), (None, &json!(1)));
}

#[tokio::test]
async fn an_instance_that_waits_for_nothing_is_stuck() {
    // Guards the answer to "does it hang?": a timer is waited for on purpose.
    let change = |setup: &mut Setup| setup.engine.processes.stuck_after = Duration::ZERO;
    let host = host_with(change, &[("a", 1), ("b", 13), ("f", 22)]).await;
    assert_eq!(ids(&host, "?state=stuck").await, ["account/b?ö", "account/f?ö"]);
    let stuck = host.get(&instance("f")).await.json();
    assert_eq!(stuck["is_stuck"], true);
}

#[tokio::test]
async fn what_is_replayed_in_vain_waits_again_and_what_is_discarded_goes_on() {
    // Guards both wishes over HTTP, for an instance, a stream and all; a trap's backtrace is told.
    let host = host_with(|_| (), &[("a", 1), ("b", 13), ("c", 15), ("g", 14)]).await;
    let trapped = host.get(&instance("g")).await.json();
    let cause = trapped["parked"]["cause"].as_str().unwrap();
    assert_eq!(cause, "plugin `reminders` trapped in `on-event`: told to\n  at reminders");
    assert_eq!(trapped["waiting"][0]["stream"], "account/g");
    let streams = host.get(&format!("{BASE}/parked-streams")).await.json();
    let parked = &streams["parked"][0];
    let expected = json!({
        "stream": "account/c",
        "event": {
            "kind": "event", "event_id": parked["event"]["event_id"],
            "event_type": "account-opened", "stream": "account/c", "revision": 0,
        },
        "parked": {
            "cause": "plugin `reminders` trapped in `correlate`: told to\n  at reminders",
            "parked_at": NOW, "asked": null,
        },
    });
    assert_eq!(streams, json!({"parked": [expected], "next_page": null}));

    let asked = host.post(&format!("{BASE}/replay"), &json!({})).await;
    assert_eq!(asked.json(), json!({"asked_count": 3}));
    until_nothing_is_asked(&host).await;
    let shown = host.get(BASE).await.json();
    assert_eq!((&shown["parked_count"], &shown["parked_streams_count"]), (&json!(2), &json!(1)));

    let named = json!({"instances": ["account/b?ö", "nobody"], "streams": ["account/c"]});
    let asked = host.post(&format!("{BASE}/discard"), &named).await;
    assert_eq!(asked.json(), json!({"asked_count": 2}));
    until(&host, |it| it["parked_count"] == 1 && it["parked_streams_count"] == 0).await;
    assert_eq!(ids(&host, "?state=parked").await, ["account/g?ö"]);
    let nothing = host.post(&format!("{BASE}/discard"), &json!({"instances": []})).await;
    assert_eq!(nothing.json(), json!({"asked_count": 0}));
}

/// Waits until what operators asked for is done.
async fn until_nothing_is_asked(host: &Host) {
    loop {
        let instances = host.get(&format!("{BASE}/instances?state=parked")).await.json();
        let streams = host.get(&format!("{BASE}/parked-streams")).await.json();
        let parked = [&instances["instances"], &streams["parked"]];
        let mut parked = parked.into_iter().flat_map(|it| it.as_array().unwrap());
        if parked.all(|it| it["parked"]["asked"].is_null()) {
            return;
        }
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn what_cannot_be_meant_is_refused() {
    // Guards bad input: no process manager, no instance, no stream, too many, a foreign token.
    let host = host_with(|_| (), &[]).await;
    let unknown = host.get("/v1/processes/account").await;
    unknown.assert_problem(
        404,
        &json!({
            "code": "unknown-process",
            "detail": "There is no process manager `account`. Use one of `known`, or install its plugin.",
            "known": ["reminders"],
        }),
    );
    for path in ["instances", "instances/x", "parked-streams"] {
        let answer = host.get(&format!("/v1/processes/nobody/{path}")).await;
        answer.assert_code(404, "unknown-process");
    }
    let none = host.post("/v1/processes/nobody/replay", &json!({"instances": []})).await;
    none.assert_code(404, "unknown-process");
    host.get(&instance("a")).await.assert_code(404, "unknown-process-instance");
    for query in ["state=lost", "limit=0", "limit=501", "page=."] {
        let answer = host.get(&format!("{BASE}/instances?{query}")).await;
        answer.assert_code(400, "bad-query-parameter");
    }
    let many = vec!["account/a"; 501];
    for (body, code) in [
        (json!({"streams": ["a"]}), "bad-stream-id"),
        (json!({"streams": many, "instances": many}), "malformed-body"),
        (json!({"ids": []}), "malformed-body"),
    ] {
        host.post(&format!("{BASE}/replay"), &body).await.assert_code(400, code);
    }
}
