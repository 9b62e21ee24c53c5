//! Upcasters: the bank's, which behaves, and one that does not.

use annals_components::misbehaving_upcaster as misdeed;
use annals_core::event::SchemaVersion;
use annals_core::name::EventType;
use annals_core::plugin::{GuestShape, PluginKind, StoredShape};
use annals_core::port::guest::{GuestFailure, UpcasterGuest};
use annals_runtime::RuntimeLimits;

use crate::support::{load, load_with, text, unusable};

/// What an upcaster makes of events, given as name, version and data.
fn upcast(
    guest: &mut dyn UpcasterGuest,
    events: &[(&str, u32, &str)],
) -> Result<Result<Vec<Vec<GuestShape>>, String>, GuestFailure> {
    let names: Vec<_> = events.iter().map(|(name, ..)| EventType::new(name).unwrap()).collect();
    let shapes: Vec<_> = events
        .iter()
        .zip(&names)
        .map(|((_, version, data), event_type)| StoredShape {
            event_type,
            schema_version: SchemaVersion(*version),
            data: data.as_bytes(),
        })
        .collect();
    guest.upcast(&shapes)
}

fn shape(name: &str, schema_version: u32, data: &str) -> GuestShape {
    GuestShape { name: name.to_owned(), schema_version, data: data.as_bytes().to_vec() }
}

fn shapes(types: &[annals_core::plugin::MessageType<EventType>]) -> Vec<(&str, u32)> {
    types.iter().map(|ty| (ty.name.as_str(), ty.schema_version.0)).collect()
}

#[test]
fn an_upcaster_says_what_it_takes_and_what_it_makes() {
    // Guards what the engine plans with: kind, powers, and both lists from the real component.
    let plugin = load(annals_components::first_accounts());
    let inspection = plugin.inspection();
    assert_eq!((inspection.kind, inspection.imports.as_slice()), (PluginKind::Upcaster, &[][..]));
    let description = plugin.description();
    assert_eq!(description.name.as_str(), "first-accounts");
    assert_eq!(
        shapes(&description.events),
        [("account-registered", 1), ("balance-changed", 1), ("balance-changed", 2)]
    );
    assert_eq!(
        shapes(&description.produces),
        [
            ("account-opened", 1),
            ("funds-deposited", 1),
            ("funds-withdrawn", 1),
            ("balance-changed", 2),
        ]
    );
    let schema: serde_json::Value = serde_json::from_str(&description.produces[1].schema).unwrap();
    assert_eq!(schema["required"], serde_json::json!(["cents"]));
    assert_eq!(
        text(plugin.aggregate()),
        "plugin `first-accounts` broke the contract in `instantiate`: it is of kind `upcaster`, not \
         `aggregate`"
    );
    let account = load(annals_components::account());
    assert_eq!(
        text(account.upcaster()),
        "plugin `account` broke the contract in `instantiate`: it is of kind `aggregate`, not \
         `upcaster`"
    );
}

#[test]
fn events_become_others_in_bulk_one_or_several() {
    // Guards the way in and out: order, names, versions and bytes, and that a refusal costs nothing.
    let plugin = load(annals_components::first_accounts());
    let mut guest = plugin.upcaster().unwrap();
    let made = upcast(
        &mut *guest,
        &[
            ("balance-changed", 2, r#"{"by_cents":-7}"#),
            ("account-registered", 1, r#"{"name":"Ada","paid_in_cents":900}"#),
            ("balance-changed", 1, r#"{"by":"1.05"}"#),
        ],
    );
    let expected = vec![
        vec![shape("funds-withdrawn", 1, r#"{"cents":7}"#)],
        vec![
            shape("account-opened", 1, r#"{"owner":"Ada","initial_cents":0}"#),
            shape("funds-deposited", 1, r#"{"cents":900}"#),
        ],
        vec![shape("balance-changed", 2, r#"{"by_cents":105}"#)],
    ];
    assert_eq!(made.unwrap().unwrap(), expected);
    let refused = upcast(&mut *guest, &[("balance-changed", 1, r#"{"by":"much"}"#)]);
    assert_eq!(refused.unwrap().unwrap_err(), "`much` is not an amount");
    let again = upcast(&mut *guest, &[("balance-changed", 1, r#"{"by":"1.00"}"#)]);
    assert_eq!(again.unwrap().unwrap(), [[shape("balance-changed", 2, r#"{"by_cents":100}"#)]]);
    assert_eq!(upcast(&mut *guest, &[]).unwrap().unwrap(), Vec::<Vec<_>>::new());
}

#[test]
fn a_misdeed_is_a_failure_that_names_plugin_call_and_limit() {
    // Guards "Misbehaving plugins" for upcasters: fuel, memory, traps, broken UTF-8; afterwards the
    // sandbox holds nothing, and a new one works.
    let plugin = load(annals_components::misbehaving_upcaster());
    let cases = [
        (
            misdeed::TRAPPED,
            "trapped in `upcast`: wasm trap: wasm `unreachable` instruction executed",
        ),
        (misdeed::LOOPED, "reached a limit in `upcast`: fuel 20000000 (limits.upcast_fuel_max)"),
        (
            misdeed::HOARDED,
            "reached a limit in `upcast`: linear memory 64 MiB (limits.memory_bytes_max)",
        ),
        (
            misdeed::MISNAMED,
            "broke the contract in `upcast`: invalid utf-8 sequence of 1 bytes from index 1",
        ),
    ];
    for (event, expected) in cases {
        let mut guest = plugin.upcaster().unwrap();
        let said = text(upcast(&mut *guest, &[(event, 1, "{}")]));
        assert!(said.starts_with(&format!("plugin `misbehaving-upcaster` {expected}")), "{said}");
        let after = text(upcast(&mut *guest, &[(misdeed::NOTED, 1, "{}")]));
        assert_eq!(after, unusable("misbehaving-upcaster", "upcast"));
        let mut next = plugin.upcaster().unwrap();
        let noted = upcast(&mut *next, &[(misdeed::NOTED, 1, "{}")]).unwrap().unwrap();
        assert_eq!(noted, [[shape("noted", 2, "{}")]]);
    }
}

#[test]
fn what_an_upcaster_returns_is_passed_on_unchecked() {
    // Guards the line between runtime and engine: counts, names and JSON are the engine's to check.
    let plugin = load(annals_components::misbehaving_upcaster());
    let mut guest = plugin.upcaster().unwrap();
    let mut one = |event| upcast(&mut *guest, &[(event, 1, "{}")]).unwrap().unwrap().remove(0);
    assert_eq!(one(misdeed::VANISHED), []);
    assert_eq!(one(misdeed::UNDECLARED), [shape("noted", 7, "{}")]);
    assert_eq!(one(misdeed::GARBLED), [shape("noted", 2, "{\"open\":")]);
    assert_eq!(one(misdeed::MULTIPLIED).len(), 101);
    assert_eq!(one(misdeed::CIRCLED), [shape("circled", 1, "{}")]);
}

#[test]
fn what_goes_in_has_a_limit() {
    // Guards `input_bytes_max` for upcasters, whose events are counted with their names.
    let limits = RuntimeLimits { input_bytes_max: 100, ..RuntimeLimits::default() };
    let plugin = load_with(annals_components::misbehaving_upcaster(), limits);
    let mut guest = plugin.upcaster().unwrap();
    let data = "1".repeat(75);
    upcast(&mut *guest, &[("noted", 1, &data)]).unwrap().unwrap();
    let data = "1".repeat(76);
    assert_eq!(
        text(upcast(&mut *guest, &[("noted", 1, &data)])),
        "plugin `misbehaving-upcaster` reached a limit in `upcast`: 100 bytes passed in \
         (limits.input_bytes_max)"
    );
}
