//! What is in the streams.

use std::num::NonZeroU64;
use std::sync::Arc;

use annals_bus_redis::{BATCH_BYTES_MAX, BATCH_ENTRIES_MAX, RedisOptions};
use annals_core::event::{ContentType, Origin, SchemaVersion};
use annals_core::id::{CausationId, CommandId, CorrelationId};
use annals_core::place::{Partition, Revision};
use annals_core::port::Bus as _;
use annals_core::stream::StreamId;
use bytes::Bytes;
use uuid::Uuid;

use crate::support::{
    KEY, STORE_ID, Server, connect, event, events, options, position, publish_all, text_event,
};

type Entry = (String, Vec<(String, String)>);

async fn entries(server: &Server, key: &str) -> Vec<Entry> {
    server.ask(&["XRANGE", key, "-", "+"]).await
}

/// The one attribute or field of an entry that has everything.
async fn cloud_event(server: &Server) -> String {
    let (_, fields) = entries(server, KEY).await.pop().unwrap();
    fields.into_iter().find(|(name, _)| name == "cloudevent").unwrap().1
}

#[tokio::test]
async fn an_entry_has_the_next_number_as_id_and_all_fields() {
    // Guards consumers: id, names, order and text of every field, and the JSON byte for byte.
    let server = Server::start().await;
    let mut opened = text_event(0, r#"{"owner": "Ä. \"Quote\"", "limit": 1.50}"#);
    opened.metadata = Bytes::from_static(br#"{"ip":"::1"}"#);
    opened.schema_version = SchemaVersion(3);
    opened.command_id = Some(CommandId::new(Uuid::from_u128(9)));
    opened.origin = Arc::new(Origin {
        correlation_id: Some(CorrelationId::new("request-1").unwrap()),
        causation_id: Some(CausationId::new(Uuid::from_u128(8))),
        principal: Some(Arc::from("alice")),
    });
    let mut scanned = text_event(41, "\u{0}\u{7f}");
    scanned.partition = Partition(3);
    scanned.revision = Revision::new(5);
    scanned.content_type = ContentType::from("image/png");
    scanned.metadata = Bytes::from_static(b"\xff");
    let bus = server.bus();
    bus.publish(&[opened]).await.unwrap();
    bus.publish(&[scanned]).await.unwrap();

    let fields = |id: &str, revision: &str, place: (&str, &str), cloud_event: &str| {
        let (partition, position) = place;
        let pairs = [
            ("id", id),
            ("type", "counted"),
            ("stream", "account/a1"),
            ("revision", revision),
            ("partition", partition),
            ("position", position),
            ("time", "2026-11-20T09:30:00.000Z"),
            ("cloudevent", cloud_event),
        ];
        pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
    };
    let id = "00000000-0000-0000-0000-000000000000";
    let expected = concat!(
        r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000000","#,
        r#""source":"urn:uuid:00000000-0000-0000-0000-000000a11a15","type":"counted","#,
        r#""subject":"account/a1","time":"2026-11-20T09:30:00.000Z","annalspartition":"0","#,
        r#""annalsposition":"0","annalsrevision":"0","annalsschema":"3","#,
        r#""annalscorrelation":"request-1","#,
        r#""annalscausation":"00000000-0000-0000-0000-000000000009","#,
        r#""annalsprincipal":"alice","annalsmetadata":"{\"ip\":\"::1\"}","#,
        r#""datacontenttype":"application/json","#,
        r#""data":{"owner": "Ä. \"Quote\"", "limit": 1.50}}"#,
    );
    let entry = ("1-0".to_owned(), fields(id, "0", ("0", "0"), expected));
    assert_eq!(entries(&server, KEY).await, [entry]);
    let id = "00000000-0000-0000-0000-000000000029";
    let expected = concat!(
        r#"{"specversion":"1.0","id":"00000000-0000-0000-0000-000000000029","#,
        r#""source":"urn:uuid:00000000-0000-0000-0000-000000a11a15","type":"counted","#,
        r#""subject":"account/a1","time":"2026-11-20T09:30:00.000Z","annalspartition":"3","#,
        r#""annalsposition":"41","annalsrevision":"5","annalsschema":"1","#,
        r#""annalsmetadatabase64":"/w==","datacontenttype":"image/png","data_base64":"AH8="}"#,
    );
    let entry = ("42-0".to_owned(), fields(id, "5", ("3", "41"), expected));
    assert_eq!(entries(&server, "annals:{default:3}").await, [entry]);
    assert_eq!(STORE_ID.to_string(), "00000000-0000-0000-0000-000000a11a15");
}

#[tokio::test]
async fn data_that_is_not_the_json_it_says_goes_as_base64() {
    // Guards the JSON of the entry: no data can break it.
    for data in ["", "{", "{} {}", "\u{0}"] {
        let server = Server::start().await;
        server.bus().publish(&[text_event(0, data)]).await.unwrap();
        let text = cloud_event(&server).await;
        assert!(text.contains(r#""datacontenttype":"application/json","data_base64":""#), "{text}");
        assert!(!text.contains(r#""data":"#), "{text}");
    }
}

#[tokio::test]
async fn an_event_over_the_limit_is_published_as_a_pointer() {
    // Guards Redis' memory, and the exact limit: data and metadata together, inclusive.
    let server = Server::start().await;
    let options = RedisOptions { event_bytes_max: 10, ..options(&server.url()) };
    let bus = connect(&options);
    let mut fits = text_event(0, r#""123456""#);
    fits.metadata = Bytes::from_static(b"{}");
    bus.publish(&[fits]).await.unwrap();
    let text = cloud_event(&server).await;
    let end = r#""annalsmetadata":"{}","datacontenttype":"application/json","data":"123456"}"#;
    assert!(text.ends_with(end), "{text}");

    let mut too_large = text_event(1, r#""1234567""#);
    too_large.metadata = Bytes::from_static(b"{}");
    too_large.stream = StreamId::parse("account/50% of ä?").unwrap();
    bus.publish(&[too_large]).await.unwrap();
    let text = cloud_event(&server).await;
    let end = concat!(
        r#""annalsschema":"1","datacontenttype":"application/json","#,
        r#""dataref":"/v1/streams/account/50%25%20of%20%C3%A4%3F?from=1&limit=1"}"#
    );
    assert!(text.ends_with(end), "{text}");
}

#[tokio::test]
async fn a_stream_is_trimmed_to_about_its_limit() {
    // Guards Redis' memory: the oldest entries go, the newest stay, and publishing goes on.
    let server = Server::start().await;
    let stream_entries_max = NonZeroU64::new(200).unwrap();
    let bus = connect(&RedisOptions { stream_entries_max, ..options(&server.url()) });
    bus.publish(&events(0, 1_000)).await.unwrap();
    let numbers = server.entry_numbers(KEY).await;
    // Redis removes whole nodes of a hundred entries.
    assert!((200..=300).contains(&numbers.len()), "{}", numbers.len());
    let first = 1_001 - u64::try_from(numbers.len()).unwrap();
    assert_eq!(numbers, (first..=1_000).collect::<Vec<_>>());
    assert_eq!(bus.last_published(Partition::ZERO).await.unwrap(), position(999));
}

#[tokio::test]
async fn events_are_cut_into_batches_by_count_and_by_bytes() {
    // Guards latency of everybody else on this Redis: no call is longer than its limits.
    let server = Server::start().await;
    let bus = server.bus();
    let calls = async || {
        let stats: String = server.ask(&["INFO", "commandstats"]).await;
        let line = stats.lines().find_map(|line| line.strip_prefix("cmdstat_eval:calls="));
        let number = line.and_then(|line| line.split(',').next());
        number.map_or(0, |number| number.parse::<usize>().unwrap())
    };
    let count = u64::try_from(BATCH_ENTRIES_MAX).unwrap();
    bus.publish(&events(0, count)).await.unwrap();
    assert_eq!(calls().await, 1);
    bus.publish(&events(count, count + 1)).await.unwrap();
    assert_eq!(calls().await, 3);
    // Of five events each a quarter of the limit and a bit, four reach it.
    let data = format!("\"{}\"", "x".repeat(BATCH_BYTES_MAX / 4));
    let large: Vec<_> = (0..5).map(|number| text_event(9_000 + number, &data)).collect();
    let options = RedisOptions { event_bytes_max: usize::MAX, ..options(&server.url()) };
    connect(&options).publish(&large).await.unwrap();
    assert_eq!(calls().await, 5);
    assert_eq!(server.entry_numbers(KEY).await.len(), BATCH_ENTRIES_MAX * 2 + 1 + 5);
}

#[tokio::test]
async fn partitions_are_streams_of_their_own_also_in_one_call() {
    // Guards keys: one per namespace and partition.
    let server = Server::start().await;
    let mut mixed = events(0, 3);
    mixed[1].partition = Partition(7);
    mixed[2].partition = Partition(7);
    server.bus().publish(&mixed).await.unwrap();
    let other = RedisOptions { namespace: "other-1".to_owned(), ..options(&server.url()) };
    connect(&other).publish(&events(4, 1)).await.unwrap();
    let mut keys: Vec<String> = server.ask(&["KEYS", "*"]).await;
    keys.sort();
    assert_eq!(keys, ["annals:{default:0}", "annals:{default:7}", "annals:{other-1:0}"]);
    assert_eq!(server.entry_numbers("annals:{default:7}").await, [2, 3]);
    assert_eq!(server.entry_numbers("annals:{other-1:0}").await, [5]);
}

#[tokio::test]
async fn publishing_again_or_by_several_at_once_leaves_each_event_once() {
    // Guards hosts that relay the same partition: each event once, in order, none missing.
    let server = Server::start().await;
    let hosts = [server.bus(), server.bus(), server.bus()];
    let publishing = hosts.iter().map(|bus| async move {
        for end in (100..=2_000).step_by(100) {
            publish_all(bus, end).await;
        }
    });
    futures_util::future::join_all(publishing).await;
    hosts[0].publish(&events(0, 2_000)).await.unwrap();
    assert_eq!(server.entry_numbers(KEY).await, (1..=2_000).collect::<Vec<_>>());
    assert_eq!(hosts[1].last_published(Partition::ZERO).await.unwrap(), position(1_999));
}

#[tokio::test]
async fn a_position_that_has_no_id_is_refused() {
    // Guards the one number that would not fit.
    let server = Server::start().await;
    let error = server.bus().publish(&[event(u64::MAX)]).await.unwrap_err();
    let text = crate::support::told(&error);
    assert!(text.contains("the position is too large for an entry of Redis"), "{text}");
    assert_eq!(server.ask::<u64>(&["DBSIZE"]).await, 0);
}
