//! The dependency rule: which crate of ours may name which, and who alone may name a heavy crate.
//!
//! ```text
//!   cli ──► daemon ──┬──► api ──► engine ──► core
//!                    ├──► runtime ───────────►│
//!                    ├──► store-* ───────────►│
//!                    └──► bus-* ─────────────►│        guest-sdk ◄── plugins
//! ```
//! What lies behind a crate on the arrows may be named too. Dev-dependencies of the host are
//! exempt: a test may use the memory driver. Those of the SDK and the plugins are not: they are
//! built outside of this workspace.

use cargo_metadata::{DependencyKind, MetadataCommand};

use crate::files::{assert_none, root};

/// Folder of a crate, and the folders it may depend on. A name that ends in `-` or `/` stands for
/// all that begin with it.
const RULES: &[(&str, &[&str])] = &[
    ("host/core", &[]),
    ("host/engine", &["host/core"]),
    ("host/api", &["host/core", "host/engine"]),
    ("host/runtime", &["host/core"]),
    ("host/store-", &["host/core"]),
    ("host/bus-", &["host/core"]),
    (
        "host/daemon",
        &["host/core", "host/engine", "host/api", "host/runtime", "host/store-", "host/bus-"],
    ),
    ("host/cli", &["host/core", "host/engine", "host/api", "host/daemon", "guest-sdk/build"]),
    ("guest-sdk", &["guest-sdk/macros"]),
    ("guest-sdk/macros", &[]),
    ("guest-sdk/build", &[]),
    // Its tests play the whole bank: the process manager with the aggregates it sends to.
    (
        "plugins/bank/transfer",
        &["guest-sdk", "plugins/bank/account", "plugins/bank/money-transfer"],
    ),
    ("plugins/", &["guest-sdk"]),
    ("tests/conformance", &["host/core"]),
    ("tests/simulation", &["host/core", "host/engine", "host/store-", "host/bus-"]),
    ("tests/components", &["guest-sdk/build"]),
    ("tests/components/capped-account", &["guest-sdk"]),
    ("tests/components/misbehaving", &["guest-sdk"]),
    ("tests/components/misbehaving-process", &["guest-sdk"]),
    ("tests/components/misbehaving-upcaster", &["guest-sdk"]),
    ("tests/tidy", &[]),
];

/// A crate from elsewhere, and the only folders that may name it.
const OWNERS: &[(&str, &[&str])] = &[
    ("wasmtime", &["host/runtime"]),
    ("rusqlite", &["host/store-local"]),
    ("axum", &["host/api", "host/daemon"]),
    ("clap", &["host/cli"]),
];

/// What `core` must not name: it has no runtime, no network and no files.
const NOT_IN_CORE: &[&str] = &["tokio", "hyper", "reqwest", "rustix", "tempfile", "tracing"];

/// One dependency, as a manifest declares it.
#[derive(Clone, Copy)]
struct Edge<'a> {
    /// Folder of the crate that depends.
    from: &'a str,
    /// Name of the crate it depends on.
    name: &'a str,
    /// Folder of that crate when it is ours.
    to: Option<&'a str>,
    is_dev: bool,
}

fn is_named(pattern: &str, folder: &str) -> bool {
    let is_prefix = pattern.ends_with(['-', '/']);
    if is_prefix { folder.starts_with(pattern) } else { folder == pattern }
}

fn breach(edge: Edge<'_>) -> Option<String> {
    let Edge { from, name, to, is_dev } = edge;
    let is_exempt = is_dev && !from.starts_with("guest-sdk") && !from.starts_with("plugins/");
    if is_exempt {
        return None;
    }
    let Some((_, allowed)) = RULES.iter().find(|(folder, _)| is_named(folder, from)) else {
        return Some(format!("{from}: has no rule in tests/tidy/src/dependencies.rs"));
    };
    if let Some(to) = to {
        let is_allowed = allowed.iter().any(|pattern| is_named(pattern, to));
        return (!is_allowed).then(|| format!("{from} -> {to}: it may depend on {allowed:?}"));
    }
    if from == "host/core" && NOT_IN_CORE.contains(&name) {
        return Some(format!("{from} -> {name}: core has no runtime, network or files"));
    }
    let (_, owners) = OWNERS.iter().find(|(heavy, _)| *heavy == name)?;
    let is_owner = owners.contains(&from);
    (!is_owner).then(|| format!("{from} -> {name}: only {owners:?} may name it"))
}

#[test]
fn an_edge_against_the_arrows_is_named() {
    // Guards the rule itself: one edge of each kind that it must refuse, and some it must not.
    let ours = |from, to, is_dev| breach(Edge { from, name: "annals", to: Some(to), is_dev });
    let other = |from, name, is_dev| breach(Edge { from, name, to: None, is_dev });
    let refused = [
        ours("host/engine", "host/store-memory", false),
        ours("host/api", "host/runtime", false),
        ours("host/store-local", "host/engine", false),
        ours("host/runtime", "host/store-memory", false),
        ours("host/cli", "host/store-local", false),
        ours("plugins/bank/account", "host/core", true),
        ours("guest-sdk", "host/core", false),
        ours("elsewhere", "host/core", false),
        other("host/engine", "wasmtime", false),
        other("host/core", "tokio", false),
    ];
    for edge in &refused {
        assert!(edge.is_some(), "{refused:?}");
    }
    assert_eq!(
        refused[0].as_deref(),
        Some(r#"host/engine -> host/store-memory: it may depend on ["host/core"]"#)
    );
    let allowed = [
        ours("host/engine", "host/core", false),
        ours("host/engine", "host/store-memory", true),
        ours("host/daemon", "host/store-local", false),
        ours("plugins/bank/account", "guest-sdk", false),
        other("host/runtime", "wasmtime", false),
        other("host/engine", "tokio", false),
    ];
    assert_eq!(allowed, [const { None }; 6]);
}

#[test]
fn every_dependency_follows_the_arrows() {
    // Guards the picture in ARCHITECTURE.md: a driver can be exchanged, plugins share no code with
    // the host.
    let mut command = MetadataCommand::new();
    let metadata = command.manifest_path(root().join("Cargo.toml")).no_deps().exec().unwrap();
    let folder = |path: &str| {
        let path = std::path::Path::new(path).strip_prefix(&metadata.workspace_root).unwrap();
        path.to_str().unwrap().replace('\\', "/")
    };
    let mut breaches = Vec::new();
    for package in metadata.workspace_packages() {
        let from = folder(package.manifest_path.parent().unwrap().as_str());
        for dependency in &package.dependencies {
            let to = dependency.path.as_ref().map(|path| folder(path.as_str()));
            breaches.extend(breach(Edge {
                from: &from,
                name: &dependency.name,
                to: to.as_deref(),
                is_dev: dependency.kind == DependencyKind::Development,
            }));
        }
    }
    assert!(metadata.workspace_packages().len() > 10, "the workspace was not read");
    assert_none(&breaches);
}
