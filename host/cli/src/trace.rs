//! `annals trace`: what one request led to, as a tree.

mod tree;

use std::io::IsTerminal as _;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;
use crate::text::thousands;
use tree::{Commit, Tree};

/// Show what one request led to: commands, their events, and what those led to
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The correlation id is in the answer to a command and in every event, as `correlation_id`; who sends
commands may choose it, with `--correlation-id` or the header `x-correlation-id`. Times below the first
line of a tree are counted from it. Exit code 1 means that nothing was found.

The store is read from the time in the id on, when it is a UUID that a host made, and else from its
beginning, which may take long. With `--output json`, what was recorded together is one line.

Examples:
  annals trace 0191e2c4-7d1a-7b3e-9c55-3f1f0a4f2b10
  annals trace order-4711 --since 2026-11-21
  annals trace order-4711 --since all --output json")]
pub(crate) struct TraceArgs {
    /// The id that a request and all that it led to share
    correlation_id: String,

    /// Look at what was recorded from this time on: `2026-11-21`, `2026-11-21T09:30:00Z`, or `all`
    #[arg(long, value_name = "TIME", value_parser = since)]
    since: Option<Since>,

    #[command(flatten)]
    server: ServerArgs,
}

/// A time as the API takes it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Since(String);

/// Reads a day or a time in UTC, or `all`.
fn since(text: &str) -> Result<Since, String> {
    let whole = match text {
        "all" => "1970-01-01T00:00:00.000Z".to_owned(),
        day if !day.contains('T') => format!("{day}T00:00:00.000Z"),
        time => match time.strip_suffix('Z') {
            Some(seconds) if !seconds.contains('.') => format!("{seconds}.000Z"),
            _ => time.to_owned(),
        },
    };
    match whole.parse::<annals_core::time::Timestamp>() {
        Ok(time) => Ok(Since(time.to_string())),
        Err(_) => {
            Err("write a day like `2026-11-21`, a time in UTC like `2026-11-21T09:30:00Z`, or \
                       `all`"
                .to_owned())
        }
    }
}

/// Most commits and events that a tree is made of: a page that a person could read is far smaller.
const ENTRIES_MAX: usize = 100_000;

#[derive(Debug, Deserialize)]
struct Page {
    since: Option<String>,
    commits: Vec<Box<RawValue>>,
    commits_looked_at: u64,
    next: Option<String>,
}

/// Runs the command.
pub(crate) fn run(args: &TraceArgs, output: &mut Output) -> Result<(), Failure> {
    if args.correlation_id.is_empty() {
        return Err(Failure::yours("the correlation id is empty"));
    }
    let mut found = Found::default();
    let looked = tasks::run_here(look(args, &mut found, output));
    if found.is_progress_shown {
        output.progress("");
    }
    looked?;
    if found.commits_count == 0 {
        return Err(nothing(&args.correlation_id, found.since.as_deref(), found.looked_at));
    }
    if found.is_cut {
        output.warning(format_args!(
            "there is more than {} commits and events; this is only the beginning. All of it is \
             printed with `--output json`",
            thousands(u64::try_from(ENTRIES_MAX).unwrap_or(u64::MAX))
        ));
    }
    for line in Tree::new(found.commits).lines() {
        output.line(line)?;
    }
    Ok(())
}

#[derive(Debug, Default)]
struct Found {
    /// What a tree is made of; empty when JSON is printed.
    commits: Vec<Commit>,
    entries_count: usize,
    commits_count: u64,
    looked_at: u64,
    since: Option<String>,
    /// Whether there is more than a tree is made of.
    is_cut: bool,
    is_progress_shown: bool,
}

impl Found {
    fn add(&mut self, json: &RawValue) -> Result<(), Failure> {
        let commit: Commit = serde_json::from_str(json.get())
            .map_err(|error| Failure::ours(format!("a commit does not fit: {error}")))?;
        self.entries_count += 1 + commit.events_count();
        self.commits.push(commit);
        self.is_cut = self.entries_count > ENTRIES_MAX;
        Ok(())
    }
}

/// Looks through the store, page by page.
async fn look(args: &TraceArgs, found: &mut Found, output: &mut Output) -> Result<(), Failure> {
    let path = ApiPath::new("/v1/correlations").join(&args.correlation_id);
    let path = path.query("since", args.since.as_ref().map(|since| &since.0));
    let mut client = Client::connect(&args.server).await?;
    // Lines of JSON tell how far it is.
    let is_seen = !output.is_json() && std::io::stderr().is_terminal();
    let mut from = None;
    loop {
        let call = Call::get(path.clone().query("from", from.as_ref()));
        let page: Page = client.send(call).await?.json()?;
        found.looked_at = found.looked_at.saturating_add(page.commits_looked_at);
        found.since = page.since;
        for commit in &page.commits {
            found.commits_count += 1;
            if output.is_json() {
                output.line(commit)?;
            } else {
                found.add(commit)?;
            }
        }
        from = page.next;
        if from.is_none() || found.is_cut {
            return Ok(());
        }
        if is_seen {
            // Once per page, which takes about a second.
            let (count, all) = (thousands(found.commits_count), thousands(found.looked_at));
            output.progress(format_args!("looked at {all} commits, {count} of them belong to it"));
            found.is_progress_shown = true;
        }
    }
}

fn nothing(correlation_id: &str, since: Option<&str>, looked_at: u64) -> Failure {
    let looked_at = thousands(looked_at);
    let (where_, further) = match since {
        Some(since) => (
            format!("since {since} ({looked_at} commits were looked at)"),
            ", or look further back with `--since all`",
        ),
        None => (format!("in all {looked_at} commits"), ""),
    };
    Failure::yours(format!(
        "nothing is recorded with the correlation id `{correlation_id}` {where_}"
    ))
    .with_hint(format!(
        "the answer to a command and every event have it as `correlation_id`{further}"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tree_is_made_of_so_much_and_says_when_there_is_more() {
        // Guards memory against an id that everybody sends.
        let event = r#"{"id":"e","stream":"s/1","revision":0,"type":"happened"}"#;
        let events = vec![event; 999].join(",");
        let commit = format!(r#"{{"recorded_at":"2026-11-20T09:30:00.000Z","events":[{events}]}}"#);
        let commit = RawValue::from_string(commit).unwrap();
        let mut found = Found::default();
        for _ in 0..100 {
            found.add(&commit).unwrap();
        }
        assert_eq!((found.entries_count, found.is_cut), (ENTRIES_MAX, false));
        found.add(&commit).unwrap();
        assert!(found.is_cut);
    }

    #[test]
    fn a_time_may_be_a_day_a_time_or_all() {
        // Guards what people type, and that nothing is taken for another time.
        for (text, whole) in [
            ("2026-11-21", "2026-11-21T00:00:00.000Z"),
            ("2026-11-21T09:30:00Z", "2026-11-21T09:30:00.000Z"),
            ("2026-11-21T09:30:00.125Z", "2026-11-21T09:30:00.125Z"),
            ("all", "1970-01-01T00:00:00.000Z"),
        ] {
            assert_eq!(since(text), Ok(Since(whole.to_owned())));
        }
        for bad in
            ["", "today", "1h", "2026-02-30", "2026-11-21T09:30:00", "2026-11-21T09:30:00+01:00"]
        {
            assert!(since(bad).is_err(), "{bad}");
        }
    }
}
