//! What is refused before anything runs, and what can be read off a file.

use annals_core::id::Digest;
use annals_core::plugin::PluginKind;
use annals_core::port::guest::{GuestRuntime as _, Inspection};
use annals_runtime::RuntimeLimits;

use crate::crafted;
use crate::support::{load, refusal, refusal_with, runtime, runtime_without_cache};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[test]
fn account_imports_the_log_and_nothing_else() {
    // Guards that a plugin's powers can be read off its imports.
    let bytes = annals_components::account();
    let expected = Inspection {
        kind: PluginKind::Aggregate,
        has_queries: false,
        contract_version: "0.1.0".to_owned(),
        imports: names(&["annals:plugin/log@0.1.0"]),
        exports: names(&["annals:plugin/descriptor@0.1.0", "annals:plugin/aggregate@0.1.0"]),
        component_bytes: bytes.len(),
        digest: Digest::of(bytes),
    };
    assert_eq!(runtime().inspect(bytes).unwrap(), expected);
    assert_eq!(load(bytes).inspection(), &expected);
}

#[test]
fn account_balances_imports_log_and_view_and_answers_queries() {
    // Guards that a projection's second power, and its second interface, are seen.
    let found = runtime().inspect(annals_components::account_balances()).unwrap();
    assert_eq!(
        (found.kind, found.has_queries, found.imports),
        (
            PluginKind::Projection,
            true,
            names(&["annals:plugin/log@0.1.0", "annals:plugin/view@0.1.0"])
        )
    );
}

#[test]
fn files_that_are_no_plugin_are_refused_with_the_reason() {
    // Guards "Misbehaving plugins": is not Wasm, is a module, is truncated, is of another version,
    // imports what it must not.
    let check = |bytes: &[u8], expected: &str| assert_eq!(refusal(bytes), expected);
    check(
        b"",
        "not a WebAssembly component: it does not start with the magic bytes of WebAssembly",
    );
    check(
        b"#!/bin/sh",
        "not a WebAssembly component: it does not start with the magic bytes of WebAssembly",
    );
    check(
        &annals_components::core_module(),
        "not a WebAssembly component: it is a core module; make it a component with `annals plugin \
         build`",
    );
    check(
        &annals_components::no_exports(),
        "not a plugin: it exports none of `aggregate`, `projection`, `process-manager` and \
         `upcaster` of annals:plugin",
    );
    check(
        &annals_components::without_descriptor(),
        "not a plugin: it exports no `annals:plugin/descriptor`",
    );
    check(
        &annals_components::two_kinds(),
        "not a plugin: it exports `aggregate` and `projection`, and a plugin is of one kind",
    );
    check(
        &annals_components::other_contract_version(),
        "built for annals:plugin@9.0.0; this host speaks 0.1.0: rebuild it with a matching \
         annals-sdk",
    );
    check(
        &annals_components::forbidden_imports(),
        "a plugin of kind `aggregate` must not import: wasi:clocks/monotonic-clock@0.2.0, \
         acme:database/query@1.0.0",
    );
    let truncated = refusal(&annals_components::truncated());
    let starts = "not a WebAssembly component: it is truncated at byte ";
    assert!(truncated.starts_with(starts), "{truncated}");
}

#[test]
fn a_component_at_the_size_limit_passes_and_one_over_it_does_not() {
    // Guards the limit of size, before anything is parsed.
    let bytes = annals_components::oversized(1_000);
    let limits =
        |component_bytes_max| RuntimeLimits { component_bytes_max, ..RuntimeLimits::default() };
    crate::support::load_with(&bytes, limits(bytes.len()));
    assert_eq!(
        refusal_with(&bytes, limits(bytes.len() - 1)),
        format!("the component has {} bytes, at most {} are allowed", bytes.len(), bytes.len() - 1)
    );
}

#[test]
fn what_would_take_long_to_compile_is_refused() {
    // Guards the time of compiling: many functions, or a large one.
    let bytes = annals_components::account();
    let few = RuntimeLimits { component_functions_max: 10, ..RuntimeLimits::default() };
    assert_eq!(
        refusal_with(bytes, few),
        "the component does not compile: it has more than 10 functions \
         (limits.component_functions_max)"
    );
    let small = RuntimeLimits { function_bytes_max: 1, ..RuntimeLimits::default() };
    let refused = refusal_with(bytes, small);
    assert!(refused.ends_with("at most 1 are allowed (limits.function_bytes_max)"), "{refused}");
}

#[test]
fn every_cut_of_a_component_is_refused() {
    // Guards against half a download that looks whole. Only sections without meaning, which start
    // with a zero, may be missing at the end.
    let (runtime, bytes) = (runtime(), crafted::projection(crafted::EMPTY));
    assert!(runtime.inspect(&bytes).is_ok());
    for length in 0..bytes.len() {
        let (cut, rest) = bytes.split_at(length);
        assert!(runtime.inspect(cut).is_err() || rest[0] == 0, "{length}");
    }
}

#[test]
fn an_import_of_type_definitions_is_no_power() {
    // Guards the reading of powers: every component names the interface `types`, and most use it.
    let bytes = crafted::aggregate("(call $new (i32.const 1))");
    let types = b"annals:plugin/types@0.1.0";
    assert!(bytes.windows(types.len()).any(|window| window == types));
    assert_eq!(runtime().inspect(&bytes).unwrap().imports, names(&[]));
}

#[test]
fn random_bytes_and_random_damage_never_stop_the_host() {
    // Guards "is random bytes": any answer is fine, a panic is not. What still loads is compiled and
    // described too.
    let (runtime, original) = (runtime_without_cache(), annals_components::traps_everywhere());
    let mut random = 0x9e37_79b9_7f4a_7c15_u64;
    let mut next = || {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        random
    };
    for _ in 0..2_000 {
        let mut bytes = original.clone();
        for _ in 0..=next() % 4 {
            let place = usize::try_from(next()).unwrap() % bytes.len();
            bytes[place] = next().to_le_bytes()[0];
        }
        assert!(runtime.inspect(&bytes).is_err() || runtime.load(&bytes).is_err());
        let noise: Vec<u8> = b"\0asm\x0d\0\x01\0"
            .iter()
            .copied()
            .chain((0..next() % 64).map(|_| next().to_le_bytes()[0]))
            .collect();
        assert!(runtime.inspect(&noise).is_err());
    }
}
