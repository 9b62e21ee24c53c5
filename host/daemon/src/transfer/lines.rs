//! From a recorded commit to its lines.

use annals_core::commit::{Commit, RecordedCommit, StreamAppend};
use annals_core::event::NewEvent;
use annals_core::id::EventId;
use annals_core::place::{ExpectedRevision, Partition, Revision};

use super::commit_data::CommitData;
use super::error::Inexact;
use super::line::{COMMIT, Line};
use super::payload::{encode, split};

/// The lines of a commit, in the order in which they are written.
pub(super) fn lines_of(
    source: &str,
    partition: Partition,
    recorded: &RecordedCommit,
) -> Result<Vec<Line>, Inexact> {
    let commit = &recorded.commit;
    let mut lines = Vec::with_capacity(1 + commit.events_count());
    if !is_one_event(commit) {
        lines.push(commit_line(source, partition, recorded));
    }
    // Only of the first event the position is known: what lies between two positions is not said.
    let mut position = Some(recorded.first_position);
    for append in &commit.streams {
        let mut revision = first_revision(append)?;
        for (ordinal, event) in (0..).zip(&append.events) {
            let mut line = event_line(source, (commit, append), event, ordinal)?;
            line.partition = Some(partition.to_string());
            line.commit = Some(recorded.number.to_string());
            line.position = position.take().map(|position| position.to_string());
            line.revision = Some(revision.to_string());
            lines.push(line);
            revision = revision.next();
        }
    }
    Ok(lines)
}

/// Whether the line of its event says all there is about a commit.
fn is_one_event(commit: &Commit) -> bool {
    let is_alone = matches!(commit.streams.as_slice(), [append] if append.events.len() == 1);
    is_alone && commit.command.is_none() && commit.claims.is_empty() && commit.releases.is_empty()
}

/// The revision of the first event that is added to a stream.
pub(super) fn first_revision(append: &StreamAppend) -> Result<Revision, Inexact> {
    match append.expected {
        ExpectedRevision::NoStream => Ok(Revision::FIRST),
        ExpectedRevision::Exactly(revision) => Ok(revision.next()),
        ExpectedRevision::Any | ExpectedRevision::StreamExists => {
            Err(Inexact("it is not said at which revision the stream was"))
        }
    }
}

fn commit_line(source: &str, partition: Partition, recorded: &RecordedCommit) -> Line {
    let RecordedCommit { number, first_position, commit } = recorded;
    let mut line = Line::new(source, COMMIT, format!("commit-{partition}-{number}"));
    line.subject = commit.command.as_ref().map(|command| command.stream.to_string());
    line.partition = Some(partition.to_string());
    line.commit = Some(number.to_string());
    line.position = Some(first_position.to_string());
    line.causation = commit.origin.causation_id.map(|id| id.to_string());
    common(&mut line, commit);
    line.with_data(&CommitData::of(commit))
}

/// What all lines of a commit have.
fn common(line: &mut Line, commit: &Commit) {
    let origin = &commit.origin;
    line.time = Some(commit.recorded_at.to_string());
    line.correlation = origin.correlation_id.as_ref().map(ToString::to_string);
    line.principal = origin.principal.as_deref().map(str::to_owned);
}

fn event_line(
    source: &str,
    (commit, append): (&Commit, &StreamAppend),
    event: &NewEvent,
    ordinal: u32,
) -> Result<Line, Inexact> {
    let (id, causation) = match &commit.command {
        Some(command) => {
            let id = EventId::derive(command.id, &append.stream, ordinal);
            (id, Some(command.id.to_string()))
        }
        None => {
            let id = event.id.ok_or(Inexact("the id of an event is not said"))?;
            (id, commit.origin.causation_id.map(|id| id.to_string()))
        }
    };
    let mut line = Line::new(source, event.event_type.as_str(), id.to_string());
    line.subject = Some(append.stream.to_string());
    line.schema = Some(event.schema_version.to_string());
    line.causation = causation;
    common(&mut line, commit);
    match std::str::from_utf8(&event.metadata) {
        Ok("") => {}
        Ok(text) => line.metadata = Some(text.to_owned()),
        Err(_) => line.metadata_base64 = Some(encode(&event.metadata)),
    }
    line.datacontenttype = Some(event.content_type.as_str().to_owned());
    (line.data, line.data_base64) = split(&event.data, &event.content_type);
    Ok(line)
}
