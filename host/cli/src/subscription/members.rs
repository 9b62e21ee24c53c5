//! What members of a subscription do: `lease`, `ack`, `retry`, `extend` and `park`.

use serde::Deserialize;
use serde_json::value::RawValue;
use serde_json::{Value, json};

use super::{ask, path};
use crate::args::ServerArgs;
use crate::client::Call;
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// Take events, which others are not given meanwhile
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns: delivery, attempt, stream, revision, type, data. What the member still has of earlier leases
is taken back: acknowledge before you take more.

Examples:
  annals subscription lease mail --member worker-1
  annals subscription lease mail --member worker-1 --events-max 100 --wait-ms 30000 --output json")]
pub(crate) struct LeaseArgs {
    /// The subscription
    name: String,

    /// Who takes them: a name that no other member uses
    #[arg(long, value_name = "MEMBER")]
    member: String,

    /// Take at most so many
    #[arg(long, value_name = "COUNT", default_value_t = 10)]
    events_max: u64,

    /// Wait so many milliseconds for one when there is none
    #[arg(long, value_name = "MS", default_value_t = 0)]
    wait_ms: u64,

    /// Have them for so many milliseconds; as the subscription says unless said
    #[arg(long, value_name = "MS")]
    lease_ms: Option<u64>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Which deliveries of whom.
#[derive(Debug, clap::Args)]
struct Held {
    /// The subscription
    name: String,

    /// The deliveries, as `lease` prints them
    #[arg(value_name = "DELIVERY", required = true)]
    deliveries: Vec<String>,

    /// The member that was given them
    #[arg(long, value_name = "MEMBER")]
    member: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Say that events are handled
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals subscription ack mail --member worker-1 0.41.7.0a1b2c3d4e5f")]
pub(crate) struct AckArgs {
    #[command(flatten)]
    held: Held,
}

/// Give events back, to be delivered again
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Later events of the same streams wait as long. An event that was delivered as often as it may be is
parked.

Examples:
  annals subscription retry mail --member worker-1 0.41.7.0a1b2c3d4e5f --after-ms 60000")]
pub(crate) struct RetryArgs {
    #[command(flatten)]
    held: Held,

    /// Deliver them after so many milliseconds
    #[arg(long, value_name = "MS", default_value_t = 0)]
    after_ms: u64,

    /// Why, for whoever looks at it when it is parked in the end
    #[arg(long)]
    cause: Option<String>,
}

/// Take more time for events
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals subscription extend mail --member worker-1 0.41.7.0a1b2c3d4e5f --lease-ms 600000")]
pub(crate) struct ExtendArgs {
    #[command(flatten)]
    held: Held,

    /// Have them for so many milliseconds from now on
    #[arg(long, value_name = "MS")]
    lease_ms: u64,
}

/// Give events up: later ones of their streams wait behind them
#[derive(Debug, clap::Args)]
#[command(after_help = "\
`annals subscription parked` lists them, `replay` delivers them again, `discard` gives them up for good.

Examples:
  annals subscription park mail --member worker-1 0.41.7.0a1b2c3d4e5f --cause 'no such address'")]
pub(crate) struct ParkArgs {
    #[command(flatten)]
    held: Held,

    /// Why, for whoever looks at it
    #[arg(long)]
    cause: String,
}

#[derive(Debug, Deserialize)]
struct Deliveries {
    deliveries: Vec<Box<RawValue>>,
}

#[derive(Debug, Deserialize)]
struct Delivery {
    delivery: String,
    attempt: u32,
    event: Event,
}

#[derive(Debug, Deserialize)]
struct Event {
    stream: String,
    revision: u64,
    r#type: String,
    data: Option<Box<RawValue>>,
    data_base64: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Settled {
    results: Vec<Outcome>,
}

#[derive(Debug, Deserialize)]
struct Outcome {
    delivery: String,
    outcome: String,
}

/// Takes events.
pub(super) fn lease(args: &LeaseArgs, output: &mut Output) -> Result<(), Failure> {
    let mut body = json!({
        "member": args.member,
        "events_max": args.events_max,
        "wait_ms": args.wait_ms,
    });
    if let (Some(lease_ms), Some(body)) = (args.lease_ms, body.as_object_mut()) {
        body.insert("lease_ms".to_owned(), lease_ms.into());
    }
    let call = Call::post(path(&args.name).join("lease"), body.to_string());
    let Deliveries { deliveries } = ask(&args.server, call)?.json()?;
    if output.is_json() {
        return deliveries.iter().try_for_each(|delivery| output.line(delivery));
    }
    if deliveries.is_empty() {
        output.note("there is no event to deliver now");
    }
    let mut rows = Vec::with_capacity(deliveries.len());
    for delivery in &deliveries {
        let Delivery { delivery, attempt, event } = serde_json::from_str(delivery.get())
            .map_err(|error| Failure::ours(format!("a delivery does not fit: {error}")))?;
        let data = event.data.map(|data| data.get().to_owned()).or(event.data_base64);
        let Event { stream, revision, r#type, .. } = event;
        let (attempt, revision) = (attempt.to_string(), revision.to_string());
        rows.push(vec![delivery, attempt, stream, revision, r#type, data.unwrap_or_default()]);
    }
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}

/// Says that events are handled.
pub(super) fn ack(args: &AckArgs, output: &mut Output) -> Result<(), Failure> {
    settle(&args.held, "ack", &[], output)
}

/// Gives events back.
pub(super) fn retry(args: &RetryArgs, output: &mut Output) -> Result<(), Failure> {
    let fields = [("after_ms", json!(args.after_ms)), ("cause", json!(args.cause))];
    settle(&args.held, "retry", &fields, output)
}

/// Takes more time.
pub(super) fn extend(args: &ExtendArgs, output: &mut Output) -> Result<(), Failure> {
    settle(&args.held, "extend", &[("lease_ms", json!(args.lease_ms))], output)
}

/// Gives events up.
pub(super) fn park(args: &ParkArgs, output: &mut Output) -> Result<(), Failure> {
    settle(&args.held, "park", &[("cause", json!(args.cause))], output)
}

fn settle(
    held: &Held,
    call: &str,
    fields: &[(&str, Value)],
    output: &mut Output,
) -> Result<(), Failure> {
    let mut body = json!({"member": held.member, "deliveries": held.deliveries});
    if let Some(body) = body.as_object_mut() {
        body.extend(fields.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
    }
    let call = Call::post(path(&held.name).join(call), body.to_string());
    let answer = ask(&held.server, call)?;
    let Settled { results } = answer.json()?;
    if output.is_json() {
        output.line(answer.text())?;
    } else {
        for Outcome { delivery, outcome } in &results {
            output.line(format_args!("{delivery}  {outcome}"))?;
        }
    }
    let late_count = results.iter().filter(|result| result.outcome != "done").count();
    if late_count == 0 {
        return Ok(());
    }
    Err(Failure::yours(format!("{late_count} of {} deliveries came too late", results.len()))
        .with_hint(
            "`unknown` is handled or parked already, or was never this member's; `expired` was \
             taken back since; nothing changed for them",
        ))
}
