//! The form of a bundle: JSON, with base64 where plugins get bytes.

use std::collections::BTreeMap;
use std::sync::Arc;

use annals_core::columns::{ColumnFull, DataColumn, EventBatch, History};
use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::place::{Partition, Position, Revision};
use annals_core::plugin::Context;
use annals_core::port::failure_sink::{
    FailedBatch, FailedCommand, FailedStream, FailedWork, FailureBundle, ViewAnswer,
};
use annals_core::port::guest::GuestFailure;
use annals_core::time::Timestamp;
use annals_runtime::WASMTIME_VERSION;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use uuid::Uuid;

use crate::config::{Area as _, Config};

/// The form that this version writes and reads.
pub(super) const FORMAT: u32 = 1;

/// A bundle as it is on disk.
#[derive(Debug, Serialize, Deserialize)]
pub(super) struct File {
    pub(super) format: u32,
    pub(super) plugin: PluginName,
    pub(super) version: String,
    pub(super) digest: Digest,
    pub(super) annals_version: String,
    pub(super) wasmtime_version: String,
    pub(super) failed_at: String,
    pub(super) failure: Failure,
    /// The keys of `[limits]` as they were in force for the plugin.
    pub(super) limits: BTreeMap<String, toml::Value>,
    pub(super) decision_events_max: usize,
    pub(super) batch_writes_max: usize,
    pub(super) work: Work,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Failure {
    pub(super) id: String,
    pub(super) call: String,
    pub(super) text: String,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Work {
    Stream {
        stream: String,
        is_complete: bool,
        snapshot: Option<Bytes>,
        pages: Vec<Page>,
        command: Option<Command>,
    },
    Batch {
        partition: u32,
        events: Vec<BatchEvent>,
        reads: Vec<Read>,
    },
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Page {
    first_revision: u64,
    events: Vec<PageEvent>,
}

#[derive(Debug, Serialize, Deserialize)]
struct PageEvent {
    event_type: u32,
    recorded_at_ms: u64,
    data: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Command {
    command_type: u32,
    data: Bytes,
    message_id: Uuid,
    correlation_id: String,
    now_ms: u64,
    seed: (u64, u64),
    namespace: String,
    principal: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct BatchEvent {
    stream: String,
    event_type: u32,
    revision: u64,
    position: u64,
    recorded_at_ms: u64,
    data: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Read {
    Values(Vec<Option<Bytes>>),
    Rows(Vec<(Bytes, Bytes)>),
}

/// Bytes, in base64.
#[derive(Debug, Clone)]
pub(super) struct Bytes(Vec<u8>);

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        STANDARD.decode(text).map(Self).map_err(serde::de::Error::custom)
    }
}

impl File {
    pub(super) fn new(bundle: &FailureBundle, config: &Config) -> Self {
        let limits = config.limits_of_plugins.limits_of(&bundle.plugin, &config.limits);
        let value = |toml: &str| {
            let table = format!("value = {toml}").parse::<toml::Table>().ok()?;
            table.get("value").cloned()
        };
        let limits = limits.entries().into_iter();
        let own =
            config.limits_of_plugins.options().get(&bundle.plugin).copied().unwrap_or_default();
        let events_max = own.decision_events_max.unwrap_or(config.engine.decision_events_max);
        let writes_max = own.batch_writes_max.unwrap_or(config.projections.batch_writes_max);
        Self {
            format: FORMAT,
            plugin: bundle.plugin.clone(),
            version: bundle.version.clone(),
            digest: bundle.digest,
            annals_version: env!("CARGO_PKG_VERSION").to_owned(),
            wasmtime_version: WASMTIME_VERSION.to_owned(),
            failed_at: bundle.at.to_string(),
            failure: Failure::of(&bundle.failure),
            limits: limits
                .filter_map(|entry| Some((entry.key.to_owned(), value(&entry.toml)?)))
                .collect(),
            decision_events_max: events_max.get(),
            batch_writes_max: writes_max.get(),
            work: Work::new(&bundle.work),
        }
    }
}

impl Failure {
    pub(super) fn of(failure: &GuestFailure) -> Self {
        Self { id: failure.id(), call: failure.call().to_owned(), text: failure.to_string() }
    }
}

impl Work {
    fn new(work: &FailedWork) -> Self {
        match work {
            FailedWork::Stream(stream) => Self::Stream {
                stream: stream.stream.clone(),
                is_complete: stream.is_complete,
                snapshot: stream.snapshot.as_ref().map(|data| Bytes(data.to_vec())),
                pages: stream.pages.iter().map(Page::new).collect(),
                command: stream.command.as_ref().map(Command::new),
            },
            FailedWork::Batch(batch) => Self::Batch {
                partition: batch.events.partition.0,
                events: batch_events(&batch.events),
                reads: batch.reads.iter().map(Read::new).collect(),
            },
        }
    }

    /// What was written.
    pub(super) fn read(self) -> Result<FailedWork, ColumnFull> {
        Ok(match self {
            Self::Stream { stream, is_complete, snapshot, pages, command } => {
                FailedWork::Stream(FailedStream {
                    stream,
                    is_complete,
                    snapshot: snapshot.map(|data| data.0.into()),
                    pages: pages.into_iter().map(Page::read).collect::<Result<_, _>>()?,
                    command: command.map(Command::read),
                })
            }
            Self::Batch { partition, events, reads } => FailedWork::Batch(FailedBatch {
                events: read_batch(partition, events)?,
                reads: reads.into_iter().map(Read::read).collect(),
            }),
        })
    }
}

/// The data of each event of a column.
fn each(column: &DataColumn) -> impl Iterator<Item = Bytes> {
    let starts = std::iter::once(0).chain(column.ends().iter().copied());
    starts.zip(column.ends()).map(|(start, end)| {
        let index = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
        Bytes(column.bytes().get(index(start)..index(*end)).unwrap_or_default().to_vec())
    })
}

impl Page {
    fn new(history: &History) -> Self {
        let columns = history.event_types.iter().zip(&history.recorded_at).zip(each(&history.data));
        let events = columns.map(|((event_type, at), data)| PageEvent {
            event_type: *event_type,
            recorded_at_ms: at.ms(),
            data,
        });
        Self { first_revision: history.first_revision.get(), events: events.collect() }
    }

    fn read(self) -> Result<History, ColumnFull> {
        let mut history = History::starting_at(Revision::new(self.first_revision));
        for event in self.events {
            let at = Timestamp::from_ms(event.recorded_at_ms);
            history.push(event.event_type, at, &event.data.0)?;
        }
        Ok(history)
    }
}

impl Command {
    fn new(command: &FailedCommand) -> Self {
        let context = &command.context;
        Self {
            command_type: command.command_type,
            data: Bytes(command.data.to_vec()),
            message_id: context.message_id,
            correlation_id: context.correlation_id.to_string(),
            now_ms: context.now.ms(),
            seed: context.seed,
            namespace: context.namespace.to_string(),
            principal: context.principal.as_deref().map(str::to_owned),
        }
    }

    fn read(self) -> FailedCommand {
        FailedCommand {
            command_type: self.command_type,
            data: self.data.0.into(),
            context: Context {
                message_id: self.message_id,
                correlation_id: Arc::from(self.correlation_id),
                now: Timestamp::from_ms(self.now_ms),
                seed: self.seed,
                namespace: Arc::from(self.namespace),
                principal: self.principal.map(Arc::from),
            },
        }
    }
}

fn batch_events(batch: &EventBatch) -> Vec<BatchEvent> {
    let places = batch.revisions.iter().zip(&batch.positions).zip(&batch.recorded_at);
    let kinds = batch.stream_indexes.iter().zip(&batch.event_types);
    let event = |(((stream, event_type), ((revision, position), at)), data)| {
        let stream: &u32 = stream;
        let (event_type, revision, position, at): (&u32, &Revision, &Position, &Timestamp) =
            (event_type, revision, position, at);
        let stream = usize::try_from(*stream).ok().and_then(|index| batch.streams.get(index));
        BatchEvent {
            stream: stream.map(ToString::to_string).unwrap_or_default(),
            event_type: *event_type,
            revision: revision.get(),
            position: position.get(),
            recorded_at_ms: at.ms(),
            data,
        }
    };
    kinds.zip(places).zip(each(&batch.data)).map(event).collect()
}

fn read_batch(partition: u32, events: Vec<BatchEvent>) -> Result<EventBatch, ColumnFull> {
    let mut batch = EventBatch { partition: Partition(partition), ..EventBatch::default() };
    for event in events {
        let known = batch.streams.iter().position(|stream| **stream == *event.stream);
        let index = known.unwrap_or_else(|| {
            batch.streams.push(Arc::from(event.stream));
            batch.streams.len().saturating_sub(1)
        });
        batch.data.push(&event.data.0)?;
        batch.stream_indexes.push(u32::try_from(index).map_err(|_| ColumnFull)?);
        batch.event_types.push(event.event_type);
        batch.revisions.push(Revision::new(event.revision));
        batch.positions.push(Position::new(event.position));
        batch.recorded_at.push(Timestamp::from_ms(event.recorded_at_ms));
    }
    Ok(batch)
}

impl Read {
    fn new(answer: &ViewAnswer) -> Self {
        match answer {
            ViewAnswer::Values(values) => {
                Self::Values(values.iter().map(|value| value.clone().map(Bytes)).collect())
            }
            ViewAnswer::Rows(rows) => {
                let row =
                    |(key, value): &(Vec<u8>, Vec<u8>)| (Bytes(key.clone()), Bytes(value.clone()));
                Self::Rows(rows.iter().map(row).collect())
            }
        }
    }

    fn read(self) -> ViewAnswer {
        match self {
            Self::Values(values) => {
                ViewAnswer::Values(values.into_iter().map(|value| Some(value?.0)).collect())
            }
            Self::Rows(rows) => {
                ViewAnswer::Rows(rows.into_iter().map(|(key, value)| (key.0, value.0)).collect())
            }
        }
    }
}
