//! `annals bench`: it measures what it says, in each of its ways.

use super::{said, say_in};
use crate::support::annals;

#[test]
fn commands_are_counted_in_process_and_over_http() {
    // Guards the figures: every command that was asked for is sent, accepted and counted once,
    // and latencies agree with count and time (they were once cut at 2 ms).
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("account.wasm"), annals_components::account()).unwrap();
    let bench = ["bench", "commands", "--component", "account.wasm", "--data", "."];
    let load = ["--count", "205", "--streams", "20", "--in-flight", "8", "--output", "json"];
    let ways: [(&[&str], &str); 3] = [
        (&["--in-process"], "in-process"),
        (&["--http"], "http"),
        (&["--http", "--batch", "10"], "http, ndjson"),
    ];
    for (way, target) in ways {
        let report = say_in(folder.path(), &[&bench[..], &load, way].concat()).json();
        assert_eq!(
            (&report["configuration"]["target"], &report["commands_count"]),
            (&target.into(), &205.into())
        );
        for figure in ["commands_per_second", "peak_memory_bytes"] {
            assert!(report[figure].as_u64().unwrap() > 0, "{figure}: {report:#}");
        }
        // Every sender always waits for an answer, so the mean latency follows from count and time.
        let batch = report["configuration"]["batch"].as_u64().unwrap_or(1);
        let seconds = report["seconds"].as_f64().unwrap();
        let requests_count = f64::from(u32::try_from(205_u64.div_ceil(batch)).unwrap());
        let mean_us = seconds * 1e6 * 8.0 / requests_count;
        let max_us = report["latency_us"]["max"].as_f64().unwrap();
        assert!(max_us >= mean_us / 2.0 && max_us <= seconds * 1e6, "{mean_us}: {report:#}");
        assert!(report["latency_us"]["p999"].as_u64() >= report["latency_us"]["p50"].as_u64());
        assert!(report["syncs_per_second"]["after"].as_u64().unwrap() > 0);
    }
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1, "a folder of a measurement is left");
}

#[test]
fn waits_are_counted_around_swaps_and_elsewhere() {
    // Guards the figures of a swap: every command of the rate is sent and answered, versions swap
    // meanwhile, and each command is counted on one side.
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("account.wasm"), annals_components::account()).unwrap();
    let bench = ["bench", "swap", "--component", "account.wasm", "--data", "."];
    let load = ["--rate", "100", "--duration", "2s", "--every", "600ms", "--streams", "10"];
    let report = say_in(folder.path(), &[&bench[..], &load, &["--output", "json"]].concat()).json();
    assert_eq!(report["swaps_count"], 3);
    let count = |side: &str| report[side]["commands_count"].as_u64().unwrap();
    assert_eq!(count("quiet") + count("around_swaps"), 200);
    assert!(count("around_swaps") > 0, "{report:#}");
    let longest = |side: &str| report[side]["max_us"].as_u64().unwrap();
    let extra = longest("around_swaps").saturating_sub(longest("quiet"));
    assert_eq!(report["longest_extra_wait_us"], extra);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn transfers_are_counted_and_the_accounts_add_up() {
    // Guards the figures of transfers: each that was asked for ends, and is counted once.
    let folder = tempfile::tempdir().unwrap();
    let mut command = annals();
    command.args(["bench", "transfers", "--count", "50", "--in-flight", "8", "--accounts", "3"]);
    command.arg("--data").arg(folder.path()).args(["--output", "json"]);
    let report = said(command.current_dir(env!("CARGO_MANIFEST_DIR"))).json();
    let count = |name: &str| report[name].as_u64().unwrap();
    assert_eq!(count("completed_count") + count("failed_count"), 50, "{report:#}");
    let us = |name: &str| report["latency_us"][name].as_u64().unwrap();
    assert!(us("p50") > 0 && us("max") >= us("p50"), "{report:#}");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}
