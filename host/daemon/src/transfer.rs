//! A store as text: everything an event store knows, exported to NDJSON and imported again.
//!
//! ```text
//! export   EventStore ─ read_commits ─► lines.rs ─► line.rs ─► one CloudEvent per line
//! import   one CloudEvent per line ─► file.rs ─► line.rs ─► gather.rs ─► EventStore ─ append
//! ```
//!
//! The first line (`annals.export`) says of which store and how many partitions, the last
//! (`annals.end`) how much there is and the digest of all lines before it: a file without it was cut
//! off. Between them are the commits of each partition, in order. A commit of one event and nothing
//! else is one line, the event. Every other begins with a line of its own (`annals.commit`) that says
//! what its events do not, and how many there are.
//!
//! It knows the port and no driver. The format is described in `docs/guide/operations.md`.

mod append;
mod commit_data;
mod content;
mod count;
mod error;
mod export;
mod file;
mod foresight;
mod gather;
mod holders;
mod import;
mod line;
mod lines;
mod mark;
mod merge;
mod payload;
mod queue;
mod reading;
mod retry;
mod route;
mod run;
mod target;
#[cfg(test)]
mod tests;
mod totals;
mod verify;

pub use error::{ExportError, ImportError, LineFault};
pub use export::export;
pub use file::ExportFile;
pub use import::Imported;
pub(crate) use mark::Mark;
pub use totals::{Exported, PartitionTotals, Progress, Step};
