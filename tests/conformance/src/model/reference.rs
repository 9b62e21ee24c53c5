//! The reference model: a list of the accepted commits, and every answer found by looking through it.

use annals_core::command::CommandRecord;
use annals_core::commit::{Claim, ClaimHolder, Commit, Release, StreamAppend};
use annals_core::event::NewEvent;
use annals_core::id::{CommandId, EventId};
use annals_core::place::{ActualRevision, ExpectedRevision, Revision};
use annals_core::port::event_store::{AppendError, CommandIdsRemembered};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;

/// The commits as they are recorded; only events that nobody gave an id have none.
#[derive(Debug)]
pub(super) struct Reference {
    pub(super) commits: Vec<Commit>,
    remembered: CommandIdsRemembered,
}

impl Reference {
    pub(super) const fn new(remembered: CommandIdsRemembered) -> Self {
        Self { commits: Vec::new(), remembered }
    }

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
        self.commits.push(commit);
        Ok(self.commits.len() - 1)
    }

    fn seen_before(&self, commit: &Commit) -> Result<Option<usize>, AppendError> {
        let is_decided = |new: &&CommandRecord| self.find_command(&new.stream, new.id).is_some();
        if let Some(repeated) = commit.command.as_ref().filter(is_decided) {
            let (stream, command) = (repeated.stream.clone(), repeated.id);
            return Err(AppendError::AlreadyDecided { stream, command });
        }
        let Some(first) = commit.streams.first().map(|it| &it.stream) else { return Ok(None) };
        for event in ids_of(commit) {
            let is_first = |it: &Commit| it.streams[0].stream == *first;
            let has_it = |it: &Commit| ids_of(it).contains(&event) && is_first(it);
            let found = self.remembered_by(first).find(|(_, it)| has_it(it));
            let Some((number, before)) = found else { continue };
            if content_of(before) == content_of(commit) {
                return Ok(Some(number));
            }
            return Err(AppendError::EventIdsReused { stream: first.clone(), event });
        }
        Ok(None)
    }

    /// The commits whose ids a stream remembers, last first, with their numbers.
    fn remembered_by(&self, stream: &StreamId) -> impl Iterator<Item = (usize, &Commit)> {
        let count = match self.remembered {
            CommandIdsRemembered::All => usize::MAX,
            CommandIdsRemembered::LastCommits(count) => usize::try_from(count).unwrap(),
        };
        let is_recorded_for = move |commit: &Commit| {
            let writes = |it: &StreamAppend| it.stream == *stream && !it.events.is_empty();
            commit.home() == Some(stream) || commit.streams.iter().any(writes)
        };
        let commits = self.commits.iter().enumerate().rev();
        commits.filter(move |(_, commit)| is_recorded_for(commit)).take(count)
    }

    pub(super) fn parts(&self) -> impl Iterator<Item = &StreamAppend> {
        self.commits.iter().flat_map(|commit| &commit.streams)
    }

    pub(super) fn events(&self, stream: &StreamId) -> Vec<&NewEvent> {
        self.parts().filter(|it| it.stream == *stream).flat_map(|it| &it.events).collect()
    }

    pub(super) fn revision(&self, stream: &StreamId) -> ActualRevision {
        ActualRevision(Revision::last_of(u64::try_from(self.events(stream).len()).unwrap()))
    }

    pub(super) fn commands(&self, stream: &StreamId) -> Vec<&CommandRecord> {
        let commands = self.commits.iter().filter_map(|commit| commit.command.as_ref());
        commands.filter(|it| it.stream == *stream).collect()
    }

    pub(super) fn find_command(&self, stream: &StreamId, id: CommandId) -> Option<&CommandRecord> {
        let remembered = self.remembered_by(stream);
        let mut commands = remembered.filter_map(|(_, commit)| commit.command.as_ref());
        commands.find(|it| it.stream == *stream && it.id == id)
    }

    pub(super) fn holder(&self, key: &str, now: Timestamp) -> Option<ClaimHolder> {
        let mut holder: Option<ClaimHolder> = None;
        for commit in &self.commits {
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
