//! Plugins that are broken or misbehave, against the real binary: a clear error, nothing lost, the
//! daemon lives and other plugins go on.

use annals_components::misbehaving;

use crate::support::{Daemon, at, folder, run};

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

/// What the caller is told names this.
const FAILING: [(&str, &str); 22] = [
    (misbehaving::LOOP_FOREVER, "fuel"),
    (misbehaving::ALLOCATE_FOREVER, "memory"),
    (misbehaving::RECURSE_FOREVER, "stack"),
    (misbehaving::TRAP, "trap"),
    (misbehaving::EMIT_MILLION, "decide"),
    (misbehaving::EMIT_TOO_MANY, "1001 events"),
    (misbehaving::EMIT_LARGE_EVENT, "262145 bytes"),
    (misbehaving::EMIT_HUNDRED_MEBIBYTES, "decide"),
    (misbehaving::EMIT_TYPE_OUT_OF_RANGE, "type index"),
    (misbehaving::EMIT_INVALID_JSON, "not JSON"),
    (misbehaving::EMIT_INVALID_UTF8, "not JSON"),
    (misbehaving::EMIT_NO_DATA, "not JSON"),
    (misbehaving::REJECT_BAD_CODE, "kebab-case"),
    (misbehaving::REJECT_EMPTY_CODE, "kebab-case"),
    (misbehaving::REJECT_INVALID_UTF8, "decide"),
    (misbehaving::REJECT_LARGE_MESSAGE, "bytes"),
    (misbehaving::REJECT_INVALID_JSON_DETAIL, "not JSON"),
    (misbehaving::CLAIM_TOO_MANY, "101 claims"),
    (misbehaving::CLAIM_EMPTY_KEY, "key"),
    (misbehaving::CLAIM_LARGE_KEY, "key"),
    (misbehaving::CLAIM_BAD_SCOPE, "scope"),
    (misbehaving::LOG_FOREVER, "fuel"),
];

#[test]
fn a_plugin_that_misbehaves_fails_its_command_only() {
    // Guards containment, for each way a decision can go wrong: the failure names plugin, call and
    // limit in the log, the caller gets a 500, nothing is recorded, the account goes on.
    run(async {
        let (_folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        daemon.install("misbehaving", annals_components::misbehaving()).await.ok();
        daemon.account("a1", "open-account", r#"{"owner":"Ada","initial_cents":5}"#).await.ok();
        let command = async |name: &str| {
            daemon.post(&format!("/v1/aggregates/misbehaving/m1/{name}"), &[], "{}").await
        };
        command(misbehaving::NOTE).await.ok();
        for (name, told) in FAILING {
            let failed = command(name).await;
            assert_eq!(failed.status, 500, "{name}: {:#}", failed.body);
            assert_eq!(failed.code(), "plugin-failed", "{name}: {:#}", failed.body);
            assert!(failed.body.to_string().contains(told), "{name}: {:#}", failed.body);
            daemon.account("a1", "deposit-funds", r#"{"cents":1}"#).await.ok();
        }
        let events = daemon.get("/v1/streams/misbehaving/m1").await.ok();
        assert_eq!(at(&events, "/events").as_array().unwrap().len(), 1);
        command(misbehaving::LOG_FLOOD).await.ok();
        command(misbehaving::LOG_LARGE_LINE).await.ok();
        let state = daemon.get("/v1/aggregates/account/a1").await.ok();
        assert_eq!(at(&state, "/state/balance_cents"), 5 + FAILING.len());
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
        for _ in 0..3 {
            let failed = command("broken", misbehaving::NOTE).await;
            assert_eq!((failed.status, failed.code()), (500, "plugin-failed"));
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
