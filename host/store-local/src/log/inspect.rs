//! Looking at a log that is not opened: every frame of every segment, without changing anything.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar};

use annals_core::id::StoreId;

use super::apply::index_frame;
use super::decode::Body;
use super::fault::{FrameFault, LogError};
use super::file::{LogFile, io_error};
use super::files::Files;
use super::folder::{DiskFolder, OpenedBy};
use super::frame::Frame;
use super::hash::StableHasher;
use super::header::{SEGMENT_BODY_START, SegmentHeader};
use super::index::Index;
use super::index_file::{FilterRoom, IndexFile, PageCache, for_each_piece};
use super::names::EventTypes;
use super::options::LogOptions;
use super::recovery::{TornTail, find_torn_tail, read_header};
use super::scan::{Scanner, Step};
use super::sealed::{Common, Sealed, SealedSegment, SegmentIndex};
use super::segment::{SEGMENT_SUFFIX, Segment, name_of};
use super::segments::numbers;
use super::synced;

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 4 << 20;

/// A log in a folder, only read.
#[derive(Debug)]
pub(crate) struct LogInspector {
    files: Arc<Files>,
    /// The first commits of the segments, as their names say, in order.
    pub(crate) numbers: Vec<u64>,
    /// The segments that were whole so far, to check the later ones against. Empty after damage.
    earlier: Option<Sealed>,
}

/// What a segment holds.
#[derive(Debug)]
pub(crate) struct Inspected {
    pub(crate) header: SegmentHeader,
    /// Behind the last good frame: how many commits and events the log has with this segment.
    pub(crate) next_commit: u64,
    pub(crate) next_position: u64,
    /// Where the last good frame ends.
    pub(crate) end: u64,
    /// What is wrong with the place behind it.
    pub(crate) fault: Option<FrameFault>,
    pub(crate) index: Option<Index>,
}

impl LogInspector {
    /// The log in `folder`; without segments when there is none.
    pub(crate) fn open(folder: &Path) -> Result<Self, LogError> {
        let files = Arc::new(Files::new(Arc::new(DiskFolder::read_only(folder))));
        let names = files.folder.list().map_err(|source| io_error("list", folder, source))?;
        Ok(Self { files, numbers: numbers(&names), earlier: None })
    }

    pub(crate) fn path(&self, number: u64) -> PathBuf {
        self.files.folder.path().join(name_of(number, SEGMENT_SUFFIX))
    }

    pub(crate) fn file(&self, number: u64) -> Result<Arc<dyn LogFile>, LogError> {
        let opened = self.files.get(&name_of(number, SEGMENT_SUFFIX), OpenedBy::Log);
        opened.map_err(|source| io_error("open", &self.path(number), source))
    }

    pub(crate) fn header(&self, number: u64) -> Result<SegmentHeader, LogError> {
        read_header(&*self.file(number)?, &self.path(number))
    }

    /// From now on, frames are also checked against the segments before them.
    pub(crate) fn check_against_earlier(&mut self, store: StoreId) {
        let options = LogOptions::default();
        let common = Arc::new(Common {
            files: Arc::clone(&self.files),
            pages: Arc::new(PageCache::new(options.index_cache_bytes_max)),
            filter_room: FilterRoom::new(options.filter_bytes_max),
            hasher: StableHasher::new(store),
            event_types: EventTypes::default(),
            full: Condvar::new(),
        });
        self.earlier = Some(Sealed { common, segments: Vec::new() });
    }

    /// From now on, each frame is only checked alone: something before it is missing.
    pub(crate) fn check_alone(&mut self) {
        self.earlier = None;
    }

    /// Reads all frames of a segment, and hands them over with their places.
    pub(crate) fn read(
        &self,
        number: u64,
        mut visit: impl FnMut(u64, &Frame) -> Result<(), LogError>,
    ) -> Result<Inspected, LogError> {
        let (file, path, header) = (self.file(number)?, self.path(number), self.header(number)?);
        let file_end =
            file.bytes_count().map_err(|source| io_error("read the length of", &path, source))?;
        let start = SEGMENT_BODY_START;
        let mut index = Index::starting_at(header.first_commit, header.first_position, start);
        let (mut next_commit, mut next_position) = (header.first_commit, header.first_position);
        let mut scanner = Scanner::new(&*file, header.salt, start..file_end, PIECE_BYTES);
        let mut end = start;
        let fault = loop {
            match scanner.step().map_err(|source| io_error("read", &path, source))? {
                Step::Frame(offset, frame) => {
                    let checked = match &self.earlier {
                        Some(earlier) => index_frame(&mut index, earlier, &frame),
                        None => check_alone(&frame),
                    };
                    if let Err(fault) = checked {
                        break Some(fault);
                    }
                    visit(offset, &frame)?;
                    next_commit = frame.header.commit + 1;
                    next_position =
                        frame.header.first_position + u64::from(frame.header.events_count);
                    end = scanner.offset();
                }
                Step::End(fault) => break fault,
            }
        };
        let index = self.earlier.as_ref().map(|_| index);
        Ok(Inspected { header, next_commit, next_position, end, fault, index })
    }

    /// A segment is damaged.
    pub(crate) fn fault(&self, number: u64, fault: &FrameFault) -> LogError {
        LogError::Damaged { path: self.path(number), offset: 0, what: fault.to_string() }
    }

    /// What is behind the last good frame of the last segment: nothing, what a crash left (or a write
    /// that is under way), or damage.
    pub(crate) fn torn_tail(&self, inspected: &Inspected) -> Result<Option<TornTail>, LogError> {
        let number = inspected.header.first_commit;
        let (file, path) = (self.file(number)?, self.path(number));
        let place = (inspected.end, inspected.next_commit);
        let folder = &*self.files.folder;
        let synced_at_close = synced::read(folder, inspected.header.store)
            .map_err(|source| io_error("read what was synced in", folder.path(), source))?;
        if inspected.next_commit < synced_at_close {
            let fault = inspected.fault.clone().unwrap_or(FrameFault::Incomplete);
            let offset = inspected.end;
            return Err(LogError::Damaged { path, offset, what: fault.to_string() });
        }
        find_torn_tail((&*file, &path), &inspected.header, place, inspected.fault.clone())
    }

    /// Compares the index file of a segment with what its frames say; the first byte at which they
    /// differ. `None`: they are the same, or there is no file.
    pub(crate) fn compare_index(
        &self,
        header: &SegmentHeader,
        index: &Index,
    ) -> Result<Option<u64>, LogError> {
        let segment = Segment::new(*header, &self.files);
        let name = segment.index_name();
        let path = self.files.folder.path().join(&name);
        let file = match self.files.get(&name, OpenedBy::Index) {
            Ok(file) => file,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(io_error("open", &path, source)),
        };
        let file_end =
            file.bytes_count().map_err(|source| io_error("read the length of", &path, source))?;
        let (mut offset, mut differs_at) = (0, None);
        let compared = for_each_piece(header, index, |bytes| {
            let count = u64::try_from(bytes.len()).unwrap_or(u64::MAX);
            let mut found = vec![0; bytes.len()];
            if offset + count > file_end {
                differs_at.get_or_insert(file_end);
            } else if differs_at.is_none() {
                file.read_exact_at(&mut found, offset)?;
                let same = found.iter().zip(bytes).take_while(|(a, b)| a == b).count();
                if same < bytes.len() {
                    differs_at = Some(offset + u64::try_from(same).unwrap_or(u64::MAX));
                }
            }
            offset += count;
            Ok(())
        });
        compared.map_err(|source| io_error("read", &path, source))?;
        Ok(differs_at.or((offset < file_end).then_some(offset)))
    }

    /// The path of the index file of a segment.
    pub(crate) fn index_path(&self, header: &SegmentHeader) -> PathBuf {
        self.files.folder.path().join(Segment::new(*header, &self.files).index_name())
    }

    /// Checks the later segments against this one too, whose index file is as its frames say, or not
    /// there.
    pub(crate) fn keep(&mut self, header: &SegmentHeader, index: Index) {
        let Some(earlier) = &mut self.earlier else { return };
        let segment = Arc::new(Segment::new(*header, &self.files));
        let common = &earlier.common;
        let parts = (&common.files, &common.pages);
        let index = match IndexFile::open(segment.index_name(), header, parts, &common.filter_room)
        {
            Ok(file) => SegmentIndex::File(Box::new(file)),
            // Kept in memory: the file is missing or damaged, which was told.
            Err(_) => SegmentIndex::Memory(Arc::new(index)),
        };
        earlier.segments.push(Arc::new(SealedSegment::new(segment, index)));
    }
}

/// Checks what can be checked of a frame without those before it.
fn check_alone(frame: &Frame) -> Result<(), FrameFault> {
    let body = Body::decode(frame)?;
    let mut events = body.events();
    for part in body.streams() {
        events.skip(part?.events_count.into())?;
    }
    if events.is_at_end() {
        Ok(())
    } else {
        Err(FrameFault::Malformed { what: "the body does not end where it should" })
    }
}
