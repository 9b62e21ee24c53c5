//! Changing what was recorded: for a wrong name, or for data that must not be kept. The daemon is
//! stopped; the segments concerned are written anew beside the old ones and take their places all
//! together; what was done is itself recorded, in `$maintenance/log`.
//!
//! Positions, revisions, times and ids stay as they are. Views and snapshots are made again.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use annals_core::event::{ContentType, NewEvent, SchemaVersion};
use annals_core::id::{EventId, IdGenerator};
use annals_core::limits::{METADATA_BYTES_MAX, PAYLOAD_BYTES_MAX};
use annals_core::name::EventType;
use annals_core::place::{ActualRevision, Position, Revision};
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use serde::Serialize;
use serde_json::value::RawValue;

use super::completion::{PendingRewrite, REWRITTEN_SUFFIX, decide};
use super::copy::Meter;
use super::{MaintenanceError, Progress, io_error};
use crate::lock::FolderLock;
use crate::log::{FrameEdit, FrameEditor, LogInspector, SegmentHeader};
use crate::{LocalStore, LogError, files};

/// Which events become what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventChange {
    /// Every event of a type gets another type.
    Rename {
        /// The type now.
        from: EventType,
        /// The type to be.
        to: EventType,
        /// Only in streams of this category; `None`: in all.
        category: Option<String>,
    },
    /// One event gets other data.
    Replace {
        /// Its stream.
        stream: StreamId,
        /// Its revision.
        revision: Revision,
        /// Where the stream must end: a reader who saw less does not know what it changes.
        expected: Revision,
        /// What it becomes.
        edit: EventEdit,
    },
}

/// What one event becomes. What is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct EventEdit {
    /// Its data.
    pub data: Option<Bytes>,
    /// Its metadata.
    pub metadata: Option<Bytes>,
    /// Its type.
    pub event_type: Option<EventType>,
    /// The shape of its data.
    pub schema_version: Option<SchemaVersion>,
}

/// A change, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RewriteRequest {
    /// The change.
    pub change: EventChange,
    /// Why it is made; recorded.
    pub reason: String,
    /// When.
    pub now: Timestamp,
}

/// What was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewritten {
    /// How many events.
    pub events_count: u64,
    /// In how many segments.
    pub segments_count: usize,
    /// The position of the first of them.
    pub first_position: Position,
}

/// A change that can be made: the folder is locked, and nothing was changed.
#[derive(Debug)]
pub struct PlannedRewrite<'a> {
    folder: PathBuf,
    _lock: FolderLock,
    log: LogInspector,
    request: &'a RewriteRequest,
    found: Found,
    first_position: Position,
}

impl<'a> PlannedRewrite<'a> {
    /// Looks for the events that the change concerns in the data folder `folder`.
    ///
    /// # Errors
    /// [`MaintenanceError::Refused`] when there are none or the new data is not allowed,
    /// [`MaintenanceError::WrongExpectedRevision`], [`MaintenanceError::Open`] while a daemon runs, or
    /// what a file gives.
    pub fn new(
        folder: &Path,
        request: &'a RewriteRequest,
        ids: &dyn IdGenerator,
        tell: &mut dyn FnMut(Progress<'_>),
    ) -> Result<Self, MaintenanceError> {
        check_reason(&request.reason)?;
        check(&request.change)?;
        if LogInspector::open(&folder.join("log"))?.numbers.is_empty() {
            return Err(MaintenanceError::NotADataFolder { path: folder.to_owned() });
        }
        // An earlier change that was interrupted is completed and recorded before this one.
        drop(LocalStore::open(folder, ids)?);
        let lock = FolderLock::take(folder)?;
        let log = LogInspector::open(&folder.join("log"))?;
        let found = find(&log, &request.change, tell)?;
        let Some(first_position) = found.first_position.map(Position::new) else {
            return Err(MaintenanceError::Refused(nothing_found(&request.change)));
        };
        Ok(Self { folder: folder.to_owned(), _lock: lock, log, request, found, first_position })
    }

    /// What will be changed.
    #[must_use]
    pub fn foreseen(&self) -> Rewritten {
        Rewritten {
            events_count: self.found.events_count,
            segments_count: self.found.segments.len(),
            first_position: self.first_position,
        }
    }

    /// Makes the change.
    ///
    /// # Errors
    /// What a file gives. The change happens as a whole or not at all: when it is interrupted after it
    /// was decided, it is completed at the next start.
    pub fn run(self, ids: &dyn IdGenerator) -> Result<Rewritten, MaintenanceError> {
        let folder = self.folder.clone();
        let rewritten = self.decide(ids)?;
        // Opening completes it.
        drop(LocalStore::open(&folder, ids)?);
        Ok(rewritten)
    }

    /// Does everything up to the decision: from there on the change happens.
    pub(super) fn decide(self, ids: &dyn IdGenerator) -> Result<Rewritten, MaintenanceError> {
        let Self { folder, log, request, found, .. } = &self;
        let mut segments = Vec::new();
        for &number in &found.segments {
            segments.push(write_segment(log, number, &request.change, ids)?);
        }
        let path = folder.join("log");
        files::sync_folder(&path).map_err(|source| io_error("sync", &path, source))?;
        let (event_type, data) = describe(request, found)?;
        let event_id = EventId::new(ids.next_uuid());
        let recorded_at = request.now;
        decide(folder, &PendingRewrite { segments, event_id, event_type, data, recorded_at })?;
        Ok(self.foreseen())
    }
}

/// Longest reason, in bytes (inclusive): it is part of an event, which must not get too long.
const REASON_BYTES_MAX: usize = 4 << 10;

fn check_reason(reason: &str) -> Result<(), MaintenanceError> {
    let bytes_count = reason.len();
    if (1..=REASON_BYTES_MAX).contains(&bytes_count) {
        return Ok(());
    }
    Err(MaintenanceError::Refused(format!(
        "the reason has {bytes_count} bytes, 1 to {REASON_BYTES_MAX} are allowed"
    )))
}

/// What can be refused without looking at the log.
fn check(change: &EventChange) -> Result<(), MaintenanceError> {
    let refused = |text: String| Err(MaintenanceError::Refused(text));
    match change {
        EventChange::Rename { from, to, .. } if from == to => {
            refused(format!("the event type is `{from}` already"))
        }
        EventChange::Rename { category: Some(category), .. } if category.starts_with('$') => {
            refused(format!("`{category}` belongs to the host: its events cannot be renamed"))
        }
        EventChange::Rename { .. } => Ok(()),
        EventChange::Replace { stream, .. } if stream.is_system() => {
            refused(format!("`{stream}` belongs to the host: its events cannot be replaced"))
        }
        EventChange::Replace { edit, .. } if *edit == EventEdit::default() => {
            refused("there is nothing to change".to_owned())
        }
        EventChange::Replace { edit, .. } => {
            let limits = [
                ("data", &edit.data, PAYLOAD_BYTES_MAX),
                ("metadata", &edit.metadata, METADATA_BYTES_MAX),
            ];
            for (name, bytes, bytes_max) in limits {
                let bytes_count = bytes.as_ref().map_or(0, Bytes::len);
                if bytes_count > bytes_max {
                    return refused(format!(
                        "{bytes_count} bytes of {name}, at most {bytes_max} are allowed"
                    ));
                }
            }
            Ok(())
        }
    }
}

/// The events that a change concerns.
#[derive(Debug, Default)]
struct Found {
    events_count: u64,
    first_position: Option<u64>,
    /// The segments that hold them.
    segments: Vec<u64>,
    /// How many events the stream of the change has.
    stream_events_count: u64,
    /// Whether an event of JSON would get data that is none.
    has_wrong_data: bool,
}

/// Reads the whole log, which must be whole.
fn find(
    log: &LogInspector,
    change: &EventChange,
    tell: &mut dyn FnMut(Progress<'_>),
) -> Result<Found, MaintenanceError> {
    let sizes = log.numbers.iter().map(|&it| fs::metadata(log.path(it)).map_or(0, |m| m.len()));
    let mut meter = Meter { done_bytes: 0, total_bytes: sizes.sum(), tell };
    let mut found = Found::default();
    for (at, &number) in log.numbers.iter().enumerate() {
        let before = found.events_count;
        let inspected = log.read(number, |_, frame| {
            let counted = FrameEditor::new(frame).for_each_event(|place, event| {
                if let EventChange::Replace { stream, .. } = change
                    && place.stream == stream.as_str()
                {
                    found.stream_events_count = place.revision.events_count();
                }
                let edit = edit_of(change, place.stream, place.revision, event.event_type);
                if let Some(EventEdit { data, .. }) = edit {
                    let is_json = ContentType::from(event.content_type) == ContentType::Json;
                    found.has_wrong_data |=
                        is_json && data.is_some_and(|data| !is_json_text(&data));
                    found.events_count += 1;
                    found.first_position.get_or_insert(place.position);
                }
            });
            counted.map_err(|fault| log.fault(number, &fault))
        })?;
        let is_last = at + 1 == log.numbers.len();
        if let Some(fault) = inspected.fault.as_ref().filter(|_| !is_last) {
            return Err(log.fault(number, fault).into());
        }
        if is_last {
            log.torn_tail(&inspected)?;
        }
        meter.advance(&log.path(number), inspected.end);
        if found.events_count > before {
            found.segments.push(number);
        }
    }
    if let EventChange::Replace { stream, expected, .. } = change
        && found.stream_events_count != expected.events_count()
    {
        return Err(MaintenanceError::WrongExpectedRevision {
            stream: stream.clone(),
            expected: *expected,
            actual: ActualRevision(Revision::last_of(found.stream_events_count)),
        });
    }
    if found.has_wrong_data {
        return Err(MaintenanceError::Refused(
            "the event has JSON, and the new data is not JSON".to_owned(),
        ));
    }
    Ok(found)
}

fn is_json_text(bytes: &[u8]) -> bool {
    serde_json::from_slice::<serde::de::IgnoredAny>(bytes).is_ok()
}

/// What the change makes of an event; `None`: it stays.
fn edit_of(
    change: &EventChange,
    stream: &str,
    revision: Revision,
    event_type: &str,
) -> Option<EventEdit> {
    match change {
        EventChange::Rename { from, to, category } => {
            let of_stream = stream.split_once('/').map_or("", |(category, _)| category);
            let is_concerned = event_type == from.as_str()
                && category.as_ref().map_or(!stream.starts_with('$'), |it| it == of_stream);
            let event_type = Some(to.clone());
            is_concerned.then(|| EventEdit { event_type, ..EventEdit::default() })
        }
        EventChange::Replace { stream: of, revision: at, edit, .. } => {
            (stream == of.as_str() && revision == *at).then(|| edit.clone())
        }
    }
}

/// Writes a segment anew beside the old one, durable, and gives the name of the old one.
fn write_segment(
    log: &LogInspector,
    number: u64,
    change: &EventChange,
    ids: &dyn IdGenerator,
) -> Result<String, MaintenanceError> {
    let path = log.path(number);
    let rewritten = files::with_suffix(&path, REWRITTEN_SUFFIX);
    let (high, low) = ids.next_uuid().as_u64_pair();
    // Another salt: nothing of the old file is ever taken for a part of the new one.
    let header = SegmentHeader { salt: high.rotate_left(32) ^ low, ..log.header(number)? };
    let io = |source| io_error("write", &rewritten, source);
    let file = File::create(&rewritten).map_err(io)?;
    let mut file = std::io::BufWriter::with_capacity(1 << 20, file);
    file.write_all(&header.encode()).map_err(io)?;
    log.read(number, |_, frame| {
        let edited = FrameEditor::new(frame).edit(header.salt, |place, event| {
            let edit = edit_of(change, place.stream, place.revision, event.event_type.as_str());
            edit.map(|edit| apply(event, edit))
        });
        match edited.map_err(|fault| log.fault(number, &fault))? {
            FrameEdit::Frame(bytes) => file.write_all(&bytes).map_err(|source| LogError::Io {
                action: "write",
                path: rewritten.clone(),
                source,
            }),
            FrameEdit::TooLong => Err(LogError::Damaged {
                path: path.clone(),
                offset: 0,
                what: "a commit gets too long by the change".to_owned(),
            }),
        }
    })?;
    let file = file.into_inner().map_err(|error| io(error.into_error()))?;
    file.sync_all().map_err(io)?;
    let name = path.file_name().unwrap_or_default();
    Ok(name.to_string_lossy().into_owned())
}

fn apply(mut event: NewEvent, edit: EventEdit) -> NewEvent {
    let EventEdit { data, metadata, event_type, schema_version } = edit;
    event.data = data.unwrap_or(event.data);
    event.metadata = metadata.unwrap_or(event.metadata);
    event.event_type = event_type.unwrap_or(event.event_type);
    event.schema_version = schema_version.unwrap_or(event.schema_version);
    event
}

fn nothing_found(change: &EventChange) -> String {
    match change {
        EventChange::Rename { from, category: None, .. } => format!("no event is a `{from}`"),
        EventChange::Rename { from, category: Some(category), .. } => {
            format!("no event of a stream of `{category}` is a `{from}`")
        }
        EventChange::Replace { stream, revision, .. } => {
            format!("stream `{stream}` has no revision {revision}")
        }
    }
}

/// What is recorded of the change. Of replaced data it says nothing: it may have to be forgotten.
fn describe(
    request: &RewriteRequest,
    found: &Found,
) -> Result<(EventType, Box<RawValue>), MaintenanceError> {
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Data<'a> {
        Renamed {
            from: &'a str,
            to: &'a str,
            category: Option<&'a str>,
            events_count: u64,
            reason: &'a str,
        },
        Replaced {
            stream: &'a str,
            revision: Revision,
            position: Option<u64>,
            reason: &'a str,
        },
    }
    let reason = request.reason.as_str();
    let (name, data) = match &request.change {
        EventChange::Rename { from, to, category } => (
            "event-renamed",
            Data::Renamed {
                from: from.as_str(),
                to: to.as_str(),
                category: category.as_deref(),
                events_count: found.events_count,
                reason,
            },
        ),
        EventChange::Replace { stream, revision, .. } => {
            let (stream, revision) = (stream.as_str(), *revision);
            let position = found.first_position;
            ("event-replaced", Data::Replaced { stream, revision, position, reason })
        }
    };
    let describe = || -> Result<_, Box<dyn std::error::Error + Send + Sync>> {
        Ok((EventType::new(name)?, serde_json::value::to_raw_value(&data)?))
    };
    describe().map_err(|error| MaintenanceError::Refused(error.to_string()))
}
