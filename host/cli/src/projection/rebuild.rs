//! `annals projection rebuild`: begins to build a view anew, shows how far it is, and says how it ended.

use std::path::{Path, PathBuf};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::sleep;

use super::status::{Comparison, Projection, Rebuild, done_of_total};
use crate::args::ServerArgs;
use crate::client::{Answer, ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::plugin::component_of;
use crate::store::progress::{Reporter, bar};
use crate::tasks;
use crate::text::{self, thousands};

/// Build the view of a projection anew, beside the one that serves
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The view that serves goes on. The new one reads all events from the first, catches up, and the rows of
both are compared. Then it takes over: at once when no row differs, and with `--with` also when some do,
as is to be expected of another version. Otherwise the rows that differ are shown, and you say what to do
with `annals projection cut-over` or `cancel`. What served is followed further for an hour, or what
`rollback_window` says: `annals projection rollback` restores it at once.

The daemon does it: this command only waits, and ending it ends nothing.

Exit codes: 0 it took over, or waits for you as asked; 1 rows differ; 2 the daemon failed.

Examples:
  annals projection rebuild account-balances
  annals projection rebuild account-balances --with account-balances/account-balances.wasm
  annals projection rebuild account-balances --on-request
  annals projection rebuild latest-orders --from-time 2026-11-01T00:00:00Z
  annals projection rebuild account-balances --detach && annals projection show account-balances")]
pub(crate) struct RebuildArgs {
    /// The projection, e.g. `account-balances`
    name: String,

    /// Build with this version: a component, or the folder of the plugin that was built
    #[arg(long, value_name = "FILE|DIR")]
    with: Option<PathBuf>,

    /// Do not let it take over: wait for `annals projection cut-over`
    #[arg(long, conflicts_with = "cut_over_when_equal")]
    on_request: bool,

    /// Let another version take over by itself only when no row differs
    #[arg(long = "when-equal")]
    cut_over_when_equal: bool,

    /// Begin with the event at this position, if the projection allows it
    #[arg(long, value_name = "POSITION", conflicts_with = "from_time")]
    from_position: Option<u64>,

    /// Begin with the events that were recorded at this time or later, if the projection allows it
    #[arg(long, value_name = "TIME")]
    from_time: Option<String>,

    /// Do not wait for the end
    #[arg(long)]
    detach: bool,

    #[command(flatten)]
    server: ServerArgs,
}

/// Time between two looks.
const LOOK_EVERY: Duration = Duration::from_millis(250);

/// After so many failures in a row of the projection, whoever waits is told.
const FAILURES_TOLD: u32 = 5;

/// Runs the command.
pub(super) fn run(args: &RebuildArgs, output: &mut Output) -> Result<(), Failure> {
    let component = match &args.with {
        Some(path) => read(&component_of(path)?)?,
        None => Bytes::new(),
    };
    let cut_over = match (args.on_request, args.cut_over_when_equal) {
        (true, _) => Some("on-request"),
        (false, true) => Some("when-equal"),
        (false, false) => None,
    };
    let path = super::path(&args.name).join("rebuild").query("cut_over", cut_over);
    let path = path.query("from_position", args.from_position);
    let path = path.query("from_time", args.from_time.as_ref());
    let call = Call::post_component(path, component);
    let name = &args.name;
    let hint = format!(
        "the rebuild goes on: look with `annals projection show {name}`, end it with `annals \
         projection cancel {name}`"
    );
    let ended = tasks::run_until_interrupted(&hint, async {
        let mut client = Client::connect(&args.server).await?;
        let begun = client.send(call).await?;
        if args.detach {
            return Ok(Ended { answer: begun, is_detached: true });
        }
        let build = begun.json::<Projection>()?.rebuild.map(|rebuild| rebuild.build);
        let waited = wait(&mut client, (name, build), output).await;
        let answer = waited.map_err(|failure| failure.with_hint(&*hint))?;
        Ok(Ended { answer, is_detached: false })
    })?;
    ended.tell(args, output)
}

fn read(path: &Path) -> Result<Bytes, Failure> {
    let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
    if bytes.is_empty() {
        return Err(Failure::yours(format!("`{}` is empty", path.display())));
    }
    Ok(bytes.into())
}

/// Waits until the rebuild of a number is over or needs somebody; returns the projection then.
async fn wait(
    client: &mut Client,
    (name, build): (&str, Option<u32>),
    output: &mut Output,
) -> Result<Answer, Failure> {
    let mut has_warned = false;
    let mut reporter = Reporter::new(output);
    loop {
        let path: ApiPath = super::path(name);
        let answer = client.send(Call::get(path)).await?;
        let projection: Projection = answer.json()?;
        let Some(rebuild) = projection.rebuild.filter(|it| build.is_none_or(|of| it.build == of))
        else {
            return Ok(answer);
        };
        if matches!(rebuild.phase.as_str(), "ready" | "differs") {
            return Ok(answer);
        }
        if !has_warned && rebuild.attempts >= Some(FAILURES_TOLD) {
            has_warned = true;
            reporter.warn("it fails again and again; the reason is in the log of the daemon");
        }
        reporter.tell(|| progress(&rebuild));
        sleep(LOOK_EVERY).await;
    }
}

fn progress(rebuild: &Rebuild) -> String {
    let (done, total) = done_of_total(&rebuild.partitions);
    let rate = rebuild.events_per_second.map(|rate| format!(" ({}/s)", thousands(rate)));
    let (events, rate) = (thousands(rebuild.events_count), rate.unwrap_or_default());
    format!("{}{} {events} events{rate}", bar(done, total), rebuild.phase)
}

/// How it ended.
struct Ended {
    answer: Answer,
    is_detached: bool,
}

impl Ended {
    fn tell(&self, args: &RebuildArgs, output: &mut Output) -> Result<(), Failure> {
        let projection: Projection = self.answer.json()?;
        let phase = projection.rebuild.as_ref().map(|rebuild| rebuild.phase.as_str());
        if output.is_json() {
            output.line(self.answer.text())?;
        }
        let name = &args.name;
        let comparison = projection.rebuild.as_ref().and_then(|it| it.comparison.as_ref());
        let parked_count = comparison.map_or(0, Comparison::parked_count);
        let differ = || {
            let text = match parked_count {
                0 => format!("rows of the two views of `{name}` differ, the old one serves"),
                count => format!(
                    "the new view of `{name}` has {} behind parked events, the old one serves",
                    text::count(count, "stream")
                ),
            };
            Failure::yours(text).with_hint(format!(
                "let the new one serve with `annals projection cut-over {name}`, or delete it \
                     with `annals projection cancel {name}`"
            ))
        };
        if output.is_json() {
            return if phase == Some("differs") { Err(differ()) } else { Ok(()) };
        }
        if self.is_detached {
            output.line(format_args!("a view of `{name}` is being built"))?;
            output.note(format_args!("\nLook at it with:\n  annals projection show {name}"));
            return Ok(());
        }
        let compared = match (&projection.rebuild, &projection.previous) {
            (Some(rebuild), _) => rebuild.comparison.as_ref(),
            (None, Some(previous)) => previous.comparison.as_ref(),
            (None, None) => None,
        };
        if let Some(compared) = compared {
            compared.print(output)?;
        }
        match (phase, &projection.previous) {
            (Some("differs"), _) => Err(differ()),
            (Some(_), _) => {
                output.line(format_args!("a view of `{name}` is ready to take over"))?;
                output.note(format_args!("\nLet it:\n  annals projection cut-over {name}"));
                Ok(())
            }
            (None, Some(previous)) => {
                let version = &projection.version;
                output.line(format_args!("`{name}` {version} serves the view that was rebuilt"))?;
                output.note(format_args!(
                    "\nUntil {} the old view can be restored with:\n  annals projection rollback {name}",
                    previous.until
                ));
                Ok(())
            }
            (None, None) => Err(Failure::yours(format!("the rebuild of `{name}` was ended"))
                .with_hint(format!("see by whom with `annals plugin history {name}`"))),
        }
    }
}
