//! From lines to the commits they make.

use std::sync::Arc;

use annals_core::commit::{Commit, RecordedCommit, StreamAppend};
use annals_core::event::{ContentType, NewEvent, Origin, SchemaVersion};
use annals_core::id::CorrelationId;
use annals_core::limits::{COMMIT_EVENTS_MAX, COMMIT_ITEMS_MAX};
use annals_core::place::{ActualRevision, ExpectedRevision, Partition, Position, Revision};
use annals_core::stream::StreamId;
use bytes::Bytes;

use super::commit_data::{CommitData, read_time};
use super::error::LineFault;
use super::line::{COMMIT, Line};
use super::lines::lines_of;
use super::payload::{decode, join};

/// Most bytes of the lines of one commit. A commit has at most 3 MiB of data and metadata, of which
/// text can become six times as long in JSON, and 1 000 events, with a KiB of other attributes each.
const COMMIT_LINES_BYTES_MAX: usize = 32 << 20;

/// A commit as the export has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gathered {
    /// Number of its first line.
    pub(super) line: u64,
    pub(super) partition: Partition,
    pub(super) recorded: RecordedCommit,
}

/// Gathers the lines of one commit at a time.
#[derive(Debug, Default)]
pub(super) struct Gathering(Option<Begun>);

/// A commit whose events are not all there yet.
#[derive(Debug)]
struct Begun {
    gathered: Gathered,
    source: String,
    /// Its lines so far, without their content.
    lines: Vec<Line>,
    bytes_count: usize,
    /// Per stream: how many events it will have.
    events_counts: Vec<usize>,
}

/// A line that is wrong, and why.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Wrong {
    pub(super) line: u64,
    pub(super) fault: LineFault,
}

impl Gathering {
    /// Whether a commit has begun and not ended.
    pub(super) fn is_open(&self) -> bool {
        self.0.is_some()
    }

    /// Adds a line of `bytes_count` bytes; gives the commit that is whole with it.
    pub(super) fn add(
        &mut self,
        number: u64,
        line: Line,
        bytes_count: usize,
    ) -> Result<Option<Gathered>, Wrong> {
        let wrong = |fault| Wrong { line: number, fault };
        let begun = match self.0.take() {
            Some(mut begun) => {
                begun.add_event(line, bytes_count).map_err(wrong)?;
                begun
            }
            None if line.kind == COMMIT => begin(number, line, bytes_count).map_err(wrong)?,
            None => one_event(number, line).map_err(wrong)?,
        };
        if begun.waits_for().is_some() {
            self.0 = Some(begun);
            return Ok(None);
        }
        begun.check()?;
        Ok(Some(begun.gathered))
    }
}

impl Begun {
    /// The stream whose event comes next; `None` when the commit is whole.
    fn waits_for(&self) -> Option<usize> {
        let streams = self.gathered.recorded.commit.streams.iter().zip(&self.events_counts);
        streams.map(|(append, count)| append.events.len() < *count).position(|waits| waits)
    }

    fn add_event(&mut self, line: Line, bytes_count: usize) -> Result<(), LineFault> {
        self.bytes_count = self.bytes_count.saturating_add(bytes_count);
        if self.bytes_count > COMMIT_LINES_BYTES_MAX {
            return Err(LineFault::CommitTooLarge);
        }
        let next = self.waits_for();
        let commit = &mut self.gathered.recorded.commit;
        let Some(append) = next.and_then(|index| commit.streams.get_mut(index)) else {
            return Err(LineFault::CommitTooLarge);
        };
        if line.subject.as_deref() != Some(append.stream.as_str()) {
            let number = self.gathered.recorded.number;
            let expected = format!("an event of stream `{}` in commit {number}", append.stream);
            return Err(LineFault::OutOfOrder { expected });
        }
        let mut event = event_of(&line)?;
        if commit.command.is_some() {
            event.id = None;
        }
        append.events.push(event);
        self.lines.push(line.without_content());
        Ok(())
    }

    /// Compares what lines say of their commit with the commit: nothing that is written is ignored.
    fn check(&self) -> Result<(), Wrong> {
        let Gathered { line, partition, recorded } = &self.gathered;
        let expected = lines_of(&self.source, *partition, recorded).map_err(|inexact| Wrong {
            line: *line,
            fault: LineFault::invalid("data.streams.expected", &inexact.0),
        })?;
        let differs =
            (*line..).zip(self.lines.iter().zip(expected)).find_map(|(line, (found, e))| {
                Some(Wrong { line, fault: found.contradiction(&e.without_content())? })
            });
        differs.map_or(Ok(()), Err)
    }
}

/// Begins the commit of a line that says what its events do not.
fn begin(number: u64, line: Line, bytes_count: usize) -> Result<Begun, LineFault> {
    let data: CommitData = line.data()?;
    let events_counts: Vec<_> = data.streams.iter().map(|stream| stream.events_count).collect();
    let events_count = events_counts.iter().fold(0_usize, |sum, count| sum.saturating_add(*count));
    if events_count > COMMIT_EVENTS_MAX || events_counts.len() > COMMIT_ITEMS_MAX {
        return Err(LineFault::CommitTooLarge);
    }
    let mut gathered = place_of(number, &line)?;
    data.fill(&mut gathered.recorded.commit)?;
    let source = line.source.clone();
    let lines = vec![line.without_content()];
    Ok(Begun { gathered, source, lines, bytes_count, events_counts })
}

/// The commit of a line that is an event and all there is.
fn one_event(number: u64, line: Line) -> Result<Begun, LineFault> {
    let mut gathered = place_of(number, &line)?;
    let stream = line.subject.as_deref().ok_or(LineFault::Missing { name: "subject" })?;
    let stream = StreamId::parse(stream).map_err(|error| LineFault::invalid("subject", &error))?;
    let revision = number_of("annalsrevision", line.revision.as_deref())?;
    let expected = ExpectedRevision::at(ActualRevision(Revision::last_of(revision)));
    let events = vec![event_of(&line)?];
    gathered.recorded.commit.streams = vec![StreamAppend { stream, expected, events }];
    let source = line.source.clone();
    let lines = vec![line.without_content()];
    Ok(Begun { gathered, source, lines, bytes_count: 0, events_counts: vec![1] })
}

/// What the first line of a commit says of its place, time and origin.
fn place_of(number: u64, line: &Line) -> Result<Gathered, LineFault> {
    let time = line.time.as_deref().ok_or(LineFault::Missing { name: "time" })?;
    let correlation_id = line.correlation.as_deref().map(CorrelationId::new).transpose();
    let causation_id = line.causation.as_deref().map(str::parse).transpose();
    let origin = Origin {
        correlation_id: correlation_id
            .map_err(|error| LineFault::invalid("annalscorrelation", &error))?,
        causation_id: causation_id
            .map_err(|error: uuid::Error| LineFault::invalid("annalscausation", &error))?,
        principal: line.principal.as_deref().map(Arc::from),
    };
    let partition = number_of("annalspartition", line.partition.as_deref())?;
    let commit = Commit {
        recorded_at: read_time("time", time)?,
        origin: Arc::new(origin),
        command: None,
        streams: Vec::new(),
        claims: Vec::new(),
        releases: Vec::new(),
        id_is_new: false,
    };
    Ok(Gathered {
        line: number,
        partition: Partition(
            u32::try_from(partition)
                .map_err(|error| LineFault::invalid("annalspartition", &error))?,
        ),
        recorded: RecordedCommit {
            number: number_of("annalscommit", line.commit.as_deref())?,
            first_position: Position::new(number_of("annalsposition", line.position.as_deref())?),
            commit,
        },
    })
}

fn event_of(line: &Line) -> Result<NewEvent, LineFault> {
    let schema_version = number_of("annalsschema", line.schema.as_deref())?;
    let schema_version = u32::try_from(schema_version)
        .map_err(|error| LineFault::invalid("annalsschema", &error))?;
    let content_type = line.datacontenttype.as_deref();
    let metadata = match (&line.metadata, &line.metadata_base64) {
        (None, None) => Bytes::new(),
        (Some(text), None) => Bytes::copy_from_slice(text.as_bytes()),
        (None, Some(base64)) => decode("annalsmetadatabase64", base64)?,
        (Some(_), Some(_)) => return Err(LineFault::Twice { name: "annalsmetadata" }),
    };
    Ok(NewEvent {
        id: Some(line.id.parse().map_err(|error: uuid::Error| LineFault::invalid("id", &error))?),
        event_type: line.kind.parse().map_err(|error| LineFault::invalid("type", &error))?,
        schema_version: SchemaVersion(schema_version),
        content_type: ContentType::from(
            content_type.ok_or(LineFault::Missing { name: "datacontenttype" })?,
        ),
        data: join("data", line.data.as_ref(), line.data_base64.as_deref())?,
        metadata,
    })
}

fn number_of(name: &'static str, text: Option<&str>) -> Result<u64, LineFault> {
    let text = text.ok_or(LineFault::Missing { name })?;
    text.parse().map_err(|_| {
        let cause = format!("`{text}` is not a number");
        LineFault::Invalid { name, cause }
    })
}
