//! Misdeeds in `decide`, by command.

use annals_sdk::bindings::annals::plugin::log;
use annals_sdk::bindings::annals::plugin::types::{NewEvent, Rejection};
use annals_sdk::bindings::exports::annals::plugin::aggregate::{Claim, Decision, Refusal};

use crate::evolve::EVENTS;
use crate::{exhaust, invalid_utf8, trap};

/// The commands; a command `record-…` records the event of that name and does no harm itself.
pub(crate) const COMMANDS: &[&str] = &[
    "note",
    "loop-forever",
    "allocate-forever",
    "recurse-forever",
    "trap",
    "emit-million",
    "emit-too-many",
    "emit-large-event",
    "emit-hundred-mebibytes",
    "emit-type-out-of-range",
    "emit-invalid-json",
    "emit-invalid-utf8",
    "emit-no-data",
    "reject-bad-code",
    "reject-empty-code",
    "reject-invalid-utf8",
    "reject-large-message",
    "reject-invalid-json-detail",
    "claim-too-many",
    "claim-empty-key",
    "claim-large-key",
    "claim-bad-scope",
    "log-forever",
    "log-flood",
    "log-large-line",
    "record-trap-when-evolved",
    "record-loop-when-evolved",
    "record-trap-in-snapshot",
    "record-loop-in-snapshot",
    "record-invalid-json-snapshot",
    "record-large-snapshot",
];

type Decided = Result<Decision, Refusal>;

pub(crate) fn decide(command_type: u32) -> Decided {
    let index = usize::try_from(command_type).unwrap_or(usize::MAX);
    let name = COMMANDS.get(index).copied().unwrap_or_default();
    if let Some(event) = name.strip_prefix("record-") {
        return record(event);
    }
    match name.split_once('-') {
        Some(("emit", what)) => emit(what),
        Some(("reject", what)) => reject(what),
        Some(("claim", what)) => claim(what),
        Some(("log", what)) => write_log(what),
        _ => match name {
            "note" => record("noted"),
            "loop-forever" => exhaust::fuel(),
            "allocate-forever" => exhaust::memory(),
            "recurse-forever" => events(vec![json_event(&exhaust::stack().to_string())]),
            _ => trap(),
        },
    }
}

fn record(name: &str) -> Decided {
    let index = EVENTS.iter().position(|event| *event == name);
    let event_type = index.and_then(|index| u32::try_from(index).ok()).unwrap_or(u32::MAX);
    events(vec![NewEvent { event_type, data: b"{}".to_vec() }])
}

fn emit(what: &str) -> Decided {
    let event_type_max = u32::try_from(EVENTS.len()).unwrap_or(u32::MAX);
    match what {
        "million" => events(vec![json_event("{}"); 1_000_000]),
        "too-many" => events(vec![json_event("{}"); 1_001]),
        // A string of JSON, one byte over the limit with its quotes.
        "large-event" => events(vec![json_event(&format!("\"{}\"", "a".repeat((256 << 10) - 1)))]),
        "hundred-mebibytes" => events(vec![json_event(&"1".repeat(100 << 20))]),
        "type-out-of-range" => {
            events(vec![NewEvent { event_type: event_type_max, data: b"{}".to_vec() }])
        }
        "invalid-json" => events(vec![json_event("{\"open\":")]),
        "invalid-utf8" => events(vec![NewEvent { event_type: 0, data: b"\"\xff\"".to_vec() }]),
        "no-data" => events(vec![json_event("")]),
        _ => trap(),
    }
}

fn reject(what: &str) -> Decided {
    let honest = Rejection { code: "no".to_owned(), message: "because".to_owned(), detail: None };
    Err(Refusal::Rejected(match what {
        "bad-code" => Rejection { code: "Not Kebab".to_owned(), ..honest },
        "empty-code" => Rejection { code: String::new(), ..honest },
        "invalid-utf8" => Rejection { message: invalid_utf8(), ..honest },
        "large-message" => Rejection { message: "a".repeat(1 << 20), ..honest },
        "invalid-json-detail" => Rejection { detail: Some(b"{".to_vec()), ..honest },
        _ => trap(),
    }))
}

fn claim(what: &str) -> Decided {
    let claim = |scope: &str, key: String| Claim { scope: scope.to_owned(), key, expires_at: None };
    let claims = match what {
        "too-many" => (0..101).map(|number| claim("number", number.to_string())).collect(),
        "empty-key" => vec![claim("number", String::new())],
        "large-key" => vec![claim("number", "1".repeat(1_025))],
        "bad-scope" => vec![claim("Not Kebab", "1".to_owned())],
        _ => trap(),
    };
    Ok(Decision { events: Vec::new(), claims, releases: Vec::new() })
}

fn write_log(what: &str) -> Decided {
    match what {
        "forever" => loop {
            log::write(log::Level::Info, "once more");
        },
        "flood" => (0..10_000).for_each(|_| log::write(log::Level::Info, "once more")),
        "large-line" => log::write(log::Level::Info, &"a".repeat(1 << 20)),
        _ => trap(),
    }
    record("noted")
}

fn events(events: Vec<NewEvent>) -> Decided {
    Ok(Decision { events, claims: Vec::new(), releases: Vec::new() })
}

fn json_event(data: &str) -> NewEvent {
    NewEvent { event_type: 0, data: data.as_bytes().to_vec() }
}
