//! Reading an export, line by line.

use std::fmt;

use annals_core::id::{Digest, StoreId};
use sha2::{Digest as _, Sha256};
use tokio::io::{AsyncBufRead, AsyncBufReadExt as _, AsyncReadExt as _};

use super::error::{ImportError, LineFault};
use super::line::{END, EXPORT, Head, Line, source_of};

/// The format that is written and read.
pub(super) const FORMAT: u64 = 1;

/// Longest line, in bytes with its end: data of an event of 256 KiB as base64, or claims and metadata
/// with every character escaped, take less.
pub(super) const LINE_BYTES_MAX: usize = 8 << 20;

/// A line of an export.
#[derive(Debug)]
pub(super) struct Numbered {
    /// From 1.
    pub(super) number: u64,
    pub(super) bytes_count: usize,
    pub(super) line: Line,
}

/// An export whose first line has been read.
pub struct ExportFile<'a> {
    from: &'a mut (dyn AsyncBufRead + Send + Unpin),
    head: Head,
    source: String,
    buffer: Vec<u8>,
    /// Of all lines before the last.
    hash: Sha256,
    pub(super) lines_count: u64,
    pub(super) bytes_count: u64,
}

impl<'a> ExportFile<'a> {
    /// Reads the first line, before any store is touched.
    ///
    /// # Errors
    /// [`ImportError::File`], [`ImportError::NotAnExport`] or [`ImportError::UnknownFormat`].
    pub async fn open(
        from: &'a mut (dyn AsyncBufRead + Send + Unpin),
    ) -> Result<Self, ImportError> {
        let head =
            Head { format: FORMAT, store: StoreId::new(uuid::Uuid::nil()), partitions_count: 0 };
        let mut file = Self {
            from,
            head,
            source: String::new(),
            buffer: Vec::new(),
            hash: Sha256::new(),
            lines_count: 0,
            bytes_count: 0,
        };
        file.head = file.read_head().await?;
        file.source = source_of(file.head.store);
        Ok(file)
    }

    async fn read_head(&mut self) -> Result<Head, ImportError> {
        let first = match self.read_line().await {
            Ok(Some(first)) => first,
            Ok(None) => return Err(ImportError::NotAnExport(LineFault::Nothing)),
            Err(ImportError::BadLine { fault, .. }) => return Err(ImportError::NotAnExport(fault)),
            Err(error) => return Err(error),
        };
        if first.line.kind != EXPORT {
            let cause = format!("`{}` is not `{EXPORT}`", first.line.kind);
            return Err(ImportError::NotAnExport(LineFault::Invalid { name: "type", cause }));
        }
        let head: Head = match first.line.data() {
            Ok(head) => head,
            Err(fault) => return Err(unknown_format(&first.line, fault)),
        };
        if head.format != FORMAT {
            return Err(ImportError::UnknownFormat { format: head.format, known: FORMAT });
        }
        Ok(head)
    }

    /// The store that was exported.
    #[must_use]
    pub fn store(&self) -> StoreId {
        self.head.store
    }

    /// How many partitions that store has.
    #[must_use]
    pub fn partitions_count(&self) -> u32 {
        self.head.partitions_count
    }

    pub(super) fn source(&self) -> &str {
        &self.source
    }

    /// The digest of the lines so far.
    pub(super) fn sha256(&self) -> Digest {
        Digest::from_bytes(self.hash.clone().finalize().into())
    }

    /// The next whole line; `None` when there is none.
    pub(super) async fn next_line(&mut self) -> Result<Option<Numbered>, ImportError> {
        let next = self.read_line().await?;
        let Some(numbered) = next else {
            return Ok(None);
        };
        if numbered.line.source != self.source {
            let fault = LineFault::Contradiction {
                name: "source".to_owned(),
                found: format!("`{}`", numbered.line.source),
                expected: format!("`{}`", self.source),
            };
            return Err(ImportError::BadLine { line: numbered.number, fault });
        }
        Ok(Some(numbered))
    }

    async fn read_line(&mut self) -> Result<Option<Numbered>, ImportError> {
        self.buffer.clear();
        let bytes_max = u64::try_from(LINE_BYTES_MAX).unwrap_or(u64::MAX);
        let mut limited = (&mut *self.from).take(bytes_max);
        let read = limited.read_until(b'\n', &mut self.buffer).await;
        let bytes_count = read.map_err(ImportError::File)?;
        let number = self.lines_count + 1;
        let Some(text) = self.buffer.strip_suffix(b"\n") else {
            if bytes_count == LINE_BYTES_MAX {
                return Err(ImportError::BadLine { line: number, fault: LineFault::TooLong });
            }
            return Ok(self.unfinished(number));
        };
        let line = Line::parse(text);
        let line = line.map_err(|fault| ImportError::BadLine { line: number, fault })?;
        self.count(&line);
        Ok(Some(Numbered { number, bytes_count, line }))
    }

    /// A line without its end: cut off, unless it is the last and only its end is missing.
    fn unfinished(&mut self, number: u64) -> Option<Numbered> {
        let line = Line::parse(&self.buffer).ok().filter(|line| line.kind == END)?;
        self.count(&line);
        Some(Numbered { number, bytes_count: self.buffer.len(), line })
    }

    fn count(&mut self, line: &Line) {
        self.lines_count += 1;
        self.bytes_count += u64::try_from(self.buffer.len()).unwrap_or(u64::MAX);
        if line.kind != END {
            self.hash.update(&self.buffer);
        }
    }
}

/// A first line of another format may say other things: which format it is, is said of it alone.
fn unknown_format(line: &Line, fault: LineFault) -> ImportError {
    #[derive(serde::Deserialize)]
    struct AnyHead {
        format: u64,
    }
    match line.data::<AnyHead>() {
        Ok(AnyHead { format }) if format != FORMAT => {
            ImportError::UnknownFormat { format, known: FORMAT }
        }
        _ => ImportError::NotAnExport(fault),
    }
}

impl fmt::Debug for ExportFile<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("ExportFile");
        text.field("head", &self.head).field("lines_count", &self.lines_count);
        text.finish_non_exhaustive()
    }
}
