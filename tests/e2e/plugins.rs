//! Plugins that are broken or misbehave, against the real binary: a clear error, nothing lost, the
//! daemon lives and other plugins go on.

use annals_components::{Misdeed, misbehaving};
use serde_json::Value;

use crate::support::{Daemon, annals, at, folder, run};

#[test]
fn what_is_not_a_plugin_is_refused_with_the_reason() {
    // Guards installing: not Wasm, a module, truncated, another contract version, forbidden imports.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        let cases: [(&[u8], &str); 5] = [
            (b"hello", "WebAssembly"),
            (&annals_components::core_module(), "module"),
            (&annals_components::truncated(), "WebAssembly"),
            (&annals_components::other_contract_version(), "9.0.0"),
            (&annals_components::forbidden_imports(), "import"),
        ];
        for (bytes, reason) in cases {
            let refused = daemon.install("account", bytes).await;
            assert_eq!(refused.status, 400, "{reason}: {:#}", refused.body);
            assert!(refused.body.to_string().contains(reason), "{reason}: {:#}", refused.body);
        }
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":5}"#).await.ok();
    });
}

/// What becomes of a command.
enum Expected {
    /// It is accepted.
    Accepted,
    /// It fails, and what the caller is told names this.
    Fails(&'static str),
    /// It is accepted, and what it records breaks its own stream: see the next test.
    BreaksStream,
}

/// What has to become of each misdeed. A new one without an entry does not compile.
const fn expected(misdeed: Misdeed) -> Expected {
    use Expected::{Accepted, BreaksStream, Fails};
    match misdeed {
        Misdeed::Note | Misdeed::LogFlood | Misdeed::LogLargeLine => Accepted,
        Misdeed::LoopForever | Misdeed::LogForever => Fails("fuel"),
        Misdeed::AllocateForever => Fails("memory"),
        Misdeed::RecurseForever => Fails("stack"),
        Misdeed::Trap => Fails("trap"),
        Misdeed::EmitMillion | Misdeed::EmitHundredMebibytes | Misdeed::RejectInvalidUtf8 => {
            Fails("decide")
        }
        Misdeed::EmitTooMany => Fails("1001 events"),
        Misdeed::EmitLargeEvent => Fails("262145 bytes"),
        Misdeed::EmitTypeOutOfRange => Fails("type index"),
        Misdeed::EmitInvalidJson
        | Misdeed::EmitInvalidUtf8
        | Misdeed::EmitNoData
        | Misdeed::RejectInvalidJsonDetail => Fails("not JSON"),
        Misdeed::RejectBadCode | Misdeed::RejectEmptyCode => Fails("kebab-case"),
        Misdeed::RejectLargeMessage => Fails("bytes"),
        Misdeed::ClaimTooMany => Fails("101 claims"),
        Misdeed::ClaimEmptyKey | Misdeed::ClaimLargeKey => Fails("key"),
        Misdeed::ClaimBadScope => Fails("scope"),
        Misdeed::RecordTrapWhenEvolved
        | Misdeed::RecordLoopWhenEvolved
        | Misdeed::RecordTrapInSnapshot
        | Misdeed::RecordLoopInSnapshot
        | Misdeed::RecordInvalidJsonSnapshot
        | Misdeed::RecordLargeSnapshot => BreaksStream,
    }
}

#[test]
fn a_plugin_that_misbehaves_fails_its_command_only() {
    // Guards containment, for each way a decision can go wrong: the failure names plugin, call and
    // limit in the log, the caller gets a 500, nothing is recorded, the account goes on.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.install("misbehaving", annals_components::misbehaving()).await.ok();
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":5}"#).await.ok();
        let command = async |id: &str, name: &str| {
            daemon.post(&format!("/v1/aggregates/misbehaving/{id}/{name}"), &[], "{}").await
        };
        // A stream each: one that fails again and again is refused.
        for misdeed in Misdeed::ALL {
            let name = misdeed.command();
            command(name, misbehaving::NOTE).await.ok();
            let answer = command(name, name).await;
            let events_count = match expected(*misdeed) {
                Expected::Accepted | Expected::BreaksStream => {
                    answer.ok();
                    2
                }
                Expected::Fails(told) => {
                    assert_eq!(answer.status, 500, "{name}: {:#}", answer.body);
                    assert_eq!(answer.code(), "plugin-failed", "{name}: {:#}", answer.body);
                    assert!(answer.body.to_string().contains(told), "{name}: {:#}", answer.body);
                    1
                }
            };
            daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
            let events = daemon.get(&format!("/v1/streams/misbehaving/{name}")).await.ok();
            assert_eq!(at(&events, "/events").as_array().unwrap().len(), events_count, "{name}");
        }
        let state = daemon.get("/v1/aggregates/account/a1").await.ok();
        assert_eq!(at(&state, "/state/balance_cents"), 5 + Misdeed::ALL.len());
    });
}

#[test]
fn a_stream_that_breaks_its_plugin_breaks_no_other() {
    // Guards `evolve` and `snapshot`: one stream traps on every load, another of the same plugin and
    // the account go on; the events stay readable.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.install("misbehaving", annals_components::misbehaving()).await.ok();
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":5}"#).await.ok();
        let command = async |id: &str, name: &str| {
            daemon.post(&format!("/v1/aggregates/misbehaving/{id}/{name}"), &[], "{}").await
        };
        command("broken", misbehaving::RECORD_TRAP_WHEN_EVOLVED).await.ok();
        // Its first failure was after the events were accepted.
        let failures = [(500, "plugin-failed"), (500, "plugin-failed"), (503, "quarantined")];
        for expected in failures {
            let failed = command("broken", misbehaving::NOTE).await;
            assert_eq!((failed.status, failed.code()), expected, "{:#}", failed.body);
            command("whole", misbehaving::NOTE).await.ok();
            daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
        }
        command("mute", misbehaving::RECORD_TRAP_IN_SNAPSHOT).await.ok();
        assert_eq!(daemon.get("/v1/aggregates/misbehaving/mute").await.status, 500);
        command("mute", misbehaving::NOTE).await.ok();
        command("wild", misbehaving::RECORD_INVALID_JSON_SNAPSHOT).await.ok();
        assert_eq!(daemon.get("/v1/aggregates/misbehaving/wild").await.status, 500);
        let events = daemon.get("/v1/streams/misbehaving/broken").await.ok();
        assert_eq!(at(&events, "/events").as_array().unwrap().len(), 1);
    });
}

#[test]
fn a_failure_is_kept_in_a_bundle_that_repeats_it_without_the_daemon() {
    // Guards bug bundles: a trap, a loop and a stream that breaks its plugin, each repeated from its
    // file; of a bundle that was changed it is said that it does not fail as before.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.install("misbehaving", annals_components::misbehaving()).await.ok();
        let command = async |id: &str, name: &str| {
            daemon.post(&format!("/v1/aggregates/misbehaving/{id}/{name}"), &[], "{}").await
        };
        command("broken", misbehaving::RECORD_TRAP_WHEN_EVOLVED).await.ok();
        let mut bundles = Vec::new();
        for (id, name, call) in [
            ("a", misbehaving::TRAP, "decide"),
            ("b", misbehaving::LOOP_FOREVER, "decide"),
            ("c", misbehaving::EMIT_TOO_MANY, "decide"),
            ("broken", misbehaving::NOTE, "evolve"),
        ] {
            command("a", misbehaving::NOTE).await.ok();
            let failed = command(id, name).await;
            assert_eq!((failed.status, at(&failed.body, "/call").as_str()), (500, Some(call)));
            let failure_id = at(&failed.body, "/failure_id").as_str().unwrap();
            bundles.push(data.join(format!("bug-bundles/misbehaving-{failure_id}.json")));
        }
        assert_eq!(daemon.stop(), Some(0));
        let replay = |bundle: &std::path::Path| {
            let output = annals().args(["plugin", "replay"]).arg(bundle).output().unwrap();
            let said = String::from_utf8(output.stdout).unwrap();
            (output.status.code(), said, String::from_utf8(output.stderr).unwrap())
        };
        for bundle in &bundles {
            let (code, said, error) = replay(bundle);
            assert_eq!((code, error.as_str()), (Some(0), ""), "{said}");
        }
        let (_, said, _) = replay(&bundles[0]);
        assert!(said.contains("trapped in `decide`"), "{said}");
        assert!(said.lines().filter(|line| line.starts_with("    in ")).count() > 1, "{said}");

        let mut changed: Value =
            serde_json::from_slice(&std::fs::read(&bundles[0]).unwrap()).unwrap();
        changed["work"]["command"]["command_type"] = 0.into();
        std::fs::write(&bundles[0], changed.to_string()).unwrap();
        let (code, _, error) = replay(&bundles[0]);
        assert_eq!(code, Some(1), "{error}");
        assert!(error.contains("it does not fail; before it was: plugin"), "{error}");
    });
}

#[test]
fn figures_and_quarantine_are_shown_to_operators() {
    // Guards `/metrics` and `annals plugin show`, wired to a real plugin.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.install("misbehaving", annals_components::misbehaving()).await.ok();
        for _ in 0..3 {
            daemon.post("/v1/aggregates/misbehaving/m1/trap", &[], "{}").await;
        }
        let refused = daemon.post("/v1/aggregates/misbehaving/m1/note", &[], "{}").await;
        assert_eq!((refused.status, refused.code()), (503, "quarantined"), "{:#}", refused.body);
        let metrics = daemon.get("/metrics").await.body;
        let metrics = metrics.as_str().unwrap();
        for line in [
            "annals_commands_total{outcome=\"failed\"} 3",
            "annals_commands_total{outcome=\"shed\"} 1",
            "annals_plugin_calls_total{plugin=\"misbehaving\",handler=\"decide\"} 3",
            "annals_plugin_failures_total{plugin=\"misbehaving\",handler=\"decide\",kind=\"trap\"} 3",
            "annals_plugin_quarantined_streams{plugin=\"misbehaving\"} 1",
            "annals_plugin_memory_bytes{plugin=\"account\"} 0",
        ] {
            assert!(metrics.lines().any(|found| found == line), "{line}\n{metrics}");
        }
        let mut show = annals();
        show.args(["plugin", "show", "misbehaving", "--server", daemon.url()]);
        let output = show.output().unwrap();
        let said = String::from_utf8(output.stdout).unwrap();
        assert!(said.contains("streams in quarantine: 1"), "{said}");
        assert!(
            said.contains("misbehaving/m1: 3 failures, the last: trapped in `decide`"),
            "{said}"
        );
        assert!(said.contains("3 trapped"), "{said}");
    });
}

#[test]
fn a_component_that_was_changed_or_lost_on_disk_is_not_run_and_others_are() {
    // Guards R17: what was installed is what runs, or it does not run; its events are there, and
    // installing it again puts it right.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        let installed = daemon.install("misbehaving", annals_components::misbehaving()).await.ok();
        let digest = at(&installed, "/plugin/digest").as_str().unwrap().to_owned();
        let note = "/v1/aggregates/misbehaving/m1/note";
        daemon.post(note, &[], "{}").await.ok();
        assert_eq!(daemon.stop(), Some(0));
        let file = data.join(format!("plugins/{digest}.wasm"));
        let mut changed = annals_components::misbehaving().to_vec();
        changed.push(0);
        for is_lost in [false, true] {
            if is_lost {
                std::fs::remove_file(&file).unwrap();
            } else {
                std::fs::write(&file, &changed).unwrap();
            }
            let daemon = Daemon::start(&data);
            let refused = daemon.post(note, &[], "{}").await;
            assert_eq!((refused.status, refused.code()), (404, "unknown-aggregate"));
            daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":5}"#).await;
            daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
            daemon.get("/v1/streams/misbehaving/m1").await.ok();
            daemon.install("misbehaving", annals_components::misbehaving()).await.ok();
            daemon.post(note, &[], "{}").await.ok();
            assert_eq!(daemon.stop(), Some(0));
        }
    });
}
