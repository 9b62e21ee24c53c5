//! Users whose e-mail address nobody else has: claims over HTTP, on the real binary.

use std::time::Duration;

use futures_util::future::join_all;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use crate::drivers::Place;
use crate::support::{Answer, Daemon, annals, at, run};

const ADA: &str = "/v1/claims/email/ada%40example.org";
/// Longest wait for a reservation to expire, far more than it is held.
const EXPIRY_WAIT_MAX: Duration = Duration::from_mins(1);

async fn start(place: &Place) -> Daemon {
    let daemon = place.start();
    daemon.install("user", annals_components::user()).await.ok();
    daemon
}

/// Runs a command of a user.
async fn say(daemon: &Daemon, id: &str, command: &str, data: &Value) -> Answer {
    daemon.post(&format!("/v1/aggregates/user/{id}/{command}"), &[], &data.to_string()).await
}

async fn register(daemon: &Daemon, id: &str, email: &str) -> Answer {
    say(daemon, id, "register", &json!({ "email": email, "name": id })).await
}

/// What the holder and the others are told of a name.
fn held_by(holder: &str) -> Value {
    json!({ "scope": "email", "key": "ada@example.org", "holder": holder, "expires_at": null })
}

#[track_caller]
fn assert_held(answer: &Answer, holder: &str) {
    let detail =
        format!("`ada@example.org` of `email` is held by stream `{holder}`. Choose another name.");
    let mut body = answer.body.clone();
    body.as_object_mut().unwrap().remove("request_id").unwrap();
    let expected = json!({
        "title": "Conflict",
        "status": 409,
        "code": "claim-held",
        "detail": detail,
        "scope": "email",
        "key": "ada@example.org",
        "holder": holder,
    });
    assert_eq!((answer.status, body), (409, expected));
}

#[test]
fn an_address_belongs_to_one_user() {
    // Guards C8 on a disk: held by another, by itself, after release and after expiry.
    run(belongs_to_one_user(Place::local()));
}

#[test]
fn an_address_belongs_to_one_user_on_dynamodb() {
    // Guards C8 on the tables.
    run(belongs_to_one_user(Place::dynamodb_and_redis()));
}

async fn belongs_to_one_user(place: Place) {
    let daemon = start(&place).await;
    assert_eq!(daemon.get(ADA).await.code(), "claim-not-held");
    register(&daemon, "u1", "Ada@Example.org").await.ok();
    assert_eq!(daemon.get(ADA).await.ok(), held_by("user/u1"));
    // Another stream: refused, and nothing is recorded, so that the same command succeeds later.
    let id = [("idempotency-key", "0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10")];
    let data = r#"{"email":"ada@example.org","name":"u2"}"#;
    let refused = daemon.post("/v1/aggregates/user/u2/register", &id, data).await;
    assert_held(&refused, "user/u1");
    assert_eq!(daemon.get("/v1/streams/user/u2").await.code(), "unknown-stream");
    // Itself: nothing changes.
    let same =
        say(&daemon, "u1", "change-email", &json!({ "email": "ada@EXAMPLE.org" })).await.ok();
    assert_eq!(at(&same, "/events"), &json!([]));
    // Released: free for whoever comes next.
    say(&daemon, "u1", "change-email", &json!({ "email": "countess@example.org" })).await.ok();
    assert_eq!(daemon.get(ADA).await.code(), "claim-not-held");
    let accepted = daemon.post("/v1/aggregates/user/u2/register", &id, data).await.ok();
    assert_eq!(at(&accepted, "/is_repeat"), &json!(false));
    assert_held(&register(&daemon, "u3", "ada@example.org").await, "user/u2");
    say(&daemon, "u2", "close", &json!({})).await.ok();
    // Reserved for a while: refused until then, free from then on, and held for good once registered.
    let hold = json!({ "email": "ada@example.org", "hold_ms": 5_000 });
    let reserved = say(&daemon, "u3", "reserve-email", &hold).await.ok();
    assert_eq!(at(&reserved, "/events/0/type"), "email-reserved");
    let shown = daemon.get(ADA).await.ok();
    assert_eq!(at(&shown, "/holder"), "user/u3");
    assert!(at(&shown, "/expires_at").is_string(), "{shown:#}");
    assert_held(&register(&daemon, "u4", "ada@example.org").await, "user/u3");
    let deadline = Instant::now() + EXPIRY_WAIT_MAX;
    while daemon.get(ADA).await.status == 200 {
        assert!(Instant::now() < deadline, "the reservation does not expire");
        sleep(Duration::from_millis(50)).await;
    }
    register(&daemon, "u4", "ada@example.org").await.ok();
    assert_eq!(daemon.get(ADA).await.ok(), held_by("user/u4"));
    assert_held(&register(&daemon, "u3", "ada@example.org").await, "user/u4");
}

#[test]
fn of_fifty_who_register_with_one_address_at_once_one_wins() {
    // Guards C8's race on a disk, and that the winner holds the address after `kill -9`.
    run(one_wins(Place::local()));
}

#[test]
fn of_fifty_who_register_with_one_address_at_once_one_wins_on_dynamodb() {
    // Guards C8's race on the tables, between the streams of different partitions.
    run(one_wins(Place::dynamodb_and_redis()));
}

async fn one_wins(place: Place) {
    let mut daemon = start(&place).await;
    let ids: Vec<String> = (0..50).map(|number| format!("u{number}")).collect();
    let answers = join_all(ids.iter().map(|id| register(&daemon, id, "ada@example.org"))).await;
    let winners: Vec<_> =
        ids.iter().zip(&answers).filter(|(_, answer)| answer.status == 200).collect();
    let [(winner, _)] = winners.as_slice() else { panic!("not one of them won: {winners:?}") };
    let holder = format!("user/{winner}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_held(answer, &holder);
    }
    daemon.kill();
    drop(daemon);
    let daemon = place.start();
    assert_eq!(daemon.get(ADA).await.ok(), held_by(&holder));
    let other = ids.iter().find(|id| id != winner).unwrap();
    assert_held(&register(&daemon, other, "ada@example.org").await, &holder);
    say(&daemon, winner, "close", &json!({})).await.ok();
    register(&daemon, other, "ada@example.org").await.ok();
    assert_eq!(daemon.get(ADA).await.ok(), held_by(&format!("user/{other}")));
    let feed = daemon.get(&format!("/v1/streams/user/{winner}")).await.ok();
    let types: Vec<_> =
        at(&feed, "/events").as_array().unwrap().iter().map(|it| &it["type"]).collect();
    assert_eq!(json!(types), json!(["user-registered", "user-closed"]));
}

#[test]
fn claims_are_in_a_backup_and_in_an_export() {
    // Guards uniqueness in what is restored and in what is imported, here and on DynamoDB.
    run(async {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let daemon = Daemon::start(&data);
        daemon.install("user", annals_components::user()).await.ok();
        register(&daemon, "u1", "ada@example.org").await.ok();
        let hold = json!({ "email": "grace@example.org", "hold_ms": 86_400_000 });
        say(&daemon, "u2", "reserve-email", &hold).await.ok();
        register(&daemon, "u3", "edsger@example.org").await.ok();
        say(&daemon, "u3", "close", &json!({})).await.ok();
        let before = claims(&daemon).await;
        assert_eq!(before.iter().map(|it| it.status).collect::<Vec<_>>(), [200, 200, 404]);
        assert_eq!(daemon.stop(), Some(0));

        let store = |place: Option<&Place>, arguments: &[&str]| {
            let mut command = annals();
            if let Some(place) = place {
                place.configure(&mut command);
            }
            let done = command.arg("store").args(arguments).current_dir(folder.path()).output();
            let done = done.unwrap();
            assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
        };
        store(None, &["backup", "copy", "--data", "data"]);
        store(None, &["restore", "copy", "--data", "restored"]);
        store(None, &["export", "--data", "data", "--to", "all.ndjson"]);
        store(None, &["import", "all.ndjson", "--data", "imported", "--plugins", "data/plugins"]);
        let place = Place::dynamodb_and_redis();
        store(Some(&place), &["import", "all.ndjson", "--plugins", "data/plugins"]);
        let elsewhere = [
            Daemon::start(&folder.path().join("restored")),
            Daemon::start(&folder.path().join("imported")),
            place.start(),
        ];
        for daemon in elsewhere {
            assert_eq!(claims(&daemon).await, before);
            assert_held(&register(&daemon, "u4", "ada@example.org").await, "user/u1");
            register(&daemon, "u4", "edsger@example.org").await.ok();
        }
    });
}

/// What is told of three names, without the ids of the requests.
async fn claims(daemon: &Daemon) -> Vec<Answer> {
    let mut answers = Vec::new();
    for name in ["ada", "grace", "edsger"] {
        let mut answer = daemon.get(&format!("/v1/claims/email/{name}%40example.org")).await;
        answer.body.as_object_mut().unwrap().remove("request_id");
        answers.push(answer);
    }
    answers
}
