//! Bundles on disk.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::sync::Arc;

use annals_core::columns::{EventBatch, History};
use annals_core::place::{Position, Revision};
use annals_core::plugin::Context;
use annals_core::port::failure_sink::{
    FailedBatch, FailedCommand, FailedStream, FailedWork, ViewAnswer,
};
use uuid::Uuid;

use super::*;
use crate::bundles::file::{File, Work};

fn bundles(folder: &Path, kept: u32) -> BugBundles {
    let mut config = Config::default();
    config.store.data = folder.to_owned();
    config.engine.bug_bundles_kept = kept;
    BugBundles::of(&config).unwrap()
}

fn failure(cause: &str) -> GuestFailure {
    GuestFailure::Trap { plugin: "account".into(), call: "decide", cause: cause.into() }
}

fn bundle(cause: &str, work: FailedWork) -> FailureBundle {
    FailureBundle {
        plugin: "account".parse().unwrap(),
        version: "1.0.0".to_owned(),
        digest: Digest::of(b"component"),
        at: Timestamp::from_ms(1_795_167_000_000),
        failure: failure(cause),
        work,
    }
}

fn stream() -> FailedWork {
    let mut page = History::starting_at(Revision::new(3));
    page.push(1, Timestamp::from_ms(7), b"{}").unwrap();
    page.push(0, Timestamp::from_ms(8), b"\xff").unwrap();
    FailedWork::Stream(FailedStream {
        stream: "account/ada".to_owned(),
        snapshot: Some(b"state".to_vec().into()),
        pages: vec![page],
        is_complete: true,
        command: Some(FailedCommand {
            command_type: 2,
            data: b"{\"cents\":1}".to_vec().into(),
            context: Context {
                message_id: Uuid::from_u128(5),
                correlation_id: Arc::from("request-1"),
                now: Timestamp::from_ms(9),
                seed: (u64::MAX, 2),
                namespace: Arc::from("default"),
                principal: Some(Arc::from("ada")),
            },
        }),
    })
}

fn batch() -> FailedWork {
    let mut events = EventBatch::default();
    for (number, stream) in [(0, "account/a"), (1, "account/b"), (2, "account/a")] {
        let known = events.streams.iter().position(|known| **known == *stream);
        let index = known.unwrap_or_else(|| {
            events.streams.push(Arc::from(stream));
            events.streams.len() - 1
        });
        events.stream_indexes.push(u32::try_from(index).unwrap());
        events.event_types.push(4);
        events.revisions.push(Revision::new(number));
        events.positions.push(Position::new(number));
        events.recorded_at.push(Timestamp::from_ms(number));
        events.data.push(number.to_string().as_bytes()).unwrap();
    }
    let values = ViewAnswer::Values(vec![None, Some(b"\xff".to_vec())]);
    let rows = ViewAnswer::Rows(vec![(b"key".to_vec(), b"value".to_vec())]);
    FailedWork::Batch(FailedBatch { events, reads: vec![values, rows] })
}

#[test]
fn what_is_written_is_what_is_read() {
    // Guards the form: whatever a plugin was given, it is given again, byte for byte.
    for work in [stream(), batch()] {
        let file = File::new(&bundle("why", work.clone()), &Config::default());
        let text = serde_json::to_string(&file).unwrap();
        let again: File = serde_json::from_str(&text).unwrap();
        assert_eq!(again.work.read().unwrap(), work);
        assert_eq!(again.failure, file.failure);
        assert_eq!(again.limits, file.limits);
        assert_eq!(again.limits["memory_bytes_max"].as_str(), Some("64MiB"));
    }
    assert!(serde_json::from_str::<Work>(r#"{"kind":"batch"}"#).is_err());
}

#[test]
fn bundles_are_for_their_owner_and_only_so_many_are_kept() {
    // Guards the data in them, and the disk.
    let folder = tempfile::tempdir().unwrap();
    let bundles = bundles(folder.path(), 3);
    let mut written = Vec::new();
    for cause in ["a", "b", "c", "d"] {
        let bundle = bundle(cause, stream());
        bundles.keep(&bundle);
        written.push(format!("account-{}.json", bundle.failure.id()));
        let path = folder.path().join(FOLDER).join(written.last().unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(Bundle::read(&path).unwrap().failure(), failure(cause).to_string());
        // The oldest is told by when it was written.
        let age = std::time::Duration::from_secs(100 - u64::try_from(written.len()).unwrap());
        let at = std::fs::metadata(&path).unwrap().modified().unwrap() - age;
        std::fs::File::options().write(true).open(&path).unwrap().set_modified(at).unwrap();
    }
    let mut left: Vec<_> = std::fs::read_dir(folder.path().join(FOLDER))
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    left.sort();
    let mut expected = written.split_off(1);
    expected.sort();
    assert_eq!(left, expected);
}

#[test]
fn the_same_failure_is_wanted_once_per_hour_and_no_more_than_so_many() {
    // Guards the disk against a plugin that fails all the time, in the same way or in ever new ones.
    let folder = tempfile::tempdir().unwrap();
    let bundles = bundles(folder.path(), 2);
    let (one, other) = (Digest::of(b"1"), Digest::of(b"2"));
    let at = |minutes: u64| Timestamp::from_ms(minutes * 60_000);
    let wants = |plugin, cause: &str, minutes| bundles.wants(plugin, &failure(cause), at(minutes));
    assert!(wants(one, "a", 0));
    assert!(!wants(one, "a", 59));
    assert!(wants(other, "a", 59), "another component");
    assert!(!wants(one, "b", 59), "two were kept in this hour");
    assert!(wants(one, "a", 60));
}

#[test]
fn files_that_are_no_bundles_are_told_from_bundles() {
    // Guards `annals plugin replay` against whatever it is given.
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("file.json");
    let refused = |text: &str| {
        std::fs::write(&path, text).unwrap();
        let error = Bundle::read(&path).unwrap_err().to_string();
        error.replace(&folder.path().display().to_string(), "")
    };
    let refusal = refused("{");
    assert!(refusal.starts_with("`/file.json` is not a bug bundle: "), "{refusal}");
    let mut file = File::new(&bundle("why", stream()), &Config::default());
    file.format = 2;
    let text = serde_json::to_string(&file).unwrap();
    assert_eq!(
        refused(&text),
        "`/file.json` is not a bug bundle: its format is 2, this version reads 1"
    );
}
