//! The history gate and upcasters: what they make readable counts, and cannot be taken away.

use annals_engine::Engine;
use annals_engine::plugins::{ForceReason, InstallError, InstallRequest, RemoveRequest};
use bytes::Bytes;

use super::{doubled, wrote};
use crate::support::guest::{tally_with_other_events, upcaster};
use crate::support::upcaster::{Act, rule};
use crate::support::{World, name, run};

async fn remove(engine: &Engine, plugin: &str) -> Result<(), InstallError> {
    let request = RemoveRequest { name: name(plugin), deletes_views: false, principal: None };
    engine.remove(request).await.map(drop)
}

/// Makes nothing of version 1 that a tally of version 2 reads.
fn useless() -> Bytes {
    upcaster("old-sums", "2.0.0", &[rule(("added", 1), &[("paid", 1)], Act::Times(1))])
}

#[test]
fn a_version_that_reads_the_history_through_upcasters_is_installed() {
    // Guards upgrades of an event's shape: refused without the upcaster, accepted with it, whatever
    // number of steps it takes.
    run(async {
        let engine = World::new().start().await;
        wrote(&engine, "a", &[("added", 1, 3), ("paid", 1, 4)]).await;
        let next = tally_with_other_events("2.0.0");
        let refused = engine.install(None, next.clone(), None).await.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "version 2.0.0 of `tally` does not read 1 event `added` of schema version 1 in `tally`, \
             1 event `paid` of schema version 1 in `tally`; let it read these shapes again, or \
             install an upcaster for them"
        );
        let paid = rule(("paid", 1), &[("added", 1)], Act::Times(1));
        engine.install(None, upcaster("old-paid", "1.0.0", &[paid]), None).await.unwrap();
        assert!(engine.install(None, next.clone(), None).await.is_err(), "half of the way");
        engine.install(None, doubled("1.0.0", 2), None).await.unwrap();
        engine.install(None, next, None).await.unwrap();
        let state = engine.state(&name("tally"), "a").await.unwrap();
        assert_eq!(state.data, "14");
    });
}

#[test]
fn an_upcaster_that_is_needed_stays() {
    // Guards streams against going blind: the upcaster is neither removed nor replaced by one that
    // makes less, unless with a reason; what nobody needs goes.
    run(async {
        let engine = World::new().start().await;
        wrote(&engine, "a", &[("added", 1, 3)]).await;
        engine.install(None, doubled("1.0.0", 2), None).await.unwrap();
        engine.install(None, tally_with_other_events("2.0.0"), None).await.unwrap();
        let expected = "without what the upcaster `old-sums` does now, `tally` does not read 1 event \
                        `added` of schema version 1 in `tally`; let another upcaster take these \
                        shapes, or install a version of `tally` that reads them";
        assert_eq!(remove(&engine, "old-sums").await.unwrap_err().to_string(), expected);
        let refused = engine.install(None, useless(), None).await.unwrap_err();
        assert_eq!(refused.to_string(), expected);
        engine.install(None, doubled("1.1.0", 3), None).await.unwrap();
        let state = engine.state(&name("tally"), "a").await.unwrap();
        assert_eq!(state.data, "9", "by the version that took over");
        let forced = InstallRequest {
            name: None,
            bytes: useless(),
            principal: None,
            force: Some(ForceReason::new("the old sums are of no use").unwrap()),
        };
        engine.install_by(forced).await.unwrap();
        assert!(engine.state(&name("tally"), "a").await.is_err(), "unreadable");
        remove(&engine, "old-sums").await.unwrap();
    });
}
