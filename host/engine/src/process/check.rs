//! Looks at everything a process manager answers before any of it is used.

use std::collections::BTreeSet;
use std::sync::Arc;

use annals_core::event::ContentType;
use annals_core::json;
use annals_core::limits::PAYLOAD_BYTES_MAX;
use annals_core::name::{CommandName, PluginName};
use annals_core::plugin::{Description, GuestTimer, Outgoing, Reaction};
use annals_core::port::guest::GuestFailure;
use bytes::Bytes;

use crate::commands::stream_of;

/// Most instances that one event may concern.
pub const INSTANCES_PER_EVENT_MAX: usize = 100;
/// Longest name of an instance, in bytes.
pub const INSTANCE_ID_BYTES_MAX: usize = 256;
/// Largest state of an instance, in bytes.
pub const STATE_BYTES_MAX: usize = 256 << 10;
/// Most commands of one reaction.
pub const REACTION_COMMANDS_MAX: usize = 100;
/// Most timers of an instance at once, and of one reaction.
pub const TIMERS_MAX: usize = 100;
/// Longest name of a timer, in bytes.
pub const TIMER_NAME_BYTES_MAX: usize = 64;
/// Largest data of a timer, in bytes.
pub const TIMER_DATA_BYTES_MAX: usize = 64 << 10;

/// A reaction whose every part is as it must be.
#[derive(Debug)]
pub(super) struct Checked {
    pub(super) state: Option<Bytes>,
    pub(super) commands: Vec<CheckedCommand>,
    pub(super) start_timers: Vec<GuestTimer>,
    pub(super) cancel_timers: Vec<String>,
}

/// A command to send.
#[derive(Debug)]
pub(super) struct CheckedCommand {
    pub(super) aggregate: PluginName,
    pub(super) target_id: String,
    pub(super) command: CommandName,
    pub(super) data: Bytes,
}

/// Checks answers of one plugin to one kind of call.
#[derive(Debug, Clone, Copy)]
pub(super) struct Checker<'a> {
    pub(super) description: &'a Description,
    pub(super) call: &'static str,
}

impl Checker<'_> {
    fn broke(&self, cause: String) -> GuestFailure {
        let plugin = self.description.name.to_string();
        GuestFailure::Contract { plugin, call: self.call, cause }
    }

    fn at_most(&self, what: &str, size: usize, max: usize) -> Result<(), GuestFailure> {
        if size <= max {
            return Ok(());
        }
        Err(self.broke(format!("{size} {what}, at most {max} are allowed")))
    }

    /// The instances that each of `events_count` events concerns, each named once.
    pub(super) fn instances(
        &self,
        said: Vec<Vec<String>>,
        events_count: usize,
    ) -> Result<Vec<Vec<Arc<str>>>, GuestFailure> {
        if said.len() != events_count {
            let count = said.len();
            let cause = format!("it answered for {count} events and was given {events_count}");
            return Err(self.broke(cause));
        }
        said.into_iter().map(|names| self.names(names)).collect()
    }

    fn names(&self, said: Vec<String>) -> Result<Vec<Arc<str>>, GuestFailure> {
        self.at_most("instances for one event", said.len(), INSTANCES_PER_EVENT_MAX)?;
        let (mut seen, mut names) = (BTreeSet::new(), Vec::with_capacity(said.len()));
        for name in said {
            self.name("an instance", &name, INSTANCE_ID_BYTES_MAX)?;
            let name: Arc<str> = Arc::from(name);
            if seen.insert(Arc::clone(&name)) {
                names.push(name);
            }
        }
        Ok(names)
    }

    fn name(&self, of: &str, name: &str, bytes_max: usize) -> Result<(), GuestFailure> {
        let is_right = !name.is_empty() && !name.chars().any(char::is_control);
        if is_right && name.len() <= bytes_max {
            return Ok(());
        }
        let cause = format!(
            "the name of {of} has {} bytes; it must have 1 to {bytes_max}, without control characters",
            name.len()
        );
        Err(self.broke(cause))
    }

    /// All of a reaction.
    pub(super) fn reaction(&self, said: Reaction) -> Result<Checked, GuestFailure> {
        let Reaction { state, commands, start_timers, cancel_timers } = said;
        let state_bytes = state.as_ref().map_or(0, Vec::len);
        self.at_most("bytes of a state", state_bytes, STATE_BYTES_MAX)?;
        self.at_most("commands", commands.len(), REACTION_COMMANDS_MAX)?;
        self.at_most("timers", start_timers.len(), TIMERS_MAX)?;
        self.at_most("timers to cancel", cancel_timers.len(), TIMERS_MAX)?;
        if state.is_none() && !start_timers.is_empty() {
            return Err(self.broke("it ends the instance and starts a timer of it".to_owned()));
        }
        for timer in &start_timers {
            self.name("a timer", &timer.name, TIMER_NAME_BYTES_MAX)?;
            self.at_most("bytes of a timer's data", timer.data.len(), TIMER_DATA_BYTES_MAX)?;
        }
        for name in &cancel_timers {
            self.name("a timer to cancel", name, TIMER_NAME_BYTES_MAX)?;
        }
        let commands = commands.into_iter().map(|command| self.command(command));
        let commands = commands.collect::<Result<_, _>>()?;
        Ok(Checked { state: state.map(Bytes::from), commands, start_timers, cancel_timers })
    }

    fn command(&self, said: Outgoing) -> Result<CheckedCommand, GuestFailure> {
        let index = usize::try_from(said.command_type).unwrap_or(usize::MAX);
        let known = self.description.commands.get(index).zip(self.description.targets.get(index));
        let Some((command, aggregate)) = known else {
            let count = self.description.commands.len();
            return Err(self.broke(format!("command type {index} of {count} that are described")));
        };
        let name = &command.name;
        stream_of(aggregate, &said.target_id).map_err(|_| {
            self.broke(format!("`{name}` is for an id that no stream of `{aggregate}` can have"))
        })?;
        self.at_most("bytes of a command's data", said.data.len(), PAYLOAD_BYTES_MAX)?;
        if command.content_type == ContentType::Json {
            json::check(&said.data)
                .map_err(|error| self.broke(format!("the data of `{name}` is {error}")))?;
        }
        Ok(CheckedCommand {
            aggregate: aggregate.clone(),
            target_id: said.target_id,
            command: name.clone(),
            data: said.data.into(),
        })
    }
}
