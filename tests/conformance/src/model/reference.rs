//! The reference model: a list of the accepted commits, and every answer found by looking through it.

use annals_core::command::CommandRecord;
use annals_core::commit::{Claim, ClaimHolder, Commit, Release, StreamAppend};
use annals_core::event::NewEvent;
use annals_core::id::EventId;
use annals_core::place::{ActualRevision, ExpectedRevision, Revision};
use annals_core::port::event_store::AppendError;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;

/// The commits as they are recorded; only events that nobody gave an id have none.
#[derive(Debug, Default)]
pub(super) struct Reference(pub(super) Vec<Commit>);

impl Reference {
    /// Returns the number of the commit, or of the one it repeats.
    pub(super) fn append(&mut self, mut commit: Commit) -> Result<usize, AppendError> {
        commit.check()?;
        if let Some(number) = self.seen_before(&commit)? {
            return Ok(number);
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
        for part in &mut commit.streams {
            part.expected = ExpectedRevision::at(self.revision(&part.stream));
        }
        self.0.push(commit);
        Ok(self.0.len() - 1)
    }

    fn seen_before(&self, commit: &Commit) -> Result<Option<usize>, AppendError> {
        let is_decided =
            |new: &&CommandRecord| self.commands(&new.stream).iter().any(|it| it.id == new.id);
        if let Some(repeated) = commit.command.as_ref().filter(is_decided) {
            let (stream, command) = (repeated.stream.clone(), repeated.id);
            return Err(AppendError::AlreadyDecided { stream, command });
        }
        let first = commit.streams.first().map(|it| &it.stream);
        for event in ids_of(commit) {
            let is_first = |it: &Commit| it.streams.first().map(|it| &it.stream) == first;
            let has_it = |it: &Commit| is_first(it) && ids_of(it).contains(&event);
            let Some(before) = self.0.iter().position(has_it) else { continue };
            if content_of(&self.0[before]) == content_of(commit) {
                return Ok(Some(before));
            }
            return Err(AppendError::EventIdsReused { stream: first.unwrap().clone(), event });
        }
        Ok(None)
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &StreamAppend> {
        self.0.iter().flat_map(|commit| &commit.streams)
    }

    pub(super) fn events(&self, stream: &StreamId) -> Vec<&NewEvent> {
        self.parts().filter(|it| it.stream == *stream).flat_map(|it| &it.events).collect()
    }

    pub(super) fn revision(&self, stream: &StreamId) -> ActualRevision {
        ActualRevision(Revision::last_of(u64::try_from(self.events(stream).len()).unwrap()))
    }

    pub(super) fn commands(&self, stream: &StreamId) -> Vec<&CommandRecord> {
        let commands = self.0.iter().filter_map(|commit| commit.command.as_ref());
        commands.filter(|it| it.stream == *stream).collect()
    }

    pub(super) fn holder(&self, key: &str, now: Timestamp) -> Option<ClaimHolder> {
        let mut holder: Option<ClaimHolder> = None;
        for commit in &self.0 {
            let mut releases = commit.releases.iter().filter(|it| &*it.key == key);
            holder = holder.filter(|held| !releases.any(|it| it.stream == held.stream));
            let mut claims = commit.claims.iter();
            if let Some(Claim { stream, expires_at, .. }) = claims.find(|it| &*it.key == key) {
                holder = Some(ClaimHolder { stream: stream.clone(), expires_at: *expires_at });
            }
        }
        holder.filter(|held| held.expires_at.is_none_or(|expiry| expiry > now))
    }
}

fn ids_of(commit: &Commit) -> Vec<EventId> {
    commit.streams.iter().flat_map(|it| &it.events).filter_map(|event| event.id).collect()
}

fn content_of(commit: &Commit) -> Vec<(&StreamId, &[NewEvent])> {
    commit.streams.iter().map(|it| (&it.stream, &*it.events)).collect()
}
