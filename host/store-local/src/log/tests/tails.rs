//! The end of the last segment when it is not the first: torn ends are cut, and the segments before
//! are left alone.

use annals_core::place::Partition;
use annals_core::port::EventStore as _;
use pollster::block_on;

use super::sealed_log::{SealedLog, frames};
use super::seed::Seed;
use super::simulated_folder::SimulatedFolder;
use super::stepped::Stepped;
use super::support::{Folder, accept, append, plain};
use crate::RecoveryReport;

struct Tail {
    log: SealedLog,
    name: String,
    /// The frames of the last segment, without what is behind them.
    bytes: Vec<u8>,
    starts: Vec<usize>,
    first_commit: u64,
}

impl Tail {
    fn new(number: u64) -> Self {
        let log = SealedLog::new(number, 4 << 10, 3);
        let name = log.segments().pop().unwrap();
        let mut bytes = log.folder.content(&name);
        let starts = frames(&bytes);
        assert!(starts.len() > 5, "{} frames", starts.len() - 1);
        bytes.truncate(*starts.last().unwrap());
        let first_commit = name.strip_suffix(".seg").unwrap().parse().unwrap();
        Self { log, name, bytes, starts, first_commit }
    }

    fn with(&self, bytes: &[u8]) -> SimulatedFolder {
        let folder = self.log.folder.copy();
        folder.put(&self.name, bytes);
        folder
    }

    /// Opens the log with other bytes in its last segment: the first `frames_count` frames must be
    /// there.
    #[track_caller]
    fn assert_opens(
        &self,
        bytes: &[u8],
        frames_count: usize,
        what: &str,
    ) -> (SimulatedFolder, Stepped, RecoveryReport) {
        let folder = self.with(bytes);
        let (stepped, report) = self.log.open(&folder).unwrap();
        let commits_count = self.first_commit + frames_count as u64;
        assert_eq!(report.commits_count, commits_count, "{what}");
        let read = stepped.store.read_commits(Partition::ZERO, self.first_commit, 4_096);
        let commits = &self.log.everything.commits;
        let first = usize::try_from(self.first_commit).unwrap();
        assert_eq!(block_on(read).unwrap(), commits[first..first + frames_count], "{what}");
        (folder, stepped, report)
    }

    /// As [`Self::assert_opens`], and appends must go on.
    #[track_caller]
    fn assert_cut(&self, bytes: &[u8], frames_count: usize, what: &str) -> RecoveryReport {
        let (folder, mut stepped, report) = self.assert_opens(bytes, frames_count, what);
        accept(&stepped.store, plain("account/a1", &["again"])).unwrap();
        stepped.flush();
        drop(stepped);
        folder.lose_power(&mut Seed::new(1));
        let (_, again) = self.log.open(&folder).unwrap();
        assert_eq!((again.commits_count, again.cut), (report.commits_count + 1, None), "{what}");
        report
    }
}

#[test]
fn the_last_segment_may_be_cut_at_every_byte_of_its_last_frames_but_not_in_its_first() {
    // Guards R3 behind other segments: what is whole stays, the rest is cut. A segment gets its name
    // when its first commit is synced: without that commit it is damaged, and not torn.
    let tail = Tail::new(21);
    let last_three = tail.starts[tail.starts.len() - 4];
    let in_first = (64..tail.starts[1]).step_by(7);
    for cut in in_first.chain(tail.starts[1..].iter().copied()).chain(last_three..tail.bytes.len())
    {
        let whole = tail.starts.iter().rposition(|&start| start <= cut).unwrap();
        let what = format!("cut at {cut}");
        if whole == 0 {
            let folder = tail.with(&tail.bytes[..cut]);
            tail.log.assert_damaged(&folder, &tail.name, 64);
            continue;
        }
        let is_torn = tail.bytes[tail.starts[whole]..cut].iter().any(|&byte| byte != 0);
        let report = if cut % 8 == 0 {
            tail.assert_cut(&tail.bytes[..cut], whole, &what)
        } else {
            tail.assert_opens(&tail.bytes[..cut], whole, &what).2
        };
        assert_eq!(report.cut.is_some(), is_torn, "{what}");
    }
}

#[test]
fn every_flipped_bit_of_the_last_frame_of_a_later_segment_is_found() {
    // Guards R3 behind other segments: the last frame is whole or gone.
    let tail = Tail::new(22);
    let last = tail.starts.len() - 2;
    let start = tail.starts[last];
    for bit in start * 8..tail.bytes.len() * 8 {
        let mut flipped = tail.bytes.clone();
        flipped[bit / 8] ^= 1 << (bit % 8);
        let what = format!("bit {bit}");
        let report = if bit % 64 == 0 {
            tail.assert_cut(&flipped, last, &what)
        } else {
            tail.assert_opens(&flipped, last, &what).2
        };
        assert_eq!(report.cut.map(|cut| cut.offset), Some(start as u64), "bit {bit}");
    }
}

#[test]
fn garbage_and_frames_of_other_segments_behind_the_end_are_cut() {
    // Guards R3 behind other segments: stale bytes, also of the segment before, are no commits.
    let tail = Tail::new(23);
    let before = tail.log.segments()[0].clone();
    let before = tail.log.folder.content(&before);
    let own = tail.bytes[64..tail.starts[2]].to_vec();
    let behind_zeros = [vec![0; 3_000], vec![7; 100]].concat();
    let frames_count = tail.starts.len() - 1;
    for stale in [vec![0xa5; 3], vec![0xff; 900], before[64..].to_vec(), own, behind_zeros] {
        let bytes = [tail.bytes.clone(), stale].concat();
        let report = tail.assert_cut(&bytes, frames_count, "stale bytes");
        assert_eq!(report.cut.unwrap().offset, tail.bytes.len() as u64);
    }
}

#[test]
fn damage_before_a_synced_frame_of_a_later_segment_is_refused() {
    // Guards promise 6 behind other segments.
    let tail = Tail::new(24);
    for frame in 0..tail.starts.len() - 3 {
        let start = tail.starts[frame];
        for at in [start, start + 9, tail.starts[frame + 1] - 1] {
            let mut damaged = tail.bytes.clone();
            damaged[at] ^= 0x10;
            tail.log.assert_damaged(&tail.with(&damaged), &tail.name, start as u64);
        }
    }
}

#[test]
fn a_store_goes_on_after_the_last_segment_was_cut_on_a_disk() {
    // Guards that the simulated folder and a real one agree about a cut.
    let tail = Tail::new(25);
    let folder = Folder::new();
    std::fs::create_dir(folder.log()).unwrap();
    for name in tail.log.folder.names() {
        std::fs::write(folder.log().join(&name), tail.log.folder.content(&name)).unwrap();
    }
    let cut = tail.starts[tail.starts.len() - 2] + 20;
    std::fs::write(folder.log().join(&tail.name), &tail.bytes[..cut]).unwrap();
    let (store, report) = folder.try_open_with(tail.log.options).unwrap();
    let frames_count = tail.starts.len() as u64 - 2;
    assert_eq!(report.commits_count, tail.first_commit + frames_count);
    assert_eq!(report.cut.unwrap().path, folder.log().join(&tail.name));
    append(&store, plain("account/a1", &["again"]));
}
