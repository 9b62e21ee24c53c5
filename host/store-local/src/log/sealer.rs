//! The sealer: one thread that writes the index file of a segment that is full and synced, so that
//! its index need not be in memory.

use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use annals_core::error::ErrorChain;
use tracing::{info, warn};

use super::folder::OpenedBy;
use super::index::Index;
use super::index_file::{self, IndexFault, IndexFile};
use super::sealed::{SealedSegment, SegmentIndex};
use super::shared::Shared;
use super::worker::{Step, WhenIdle};

/// How long to wait before an index is written again that could not be.
const RETRY_MS: u64 = 5_000;

/// What an index file is called until it is whole.
pub(crate) const UNFINISHED_SUFFIX: &str = ".new";

pub(crate) struct Sealer {
    shared: Arc<Shared>,
    /// The first commits of the segments whose index could not be written in this round: the others
    /// do not wait for them.
    failed: Vec<u64>,
}

impl Sealer {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self { shared: Arc::clone(shared), failed: Vec::new() }
    }

    /// Seals until the log is closed or stopped.
    pub(crate) fn run(mut self) {
        while self.step(WhenIdle::Wait) != Step::Ended {}
    }

    /// Seals one segment.
    pub(crate) fn step(&mut self, when_idle: WhenIdle) -> Step {
        if self.shared.accepting().stopped.is_some() {
            return Step::Ended;
        }
        let Some((sealed, index)) = self.find() else {
            // A log without index files is whole: they are made at the next start.
            let is_closing = self.shared.accepting().is_closing;
            let has_failed = !std::mem::take(&mut self.failed).is_empty() && !is_closing;
            let retry = has_failed.then_some(Duration::from_millis(RETRY_MS));
            return self.wait(when_idle, retry);
        };
        if let Err(fault) = self.seal(&sealed, &index) {
            let path = sealed.segment.index_name();
            warn!(file = %path, error = %ErrorChain(&fault), "failed to write an index");
            self.failed.push(sealed.segment.header.first_commit);
        }
        Step::Worked
    }

    fn wait(&self, when_idle: WhenIdle, at_most: Option<Duration>) -> Step {
        let accepting = self.shared.accepting();
        if accepting.is_closing && at_most.is_none() {
            return Step::Ended;
        }
        if when_idle == WhenIdle::Return || (at_most.is_none() && self.find().is_some()) {
            return Step::Idle;
        }
        let full = &self.shared.common.full;
        match at_most {
            Some(time) => {
                drop(full.wait_timeout(accepting, time).unwrap_or_else(PoisonError::into_inner));
            }
            None => drop(full.wait(accepting).unwrap_or_else(PoisonError::into_inner)),
        }
        Step::Worked
    }

    /// The oldest segment whose index is only in memory, and that the writer has left.
    fn find(&self) -> Option<(Arc<SealedSegment>, Arc<Index>)> {
        let active = self.shared.durable.borrow().segment;
        let sealed = self.shared.sealed();
        let mut left = sealed.segments.iter().filter(|it| {
            let first_commit = it.segment.header.first_commit;
            first_commit < active && !self.failed.contains(&first_commit)
        });
        left.find_map(|it| Some((Arc::clone(it), it.index_in_memory()?)))
    }

    fn seal(&self, sealed: &SealedSegment, index: &Index) -> Result<(), IndexFault> {
        let common = &self.shared.common;
        let folder = &common.files.folder;
        let segment = &sealed.segment;
        let name = segment.index_name();
        let unfinished = format!("{name}{UNFINISHED_SUFFIX}");
        let write = || -> io::Result<()> {
            // The zeros behind the last frame are of no use any more.
            let file = segment.file()?;
            if file.bytes_count()? > sealed.end {
                file.truncate(sealed.end)?;
            }
            let file = folder.create(&unfinished, OpenedBy::Index)?;
            index_file::write(&*file, &segment.header, index)?;
            folder.rename(&unfinished, &name)?;
            folder.sync()
        };
        write().map_err(IndexFault::Io)?;
        common.files.forget(&name);
        let parts = (&common.files, &common.pages);
        let file = IndexFile::open(name, &segment.header, parts, &common.filter_room)?;
        sealed.replace_index(SegmentIndex::File(Box::new(file)));
        let mut accepting = self.shared.accepting();
        accepting.unsealed_count = accepting.unsealed_count.saturating_sub(1);
        drop(accepting);
        info!(file = %segment.path().display(), "sealed a segment of the log");
        Ok(())
    }
}
