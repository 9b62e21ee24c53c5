//! Loading what a group of commits is checked against, and staging it.

use std::collections::VecDeque;
use std::sync::Arc;

use annals_core::commit::{Commit, StreamAppend};
use annals_core::event::NewEvent;
use annals_core::port::event_store::{AppendError, ReadError};
use annals_core::stream::StreamId;
use annals_core::{commit::Receipt, id::EventId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use hashbrown::HashSet;

use super::super::claim::{self, ClaimState};
use super::super::feed_item::FeedItem;
use super::super::fields::{Fault, damaged};
use super::super::key::{self, Place};
use super::super::plan::{ClaimName, FeedTail, Group, Unstaged};
use super::super::query;
use super::super::store::Shared;
use super::super::streams::StreamTail;
use super::super::windows::KnownId;
use super::{Answer, GROUP_COMMITS_MAX, Locked, Pending};

/// Most reads in flight while a group is prepared.
const READS_IN_FLIGHT_MAX: usize = 16;

/// A group ready to be written, and what becomes of the first commits of the batch when it is.
pub(in super::super) struct Prepared {
    pub(super) group: Group,
    pub(super) answers: Vec<Answer>,
}

impl Shared {
    /// Stages as many of the first commits of `batch` as fit one transaction. `fresh` are the streams
    /// that were looked up for this batch.
    pub(super) async fn prepare(
        &self,
        locked: &mut Locked,
        batch: &VecDeque<Pending>,
        fresh: &mut HashSet<StreamId>,
    ) -> Result<Prepared, ReadError> {
        let mut feeds = Vec::new();
        for (partition, state) in locked.iter_mut() {
            let tail = match state.feed {
                Some(tail) => tail,
                None => self.feed_tail(*partition).await?,
            };
            state.feed = Some(tail);
            feeds.push((*partition, tail));
        }
        let mut group = Group::new(self.namespace(), self.capabilities, feeds);
        let commits = || batch.iter().take(GROUP_COMMITS_MAX).map(|pending| &pending.commit);
        self.load_tails(locked, &mut group, commits(), fresh).await?;
        self.load_claims(&mut group, commits()).await?;
        let mut seen = Vec::new();
        for commit in commits() {
            seen.push(self.seen_before(&group, commit).await?);
        }
        let mut answers = Vec::new();
        for (commit, seen) in commits().zip(seen) {
            let staged = match seen {
                Some(answer) => Some(answer),
                None => self.stage(locked, &mut group, commit, fresh).await?,
            };
            match staged {
                Some(answer) => answers.push(answer),
                None => break,
            }
        }
        Ok(Prepared { group, answers })
    }

    /// Where a feed ends.
    async fn feed_tail(
        &self,
        partition: annals_core::place::Partition,
    ) -> Result<FeedTail, ReadError> {
        let pk = key::feed(self.namespace(), partition);
        let last = query::last(&self.client, pk, Place::last_at(u64::MAX).sort_key()).await?;
        let Some(item) = last else { return Ok(FeedTail::default()) };
        let read = FeedItem::read(&item).map_err(|fault| damaged(&item, fault))?;
        Ok(FeedTail { place: read.next_place(), latest: read.recorded_at })
    }

    /// Finds out where the streams of the commits end, from memory where that may be right.
    async fn load_tails<'a>(
        &self,
        locked: &mut Locked,
        group: &mut Group,
        commits: impl Iterator<Item = &'a Commit>,
        fresh: &mut HashSet<StreamId>,
    ) -> Result<(), ReadError> {
        let mut missing = Vec::new();
        let mut seen = HashSet::new();
        for stream in commits.flat_map(streams_of) {
            if !seen.insert(stream.clone()) {
                continue;
            }
            let state = locked.get_mut(&self.capabilities.partition_of(stream));
            match state.and_then(|state| state.tails.get(stream).copied()) {
                Some(tail) => drop(group.tails.insert(stream.clone(), tail)),
                None => missing.push(stream.clone()),
            }
        }
        self.look_up(locked, group, missing, fresh).await
    }

    /// Looks up where streams end.
    async fn look_up(
        &self,
        locked: &mut Locked,
        group: &mut Group,
        streams: Vec<StreamId>,
        fresh: &mut HashSet<StreamId>,
    ) -> Result<(), ReadError> {
        let reads = streams.into_iter().map(|stream| async move {
            let tail = self.tail(&stream).await?;
            Ok::<_, ReadError>((stream, tail))
        });
        let mut reads = stream::iter(reads).buffer_unordered(READS_IN_FLIGHT_MAX);
        while let Some((stream, tail)) = reads.try_next().await? {
            if let Some(state) = locked.get_mut(&self.capabilities.partition_of(&stream)) {
                state.tails.put(stream.clone(), tail);
            }
            group.tails.insert(stream.clone(), tail);
            fresh.insert(stream);
        }
        Ok(())
    }

    async fn load_claims<'a>(
        &self,
        group: &mut Group,
        commits: impl Iterator<Item = &'a Commit>,
    ) -> Result<(), ReadError> {
        let names: HashSet<ClaimName> = commits.flat_map(claims_of).collect();
        let reads = names.into_iter().map(|name| async move {
            let read = claim::read(&self.client, &name.0, &name.1).await?;
            Ok::<_, ReadError>((name, ClaimState { now: read.clone(), read }))
        });
        let mut reads = stream::iter(reads).buffer_unordered(READS_IN_FLIGHT_MAX);
        while let Some((name, state)) = reads.try_next().await? {
            group.claims.insert(name, state);
        }
        Ok(())
    }

    /// Stages one commit; `None` when it belongs to the next group.
    async fn stage(
        &self,
        locked: &mut Locked,
        group: &mut Group,
        commit: &Commit,
        fresh: &mut HashSet<StreamId>,
    ) -> Result<Option<Answer>, ReadError> {
        let ids = ids_of(commit);
        // Once the one before it is written, it is recognised as a repeat.
        if commit.home().is_some_and(|home| group.has_staged(home, &ids)) {
            return Ok(None);
        }
        match group.stage(commit) {
            Ok(receipt) => return Ok(Some(Answer::Staged(receipt))),
            Err(Unstaged::Full) => return Ok(None),
            Err(Unstaged::Refused(AppendError::WrongExpectedRevision { .. })) => {}
            Err(Unstaged::Refused(error)) => return Ok(Some(Answer::Refused(error))),
        }
        // Another host may have written to a stream since this one last looked.
        let stale = streams_of(commit)
            .filter(|stream| !fresh.contains(*stream) && !group.writes(stream))
            .cloned();
        let stale: Vec<_> = stale.collect();
        self.look_up(locked, group, stale, fresh).await?;
        match group.stage(commit) {
            Ok(receipt) => Ok(Some(Answer::Staged(receipt))),
            Err(Unstaged::Full) => Ok(None),
            Err(Unstaged::Refused(error)) => Ok(Some(Answer::Refused(error))),
        }
    }

    /// The answer to a commit some of whose ids its stream remembers. Nothing is staged yet.
    async fn seen_before(
        &self,
        group: &Group,
        commit: &Commit,
    ) -> Result<Option<Answer>, ReadError> {
        let ids = ids_of(commit);
        let Some(home) = commit.home().filter(|_| !commit.id_is_new && !ids.is_empty()) else {
            return Ok(None);
        };
        let tail: StreamTail = group.tails.get(home).copied().unwrap_or_default();
        let found = self.remembered(home, &ids, Some(tail.commits)).await?;
        let Some((id, place)) = found else { return Ok(None) };
        let KnownId::Event(event) = id else {
            return Ok(commit.command.as_ref().map(|command| {
                Answer::Refused(AppendError::AlreadyDecided {
                    stream: home.clone(),
                    command: command.id,
                })
            }));
        };
        let receipt = self.repeated(commit, home, place).await?;
        let reused =
            || AppendError::EventIdsReused { stream: home.clone(), event: EventId::new(event) };
        Ok(Some(receipt.map_or_else(|| Answer::Refused(reused()), Answer::Repeated)))
    }

    /// The first receipt, if the commit at `place` has the same streams and events.
    async fn repeated(
        &self,
        commit: &Commit,
        home: &StreamId,
        place: Place,
    ) -> Result<Option<Receipt>, ReadError> {
        let key = query::item_key(self.namespace(), home, place);
        let pk = key::stream(self.namespace(), home);
        let found = query::get(&self.client, &pk, &place.sort_key()).await?;
        let missing = || damaged(&key, Fault::new("sk", "names an item that is gone"));
        let item = Self::read_item(&found.ok_or_else(missing)?, home)?;
        let before = self.load_commit(home, item).await?;
        let parts = |append: &StreamAppend| -> (StreamId, Vec<NewEvent>) {
            (append.stream.clone(), append.events.clone())
        };
        let is_same = before.commit.command.is_none()
            && before.commit.streams.iter().map(parts).eq(commit.streams.iter().map(parts));
        Ok(is_same.then_some(before.receipt))
    }
}

/// The streams whose ends a commit is checked against.
fn streams_of(commit: &Commit) -> impl Iterator<Item = &StreamId> {
    let named = commit.streams.iter().map(|append| &append.stream);
    named.chain(commit.command.as_ref().map(|command| &command.stream))
}

fn claims_of(commit: &Commit) -> impl Iterator<Item = ClaimName> {
    let claims = commit.claims.iter().map(|claim| (&claim.scope, &claim.key));
    let releases = commit.releases.iter().map(|release| (&release.scope, &release.key));
    claims.chain(releases).map(|(scope, key)| (Arc::clone(scope), Arc::clone(key)))
}

/// The ids by which a commit may be recognised.
fn ids_of(commit: &Commit) -> Vec<KnownId> {
    if let Some(command) = &commit.command {
        return vec![KnownId::Command(command.id.uuid())];
    }
    let events = commit.streams.iter().flat_map(|append| &append.events);
    events.filter_map(|event| event.id).map(|id| KnownId::Event(id.uuid())).collect()
}
