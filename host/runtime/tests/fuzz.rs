//! Whatever bytes come to be installed: an error or a plugin that loads, never the end of the host.

use std::sync::Arc;

use annals_components::{misbehaving, misbehaving_process, other_contract_version};
use annals_core::columns::EventBatch;
use annals_core::plugin::PluginKind;
use annals_core::port::guest::{GuestPlugin, GuestRuntime as _};
use annals_runtime::{RuntimeLimits, RuntimeOptions, WasmtimeRuntime};

use crate::crafted;
use crate::projection::Rows;
use crate::support::SetClock;

/// Numbers that are the same each time for one seed (SplitMix64).
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next()).unwrap() % end.max(1)
    }

    /// A range of at most `length_max` within `length`.
    fn range(&mut self, length: usize, length_max: usize) -> std::ops::Range<usize> {
        let start = self.below(length);
        start..length.min(start + 1 + self.below(length_max))
    }
}

/// One change of a file: of a byte or a bit, of a length, or of the order of its parts.
fn mutate(bytes: &mut Vec<u8>, numbers: &mut Numbers) {
    let place = numbers.below(bytes.len());
    let length = bytes.len();
    match numbers.below(8) {
        0 => bytes[place] = numbers.next().to_le_bytes()[0],
        1 => bytes[place] ^= 1 << numbers.below(8),
        2 => bytes[place] = [0, 1, 0x7f, 0x80, 0xff][numbers.below(5)],
        3 => bytes[place] = bytes[place].wrapping_add(1),
        4 => bytes.insert(place, numbers.next().to_le_bytes()[0]),
        5 => drop(bytes.drain(numbers.range(length, 16))),
        6 => {
            let part = bytes[numbers.range(length, 64)].to_vec();
            bytes.splice(place..place, part);
        }
        _ => bytes.truncate(length - numbers.below(length / 4)),
    }
}

fn runtime() -> WasmtimeRuntime {
    WasmtimeRuntime::new(RuntimeOptions {
        // What loads runs with little, so that a loop that was made by chance ends soon.
        limits: RuntimeLimits {
            decide_fuel_max: 100_000,
            bulk_fuel_max: 1_000_000,
            memory_bytes_max: 8 << 20,
            ..RuntimeLimits::default()
        }
        .into(),
        compile_cache: None,
        clock: Arc::new(SetClock::default()),
    })
    .unwrap()
}

/// Calls what was loaded; whatever becomes of it is fine.
fn call(plugin: &dyn GuestPlugin) {
    match plugin.inspection().kind {
        PluginKind::Aggregate => {
            if let Ok(mut guest) = plugin.aggregate()
                && let Ok(entity) = guest.create("account/1")
            {
                drop(guest.snapshot(entity));
            }
        }
        PluginKind::Projection => {
            if let Ok(mut guest) = plugin.projection() {
                drop(guest.project(&EventBatch::default(), Arc::new(Rows::default())));
            }
        }
        PluginKind::ProcessManager => {
            if let Ok(mut guest) = plugin.process_manager() {
                drop(guest.correlate(&EventBatch::default()));
            }
        }
        PluginKind::Upcaster => {
            if let Ok(mut guest) = plugin.upcaster() {
                drop(guest.upcast(&[]));
            }
        }
    }
}

/// Installs `count` changed versions of `original`; returns how many were refused and how many loaded.
fn fuzz(original: &[u8], seed: u64, count: usize) -> (usize, usize) {
    let (runtime, mut numbers) = (runtime(), Numbers(seed));
    let (mut refused, mut loaded) = (0, 0);
    for _ in 0..count {
        let mut bytes = original.to_vec();
        for _ in 0..=numbers.below(3) {
            mutate(&mut bytes, &mut numbers);
        }
        match runtime.load(&bytes) {
            Ok(plugin) => {
                call(&*plugin);
                loaded += 1;
            }
            Err(error) => {
                assert!(!error.to_string().is_empty());
                refused += 1;
            }
        }
    }
    (refused, loaded)
}

#[test]
fn changed_components_are_refused_or_load() {
    // Guards installing against files that are nearly right: parser, compiler, linker, `describe`, and
    // the first calls. Both ends must be reached, else the changes are too small or too large.
    let aggregate = crafted::aggregate("(call $new (i32.const 1))");
    for (original, seed) in [(aggregate, 1), (crafted::projection(crafted::EMPTY), 2)] {
        let (refused, loaded) = fuzz(&original, seed, 150);
        assert!(refused > 50 && loaded > 1, "{refused} refused, {loaded} loaded");
    }
}

#[test]
fn changed_real_components_are_refused_or_load() {
    // Guards the same for components as compilers make them.
    for (original, seed) in [
        (misbehaving().to_vec(), 3),
        (other_contract_version(), 4),
        (misbehaving_process().to_vec(), 6),
    ] {
        let (refused, _) = fuzz(&original, seed, 20);
        assert!(refused > 0);
    }
}

#[test]
fn random_bytes_are_refused() {
    // Guards "is random bytes": with and without the header that a component begins with.
    let (runtime, mut numbers) = (runtime(), Numbers(5));
    for number in 0..2_000 {
        let header: &[u8] = if number % 2 == 0 { b"\0asm\x0d\0\x01\0" } else { b"" };
        let length = 1 + numbers.below(512);
        let noise = (0..length).map(|_| numbers.next().to_le_bytes()[0]);
        let bytes: Vec<u8> = header.iter().copied().chain(noise).collect();
        assert!(runtime.load(&bytes).is_err(), "{bytes:?}");
    }
}
