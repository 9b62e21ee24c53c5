//! The process manager of the simulation, native: it follows wallets, and sends to tills.
//!
//! An event of `wallet/<id>` concerns the instance `all-<id>`, which never ends and whose state is a line
//! per message it has handled; now and then also `one-<id>-<revision>`, which ends with the reply to its
//! only command. What a message leads to is a plain function, so that the check can play it again.

use std::fmt::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use annals_core::columns::EventBatch;
use annals_core::plugin::{Context, GivenEvent, GuestTimer, Outgoing, Reaction, Reply};
use annals_core::port::guest::{GuestFailure, ProcessManagerGuest};
use annals_core::time::Timestamp;
use uuid::Uuid;

use crate::guest::{AGGREGATES, number_of, numbers, trap};

/// The process manager.
pub(crate) const COURIER: &str = "courier";

/// Who its commands are sent by.
pub(crate) const PRINCIPAL: &str = "process-manager/courier";

/// The category whose events it follows.
pub(crate) const FOLLOWED: &str = AGGREGATES[0];

/// The aggregate that takes its commands.
pub(crate) const TARGET: &str = AGGREGATES[1];

/// Its commands, in the order of their indexes.
pub(crate) const SENT: [&str; 2] = ["add", "trap"];

/// The name of its timers.
const TIMER: &str = "later";

/// Whether it can handle everything; shared by all hosts.
#[derive(Debug, Default)]
pub(crate) struct Mood {
    is_bad: AtomicBool,
}

impl Mood {
    /// From now on it cannot handle everything.
    pub(crate) fn turn_bad(&self) {
        self.is_bad.store(true, Ordering::Relaxed);
    }

    /// From now on it handles everything.
    pub(crate) fn turn_good(&self) {
        self.is_bad.store(false, Ordering::Relaxed);
    }

    fn is_bad(&self) -> bool {
        self.is_bad.load(Ordering::Relaxed)
    }
}

/// What a message leads to.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Wish {
    /// Commands and their numbers.
    pub(crate) commands: Vec<(&'static str, i64)>,
    /// A timer is started, in place of the one before.
    pub(crate) starts_timer: bool,
    /// The timer is cancelled.
    pub(crate) cancels_timer: bool,
    /// The instance ends.
    pub(crate) ends: bool,
}

/// A message that was handled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Note {
    /// An event with this number.
    Event(Uuid, i64),
    /// A timer.
    Timer(Uuid),
    /// What became of the command of this id and number.
    Reply(Uuid, i64, Said),
}

/// What became of a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Said {
    Accepted,
    Rejected,
    Failed,
}

impl Said {
    pub(crate) const fn of(reply: &Reply) -> Self {
        match reply {
            Reply::Accepted => Self::Accepted,
            Reply::Rejected { .. } => Self::Rejected,
            Reply::Failed { .. } => Self::Failed,
        }
    }

    const fn letter(self) -> &'static str {
        match self {
            Self::Accepted => "a",
            Self::Rejected => "r",
            Self::Failed => "f",
        }
    }

    fn parse(letter: &str) -> Option<Self> {
        [Self::Accepted, Self::Rejected, Self::Failed].into_iter().find(|it| it.letter() == letter)
    }
}

impl Note {
    /// Adds it to a state.
    fn write(self, state: &mut String) {
        let line = match self {
            Self::Event(id, number) => format!("event {id} {number}"),
            Self::Timer(id) => format!("timer {id}"),
            Self::Reply(id, number, said) => format!("reply {id} {number} {}", said.letter()),
        };
        // A text takes any line.
        writeln!(state, "{line}").unwrap_or_default();
    }

    /// Reads a line of a state.
    fn parse(line: &str) -> Option<Self> {
        let mut words = line.split(' ');
        let kind = words.next()?;
        let id = words.next()?.parse().ok()?;
        match kind {
            "event" => Some(Self::Event(id, words.next()?.parse().ok()?)),
            "timer" => Some(Self::Timer(id)),
            "reply" => {
                Some(Self::Reply(id, words.next()?.parse().ok()?, Said::parse(words.next()?)?))
            }
            _ => None,
        }
    }
}

/// All that an instance has handled, from its state; `None`: it is no state of here.
pub(crate) fn notes(state: &[u8]) -> Option<Vec<Note>> {
    std::str::from_utf8(state).ok()?.lines().map(Note::parse).collect()
}

/// Whom an event concerns.
pub(crate) fn concerned(stream: &str, revision: u64, number: i64) -> Vec<String> {
    let Some((FOLLOWED, id)) = stream.split_once('/') else { return Vec::new() };
    let mut instances = vec![format!("all-{id}")];
    if number.rem_euclid(8) == 1 {
        instances.push(format!("one-{id}-{revision}"));
    }
    instances
}

/// The till that an instance sends to.
pub(crate) fn target_of(instance: &str) -> &str {
    instance.split('-').nth(1).unwrap_or_default()
}

fn is_of_one(instance: &str) -> bool {
    instance.starts_with("one-")
}

/// What a message leads to. `number` is that of the event, or of the command that was answered.
pub(crate) fn leads_to(instance: &str, note: Note) -> Wish {
    let is_of_one = is_of_one(instance);
    let commands =
        |commands: &[(&'static str, i64)]| Wish { commands: commands.to_vec(), ..Wish::default() };
    match note {
        Note::Event(..) if is_of_one => Wish { starts_timer: true, ..commands(&[("add", 1)]) },
        Note::Event(_, number) => match number.rem_euclid(8) {
            2 => commands(&[("add", 1)]),
            3 => commands(&[("add", -5), ("add", 2)]),
            4 => Wish { starts_timer: true, ..Wish::default() },
            5 => Wish { cancels_timer: true, ..Wish::default() },
            6 => commands(&[("trap", 0), ("add", 4)]),
            7 => commands(&[("add", 3)]),
            _ => Wish::default(),
        },
        Note::Timer(_) if is_of_one => Wish::default(),
        Note::Timer(_) => commands(&[("add", 1)]),
        Note::Reply(..) if is_of_one => Wish { ends: true, ..Wish::default() },
        // What was too much is made good.
        Note::Reply(_, -5, Said::Rejected) => commands(&[("add", 3)]),
        Note::Reply(..) => Wish::default(),
    }
}

/// The guest.
#[derive(Debug)]
pub(crate) struct Courier {
    pub(crate) mood: Arc<Mood>,
}

impl Courier {
    fn react(instance: &str, state: Option<&[u8]>, note: Note, now: Timestamp) -> Reaction {
        let wish = leads_to(instance, note);
        let mut notes =
            state.and_then(|it| std::str::from_utf8(it).ok()).unwrap_or_default().to_owned();
        note.write(&mut notes);
        let index = |name: &str| SENT.iter().position(|it| *it == name).unwrap_or_default();
        let outgoing = |(name, number): (&str, i64)| Outgoing {
            target_id: target_of(instance).to_owned(),
            command_type: u32::try_from(index(name)).unwrap_or_default(),
            data: number.to_string().into_bytes(),
        };
        let due_at = Timestamp::from_ms(now.ms().saturating_add(2_000));
        let timer = GuestTimer { name: TIMER.to_owned(), due_at, data: Vec::new() };
        Reaction {
            state: (!wish.ends).then(|| notes.into_bytes()),
            commands: wish.commands.into_iter().map(outgoing).collect(),
            start_timers: wish.starts_timer.then_some(timer).into_iter().collect(),
            cancel_timers: wish.cancels_timer.then(|| TIMER.to_owned()).into_iter().collect(),
        }
    }
}

impl ProcessManagerGuest for Courier {
    fn correlate(&mut self, events: &EventBatch) -> Result<Vec<Vec<String>>, GuestFailure> {
        let numbers = numbers(events.data.ends(), events.data.bytes());
        let numbers = numbers.ok_or_else(|| trap("correlate", "an event is not a number"))?;
        let mut said = Vec::new();
        for ((number, stream), revision) in
            numbers.into_iter().zip(&events.stream_indexes).zip(&events.revisions)
        {
            let stream = usize::try_from(*stream).ok().and_then(|index| events.streams.get(index));
            let stream = stream.ok_or_else(|| trap("correlate", "no such stream"))?;
            let instances = concerned(stream, revision.get(), number);
            if !instances.is_empty() && self.mood.is_bad() && number.rem_euclid(16) == 15 {
                return Err(trap("correlate", "in a bad mood"));
            }
            said.push(instances);
        }
        Ok(said)
    }

    fn on_event(
        &mut self,
        context: &Context,
        instance: &str,
        state: Option<&[u8]>,
        event: &GivenEvent<'_>,
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        let number = number_of(event.data).ok_or_else(|| trap("on-event", "not a number"))?;
        if self.mood.is_bad() && number.rem_euclid(8) == 7 {
            return Ok(Err("in a bad mood".to_owned()));
        }
        let note = Note::Event(context.message_id, number);
        Ok(Ok(Self::react(instance, state, note, context.now)))
    }

    fn on_timer(
        &mut self,
        context: &Context,
        instance: &str,
        state: &[u8],
        fired: &GuestTimer,
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        if context.now < fired.due_at {
            return Ok(Err("too early".to_owned()));
        }
        let note = Note::Timer(context.message_id);
        Ok(Ok(Self::react(instance, Some(state), note, context.now)))
    }

    fn on_reply(
        &mut self,
        context: &Context,
        instance: &str,
        state: &[u8],
        (sent, reply): (&Outgoing, &Reply),
    ) -> Result<Result<Reaction, String>, GuestFailure> {
        let number = number_of(&sent.data).ok_or_else(|| trap("on-reply", "not a number"))?;
        let note = Note::Reply(context.message_id, number, Said::of(reply));
        Ok(Ok(Self::react(instance, Some(state), note, context.now)))
    }
}
