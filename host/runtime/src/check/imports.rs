//! What a component may do, by its imports.
//!
//! An imported interface that brings type definitions only gives no power: toolchains write
//! `annals:plugin/types` as an import of every component whose exports use its records. Such imports
//! are passed over, whoever's they are. Everything else is a power: functions, resources, modules,
//! components.

use annals_core::plugin::PluginKind;
use annals_core::port::guest::LoadError;
use wasmparser::component_types::{ComponentAnyTypeId, ComponentEntityType};
use wasmparser::types::{Types, TypesRef};

use crate::contract::v0_1_0::{LOG, VIEW};
use crate::text::printable;

/// Longest name that is quoted, in bytes.
const QUOTED_BYTES_MAX: usize = 128;

/// Most names that are quoted.
const QUOTED_MAX: usize = 20;

/// Those of `imports` that give a power, in order.
pub(super) fn powers(imports: &[String], types: &Types) -> Vec<String> {
    let types = types.as_ref();
    let is_power = |name: &String| {
        types.component_item_for_import(name).is_none_or(|item| gives_power(types, &item.ty))
    };
    imports.iter().filter(|name| is_power(name)).cloned().collect()
}

/// Refuses `powers` that a plugin of `kind` must not have.
pub(super) fn check(kind: PluginKind, powers: &[String]) -> Result<(), LoadError> {
    let allowed: &[&str] = match kind {
        PluginKind::Aggregate | PluginKind::ProcessManager => &[LOG],
        PluginKind::Projection => &[LOG, VIEW],
        PluginKind::Upcaster => &[],
    };
    let forbidden: Vec<_> = powers
        .iter()
        .filter(|name| !allowed.contains(&name.as_str()))
        .take(QUOTED_MAX)
        .map(|name| printable(name, QUOTED_BYTES_MAX))
        .collect();
    if forbidden.is_empty() { Ok(()) } else { Err(LoadError::ForbiddenImports { kind, forbidden }) }
}

/// Ends: the validator bounds how deep and how large types are.
fn gives_power(types: TypesRef<'_>, ty: &ComponentEntityType) -> bool {
    match ty {
        ComponentEntityType::Type { referenced, .. } => {
            matches!(referenced, ComponentAnyTypeId::Resource(_))
        }
        ComponentEntityType::Instance(id) => types.get(*id).is_none_or(|instance| {
            let mut items = instance.exports.values();
            items.any(|item| gives_power(types, &item.ty))
        }),
        ComponentEntityType::Module(_)
        | ComponentEntityType::Func(_)
        | ComponentEntityType::Value(_)
        | ComponentEntityType::Component(_) => true,
    }
}
