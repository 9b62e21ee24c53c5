//! How wasmtime is set up: deterministic, with fuel, without anything a plugin cannot ask for.

use wasmtime::{Config, Engine, OptLevel, Strategy, WasmBacktraceDetails};

use crate::limits::STACK_BYTES;

/// The version of wasmtime that runs plugins: what they do is the same in each, what a failure says may
/// differ.
pub const WASMTIME_VERSION: &str = "48.0.8";

/// An engine in which the same component answers the same input with the same bytes on every
/// machine.
///
/// Memories are allocated on demand: a store is made once per shard and plugin and lives long, so a
/// pool would hold address space without saving time.
pub(crate) fn deterministic() -> wasmtime::Result<Engine> {
    let mut config = Config::new();
    config
        .strategy(Strategy::Cranelift)
        .cranelift_opt_level(OptLevel::Speed)
        // Determinism.
        .cranelift_nan_canonicalization(true)
        .wasm_relaxed_simd(true)
        .relaxed_simd_deterministic(true)
        // Limits.
        .consume_fuel(true)
        .max_wasm_stack(STACK_BYTES)
        // Calls run one at a time, synchronously: without this each costs three times as much.
        .concurrency_support(false)
        .memory_init_cow(true)
        // Function names only: debug information is the guest's, and parsing it is work it could
        // make as long as it likes.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable);
    Engine::new(&config)
}

#[cfg(test)]
mod tests {
    use super::WASMTIME_VERSION;

    #[test]
    fn the_version_of_wasmtime_is_the_one_that_is_locked() {
        // Guards bug bundles: wasmtime does not tell its version, so it is written down here.
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock");
        let lock = std::fs::read_to_string(path).unwrap();
        let entry = format!("name = \"wasmtime\"\nversion = \"{WASMTIME_VERSION}\"\n");
        assert!(lock.contains(&entry), "write the version of Cargo.lock here");
    }
}
