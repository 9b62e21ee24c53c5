//! Versions of plugins: rolling back, removing, which ones are kept, and what the gate refuses.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use annals_core::commit::Commit;
use annals_core::event::{NewEvent, SchemaVersion};
use annals_core::id::Digest;
use annals_core::name::{Category, EventType};
use annals_core::place::ExpectedRevision;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use annals_engine::Engine;
use annals_engine::command::CommandError;
use annals_engine::plugins::{
    Activation, ForceReason, HistoryEvent, InstallError, InstallOutcome, InstallRequest,
    RemoveRequest, RollBackRequest, UnreadEvents,
};
use annals_engine::view::ViewError;
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::support::guest::{other, tallies, tally, tally_with_other_events};
use crate::support::{World, add, name, reaching, row, run, state, table};

async fn install(engine: &Engine, bytes: Bytes) -> InstallOutcome {
    engine.install(None, bytes, None).await.unwrap().0
}

async fn force(engine: &Engine, bytes: Bytes, reason: &str) -> Result<Activation, InstallError> {
    let force = Some(ForceReason::new(reason).unwrap());
    engine.install_by(InstallRequest { bytes, force, ..InstallRequest::default() }).await
}

fn to(plugin: &str, digest: Option<Digest>) -> RollBackRequest {
    RollBackRequest { name: name(plugin), digest, principal: Some(Arc::from("ada")), force: None }
}

async fn back(engine: &Engine) -> Result<String, InstallError> {
    let done = engine.roll_back(to("tally", None)).await?;
    assert_eq!(done.outcome, InstallOutcome::RolledBack);
    Ok(done.plugin.description.version.clone())
}

async fn remove(engine: &Engine, plugin: &str) -> Result<usize, InstallError> {
    let request = RemoveRequest { name: name(plugin), deletes_views: false, principal: None };
    engine.remove(request).await.map(|removal| removal.deleted_views_count)
}

async fn remove_with_views(engine: &Engine, plugin: &str) -> usize {
    let request = RemoveRequest { name: name(plugin), deletes_views: true, principal: None };
    engine.remove(request).await.unwrap().deleted_views_count
}

fn version(engine: &Engine, plugin: &str) -> Option<String> {
    engine.plugin(&name(plugin)).map(|found| found.description.version.clone())
}

fn kept(engine: &Engine) -> Vec<String> {
    let status = engine.plugin(&name("tally")).unwrap();
    assert!(status.versions[0].is_active && status.versions[1..].iter().all(|it| !it.is_active));
    status.versions.into_iter().map(|version| version.version).collect()
}

#[test]
fn rolling_back_undoes_one_installation_after_the_other() {
    // Guards what "the version before" is: after a roll back, the one before that; after another
    // installation, what was active then, and not what was rolled back.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        let none = back(&engine).await.unwrap_err();
        assert!(matches!(none, InstallError::NoVersionBefore { .. }), "{none}");
        install(&engine, tally("2.0.0")).await;
        install(&engine, tally("3.0.0")).await;
        assert_eq!(back(&engine).await.unwrap(), "2.0.0");
        assert_eq!(back(&engine).await.unwrap(), "1.0.0");
        assert!(back(&engine).await.is_err());
        install(&engine, tally("4.0.0")).await;
        assert_eq!(back(&engine).await.unwrap(), "1.0.0");
        let digest = Digest::of(&tally("3.0.0"));
        let done = engine.roll_back(to("tally", Some(digest))).await.unwrap();
        assert_eq!((done.outcome, done.plugin.digest), (InstallOutcome::RolledBack, digest));
        let same = engine.roll_back(to("tally", Some(digest))).await.unwrap();
        assert_eq!(same.outcome, InstallOutcome::Unchanged);
        assert_eq!(kept(&engine), ["3.0.0", "1.0.0", "4.0.0", "2.0.0"]);
        engine.stop().await;
        // A restart finds the same.
        let engine = world.start().await;
        assert_eq!(kept(&engine), ["3.0.0", "1.0.0", "4.0.0", "2.0.0"]);
        assert_eq!(back(&engine).await.unwrap(), "1.0.0");
        let unknown = engine.roll_back(to("other", None)).await.unwrap_err();
        assert_eq!(unknown.to_string(), "there is no plugin `other`");
        let gone = engine.roll_back(to("tally", Some(Digest::of(b"")))).await.unwrap_err();
        assert_eq!(gone.to_string(), "version e3b0c44298fc of `tally` is not kept");
    });
}

#[test]
fn only_so_many_versions_are_kept() {
    // Guards `versions_kept`: the limit is reached, the bytes of the one that goes are deleted, the
    // others can be rolled back to, also after a restart; what went can be installed again.
    run(async {
        let mut world = World::new();
        world.options.versions_kept = NonZeroUsize::new(2).unwrap();
        let engine = world.start_with_tally().await;
        let blob = async |version: &str| {
            let digest = Digest::of(&tally(version));
            world.ports.blobs.get(digest).await.unwrap().is_some()
        };
        install(&engine, tally("2.0.0")).await;
        assert_eq!(kept(&engine), ["2.0.0", "1.0.0"]);
        assert!(blob("1.0.0").await);
        install(&engine, tally("3.0.0")).await;
        assert_eq!(kept(&engine), ["3.0.0", "2.0.0"]);
        assert_eq!([blob("1.0.0").await, blob("2.0.0").await], [false, true]);
        let first = Some(Digest::of(&tally("1.0.0")));
        let gone = engine.roll_back(to("tally", first)).await.unwrap_err();
        let InstallError::VersionNotKept { kept: left, .. } = gone else { panic!("{gone}") };
        assert_eq!(left, [Digest::of(&tally("3.0.0")), Digest::of(&tally("2.0.0"))]);
        assert_eq!(back(&engine).await.unwrap(), "2.0.0");
        engine.stop().await;
        let engine = world.start().await;
        assert_eq!(install(&engine, tally("1.0.0")).await, InstallOutcome::Upgraded);
        assert_eq!(kept(&engine), ["1.0.0", "2.0.0"]);
        assert_eq!([blob("1.0.0").await, blob("3.0.0").await], [true, false]);
        add(&engine, "a", 1).await.unwrap();
    });
}

#[test]
fn what_a_crash_left_of_an_old_version_is_deleted_later() {
    // Guards the disk: a host that ended between the event and the deletion leaves bytes behind,
    // which the next installation on any host deletes.
    run(async {
        let mut world = World::new();
        world.options.versions_kept = NonZeroUsize::MIN;
        let engine = world.start_with_tally().await;
        install(&engine, tally("2.0.0")).await;
        engine.stop().await;
        let left = world.ports.blobs.put(tally("1.0.0")).await.unwrap();
        let engine = world.start().await;
        install(&engine, tally("3.0.0")).await;
        assert_eq!(world.ports.blobs.get(left).await.unwrap(), None);
    });
}

#[test]
fn a_removed_aggregate_is_unknown_and_comes_back_with_its_events() {
    // Guards removal: commands are refused as for an aggregate that never was, events stay, and both
    // a roll back and an installation bring it back; a restart finds it removed.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        add(&engine, "a", 2).await.unwrap();
        assert_eq!(remove(&engine, "tally").await.unwrap(), 0);
        let refused = add(&engine, "a", 2).await.unwrap_err();
        assert!(
            matches!(&refused, CommandError::UnknownAggregate { known, .. } if known.is_empty())
        );
        let again = remove(&engine, "tally").await.unwrap_err();
        assert!(matches!(again, InstallError::UnknownPlugin { .. }), "{again}");
        assert_eq!(engine.plugins().len(), 0);
        engine.stop().await;
        let engine = world.start().await;
        assert_eq!(version(&engine, "tally"), None);
        assert_eq!(back(&engine).await.unwrap(), "1.0.0");
        assert_eq!(state(&engine, "a").await, (0, "2".to_owned()));
        remove(&engine, "tally").await.unwrap();
        assert_eq!(install(&engine, tally("1.1.0")).await, InstallOutcome::Installed);
        add(&engine, "a", 3).await.unwrap();
        assert_eq!(state(&engine, "a").await, (1, "5".to_owned()));
    });
}

#[test]
fn the_view_of_a_removed_projection_goes_only_when_asked() {
    // Guards views: they stay with their checkpoint, and are deleted on request, later too.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        install(&engine, tallies("1.0.0")).await;
        let added = add(&engine, "a", 2).await.unwrap();
        let read = async |engine: &Engine| row(engine, "rows:tally/a", reaching(&added)).await;
        assert_eq!(read(&engine).await.as_deref(), Some("2"));
        assert_eq!(remove(&engine, "tallies").await.unwrap(), 0);
        let unknown = engine.view_row(&name("tallies"), &table("rows"), b"a", None).await;
        assert!(matches!(unknown.unwrap_err(), ViewError::UnknownProjection { .. }));
        let batches = world.probe.batches.lock().unwrap().len();
        install(&engine, tallies("1.0.0")).await;
        assert_eq!(read(&engine).await.as_deref(), Some("2"));
        assert_eq!(
            world.probe.batches.lock().unwrap().len(),
            batches,
            "nothing is projected again"
        );
        assert_eq!(remove(&engine, "tallies").await.unwrap(), 0);
        assert_eq!(remove_with_views(&engine, "tallies").await, 1);
        assert_eq!(remove_with_views(&engine, "tallies").await, 0);
        install(&engine, tallies("1.0.0")).await;
        assert_eq!(read(&engine).await.as_deref(), Some("2"));
        assert!(world.probe.batches.lock().unwrap().len() > batches);
    });
}

/// Waits until a host has this version of a plugin.
async fn has(engine: &Engine, plugin: &str, wanted: Option<&str>) {
    let start = Instant::now();
    while version(engine, plugin).as_deref() != wanted {
        assert!(start.elapsed() < Duration::from_secs(60), "{:?}", version(engine, plugin));
        sleep(Duration::from_millis(10)).await;
    }
}

#[test]
fn other_hosts_follow_roll_backs_and_removals() {
    // Guards several hosts: what one rolls back and removes, the others do as well, and they delete
    // old versions of each other.
    run(async {
        let mut world = World::of_partitions(4);
        world.options.versions_kept = NonZeroUsize::new(2).unwrap();
        let (one, other) = (world.start().await, world.start().await);
        install(&one, tally("1.0.0")).await;
        install(&one, tally("2.0.0")).await;
        has(&other, "tally", Some("2.0.0")).await;
        add(&other, "a", 1).await.unwrap();
        assert_eq!(back(&other).await.unwrap(), "1.0.0");
        has(&one, "tally", Some("1.0.0")).await;
        remove(&one, "tally").await.unwrap();
        has(&other, "tally", None).await;
        let refused = add(&other, "a", 1).await.unwrap_err();
        assert!(matches!(refused, CommandError::UnknownAggregate { .. }), "{refused}");
        install(&other, tally("3.0.0")).await;
        has(&one, "tally", Some("3.0.0")).await;
        let second = Digest::of(&tally("2.0.0"));
        assert_eq!(world.ports.blobs.get(second).await.unwrap(), None);
        add(&one, "a", 2).await.unwrap();
        assert_eq!(state(&other, "a").await, (1, "3".to_owned()));
    });
}

#[test]
fn a_version_that_does_not_read_the_history_is_refused() {
    // Guards the gate for aggregates: counts per type and version, nothing changed; with a reason it
    // is installed, with a warning of the projection that will not read its events, and rolling back over events recorded since is refused likewise.
    run(async {
        let engine = World::new().start_with_tally().await;
        install(&engine, tallies("1.0.0")).await;
        add(&engine, "a", 2).await.unwrap();
        add(&engine, "b", 2).await.unwrap();
        let refused = engine.install(None, tally_with_other_events("2.0.0"), None).await;
        let refused = refused.unwrap_err();
        assert_eq!(
            refused.to_string(),
            "version 2.0.0 of `tally` does not read 2 events `added` of schema version 1 in `tally`; \
             let it read these shapes again, or install an upcaster for them"
        );
        assert_eq!(version(&engine, "tally").as_deref(), Some("1.0.0"));
        let forced = force(&engine, tally_with_other_events("2.0.0"), "tests only").await.unwrap();
        assert_eq!(forced.plugin.force_reason.unwrap().as_str(), "tests only");
        let reader = name("tallies");
        let (event_type, schema_version) = ("added".parse().unwrap(), SchemaVersion(2));
        assert_eq!(forced.unread, [UnreadEvents { reader, event_type, schema_version }]);
        let error = add(&engine, "a", 2).await.unwrap_err();
        assert!(matches!(error, CommandError::UnreadableEvent { .. }), "{error}");
        add(&engine, "c", 2).await.unwrap();
        let refused = back(&engine).await.unwrap_err();
        let InstallError::UnreadableHistory { unreadable, .. } = refused else {
            panic!("{refused}")
        };
        let told: Vec<_> = unreadable.iter().map(ToString::to_string).collect();
        assert_eq!(told, ["1 event `added` of schema version 2 in `tally`"]);
        let forced = RollBackRequest {
            force: Some(ForceReason::new("the new events are of no use").unwrap()),
            ..to("tally", None)
        };
        assert_eq!(engine.roll_back(forced).await.unwrap().plugin.description.version, "1.0.0");
        add(&engine, "a", 2).await.unwrap();
    });
}

#[test]
fn a_projection_must_read_what_it_wants_wherever_it_is_recorded() {
    // Guards the gate for projections: events of its types count in every category but the host's
    // own, also those that clients appended; another type is none of its business.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        let record = async |category: &str, event_type: &str, schema_version: u32| {
            let stream = StreamId::new(&Category::new(category).unwrap(), "1").unwrap();
            let mut event = NewEvent::json(EventType::new(event_type).unwrap(), &b"{}"[..]);
            event.schema_version.0 = schema_version;
            let (any, at) = (ExpectedRevision::Any, Timestamp::default());
            let accepted = world.ports.store.append(Commit::plain(stream, any, vec![event], at));
            accepted.await.unwrap().durability.wait().await.unwrap();
        };
        record("imported", "added", 1).await;
        record("imported", "counted", 7).await;
        assert_eq!(install(&engine, tallies("1.0.0")).await, InstallOutcome::Installed);
        record("imported", "added", 3).await;
        let refused = engine.install(None, tallies("1.1.0"), None).await.unwrap_err();
        assert!(
            refused.to_string().contains("1 event `added` of schema version 3 in `imported`"),
            "{refused}"
        );
        // An aggregate is asked about its own category only.
        assert_eq!(install(&engine, tally("1.1.0")).await, InstallOutcome::Upgraded);
    });
}

#[test]
fn the_history_says_who_did_what_when_and_why() {
    // Guards the record of each kind of change, page by page, and that plugins are kept apart in it.
    run(async {
        let engine = World::new().start().await;
        let bytes = tally("1.0.0");
        let principal = Some(Arc::from("grace"));
        engine
            .install_by(InstallRequest { bytes, principal, ..InstallRequest::default() })
            .await
            .unwrap();
        install(&engine, tallies("1.0.0")).await;
        force(&engine, tally("2.0.0"), "a test").await.unwrap();
        back(&engine).await.unwrap();
        remove_with_views(&engine, "tally").await;
        let history = async |from, limit| {
            engine.plugin_history(&name("tally"), from, limit).await.unwrap().unwrap()
        };
        let (one, two) = (Digest::of(&tally("1.0.0")), Digest::of(&tally("2.0.0")));
        let all = history(None, 10).await;
        assert_eq!(all.next, None);
        let said: Vec<_> = all
            .entries
            .iter()
            .map(|entry| (entry.revision.get(), entry.principal.as_deref(), entry.event.clone()))
            .collect();
        let reason = Some(ForceReason::new("a test").unwrap());
        let installed = |version: &str, digest, force_reason| {
            let version = version.to_owned();
            HistoryEvent::Installed { version, digest, force_reason }
        };
        let activated = HistoryEvent::Activated {
            version: Some("1.0.0".to_owned()),
            digest: one,
            force_reason: None,
        };
        assert_eq!(
            said,
            [
                (4, None, HistoryEvent::Removed { deletes_views: true }),
                (3, Some("ada"), activated),
                (2, None, installed("2.0.0", two, reason)),
                (0, Some("grace"), installed("1.0.0", one, None)),
            ]
        );
        let first = history(None, 3).await;
        assert_eq!(first.entries, all.entries[..3]);
        let rest = history(first.next, 3).await;
        assert_eq!((rest.entries, rest.next), (all.entries[3..].to_vec(), None));
        assert_eq!(engine.plugin_history(&name("nobody"), None, 1).await.unwrap(), None);
    });
}

#[test]
fn a_registry_of_version_0_1_0_is_read() {
    // Guards old logs: the event as the first release wrote it, without the members that came later.
    run(async {
        let world = World::new();
        let bytes = tally("1.0.0");
        let digest = world.ports.blobs.put(bytes.clone()).await.unwrap();
        let data = format!(
            r#"{{"name":"tally","kind":"aggregate","version":"1.0.0","digest":"{digest}","component_bytes":{},"installed_at":1000}}"#,
            bytes.len()
        );
        let stream = StreamId::parse("$plugins/registry").unwrap();
        let event = NewEvent::json(EventType::new("plugin-installed").unwrap(), data.into_bytes());
        let (none, at) = (ExpectedRevision::NoStream, Timestamp::from_ms(1_000));
        world.ports.store.append(Commit::plain(stream, none, vec![event], at)).await.unwrap();
        let engine = world.start().await;
        let found = engine.plugin(&name("tally")).unwrap();
        assert_eq!((found.digest, found.installed_at), (digest, at));
        install(&engine, tally("2.0.0")).await;
        assert_eq!(back(&engine).await.unwrap(), "1.0.0");
    });
}

#[test]
fn a_name_is_free_for_another_kind_when_its_plugin_is_removed() {
    // Guards removal against what is left in the catalog of aggregates.
    run(async {
        let engine = World::new().start().await;
        let aggregate = other("both", annals_core::plugin::PluginKind::Aggregate);
        let projection = other("both", annals_core::plugin::PluginKind::Projection);
        install(&engine, aggregate.clone()).await;
        let taken = engine.install(None, projection.clone(), None).await.unwrap_err();
        assert!(matches!(taken, InstallError::OtherKind { .. }), "{taken}");
        remove(&engine, "both").await.unwrap();
        assert_eq!(install(&engine, projection).await, InstallOutcome::Installed);
        let previous = engine.roll_back(to("both", None)).await.unwrap_err();
        assert!(matches!(previous, InstallError::OtherKind { .. }), "{previous}");
    });
}
