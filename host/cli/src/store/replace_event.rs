//! `annals store replace-event`: other data, metadata or type for one event.

use std::path::PathBuf;

use annals_core::event::SchemaVersion;
use annals_core::limits::PAYLOAD_BYTES_MAX;
use annals_core::name::EventType;
use annals_core::place::Revision;
use annals_core::stream::StreamId;
use annals_daemon::maintenance::{EventChange, EventEdit};
use bytes::Bytes;

use super::rewrite::RewriteArgs;
use crate::failure::Failure;
use crate::input;
use crate::output::Output;

/// Give one event other data, metadata or another type
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The daemon must be stopped. This is for what must not be kept, such as data of a person, and for
what was recorded wrongly and cannot be put right by a further event.

What is not named stays; position, revision, time and id always stay. Views and snapshots are made
again. The stream `$maintenance/log` records that the event was replaced and why, not what it was.
The change happens as a whole or not at all; an interrupted one is completed at the next start.

The old data is gone from the log, and from nowhere else: the command that led to the event is
kept as it came, and backups, exports and `removed-…` folders made before hold the event as it
was.

Examples:
  annals stream read account/a1
  annals store replace-event account/a1 0 --expected 7 \\
    --event-data '{\"owner\": \"\", \"initial_cents\": 100}' --reason 'the owner asked to be forgotten'
  annals store replace-event account/a1 0 --expected 7 --event-data @new.json \\
    --reason 'wrong amount' --data annals-data --yes")]
pub(crate) struct ReplaceEventArgs {
    /// The stream, as `category/id`
    #[arg(value_parser = StreamId::parse)]
    stream: StreamId,

    /// The revision of the event
    revision: u64,

    /// The revision the stream ends at: refuse if it has got further events since
    #[arg(long, value_name = "REVISION")]
    expected: u64,

    /// What the event says: JSON, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "JSON")]
    event_data: Option<String>,

    /// The same from a file, byte for byte, for events whose data is not JSON
    #[arg(long, value_name = "FILE", conflicts_with = "event_data")]
    event_data_file: Option<PathBuf>,

    /// The type of the event
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<EventType>,

    /// What is kept beside its data: JSON, `@FILE`, or `-` for standard input
    #[arg(long, value_name = "JSON")]
    metadata: Option<String>,

    /// The schema version of its data
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    schema_version: Option<u32>,

    #[command(flatten)]
    rewrite: RewriteArgs,
}

/// Runs the command.
pub(crate) fn run(args: ReplaceEventArgs, output: &mut Output) -> Result<(), Failure> {
    let edit = args.edit()?;
    if edit == EventEdit::default() {
        return Err(Failure::yours("there is nothing to change").with_hint(
            "name what the event becomes, with `--event-data`, `--type`, `--metadata` or \
             `--schema-version`",
        ));
    }
    let ReplaceEventArgs { stream, revision, expected, rewrite, .. } = args;
    let what = format!("at revision {revision} of `{stream}`");
    let (revision, expected) = (Revision::new(revision), Revision::new(expected));
    let change = EventChange::Replace { stream, revision, expected, edit };
    rewrite.run(change, ("replace", &what), output)
}

impl ReplaceEventArgs {
    fn edit(&self) -> Result<EventEdit, Failure> {
        let json = |argument: &Option<String>| -> Result<_, Failure> {
            let json = argument.as_deref().map(input::json).transpose()?;
            Ok(json.map(|json| Bytes::from(json.get().to_owned())))
        };
        let data = match &self.event_data_file {
            Some(path) => Some(read(path)?),
            None => json(&self.event_data)?,
        };
        Ok(EventEdit {
            data,
            metadata: json(&self.metadata)?,
            event_type: self.event_type.clone(),
            schema_version: self.schema_version.map(SchemaVersion),
        })
    }
}

fn read(path: &std::path::Path) -> Result<Bytes, Failure> {
    use std::io::Read as _;
    let unread = |error| Failure::file("read", path, &error);
    // One more than is allowed, so that the tool refuses it with the number that is.
    let bytes_max = u64::try_from(PAYLOAD_BYTES_MAX).unwrap_or(u64::MAX);
    let mut bytes = Vec::new();
    let file = std::fs::File::open(path).map_err(unread)?;
    file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(unread)?;
    Ok(Bytes::from(bytes))
}
