//! What Redis can lose, and that it gets it back: no gap before the last entry, ever.

use annals_bus_redis::RedisBus;
use annals_core::id::StoreId;
use annals_core::place::Partition;
use annals_core::port::Bus as _;
use redis::Value;
use uuid::Uuid;

use crate::support::{KEY, Logs, STORE_ID, Server, events, options, position, publish_all, told};

async fn last(bus: &RedisBus) -> Option<u64> {
    bus.last_published(Partition::ZERO).await.unwrap().map(annals_core::place::Position::get)
}

#[tokio::test]
async fn restarted_empty_it_gets_everything_again() {
    // Guards R15: a Redis without a dump forgets all; what comes next does not go before the rest.
    let mut server = Server::start().await;
    let bus = server.bus();
    assert_eq!(last(&bus).await, None);
    bus.publish(&events(0, 10)).await.unwrap();
    server.kill().await;
    server.go().await;
    // The next event alone would leave a gap that nobody could fill.
    crate::support::eventually(|| async {
        match bus.publish(&events(10, 1)).await {
            Err(error) if told(&error).contains("has lost its end") => Ok(()),
            other => Err(other),
        }
    })
    .await;
    assert_eq!(server.ask::<u64>(&["DBSIZE"]).await, 0);
    publish_all(&bus, 11).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=11).collect::<Vec<_>>());
}

#[tokio::test]
async fn restarted_with_an_older_dump_it_gets_what_it_lost() {
    // Guards R15: losing the last second. Its last id is older as well, so the rest fits behind it.
    let mut server = Server::start().await;
    let bus = server.bus();
    publish_all(&bus, 10).await;
    server.ask::<Value>(&["SAVE"]).await;
    publish_all(&bus, 20).await;
    server.kill().await;
    server.go().await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=10).collect::<Vec<_>>());
    publish_all(&bus, 25).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=25).collect::<Vec<_>>());
}

#[tokio::test]
async fn nothing_is_published_past_a_loss_until_somebody_asks() {
    // Guards the condition on the connection itself: an emptied Redis, connected all the time.
    let logs = Logs::begin();
    let server = Server::start().await;
    let bus = server.bus();
    publish_all(&bus, 10).await;
    server.ask::<Value>(&["FLUSHALL"]).await;
    for _ in 0..3 {
        let error = bus.publish(&events(10, 5)).await.unwrap_err();
        assert_eq!(
            told(&error),
            "the bus is not available: \
             the stream has lost its end: ask how far it goes, and go on"
        );
    }
    assert_eq!(server.ask::<u64>(&["DBSIZE"]).await, 0);
    assert_eq!(last(&bus).await, None);
    bus.publish(&events(0, 15)).await.unwrap();
    assert_eq!(server.entry_numbers(KEY).await, (1..=15).collect::<Vec<_>>());
    // It is made up for by itself, so nobody has to be told.
    assert_eq!(logs.text(), "");
}

#[tokio::test]
async fn of_two_hosts_none_goes_on_before_the_other_has_filled_the_gap() {
    // Guards hosts that meet a loss at different times: whoever comes first fills, the other asks.
    let server = Server::start().await;
    let (slow, quick) = (server.bus(), server.bus());
    publish_all(&slow, 10).await;
    publish_all(&quick, 10).await;
    server.ask::<Value>(&["DEL", KEY]).await;
    quick.publish(&events(10, 1)).await.unwrap_err();
    assert_eq!(last(&quick).await, None);
    quick.publish(&events(0, 6)).await.unwrap();
    // The stream is there again, but ends before what this host believes.
    slow.publish(&events(10, 5)).await.unwrap_err();
    assert_eq!(server.entry_numbers(KEY).await, (1..=6).collect::<Vec<_>>());
    publish_all(&slow, 15).await;
    quick.publish(&events(6, 5)).await.unwrap();
    assert_eq!(server.entry_numbers(KEY).await, (1..=15).collect::<Vec<_>>());
}

#[tokio::test]
async fn of_two_hosts_that_find_nothing_one_begins() {
    // Guards the beginning: a host that found no stream does not add to one that has come since.
    let server = Server::start().await;
    let (one, other) = (server.bus(), server.bus());
    assert_eq!((last(&one).await, last(&other).await), (None, None));
    one.publish(&events(0, 3)).await.unwrap();
    other.publish(&events(1_000, 3)).await.unwrap_err();
    assert_eq!(last(&other).await, Some(2));
    assert_eq!(server.entry_numbers(KEY).await, [1, 2, 3]);
}

#[tokio::test]
async fn a_host_goes_on_after_what_others_have_published() {
    // Guards hosts side by side: being behind is no loss.
    let server = Server::start().await;
    let (ahead, behind) = (server.bus(), server.bus());
    publish_all(&behind, 5).await;
    publish_all(&ahead, 20).await;
    behind.publish(&events(5, 20)).await.unwrap();
    assert_eq!(server.entry_numbers(KEY).await, (1..=25).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_stream_that_was_emptied_goes_on_and_a_deleted_one_begins_again() {
    // Guards operators: trimming by hand is final, as Redis takes no smaller ids; deleting is not.
    let server = Server::start().await;
    let bus = server.bus();
    publish_all(&bus, 10).await;
    server.ask::<Value>(&["XTRIM", KEY, "MAXLEN", "0"]).await;
    assert_eq!(last(&bus).await, Some(9));
    publish_all(&bus, 12).await;
    assert_eq!(server.entry_numbers(KEY).await, [11, 12]);
    server.ask::<Value>(&["XDEL", KEY, "12-0"]).await;
    assert_eq!(last(&bus).await, Some(11));
    server.ask::<Value>(&["DEL", KEY]).await;
    assert_eq!(last(&bus).await, None);
    publish_all(&bus, 12).await;
    assert_eq!(server.entry_numbers(KEY).await, (1..=12).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_group_may_be_there_before_the_first_event() {
    // Guards consumers that start first: their group makes an empty stream.
    let server = Server::start().await;
    server.ask::<Value>(&["XGROUP", "CREATE", KEY, "workers", "0", "MKSTREAM"]).await;
    let bus = server.bus();
    assert_eq!(last(&bus).await, None);
    bus.publish(&events(0, 3)).await.unwrap();
    let read = ["XREADGROUP", "GROUP", "workers", "one", "COUNT", "9", "STREAMS", KEY, ">"];
    let mut streams: Vec<(String, Vec<(String, Value)>)> = server.ask(&read).await;
    let ids = streams.pop().unwrap().1.into_iter().map(|(id, _)| id);
    assert_eq!(ids.collect::<Vec<_>>(), ["1-0", "2-0", "3-0"]);
}

#[tokio::test]
async fn the_stream_of_another_store_is_not_gone_on_with() {
    // Guards namespaces: two stores in one would mix their events.
    let server = Server::start().await;
    let other = StoreId::new(Uuid::from_u128(5));
    let other = RedisBus::connect(&options(&server.url()), other, 7).unwrap();
    other.publish(&events(0, 3)).await.unwrap();
    let bus = server.bus();
    let error = bus.last_published(Partition::ZERO).await.unwrap_err();
    assert_eq!(
        told(&error),
        "the bus is not available: `annals:{default:0}` holds the events of another store, \
         `urn:uuid:00000000-0000-0000-0000-000000000005`: \
         delete the key, or choose another namespace"
    );
    assert_eq!(other.last_published(Partition::ZERO).await.unwrap(), position(2));
    assert_ne!(STORE_ID, StoreId::new(Uuid::from_u128(5)));
}

#[tokio::test]
async fn entries_that_are_not_ours_are_named() {
    // Guards against others that write into our streams: what they add would hide events.
    for (words, id) in [
        (["XADD", KEY, "7-0", "a", "b"], "7-0"),
        (["XADD", KEY, "7-3", "cloudevent", "{}"], "7-3"),
        (["XADD", KEY, "7-3", "cloudevent", "{\"source\":\"urn:uuid:x\"}"], "7-3"),
    ] {
        let server = Server::start().await;
        let bus = server.bus();
        publish_all(&bus, 3).await;
        server.ask::<Value>(&words).await;
        let error = told(&bus.last_published(Partition::ZERO).await.unwrap_err());
        let remedy = "delete the key, or choose another namespace";
        assert!(error.contains(KEY) && error.ends_with(remedy), "{error}");
        assert!(error.contains(id) || error.contains("another store"), "{error}");
    }
}
