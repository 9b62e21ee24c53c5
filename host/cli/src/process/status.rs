//! What a daemon says of process managers and instances, as far as it is printed.

use serde::Deserialize;
use serde_json::Value;

use crate::text::count;

/// A process manager.
#[derive(Debug, Deserialize)]
pub(super) struct Process {
    pub(super) name: String,
    pub(super) version: String,
    pub(super) digest: String,
    pub(super) phase: String,
    pub(super) attempts: Option<u32>,
    pub(super) cause: Option<String>,
    pub(super) events_count: u64,
    pub(super) lag_events: u64,
    pub(super) running_count: u64,
    pub(super) parked_count: u64,
    pub(super) parked_streams_count: u64,
    pub(super) sending_count: u64,
    pub(super) stuck_count: u64,
    pub(super) partitions: Vec<Partition>,
}

/// How far it is in a partition.
#[derive(Debug, Deserialize)]
pub(super) struct Partition {
    pub(super) partition: u32,
    pub(super) checkpoint: Option<u64>,
    pub(super) head: Option<u64>,
}

/// An instance, in a list.
#[derive(Debug, Deserialize)]
pub(super) struct Summary {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) is_stuck: bool,
    pub(super) changed_at: String,
    pub(super) state: Option<Value>,
    pub(super) next_timer: Option<Timer>,
    pub(super) next_command: Option<Pending>,
    pub(super) parked: Option<Parked>,
    pub(super) waiting_count: u64,
}

/// A whole instance.
#[derive(Debug, Deserialize)]
pub(super) struct Instance {
    pub(super) id: String,
    pub(super) status: String,
    pub(super) is_stuck: bool,
    pub(super) started_at: String,
    pub(super) changed_at: String,
    pub(super) ended_at: Option<String>,
    pub(super) messages_count: u64,
    pub(super) state: Option<Value>,
    pub(super) state_base64: Option<String>,
    pub(super) timers: Vec<Timer>,
    pub(super) pending: Vec<Pending>,
    pub(super) parked: Option<Parked>,
    pub(super) waiting: Vec<Message>,
    pub(super) history: Vec<Entry>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Timer {
    pub(super) name: String,
    pub(super) due_at: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Pending {
    pub(super) command_id: String,
    pub(super) command: String,
    pub(super) target: String,
    pub(super) data: Option<Value>,
    pub(super) wanted_at: String,
}

#[derive(Debug, Deserialize)]
pub(super) struct Parked {
    pub(super) cause: String,
    pub(super) parked_at: String,
    pub(super) asked: Option<String>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ParkedStream {
    pub(super) stream: String,
    pub(super) event: Message,
    pub(super) parked: Parked,
}

/// What an instance was told or waits to be told.
#[derive(Debug, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub(super) enum Message {
    Event {
        event_type: String,
        stream: String,
        revision: u64,
    },
    Timer {
        timer: String,
        due_at: String,
    },
    Reply {
        command: String,
        target: String,
        outcome: String,
        code: Option<String>,
        cause: Option<String>,
    },
    Discarded {
        discarded: String,
        cause: String,
    },
}

#[derive(Debug, Deserialize)]
pub(super) struct Entry {
    pub(super) at: String,
    pub(super) message: Message,
    commands: Vec<Sent>,
    started_timers: Vec<String>,
    cancelled_timers: Vec<String>,
    is_end: bool,
}

#[derive(Debug, Deserialize)]
struct Sent {
    command: String,
    target: String,
}

/// The first line: the rest of a cause is a backtrace.
pub(super) fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

/// A text cut to so many characters.
pub(super) fn cut(text: &str, chars_max: usize) -> String {
    if text.chars().count() <= chars_max {
        return text.to_owned();
    }
    let kept: String = text.chars().take(chars_max.saturating_sub(1)).collect();
    format!("{kept}…")
}

impl Summary {
    /// What it does, in a word or two.
    pub(super) fn status(&self) -> String {
        let is_said = self.is_stuck && self.status != "parked";
        if is_said { format!("{}, stuck", self.status) } else { self.status.clone() }
    }

    /// What it waits for.
    pub(super) fn waits_for(&self) -> String {
        if let Some(parked) = &self.parked {
            let waiting = match self.waiting_count.saturating_sub(1) {
                0 => String::new(),
                later_count => format!(", {} wait", count(later_count, "message")),
            };
            return format!("{}{waiting}", cut(first_line(&parked.cause), 60));
        }
        match (&self.next_command, &self.next_timer) {
            (Some(sent), _) => {
                format!("{} on the way to {}", sent.command, sent.target)
            }
            (None, Some(timer)) => format!("{} at {}", timer.name, timer.due_at),
            (None, None) if self.status == "running" => "an event".to_owned(),
            (None, None) => String::new(),
        }
    }
}

impl Message {
    /// What happened, in a line.
    pub(super) fn text(&self) -> String {
        match self {
            Self::Event { event_type, stream, revision } => {
                format!("event {event_type}, {stream} at revision {revision}")
            }
            Self::Timer { timer, due_at } => format!("timer {timer}, due {due_at}"),
            Self::Reply { command, target, outcome, code, cause } => {
                let text = format!("{outcome}: {command} to {target}");
                match (code, cause.as_deref().map(first_line)) {
                    (Some(code), Some(cause)) => format!("{text}, {code}: {cause}"),
                    (None, Some(cause)) => format!("{text}, {cause}"),
                    (_, None) => text,
                }
            }
            Self::Discarded { discarded, cause } => {
                format!(
                    "left out by an operator: {discarded}; it could not be handled: {}",
                    first_line(cause)
                )
            }
        }
    }
}

impl Entry {
    /// What it led to, a line for each.
    pub(super) fn led_to(&self) -> Vec<String> {
        let sent = self.commands.iter().map(|it| format!("sends {} to {}", it.command, it.target));
        let started = self.started_timers.iter().map(|it| format!("starts timer {it}"));
        let cancelled = self.cancelled_timers.iter().map(|it| format!("cancels timer {it}"));
        let mut lines: Vec<_> = sent.chain(started).chain(cancelled).collect();
        if self.is_end {
            lines.push("ends".to_owned());
        }
        lines
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn summary(more: Value) -> Summary {
        let mut json = json!({
            "id": "t1", "status": "running", "is_stuck": false, "changed_at": "T", "state": null,
            "next_timer": null, "next_command": null, "parked": null, "waiting_count": 0,
        });
        json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        Summary::deserialize(json).unwrap()
    }

    #[test]
    fn a_list_says_what_each_instance_waits_for() {
        // Guards the line an operator decides by.
        let timer = json!({"name": "time-out", "due_at": "T2"});
        let sent = json!({
            "command_id": "c", "command": "deposit-funds", "target": "account/b", "wanted_at": "T",
        });
        let parked = json!({"cause": "no\n at x", "parked_at": "T", "asked": null});
        let cases = [
            (json!({}), "running", "an event"),
            (json!({"is_stuck": true}), "running, stuck", "an event"),
            (json!({"next_timer": timer}), "running", "time-out at T2"),
            (
                json!({"next_timer": timer, "next_command": sent}),
                "running",
                "deposit-funds on the way to account/b",
            ),
            (
                json!({"status": "parked", "is_stuck": true, "parked": parked, "waiting_count": 3}),
                "parked",
                "no, 2 messages wait",
            ),
            (json!({"status": "ended"}), "ended", ""),
        ];
        for (more, status, waits_for) in cases {
            let found = summary(more);
            assert_eq!((found.status().as_str(), found.waits_for().as_str()), (status, waits_for));
        }
        assert_eq!((cut("äöü", 3), cut("äöüß", 3)), ("äöü".to_owned(), "äö…".to_owned()));
    }

    #[test]
    fn history_says_what_happened_and_what_it_led_to() {
        // Guards the story of an instance, for every kind of message.
        let of = |json: Value| Message::deserialize(json).unwrap().text();
        let event =
            json!({"kind": "event", "event_type": "opened", "stream": "account/a", "revision": 3});
        assert_eq!(of(event.clone()), "event opened, account/a at revision 3");
        let timer = json!({"kind": "timer", "timer": "time-out", "due_at": "T"});
        assert_eq!(of(timer), "timer time-out, due T");
        let reply = |more: Value| {
            let mut json = json!({"kind": "reply", "command": "deposit", "target": "account/a"});
            json.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            of(json)
        };
        assert_eq!(reply(json!({"outcome": "accepted"})), "accepted: deposit to account/a");
        assert_eq!(
            reply(json!({"outcome": "rejected", "code": "not-open", "cause": "it is closed"})),
            "rejected: deposit to account/a, not-open: it is closed"
        );
        assert_eq!(
            reply(json!({"outcome": "failed", "cause": "given up\n  at x"})),
            "failed: deposit to account/a, given up"
        );
        let discarded =
            of(json!({"kind": "discarded", "discarded": "event opened", "cause": "no\n at"}));
        let expected = "left out by an operator: event opened; it could not be handled: no";
        assert_eq!(discarded, expected);
        let entry = Entry::deserialize(json!({
            "at": "T", "message": event, "commands": [{"command": "deposit", "target": "account/a"}],
            "started_timers": ["late"], "cancelled_timers": ["early"], "is_end": true,
        }));
        assert_eq!(
            entry.unwrap().led_to(),
            ["sends deposit to account/a", "starts timer late", "cancels timer early", "ends"]
        );
    }
}
