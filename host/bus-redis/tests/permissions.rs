//! Users, passwords, and keys that are something else: refused in words that help.

use annals_bus_redis::{ConnectError, RedisBus, RedisOptions};
use annals_core::place::Partition;
use annals_core::port::Bus as _;
use redis::Value;

use crate::support::{
    KEY, Logs, STORE_ID, Server, Setup, connect, events, eventually, options, position,
    publish_all, told,
};

/// The user of `docs/guide/redis.md`, with the least that is needed.
const USER: [&str; 11] = [
    "on",
    ">pass word",
    "~annals:{default:*}",
    "&annals:wake:default",
    "+eval",
    "+xadd",
    "+xinfo|stream",
    "+publish",
    "+subscribe",
    "+ping",
    "-debug",
];

async fn with_user(lines: &[&str]) -> (Server, RedisBus) {
    let server = Server::start().await;
    let words = [&["ACL", "SETUSER", "annals"], lines].concat();
    server.ask::<Value>(&words).await;
    let url = format!("redis://annals:pass%20word@127.0.0.1:{}/0", server.port);
    let bus = connect(&options(&url));
    (server, bus)
}

#[tokio::test]
async fn a_user_with_these_permissions_can_do_everything() {
    // Guards the guide: these are enough.
    let logs = Logs::begin();
    let (server, bus) = with_user(&USER).await;
    publish_all(&bus, 10).await;
    eventually(|| bus.wake(Partition::ZERO, position(9).unwrap())).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=10).collect::<Vec<_>>());
    assert_eq!(logs.text(), "");
}

#[tokio::test]
async fn a_permission_that_is_missing_is_said_once_and_harms_nothing_else() {
    // Guards operators: the line names what is missing, and what works without it goes on.
    let cases = [
        ("+eval", "events of the partition cannot be published", "eval"),
        ("+xadd", "events of the partition cannot be published", "xadd"),
        ("+xinfo|stream", "events of the partition cannot be published", "xinfo"),
        ("~annals:{default:*}", "events of the partition cannot be published", "key"),
        ("+publish", "wakes cannot be sent", "publish"),
        ("+subscribe", "wakes cannot be heard", "subscribe"),
        ("&annals:wake:default", "wakes cannot be heard", "channel"),
    ];
    for (missing, words, what) in cases {
        let logs = Logs::begin();
        let lines: Vec<&str> = USER.into_iter().filter(|line| *line != missing).collect();
        let (_server, bus) = with_user(&lines).await;
        let mut outcomes = (Ok(None), Ok(()), Ok(()));
        for _ in 0..3 {
            outcomes = (
                bus.last_published(Partition::ZERO).await.map_err(|error| told(&error)),
                bus.publish(&events(0, 3)).await.map_err(|error| told(&error)),
                bus.wake(Partition::ZERO, position(2).unwrap()).await.map_err(|error| told(&error)),
            );
        }
        let said = logs.text();
        // Asking how far the copies go fails on its own, and is said on its own.
        let is_asking_as_well = matches!(missing, "+xinfo|stream" | "~annals:{default:*}");
        let lines_count = if is_asking_as_well { 2 } else { 1 };
        assert_eq!(logs.count(words), lines_count, "{missing}: {said}");
        let line = said.lines().find(|line| line.contains(words)).unwrap();
        assert!(line.contains("the user of Redis lacks a permission: NOPERM"), "{line}");
        assert!(line.to_lowercase().contains(what), "{line}");
        assert!(!said.contains("redis is not available"), "{missing}: {said}");
        let copies_fail = words.contains("published");
        assert_eq!(outcomes.0.is_err() || outcomes.1.is_err(), copies_fail, "{missing}");
        let wakes_fail = matches!(missing, "+publish" | "&annals:wake:default");
        assert_eq!(outcomes.2.is_err(), wakes_fail, "{missing}: {outcomes:?}");
    }
}

#[tokio::test]
async fn a_missing_or_wrong_password_is_said_clearly_and_never_repeated() {
    // Guards the first start of many: what is wrong is in the log, the password is not.
    let setup = Setup { lines: "requirepass r1ght", ..Setup::default() };
    let mut server = Server::absent(setup);
    server.launch();
    let cases = [
        ("", "Redis wants a user or a password: put them into its URL: NOAUTH"),
        (":wr0ng@", "Redis refuses the user or the password of its URL: WRONGPASS"),
        ("nobody:wr0ng@", "Redis refuses the user or the password of its URL: WRONGPASS"),
    ];
    for (user, words) in cases {
        let logs = Logs::begin();
        let bus = connect(&options(&format!("redis://{user}127.0.0.1:{}", server.port)));
        eventually(|| async {
            match bus.last_published(Partition::ZERO).await.map_err(|error| told(&error)) {
                Err(error) if error.contains(words) => Ok(()),
                other => Err(other),
            }
        })
        .await;
        let said = logs.text();
        assert!(logs.count("redis is not available; events go on without it") == 1, "{said}");
        assert!(!said.contains("wr0ng") && !said.contains("r1ght"), "{said}");
    }
    let bus = connect(&options(&format!("redis://:r1ght@127.0.0.1:{}", server.port)));
    publish_all(&bus, 3).await;
}

#[tokio::test]
async fn a_password_that_is_set_later_is_noticed_and_a_right_one_goes_on() {
    // Guards rotation: the user of a running host is changed under it.
    let (server, bus) = with_user(&USER).await;
    publish_all(&bus, 3).await;
    server.ask::<Value>(&["ACL", "SETUSER", "annals", "<pass word", ">another"]).await;
    server.ask::<Value>(&["CLIENT", "KILL", "USER", "annals"]).await;
    eventually(|| async {
        match bus.publish(&events(3, 1)).await.map_err(|error| told(&error)) {
            Err(error) if error.contains("WRONGPASS") => Ok(()),
            other => Err(other),
        }
    })
    .await;
    server.ask::<Value>(&["ACL", "SETUSER", "annals", ">pass word"]).await;
    publish_all(&bus, 6).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=6).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_key_of_another_type_is_named_and_left_alone() {
    // Guards the data of others: nothing is overwritten.
    let logs = Logs::begin();
    let server = Server::start().await;
    server.ask::<Value>(&["SET", KEY, "mine"]).await;
    let bus = server.bus();
    for _ in 0..3 {
        let words = "the key holds something else than a stream: delete it: WRONGTYPE";
        let error = told(&bus.last_published(Partition::ZERO).await.unwrap_err());
        assert!(error.contains(words), "{error}");
        let error = told(&bus.publish(&events(0, 3)).await.unwrap_err());
        assert!(error.contains(words), "{error}");
    }
    assert_eq!(server.ask::<String>(&["GET", KEY]).await, "mine");
    assert_eq!(logs.count("WRONGTYPE"), 2, "{}", logs.text());
    server.ask::<Value>(&["DEL", KEY]).await;
    publish_all(&bus, 3).await;
    assert_eq!(logs.count("are published again"), 2, "{}", logs.text());
}

#[tokio::test]
async fn a_cluster_is_refused_in_words() {
    // Guards whoever tries: not supported, and said so.
    let setup = Setup { lines: "cluster-enabled yes", ..Setup::default() };
    let server = Server::start_with(setup, |_| ()).await;
    let bus = server.bus();
    let error = told(&bus.publish(&events(0, 1)).await.unwrap_err());
    let words = "this is a Redis Cluster, which is not supported: name the server of the keys";
    assert!(error.contains(words), "{error}");
}

#[tokio::test]
async fn options_that_cannot_work_are_refused_at_once_without_the_password() {
    // Guards configuration: the one error that does not wait for Redis.
    let refused = |options: &RedisOptions| {
        let error = RedisBus::connect(options, STORE_ID, 7).unwrap_err();
        let text = error.to_string();
        assert!(!text.contains("hidden"), "{text}");
        text
    };
    let url = |url: &str| refused(&options(url));
    let causes = [
        ("", "Redis URL did not parse"),
        ("localhost:6379", "Redis URL did not parse"),
        ("http://u:hidden@h", "Redis URL did not parse"),
        ("redis://u:hidden@h:99999", "Redis URL did not parse"),
        ("redis://u:hidden@h/one", "Invalid database number"),
        ("redis://u:hid/den@h", "Redis URL did not parse"),
        ("redis://u:hidden@0.0.0.0", "Cannot connect to a wildcard address (0.0.0.0 or ::)"),
        ("rediss://u:hidden@h#insecure", "TLS without a check of the certificate"),
    ];
    for (text, cause) in causes {
        let said = url(text);
        let begin = format!("the URL of Redis is not valid: {cause}");
        assert!(said.starts_with(&begin), "{said}");
        assert!(said.contains("write `redis://user:password@host:6379`"), "{said}");
    }
    for namespace in ["", "A", "a b", "{a}", &"x".repeat(65)] {
        let options = RedisOptions { namespace: namespace.to_owned(), ..options("redis://h") };
        let said = refused(&options);
        assert!(
            said.ends_with(
                "is not a namespace: use 1 to 64 lower-case letters, digits and hyphens"
            )
        );
    }
    let ca_certificates = Some(b"-----BEGIN CERTIFICATE-----\nAAAA\n".to_vec());
    let plain = RedisOptions { ca_certificates: ca_certificates.clone(), ..options("redis://h") };
    assert!(refused(&plain).starts_with("the certificates for TLS cannot be read: "));
    let broken = RedisOptions { ca_certificates, ..options("rediss://h") };
    assert!(refused(&broken).starts_with("the certificates for TLS cannot be read: "));
    let outside =
        std::thread::spawn(|| RedisBus::connect(&options("redis://h"), STORE_ID, 7).unwrap_err());
    assert_eq!(outside.join().unwrap(), ConnectError::NoRuntime);
}
