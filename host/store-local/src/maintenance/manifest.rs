//! What a backup says of itself: `BACKUP.json`, written last, when everything else is durable.

use std::fmt::Write as _;
use std::fs;
use std::io;
use std::path::Path;

use annals_core::id::StoreId;
use annals_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::{MaintenanceError, io_error};
use crate::files;

/// The name of the file.
pub(crate) const MANIFEST_NAME: &str = "BACKUP.json";

/// The version of the manifest this code writes.
const MANIFEST_FORMAT: u32 = 1;

/// What a backup holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Manifest {
    format: u32,
    pub(super) store: StoreId,
    pub(super) commits_count: u64,
    pub(super) events_count: u64,
    pub(super) made_at: Timestamp,
    pub(super) files: Vec<FileEntry>,
}

/// One file of a backup.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct FileEntry {
    /// From the folder of the backup, with `/` between its parts.
    pub(super) path: String,
    pub(super) bytes_count: u64,
    /// In hexadecimal.
    pub(super) sha256: String,
}

impl FileEntry {
    pub(super) fn new(name: &Path, bytes_count: u64, digest: &[u8]) -> Self {
        let sha256 = digest.iter().fold(String::new(), |mut text, byte| {
            // Writing to a string cannot fail.
            write!(text, "{byte:02x}").unwrap_or_default();
            text
        });
        let parts: Vec<_> = name.iter().map(|part| part.to_string_lossy()).collect();
        Self { path: parts.join("/"), bytes_count, sha256 }
    }
}

impl Manifest {
    pub(super) const fn new(
        store: StoreId,
        (commits_count, events_count): (u64, u64),
        made_at: Timestamp,
        files: Vec<FileEntry>,
    ) -> Self {
        Self { format: MANIFEST_FORMAT, store, commits_count, events_count, made_at, files }
    }

    pub(super) fn write(&self, folder: &Path) -> Result<(), MaintenanceError> {
        let path = folder.join(MANIFEST_NAME);
        let bytes = serde_json::to_vec_pretty(self).map_err(io::Error::other);
        let unfinished = files::with_suffix(&path, ".new");
        bytes
            .and_then(|bytes| files::create(&path, &unfinished, &bytes))
            .map_err(|source| io_error("write", &path, source))
    }

    pub(super) fn read(folder: &Path) -> Result<Self, MaintenanceError> {
        let path = folder.join(MANIFEST_NAME);
        let not_a_backup =
            |what: String| MaintenanceError::NotABackup { path: folder.to_owned(), what };
        let bytes = match fs::read(&path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Err(not_a_backup(format!("it has no `{MANIFEST_NAME}`")));
            }
            Err(source) => return Err(io_error("read", &path, source)),
        };
        let manifest: Self = serde_json::from_slice(&bytes)
            .map_err(|error| not_a_backup(format!("`{MANIFEST_NAME}` is damaged: {error}")))?;
        if manifest.format != MANIFEST_FORMAT {
            let what = format!("`{MANIFEST_NAME}` has format {}", manifest.format);
            return Err(not_a_backup(what));
        }
        Ok(manifest)
    }
}
