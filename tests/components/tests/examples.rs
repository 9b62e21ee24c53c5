//! The examples' plugins as components.
#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a helper that fails is a test that fails"
)]

use annals_sdk_build::{Interfaces, interfaces};

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|&name| name.to_owned()).collect()
}

#[track_caller]
fn check(component: &[u8], imports: &[&str], exports: &[&str], bytes_max: usize) {
    wasmparser::Validator::new().validate_all(component).unwrap();
    let expected = Interfaces { imports: names(imports), exports: names(exports) };
    assert_eq!(interfaces(component).unwrap(), expected);
    let bytes = component.len();
    println!("{bytes} bytes");
    assert!(bytes <= bytes_max, "{bytes} bytes are more than {bytes_max}");
}

#[test]
fn aggregates_import_nothing_but_the_log() {
    // Guards the kinds' imports: a dependency that pulls in WASI or JavaScript shows here.
    for aggregate in [
        annals_components::account(),
        annals_components::money_transfer(),
        annals_components::todo(),
        annals_components::invite(),
        annals_components::user(),
    ] {
        check(
            aggregate,
            &["annals:plugin/log@0.1.0"],
            &["annals:plugin/descriptor@0.1.0", "annals:plugin/aggregate@0.1.0"],
            384 << 10,
        );
    }
}

#[test]
fn projections_import_nothing_but_log_and_view() {
    // Guards the kinds' imports, and that a projection exports queries if it has some.
    let imports = ["annals:plugin/log@0.1.0", "annals:plugin/view@0.1.0"];
    let exports = ["annals:plugin/descriptor@0.1.0", "annals:plugin/projection@0.1.0"];
    for projection in [annals_components::guests(), annals_components::transfer_overview()] {
        check(projection, &imports, &exports, 384 << 10);
    }
    // It adds, and reads nothing.
    check(annals_components::invite_totals(), &imports[..1], &exports, 384 << 10);
    let exports = [&["annals:plugin/query@0.1.0"][..], &exports].concat();
    for projection in [annals_components::account_balances(), annals_components::todo_lists()] {
        check(projection, &imports, &exports, 384 << 10);
    }
}

#[test]
fn process_managers_import_nothing_but_the_log() {
    // Guards the kind's imports, and the log of who does not use it.
    let exports = ["annals:plugin/descriptor@0.1.0", "annals:plugin/process-manager@0.1.0"];
    for process_manager in [annals_components::transfer(), annals_components::confirm_guests()] {
        check(process_manager, &["annals:plugin/log@0.1.0"], &exports, 384 << 10);
    }
}
