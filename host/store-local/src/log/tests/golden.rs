//! The bytes of a log, as this format version has them for ever.

use annals_core::commit::{Commit, Release};
use annals_core::port::EventStore as _;
use bytes::Bytes;
use pollster::block_on;

use super::support::{
    Folder, accepted_command, append, contents, event_id, plain, rejected_command, stream,
};

/// Written by the first release. Never made again: a log like it may be on somebody's disk.
const GOLDEN: &[u8] = include_bytes!("../../../tests/golden/log-1.seg");

fn commits() -> [Commit; 4] {
    let mut with_id = plain("account/a2", &["\u{fc}", ""]);
    for (event, id) in with_id.streams[0].events.iter_mut().zip(98..) {
        event.id = Some(event_id(id));
    }
    with_id.streams[0].events[1].metadata = Bytes::from_static(b"{}");
    with_id.releases.push(Release {
        scope: "e-mail".into(),
        key: "absent".into(),
        stream: stream("account/a2"),
    });
    [
        plain("account/a1", &["{\"n\":1}"]),
        accepted_command(1),
        rejected_command("account/a2", 2),
        with_id,
    ]
}

/// A folder with the commits, each written alone.
fn written() -> Folder {
    let folder = Folder::new();
    let store = folder.open();
    for commit in commits() {
        append(&store, commit);
        block_on(store.flush()).unwrap();
    }
    drop(store);
    folder
}

#[test]
fn writes_the_golden_bytes_and_reads_them() {
    // Guards every log on a disk: a change of the format needs a new version and a new file.
    let folder = written();
    assert_eq!(folder.used_bytes(), GOLDEN);
    let golden = Folder::with_segment(GOLDEN);
    assert_eq!(contents(&golden.open()), contents(&folder.open()));
}
