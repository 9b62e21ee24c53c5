//! The aggregate that misbehaves by command: each misdeed is a failure with a clear text, and hurts
//! nobody else.

use annals_components::misbehaving as misdeed;
use annals_core::plugin::Refusal;

use crate::support::{Resident, load, text, unusable};

fn misbehaving() -> Resident {
    Resident::new(&load(misdeed::misbehaving()))
}

/// Checks the failure of `command`, that the sandbox then answers and holds nothing, and that a new
/// one of the same plugin works.
#[track_caller]
fn check(command: &str, failure: &str) {
    let mut resident = misbehaving();
    let said = text(resident.decide(command, ""));
    assert!(said.starts_with(failure), "{said}");
    assert_eq!(text(resident.decide(misdeed::NOTE, "")), unusable("misbehaving", "decide"));
    assert_eq!(resident.guest.memory_bytes(), 0);
    let mut next = Resident::new(&resident.plugin);
    assert_eq!(next.accept(misdeed::NOTE, "").len(), 1);
}

#[test]
fn a_misdeed_in_decide_is_a_failure_that_names_plugin_call_and_limit() {
    // Guards "Misbehaving plugins": endless loop, endless recursion, endless allocation, trap, broken
    // UTF-8, logs without end.
    let fuel = "plugin `misbehaving` reached a limit in `decide`: fuel 200000000 \
                (limits.decide_fuel_max)";
    let memory = "plugin `misbehaving` reached a limit in `decide`: linear memory 64 MiB \
                  (limits.memory_bytes_max)";
    check(misdeed::LOOP_FOREVER, fuel);
    check(misdeed::LOG_FOREVER, fuel);
    check(misdeed::ALLOCATE_FOREVER, memory);
    check(misdeed::EMIT_HUNDRED_MEBIBYTES, memory);
    check(
        misdeed::RECURSE_FOREVER,
        "plugin `misbehaving` reached a limit in `decide`: call stack 512 KiB",
    );
    check(
        misdeed::TRAP,
        "plugin `misbehaving` trapped in `decide`: wasm trap: wasm `unreachable` instruction \
         executed",
    );
    check(
        misdeed::REJECT_INVALID_UTF8,
        "plugin `misbehaving` broke the contract in `decide`: invalid utf-8 sequence of 1 bytes from \
         index 1",
    );
}

#[test]
fn a_trap_in_evolve_or_snapshot_is_a_failure_too() {
    // Guards "traps in `decide`, in `evolve`, in `snapshot`".
    let evolve = |command| {
        let mut resident = misbehaving();
        let decision = resident.decide(command, "").unwrap().unwrap();
        text(resident.evolve(&decision))
    };
    let trap = evolve(misdeed::RECORD_TRAP_WHEN_EVOLVED);
    assert!(trap.starts_with("plugin `misbehaving` trapped in `evolve`: wasm trap:"), "{trap}");
    assert_eq!(
        evolve(misdeed::RECORD_LOOP_WHEN_EVOLVED),
        "plugin `misbehaving` reached a limit in `evolve`: fuel 202000000 (limits.event_fuel_max)"
    );
    let snapshot = |command| {
        let mut resident = misbehaving();
        resident.accept(command, "");
        text(resident.guest.snapshot(resident.entity))
    };
    let trap = snapshot(misdeed::RECORD_TRAP_IN_SNAPSHOT);
    assert!(trap.starts_with("plugin `misbehaving` trapped in `snapshot`: wasm trap:"), "{trap}");
    assert_eq!(
        snapshot(misdeed::RECORD_LOOP_IN_SNAPSHOT),
        "plugin `misbehaving` reached a limit in `snapshot`: fuel 2000000000 (limits.bulk_fuel_max)"
    );
}

#[test]
fn what_a_guest_returns_is_passed_on_unchecked() {
    // Guards the line between runtime and engine: numbers, names and JSON are the engine's to check.
    let mut resident = misbehaving();
    let mut events = |command| resident.decide(command, "").unwrap().unwrap().events;
    let [event] = events(misdeed::EMIT_TYPE_OUT_OF_RANGE).try_into().unwrap();
    assert_eq!(event.event_type, 7);
    let [event] = events(misdeed::EMIT_INVALID_JSON).try_into().unwrap();
    assert_eq!(event.data, b"{\"open\":");
    let [event] = events(misdeed::EMIT_INVALID_UTF8).try_into().unwrap();
    assert_eq!(event.data, b"\"\xff\"");
    assert_eq!(events(misdeed::EMIT_TOO_MANY).len(), 1_001);
    let refused = resident.decide(misdeed::REJECT_BAD_CODE, "").unwrap();
    let refused = refused.map_err(|refusal| match refusal {
        Refusal::Rejected { code, .. } => code,
        Refusal::Malformed(text) => text,
    });
    assert_eq!(refused, Err("Not Kebab".to_owned()));
}

#[test]
fn every_command_of_the_plugin_is_a_listed_misdeed() {
    // Guards the list that tests match: a misdeed that is in the component and not in it has no test.
    let plugin = load(misdeed::misbehaving());
    let described: Vec<_> =
        plugin.description().commands.iter().map(|command| command.name.as_str()).collect();
    let listed: Vec<_> = misdeed::Misdeed::ALL.iter().map(|it| it.command()).collect();
    assert_eq!(described, listed);
}

#[test]
fn another_plugin_goes_on_while_one_fails() {
    // Guards invariant 5: no plugin can block, crash, starve or read another.
    let mut account = Resident::new(&load(annals_components::account()));
    account.accept("open-account", r#"{"owner":"A","initial_cents":1}"#);
    for command in [misdeed::TRAP, misdeed::RECURSE_FOREVER, misdeed::ALLOCATE_FOREVER] {
        text(misbehaving().decide(command, ""));
        account.accept("deposit-funds", r#"{"cents":1}"#);
    }
    let state: serde_json::Value = serde_json::from_str(&account.snapshot()).unwrap();
    assert_eq!(state["balance_cents"], 4);
}

#[cfg(target_os = "linux")]
#[test]
fn memory_of_a_failed_guest_is_returned_to_the_machine() {
    // Guards "memory returns": fifty guests that each took all they could would need 3 GiB.
    let plugin = load(misdeed::misbehaving());
    let resident_bytes = || {
        let status = std::fs::read_to_string("/proc/self/statm").unwrap();
        let pages = status.split(' ').nth(1).unwrap().parse::<usize>().unwrap();
        pages * 4_096
    };
    let before = resident_bytes();
    for _ in 0..50 {
        let mut resident = Resident::new(&plugin);
        text(resident.decide(misdeed::ALLOCATE_FOREVER, ""));
    }
    let grown = resident_bytes().saturating_sub(before);
    assert!(grown < 1 << 30, "{grown}");
}
