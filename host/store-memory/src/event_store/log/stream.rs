//! One stream: where its events are, and what it remembers of commits.

use std::collections::HashMap;
use std::sync::Arc;

use annals_core::command::RecordedCommand;
use annals_core::commit::{Receipt, StreamAppend};
use annals_core::id::{CommandId, EventId};
use annals_core::place::{ActualRevision, Revision};
use annals_core::port::event_store::CommandIdsRemembered;

use super::count_of;

/// What was ever recorded for one stream.
#[derive(Debug, Default)]
pub(super) struct Stream {
    // Invariant: the revision of an event is its index; what is kept is its index in its partition.
    pub(super) events: Vec<usize>,
    // How many commits were recorded for the stream: of its commands, of plain appends of which it
    // is the first stream, and others that wrote events to it.
    commits_count: u64,
    pub(super) commands: Vec<RecordedCommand>,
    // The last command of each id: its index, and its commit among those of the stream.
    command_places: HashMap<CommandId, (usize, u64)>,
    // By each id that a client gave in a commit whose first stream this is: that commit.
    given_ids: HashMap<EventId, Arc<PlainAppend>>,
}

/// What tells a repeat of a plain append whose ids the client gave.
#[derive(Debug)]
pub(super) struct PlainAppend {
    pub(super) streams: Vec<StreamAppend>,
    pub(super) receipt: Receipt,
    // Which commit it is of its first stream's.
    pub(super) commit_index: u64,
}

impl PlainAppend {
    /// Whether `streams` has the same streams and events, whatever it expects.
    pub(super) fn is_repeated_by(&self, streams: &[StreamAppend]) -> bool {
        let parts = |append: &StreamAppend| (append.stream.clone(), append.events.clone());
        self.streams.iter().map(parts).eq(streams.iter().map(parts))
    }
}

impl Stream {
    pub(super) fn revision(&self) -> ActualRevision {
        ActualRevision(Revision::last_of(count_of(self.events.len())))
    }

    /// Counts a commit, and returns which of the stream's commits it is.
    pub(super) const fn count_commit(&mut self) -> u64 {
        let index = self.commits_count;
        self.commits_count = index.saturating_add(1);
        index
    }

    /// The command of this id, unless it is forgotten.
    pub(super) fn find_command(
        &self,
        id: CommandId,
        remembered: CommandIdsRemembered,
    ) -> Option<&RecordedCommand> {
        let (index, commit_index) = self.command_places.get(&id)?;
        self.remembers(*commit_index, remembered).then(|| self.commands.get(*index))?
    }

    /// The plain append that gave an event this id, unless it is forgotten.
    pub(super) fn find_given_id(
        &self,
        id: EventId,
        remembered: CommandIdsRemembered,
    ) -> Option<&PlainAppend> {
        let append = self.given_ids.get(&id)?;
        self.remembers(append.commit_index, remembered).then_some(&**append)
    }

    pub(super) fn push_command(&mut self, command: RecordedCommand, commit_index: u64) {
        self.command_places.insert(command.record.id, (self.commands.len(), commit_index));
        self.commands.push(command);
    }

    pub(super) fn remember_given_id(&mut self, id: EventId, append: &Arc<PlainAppend>) {
        self.given_ids.insert(id, Arc::clone(append));
    }

    const fn remembers(&self, commit_index: u64, remembered: CommandIdsRemembered) -> bool {
        match remembered {
            CommandIdsRemembered::All => true,
            CommandIdsRemembered::LastCommits(count) => {
                commit_index.saturating_add(count) >= self.commits_count
            }
        }
    }
}
