//! From a module to a component, and what a component imports and exports.

use wasmparser::{Parser, Payload};
use wit_component::{ComponentEncoder, DecodedWasm};
use wit_parser::WorldItem;

use crate::BuildError;

/// Prefix of the names of the sections that say which world a module is of.
const WORLD_SECTION: &str = "component-type";

/// What a component imports and exports, by name, in the order of the component.
///
/// Imported interfaces that hold nothing but types are left out: they give a component words, not
/// powers.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Interfaces {
    /// What it asks of a host.
    pub imports: Vec<String>,
    /// What it offers.
    pub exports: Vec<String>,
}

/// Reads what a component imports and exports.
///
/// # Errors
///
/// [`BuildError::NotAComponent`], when the bytes are not Wasm, end early or are a core module.
pub fn interfaces(component: &[u8]) -> Result<Interfaces, BuildError> {
    // Decoding also takes a core module, for the world it may carry.
    if !Parser::is_component(component) {
        return Err(BuildError::NotAComponent(anyhow::anyhow!("it does not start like one")));
    }
    let decoded = wit_component::decode(component).map_err(BuildError::NotAComponent)?;
    let DecodedWasm::Component(resolve, world) = decoded else {
        let source = anyhow::anyhow!("it is a package of WIT");
        return Err(BuildError::NotAComponent(source));
    };
    let Some(world) = resolve.worlds.get(world) else {
        return Ok(Interfaces::default());
    };
    let has_powers = |item: &WorldItem| match item {
        WorldItem::Interface { id, .. } => {
            resolve.interfaces.get(*id).is_none_or(|interface| !interface.functions.is_empty())
        }
        WorldItem::Function(_) => true,
        WorldItem::Type { .. } => false,
    };
    let imports = world.imports.iter().filter(|(_, item)| has_powers(item));
    Ok(Interfaces {
        imports: imports.map(|(key, _)| resolve.name_world_key(key)).collect(),
        exports: world.exports.keys().map(|key| resolve.name_world_key(key)).collect(),
    })
}

/// Wraps a module in the world that it carries.
pub(crate) fn componentise(package: &str, module: &[u8]) -> Result<Vec<u8>, BuildError> {
    if !has_world(module)? {
        return Err(BuildError::NotAPlugin { package: package.to_owned() });
    }
    ComponentEncoder::default()
        .validate(true)
        .module(module)
        .and_then(|mut encoder| encoder.encode())
        .map_err(|source| BuildError::Componentise { package: package.to_owned(), source })
}

fn has_world(module: &[u8]) -> Result<bool, BuildError> {
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CustomSection(section) = payload.map_err(BuildError::NotWasm)?
            && section.name().starts_with(WORLD_SECTION)
        {
            return Ok(true);
        }
    }
    Ok(false)
}
