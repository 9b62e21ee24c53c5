//! The log: an append-only file of commits, its index in memory, and the threads that keep it.
//!
//! ```text
//!  append ─► append.rs ─ encode.rs ─► shared.rs ─► writer.rs ─► file
//!                │                                   ▲
//!            index.rs ◄─ apply.rs ◄─ recovery.rs ◄───┘ (at open)
//!                │
//!  read ──► reader.rs, feed.rs ─ scan.rs ─ frame.rs, decode.rs ─► build.rs ─► events
//! ```

mod append;
mod apply;
mod build;
mod claims;
mod cursor;
mod decode;
mod encode;
mod fault;
mod feed;
mod file;
mod frame;
mod header;
mod ids;
mod index;
mod names;
mod reader;
mod recovery;
mod scan;
mod shared;
mod space;
mod store;
#[cfg(test)]
mod tests;
mod writer;

pub use fault::LogError;
pub use recovery::{RecoveryReport, TornTail};
pub use store::{LocalEventStore, WhenMissing};

#[cfg(test)]
pub(crate) use tests::CountedIds;
