//! A log of several segments to damage: what it held, and copies of its files.

use annals_core::port::EventStore as _;

use super::everything::{Everything, everything};
use super::model::Model;
use super::seed::Seed;
use super::simulated_folder::SimulatedFolder;
use super::stepped::{SeededIds, Stepped, TINY_UNCACHED};
use crate::log::header::{SEGMENT_BODY_START, SegmentHeader};
use crate::{LogError, LogOptions, RecoveryReport};

pub(crate) struct SealedLog {
    pub(crate) folder: SimulatedFolder,
    pub(crate) options: LogOptions,
    pub(crate) everything: Everything,
    pub(crate) ids_count: u128,
    questions: Seed,
    ids: SeededIds,
}

impl SealedLog {
    /// A log of at least `segments_count` segments of about `segment_bytes`; all but the last have
    /// index files.
    pub(crate) fn new(number: u64, segment_bytes: u64, segments_count: usize) -> Self {
        let options = LogOptions { segment_bytes, ..TINY_UNCACHED };
        let mut seed = Seed::new(number);
        let ids = SeededIds::new(seed.fork());
        let folder = SimulatedFolder::new();
        let mut model = Model::new(&mut seed);
        let (mut stepped, _) = Stepped::open(&folder, &ids, options).unwrap();
        model.keep(stepped.store.store_id(), 0);
        let is_long_enough = || {
            let segments = folder.names_ending(".seg");
            // With commits that were written after others.
            segments.len() >= segments_count
                && frames(&folder.content(&segments[segments.len() - 1])).len() > 7
        };
        while !is_long_enough() {
            model.append(&stepped).unwrap();
            stepped.settle();
        }
        let ids_count = model.workload.ids_count();
        let questions = seed.fork();
        let everything = everything(&stepped.store, questions.clone(), ids_count);
        stepped.close();
        folder.kill();
        for name in folder.names_ending(".new") {
            folder.take(&name);
        }
        Self { folder, options, everything, ids_count, questions, ids }
    }

    pub(crate) fn segments(&self) -> Vec<String> {
        self.folder.names_ending(".seg")
    }

    pub(crate) fn indexes(&self) -> Vec<String> {
        self.folder.names_ending(".idx")
    }

    pub(crate) fn open(
        &self,
        folder: &SimulatedFolder,
    ) -> Result<(Stepped, RecoveryReport), LogError> {
        Stepped::open(folder, &self.ids, self.options)
    }

    /// Fails unless `stepped` says what the log says.
    #[track_caller]
    pub(crate) fn assert_same(&self, stepped: &Stepped, what: &str) {
        let found = everything(&stepped.store, self.questions.clone(), self.ids_count);
        found.assert_same(&self.everything, what);
    }

    /// Fails unless opening `folder` finds the damage in `name`, at `offset`, and changes nothing.
    #[track_caller]
    pub(crate) fn assert_damaged(
        &self,
        folder: &SimulatedFolder,
        name: &str,
        offset: u64,
    ) -> String {
        let before: Vec<_> = folder.names().iter().map(|name| folder.content(name)).collect();
        let Err(LogError::Damaged { path, offset: found, what }) = self.open(folder) else {
            panic!("the damage in {name} is not found");
        };
        assert_eq!(path.file_name().unwrap().to_str(), Some(name), "{what}");
        assert_eq!(found, offset, "{what}");
        folder.kill();
        let after: Vec<_> = folder.names().iter().map(|name| folder.content(name)).collect();
        assert!(before == after, "files were changed");
        what
    }
}

/// Where the frames of a segment begin, and at last where they end.
pub(crate) fn frames(segment: &[u8]) -> Vec<usize> {
    let mut ends = vec![usize::try_from(SEGMENT_BODY_START).unwrap()];
    loop {
        let start = *ends.last().unwrap();
        let length = segment
            .get(start..start + 4)
            .map_or(0, |length| u32::from_le_bytes(length.try_into().unwrap()).try_into().unwrap());
        if length == 0 {
            return ends;
        }
        ends.push(start + length);
    }
}

/// The segment with another header, and frames that do not belong to it.
pub(crate) fn with_header(segment: &[u8], change: impl FnOnce(&mut SegmentHeader)) -> Vec<u8> {
    let mut header = SegmentHeader::decode(&segment[..64]).unwrap();
    change(&mut header);
    [&header.encode(), &segment[64..]].concat()
}
