//! The index of a sealed segment, as a file: sorted tables in pages with checksums, of which only what
//! is looked at is read.
//!
//! ```text
//!  page 0          pages 1 …
//!  ┌─────────────┬──────────┬─────────┬───────┬──────────┬──────────┬─────┬────────┬───────┬───────┐
//!  │header,      │ commits  │ streams │ names │ stream   │ commands │ ids │ filter │ claims│ kinds │
//!  │sections     │ 8 each   │ 48 each │       │ commits 8│ 4 each   │ 12  │ 32     │       │       │
//!  └─────────────┴──────────┴─────────┴───────┴──────────┴──────────┴─────┴────────┴───────┴───────┘
//! ```
//!
//! It holds nothing that the segment does not: a missing or damaged one is made again from the frames.
//! `docs/reference/log-format.md` is the reference.

mod filter;
mod layout;
mod pages;
mod read;
mod write;

pub(crate) use filter::Filter;
pub(crate) use layout::{INDEX_SUFFIX, IndexFault};
pub(crate) use pages::PageCache;
pub(crate) use read::{FilterRoom, IndexFile, StreamFacts};
pub(crate) use write::{for_each_piece, write};
