//! `annals stream tail`: follows events as they are recorded.

use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use serde::Deserialize;

use super::Event;
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{input, tasks};

/// Follow events as they are recorded, until Ctrl-C
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Without `--after`, it begins with the first event there is. A store of several partitions has a feed
for each: one stream is in one of them, which is found out; for more of them, name one.

Examples:
  annals stream tail                                  All events of all streams
  annals stream tail account/a1                       Those of one stream
  annals stream tail --category account --type funds-deposited,funds-withdrawn
  annals stream tail --partition 3                    Those of one partition of several")]
pub(crate) struct TailArgs {
    /// Only this stream, as `category/id`
    stream: Option<String>,

    /// Only these categories, separated by commas
    #[arg(long, conflicts_with = "stream")]
    category: Option<String>,

    /// Only these event types, separated by commas
    #[arg(long = "type", value_name = "TYPE")]
    event_type: Option<String>,

    /// Only events of this partition of the feed
    #[arg(long, value_name = "PARTITION")]
    partition: Option<u32>,

    /// Begin after the event at this position
    #[arg(long, value_name = "POSITION")]
    after: Option<u64>,

    /// End when there are no more events, instead of waiting for them
    #[arg(long)]
    no_follow: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// Longest line of an event stream, in bytes: an event of 256 KiB whose data is written as base64 or
/// with escapes, and its envelope.
const LINE_BYTES_MAX: usize = 8 << 20;

/// Runs the command.
pub(crate) fn run(args: &TailArgs, output: &mut Output) -> Result<(), Failure> {
    let mut path = ApiPath::new("/v1/events").query("type", args.event_type.as_ref());
    path = path.query("category", args.category.as_ref()).query("after", args.after);
    if let Some(stream) = &args.stream {
        let (category, _) = input::stream(stream)?;
        path = path.query("category", Some(category)).query("stream_prefix", Some(stream));
    }
    tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        let partition = match (args.partition, &args.stream) {
            (None, Some(stream)) => partition_of(&mut client, stream).await?,
            (named, _) => named,
        };
        let path = path.query("partition", partition);
        let body = client.stream(Call::get(path).with("accept", Some("text/event-stream"))).await?;
        follow(body, args, output).await
    })
}

/// The partition of a stream; `None` when it has no event that would tell. What else is wrong, the
/// feed says.
async fn partition_of(client: &mut Client, stream: &str) -> Result<Option<u32>, Failure> {
    let (category, id) = input::stream(stream)?;
    let path = ApiPath::new("/v1/streams").join(&category).join(&id).query("limit", Some(1));
    let (status, bytes) = client.exchange(Call::get(path)).await?;
    if !status.is_success() {
        return Ok(None);
    }
    let page: Page = serde_json::from_slice(&bytes)
        .map_err(|error| Failure::ours(format!("a page does not fit: {error}")))?;
    Ok(page.events.first().map(|event| event.partition))
}

/// Some events, as far as they tell where they are.
#[derive(Debug, Deserialize)]
struct Page {
    events: Vec<Place>,
}

#[derive(Debug, Deserialize)]
struct Place {
    partition: u32,
}

async fn follow(mut body: Incoming, args: &TailArgs, output: &mut Output) -> Result<(), Failure> {
    let mut lines = Lines::default();
    let mut kind = String::new();
    while let Some(frame) = body.frame().await {
        let frame =
            frame.map_err(|error| Failure::ours(format!("the stream broke off: {error}")))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        lines.push(&data)?;
        while let Some(line) = lines.next() {
            let (field, value) = line.split_once(": ").unwrap_or((&line, ""));
            match field {
                "event" => value.clone_into(&mut kind),
                "data" if kind.is_empty() => print(value, args, output)?,
                "" => kind.clear(),
                _ => {}
            }
            if kind == "caught-up" && args.no_follow {
                return Ok(());
            }
        }
    }
    output.note("the daemon has ended the stream");
    Ok(())
}

fn print(json: &str, args: &TailArgs, output: &mut Output) -> Result<(), Failure> {
    let event = Event::parse(json)?;
    // The API goes by the beginning of the stream's id.
    if args.stream.as_ref().is_some_and(|stream| *stream != event.stream) {
        return Ok(());
    }
    if output.is_json() {
        return output.line(json);
    }
    let Event { stream, revision, position, r#type, .. } = &event;
    let (data, stored) = (event.data(), event.stored());
    output.line(format_args!("{position:>6}  {stream} {revision}  {type}  {data}{stored}"))
}

/// Text in pieces, line by line.
#[derive(Debug, Default)]
struct Lines(Vec<u8>);

impl Lines {
    fn push(&mut self, data: &[u8]) -> Result<(), Failure> {
        self.0.extend_from_slice(data);
        if self.0.len() > LINE_BYTES_MAX && !self.0.contains(&b'\n') {
            return Err(Failure::ours(format!("an event has more than {LINE_BYTES_MAX} bytes")));
        }
        Ok(())
    }

    fn next(&mut self) -> Option<String> {
        let end = self.0.iter().position(|byte| *byte == b'\n')?;
        let line: Vec<u8> = self.0.drain(..=end).collect();
        Some(String::from_utf8_lossy(&line).trim_end().to_owned())
    }
}
