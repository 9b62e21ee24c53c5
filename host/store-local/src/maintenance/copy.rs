//! Copying files: durable, and with the digest of what was copied.

use std::fs::File;
use std::io::{Read as _, Write as _};
use std::path::Path;

use sha2::{Digest as _, Sha256};

use super::manifest::FileEntry;
use super::{MaintenanceError, Progress, io_error, wide};
use crate::files;

/// How much is read at once, in bytes.
const PIECE_BYTES: usize = 1 << 20;

/// Tells of progress while files are read one after the other.
pub(super) struct Meter<'a> {
    pub(super) done_bytes: u64,
    pub(super) total_bytes: u64,
    pub(super) tell: &'a mut dyn FnMut(Progress<'_>),
}

impl Meter<'_> {
    pub(super) fn advance(&mut self, path: &Path, bytes_count: u64) {
        self.done_bytes += bytes_count;
        let Self { done_bytes, total_bytes, .. } = *self;
        (self.tell)(Progress { path, done_bytes, total_bytes: total_bytes.max(done_bytes) });
    }
}

/// Copies the first `bytes_count` bytes of a file (all of them when it has fewer) to one that is not
/// there, as `name` of `to`.
pub(super) fn copy(
    from: &Path,
    (to, name): (&Path, &Path),
    bytes_count: u64,
    meter: &mut Meter<'_>,
) -> Result<FileEntry, MaintenanceError> {
    let path = to.join(name);
    if let Some(parent) = path.parent() {
        files::create_folder(parent).map_err(|source| io_error("create", parent, source))?;
    }
    let source = File::open(from).map_err(|source| io_error("open", from, source))?;
    let mut source = source.take(bytes_count);
    let create = || File::options().write(true).create_new(true).open(&path);
    let mut target = create().map_err(|source| io_error("create", &path, source))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut bytes_count = 0;
    loop {
        let count = source.read(&mut buffer).map_err(|source| io_error("read", from, source))?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            break;
        }
        digest.update(piece);
        target.write_all(piece).map_err(|source| io_error("write", &path, source))?;
        bytes_count += wide(count);
        meter.advance(from, wide(count));
    }
    target.sync_all().map_err(|source| io_error("sync", &path, source))?;
    Ok(FileEntry::new(name, bytes_count, &digest.finalize()))
}

/// The digest of a file.
pub(super) fn entry_of(
    folder: &Path,
    name: &Path,
    meter: &mut Meter<'_>,
) -> Result<FileEntry, MaintenanceError> {
    let path = folder.join(name);
    let mut file = File::open(&path).map_err(|source| io_error("open", &path, source))?;
    let mut digest = Sha256::new();
    let mut buffer = vec![0; PIECE_BYTES];
    let mut bytes_count = 0;
    loop {
        let count = file.read(&mut buffer).map_err(|source| io_error("read", &path, source))?;
        let piece = buffer.get(..count).unwrap_or_default();
        if piece.is_empty() {
            return Ok(FileEntry::new(name, bytes_count, &digest.finalize()));
        }
        digest.update(piece);
        bytes_count += wide(count);
        meter.advance(&path, wide(count));
    }
}
