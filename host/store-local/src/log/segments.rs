//! Which segments a folder holds, and making the first.

use std::path::Path;
use std::sync::Arc;

use annals_core::id::{IdGenerator, StoreId};
use tracing::{debug, info, warn};

use super::fault::LogError;
use super::file::io_error;
use super::files::Files;
use super::folder::{LogFolder, OpenedBy};
use super::header::SegmentHeader;
use super::recovery::read_header;
use super::sealer::UNFINISHED_SUFFIX;
use super::segment::{SEGMENT_SUFFIX, SPARE_NAME, Segment, first_commit_of, name_of};

/// Whether a folder without a log becomes a new store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenMissing {
    /// It does.
    Create,
    /// It must have one: there is something that was derived from it.
    Refuse,
}

/// The segments of the folder, oldest first; at least one. Files that were never finished are removed.
pub(crate) fn find_segments(
    files: &Arc<Files>,
    when_missing: WhenMissing,
    ids: &dyn IdGenerator,
) -> Result<Vec<Arc<Segment>>, LogError> {
    let folder = &files.folder;
    let list = || folder.list().map_err(|source| io_error("list", folder.path(), source));
    let names = list()?;
    for name in names.iter().filter(|name| name.ends_with(UNFINISHED_SUFFIX)) {
        if name == SPARE_NAME {
            debug!(file = %name, "removed the spare file of the log");
        } else {
            warn!(file = %name, "removed an unfinished file of the log");
        }
        let path = folder.path().join(name);
        folder.remove(name).map_err(|source| io_error("remove", &path, source))?;
    }
    let mut numbers = numbers(&names);
    if numbers.is_empty() {
        if when_missing == WhenMissing::Refuse {
            return Err(LogError::Missing { path: folder.path().to_owned() });
        }
        create(&**folder, ids)?;
        numbers.push(0);
    }
    // A process that crashed may have given a segment its name and not synced it: nothing that is
    // acknowledged from now on may hang on such a name.
    folder.sync().map_err(|source| io_error("sync", folder.path(), source))?;
    let mut segments: Vec<Arc<Segment>> = Vec::with_capacity(numbers.len());
    for number in numbers {
        let name = name_of(number, SEGMENT_SUFFIX);
        let path = folder.path().join(&name);
        let file = files.get(&name, OpenedBy::Log);
        let file = file.map_err(|source| io_error("open", &path, source))?;
        let header = read_header(&*file, &path)?;
        check_header(&header, number, segments.last().map(|last| &last.header), &path)?;
        segments.push(Arc::new(Segment::new(header, files)));
    }
    Ok(segments)
}

/// The numbers in the names of segments, in order.
pub(crate) fn numbers(names: &[String]) -> Vec<u64> {
    let mut numbers: Vec<u64> =
        names.iter().filter_map(|name| first_commit_of(name, SEGMENT_SUFFIX)).collect();
    numbers.sort_unstable();
    numbers
}

fn check_header(
    header: &SegmentHeader,
    number: u64,
    before: Option<&SegmentHeader>,
    path: &Path,
) -> Result<(), LogError> {
    let damaged = |what: &str| {
        Err(LogError::Damaged { path: path.to_owned(), offset: 0, what: what.to_owned() })
    };
    if header.first_commit != number {
        return damaged("it is not the segment that its name says");
    }
    match before {
        None if (header.first_commit, header.first_position) != (0, 0) => {
            damaged("the segments before it are missing")
        }
        Some(before) if before.store != header.store => damaged("it belongs to another store"),
        Some(before) if before.first_position > header.first_position => {
            damaged("it begins before the segment before it")
        }
        _ => Ok(()),
    }
}

/// Makes the first segment of a new store.
fn create(folder: &dyn LogFolder, ids: &dyn IdGenerator) -> Result<(), LogError> {
    let store = StoreId::new(ids.next_uuid());
    let (high, low) = ids.next_uuid().as_u64_pair();
    let header = SegmentHeader {
        store,
        first_commit: 0,
        first_position: 0,
        salt: high.rotate_left(32) ^ low,
    };
    let name = name_of(0, SEGMENT_SUFFIX);
    let unfinished = format!("{name}{UNFINISHED_SUFFIX}");
    let make = || {
        let file = folder.create(&unfinished, OpenedBy::Log)?;
        file.write_all_at(&header.encode(), 0)?;
        file.sync_data()?;
        folder.rename(&unfinished, &name)?;
        folder.sync()
    };
    let path = folder.path().join(&name);
    make().map_err(|source| io_error("create", &path, source))?;
    info!(file = %path.display(), store = %store, "created the log");
    Ok(())
}
