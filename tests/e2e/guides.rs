//! Guides that are run as they are written, by `support/guide.rs`.

use crate::support::guide::{Guide, lay_out};
use crate::support::{Daemon, folder, run};

/// The text of a guide.
macro_rules! guide {
    ($name:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/", $name, ".md"))
    };
}

/// Runs a guide on a new daemon, beside plugins that were built before.
#[track_caller]
fn run_with(guide: &Guide, plugins: &[(&str, &[u8])]) {
    let (folder, data) = folder();
    lay_out(folder.path(), plugins);
    let daemon = Daemon::start(&data);
    guide.run(folder.path(), &daemon);
}

#[test]
fn the_guide_of_claims_prints_what_it_says() {
    // Guards `docs/guide/claims.md`, and `annals claim show` as people see it.
    let guide = Guide { text: guide!("claims"), ..Guide::default() };
    run_with(&guide, &[("plugins/user", annals_components::user())]);
}

#[test]
fn the_guide_of_traces_prints_what_it_says() {
    // Guards `docs/guide/tracing.md`, and `annals trace` as people see it.
    let guide = Guide { text: guide!("tracing"), ..Guide::default() };
    let plugins: [(&str, &[u8]); 3] = [
        ("plugins/bank/account", annals_components::account()),
        ("plugins/bank/money-transfer", annals_components::money_transfer()),
        ("plugins/bank/transfer", annals_components::transfer()),
    ];
    run_with(&guide, &plugins);
}

#[test]
fn the_guide_of_subscriptions_prints_what_it_says() {
    // Guards `docs/guide/subscriptions.md`, its worker in Python too.
    let guide = Guide {
        text: guide!("subscriptions"),
        // Of an incarnation.
        examples: &["9f2c61d04ab7"],
        ..Guide::default()
    };
    run_with(&guide, &[]);
}

#[test]
fn the_guide_of_schedules_prints_what_it_says() {
    // Guards `docs/guide/schedules.md`, on a daemon with the bank's accounts, as it asks for.
    let guide = Guide { text: guide!("schedules"), ..Guide::default() };
    run(async {
        let (folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        guide.run(folder.path(), &daemon);
    });
}

#[test]
fn the_guide_of_web_pages_prints_what_it_says() {
    // Guards `docs/guide/web-pages.md`. Its first block starts the daemon, which this test does on a port
    // of its own, with plugins that were built before.
    let guide = Guide { text: guide!("web-pages"), skipped_blocks_count: 1, ..Guide::default() };
    let starts = "\nannals serve --data todo-data --web todo=plugins/todo/web\n";
    assert!(guide.first_block().contains(starts));
    let folder = tempfile::tempdir().unwrap();
    let plugins: [(&str, &[u8]); 2] = [
        ("plugins/todo/list", annals_components::todo()),
        ("plugins/todo/lists", annals_components::todo_lists()),
    ];
    lay_out(folder.path(), &plugins);
    let web = annals_components::workspace_root().join("plugins/todo/web");
    let daemon = Daemon::start_with(&folder.path().join("todo-data"), |command| {
        command.args(["--web", &format!("todo={}", web.display())]);
    });
    guide.run(folder.path(), &daemon);
}
