//! The guest list over HTTP, on the real binary.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::support::{Daemon, at, folder, run};

/// Runs a command of an invite; its answer comes when the totals have it.
async fn say(daemon: &Daemon, id: &str, command: &str, data: &Value) -> Value {
    let path = format!("/v1/aggregates/invite/{id}/{command}?wait_for=invite-totals");
    let answer = daemon.post(&path, &[], &data.to_string()).await;
    match answer.status {
        200 => at(&answer.body, "/events/0/type").clone(),
        422 => at(&answer.body, "/rejection/code").clone(),
        _ => panic!("{answer:?}"),
    }
}

/// Waits until everybody who accepted has an answer, and returns the feed.
async fn until_answered(daemon: &Daemon) -> Value {
    let deadline = Instant::now() + Duration::from_mins(1);
    loop {
        let feed = daemon.get("/v1/events?category=invite").await.ok();
        let events = at(&feed, "/events").as_array().unwrap();
        let is_answer = |event: &&Value| {
            event["type"] == "invite-confirmed" || event["type"] == "invite-denied"
        };
        if events.iter().filter(is_answer).count() == 3 {
            return feed;
        }
        assert!(Instant::now() < deadline, "{feed:#}");
        sleep(Duration::from_millis(20)).await;
    }
}

#[test]
fn of_four_who_are_invited_two_may_come() {
    // Guards G1, with the process manager that confirms the first two who accept and denies the rest.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start(&data);
        for (name, component) in [
            ("invite", annals_components::invite()),
            ("guests", annals_components::guests()),
            ("invite-totals", annals_components::invite_totals()),
            ("confirm-guests", annals_components::confirm_guests()),
        ] {
            daemon.install(name, component).await.ok();
        }
        let guests = [("athena", "Athena", 42), ("hades", "Hades", 50), ("zeus", "Zeus", 60)];
        for (id, name, age) in guests.into_iter().chain([("poseidon", "Poseidon", 55)]) {
            let guest = json!({ "name": name, "age": age });
            assert_eq!(say(&daemon, id, "create-invite", &guest).await, "invite-created");
        }
        for (id, command, expected) in [
            ("athena", "accept", "invite-accepted"),
            ("athena", "decline", "already-accepted"),
            ("hades", "accept", "invite-accepted"),
            ("zeus", "decline", "invite-declined"),
            ("poseidon", "accept", "invite-accepted"),
        ] {
            assert_eq!(say(&daemon, id, command, &json!({})).await, expected, "{id} {command}");
        }
        let feed = until_answered(&daemon).await;
        let events = at(&feed, "/events").as_array().unwrap();
        assert_eq!(events.len(), 11);
        let last = events.last().unwrap();
        let path = format!("/v1/views/invite-totals/totals?position={}", at(last, "/position"));
        let totals = daemon.get(&path).await.ok();
        let row = |key: &str, value: u64| json!({ "key": key, "value": value });
        let expected = [
            row("accepted", 3),
            row("confirmed", 2),
            row("declined", 1),
            row("denied", 1),
            row("invited", 4),
        ];
        assert_eq!(at(&totals, "/rows"), &json!(expected));
        let path = format!("/v1/views/guests/guests?position={}", at(last, "/position"));
        let rows = daemon.get(&path).await.ok();
        let row = |id: &str, name: &str, age: u64, status: &str| json!({ "key": id, "value": { "name": name, "age": age, "status": status } });
        let expected = [
            row("athena", "Athena", 42, "confirmed"),
            row("hades", "Hades", 50, "confirmed"),
            row("poseidon", "Poseidon", 55, "denied"),
            row("zeus", "Zeus", 60, "declined"),
        ];
        assert_eq!(at(&rows, "/rows"), &json!(expected));
    });
}
