//! `annals stream`: reads, follows and appends to streams.

mod append;
mod read;
mod tail;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::output::Output;

/// Read, follow and append to streams
#[derive(Debug, clap::Subcommand)]
pub(crate) enum StreamCommand {
    Read(read::ReadArgs),
    Tail(tail::TailArgs),
    Append(append::AppendArgs),
}

/// Runs the command.
pub(crate) fn run(command: StreamCommand, output: &mut Output) -> Result<(), Failure> {
    match command {
        StreamCommand::Read(args) => read::run(&args, output),
        StreamCommand::Tail(args) => tail::run(&args, output),
        StreamCommand::Append(args) => append::run(&args, output),
    }
}

/// A recorded event, as far as people look at it.
#[derive(Debug, Deserialize)]
struct Event {
    stream: String,
    revision: u64,
    position: u64,
    r#type: String,
    stored: Option<Stored>,
    recorded_at: String,
    data: Option<Box<RawValue>>,
    data_base64: Option<String>,
}

/// What an event is where it is stored, if upcasters made something else of it.
#[derive(Debug, Deserialize)]
struct Stored {
    r#type: String,
    schema_version: u32,
}

impl Event {
    fn parse(json: &str) -> Result<Self, Failure> {
        serde_json::from_str(json)
            .map_err(|error| Failure::ours(format!("an event does not fit: {error}")))
    }

    /// Of an event that upcasters made: what is stored, for the end of the line.
    fn stored(&self) -> String {
        let stored = |it: &Stored| format!("  (stored: {} v{})", it.r#type, it.schema_version);
        self.stored.as_ref().map(stored).unwrap_or_default()
    }

    /// What the event says.
    fn data(&self) -> &str {
        let json = self.data.as_ref().map(|data| data.get());
        json.or(self.data_base64.as_deref()).unwrap_or_default()
    }
}
