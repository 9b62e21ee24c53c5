//! What is counted of a plugin's calls.

use annals_components::misbehaving as misdeed;
use annals_core::usage::HandlerUsage;

use crate::support::{Resident, load, text};

/// The counts of a handler, without those that depend on how it was compiled.
fn counts(resident: &Resident, handler: &str) -> HandlerUsage {
    let usage = resident.plugin.usage();
    let found = usage.handlers.into_iter().find(|usage| usage.handler == handler).unwrap();
    assert!(found.fuel > 0);
    HandlerUsage { fuel: 0, input_bytes: 0, ..found }
}

#[test]
fn calls_fuel_bytes_and_failures_are_counted_per_handler() {
    // Guards the figures that operators see.
    let mut resident = Resident::new(&load(annals_components::misbehaving()));
    resident.accept(misdeed::NOTE, "{}");
    resident.accept(misdeed::NOTE, "{}");
    let snapshot = resident.snapshot();
    let once = |handler, output_bytes| HandlerUsage {
        handler,
        calls_count: 1,
        output_bytes,
        ..HandlerUsage::default()
    };
    let bytes = |text: &str| u64::try_from(text.len()).unwrap();
    assert_eq!(counts(&resident, "describe"), once("describe", 0));
    assert_eq!(counts(&resident, "constructor"), once("constructor", 0));
    assert_eq!(counts(&resident, "snapshot"), once("snapshot", bytes(&snapshot)));
    let twice =
        |handler, output_bytes| HandlerUsage { calls_count: 2, ..once(handler, output_bytes) };
    assert_eq!(counts(&resident, "evolve"), twice("evolve", 0));
    assert_eq!(counts(&resident, "decide"), twice("decide", 4));
    // Once for `describe`.
    assert_eq!(counts(&resident, "instantiate"), twice("instantiate", 0));
    let input_bytes = |resident: &Resident, handler| {
        let usage = resident.plugin.usage();
        usage.handlers.iter().find(|usage| usage.handler == handler).map(|usage| usage.input_bytes)
    };
    assert_eq!(input_bytes(&resident, "constructor"), Some(bytes("misbehaving/1")));

    text(resident.decide(misdeed::TRAP, ""));
    let mut looping = Resident::new(&resident.plugin);
    text(looping.decide(misdeed::LOOP_FOREVER, ""));
    let mut breaching = Resident::new(&resident.plugin);
    text(breaching.decide(misdeed::REJECT_INVALID_UTF8, ""));
    let decide = counts(&resident, "decide");
    let expected = HandlerUsage {
        calls_count: 5,
        traps_count: 1,
        limits_count: 1,
        breaches_count: 1,
        ..once("decide", 4)
    };
    assert_eq!(decide, expected);
    let usage = resident.plugin.usage();
    let decide = usage.handlers.iter().find(|usage| usage.handler == "decide").unwrap();
    assert!(decide.fuel > 200_000_000, "a call without end uses all the fuel there is");
}

#[test]
fn memory_and_entities_are_given_back_in_the_figures_too() {
    // Guards "memory returns": what a failed sandbox held is not counted for ever.
    let plugin = load(annals_components::misbehaving());
    let held = |plugin: &dyn annals_core::port::guest::GuestPlugin| {
        let usage = plugin.usage();
        (usage.memory_bytes, usage.entities_count)
    };
    assert_eq!(held(&*plugin), (0, 0), "that of `describe` is given back");
    let mut one = Resident::new(&plugin);
    let mut other = Resident::new(&plugin);
    let (memory_bytes, entities_count) = held(&*plugin);
    let of_one = u64::try_from(one.guest.memory_bytes()).unwrap();
    assert_eq!((memory_bytes, entities_count), (2 * of_one, 2));
    text(one.decide(misdeed::ALLOCATE_FOREVER, ""));
    assert_eq!(held(&*plugin).0, of_one);
    assert!(plugin.usage().memory_bytes_high > 60 << 20);
    drop(one);
    other.guest.remove(other.entity).unwrap();
    assert_eq!(held(&*plugin), (of_one, 0));
    drop(other);
    assert_eq!(held(&*plugin), (0, 0));
}

#[test]
fn what_is_only_looked_at_is_not_counted() {
    // Guards the figures against verifications: they would look like commands, and their traps like
    // failures that somebody met.
    let plugin = load(annals_components::misbehaving());
    let before = plugin.usage();
    let mut guest = plugin.uncounted_aggregate().unwrap();
    let entity = guest.create("misbehaving/1").unwrap();
    guest.snapshot(entity).unwrap();
    drop(guest);
    assert_eq!(plugin.usage(), before);
}
