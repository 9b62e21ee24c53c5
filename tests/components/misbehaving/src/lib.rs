//! An aggregate that does what a plugin must not do, one misdeed per command or event.
//!
//! It goes below the SDK, which would not let it: straight to the bindings. What each command does
//! and how a host has to answer is in `annals_components::misbehaving`.

mod decide;
mod describe;
mod evolve;

use annals_sdk::bindings::exports::annals::plugin::{aggregate, descriptor};

/// What is exported.
#[derive(Debug)]
pub struct Misbehaving;

impl descriptor::Guest for Misbehaving {
    fn describe() -> descriptor::Description {
        describe::describe()
    }
}

impl aggregate::Guest for Misbehaving {
    type Entity = evolve::Entity;
}

#[cfg(target_arch = "wasm32")]
const _: () = {
    use annals_sdk::bindings::exports::annals::plugin as exports;

    exports::descriptor::__export_annals_plugin_descriptor_0_1_0_cabi!(
        Misbehaving with_types_in annals_sdk::bindings::exports::annals::plugin::descriptor
    );
    exports::aggregate::__export_annals_plugin_aggregate_0_1_0_cabi!(
        Misbehaving with_types_in annals_sdk::bindings::exports::annals::plugin::aggregate
    );

    #[expect(unsafe_code, reason = "the section that names the world, as the SDK's macros add it")]
    #[unsafe(link_section = "component-type:annals-misbehaving")]
    static WORLD: [u8; annals_sdk::__private::AGGREGATE_WORLD.len()] =
        *annals_sdk::__private::AGGREGATE_WORLD;
};

/// Ways to use up what a call has.
mod exhaust {
    use std::hint::black_box;

    /// Uses all fuel.
    pub(crate) fn fuel() -> ! {
        loop {
            std::hint::spin_loop();
        }
    }

    /// Uses all memory.
    pub(crate) fn memory() -> ! {
        let mut hoard: Vec<Vec<u8>> = Vec::new();
        loop {
            hoard.push(black_box(vec![1; 1 << 20]));
        }
    }

    /// Uses all of the call stack.
    pub(crate) fn stack() -> u64 {
        recurse(black_box(0))
    }

    #[expect(unconditional_recursion, reason = "that is what it is for")]
    fn recurse(depth: u64) -> u64 {
        black_box(recurse(black_box(depth.wrapping_add(1)))).wrapping_add(depth)
    }
}

/// Ends the call.
#[expect(clippy::panic, reason = "that is what it is for")]
fn trap() -> ! {
    panic!("misbehaving on purpose")
}

/// A string that is not UTF-8, which no safe code can make.
#[expect(unsafe_code, reason = "a hostile component is not written in safe Rust")]
fn invalid_utf8() -> String {
    // SAFETY: sound it is not; the string is only ever copied out, byte by byte.
    unsafe { String::from_utf8_unchecked(vec![b'a', 0xff, 0xfe]) }
}
