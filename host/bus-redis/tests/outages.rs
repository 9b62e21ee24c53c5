//! Redis down, slow, cut off, full or a replica: said once and clearly, and made up for afterwards.

use std::time::Duration;

use annals_bus_redis::RedisOptions;
use annals_core::place::Partition;
use annals_core::port::Bus as _;
use redis::Value;
use rustix::process::Signal;
use tokio::time::{Instant, timeout};

use crate::support::{
    KEY, Logs, Server, Setup, connect, events, eventually, options, position, publish_all, told,
};

/// A password that must never be seen, as it stands in a URL.
const SECRET: &str = "s3cr%40t-word";

#[tokio::test]
async fn a_redis_that_is_down_at_start_is_caught_up_with_later() {
    // Guards P8: the bus is there at once, fails quickly, says once why, and goes on by itself.
    let logs = Logs::begin();
    let mut server = Server::absent(Setup::default());
    let url = format!("redis://default:{SECRET}@127.0.0.1:{}", server.port);
    let bus = connect(&options(&url));
    let begun = Instant::now();
    for _ in 0..100 {
        let error = told(&bus.publish(&events(0, 1)).await.unwrap_err());
        assert!(error.contains("Redis cannot be reached: Connection refused"), "{error}");
        bus.last_published(Partition::ZERO).await.unwrap_err();
        bus.wake(Partition::ZERO, position(0).unwrap()).await.unwrap_err();
    }
    assert!(begun.elapsed() < Duration::from_secs(20));
    let address = format!("127.0.0.1:{}", server.port);
    logs.until("redis is not available; events go on without it", 1).await;
    let said = logs.text();
    assert!(said.contains(&address) && said.contains("Connection refused"), "{said}");

    server.go().await;
    // Any password is right for a user without one.
    server.ask::<Value>(&["ACL", "SETUSER", "default", "nopass"]).await;
    publish_all(&bus, 100).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=100).collect::<Vec<_>>());
    let said = logs.text();
    assert_eq!(logs.count("redis is not available"), 1, "{said}");
    assert_eq!(logs.count("redis is available again"), 1, "{said}");
    assert_eq!(said.lines().count(), 2, "{said}");
    assert!(!said.contains("s3cr"), "{said}");
    assert!(!format!("{bus:?} {:?}", options(&url)).contains("s3cr"));
}

#[tokio::test]
async fn a_redis_that_goes_and_comes_is_caught_up_with_each_time() {
    // Guards R15: restarts with everything saved, one warning and one all-clear for each.
    let logs = Logs::begin();
    let setup = Setup { lines: "appendonly yes\nappendfsync always", ..Setup::default() };
    let mut server = Server::start_with(setup, |_| ()).await;
    let bus = server.bus();
    for round in 1..=3 {
        publish_all(&bus, u64::try_from(round).unwrap() * 10).await;
        server.kill().await;
        eventually(|| async {
            let asked = bus.last_published(Partition::ZERO).await;
            if asked.is_err() { Ok(()) } else { Err(()) }
        })
        .await;
        logs.until("redis is not available", round).await;
        server.go().await;
        logs.until("redis is available again", round).await;
    }
    publish_all(&bus, 40).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=40).collect::<Vec<_>>());
    assert_eq!(logs.text().lines().count(), 6, "{}", logs.text());
}

#[tokio::test]
async fn a_redis_that_does_not_answer_holds_up_nobody_for_long() {
    // Guards R15 "paused": a stopped process keeps its connections and answers nothing.
    let server = Server::start().await;
    let options = RedisOptions {
        response_wait_max: Duration::from_millis(200),
        connect_wait_max: Duration::from_millis(200),
        ..options(&server.url())
    };
    let bus = connect(&options);
    publish_all(&bus, 10).await;
    server.signal(Signal::STOP);
    let longest = Duration::from_secs(10);
    let error = timeout(longest, bus.publish(&events(10, 5))).await.unwrap().unwrap_err();
    assert!(told(&error).contains("Redis does not answer in the time it has"), "{error:?}");
    for _ in 0..10 {
        timeout(longest, bus.publish(&events(10, 5))).await.unwrap().unwrap_err();
        timeout(longest, bus.wake(Partition::ZERO, position(1).unwrap()))
            .await
            .unwrap()
            .unwrap_err();
    }
    server.signal(Signal::CONT);
    publish_all(&bus, 20).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_wake_waits_no_longer_than_its_limit() {
    // Guards writers: WAKE_MS_MAX holds although commands may take longer.
    let server = Server::start().await;
    let longest = Duration::from_secs(100);
    let options = RedisOptions {
        response_wait_max: longest,
        connect_wait_max: longest,
        ..options(&server.url())
    };
    let bus = connect(&options);
    publish_all(&bus, 1).await;
    server.signal(Signal::STOP);
    let begun = Instant::now();
    bus.wake(Partition::ZERO, position(1).unwrap()).await.unwrap_err();
    let waited = begun.elapsed();
    server.signal(Signal::CONT);
    assert!(waited >= Duration::from_millis(annals_bus_redis::WAKE_MS_MAX), "{waited:?}");
    assert!(waited < Duration::from_secs(50), "{waited:?}");
    eventually(|| bus.wake(Partition::ZERO, position(1).unwrap())).await;
}

#[tokio::test]
async fn writes_that_are_paused_are_made_up_for() {
    // Guards a failover in preparation: `CLIENT PAUSE` holds writes back and answers the rest.
    let server = Server::start().await;
    let options =
        RedisOptions { response_wait_max: Duration::from_millis(100), ..options(&server.url()) };
    let bus = connect(&options);
    publish_all(&bus, 10).await;
    server.ask::<Value>(&["CLIENT", "PAUSE", "60000", "WRITE"]).await;
    for _ in 0..3 {
        bus.publish(&events(10, 5)).await.unwrap_err();
    }
    server.ask::<Value>(&["CLIENT", "UNPAUSE"]).await;
    publish_all(&bus, 20).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=20).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_connection_that_is_cut_is_made_again() {
    // Guards R15 "cut off": in the middle of publishing, again and again.
    let server = Server::start().await;
    let bus = server.bus();
    let cutting = async {
        for _ in 0..20 {
            tokio::task::yield_now().await;
            server.ask::<u64>(&["CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"]).await;
            server.ask::<u64>(&["CLIENT", "KILL", "TYPE", "pubsub", "SKIPME", "yes"]).await;
        }
    };
    let publishing = async {
        for end in (50..=2_000).step_by(50) {
            publish_all(&bus, end).await;
        }
    };
    tokio::join!(cutting, publishing);
    assert_eq!(server.entry_numbers(KEY).await, (1..=2_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_replica_is_left_for_the_primary_that_takes_its_place() {
    // Guards failover: what was connected to becomes a replica, is said to be one, and is looked up
    // again, until what answers takes writes.
    let logs = Logs::begin();
    let (primary, server) = (Server::start().await, Server::start().await);
    let bus = server.bus();
    publish_all(&bus, 10).await;
    let connection = async || {
        let clients: String = server.ask(&["CLIENT", "LIST"]).await;
        let ours = clients.lines().find(|line| line.contains("sub=1"));
        ours.map(|line| line.split(' ').next().unwrap().to_owned())
    };
    let first = connection().await;
    assert_ne!(first, None);
    let port = primary.port.to_string();
    server.ask::<Value>(&["REPLICAOF", "127.0.0.1", &port]).await;
    let words = "this Redis is a replica, which takes no writes: READONLY";
    eventually(|| async {
        let error = bus.publish(&events(10, 1)).await.map_err(|error| told(&error));
        if error.clone().is_err_and(|error| error.contains(words)) { Ok(()) } else { Err(error) }
    })
    .await;
    for _ in 0..10 {
        bus.publish(&events(10, 1)).await.unwrap_err();
    }
    eventually(|| async {
        let now = connection().await;
        if now.is_some() && now != first { Ok(()) } else { Err(now) }
    })
    .await;
    server.ask::<Value>(&["REPLICAOF", "NO", "ONE"]).await;
    // The primary had nothing, so its replica lost what it had.
    publish_all(&bus, 20).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=20).collect::<Vec<_>>());
    assert_eq!(logs.count("events of the partition cannot be published"), 1, "{}", logs.text());
    assert_eq!(logs.count("events of the partition are published again"), 1, "{}", logs.text());
}

#[tokio::test]
async fn a_redis_without_memory_takes_all_of_a_batch_or_nothing() {
    // Guards `maxmemory` without eviction: clearly said, no gap, and on with memory.
    let logs = Logs::begin();
    let server = Server::start().await;
    let bus = server.bus();
    publish_all(&bus, 10).await;
    server.ask::<Value>(&["CONFIG", "SET", "maxmemory", "1"]).await;
    for _ in 0..3 {
        let error = told(&bus.publish(&events(10, 100)).await.unwrap_err());
        assert!(error.contains("Redis has no memory left (`maxmemory`): OOM"), "{error}");
    }
    assert_eq!(server.entry_numbers(KEY).await, (1..=10).collect::<Vec<_>>());
    server.ask::<Value>(&["CONFIG", "SET", "maxmemory", "0"]).await;
    publish_all(&bus, 110).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=110).collect::<Vec<_>>());
    assert_eq!(logs.count("events of the partition cannot be published"), 1, "{}", logs.text());
    assert_eq!(logs.count("events of the partition are published again"), 1, "{}", logs.text());
    assert_eq!(logs.text().lines().count(), 2, "{}", logs.text());
}

#[tokio::test]
async fn a_redis_that_is_loading_is_waited_for() {
    // Guards a restart with much data: LOADING is an outage like another, with its own words.
    let logs = Logs::begin();
    let lines =
        "rdbcompression no\nkey-load-delay 200000\nloading-process-events-interval-bytes 1024";
    let mut server = Server::start_with(Setup { lines, ..Setup::default() }, |_| ()).await;
    let bus = server.bus();
    publish_all(&bus, 10).await;
    for number in 0..10 {
        server.ask::<Value>(&["SET", &format!("key-{number}"), &"x".repeat(2_000)]).await;
    }
    server.ask::<Value>(&["SAVE"]).await;
    server.kill().await;
    logs.until("redis is not available", 1).await;
    server.launch();
    let words = "Redis is still loading its data: LOADING";
    eventually(|| async {
        match bus.last_published(Partition::ZERO).await.map_err(|error| told(&error)) {
            Err(error) if error.contains(words) => Ok(()),
            other => Err(other),
        }
    })
    .await;
    publish_all(&bus, 20).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=20).collect::<Vec<_>>());
    assert_eq!(logs.text().lines().count(), 2, "{}", logs.text());
}

#[tokio::test]
async fn a_bus_that_is_dropped_leaves_nothing_behind() {
    // Guards shutdown: the task ends and closes the connection; wakes end.
    use futures_util::StreamExt as _;
    let server = Server::start().await;
    let bus = server.bus();
    publish_all(&bus, 1).await;
    let mut listener = bus.wakes();
    let named = async |name: &str| {
        let clients: String = server.ask(&["CLIENT", "LIST"]).await;
        clients.lines().filter(|line| line.contains(name)).count()
    };
    assert_eq!(named("sub=1").await, 1);
    drop(bus);
    assert_eq!(timeout(Duration::from_secs(60), listener.next()).await.unwrap(), None);
    eventually(|| async { if named("sub=1").await == 0 { Ok(()) } else { Err(()) } }).await;
}

#[test]
fn a_caller_may_be_on_any_executor() {
    // Guards the engine's threads, some of which run no tokio: the network is the bus's own.
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let server = runtime.block_on(Server::start());
    let bus = runtime.block_on(async { server.bus() });
    pollster::block_on(async {
        bus.publish(&events(0, 3)).await.unwrap();
        assert_eq!(bus.last_published(Partition::ZERO).await.unwrap(), position(2));
        bus.wake(Partition::ZERO, position(2).unwrap()).await.unwrap();
    });
    drop(runtime);
    let error = pollster::block_on(bus.publish(&events(3, 1))).unwrap_err();
    assert_eq!(told(&error), "the bus is not available: the runtime of the bus has ended");
}
