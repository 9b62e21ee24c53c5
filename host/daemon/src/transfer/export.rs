//! Writing an export.

use annals_core::id::Digest;
use annals_core::port::EventStore;
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncWrite, AsyncWriteExt as _};

use super::count::{index_of, partitions_of};
use super::error::{ExportError, Inexact};
use super::file::FORMAT;
use super::line::{END, EXPORT, Foot, Head, Line, source_of};
use super::merge::Merge;
use super::totals::{Exported, Progress, Step, Tally};

/// Text is handed on when it has so many bytes: large enough for few writes, small beside a page.
const WRITE_BYTES: usize = 256 << 10;

/// Writes everything that `store` holds to `to`, and flushes it: every commit that was durable before
/// the call, in an order in which each can be appended after those before it. The commits of each
/// partition are in their order. Of commits that are appended meanwhile some first ones may be in it,
/// never one without those it depends on. Some pages of commits are in memory. The same store gives the
/// same bytes.
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
    let mut merge = Merge::begin(store).await?;
    let head = Head { format: FORMAT, store: store_id, partitions_count };
    Line::new(&source, EXPORT, "export".to_owned()).with_data(&head).write(&mut out.text);
    let mut tallies: Vec<_> = partitions_of(store).map(Tally::of).collect();
    let mut told_count = 0;
    loop {
        let (commits_count, events_count) = Tally::counts(&tallies);
        let is_due = merge.is_low();
        let next = merge.next().await?;
        if commits_count > told_count && (is_due || next.is_none()) {
            told_count = commits_count;
            let (commits_total, bytes_count) = (Some(merge.commits_total), out.bytes_count);
            let step = Step::Exporting;
            progress(Progress { step, commits_count, commits_total, events_count, bytes_count });
        }
        let Some((partition, recorded)) = next else { break };
        let Some(tally) = tallies.get_mut(index_of(partition)) else { break };
        tally.add(&source, &recorded, &mut out.text).map_err(|Inexact(what)| {
            ExportError::Inexact { partition, number: recorded.number, what }
        })?;
        out.write_when_long().await?;
    }
    out.write().await?;
    let (commits_count, events_count) = Tally::counts(&tallies);
    let sha256 = Digest::from_bytes(out.hash.clone().finalize().into());
    let foot = Foot { commits_count, events_count, sha256 };
    Line::new(&source, END, "end".to_owned()).with_data(&foot).write(&mut out.text);
    out.write().await?;
    out.to.flush().await.map_err(ExportError::Write)?;
    Ok(Exported {
        store: store_id,
        commits_count,
        events_count,
        bytes_count: out.bytes_count,
        sha256,
        partitions: tallies.iter().map(Tally::totals).collect(),
    })
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
