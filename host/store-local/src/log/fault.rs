//! What can be wrong with bytes of the log, and with a log as a whole.

use std::io;
use std::path::PathBuf;

/// Why some bytes are not a frame of this log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum FrameFault {
    #[error("it is cut off")]
    Incomplete,
    #[error("its length of {length} bytes is impossible")]
    Length { length: u32 },
    #[error("its checksum does not match")]
    Checksum,
    #[error("its format version {0} is not known")]
    FormatVersion(u8),
    #[error("its flags {0:#010b} are not known")]
    Flags(u8),
    #[error("it is commit {found}, not {expected}")]
    WrongCommit { found: u64, expected: u64 },
    #[error("it begins at position {found}, not {expected}")]
    WrongPosition { found: u64, expected: u64 },
    #[error("{what}")]
    Malformed { what: &'static str },
    #[error("the segments before it cannot be read: {what}")]
    Earlier { what: String },
}

/// Why a log cannot be opened or read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LogError {
    /// The operating system refused something.
    #[error("failed to {action} `{}`", path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// With which file or folder.
        path: PathBuf,
        /// What the operating system says.
        #[source]
        source: io::Error,
    },
    /// A file is damaged; an operator must look. Nothing was changed.
    #[error("`{}` is damaged at byte {offset}: {what}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Where in it.
        offset: u64,
        /// How.
        what: String,
    },
    /// The folder has what is derived from a log, but no log.
    #[error(
        "`{}` holds no log, but state of an earlier one: this is not a new store", path.display()
    )]
    Missing {
        /// The folder in which the log should be.
        path: PathBuf,
    },
    /// The log was written by a newer Annals.
    #[error("`{}` has format version {version}, which this Annals does not know", path.display())]
    FormatVersion {
        /// The file.
        path: PathBuf,
        /// Its format version.
        version: u16,
    },
}
