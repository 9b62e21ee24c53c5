//! Limits of single plugins.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals_components::misbehaving as misdeed;
use annals_core::port::guest::GuestRuntime as _;
use annals_runtime::{PluginLimits, RuntimeLimits};

use crate::support::{Resident, SetClock, refusal_with, runtime_with, text};

fn limits(general: RuntimeLimits, own: RuntimeLimits) -> PluginLimits {
    PluginLimits::new(general, BTreeMap::from([("misbehaving".parse().unwrap(), own)]))
}

#[test]
fn a_plugin_is_held_to_the_limits_of_its_name() {
    // Guards `[plugins.NAME]`: more for one plugin does not give more to another, nor less.
    let general = RuntimeLimits { decide_fuel_max: 70_000_000, ..RuntimeLimits::default() };
    let own = RuntimeLimits { decide_fuel_max: 80_000_000, ..RuntimeLimits::default() };
    let runtime = runtime_with(limits(general, own), Arc::new(SetClock::default()));
    let misbehaving = runtime.load(annals_components::misbehaving()).unwrap();
    assert_eq!(
        text(Resident::new(&misbehaving).decide(misdeed::LOOP_FOREVER, "")),
        "plugin `misbehaving` reached a limit in `decide`: fuel 80000000 (limits.decide_fuel_max)"
    );
    let account = runtime.load(annals_components::account()).unwrap();
    let mut account = Resident::new(&account);
    assert_eq!(account.accept("open-account", r#"{"owner":"A","initial_cents":1}"#).len(), 1);
}

#[test]
fn a_plugin_that_cannot_be_made_under_its_own_limits_is_refused_at_install() {
    // Guards against a plugin that is installed and fails at its first command.
    let bytes = annals_components::misbehaving();
    let small = RuntimeLimits { memory_bytes_max: 1 << 16, ..RuntimeLimits::default() };
    let refused = refusal_with(bytes, limits(RuntimeLimits::default(), small));
    assert!(refused.ends_with("linear memory 64 KiB (limits.memory_bytes_max)"), "{refused}");
    let short = RuntimeLimits { component_bytes_max: 1_000, ..RuntimeLimits::default() };
    assert_eq!(
        refusal_with(bytes, limits(RuntimeLimits::default(), short.clone())),
        format!("the component has {} bytes, at most 1000 are allowed", bytes.len())
    );
    // The other way round it is let in for its name, and nobody else is.
    let large = limits(short, RuntimeLimits::default());
    let runtime = runtime_with(large, Arc::new(SetClock::default()));
    assert!(runtime.load(bytes).is_ok());
    assert!(runtime.load(annals_components::account()).is_err());
}
