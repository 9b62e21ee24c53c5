//! Wakes between hosts.

use std::time::Duration;

use annals_core::place::{Partition, Position};
use annals_core::port::Bus;
use annals_core::port::bus::Wake;
use futures_util::StreamExt as _;
use futures_util::stream::BoxStream;
use redis::Value;
use tokio::time::timeout;

use crate::support::{Logs, Server, connect, eventually, options, publish_all};

fn wake(partition: u32, head: u64) -> Wake {
    Wake { partition: Partition(partition), head: Position::new(head) }
}

/// Tells until it is heard, as wakes may be lost.
async fn hears(teller: &impl Bus, listener: &mut BoxStream<'static, Wake>, wake: Wake) {
    for _ in 0..1_000 {
        drop(teller.wake(wake.partition, wake.head).await);
        while let Ok(heard) = timeout(Duration::from_millis(50), listener.next()).await {
            if heard.unwrap() == wake {
                return;
            }
        }
    }
    panic!("{wake:?} was never heard");
}

#[tokio::test]
async fn a_wake_reaches_other_hosts_of_the_namespace_and_no_others() {
    // Guards several hosts on one store, and two stores on one Redis.
    let server = Server::start().await;
    let (one, other) = (server.bus(), server.bus());
    let mut foreign_options = options(&server.url());
    foreign_options.namespace = "elsewhere".to_owned();
    let foreign = connect(&foreign_options);
    let (mut heard, mut not_heard) = (other.wakes(), foreign.wakes());
    hears(&one, &mut heard, wake(0, 7)).await;
    hears(&one, &mut heard, wake(3, u64::MAX)).await;
    hears(&foreign, &mut not_heard, wake(1, 1)).await;
    hears(&one, &mut heard, wake(0, 9)).await;
    // What was told until it was heard may come again, but nothing of the other namespace.
    while let Ok(heard) = timeout(Duration::from_millis(50), not_heard.next()).await {
        assert_eq!(heard, Some(wake(1, 1)));
    }
}

#[tokio::test]
async fn listeners_hear_again_after_an_outage() {
    // Guards the connection that nobody asks anything: listening is taken up again by itself.
    let mut server = Server::start().await;
    let (one, other) = (server.bus(), server.bus());
    let mut heard = other.wakes();
    hears(&one, &mut heard, wake(0, 1)).await;
    server.kill().await;
    server.go().await;
    hears(&one, &mut heard, wake(0, 2)).await;
    server.ask::<Value>(&["CLIENT", "KILL", "TYPE", "pubsub"]).await;
    hears(&one, &mut heard, wake(0, 3)).await;
}

#[tokio::test]
async fn a_malformed_wake_is_said_once_and_passed_over() {
    // Guards against anything that others send on the channel.
    let logs = Logs::begin();
    let server = Server::start().await;
    let bus = server.bus();
    let mut heard = bus.wakes();
    publish_all(&bus, 1).await;
    for text in ["nonsense", "0:-1", "", "4294967296:0", "0:1:2"] {
        server.ask::<Value>(&["PUBLISH", "annals:wake:default", text]).await;
    }
    server.ask::<Value>(&["PUBLISH", "annals:wake:default", "2:5"]).await;
    assert_eq!(timeout(Duration::from_secs(60), heard.next()).await.unwrap(), Some(wake(2, 5)));
    assert_eq!(logs.count("a wake was not understood, and passed over"), 1, "{}", logs.text());
    assert_eq!(logs.count("`nonsense` is not `partition:head`"), 1, "{}", logs.text());
}

#[tokio::test]
async fn a_listener_is_given_the_newest_wakes_only() {
    // Guards memory: QUEUED_WAKES_MAX is reached.
    let server = Server::start().await;
    let (bus, other) = (server.bus(), server.bus());
    let (mut slow, mut quick) = (bus.wakes(), bus.wakes());
    let many = 3 * u64::try_from(annals_bus_redis::QUEUED_WAKES_MAX).unwrap();
    for head in 0..many {
        eventually(|| other.wake(Partition::ZERO, Position::new(head))).await;
    }
    hears(&other, &mut quick, wake(0, many)).await;
    let mut heard = Vec::new();
    while let Ok(wake) = timeout(Duration::from_millis(50), slow.next()).await {
        heard.push(wake.unwrap());
    }
    assert!(heard.len() <= annals_bus_redis::QUEUED_WAKES_MAX, "{}", heard.len());
    assert_eq!(heard.last(), Some(&wake(0, many)));
}
