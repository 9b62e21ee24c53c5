//! `annals process show`: a process manager, or one of its instances with its history.

use super::status::{Instance, Parked, ParkedStream, Process, first_line};
use crate::args::ServerArgs;
use crate::client::{Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::{tasks, text};

/// Show a process manager, or one of its instances with its history
#[derive(Debug, clap::Args)]
#[command(after_help = "\
An instance is shown with its state, its timers, the commands on the way, why it is parked and what waits,
and the last 32 messages it handled: what happened, and what that led to.

Examples:
  annals process show transfer
  annals process show transfer t1
  annals process show transfer t1 --output json")]
pub(crate) struct ShowArgs {
    /// The process manager, e.g. `transfer`
    name: String,

    /// The instance, by its id
    instance: Option<String>,

    #[command(flatten)]
    server: ServerArgs,
}

/// Runs the command.
pub(super) fn run(args: &ShowArgs, output: &mut Output) -> Result<(), Failure> {
    let Some(id) = &args.instance else { return show_process(args, output) };
    let path = super::path(&args.name).join("instances").join(id);
    let answer = super::send(&args.server, Call::get(path))?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let instance: Instance = answer.json()?;
    print_instance(&args.name, &instance, output)
}

fn show_process(args: &ShowArgs, output: &mut Output) -> Result<(), Failure> {
    let name = &args.name;
    let (answer, streams) = tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        let answer = client.send(Call::get(super::path(name))).await?;
        let streams = super::streams(&mut client, name).await?;
        Ok::<_, Failure>((answer, streams))
    })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let process: Process = answer.json()?;
    print_process(&process, output)?;
    print_streams(&streams, output)?;
    if process.parked_count > 0 {
        output.note(format_args!(
            "\nSee the parked instances:\n  annals process list {name} --state parked"
        ));
    } else if process.stuck_count > 0 {
        output.note(format_args!(
            "\nSee the instances that do not get on:\n  annals process list {name} --state stuck"
        ));
    }
    if let Some(first) = streams.first() {
        output.note(format_args!(
            "\nWhen the cause is mended:\n  annals process replay {name} --stream {}",
            first.stream
        ));
    }
    Ok(())
}

fn print_process(process: &Process, output: &mut Output) -> Result<(), Failure> {
    output.heading(format_args!("{} {}", process.name, process.version))?;
    let attempts =
        process.attempts.map(|it| format!(", {} in a row", text::count(it.into(), "failure")));
    let mut said = vec![
        ("content", process.digest.clone()),
        ("phase", format!("{}{}", process.phase, attempts.unwrap_or_default())),
    ];
    said.extend(process.cause.as_deref().map(|cause| ("cause", first_line(cause).to_owned())));
    said.extend([
        ("events", text::thousands(process.events_count)),
        ("behind", text::count(process.lag_events, "event")),
        ("running", text::count(process.running_count, "instance")),
        ("sending", text::count(process.sending_count, "instance")),
        ("parked", text::count(process.parked_count, "instance")),
        ("stuck", text::count(process.stuck_count, "instance")),
    ]);
    let place = |position: Option<u64>| {
        position.map_or_else(|| "-".to_owned(), |position| position.to_string())
    };
    let mut rows: Vec<_> =
        said.into_iter().map(|(name, value)| vec![format!("  {name}"), value]).collect();
    rows.extend(process.partitions.iter().map(|it| {
        let at = format!("at {} of {}", place(it.checkpoint), place(it.head));
        vec![format!("  partition {}", it.partition), at]
    }));
    lines(&rows, output)
}

fn print_streams(streams: &[ParkedStream], output: &mut Output) -> Result<(), Failure> {
    if streams.is_empty() {
        return Ok(());
    }
    output.heading("\nstreams that wait")?;
    for stream in streams {
        output.line(format_args!("  {}", stream.event.text()))?;
        print_parked(&stream.parked, output)?;
    }
    Ok(())
}

fn print_instance(name: &str, it: &Instance, output: &mut Output) -> Result<(), Failure> {
    let stuck = if it.is_stuck { ", does not get on" } else { "" };
    output.heading(format_args!("{} of {name}: {}{stuck}", it.id, it.status))?;
    let mut said = vec![
        ("started", it.started_at.clone()),
        ("changed", it.changed_at.clone()),
        ("messages", text::thousands(it.messages_count)),
    ];
    said.extend(it.ended_at.clone().map(|at| ("ended", at)));
    said.extend(it.state.as_ref().map(|state| ("state", state.to_string())));
    said.extend(it.state_base64.clone().map(|state| ("state", format!("base64 {state}"))));
    let row = |(name, value): (&str, String)| vec![format!("  {name}"), value];
    lines(&said.into_iter().map(row).collect::<Vec<_>>(), output)?;
    if !it.timers.is_empty() {
        output.heading("\ntimers")?;
        let row = |it: &super::status::Timer| vec![format!("  {}", it.name), it.due_at.clone()];
        lines(&it.timers.iter().map(row).collect::<Vec<_>>(), output)?;
    }
    print_pending(it, output)?;
    if let Some(parked) = &it.parked {
        output.heading("\nparked")?;
        print_parked(parked, output)?;
    }
    if !it.waiting.is_empty() {
        output.heading("\nwaits to be handled")?;
        for message in &it.waiting {
            output.line(format_args!("  {}", message.text()))?;
        }
    }
    if !it.history.is_empty() {
        output.heading("\nhistory")?;
        for entry in &it.history {
            output.line(format_args!("  {}  {}", entry.at, entry.message.text()))?;
            for led_to in entry.led_to() {
                output.line(format_args!("    -> {led_to}"))?;
            }
        }
    }
    if it.parked.is_some() {
        output.note(format_args!(
            "\nWhen the cause is mended:\n  annals process replay {name} {}",
            quoted(&it.id)
        ));
    }
    Ok(())
}

fn print_pending(it: &Instance, output: &mut Output) -> Result<(), Failure> {
    if it.pending.is_empty() {
        return Ok(());
    }
    output.heading("\ncommands on the way")?;
    for (number, sent) in it.pending.iter().enumerate() {
        let behind = if number == 0 { "" } else { ", after the one above" };
        let (command, target, wanted_at) = (&sent.command, &sent.target, &sent.wanted_at);
        output.line(format_args!("  {command} to {target}, wanted {wanted_at}{behind}"))?;
        if let Some(data) = &sent.data {
            output.line(format_args!("    data  {data}"))?;
        }
        output.line(format_args!("    id    {}", sent.command_id))?;
    }
    Ok(())
}

fn print_parked(parked: &Parked, output: &mut Output) -> Result<(), Failure> {
    output.line(format_args!("    since  {}", parked.parked_at))?;
    if let Some(asked) = &parked.asked {
        output.line(format_args!("    asked  {asked}"))?;
    }
    parked.cause.lines().enumerate().try_for_each(|(number, line)| {
        let name = if number == 0 { "cause" } else { "" };
        output.line(format_args!("    {name:<5}  {line}"))
    })
}

fn lines(rows: &[Vec<String>], output: &mut Output) -> Result<(), Failure> {
    text::table(rows).into_iter().try_for_each(|line| output.line(line))
}

/// A word of a command line, as a shell reads it.
pub(super) fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:@".contains(c);
    if !word.is_empty() && !word.starts_with('-') && word.chars().all(is_plain) {
        return word.to_owned();
    }
    format!("'{}'", word.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::quoted;

    #[test]
    fn a_hint_can_be_copied_whatever_an_instance_is_called() {
        // Guards hints against ids that a shell would read otherwise.
        let cases =
            [("t1", "t1"), ("account/a", "account/a"), ("a b", "'a b'"), ("it's", r"'it'\''s'")];
        for (id, expected) in cases {
            assert_eq!(quoted(id), expected);
        }
    }
}
