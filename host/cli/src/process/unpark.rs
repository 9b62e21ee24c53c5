//! `annals process replay` and `discard`: what to do about what is parked, and waiting until it is done.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use super::show::quoted;
use super::status::{Parked, Summary};
use crate::args::ServerArgs;
use crate::client::{Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::text::count;
use crate::{input, tasks};

/// Tell parked instances again what they could not handle, and then what waits behind it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
It waits until the instances go on, or are parked again, and says so. Install a version of the plugin first
that handles what came.

Examples:
  annals process replay transfer t1 t2
  annals process replay transfer --stream account/a1
  annals process replay transfer --all")]
pub(crate) struct ReplayArgs {
    #[command(flatten)]
    which: WhichArgs,
}

/// Leave out what parked instances could not handle, and tell them what waits behind it
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The instance goes on as if the message had never come: what it would have done about it, it does not do.
Events stay in the log. What was left out is in the instance's history.

Examples:
  annals process discard transfer t1
  annals process discard transfer --stream account/a1")]
pub(crate) struct DiscardArgs {
    #[command(flatten)]
    which: WhichArgs,
}

#[derive(Debug, clap::Args)]
struct WhichArgs {
    /// The process manager, e.g. `transfer`
    name: String,

    /// The instances, by their ids
    #[arg(required_unless_present_any = ["all", "streams"], value_name = "INSTANCE")]
    instances: Vec<String>,

    /// A stream that waits, as `category/id`
    #[arg(long = "stream", value_name = "STREAM")]
    streams: Vec<String>,

    /// Everything that is parked, instances and streams
    #[arg(long, conflicts_with_all = ["instances", "streams"])]
    all: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// What is parked.
#[derive(Debug, Default)]
struct Found {
    instances: Vec<(String, Parked)>,
    streams: Vec<(String, Parked)>,
}

impl Found {
    fn is_done(&self) -> bool {
        self.instances.iter().chain(&self.streams).all(|(_, parked)| parked.asked.is_none())
    }

    fn len(&self) -> usize {
        self.instances.len() + self.streams.len()
    }
}

impl WhichArgs {
    /// The first that is named and was not parked.
    fn not_in(&self, before: &Found) -> Option<&str> {
        let has = |found: &[(String, Parked)], name: &str| found.iter().any(|(it, _)| it == name);
        let instance = self.instances.iter().find(|it| !has(&before.instances, it));
        let stream = self.streams.iter().find(|it| !has(&before.streams, it));
        instance.or(stream).map(String::as_str)
    }
}

/// Runs `annals process replay`.
pub(super) fn replay(args: &ReplayArgs, output: &mut Output) -> Result<(), Failure> {
    run(&args.which, ("replay", "replayed"), output)
}

/// Runs `annals process discard`.
pub(super) fn discard(args: &DiscardArgs, output: &mut Output) -> Result<(), Failure> {
    run(&args.which, ("discard", "discarded"), output)
}

/// Time between two looks whether it is done.
const LOOK_EVERY: Duration = Duration::from_millis(100);

fn run(
    args: &WhichArgs,
    (what, done_what): (&str, &str),
    output: &mut Output,
) -> Result<(), Failure> {
    for stream in &args.streams {
        input::stream(stream)?;
    }
    let body = if args.all {
        json!({})
    } else {
        json!({ "instances": args.instances, "streams": args.streams })
    };
    let (before, after) = tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        let before = meant(&mut client, args).await?;
        let call = Call::post(super::path(&args.name).join(what), body.to_string());
        client.send(call).await?;
        loop {
            let left = meant(&mut client, args).await?;
            if left.is_done() {
                return Ok::<_, Failure>((before, left));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    })?;
    let [instances, streams] =
        [(&before.instances, &after.instances), (&before.streams, &after.streams)]
            .map(|(before, after)| going_on(before, after));
    if let Some(name) = args.not_in(&before) {
        let hint =
            format!("see what is parked with `annals process list {} --state parked`", args.name);
        return Err(Failure::yours(format!("`{name}` is not parked")).with_hint(hint));
    }
    if output.is_json() {
        let names = |found: &[(String, Parked)]| -> Vec<_> {
            found.iter().map(|(name, _)| name.clone()).collect()
        };
        return output.json(&json!({
            "going_on": { "instances": instances, "streams": streams },
            "parked": { "instances": names(&after.instances), "streams": names(&after.streams) },
        }));
    }
    if before.len() == 0 && after.len() == 0 {
        return output.line("nothing of that is parked");
    }
    for name in instances.iter().chain(&streams) {
        output.line(format_args!("{done_what}, goes on: {name}"))?;
    }
    for (name, _) in after.instances.iter().chain(&after.streams) {
        output.line(format_args!("parked again: {name}"))?;
    }
    still_parked(&args.name, &after)
}

fn still_parked(name: &str, after: &Found) -> Result<(), Failure> {
    let of = |found: usize, what| match found {
        0 => None,
        number => Some(count(number.try_into().unwrap_or(u64::MAX), what)),
    };
    let kinds = [of(after.instances.len(), "instance"), of(after.streams.len(), "stream")];
    let kinds: Vec<_> = kinds.into_iter().flatten().collect();
    if kinds.is_empty() {
        return Ok(());
    }
    let show = match after.instances.first() {
        Some((id, _)) => format!("annals process show {name} {}", quoted(id)),
        None => format!("annals process show {name}"),
    };
    let text = format!("{} still cannot go on", kinds.join(" and "));
    Err(Failure::yours(text).with_hint(format!("see why with `{show}`")))
}

/// The names that were parked and are not any more.
fn going_on(before: &[(String, Parked)], after: &[(String, Parked)]) -> Vec<String> {
    let still: BTreeSet<_> = after.iter().map(|(name, _)| name.as_str()).collect();
    let done = before.iter().map(|(name, _)| name).filter(|name| !still.contains(name.as_str()));
    done.cloned().collect()
}

/// What is parked of what is meant.
async fn meant(client: &mut Client, args: &WhichArgs) -> Result<Found, Failure> {
    let mut found = Found::default();
    if args.all || !args.instances.is_empty() {
        let which = (args.name.as_str(), "parked");
        let (all, _) = super::instances(client, which, usize::MAX).await?;
        for json in &all {
            let Summary { id, parked, .. } = super::parse(json)?;
            if args.all || args.instances.contains(&id) {
                found.instances.extend(parked.map(|parked| (id, parked)));
            }
        }
    }
    if args.all || !args.streams.is_empty() {
        for it in super::streams(client, &args.name).await? {
            if args.all || args.streams.contains(&it.stream) {
                found.streams.push((it.stream, it.parked));
            }
        }
    }
    Ok(found)
}
