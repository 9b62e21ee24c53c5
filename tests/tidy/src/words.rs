//! One word per idea: words that mean the same as one of ours are not used in public names. The
//! table is in `docs/style.md`.
//!
//! Only words that have no other sensible use are refused; a queue inside a shard is a queue.

use crate::files::{assert_none, texts};

/// A word, and ours for the same idea.
const REFUSED: &[(&str, &str)] = &[
    ("adapter", "driver"),
    ("backend", "driver"),
    ("bookmark", "checkpoint"),
    ("broker", "bus"),
    ("cursor", "checkpoint"),
    ("exception", "rejection, or an error"),
    ("listener", "subscription"),
    ("memento", "snapshot"),
    ("migration", "upcaster"),
    ("mutate", "evolve"),
    ("nack", "disposition"),
    ("offset", "revision or position"),
    ("orchestrator", "process manager"),
    ("poison", "parked"),
    ("poisoned", "parked"),
    ("provider", "driver"),
    ("repository", "store"),
    ("saga", "process manager"),
    ("sequence", "revision or position"),
    ("topic", "stream"),
    ("watermark", "safe position"),
];

/// Whole names, and what to say instead.
const REFUSED_NAMES: &[(&str, &str)] = &[
    ("dead_letter", "parked"),
    ("dead_letters", "parked"),
    ("entity_type", "category"),
    ("event_name", "event type"),
    ("parent_id", "causation id"),
    ("read_model", "view"),
    ("timeout", "a limit with its unit, such as `call_ms_max`"),
    ("trace_id", "correlation id"),
];

/// Folder, refused word, and why it is right there.
const EXCEPTIONS: &[(&str, &str, &str)] =
    &[("host/store-local/src/log/", "offset", "the place of a byte in a file")];

/// The parts of a name, in lower case: `WrongExpectedRevision`, `wrong_expected_revision` and
/// `wrong-expected-revision` are the same.
fn words(name: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let mut was_lower = false;
    for letter in name.chars() {
        let begins = matches!(letter, '_' | '-') || (letter.is_uppercase() && was_lower);
        if begins {
            words.push(String::new());
        }
        if letter.is_alphanumeric() {
            words.last_mut().unwrap().extend(letter.to_lowercase());
        }
        was_lower = letter.is_lowercase();
    }
    words
}

/// What is wrong with a public name.
fn fault(name: &str) -> Option<(&'static str, String)> {
    let words = words(name);
    let joined = words.join("_");
    if let Some((refused, ours)) = REFUSED_NAMES.iter().find(|(refused, _)| *refused == joined) {
        return Some((refused, format!("`{name}`: say {ours}")));
    }
    if words[0] == "max" && words.len() > 1 {
        let text = format!("`{name}`: what is limited comes first, then the unit, then `max`");
        return Some(("max", text));
    }
    let (refused, ours) =
        REFUSED.iter().find(|(refused, _)| words.iter().any(|word| word == refused))?;
    Some((refused, format!("`{name}`: instead of {refused} say {ours}")))
}

/// The name that a line of Rust makes public, as an item or a field.
fn public_name(line: &str) -> Option<&str> {
    const ITEMS: &[&str] =
        &["fn", "struct", "enum", "trait", "type", "const", "static", "mod", "unsafe", "async"];
    let rest = line.trim_start().strip_prefix("pub ")?;
    let mut parts = rest.split([' ', '(', '<', ':', ';', '{', '=']);
    let name = parts.find(|part| !ITEMS.contains(part))?;
    (!name.is_empty() && name != "use").then_some(name)
}

/// The names of a line of WIT: all that is not documentation.
fn contract_names(line: &str) -> impl Iterator<Item = &str> {
    let code = if line.trim_start().starts_with("//") { "" } else { line };
    code.split(|letter: char| !letter.is_ascii_alphanumeric() && letter != '-')
}

fn breaches(path: &str, text: &str) -> Vec<(&'static str, String)> {
    let is_contract = path.ends_with(".wit");
    let mut found = Vec::new();
    for (number, line) in (1..).zip(text.lines()) {
        let names: Vec<&str> = if is_contract {
            contract_names(line).collect()
        } else {
            public_name(line).into_iter().collect()
        };
        let faults = names.into_iter().filter_map(fault);
        found.extend(faults.map(|(word, text)| (word, format!("{path}:{number}: {text}"))));
    }
    found
}

fn is_excepted(path: &str, word: &str) -> bool {
    EXCEPTIONS.iter().any(|(folder, excepted, _)| path.starts_with(folder) && *excepted == word)
}

#[test]
fn a_public_name_with_a_refused_word_is_named() {
    // Guards the rule itself: items, fields and the contract, and names that only look like it.
    let rust = "pub struct EventTopic;\n    pub max_bytes: u64,\npub fn private_offset() {}\n\
                pub(crate) fn cursor() {}\npub const fn timeout() {}\npub call_timeout_ms: u64,\n";
    let found: Vec<_> = breaches("a.rs", rust).into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        found,
        [
            "a.rs:1: `EventTopic`: instead of topic say stream",
            "a.rs:2: `max_bytes`: what is limited comes first, then the unit, then `max`",
            "a.rs:3: `private_offset`: instead of offset say revision or position",
            "a.rs:5: `timeout`: say a limit with its unit, such as `call_ms_max`",
        ]
    );
    let contract = "/// The topic.\n    read-model: func(from-offset: u64);\n";
    let found: Vec<_> = breaches("a.wit", contract).into_iter().map(|(_, text)| text).collect();
    assert_eq!(
        found,
        [
            "a.wit:2: `read-model`: say view",
            "a.wit:2: `from-offset`: instead of offset say revision or position",
        ]
    );
}

#[test]
fn public_names_use_one_word_per_idea() {
    // Guards that a reader who knows a word knows the thing.
    let rust = texts(".rs").filter(|(file, _)| file.is_under(&["host/", "guest-sdk/", "plugins/"]));
    let mut found = Vec::new();
    for (file, text) in rust.chain(texts(".wit")) {
        let faults = breaches(&file.path, text).into_iter();
        found.extend(faults.filter(|(word, _)| !is_excepted(&file.path, word)).map(|(_, t)| t));
    }
    assert_none(&found);
}

#[test]
fn every_exception_is_needed() {
    // Guards against exceptions that outlive their reason.
    for (folder, word, why) in EXCEPTIONS {
        let is_needed = texts(".rs")
            .filter(|(file, _)| file.is_under(&[folder]))
            .any(|(file, text)| breaches(&file.path, text).iter().any(|(found, _)| found == word));
        assert!(is_needed, "no public name in {folder} uses `{word}` ({why})");
    }
}
