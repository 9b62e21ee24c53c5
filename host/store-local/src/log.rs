//! The log: append-only files of commits, their indexes, and the threads that keep them.
//!
//! ```text
//!  append ─► append.rs ─ encode.rs ─► shared.rs ─► writer.rs ─► segment, with space.rs ahead of it
//!                │                       │ full
//!            index.rs ◄─ apply.rs        ▼
//!                          ▲          sealed.rs ◄─ sealer.rs ─► index_file.rs ─► index file
//!                     recovery.rs (at open)
//!  read ──► reader.rs, feed.rs, correlated.rs ─ scan.rs ─ frame.rs, decode.rs ─► build.rs ─► events
//! ```

mod append;
mod apply;
mod build;
mod checksum;
mod claims;
mod correlated;
mod cursor;
mod decode;
mod edit;
mod encode;
mod fault;
mod feed;
mod file;
mod files;
mod folder;
mod frame;
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzzing;
mod hash;
mod header;
mod ids;
mod index;
mod index_file;
mod inspect;
mod names;
mod options;
mod reader;
mod rebuild;
mod recovery;
mod scan;
mod sealed;
mod sealer;
mod segment;
mod segments;
mod shared;
mod space;
mod store;
mod synced;
#[cfg(test)]
mod tests;
mod worker;
mod writer;

pub(crate) use edit::{FrameEdit, FrameEditor};
pub use fault::LogError;
pub(crate) use frame::{FRAME_HEADER_BYTES, FrameHeader, check as check_frame};
pub(crate) use header::{SEGMENT_BODY_START, SegmentHeader};
pub(crate) use inspect::{Inspected, LogInspector};
pub use options::{LogOptions, SEGMENT_BYTES_MIN};
pub use recovery::{RecoveryReport, TornTail};
pub use segments::WhenMissing;
pub use store::LocalEventStore;
pub(crate) use synced::SYNCED_NAME;

#[cfg(test)]
pub(crate) use tests::CountedIds;
