//! Writing an export.

use annals_core::id::Digest;
use annals_core::limits::READ_EVENTS_MAX;
use annals_core::place::Partition;
use annals_core::port::EventStore;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::error::{ExportError, Inexact};
use super::file::FORMAT;
use super::line::{END, EXPORT, Foot, Head, Line, source_of};
use super::totals::{Exported, PartitionTotals, Progress, Step, Tally};

/// Text is handed on when it has so many bytes: large enough for few writes, small beside a page.
const WRITE_BYTES: usize = 256 << 10;

/// Writes everything that `store` holds to `to`, and flushes it. Commits that are appended meanwhile
/// may be in it or not. At most one page of commits is in memory. The same store gives the same
/// bytes.
///
/// # Errors
/// Each variant of [`ExportError`]. What was written before is cut off, and says so by having no last
/// line.
pub async fn export(
    store: &dyn EventStore,
    to: &mut (dyn AsyncWrite + Send + Unpin),
    progress: &mut (dyn FnMut(Progress) + Send),
) -> Result<Exported, ExportError> {
    let store_id = store.store_id();
    let mut out = Out { to, text: Vec::new(), hash: Sha256::new(), bytes_count: 0 };
    let source = source_of(store_id);
    let partitions_count = store.capabilities().partitions_count;
    let head = Head { format: FORMAT, store: store_id, partitions_count };
    Line::new(&source, EXPORT, "export".to_owned()).with_data(&head).write(&mut out.text);
    let mut exported = Exported {
        store: store_id,
        commits_count: 0,
        events_count: 0,
        bytes_count: 0,
        sha256: Digest::of(&[]),
        partitions: Vec::new(),
    };
    for partition in (0..partitions_count).map(Partition) {
        let mut tally = Tally::of(partition);
        loop {
            let page = store.read_commits(partition, tally.commits_count, READ_EVENTS_MAX).await?;
            if page.is_empty() {
                break;
            }
            for recorded in &page {
                tally.add(&source, recorded, &mut out.text).map_err(|Inexact(what)| {
                    ExportError::Inexact { partition, number: recorded.number, what }
                })?;
                out.write_when_long().await?;
            }
            progress(Progress {
                step: Step::Exporting,
                commits_count: exported.commits_count + tally.commits_count,
                events_count: exported.events_count + tally.events_count,
                bytes_count: out.bytes_count,
            });
        }
        let totals: PartitionTotals = tally.totals();
        exported.commits_count += totals.commits_count;
        exported.events_count += totals.events_count;
        exported.partitions.push(totals);
    }
    out.write().await?;
    exported.sha256 = Digest::from_bytes(out.hash.clone().finalize().into());
    let foot = Foot {
        commits_count: exported.commits_count,
        events_count: exported.events_count,
        sha256: exported.sha256,
    };
    Line::new(&source, END, "end".to_owned()).with_data(&foot).write(&mut out.text);
    out.write().await?;
    out.to.flush().await.map_err(ExportError::Write)?;
    Ok(Exported { bytes_count: out.bytes_count, ..exported })
}

/// Where lines go, with the digest of what went there.
struct Out<'a> {
    to: &'a mut (dyn AsyncWrite + Send + Unpin),
    text: Vec<u8>,
    hash: Sha256,
    bytes_count: u64,
}

impl Out<'_> {
    async fn write_when_long(&mut self) -> Result<(), ExportError> {
        if self.text.len() < WRITE_BYTES { Ok(()) } else { self.write().await }
    }

    async fn write(&mut self) -> Result<(), ExportError> {
        self.hash.update(&self.text);
        self.to.write_all(&self.text).await.map_err(ExportError::Write)?;
        self.bytes_count += u64::try_from(self.text.len()).unwrap_or(u64::MAX);
        self.text.clear();
        Ok(())
    }
}
