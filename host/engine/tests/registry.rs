//! Installing plugins, and finding them again, on one host and on several.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use annals_core::plugin::PluginKind;
use annals_engine::Engine;
use annals_engine::command::CommandError;
use annals_engine::plugins::{ForceReason, InstallError, InstallOutcome, InstallRequest};
use bytes::Bytes;
use tokio::time::{Instant, sleep};

use crate::support::faults::{BlobsDown, Rivalled};
use crate::support::guest::{other, tallies, tally, tally_with_other_events};
use crate::support::{World, add, name, run, state};

#[test]
fn installs_upgrades_and_passes_over_the_same() {
    // Guards the three outcomes of installing, and that state survives an upgrade.
    run(async {
        let engine = World::new().start().await;
        let install = |bytes| async { engine.install(None, bytes, None).await.map(|done| done.0) };
        assert!(matches!(install(tally("1.0.0")).await, Ok(InstallOutcome::Installed)));
        add(&engine, "a", 2).await.unwrap();
        assert!(matches!(install(tally("1.0.0")).await, Ok(InstallOutcome::Unchanged)));
        assert!(matches!(install(tally("1.1.0")).await, Ok(InstallOutcome::Upgraded)));
        add(&engine, "a", 3).await.unwrap();
        assert_eq!(state(&engine, "a").await, (1, "5".to_owned()));
        assert_eq!(engine.plugin(&name("tally")).unwrap().description.version, "1.1.0");
    });
}

#[test]
fn a_restart_finds_what_is_installed() {
    // Guards that plugins are data: the registry's stream and the blobs are enough.
    run(async {
        let world = World::new();
        let engine = world.start_with_tally().await;
        engine.install(None, tallies("1.0.0"), None).await.unwrap();
        engine.install(None, tally("2.0.0"), None).await.unwrap();
        engine.stop().await;
        let engine = world.start().await;
        let found: Vec<_> = engine
            .plugins()
            .iter()
            .map(|p| (p.description.name.to_string(), p.description.version.clone(), p.kind))
            .collect();
        let aggregate = ("tally".to_owned(), "2.0.0".to_owned(), PluginKind::Aggregate);
        let projection = ("tallies".to_owned(), "1.0.0".to_owned(), PluginKind::Projection);
        assert_eq!(found, [projection, aggregate]);
    });
}

#[test]
fn what_cannot_run_is_refused_and_changes_nothing() {
    // Guards installing: no plugin at all, another name, another kind.
    run(async {
        let engine = World::new().start_with_tally().await;
        let install = async |asked: Option<&str>, bytes| {
            let asked = asked.map(name);
            engine.install(asked.as_ref(), bytes, None).await.unwrap_err()
        };
        let garbage = Bytes::from_static(b"\0asm");
        assert!(matches!(install(None, garbage).await, InstallError::Load(_)));
        let wrong_name = install(Some("tallly"), tally("2.0.0")).await;
        assert!(matches!(wrong_name, InstallError::OtherName { .. }));
        let kind = other("tally", PluginKind::Projection);
        assert!(matches!(install(None, kind).await, InstallError::OtherKind { .. }));
        assert_eq!(engine.plugins().len(), 1);
        assert_eq!(engine.plugin(&name("tally")).unwrap().description.version, "1.0.0");
    });
}

#[test]
fn a_version_that_does_not_read_the_history_says_so() {
    // Guards the text an author sees after an installation by force: which event, where, which version.
    run(async {
        let engine = World::new().start_with_tally().await;
        add(&engine, "a", 2).await.unwrap();
        let force = Some(ForceReason::new("to see the text").unwrap());
        let bytes = tally_with_other_events("2.0.0");
        let request = InstallRequest { bytes, force, ..InstallRequest::default() };
        engine.install_by(request).await.unwrap();
        let error = add(&engine, "a", 2).await.unwrap_err();
        assert!(matches!(error, CommandError::UnreadableEvent { .. }));
        assert_eq!(
            error.to_string(),
            "stream `tally/a` holds `added` of schema version 1 at revision 0, which plugin version \
             2.0.0 does not read"
        );
    });
}

/// Waits until a host has this version of a plugin, and returns how long it took.
async fn has(engine: &Engine, plugin: &str, version: &str) -> Duration {
    let start = Instant::now();
    let found = || engine.plugin(&name(plugin)).map(|found| found.description.version.clone());
    while found().as_deref() != Some(version) {
        assert!(start.elapsed() < Duration::from_secs(120), "{plugin} is {:?}", found());
        sleep(Duration::from_millis(10)).await;
    }
    start.elapsed()
}

#[test]
fn what_one_host_installs_every_host_runs() {
    // Guards several hosts: a plugin and its next version are active on the other host without a
    // restart, and it serves with them.
    run(async {
        let world = World::of_partitions(4);
        let (one, other) = (world.start().await, world.start().await);
        for version in ["1.0.0", "1.1.0"] {
            one.install(None, tally(version), None).await.unwrap();
            assert!(has(&other, "tally", version).await <= Duration::from_millis(1_010));
            add(&other, "a", 1).await.unwrap();
        }
        other.install(None, tallies("1.0.0"), None).await.unwrap();
        has(&one, "tallies", "1.0.0").await;
        // A host that follows after a long time of silence does so at once.
        sleep(Duration::from_secs(600)).await;
        one.install(None, tally("2.0.0"), None).await.unwrap();
        assert!(has(&other, "tally", "2.0.0").await <= Duration::from_millis(10));
        for engine in [one, other] {
            engine.stop().await;
        }
    });
}

#[test]
fn hosts_that_install_at_once_do_so_one_after_the_other() {
    // Guards the registry against two truths: each installation rests on those before it.
    run(async {
        let world = World::new();
        let (one, other) = (world.start().await, world.start().await);
        let install = async |engine: &Engine, bytes| {
            engine.install(None, bytes, None).await.map(|done| done.0)
        };
        let same = tokio::join!(install(&one, tally("1.0.0")), install(&other, tally("1.0.0")));
        let mut same = [same.0.unwrap(), same.1.unwrap()];
        same.sort_by_key(|outcome| format!("{outcome:?}"));
        assert_eq!(same, [InstallOutcome::Installed, InstallOutcome::Unchanged]);

        let aggregate = crate::support::guest::other("both", PluginKind::Aggregate);
        let projection = crate::support::guest::other("both", PluginKind::Projection);
        let both = tokio::join!(install(&one, aggregate), install(&other, projection));
        let [won, lost] = if both.0.is_ok() { [both.0, both.1] } else { [both.1, both.0] };
        assert_eq!(won.unwrap(), InstallOutcome::Installed);
        assert!(matches!(lost.unwrap_err(), InstallError::OtherKind { .. }));
        for engine in [&one, &other] {
            has(engine, "both", "1.0.0").await;
        }
        let kinds = [&one, &other].map(|engine| engine.plugin(&name("both")).unwrap().kind);
        assert_eq!(kinds[0], kinds[1]);
    });
}

#[test]
fn installing_ends_when_other_hosts_keep_being_faster() {
    // Guards the limit of attempts: four times another host was first, and then once more.
    run(async {
        let rivals = Arc::new(AtomicU64::new(0));
        let count = Arc::clone(&rivals);
        let world = World::new().with_store(|store| Arc::new(Rivalled { store, rivals: count }));
        let engine = world.start().await;
        rivals.store(4, Ordering::Relaxed);
        let outcome = engine.install(None, tally("1.0.0"), None).await.unwrap().0;
        assert_eq!(outcome, InstallOutcome::Installed);
        rivals.store(5, Ordering::Relaxed);
        let error = engine.install(None, tally("2.0.0"), None).await.unwrap_err();
        assert!(matches!(error, InstallError::Contended { attempts: 5 }), "{error:?}");
        assert_eq!(engine.plugin(&name("tally")).unwrap().description.version, "1.0.0");
    });
}

#[test]
fn a_plugin_that_could_not_be_fetched_is_tried_again() {
    // Guards a host against a moment without its blob store, at its start and later.
    run(async {
        let world = World::new();
        let one = world.start_with_tally().await;
        let mut without_blobs = world.clone();
        let blobs = Arc::new(BlobsDown::new(Arc::clone(&world.ports.blobs)));
        without_blobs.ports.blobs = Arc::<BlobsDown>::clone(&blobs);
        let other = without_blobs.start().await;
        one.install(None, tallies("1.0.0"), None).await.unwrap();
        sleep(Duration::from_secs(5)).await;
        assert!(other.plugins().is_empty());
        blobs.is_down.store(false, Ordering::Relaxed);
        for plugin in ["tally", "tallies"] {
            assert!(has(&other, plugin, "1.0.0").await <= Duration::from_secs(31));
        }
    });
}
