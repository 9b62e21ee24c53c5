//! The reference model: a list of the accepted commits, and every answer found by looking through it.

use annals_core::command::CommandRecord;
use annals_core::commit::{Claim, ClaimHolder, Commit, Release, StreamAppend};
use annals_core::event::NewEvent;
use annals_core::id::EventId;
use annals_core::place::{ActualRevision, Revision};
use annals_core::port::event_store::AppendError;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;

/// When a commit was recorded and where its streams ended.
type Told = (Timestamp, Vec<ActualRevision>);

#[derive(Debug, Default)]
pub(super) struct Reference(Vec<(Commit, Told)>);

impl Reference {
    pub(super) fn append(&mut self, commit: Commit) -> Result<Told, AppendError> {
        commit.check()?;
        if let Some(told) = self.seen_before(&commit)? {
            return Ok(told);
        }
        for StreamAppend { stream, expected, .. } in commit.streams.clone() {
            let actual = self.revision(&stream);
            if !expected.is_met_by(actual) {
                return Err(AppendError::WrongExpectedRevision { stream, expected, actual });
            }
        }
        for Claim { scope, key, stream, .. } in commit.claims.clone() {
            let Some(holder) = self.holder(&key, commit.recorded_at) else { continue };
            let is_released = |it: &Release| it.key == key && it.stream == holder.stream;
            if holder.stream != stream && !commit.releases.iter().any(is_released) {
                return Err(AppendError::ClaimHeld { scope, key, holder: holder.stream });
            }
        }
        self.0.push((commit.clone(), Told::default()));
        let revisions = commit.streams.iter().map(|it| self.revision(&it.stream));
        let told = (commit.recorded_at, revisions.collect());
        self.0.last_mut().unwrap().1 = Told::clone(&told);
        Ok(told)
    }

    fn seen_before(&self, commit: &Commit) -> Result<Option<Told>, AppendError> {
        let is_decided =
            |new: &&CommandRecord| self.commands(&new.stream).iter().any(|it| it.id == new.id);
        if let Some(repeated) = commit.command.as_ref().filter(is_decided) {
            let (stream, command) = (repeated.stream.clone(), repeated.id);
            return Err(AppendError::AlreadyDecided { stream, command });
        }
        let first = commit.streams.first().map(|it| &it.stream);
        for event in ids_of(commit).into_iter().flat_map(|(_, ids)| ids) {
            let remembers = |it: &Commit| ids_of(it).iter().any(|(_, ids)| ids.contains(&event));
            let is_first = |it: &Commit| it.streams.first().map(|it| &it.stream) == first;
            let mut commits = self.0.iter().filter(|(it, _)| is_first(it) && remembers(it));
            let Some((before, told)) = commits.next() else { continue };
            if ids_of(before) == ids_of(commit) {
                return Ok(Some(told.clone()));
            }
            return Err(AppendError::EventIdsReused { stream: first.unwrap().clone(), event });
        }
        Ok(None)
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &StreamAppend> {
        self.0.iter().flat_map(|(commit, _)| &commit.streams)
    }

    pub(super) fn events(&self, stream: &StreamId) -> Vec<&NewEvent> {
        self.parts().filter(|it| it.stream == *stream).flat_map(|it| &it.events).collect()
    }

    pub(super) fn revision(&self, stream: &StreamId) -> ActualRevision {
        ActualRevision(Revision::last_of(u64::try_from(self.events(stream).len()).unwrap()))
    }

    pub(super) fn commands(&self, stream: &StreamId) -> Vec<&CommandRecord> {
        let commands = self.0.iter().filter_map(|(commit, _)| commit.command.as_ref());
        commands.filter(|it| it.stream == *stream).collect()
    }

    pub(super) fn holder(&self, key: &str, now: Timestamp) -> Option<ClaimHolder> {
        let mut holder: Option<ClaimHolder> = None;
        for (commit, _) in &self.0 {
            let mut releases = commit.releases.iter().filter(|it| &*it.key == key);
            holder = holder.filter(|held| !releases.any(|it| it.stream == held.stream));
            if let Some(Claim { stream, expires_at, .. }) =
                commit.claims.iter().find(|it| &*it.key == key)
            {
                holder = Some(ClaimHolder { stream: stream.clone(), expires_at: *expires_at });
            }
        }
        holder.filter(|held| held.expires_at.is_none_or(|expiry| expiry > now))
    }
}

fn ids_of(commit: &Commit) -> Vec<(StreamId, Vec<EventId>)> {
    let ids = |it: &StreamAppend| it.events.iter().filter_map(|event| event.id).collect();
    commit.streams.iter().map(|it| (it.stream.clone(), ids(it))).collect()
}
