//! Limits that hold for every driver, with the reason for each number.
//!
//! The numbers are those of the narrowest driver, DynamoDB, so that an application can move to it
//! without a change: an item holds at most 400 KB, a transaction 100 items and 4 MB.

/// Largest data of one event or command, in bytes (inclusive). Leaves room for keys, command record
/// and metadata in an item.
pub const PAYLOAD_BYTES_MAX: usize = 256 << 10;

/// Largest metadata a client may keep beside one event, in bytes (inclusive).
pub const METADATA_BYTES_MAX: usize = 16 << 10;

/// Most events of one commit (inclusive).
pub const COMMIT_EVENTS_MAX: usize = 1_000;

/// Largest sum of data and metadata of one commit, in bytes (inclusive).
pub const COMMIT_BYTES_MAX: usize = 3 << 20;

/// Most streams, claims and releases of one commit together (inclusive). Each stream may need an
/// item of its own and one in the feed of its partition, and a commit of
/// [`COMMIT_BYTES_MAX`] is split over at most 17 items more: 97 of a transaction's 100.
pub const COMMIT_ITEMS_MAX: usize = 40;

/// Longest rejection code plus message plus detail, in bytes (inclusive).
pub const REJECTION_BYTES_MAX: usize = 16 << 10;

/// Most events one read returns (inclusive), whatever the caller asks for.
pub const READ_EVENTS_MAX: usize = 4_096;

/// A read ends after the event with which its data reaches this many bytes.
pub const READ_BYTES_MAX: usize = 8 << 20;

/// Longest key of a state row, in bytes (inclusive). A sort key of DynamoDB holds 1 024 bytes and is
/// never empty, so one byte is taken to make an empty key possible.
pub const ROW_KEY_BYTES_MAX: usize = 1_023;

/// Largest value of a state row, in bytes (inclusive).
pub const ROW_BYTES_MAX: usize = 256 << 10;

/// Most writes and conditions of one state commit together (inclusive). A driver may allow fewer
/// rows:
/// [`StateCapabilities::commit_rows_max`](crate::port::state_store::StateCapabilities::commit_rows_max).
pub const STATE_COMMIT_WRITES_MAX: usize = 10_100;

/// Most rows one scan returns (inclusive), whatever the caller asks for.
pub const SCAN_ROWS_MAX: usize = 10_000;

/// Largest plugin component, in bytes (inclusive).
pub const COMPONENT_BYTES_MAX: usize = 64 << 20;
