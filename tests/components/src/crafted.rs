//! Files that are no plugin, or not one that any host of this version could run, made from WIT and
//! text. What each lacks is in its documentation; a host refuses all of them at install.
//!
//! They export functions that do nothing but trap, as made by `wit-component`.

use anyhow::Context as _;
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::{LiftLowerAbi, ManglingAndAbi, PackageId, Resolve};

use crate::contract;

/// How the exports of core modules are named; the way `wit-bindgen` does it.
const ABI: ManglingAndAbi = ManglingAndAbi::Legacy(LiftLowerAbi::Sync);

/// An aggregate of which every call traps, `describe` first. Refused: trap in `describe`.
#[must_use]
pub fn traps_everywhere() -> Vec<u8> {
    component("aggregate-plugin", unchanged)
}

/// A process manager, of which every call traps. Refused: as [`traps_everywhere`], or for its kind
/// by a host that does not run process managers.
#[must_use]
pub fn process_manager() -> Vec<u8> {
    component("process-manager-plugin", unchanged)
}

/// An upcaster, of which every call traps. Refused: as [`process_manager`].
#[must_use]
pub fn upcaster() -> Vec<u8> {
    component("upcaster-plugin", unchanged)
}

/// An aggregate whose memory starts with 4 GiB. Refused: more memory than a plugin may have.
#[must_use]
pub fn large_memory() -> Vec<u8> {
    component("aggregate-plugin", |module| {
        module.replace("(memory (;0;) 0)", "(memory (;0;) 65536)")
    })
}

/// An aggregate that loops when it is instantiated. Refused: out of fuel.
#[must_use]
pub fn loops_on_start() -> Vec<u8> {
    component("aggregate-plugin", |module| {
        let start = "(func $spin (loop $again (br $again))) (start $spin)";
        match module.trim_end().strip_suffix(')') {
            Some(open) => format!("{open} {start})"),
            None => module,
        }
    })
}

/// An aggregate that also imports `wasi:clocks/monotonic-clock@0.2.0` and
/// `acme:database/query@1.0.0`. Refused: the error lists both.
#[must_use]
pub fn forbidden_imports() -> Vec<u8> {
    let wit = "
        package test:forbidden;

        world plugin {
            include annals:plugin/aggregate-plugin@0.1.0;
            import wasi:clocks/monotonic-clock@0.2.0;
            import acme:database/query@1.0.0;
        }

        package wasi:clocks@0.2.0 {
            interface monotonic-clock { now: func() -> u64; }
        }

        package acme:database@1.0.0 {
            interface query { query: func(sql: string) -> string; }
        }
    ";
    component_with(wit, "plugin", unchanged)
}

/// An aggregate and a projection in one. Refused: a plugin is of one kind.
#[must_use]
pub fn two_kinds() -> Vec<u8> {
    let wit = "
        package test:kinds;

        world plugin {
            include annals:plugin/aggregate-plugin@0.1.0;
            include annals:plugin/projection-plugin@0.1.0;
        }
    ";
    component_with(wit, "plugin", unchanged)
}

/// An aggregate that does not describe itself. Refused: no `descriptor`.
#[must_use]
pub fn without_descriptor() -> Vec<u8> {
    let wit = "
        package test:mute;

        world plugin {
            import annals:plugin/log@0.1.0;
            export annals:plugin/aggregate@0.1.0;
        }
    ";
    component_with(wit, "plugin", unchanged)
}

/// An aggregate of `annals:plugin@9.0.0`. Refused: the error names both versions.
#[must_use]
pub fn other_contract_version() -> Vec<u8> {
    let (resolve, package) =
        expect(contract::resolve_as(&crate::workspace_root().join("wit"), "9.0.0"));
    expect(encode(&resolve, package, "aggregate-plugin", unchanged))
}

/// The core module inside [`traps_everywhere`]. Refused: a module, not a component.
#[must_use]
pub fn core_module() -> Vec<u8> {
    expect(contract().and_then(|(resolve, package)| {
        let world = resolve.select_world(&[package], Some("aggregate-plugin"))?;
        Ok(wit_component::dummy_module(&resolve, world, ABI))
    }))
}

/// A component without exports. Refused: exports no plugin.
#[must_use]
pub fn no_exports() -> Vec<u8> {
    // Magic, version 13, layer 1.
    b"\0asm\x0d\0\x01\0".to_vec()
}

/// The first half of the bank's `account`. Refused: not valid Wasm.
#[must_use]
pub fn truncated() -> Vec<u8> {
    let whole = crate::account();
    whole.iter().copied().take(whole.len() / 2).collect()
}

/// The bank's `account`, valid and larger than `bytes` by a section that means nothing. Refused,
/// when `bytes` is the limit: too large.
#[must_use]
pub fn oversized(bytes: usize) -> Vec<u8> {
    let mut component = crate::account().to_vec();
    // A custom section is 0, its length, and a name, here the empty one: a length of 0.
    component.push(0);
    let mut length = bytes.saturating_add(1);
    loop {
        let low = u8::try_from(length & 0x7f).unwrap_or_default();
        length >>= 7;
        if length == 0 {
            component.push(low);
            break;
        }
        component.push(low | 0x80);
    }
    component.resize(component.len().saturating_add(bytes).saturating_add(1), 0);
    component
}

fn unchanged(module: String) -> String {
    module
}

/// A component of one of the contract's worlds, with its core module's text edited.
fn component(world: &str, edit: impl FnOnce(String) -> String) -> Vec<u8> {
    expect(contract().and_then(|(resolve, package)| encode(&resolve, package, world, edit)))
}

/// A component of a world of further WIT.
fn component_with(wit: &str, world: &str, edit: impl FnOnce(String) -> String) -> Vec<u8> {
    expect(contract().and_then(|(mut resolve, _)| {
        let package = resolve.push_str("test.wit", wit)?;
        encode(&resolve, package, world, edit)
    }))
}

fn contract() -> anyhow::Result<(Resolve, PackageId)> {
    contract::resolve(&crate::workspace_root().join("wit"))
}

fn encode(
    resolve: &Resolve,
    package: PackageId,
    world: &str,
    edit: impl FnOnce(String) -> String,
) -> anyhow::Result<Vec<u8>> {
    let world = resolve.select_world(&[package], Some(world))?;
    let module = wit_component::dummy_module(resolve, world, ABI);
    let text = edit(wasmprinter::print_bytes(&module)?);
    let mut module = wat::parse_str(&text).with_context(|| text.clone())?;
    wit_component::embed_component_metadata(&mut module, resolve, world, StringEncoding::UTF8)?;
    ComponentEncoder::default().validate(true).module(&module)?.encode()
}

#[expect(clippy::panic, reason = "without its component a test cannot run")]
fn expect<T>(crafted: anyhow::Result<T>) -> T {
    crafted.unwrap_or_else(|error| panic!("failed to craft a component: {error:#}"))
}
