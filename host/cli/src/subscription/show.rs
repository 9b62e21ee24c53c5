//! `annals subscription list`, `show` and `delete`.

use serde::Deserialize;

use super::{ask, path};
use crate::args::ServerArgs;
use crate::client::{Answer, ApiPath, Call};
use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// List the subscriptions
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Columns: name, events after the checkpoint, in flight, parked, members.

Examples:
  annals subscription list
  annals subscription list --output json")]
pub(crate) struct ListArgs {
    #[command(flatten)]
    server: ServerArgs,
}

/// Show how far a subscription is, and its members
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  annals subscription show mail
  annals subscription show mail --output json    With its settings")]
pub(crate) struct ShowArgs {
    /// The subscription
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

/// Delete a subscription, with how far it is and what is parked
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The events themselves stay. Deliveries that members still have are unknown from then on.

Examples:
  annals subscription delete mail")]
pub(crate) struct DeleteArgs {
    /// The subscription
    name: String,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Subscriptions {
    subscriptions: Vec<Subscription>,
}

#[derive(Debug, Deserialize)]
struct Subscription {
    name: String,
    partitions: Vec<Partition>,
    lag_events: u64,
    in_flight_count: u64,
    leased_count: u64,
    parked_count: u64,
    redelivered_count: u64,
    members: Vec<Member>,
}

#[derive(Debug, Deserialize)]
struct Partition {
    partition: u32,
    checkpoint: Option<u64>,
    head: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Member {
    member: String,
    leased_count: u64,
    leased_at: String,
}

/// Lists them.
pub(super) fn list(args: &ListArgs, output: &mut Output) -> Result<(), Failure> {
    let answer = ask(&args.server, Call::get(ApiPath::new("/v1/subscriptions")))?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let Subscriptions { subscriptions } = answer.json()?;
    if subscriptions.is_empty() {
        output.note("there is no subscription; make one with `annals subscription create`");
    }
    let row = |it: Subscription| {
        vec![
            it.name,
            format!("{} behind", it.lag_events),
            format!("{} in flight", it.in_flight_count),
            format!("{} parked", it.parked_count),
            format!("{} members", it.members.len()),
        ]
    };
    let rows: Vec<_> = subscriptions.into_iter().map(row).collect();
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}

/// Shows one.
pub(super) fn show(args: &ShowArgs, output: &mut Output) -> Result<(), Failure> {
    print(&ask(&args.server, Call::get(path(&args.name)))?, output)
}

/// Prints a subscription that was answered.
pub(super) fn print(answer: &Answer, output: &mut Output) -> Result<(), Failure> {
    if output.is_json() {
        return output.line(answer.text());
    }
    let it: Subscription = answer.json()?;
    output.heading(&it.name)?;
    let number = |number: u64| number.to_string();
    let mut rows = vec![
        vec!["behind".to_owned(), format!("{} events", it.lag_events)],
        vec!["in flight".to_owned(), format!("{}, {} leased", it.in_flight_count, it.leased_count)],
        vec!["parked".to_owned(), number(it.parked_count)],
        vec!["redelivered".to_owned(), number(it.redelivered_count)],
    ];
    let place = |place: Option<u64>| place.map_or_else(|| "-".to_owned(), number);
    rows.extend(it.partitions.iter().map(|partition| {
        let (checkpoint, head) = (place(partition.checkpoint), place(partition.head));
        vec![format!("partition {}", partition.partition), format!("{checkpoint} of {head}")]
    }));
    rows.extend(it.members.iter().map(|member| {
        let held = format!("{} leased, last at {}", member.leased_count, member.leased_at);
        vec![format!("member {}", member.member), held]
    }));
    text::table(&rows).into_iter().try_for_each(|line| output.line(line))
}

/// Deletes one.
pub(super) fn delete(args: &DeleteArgs, output: &mut Output) -> Result<(), Failure> {
    let answer = ask(&args.server, Call::delete(path(&args.name)))?;
    if output.is_json() {
        return output.line(answer.text());
    }
    output.note(format_args!("subscription `{}` is deleted", args.name));
    Ok(())
}
