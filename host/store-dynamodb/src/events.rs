//! Events on DynamoDB: one table, one transaction per group of commits.
//!
//! ```text
//!                     ┌ writer of partition 0 ┐  plan.rs: what the group writes, or why not
//!   append ─ queue ──►│ load · plan · commit  │──► TransactWriteItems
//!                     └ … of partition n ─────┘      stream items, claims, one feed item
//!   read_stream, find_command … ──► Query of a stream's items      (consistent)
//!   read_feed, read_commits ──────► Query of a feed's items, then the stream items they name
//! ```
//!
//! Every order is dense by construction: a writer only puts an item directly after one it knows to
//! exist, if nothing is there yet. Of two writers who know the same last item one is refused, looks
//! again and goes on, so any number of hosts may write without a lease.

mod claim;
mod commits;
mod correlated;
mod counts;
mod event;
mod feed;
mod feed_item;
mod fields;
mod head;
mod key;
mod load;
mod news;
mod plan;
mod query;
mod size;
mod store;
mod stream_item;
mod streams;
mod windows;
mod writer;

pub use store::DynamoEventStore;
