//! Given an instance, when an event, a timer or a reply, then commands, timers and a state.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::marker::PhantomData;

use super::aggregate::expect;
use super::{NOW_MS, context};
use crate::bindings::annals::plugin::types;
use crate::bindings::exports::annals::plugin::process_manager as wire;
use crate::runtime::aggregate::lower_event;
use crate::runtime::process::{
    correlate_batch, handle_event, handle_reply, handle_timer, lift_outgoing,
};
use crate::{Message as _, ProcessContext, ProcessManager, Reply, Sent, trap_because};

/// An instance that has not begun. Name the process manager: `given_instance::<Transfer>("t1")`.
///
/// What [`when_event`](Instance::when_event), [`when_timer`](Instance::when_timer) and
/// [`when_reply`](Instance::when_reply) lead to is kept as the host keeps it: state, timers, and commands
/// that wait for their answer.
pub fn given_instance<P: ProcessManager>(instance: impl Into<String>) -> Instance<P> {
    Instance {
        id: instance.into(),
        call: context(),
        revisions: BTreeMap::new(),
        state: None,
        timers: BTreeMap::new(),
        unanswered: VecDeque::new(),
        latest: Latest { reaction: None, refusal: None },
        process_manager: PhantomData,
    }
}

/// The instances that an event of `stream_id` concerns.
#[must_use]
#[track_caller]
pub fn instances_of<P: ProcessManager>(stream_id: &str, event: &P::Event) -> Vec<String> {
    let instances = correlate::<P>(stream_id, 0, event);
    let many = instances.len();
    assert!(many <= INSTANCES_MAX, "{many} instances are more than {INSTANCES_MAX}");
    for instance in &instances {
        let is_id = (1..=INSTANCE_BYTES_MAX).contains(&instance.len())
            && !instance.contains(char::is_control);
        assert!(
            is_id,
            "the id {instance:?} of an instance is not 1 to {INSTANCE_BYTES_MAX} bytes of visible text"
        );
    }
    instances
}

/// Most instances that an event may concern.
const INSTANCES_MAX: usize = 100;

/// Longest id of an instance, in bytes.
const INSTANCE_BYTES_MAX: usize = 256;

/// Most commands of a reaction.
const COMMANDS_MAX: usize = 100;

/// Most timers of an instance.
const TIMERS_MAX: usize = 100;

/// Longest name of a timer, in bytes.
const TIMER_NAME_BYTES_MAX: usize = 64;

/// Largest data of a timer, in bytes.
const TIMER_DATA_BYTES_MAX: usize = 64 << 10;

/// Largest state, in bytes.
const STATE_BYTES_MAX: usize = 256 << 10;

/// An instance of a process manager.
pub struct Instance<P: ProcessManager> {
    id: String,
    call: types::Context,
    /// Per stream, how many events came from it.
    revisions: BTreeMap<String, u64>,
    state: Option<Vec<u8>>,
    timers: BTreeMap<String, wire::Timer>,
    unanswered: VecDeque<wire::Outgoing>,
    latest: Latest,
    process_manager: PhantomData<P>,
}

/// What the latest call led to.
#[derive(Debug, Clone)]
struct Latest {
    reaction: Option<wire::Reaction>,
    refusal: Option<String>,
}

// Written out, since a derive would ask the same of `P`.
impl<P: ProcessManager> Clone for Instance<P> {
    fn clone(&self) -> Self {
        Self {
            id: self.id.clone(),
            call: self.call.clone(),
            revisions: self.revisions.clone(),
            state: self.state.clone(),
            timers: self.timers.clone(),
            unanswered: self.unanswered.clone(),
            latest: self.latest.clone(),
            process_manager: PhantomData,
        }
    }
}

impl<P: ProcessManager> fmt::Debug for Instance<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.as_deref().map(String::from_utf8_lossy);
        formatter
            .debug_struct("Instance")
            .field("id", &self.id)
            .field("state", &state)
            .field("timers", &self.timers)
            .field("unanswered", &self.unanswered)
            .finish_non_exhaustive()
    }
}

impl<P: ProcessManager> Instance<P> {
    /// The time of the next calls, in milliseconds since 1970-01-01T00:00:00Z; without this it is
    /// 2025-01-01T00:00:00Z.
    #[must_use]
    pub fn at_ms(mut self, now_ms: u64) -> Self {
        self.call.now = now_ms;
        self
    }

    /// Passes an event of the stream `stream_id`, which must concern the instance.
    #[must_use]
    #[track_caller]
    pub fn when_event(mut self, stream_id: &str, event: P::Event) -> Self {
        let new_event = lower_event(&event);
        let decoded = P::Event::decode(new_event.event_type, &new_event.data);
        let decoded = expect(decoded, "the event does not decode as it was encoded");
        assert_eq!(decoded, event, "the event changes on its way through JSON");
        let instances = instances_of::<P>(stream_id, &event);
        assert!(
            instances.contains(&self.id),
            "the event concerns the instances {instances:?}, and not `{}`",
            self.id
        );
        let revision = self.revisions.entry(stream_id.to_owned()).or_default();
        let recorded = types::RecordedEvent {
            stream: stream_id.to_owned(),
            event_type: new_event.event_type,
            revision: *revision,
            recorded_at: self.call.now,
            data: new_event.data,
        };
        *revision = revision.saturating_add(1);
        let state = self.state.clone();
        self.reacted(|ctx| handle_event::<P>(ctx, state.as_deref(), &recorded))
    }

    /// Lets a timer fire, which must be running. It is then as late as the timer is due, or later.
    #[must_use]
    #[track_caller]
    pub fn when_timer(mut self, name: &str) -> Self {
        let Some(timer) = self.timers.remove(name) else {
            trap_because(&format!("no timer `{name}` is running; {:?} are", self.timer_names()));
        };
        self.call.now = self.call.now.max(timer.due_at);
        let state = self.running();
        self.reacted(|ctx| handle_timer::<P>(ctx, &state, timer.clone()))
    }

    /// Answers a command, which must be the oldest that was not answered yet: the host sends them one by
    /// one. An instance that has ended does not hear of it.
    #[must_use]
    #[track_caller]
    pub fn when_reply(mut self, command: P::Command, reply: Reply) -> Self {
        let Some(sent) = self.unanswered.pop_front() else {
            trap_because("all commands are answered");
        };
        let lifted = lift::<P>(sent.clone());
        assert_eq!(lifted.command, command, "another command is the first without an answer");
        if self.state.is_none() {
            self.latest = Latest { reaction: None, refusal: None };
            return self;
        }
        let state = self.running();
        self.reacted(|ctx| handle_reply::<P>(ctx, &state, sent.clone(), lower_reply(&reply)))
    }

    /// The latest call sent exactly these commands, each given with the id of its target, in order.
    #[track_caller]
    pub fn then_commands<'a>(
        self,
        commands: impl IntoIterator<Item = (&'a str, P::Command)>,
    ) -> Self {
        let expected: Vec<Sent<P::Command>> = commands
            .into_iter()
            .map(|(target_id, command)| Sent { target_id: target_id.into(), command })
            .collect();
        self.must_be_handled();
        let sent = self.latest.reaction.iter().flat_map(|reaction| reaction.commands.clone());
        let sent: Vec<_> = sent.map(lift::<P>).collect();
        assert_eq!(sent, expected, "other commands were sent");
        self
    }

    /// Exactly these timers run, each given with the time when it is due, in the order of their names.
    #[track_caller]
    pub fn then_timers<'a>(self, timers: impl IntoIterator<Item = (&'a str, u64)>) -> Self {
        let mut expected: Vec<(String, u64)> =
            timers.into_iter().map(|(name, due_at_ms)| (name.into(), due_at_ms)).collect();
        expected.sort();
        assert_eq!(self.timers(), expected, "other timers are running");
        self
    }

    /// Looks at the state of the instance, which has not ended.
    #[track_caller]
    pub fn then_state(self, look: impl FnOnce(&P::State)) -> Self {
        self.must_be_handled();
        look(&expect(serde_json::from_slice(&self.running()), "the state does not decode"));
        self
    }

    /// The instance has no state: it has ended, or never began.
    #[track_caller]
    pub fn then_ended(self) -> Self {
        self.must_be_handled();
        let state = self.state.as_deref().map(String::from_utf8_lossy);
        assert_eq!(state, None, "the instance goes on");
        self
    }

    /// The latest call was refused with this text. The host would put aside what it was about.
    #[track_caller]
    pub fn then_unhandled(self, text: &str) -> Self {
        let refusal = self.latest.refusal.as_deref();
        assert_eq!(refusal, Some(text), "the call was not refused, or for another reason");
        self
    }

    /// The commands without an answer, oldest first. Only the first of them is under way.
    #[must_use]
    pub fn unanswered(&self) -> Vec<Sent<P::Command>> {
        self.unanswered.iter().cloned().map(lift::<P>).collect()
    }

    /// The timers that run, with the time when each is due, in the order of their names.
    #[must_use]
    pub fn timers(&self) -> Vec<(String, u64)> {
        self.timers.values().map(|timer| (timer.name.clone(), timer.due_at)).collect()
    }

    /// Whether the instance has a state.
    #[must_use]
    pub const fn is_running(&self) -> bool {
        self.state.is_some()
    }

    /// Calls twice, as a host that was interrupted does, and keeps what comes of it.
    #[track_caller]
    fn reacted(mut self, call: impl Fn(ProcessContext) -> Result<wire::Reaction, String>) -> Self {
        let context = || ProcessContext { instance: self.id.clone(), call: self.call.clone() };
        let (reacted, again) = (call(context()), call(context()));
        assert_eq!(
            format!("{reacted:?}"),
            format!("{again:?}"),
            "the same call leads to something else when it is repeated"
        );
        match reacted {
            Ok(reaction) => {
                check::<P>(&reaction);
                self.keep(&reaction);
                self.latest = Latest { reaction: Some(reaction), refusal: None };
            }
            Err(text) => self.latest = Latest { reaction: None, refusal: Some(text) },
        }
        self
    }

    #[track_caller]
    fn keep(&mut self, reaction: &wire::Reaction) {
        self.state.clone_from(&reaction.state);
        self.unanswered.extend(reaction.commands.iter().cloned());
        for name in &reaction.cancel_timers {
            self.timers.remove(name);
        }
        for timer in &reaction.start_timers {
            self.timers.insert(timer.name.clone(), timer.clone());
        }
        if self.state.is_none() {
            self.timers.clear();
        }
        let many = self.timers.len();
        assert!(many <= TIMERS_MAX, "{many} timers are more than {TIMERS_MAX}");
    }

    #[track_caller]
    fn running(&self) -> Vec<u8> {
        match &self.state {
            Some(state) => state.clone(),
            None => trap_because("the instance has ended, or never began"),
        }
    }

    #[track_caller]
    fn must_be_handled(&self) {
        assert_eq!(self.latest.refusal, None, "the call was refused");
    }

    fn timer_names(&self) -> Vec<&str> {
        self.timers.keys().map(String::as_str).collect()
    }
}

/// What the host would refuse.
#[track_caller]
fn check<P: ProcessManager>(reaction: &wire::Reaction) {
    let many = reaction.commands.len();
    assert!(many <= COMMANDS_MAX, "{many} commands are more than {COMMANDS_MAX}");
    for sent in &reaction.commands {
        assert!(!sent.target_id.is_empty(), "a command goes to the empty id");
        let encoded = expect(lift::<P>(sent.clone()).command.encode(), "a command is not JSON");
        let is_same = encoded == sent.command.data;
        assert!(is_same, "a command changes on its way through JSON");
    }
    for timer in &reaction.start_timers {
        let (name, bytes) = (&timer.name, timer.data.len());
        assert!(
            is_timer_name(name),
            "the name {name:?} of a timer is not 1 to {TIMER_NAME_BYTES_MAX} bytes of kebab-case"
        );
        assert!(
            bytes <= TIMER_DATA_BYTES_MAX,
            "the data of timer `{name}` has {bytes} bytes, more than {TIMER_DATA_BYTES_MAX}"
        );
    }
    let Some(state) = &reaction.state else {
        return;
    };
    let bytes = state.len();
    assert!(bytes <= STATE_BYTES_MAX, "a state of {bytes} bytes is more than {STATE_BYTES_MAX}");
    let decoded: P::State = expect(serde_json::from_slice(state), "the state does not decode");
    let encoded = expect(crate::canonical::to_canonical_json(&decoded), "the state is not JSON");
    assert_eq!(
        String::from_utf8_lossy(&encoded),
        String::from_utf8_lossy(state),
        "the state changes on its way through JSON"
    );
}

/// Lower-case letters and digits in words joined by single dashes, a letter first.
fn is_timer_name(name: &str) -> bool {
    let is_plain = |word: &str| {
        !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    };
    name.len() <= TIMER_NAME_BYTES_MAX
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.split('-').all(is_plain)
}

#[track_caller]
fn lift<P: ProcessManager>(sent: wire::Outgoing) -> Sent<P::Command> {
    expect(lift_outgoing(sent), "a command does not decode as it was encoded")
}

fn lower_reply(reply: &Reply) -> wire::Reply {
    match reply.clone() {
        Reply::Accepted => wire::Reply::Accepted,
        Reply::Rejected { code, message } => wire::Reply::Rejected((code, message)),
        Reply::Failed { cause } => wire::Reply::Failed(cause),
    }
}

/// The instances of one event, in a batch of its own and beside itself: both must be the same.
#[track_caller]
fn correlate<P: ProcessManager>(stream_id: &str, revision: u64, event: &P::Event) -> Vec<String> {
    let new_event = lower_event(event);
    let end = |count: usize| u32::try_from(new_event.data.len() * count).unwrap_or(u32::MAX);
    let batch = |count: usize| types::EventBatch {
        partition: 0,
        streams: vec![stream_id.to_owned()],
        stream_indexes: vec![0; count],
        event_types: vec![new_event.event_type; count],
        revisions: vec![revision; count],
        positions: vec![0; count],
        recorded_at: vec![NOW_MS; count],
        data_ends: (1..=count).map(end).collect(),
        data: new_event.data.repeat(count),
    };
    let alone = correlate_batch::<P>(&batch(1));
    let together = correlate_batch::<P>(&batch(2));
    let is_same = together.iter().all(|instances| alone.contains(instances));
    assert!(is_same, "an event concerns other instances when it comes again: {together:?}");
    alone.into_iter().flatten().collect()
}
