//! The client: what it sends, how long it waits, and what it reads in between.

use std::cell::RefCell;
use std::time::Duration;

use annals_core::commit::Commit;
use annals_core::event::{NewEvent, Origin};
use annals_core::id::{CommandId, EventId};
use annals_core::name::{CommandName, EventType, PluginName, TableName};
use annals_core::place::{ExpectedRevision, Partition, Position, Revision};
use annals_core::port::event_store::AppendError;
use annals_core::stream::StreamId;
use annals_core::time::Clock as _;
use annals_engine::Engine;
use annals_engine::command::{CommandError, CommandRequest};
use annals_engine::state::StateError;
use annals_engine::view::{ViewError, WaitFor};
use annals_store_memory::faulty::Random;
use anyhow::{Context as _, bail};
use bytes::Bytes;
use futures_util::future::join_all;
use uuid::Uuid;

use crate::guest::{ADDED, AGGREGATES, COMMANDS, PROJECTION, SUMS};
use crate::ledger::{AppendAnswer, Fate, Ledger, SentAppend, SentCommand};
use crate::world::World;

/// How long a client waits that waits for an answer; virtual time. More means that there is none.
const ANSWER_WAIT: Duration = Duration::from_secs(3_600);

/// How many streams each aggregate has.
const STREAMS_COUNT: u64 = 3;

/// Sends some commands at once, new ones and repeats, and notes what is told of each.
pub(crate) async fn send_commands(
    world: &mut World,
    hosts: &[Engine],
    random: &mut Random,
) -> anyhow::Result<()> {
    let mut sendings = Vec::new();
    for _ in 0..1 + random.below(5) {
        let sent_count = u64::try_from(world.ledger.commands.len())?;
        let index = if sent_count > 0 && random.happens(300) {
            usize::try_from(random.below(sent_count))?
        } else {
            let number = world.ledger.commands.len();
            world.ledger.commands.push(new_command(number, random)?);
            number
        };
        let patience = random.happens(100).then(|| Duration::from_millis(random.below(80)));
        let delay = Duration::from_millis(random.below(10));
        sendings.push((index, delay, patience, pick(hosts, random)?));
    }
    let ledger = RefCell::new(&mut world.ledger);
    let sendings = sendings.into_iter().map(async |(index, delay, patience, engine)| {
        tokio::time::sleep(delay).await;
        send(&ledger, engine, index, patience).await
    });
    join_all(sendings).await.into_iter().collect()
}

/// The host that a client asks.
pub(crate) fn pick<'a>(hosts: &'a [Engine], random: &mut Random) -> anyhow::Result<&'a Engine> {
    let index = usize::try_from(random.below(u64::try_from(hosts.len())?))?;
    hosts.get(index).context("no host")
}

/// Sends everything again that may be recorded without the client knowing, until it knows.
pub(crate) async fn clear_up(world: &mut World, engine: &Engine) -> anyhow::Result<()> {
    let ledger = RefCell::new(&mut world.ledger);
    let commands_count = ledger.borrow().commands.len();
    for index in 0..commands_count {
        let is_open = ledger.borrow().commands.get(index).is_some_and(|sent| sent.fate.is_open());
        if is_open {
            send(&ledger, engine, index, None).await?;
        }
    }
    let appends_count = world.ledger.appends.len();
    for index in 0..appends_count {
        if world.ledger.appends.get(index).is_some_and(|sent| sent.fate.is_open()) {
            append(world, engine, index).await?;
        }
    }
    Ok(())
}

async fn send(
    ledger: &RefCell<&mut Ledger>,
    engine: &Engine,
    index: usize,
    patience: Option<Duration>,
) -> anyhow::Result<()> {
    let request = {
        let mut ledger = ledger.borrow_mut();
        ledger.command_goes_out(index);
        ledger.commands.get(index).context("a command that is not there")?.request.clone()
    };
    let wait = patience.unwrap_or(ANSWER_WAIT);
    let answer = tokio::time::timeout(wait, engine.execute(request)).await.ok();
    if answer.is_none() && patience.is_none() {
        bail!("command {index} has no answer");
    }
    ledger.borrow_mut().note_command(index, answer)
}

pub(crate) fn new_command(number: usize, random: &mut Random) -> anyhow::Result<SentCommand> {
    let command_id = Uuid::from_u64_pair(u64::try_from(number)?, random.next());
    let kind = match random.below(20) {
        0..=9 => 0,
        10..=12 => 1,
        13 => 2,
        14..=16 => 3,
        17..=18 => 4,
        _ => 5,
    };
    let amount = match kind {
        0 => i64::try_from(random.below(20))? - 8,
        1 => i64::try_from(random.below(5))?,
        _ => i64::try_from(random.below(3))?,
    };
    let command = COMMANDS.get(kind).context("no such command")?;
    let aggregate = if random.happens(500) { AGGREGATES[0] } else { AGGREGATES[1] };
    let expected = match random.below(10) {
        0 => ExpectedRevision::Exactly(Revision::new(random.below(12))),
        1 => ExpectedRevision::StreamExists,
        _ => ExpectedRevision::Any,
    };
    let id = CommandId::new(command_id);
    let request = CommandRequest {
        aggregate: PluginName::new(aggregate)?,
        id: random.below(STREAMS_COUNT).to_string(),
        command: CommandName::new(command)?,
        data: Bytes::from(amount.to_string()),
        command_id: Some(id),
        id_is_new: false,
        expected,
        origin: Origin::default(),
    };
    Ok(SentCommand { request, id, fate: Fate::default() })
}

/// Appends an event with an id of the client's to a stream of its own or, as another host would, to
/// one of an aggregate; now and then an older one again.
pub(crate) async fn append_plain(
    world: &mut World,
    engine: &Engine,
    random: &mut Random,
) -> anyhow::Result<()> {
    let sent_count = world.ledger.appends.len();
    let is_repeat = sent_count > 0 && random.happens(400);
    let index = if is_repeat {
        usize::try_from(random.below(u64::try_from(sent_count)?))?
    } else {
        let category = if random.happens(500) { "note" } else { AGGREGATES[0] };
        world.ledger.appends.push(SentAppend {
            stream: StreamId::parse(&format!("{category}/{}", random.below(STREAMS_COUNT)))?,
            id: EventId::new(Uuid::from_u64_pair(random.next(), u64::try_from(sent_count)?)),
            number: i64::try_from(random.below(100))?,
            fate: Fate::default(),
        });
        sent_count
    };
    append(world, engine, index).await
}

async fn append(world: &mut World, engine: &Engine, index: usize) -> anyhow::Result<()> {
    world.ledger.append_goes_out(index);
    let sent = world.ledger.appends.get(index).context("an append that is not there")?;
    let event = NewEvent {
        id: Some(sent.id),
        ..NewEvent::json(EventType::new(ADDED)?, sent.number.to_string())
    };
    let (stream, now) = (sent.stream.clone(), world.clock.now());
    let commit = Commit::plain(stream, ExpectedRevision::Any, vec![event], now);
    let answer = match engine.store().append(commit).await {
        Ok(accepted) => match accepted.durability.wait().await {
            Ok(()) => AppendAnswer::Told(accepted.receipt),
            Err(_) => AppendAnswer::Unknown,
        },
        Err(AppendError::Unavailable(_)) => AppendAnswer::Refused,
        Err(AppendError::OutcomeUnknown(_)) => AppendAnswer::Unknown,
        Err(error) => bail!("append {index}: {error}"),
    };
    world.ledger.note_append(index, answer)
}

/// Asks for the state of a stream and compares it with its events.
pub(crate) async fn read_state(
    world: &World,
    engine: &Engine,
    random: &mut Random,
) -> anyhow::Result<()> {
    let name = if random.happens(500) { AGGREGATES[0] } else { AGGREGATES[1] };
    let id = random.below(STREAMS_COUNT).to_string();
    let state = match engine.state(&PluginName::new(name)?, &id).await {
        Ok(state) => state,
        Err(StateError::NoStream { .. } | StateError::Command(CommandError::Unavailable(_))) => {
            return Ok(());
        }
        Err(error) => bail!("the state of {name}/{id}: {error}"),
    };
    let log = world.log().await?;
    let events = log
        .events()
        .filter(|event| event.stream == state.stream && Some(event.revision) <= state.revision.0);
    let sum: i64 = events.filter_map(|event| crate::guest::number_of(&event.data)).sum();
    let shown = String::from_utf8_lossy(&state.data).into_owned();
    anyhow::ensure!(shown == sum.to_string(), "{name}/{id} is {shown}, its events say {sum}");
    Ok(())
}

/// Reads a row of the view, now and then after waiting for the head.
pub(crate) async fn read_view(
    world: &World,
    engine: &Engine,
    random: &mut Random,
) -> anyhow::Result<()> {
    let heads: Vec<(Partition, Position)> = world.log().await?.heads().collect();
    let head = heads.get(usize::try_from(random.below(u64::try_from(heads.len())?))?);
    let head = head.filter(|_| random.happens(500));
    let wait = head.map(|(partition, position)| WaitFor {
        partition: *partition,
        position: *position,
        wait: Duration::from_millis(200),
    });
    let key = format!("{}/{}", AGGREGATES[0], random.below(STREAMS_COUNT));
    match view_row(engine, &key, wait).await {
        Ok(()) | Err(ViewError::NotReached { .. } | ViewError::State(_)) => Ok(()),
        Err(error) => bail!("the row `{key}`: {error}"),
    }
}

/// Waits until a host shows the view with everything that is durable.
pub(crate) async fn reach_heads(world: &World, engine: &Engine) -> anyhow::Result<()> {
    for (partition, position) in world.log().await?.heads() {
        let wait = Some(WaitFor { partition, position, wait: ANSWER_WAIT });
        view_row(engine, "none", wait).await.context("the view does not catch up")?;
    }
    Ok(())
}

async fn view_row(engine: &Engine, key: &str, wait: Option<WaitFor>) -> Result<(), ViewError> {
    let names = (PluginName::new(PROJECTION), TableName::new(SUMS));
    let (Ok(projection), Ok(table)) = names else {
        return Err(ViewError::Stopping);
    };
    engine.view_row(&projection, &table, key.as_bytes(), wait).await.map(drop)
}

/// Tells the bus where the heads are, as a host does after commits.
pub(crate) async fn wake(world: &World, bus: &dyn annals_core::port::Bus) -> anyhow::Result<()> {
    for (partition, head) in world.log().await?.heads() {
        // The bus may fail at any time: the store is the truth.
        drop(bus.wake(partition, head).await);
    }
    Ok(())
}
