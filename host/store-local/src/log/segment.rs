//! One file of the log: its name, and reading checked frames from it.

use std::io;
use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::port::event_store::ReadError;
use bytes::Bytes;

use super::fault::FrameFault;
use super::file::LogFile;
use super::files::Files;
use super::folder::OpenedBy;
use super::frame::Frame;
use super::header::SegmentHeader;
use super::index::FrameSpan;
use super::index_file::INDEX_SUFFIX;

/// What the name of a segment ends with; before it is the number of its first commit.
pub(crate) const SEGMENT_SUFFIX: &str = ".seg";

/// Where a segment is made ready that has no commit yet.
pub(crate) const SPARE_NAME: &str = "next.seg.new";

#[derive(Debug)]
pub(crate) struct Segment {
    pub(crate) header: SegmentHeader,
    pub(crate) name: String,
    files: Arc<Files>,
}

impl Segment {
    pub(crate) fn new(header: SegmentHeader, files: &Arc<Files>) -> Self {
        let name = name_of(header.first_commit, SEGMENT_SUFFIX);
        Self { header, name, files: Arc::clone(files) }
    }

    pub(crate) fn index_name(&self) -> String {
        name_of(self.header.first_commit, INDEX_SUFFIX)
    }

    /// The path, for people.
    pub(crate) fn path(&self) -> std::path::PathBuf {
        self.files.folder.path().join(&self.name)
    }

    pub(crate) fn file(&self) -> io::Result<Arc<dyn LogFile>> {
        self.files.get(&self.name, OpenedBy::Log)
    }

    /// Reads and checks a frame.
    pub(crate) fn read_frame(&self, span: FrameSpan) -> Result<Frame, ReadError> {
        let bytes = self.read(span.offset, span.bytes_count)?;
        self.check_frame(span, bytes)
    }

    pub(crate) fn check_frame(&self, span: FrameSpan, bytes: Bytes) -> Result<Frame, ReadError> {
        let frame = Frame::check(bytes, self.header.salt)
            .map_err(|fault| self.damaged(span.offset, &fault))?;
        if frame.header.commit == span.commit {
            return Ok(frame);
        }
        let fault = FrameFault::WrongCommit { found: frame.header.commit, expected: span.commit };
        Err(self.damaged(span.offset, &fault))
    }

    pub(crate) fn read(&self, offset: u64, bytes_count: u64) -> Result<Bytes, ReadError> {
        let count = usize::try_from(bytes_count).unwrap_or(usize::MAX);
        let bytes = self.file().and_then(|file| file.read(count, offset));
        bytes.map(Bytes::from).map_err(|source| self.unreadable(source))
    }

    pub(crate) fn unreadable(&self, source: io::Error) -> ReadError {
        let message = format!("failed to read `{}`", self.path().display());
        match source.kind() {
            // A file that is not there, or too short, does not come back by trying again.
            io::ErrorKind::NotFound | io::ErrorKind::UnexpectedEof => {
                ReadError::Damaged(DriverError::with_source(&message, source))
            }
            _ => ReadError::Unavailable(DriverError::with_source(&message, source)),
        }
    }

    pub(crate) fn damaged(&self, offset: u64, fault: &FrameFault) -> ReadError {
        let path = self.path();
        let path = path.display();
        let message = format!("the frame at byte {offset} of `{path}` is damaged: {fault}");
        ReadError::Damaged(DriverError::new(&message))
    }
}

/// The name of the file that belongs to the segment beginning with this commit.
pub(crate) fn name_of(first_commit: u64, suffix: &str) -> String {
    format!("{first_commit:020}{suffix}")
}

/// The number of the first commit in the name of a file with this suffix; `None` for other names.
pub(crate) fn first_commit_of(name: &str, suffix: &str) -> Option<u64> {
    let number = name.strip_suffix(suffix)?;
    let is_number = number.len() == 20 && number.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { number.parse().ok() } else { None }
}
