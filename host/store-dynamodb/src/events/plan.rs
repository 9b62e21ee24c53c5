//! What a group of commits writes, worked out before anything is sent: pure, over what is known of
//! streams, feeds and claims.
//!
//! Commits are staged one after the other, each on top of those before it, until the transaction is
//! full. A commit that is refused leaves nothing behind.

mod parts;

use std::collections::BTreeMap;
use std::sync::Arc;

use annals_core::commit::{ClaimHolder, Commit, Receipt};
use annals_core::place::Partition;
use annals_core::port::event_store::{AppendError, Capabilities, SizeLimit};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use aws_sdk_dynamodb::error::BuildError;
use aws_sdk_dynamodb::types::{
    ConditionCheck, Put, ReturnValuesOnConditionCheckFailure, TransactWriteItem,
};
use hashbrown::{HashMap, HashSet};
use uuid::Uuid;

use super::claim::ClaimState;
use super::feed_item::{Entry, FeedItem, Inline};
use super::fields::{Item, text};
use super::key::{self, Place};
use super::size;
use super::streams::StreamTail;
use super::windows::KnownId;
use parts::Draft;

/// Most actions of a transaction.
pub(super) const ACTIONS_MAX: usize = 100;

/// Largest sum of a transaction's items, in bytes; DynamoDB allows 4 MB.
const TRANSACTION_BYTES_MAX: usize = 4_000_000;

/// Largest list of entries of one feed item, in bytes; the whole item may have 400 KB.
const ENTRIES_BYTES_MAX: usize = 300_000;

/// What a claim's item and condition may take, in bytes: scope, key, holder and old holder.
const CLAIM_BYTES: usize = 2_048;

/// A scope and a key.
pub(super) type ClaimName = (Arc<str>, Arc<str>);

/// Where a feed ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct FeedTail {
    /// Where its next item goes.
    pub(super) place: Place,
    /// When its last commit was recorded.
    pub(super) latest: Timestamp,
}

/// Why a commit was not staged.
#[derive(Debug)]
pub(super) enum Unstaged {
    /// It does not fit any more: it belongs to the next group.
    Full,
    /// It may not be written.
    Refused(AppendError),
}

/// What an action of the transaction is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum About {
    Feed(Partition),
    Stream(StreamId),
    Claim(ClaimName),
}

/// A head that was staged: its stream, the number of its commit there, its place and its ids.
pub(super) type StagedHead = (StreamId, u64, Place, Vec<KnownId>);

/// A group of commits.
#[derive(Debug)]
pub(super) struct Group {
    namespace: String,
    capabilities: Capabilities,
    /// Where streams end, after what was staged.
    pub(super) tails: HashMap<StreamId, StreamTail>,
    /// Claims as they were read, and after what was staged.
    pub(super) claims: HashMap<ClaimName, ClaimState>,
    feeds: BTreeMap<Partition, StagedFeed>,
    items: Vec<(StreamId, Item)>,
    written: HashSet<StreamId>,
    /// Streams that must end where they are known to end, though nothing is written to them.
    expected: BTreeMap<StreamId, Place>,
    touched: HashSet<ClaimName>,
    pub(super) heads: Vec<StagedHead>,
    bytes: usize,
}

/// What goes to one feed.
#[derive(Debug)]
struct StagedFeed {
    before: FeedTail,
    next_position: u64,
    latest: Timestamp,
    entries: Vec<Entry>,
    entries_bytes: usize,
    inline: Option<Inline>,
}

impl Group {
    /// An empty group over feeds that end at `feeds`.
    pub(super) fn new(
        namespace: &str,
        capabilities: Capabilities,
        feeds: impl IntoIterator<Item = (Partition, FeedTail)>,
    ) -> Self {
        let staged = |(partition, before): (Partition, FeedTail)| {
            let feed = StagedFeed {
                before,
                next_position: before.place.first,
                latest: before.latest,
                entries: Vec::new(),
                entries_bytes: 0,
                inline: None,
            };
            (partition, feed)
        };
        Self {
            namespace: namespace.to_owned(),
            capabilities,
            tails: HashMap::new(),
            claims: HashMap::new(),
            feeds: feeds.into_iter().map(staged).collect(),
            items: Vec::new(),
            written: HashSet::new(),
            expected: BTreeMap::new(),
            touched: HashSet::new(),
            heads: Vec::new(),
            bytes: 0,
        }
    }

    /// Whether nothing was staged.
    pub(super) fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// Whether a stream has decided or recorded one of `ids` in this group.
    pub(super) fn has_staged(&self, stream: &StreamId, ids: &[KnownId]) -> bool {
        self.heads
            .iter()
            .any(|(head, _, _, known)| head == stream && known.iter().any(|id| ids.contains(id)))
    }

    /// Whether something of this stream was staged.
    pub(super) fn writes(&self, stream: &StreamId) -> bool {
        self.written.contains(stream)
    }

    /// Adds a commit that was checked and whose ids are new. Tails of all its streams and the claims
    /// it names must be known.
    pub(super) fn stage(&mut self, commit: &Commit) -> Result<Receipt, Unstaged> {
        self.check_expectations(commit)?;
        let Some(home) = commit.home() else {
            return Err(Unstaged::Refused(AppendError::Empty));
        };
        let draft = Draft::of(self, commit, home);
        let claims = self.claims_after(commit, draft.recorded_at)?;
        if !self.has_room(&draft, claims.len()) {
            if self.is_empty() {
                return Err(Unstaged::Refused(too_large(&draft)));
            }
            return Err(Unstaged::Full);
        }
        Ok(self.add(draft, claims))
    }

    fn tail(&self, stream: &StreamId) -> StreamTail {
        self.tails.get(stream).copied().unwrap_or_default()
    }

    fn check_expectations(&self, commit: &Commit) -> Result<(), Unstaged> {
        for append in &commit.streams {
            let actual = self.tail(&append.stream).revision();
            if !append.expected.is_met_by(actual) {
                return Err(Unstaged::Refused(AppendError::WrongExpectedRevision {
                    stream: append.stream.clone(),
                    expected: append.expected,
                    actual,
                }));
            }
        }
        Ok(())
    }

    /// The claims that the commit names, as it leaves them.
    fn claims_after(
        &self,
        commit: &Commit,
        recorded_at: Timestamp,
    ) -> Result<HashMap<ClaimName, ClaimState>, Unstaged> {
        let mut after: HashMap<ClaimName, ClaimState> = HashMap::new();
        let state = |after: &HashMap<ClaimName, ClaimState>, name: &ClaimName| {
            let known = after.get(name).or_else(|| self.claims.get(name)).cloned();
            known.unwrap_or(ClaimState { read: None, now: None })
        };
        for release in &commit.releases {
            let name = (Arc::clone(&release.scope), Arc::clone(&release.key));
            let mut claim = state(&after, &name);
            if claim.now.as_ref().is_some_and(|holder| holder.stream == release.stream) {
                claim.now = None;
            }
            after.insert(name, claim);
        }
        for wanted in &commit.claims {
            let name = (Arc::clone(&wanted.scope), Arc::clone(&wanted.key));
            let mut claim = state(&after, &name);
            if let Some(holder) = claim.holder(recorded_at)
                && holder.stream != wanted.stream
            {
                return Err(Unstaged::Refused(AppendError::ClaimHeld {
                    scope: Arc::clone(&wanted.scope),
                    key: Arc::clone(&wanted.key),
                    holder: holder.stream.clone(),
                }));
            }
            claim.now =
                Some(ClaimHolder { stream: wanted.stream.clone(), expires_at: wanted.expires_at });
            after.insert(name, claim);
        }
        Ok(after)
    }

    fn has_room(&self, draft: &Draft, claims_count: usize) -> bool {
        let actions = self.items.len()
            + self.touched.len()
            + self.expected.len()
            + draft.items.len()
            + draft.expected.len()
            + claims_count
            + self.feeds.len();
        let bytes = self.bytes + draft.bytes() + claims_count * CLAIM_BYTES;
        let feeds_fit = draft.entries.iter().all(|(partition, (entry_bytes, _, _))| {
            let staged = self.feeds.get(partition).map_or(0, |feed| feed.entries_bytes);
            staged + entry_bytes <= ENTRIES_BYTES_MAX
        });
        actions <= ACTIONS_MAX && bytes <= TRANSACTION_BYTES_MAX && feeds_fit
    }

    fn add(&mut self, draft: Draft, claims: HashMap<ClaimName, ClaimState>) -> Receipt {
        self.bytes += draft.bytes() + claims.len() * CLAIM_BYTES;
        let is_first = self.is_empty();
        for (partition, (bytes, entry, events_count)) in draft.entries {
            let Some(feed) = self.feeds.get_mut(&partition) else { continue };
            feed.next_position += events_count;
            feed.latest = feed.latest.max(draft.recorded_at);
            feed.entries.push(entry);
            feed.entries_bytes += bytes;
            feed.inline = None;
        }
        if is_first
            && let Some((partition, inline)) = draft.inline
            && let Some(feed) = self.feeds.get_mut(&partition)
        {
            feed.inline = Some(inline);
        }
        for (stream, tail) in draft.tails {
            self.written.insert(stream.clone());
            self.tails.insert(stream, tail);
        }
        self.items.extend(draft.items);
        for (stream, place) in draft.expected {
            self.expected.entry(stream).or_insert(place);
        }
        self.touched.extend(claims.keys().cloned());
        self.claims.extend(claims);
        self.heads.extend(draft.heads);
        Receipt { recorded_at: draft.recorded_at, streams: draft.receipts }
    }

    /// The feeds as the transaction leaves them; those it writes nothing to are left out.
    pub(super) fn feeds_after(&self) -> Vec<(Partition, FeedTail)> {
        let written = self.feeds.iter().filter(|(_, feed)| !feed.entries.is_empty());
        let after = written.map(|(partition, feed)| {
            let item = feed.item(Uuid::nil());
            (*partition, FeedTail { place: item.next_place(), latest: feed.latest })
        });
        after.collect()
    }

    /// The key of one feed item that the transaction writes: it tells whether it was carried out.
    pub(super) fn witness(&self) -> Option<(String, String)> {
        let (partition, feed) = self.feeds.iter().find(|(_, feed)| !feed.entries.is_empty())?;
        Some((key::feed(&self.namespace, *partition), feed.before.place.sort_key()))
    }

    /// The actions of the transaction, and what each is about.
    pub(super) fn actions(
        &self,
        table: &str,
        transaction: Uuid,
    ) -> Result<(Vec<TransactWriteItem>, Vec<About>), BuildError> {
        let (mut actions, mut about) = (Vec::new(), Vec::new());
        for (partition, feed) in &self.feeds {
            if !feed.entries.is_empty() {
                let pk = key::feed(&self.namespace, *partition);
                actions.push(put_new(table, feed.item(transaction).write(&pk))?);
                about.push(About::Feed(*partition));
            }
        }
        for (stream, item) in &self.items {
            actions.push(put_new(table, item.clone())?);
            about.push(About::Stream(stream.clone()));
        }
        for (stream, place) in &self.expected {
            // A stream that is written to is checked by what is written.
            if !self.written.contains(stream) {
                let pk = key::stream(&self.namespace, stream);
                actions.push(check_absent(table, &pk, *place)?);
                about.push(About::Stream(stream.clone()));
            }
        }
        for name in &self.touched {
            if let Some(state) = self.claims.get(name) {
                let pk = key::claim(&self.namespace, &name.0, &name.1);
                actions.push(state.action(table, &pk)?);
                about.push(About::Claim(name.clone()));
            }
        }
        Ok((actions, about))
    }
}

impl StagedFeed {
    fn item(&self, transaction: Uuid) -> FeedItem {
        FeedItem {
            place: self.before.place,
            transaction,
            recorded_at: self.latest,
            entries: self.entries.clone(),
            inline: self.inline.clone(),
        }
    }
}

/// An action that puts an item where none is. If there is one, the refusal tells it.
fn put_new(table: &str, item: Item) -> Result<TransactWriteItem, BuildError> {
    let put = Put::builder()
        .table_name(table)
        .set_item(Some(item))
        .condition_expression("attribute_not_exists(pk)")
        .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
    Ok(TransactWriteItem::builder().put(put.build()?).build())
}

/// An action that requires that a stream has no item at a place.
fn check_absent(table: &str, pk: &str, place: Place) -> Result<TransactWriteItem, BuildError> {
    let check = ConditionCheck::builder()
        .table_name(table)
        .key("pk", text(pk))
        .key("sk", text(&place.sort_key()))
        .condition_expression("attribute_not_exists(pk)");
    Ok(TransactWriteItem::builder().condition_check(check.build()?).build())
}

/// The limits make this impossible; should they be raised, a commit is refused and not retried.
fn too_large(draft: &Draft) -> AppendError {
    let max = TRANSACTION_BYTES_MAX;
    AppendError::TooLarge { what: SizeLimit::CommitBytes, size: draft.bytes(), max }
}

/// Bytes of an entry in a feed item.
fn entry_bytes(entry: &Entry) -> usize {
    1 + size::of_value(&entry.write())
}
