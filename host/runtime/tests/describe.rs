//! Plugins that misbehave while they describe themselves: none gets in.

use annals_components::DescribeFault as Fault;
use annals_components::misbehaving_in_describe;
use annals_core::id::Digest;
use annals_core::plugin::PluginKind;
use annals_core::port::guest::GuestRuntime as _;

use crate::support::{load, refusal};

/// Who a plugin is that has no name yet: the start of its digest.
fn nameless(bytes: &[u8]) -> String {
    Digest::of(bytes).short()
}

#[track_caller]
fn check_failure(fault: Fault, failure: &str) {
    let bytes = misbehaving_in_describe(fault);
    let expected =
        format!("the plugin does not describe itself: plugin `{}` {failure}", nameless(&bytes));
    assert_eq!(refusal(&bytes), expected);
}

#[track_caller]
fn check_description(fault: Fault, cause: &str) {
    let expected = format!("the plugin's description is not valid: {cause}");
    assert_eq!(refusal(&misbehaving_in_describe(fault)), expected);
}

#[test]
fn a_plugin_that_fails_in_describe_is_refused_and_told_why() {
    // Guards "Misbehaving plugins": traps, loops, allocates, recurses in `describe`.
    check_failure(
        Fault::LoopForever,
        "reached a limit in `describe`: fuel 2000000000 (limits.bulk_fuel_max)",
    );
    check_failure(
        Fault::AllocateForever,
        "reached a limit in `describe`: linear memory 64 MiB (limits.memory_bytes_max)",
    );
    check_failure(Fault::RecurseForever, "reached a limit in `describe`: call stack 512 KiB");
    check_failure(
        Fault::InvalidUtf8Name,
        "broke the contract in `describe`: invalid utf-8 sequence of 1 bytes from index 1",
    );
    let bytes = misbehaving_in_describe(Fault::Trap);
    let refused = refusal(&bytes);
    let starts = format!(
        "the plugin does not describe itself: plugin `{}` trapped in `describe`: wasm trap: wasm \
         `unreachable` instruction executed",
        nameless(&bytes)
    );
    assert!(refused.starts_with(&starts), "{refused}");
}

#[test]
fn a_plugin_with_a_bad_description_is_refused_and_told_why() {
    // Guards what the engine believes of descriptions.
    let name_rule = "use kebab-case, lower-case letters, digits and single hyphens, starting with a \
                     letter, at most 64 bytes";
    check_description(Fault::EmptyName, &format!("`` is not a plugin name: {name_rule}"));
    check_description(Fault::BadName, &format!("`Not/Kebab` is not a plugin name: {name_rule}"));
    check_description(
        Fault::BadCommandName,
        &format!("`Not Kebab` is not a command name: {name_rule}"),
    );
    check_description(Fault::BadVersion, "`one` is not a semantic version, such as 1.2.0");
    check_description(Fault::DuplicateEvent, "`noted` is in its events twice");
    check_description(Fault::TooManyEvents, "it has 1001 events, at most 1000 are allowed");
    check_description(
        Fault::SchemaVersionZero,
        "the schema version of `noted` is 0, the first is 1",
    );
    check_description(
        Fault::SchemaNotJson,
        "the schema of `noted` is not JSON: EOF while parsing an object at line 1 column 1",
    );
    let too_large = refusal(&misbehaving_in_describe(Fault::TooLarge));
    assert!(
        too_large.starts_with("the plugin's description is not valid: it has 2")
            && too_large.ends_with(" bytes, at most 1048576 are allowed"),
        "{too_large}"
    );
}

#[test]
fn a_log_line_in_describe_does_nothing() {
    // Guards the sandbox of `describe`: its imports are there and do nothing.
    let plugin = load(&misbehaving_in_describe(Fault::Log));
    assert_eq!(plugin.description().name.as_str(), "misbehaving");
}

#[test]
fn a_plugin_that_fails_when_it_starts_is_refused() {
    // Guards the time before `describe`: a start function, a memory of 4 GiB.
    let bytes = annals_components::loops_on_start();
    assert_eq!(
        refusal(&bytes),
        format!(
            "the plugin does not describe itself: plugin `{}` reached a limit in `instantiate`: fuel \
             2000000000 (limits.bulk_fuel_max)",
            nameless(&bytes)
        )
    );
    let bytes = annals_components::large_memory();
    assert_eq!(
        refusal(&bytes),
        format!(
            "the plugin does not describe itself: plugin `{}` reached a limit in `instantiate`: \
             linear memory 64 MiB (limits.memory_bytes_max)",
            nameless(&bytes)
        )
    );
}

#[test]
fn every_kind_is_checked_and_linked_up_to_its_description() {
    // Guards the kinds that have no guest here: they come as far as `describe`, which traps in these.
    for bytes in [
        annals_components::traps_everywhere(),
        annals_components::process_manager(),
        annals_components::upcaster(),
    ] {
        let refused = refusal(&bytes);
        assert!(refused.contains("trapped in `describe`"), "{refused}");
    }
}

#[test]
fn a_plugin_is_asked_for_its_own_kind_only() {
    // Guards against a mistake in the wiring of kinds.
    let account = load(annals_components::account());
    assert_eq!(account.inspection().kind, PluginKind::Aggregate);
    assert_eq!(
        account.projection().unwrap_err().to_string(),
        "plugin `account` broke the contract in `instantiate`: it is of kind `aggregate`, not \
         `projection`"
    );
    let balances = load(annals_components::account_balances());
    assert_eq!(
        balances.aggregate().unwrap_err().to_string(),
        "plugin `account-balances` broke the contract in `instantiate`: it is of kind `projection`, \
         not `aggregate`"
    );
}

/// What becomes of a fault: told by its failure, told by what is wrong with the description, or
/// installed. A new one without an entry does not compile.
const fn is_refused(fault: Fault) -> bool {
    match fault {
        Fault::Trap
        | Fault::LoopForever
        | Fault::AllocateForever
        | Fault::RecurseForever
        | Fault::EmptyName
        | Fault::BadName
        | Fault::InvalidUtf8Name
        | Fault::BadVersion
        | Fault::DuplicateEvent
        | Fault::BadCommandName
        | Fault::TooManyEvents
        | Fault::SchemaVersionZero
        | Fault::SchemaNotJson
        | Fault::TooLarge => true,
        Fault::Log => false,
    }
}

#[test]
fn every_fault_of_describe_is_refused_but_the_one_that_is_none() {
    // Guards the list of faults against one without a test.
    let runtime = crate::support::runtime();
    for fault in Fault::ALL {
        let loaded = runtime.load(&misbehaving_in_describe(fault));
        assert_eq!(loaded.is_err(), is_refused(fault), "{fault:?}");
    }
}
