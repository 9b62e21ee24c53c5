//! Installing upcasters, and what is known of them without calling any.

use annals_core::event::SchemaVersion;
use annals_core::name::EventType;
use annals_engine::plugins::{InstallError, InstallOutcome};
use annals_engine::upcast::{UpcastEvent, UpcastReadError};

use super::{doubled, start_with, wrote};
use crate::support::guest::{tally_with_other_events, upcaster};
use crate::support::upcaster::{Act, rule};
use crate::support::{World, name, run};

#[test]
fn an_event_has_one_upcaster() {
    // Guards against a choice that nobody made: the second is refused and names the first, which may
    // be replaced by a version of itself.
    run(async {
        let world = World::new();
        let engine = world.start().await;
        engine.install(None, doubled("1.0.0", 2), None).await.unwrap();
        let take = |version| rule(("added", version), &[("added", 9)], Act::Times(1));
        let error = engine
            .install(None, upcaster("other", "1.0.0", &[take(2), take(1)]), None)
            .await
            .unwrap_err();
        assert_eq!(
            error.to_string(),
            "`added` of schema version 1 is taken by the upcaster `old-sums`"
        );
        assert!(engine.plugin(&name("other")).is_none());
        engine.install(None, upcaster("other", "1.0.1", &[take(2)]), None).await.unwrap();
        let (outcome, _) = engine.install(None, doubled("1.1.0", 3), None).await.unwrap();
        assert_eq!(outcome, InstallOutcome::Upgraded);
    });
}

#[test]
fn it_is_known_what_can_be_read() {
    // Guards what versions are judged by before they are activated: read directly, over one step, over
    // two, in a circle, not at all.
    run(async {
        let engine = World::new().start().await;
        let rules = [
            rule(("paid", 1), &[("paid", 2)], Act::Times(1)),
            rule(("paid", 2), &[("noted", 1), ("added", 1)], Act::Times(1)),
            rule(("here", 1), &[("there", 1)], Act::Times(1)),
            rule(("there", 1), &[("here", 1)], Act::Times(1)),
        ];
        // An upcaster for each: what one produces, it may produce of all that it takes.
        engine.install(None, doubled("1.0.0", 2), None).await.unwrap();
        for (number, rule) in rules.iter().enumerate() {
            let one = upcaster(&format!("up-{number}"), "1.0.0", std::slice::from_ref(rule));
            engine.install(None, one, None).await.unwrap();
        }
        wrote(&engine, "a", &[("added", 2, 1), ("added", 1, 1), ("paid", 2, 1), ("paid", 1, 1)])
            .await;
        let unread =
            [("added", 3, 1), ("here", 1, 1), ("noted", 1, 1), ("paid", 3, 1), ("there", 1, 1)];
        wrote(&engine, "a", &unread).await;
        let refused = engine.install(None, tally_with_other_events("2.0.0"), None).await;
        let Err(InstallError::UnreadableHistory { unreadable, .. }) = refused else {
            panic!("{refused:?}")
        };
        let told: Vec<_> = unreadable
            .iter()
            .map(|it| (it.event_type.as_str(), it.schema_version.0, it.events_count))
            .collect();
        assert_eq!(told, unread.map(|(event_type, version, _)| (event_type, version, 1)));
    });
}

#[test]
fn events_are_shown_at_the_end_of_their_chain_beside_what_is_stored() {
    // Guards reads of events on request: places and ids stay, shapes go to the end whoever reads
    // them.
    run(async {
        let world = World::new();
        let rules = [rule(("added", 1), &[("added", 2), ("noted", 1)], Act::Times(2))];
        let engine = start_with(&world, &[upcaster("old-sums", "1.0.0", &rules)]).await;
        wrote(&engine, "a", &[("added", 2, 1), ("added", 1, 1)]).await;
        let stream = "tally/a".parse().unwrap();
        let direction = annals_core::port::event_store::Direction::Forwards;
        let first = annals_core::place::Revision::FIRST;
        let page = engine.store().read_stream(&stream, first, 10, direction).await.unwrap();
        let shown = engine.upcast(page.events.clone()).await.unwrap();
        let of = |event_type: &str, version, data: &'static str| {
            let mut event = page.events[1].clone();
            event.event_type = EventType::new(event_type).unwrap();
            event.schema_version = SchemaVersion(version);
            event.data = data.into();
            event
        };
        let stored = Some((EventType::new("added").unwrap(), SchemaVersion(1)));
        let made = |event, is_last| UpcastEvent { event, stored: stored.clone(), is_last };
        let expected = [
            UpcastEvent { event: page.events[0].clone(), stored: None, is_last: true },
            made(of("added", 2, r#"{"amount":2}"#), false),
            made(of("noted", 1, r#"{"amount":2}"#), true),
        ];
        assert_eq!(shown, expected);
    });
}

#[test]
fn what_is_shown_at_once_has_a_limit() {
    // Guards memory: small stored events may become large ones.
    run(async {
        let mut world = World::new();
        world.options.upcast_cache_bytes_max = 0;
        let large = rule(("large", 1), &[("added", 2)], Act::JsonBytes(250 << 10));
        let engine = start_with(&world, &[upcaster("grows", "1.0.0", &[large])]).await;
        wrote(&engine, "a", &vec![("large", 1, 1); 300]).await;
        let stream = "tally/a".parse().unwrap();
        let direction = annals_core::port::event_store::Direction::Forwards;
        let first = annals_core::place::Revision::FIRST;
        let page = engine.store().read_stream(&stream, first, 300, direction).await.unwrap();
        let error = engine.upcast(page.events.clone()).await.unwrap_err();
        assert!(matches!(error, UpcastReadError::TooLarge { bytes_max: 67_108_864 }), "{error:?}");
        let some = engine.upcast(page.events[..20].to_vec()).await.unwrap();
        assert_eq!(some.len(), 20);
    });
}
