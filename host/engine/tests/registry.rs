//! Installing plugins, and finding them again.

use annals_core::plugin::PluginKind;
use annals_engine::command::CommandError;
use annals_engine::plugins::{InstallError, InstallOutcome};
use bytes::Bytes;

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
    // Guards installing: no plugin at all, another name, another kind, a kind not run yet.
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
        let manager = other("transfer", PluginKind::ProcessManager);
        assert!(matches!(install(None, manager).await, InstallError::UnsupportedKind { .. }));
        assert_eq!(engine.plugins().len(), 1);
        assert_eq!(engine.plugin(&name("tally")).unwrap().description.version, "1.0.0");
    });
}

#[test]
fn a_version_that_does_not_read_the_history_says_so() {
    // Guards the text an author sees: which event, where, which version.
    run(async {
        let engine = World::new().start_with_tally().await;
        add(&engine, "a", 2).await.unwrap();
        engine.install(None, tally_with_other_events("2.0.0"), None).await.unwrap();
        let error = add(&engine, "a", 2).await.unwrap_err();
        assert!(matches!(error, CommandError::UnreadableEvent { .. }));
        assert_eq!(
            error.to_string(),
            "stream `tally/a` holds `added` of schema version 1 at revision 0, which plugin version \
             2.0.0 does not read"
        );
    });
}
