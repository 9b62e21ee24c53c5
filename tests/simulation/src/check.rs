//! What must hold after every step, every start and at the end.

use std::collections::{BTreeMap, HashMap};

use annals_core::command::{CommandRecord, Outcome};
use annals_core::commit::{Commit, RecordedCommit};
use annals_core::event::RecordedEvent;
use annals_core::id::{CommandId, EventId};
use annals_core::invariants;
use annals_core::place::{ActualRevision, ExpectedRevision, Partition, Position};
use annals_core::plugin::Refusal;
use annals_core::port::event_store::Capabilities;
use annals_core::port::state_store::{KeyRange, StateSpace};
use annals_core::port::{StateStore, StateStores as _};
use annals_core::stream::StreamId;
use annals_engine::command::{CommandOutcome, Verdict};
use anyhow::{Context as _, ensure};

use crate::guest::{self, SEEN, SUMS};
use crate::ledger::{Ledger, SentAppend, SentCommand};
use crate::processes;
use crate::world::{Log, PartitionLog, World};

/// Checks all that holds at any time.
pub(crate) async fn all(world: &mut World) -> anyhow::Result<()> {
    let log = world.log().await?;
    let is_kept = log.commits.starts_with(&world.known);
    ensure!(is_kept, "durable commits changed or went away");
    check_log(&log)?;
    check_decisions(&log.commits)?;
    check_claims(&log.commits)?;
    check_ledger(&log, &world.ledger)?;
    processes::check_log(&log).context("process managers")?;
    check_view(world, &log).await.context("the view")?;
    world.known = log.commits;
    Ok(())
}

/// Checks what holds at the end: nothing is open, and the view has every event.
pub(crate) async fn is_complete(world: &World) -> anyhow::Result<()> {
    let log = world.log().await?;
    // What may be recorded and was refused in the end is open for ever; it is not there.
    let recorded = commands_by_id(&log.commits);
    for sent in world.ledger.commands.iter().filter(|sent| sent.fate.is_open()) {
        ensure!(!recorded.contains_key(&sent.id), "command {} is there and not told", sent.id);
    }
    let open_append = world.ledger.appends.iter().find(|sent| sent.fate.is_open());
    ensure!(open_append.is_none(), "an append is still not told: {open_append:?}");
    for PartitionLog { partition, feed, .. } in &log.partitions {
        let head = feed.iter().rfind(|event| !event.stream.is_system());
        let checkpoint = checkpoint(world, *partition).await?;
        ensure!(checkpoint == head.map(|event| event.position), "the view is not at the head");
    }
    ensure!(world.store.not_durable_count() == 0, "an engine that stopped left something open");
    Ok(())
}

/// The invariants of a log: places, times, ids, and feeds and commits saying the same.
fn check_log(log: &Log) -> anyhow::Result<()> {
    for PartitionLog { partition, commits, feed } in &log.partitions {
        let home = |it: &&RecordedCommit| {
            it.commit.home().map(|stream| log.capabilities.partition_of(stream))
        };
        let accepted = log.commits.iter().filter(|it| home(it) == Some(*partition));
        ensure!(accepted.eq(commits), "commits of partition {partition} are out of order");
        ensure!(invariants::commits_are_dense(commits), "commits or positions have a hole");
        ensure!(invariants::positions_increase(None, feed), "positions of the feed go back");
        ensure!(invariants::feed_agrees_with_streams(feed), "a stream's revisions have a hole");
        ensure!(invariants::times_never_go_back(feed), "times of the feed go back");
        ensure!(invariants::feed_holds_commits(feed, commits), "feed and commits differ");
    }
    let events: Vec<RecordedEvent> = log.events().cloned().collect();
    ensure!(invariants::events_are_distinct(&events), "an event is there twice");
    ensure!(invariants::commands_are_distinct(&log.commits), "a command was decided twice");
    Ok(())
}

/// Every recorded decision follows from the events before it: no aggregate decided on a state that
/// lacked one, had one twice, or was ahead of the log.
fn check_decisions(commits: &[RecordedCommit]) -> anyhow::Result<()> {
    let mut sums: HashMap<&StreamId, i64> = HashMap::new();
    for RecordedCommit { number, commit, .. } in commits {
        if let Some(command) = &commit.command {
            let sum = sums.get(&command.stream).copied().unwrap_or_default();
            let is_as_decided = follows(commit, command, sum);
            ensure!(is_as_decided, "commit {number} does not follow from {sum}: {commit:?}");
        }
        for part in commit.streams.iter().filter(|part| !part.stream.is_system()) {
            for event in &part.events {
                let number = guest::number_of(&event.data).context("an event is no number")?;
                *sums.entry(&part.stream).or_default() += number;
            }
        }
    }
    Ok(())
}

fn follows(commit: &Commit, command: &CommandRecord, sum: i64) -> bool {
    let number = guest::number_of(&command.data).unwrap_or_default();
    let decided = guest::decide(sum, command.name.as_str(), number);
    let events = commit.streams.iter().flat_map(|part| &part.events).map(|event| &event.data[..]);
    match (&command.outcome, decided) {
        (Outcome::Accepted, Ok(decision)) => {
            events.eq(decision.events.iter().map(|event| event.data.as_slice()))
                && commit.claims.len() == decision.claims.len()
                && commit.releases.len() == decision.releases.len()
        }
        (Outcome::Rejected(rejection), Err(Refusal::Rejected { code, message, .. })) => {
            *rejection.code == *code && *rejection.message == *message && events.count() == 0
        }
        _ => false,
    }
}

/// No name was given to a stream while another held it.
fn check_claims(commits: &[RecordedCommit]) -> anyhow::Result<()> {
    let mut holders: HashMap<&str, &StreamId> = HashMap::new();
    for RecordedCommit { number, commit, .. } in commits {
        for release in &commit.releases {
            if holders.get(&*release.key) == Some(&&release.stream) {
                holders.remove(&*release.key);
            }
        }
        for claim in &commit.claims {
            let before = holders.insert(&claim.key, &claim.stream);
            let was_free = before.is_none_or(|holder| *holder == claim.stream);
            ensure!(was_free, "commit {number} took a claim from {before:?}");
        }
    }
    Ok(())
}

/// What the client was told is there exactly as told, and what it was told is refused is not there.
fn check_ledger(log: &Log, ledger: &Ledger) -> anyhow::Result<()> {
    let recorded = commands_by_id(&log.commits);
    let mut events_of: HashMap<CommandId, Vec<&RecordedEvent>> = HashMap::new();
    for event in log.events() {
        if let Some(id) = event.command_id {
            events_of.entry(id).or_default().push(event);
        }
    }
    for sent in &ledger.commands {
        let events = events_of.get(&sent.id).map_or(&[] as &[_], Vec::as_slice);
        let recorded = recorded.get(&sent.id).copied();
        check_command(sent, recorded, (events, log.capabilities))
            .with_context(|| format!("command {}", sent.id))?;
    }
    let events: HashMap<EventId, &RecordedEvent> =
        log.events().map(|event| (event.id, event)).collect();
    for sent in &ledger.appends {
        check_append(sent, events.get(&sent.id).copied())
            .with_context(|| format!("append {}", sent.id))?;
    }
    let of_hosts = ledger.schedules.len() + processes::commands_count(log);
    let sent_count = ledger.commands.len() + of_hosts;
    ensure!(recorded.len() <= sent_count, "there are commands that nobody sent");
    Ok(())
}

fn commands_by_id(commits: &[RecordedCommit]) -> HashMap<CommandId, &RecordedCommit> {
    let by_id = commits.iter().filter_map(|recorded| {
        let command = recorded.commit.command.as_ref()?;
        Some((command.id, recorded))
    });
    by_id.collect()
}

fn check_command(
    sent: &SentCommand,
    recorded: Option<&RecordedCommit>,
    (events, capabilities): (&[&RecordedEvent], Capabilities),
) -> anyhow::Result<()> {
    let Some(RecordedCommit { commit, .. }) = recorded else {
        ensure!(sent.fate.told.is_none(), "was acknowledged and is not there");
        return Ok(());
    };
    let may_be_there = sent.fate.told.is_some() || sent.fate.may_be_recorded;
    ensure!(may_be_there, "was refused and is there");
    let command = commit.command.as_ref().context("has no record")?;
    let is_as_sent = command.name == sent.request.command && command.data == sent.request.data;
    ensure!(is_as_sent, "is recorded as {command:?}");
    let Some(told) = &sent.fate.told else { return Ok(()) };
    let mut actual = outcome_of(sent.id, commit, events)?;
    actual.partition = capabilities.partition_of(&actual.stream);
    ensure!(*told == actual, "was told as {told:?} and is recorded as {actual:?}");
    Ok(())
}

/// The outcome of a commit's command, from the log alone, as if in the first partition.
fn outcome_of(
    id: CommandId,
    commit: &Commit,
    own: &[&RecordedEvent],
) -> anyhow::Result<CommandOutcome> {
    let command = commit.command.as_ref().context("has no record")?;
    let part = commit.streams.first().context("names no stream")?;
    let before = match part.expected {
        ExpectedRevision::Exactly(revision) => ActualRevision::from(revision),
        _ => ActualRevision::NO_EVENT,
    };
    ensure!(own.len() == part.events.len(), "has {} events in the feed", own.len());
    let events = own.iter().map(|event| annals_engine::command::OutcomeEvent {
        id: event.id,
        event_type: event.event_type.clone(),
        schema_version: event.schema_version,
        revision: event.revision,
        data: event.data.clone(),
    });
    Ok(CommandOutcome {
        command_id: id,
        correlation_id: commit.origin.correlation_id.clone(),
        stream: command.stream.clone(),
        revision: own.last().map_or(before, |event| event.revision.into()),
        partition: Partition::ZERO,
        position: own.last().map(|event| event.position),
        recorded_at: commit.recorded_at,
        verdict: match &command.outcome {
            Outcome::Accepted => Verdict::Accepted(events.collect()),
            Outcome::Rejected(rejection) => Verdict::Rejected(rejection.clone()),
        },
        is_repeat: false,
    })
}

fn check_append(sent: &SentAppend, recorded: Option<&RecordedEvent>) -> anyhow::Result<()> {
    let Some(event) = recorded else {
        ensure!(sent.fate.told.is_none(), "was acknowledged and is not there");
        return Ok(());
    };
    let may_be_there = sent.fate.told.is_some() || sent.fate.may_be_recorded;
    ensure!(may_be_there, "was refused and is there");
    let is_as_sent = event.stream == sent.stream && event.data == sent.number.to_string();
    ensure!(is_as_sent, "is recorded as {event:?}");
    let Some(told) = &sent.fate.told else { return Ok(()) };
    let range = told.streams.first().and_then(|stream| stream.events).context("has no place")?;
    let place = (range.first_revision, range.first_position, told.recorded_at);
    let actual = (event.revision, event.position, event.recorded_at);
    ensure!(place == actual, "was told to be at {place:?} and is at {actual:?}");
    Ok(())
}

/// The view is the fold of the events up to its checkpoints, each handled once, and no checkpoint is
/// ahead of the log.
async fn check_view(world: &World, log: &Log) -> anyhow::Result<()> {
    let Some(state) = view(world).await? else { return Ok(()) };
    let mut sums: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    let mut seen: BTreeMap<Vec<u8>, i64> = BTreeMap::new();
    let mut checkpoints = Vec::new();
    for PartitionLog { partition, feed, .. } in &log.partitions {
        let checkpoint = checkpoint(world, *partition).await?;
        let head = feed.last().map(|event| event.position);
        ensure!(checkpoint <= head, "its checkpoint {checkpoint:?} is ahead of {head:?}");
        let handled = feed.iter().filter(|event| Some(event.position) <= checkpoint);
        for event in handled.filter(|event| !event.stream.is_system()) {
            let number = guest::number_of(&event.data).context("an event is no number")?;
            *sums.entry(event.stream.as_str().as_bytes().to_vec()).or_default() += number;
            seen.insert(guest::place_key(*partition, event.position), 1);
        }
        checkpoints.push(checkpoint);
    }
    for (table, expected) in [(SUMS, sums), (SEEN, seen)] {
        let mut rows = BTreeMap::new();
        for row in state.scan(table, KeyRange::default(), usize::MAX).await? {
            let number = guest::number_of(&row.value).context("a row is no number")?;
            rows.insert(row.key.to_vec(), number);
        }
        ensure!(
            rows == expected,
            "table `{table}` is not the fold of its events up to {checkpoints:?}: {rows:?}, not \
             {expected:?}"
        );
    }
    Ok(())
}

/// The stored checkpoint of the view.
async fn checkpoint(world: &World, partition: Partition) -> anyhow::Result<Option<Position>> {
    let Some(state) = view(world).await? else { return Ok(None) };
    let key = format!("partition-{partition}");
    let Some(value) = state.get("$checkpoint", key.as_bytes()).await? else { return Ok(None) };
    let value: serde_json::Value = serde_json::from_slice(&value)?;
    Ok(value.get("position").and_then(serde_json::Value::as_u64).map(Position::new))
}

async fn view(world: &World) -> anyhow::Result<Option<std::sync::Arc<dyn StateStore>>> {
    let spaces = world.states.list().await?;
    let view = spaces.iter().find(|space| matches!(space, StateSpace::View { .. }));
    match view {
        Some(view) => Ok(Some(world.states.open(view).await?)),
        None => Ok(None),
    }
}
