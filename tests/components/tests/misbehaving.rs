//! The components that misbehave, as far as it shows without running them.
#![expect(clippy::unwrap_used, reason = "a helper that fails is a test that fails")]

use annals_components::{DescribeFault, misbehaving_in_describe};
use annals_sdk_build::{Interfaces, interfaces};
use wasmparser::{Parser, Payload, Validator};

const AGGREGATE: &str = "annals:plugin/aggregate@0.1.0";
const DESCRIPTOR: &str = "annals:plugin/descriptor@0.1.0";

#[track_caller]
fn valid(component: &[u8]) -> Interfaces {
    Validator::new().validate_all(component).unwrap();
    interfaces(component).unwrap()
}

/// Initial pages of the largest memory, and the number of start functions. One is of the
/// component's making: it calls `_initialize`.
fn pages_and_starts(component: &[u8]) -> (u64, usize) {
    let mut found = (0, 0);
    for payload in Parser::new(0).parse_all(component) {
        match payload.unwrap() {
            Payload::MemorySection(memories) => {
                found.0 = found.0.max(memories.into_iter().next().unwrap().unwrap().initial);
            }
            Payload::StartSection { .. } => found.1 += 1,
            _ => {}
        }
    }
    found
}

#[test]
fn the_misbehaving_aggregate_looks_like_any_other() {
    // Guards its tests: they must reach the call, not fail at install.
    let interfaces = valid(annals_components::misbehaving());
    assert_eq!(interfaces.imports, ["annals:plugin/log@0.1.0"]);
    assert_eq!(interfaces.exports, [DESCRIPTOR, AGGREGATE]);
}

#[test]
fn the_misbehaving_upcaster_looks_like_any_other() {
    // Guards its tests: it imports nothing, as an upcaster must.
    let interfaces = valid(annals_components::misbehaving_upcaster());
    assert_eq!(interfaces.imports, Vec::<String>::new());
    assert_eq!(interfaces.exports, [DESCRIPTOR, "annals:plugin/upcaster@0.1.0"]);
}

#[test]
fn the_misbehaving_process_manager_looks_like_any_other() {
    // Guards its tests: they must reach the call, not fail at install.
    let interfaces = valid(annals_components::misbehaving_process());
    assert_eq!(interfaces.imports, Vec::<String>::new());
    assert_eq!(interfaces.exports, [DESCRIPTOR, "annals:plugin/process-manager@0.1.0"]);
}

#[test]
fn every_fault_of_describe_is_written_into_a_valid_component() {
    // Guards the place that is written over: each component is another, and valid.
    let mut seen = vec![annals_components::misbehaving().to_vec()];
    for fault in DescribeFault::ALL {
        let component = misbehaving_in_describe(fault);
        valid(&component);
        assert!(!seen.contains(&component), "{fault:?}");
        seen.push(component);
    }
}

#[test]
fn crafted_components_are_valid_but_for_what_they_lack() {
    // Guards their tests: a host must refuse them for the reason that is tested.
    let aggregate = valid(&annals_components::traps_everywhere());
    assert_eq!(aggregate.exports, [DESCRIPTOR, AGGREGATE]);
    assert_eq!(valid(&annals_components::without_descriptor()).exports, [AGGREGATE]);
    assert_eq!(
        valid(&annals_components::two_kinds()).exports,
        [DESCRIPTOR, AGGREGATE, "annals:plugin/projection@0.1.0"],
    );
    assert_eq!(
        valid(&annals_components::process_manager()).exports,
        [DESCRIPTOR, "annals:plugin/process-manager@0.1.0"],
    );
    assert_eq!(
        valid(&annals_components::upcaster()).exports,
        [DESCRIPTOR, "annals:plugin/upcaster@0.1.0"],
    );
    assert_eq!(
        valid(&annals_components::other_contract_version()).exports,
        ["annals:plugin/descriptor@9.0.0", "annals:plugin/aggregate@9.0.0"],
    );
    assert_eq!(valid(&annals_components::no_exports()), Interfaces::default());
    let imports = valid(&annals_components::forbidden_imports()).imports;
    for forbidden in ["wasi:clocks/monotonic-clock@0.2.0", "acme:database/query@1.0.0"] {
        assert!(imports.iter().any(|import| import == forbidden), "{imports:?}");
    }
}

#[test]
fn large_memory_and_start_loop_are_in_the_components() {
    // Guards the edits of text that make them: an edit that finds nothing changes nothing.
    assert_eq!(pages_and_starts(&annals_components::traps_everywhere()), (0, 1));
    assert_eq!(pages_and_starts(&annals_components::large_memory()), (65_536, 1));
    assert_eq!(pages_and_starts(&annals_components::loops_on_start()), (0, 2));
}

#[test]
fn files_that_are_no_component_are_none() {
    // Guards the other way to be refused: not valid at all.
    let module = annals_components::core_module();
    Validator::new().validate_all(&module).unwrap();
    assert!(!Parser::is_component(&module));
    assert!(Validator::new().validate_all(&annals_components::truncated()).is_err());
}

#[test]
fn an_oversized_component_is_valid_and_as_large_as_asked_for() {
    // Guards the limit's test, at sizes whose length has one byte and several.
    for bytes in [0, 126, 127, 128, 1 << 20] {
        let component = annals_components::oversized(bytes);
        let exports = valid(&component).exports;
        assert_eq!(exports, [DESCRIPTOR, AGGREGATE]);
        assert!(component.len() > bytes);
    }
}
