//! How a log is kept.

use super::index::SEGMENT_BYTES_MAX;

/// Smallest size a segment may be given, in bytes (inclusive). As small, it is for tests.
pub const SEGMENT_BYTES_MIN: u64 = 4 << 10;

/// How a log is kept. The defaults suit a store of up to about a hundred gigabytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogOptions {
    /// How long a segment gets before the next is begun, in bytes: 4 KiB to 1 GiB, taken as the
    /// nearest of these when it is not. Opening a store reads the active segment; a look-up asks a
    /// filter per sealed segment.
    pub segment_bytes: u64,
    /// Most memory for parts of index files that were looked at lately, in bytes.
    pub index_cache_bytes_max: u64,
    /// Most memory for the filters of index files, in bytes; those of the oldest segments are read
    /// from their files when there are more. 12 bits per stream, command id and claim of a segment.
    pub filter_bytes_max: u64,
}

impl Default for LogOptions {
    /// 64 MiB per segment: about 180 000 small events, which are read in a tenth of a second.
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            index_cache_bytes_max: 32 << 20,
            filter_bytes_max: 64 << 20,
        }
    }
}

impl LogOptions {
    pub(crate) fn segment_bytes(&self) -> u64 {
        self.segment_bytes.clamp(SEGMENT_BYTES_MIN, SEGMENT_BYTES_MAX)
    }
}
