//! `docs/guide/schedules.md`, run as it is written.

use crate::support::guide::Guide;
use crate::support::{Daemon, folder, run};

const GUIDE: Guide = Guide {
    text: include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/guide/schedules.md")),
    examples: &[],
};

#[test]
fn the_guide_runs_as_it_is_written() {
    // Guards the guide: every block does what it says, one after the other, on a daemon with the
    // bank's accounts.
    run(async {
        let (folder, data) = folder();
        let daemon = Daemon::start_with_account(&data).await;
        GUIDE.run(folder.path(), &daemon);
    });
}
