//! What kind of plugin a component is, by the names of its exports.

use annals_core::plugin::PluginKind;
use annals_core::port::guest::LoadError;

use crate::contract::{PACKAGE, VERSIONS, versions_text};
use crate::text::printable;

/// What the exports say.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) kind: PluginKind,
    pub(super) has_queries: bool,
    pub(super) version: &'static str,
}

/// Longest name that is quoted, in bytes.
const QUOTED_BYTES_MAX: usize = 128;

/// Finds the one kind in the names of a component's exports. Exports outside the contract are
/// nobody's business.
pub(super) fn find(exports: &[String]) -> Result<Found, LoadError> {
    let mut kinds = Vec::new();
    let (mut has_descriptor, mut has_queries, mut version) = (false, false, None);
    for (interface, found) in exports.iter().filter_map(|name| contract_name(name)) {
        version = Some(spoken(found)?);
        match interface {
            "descriptor" => has_descriptor = true,
            "query" => has_queries = true,
            _ => kinds.extend(kind_of(interface)),
        }
    }
    let (Some(version), &[kind]) = (version, kinds.as_slice()) else {
        return Err(not_a_plugin(&kinds));
    };
    if !has_descriptor {
        return Err(LoadError::NotAPlugin {
            cause: format!("it exports no `{PACKAGE}/descriptor`"),
        });
    }
    if has_queries && kind != PluginKind::Projection {
        return Err(LoadError::NotAPlugin {
            cause: format!("it exports `{PACKAGE}/query`, which only a projection can, as {kind}"),
        });
    }
    Ok(Found { kind, has_queries, version })
}

/// Interface and version of a name like `annals:plugin/aggregate@0.1.0`, when the interface is one of
/// the contract.
fn contract_name(name: &str) -> Option<(&str, &str)> {
    let interface = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    let (interface, version) = interface.split_once('@').unwrap_or((interface, "none"));
    let is_known = matches!(interface, "descriptor" | "query") || kind_of(interface).is_some();
    is_known.then_some((interface, version))
}

fn kind_of(interface: &str) -> Option<PluginKind> {
    [
        PluginKind::Aggregate,
        PluginKind::Projection,
        PluginKind::ProcessManager,
        PluginKind::Upcaster,
    ]
    .into_iter()
    .find(|kind| kind.as_str() == interface)
}

fn spoken(found: &str) -> Result<&'static str, LoadError> {
    VERSIONS.into_iter().find(|version| *version == found).ok_or_else(|| {
        LoadError::ContractVersion {
            found: printable(found, QUOTED_BYTES_MAX),
            spoken: versions_text(),
        }
    })
}

fn not_a_plugin(kinds: &[PluginKind]) -> LoadError {
    let names: Vec<_> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
    let cause = if names.is_empty() {
        format!(
            "it exports none of `aggregate`, `projection`, `process-manager` and `upcaster` of \
             {PACKAGE}"
        )
    } else {
        format!("it exports {}, and a plugin is of one kind", names.join(" and "))
    };
    LoadError::NotAPlugin { cause }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(exports: &[&str], expected: Result<(PluginKind, bool), &str>) {
        let exports: Vec<_> = exports.iter().map(|name| (*name).to_owned()).collect();
        let found = find(&exports)
            .map(|found| (found.kind, found.has_queries))
            .map_err(|error| error.to_string());
        assert_eq!(found, expected.map_err(str::to_owned));
    }

    #[test]
    fn finds_the_kind_beside_exports_of_others() {
        // Guards that a component of a language that exports more than asked for still runs.
        check(
            &[
                "annals:plugin/descriptor@0.1.0",
                "wasi:cli/run@0.2.0",
                "annals:plugin/aggregate@0.1.0",
            ],
            Ok((PluginKind::Aggregate, false)),
        );
        check(
            &[
                "annals:plugin/projection@0.1.0",
                "annals:plugin/query@0.1.0",
                "annals:plugin/descriptor@0.1.0",
            ],
            Ok((PluginKind::Projection, true)),
        );
    }

    #[test]
    fn refuses_what_is_no_plugin_and_says_why() {
        // Guards the messages of `annals plugin inspect`.
        let descriptor = "annals:plugin/descriptor@0.1.0";
        let aggregate = "annals:plugin/aggregate@0.1.0";
        check(
            &["wasi:cli/run@0.2.0"],
            Err(
                "not a plugin: it exports none of `aggregate`, `projection`, `process-manager` and \
                 `upcaster` of annals:plugin",
            ),
        );
        check(
            &[descriptor, aggregate, "annals:plugin/upcaster@0.1.0"],
            Err("not a plugin: it exports `aggregate` and `upcaster`, and a plugin is of one kind"),
        );
        check(&[aggregate], Err("not a plugin: it exports no `annals:plugin/descriptor`"));
        check(
            &[descriptor, aggregate, "annals:plugin/query@0.1.0"],
            Err("not a plugin: it exports `annals:plugin/query`, which only a projection can, as \
                 aggregate"),
        );
        check(
            &[descriptor, "annals:plugin/aggregate@9.0.0"],
            Err(
                "built for annals:plugin@9.0.0; this host speaks 0.1.0: rebuild it with a matching \
                 annals-sdk",
            ),
        );
    }
}
