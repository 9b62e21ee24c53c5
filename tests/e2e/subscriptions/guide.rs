//! `docs/guide/subscriptions.md`, run as it is written.

use crate::support::guide::Guide;
use crate::support::{Daemon, folder, run};

const GUIDE: Guide = Guide {
    text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/subscriptions.md")),
    // Of an incarnation.
    examples: &["9f2c61d04ab7"],
};

#[test]
fn the_guide_runs_as_it_is_written() {
    // Guards the guide: every block does what it says, one after the other, on a new daemon.
    run(async {
        let (folder, data) = folder();
        let daemon = Daemon::start(&data);
        GUIDE.run(folder.path(), &daemon);
    });
}
