//! `annals plugin new`: writes a plugin with rules and tests to begin with.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use annals_core::name::PluginName;
use clap::ValueEnum;
use serde::Serialize;

use super::manifest::Language;
use super::template::{self, Templates};
use crate::failure::Failure;
use crate::output::Output;

/// Write a plugin to begin with: rules that work, and tests that pass
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The plugin is a Rust crate, an npm package or a Python package. The SDK is put into its folder
`.annals`, so nothing else is needed but the language itself. Projections, process managers and
upcasters are written in Rust; they take events of aggregates in any language.

Examples:
  annals plugin new shop-cart --kind aggregate
  annals plugin new shop-cart --kind aggregate --lang js
  annals plugin new shop-cart --kind aggregate --lang python
  annals plugin new cart-contents --kind projection --from-aggregate shop-cart
  annals plugin new idle-carts --kind process-manager --from-aggregate shop-cart
  annals plugin new old-carts --kind upcaster --from-aggregate shop-cart")]
pub(crate) struct NewArgs {
    /// Its name, in kebab-case; of an aggregate also the category of its streams
    name: String,

    /// What it is
    #[arg(long)]
    kind: Kind,

    /// What it is written in
    #[arg(long, value_name = "LANGUAGE", default_value = "rust")]
    lang: Language,

    /// Write it into this folder, which must be new or empty; a folder of its name when absent
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,

    /// Count the events of this aggregate (of a projection), watch it (of a process manager), or
    /// make its old events new (of an upcaster)
    #[arg(long, value_name = "NAME", default_value = "shop-cart")]
    from_aggregate: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Kind {
    /// Keeps rules: decides commands, which leads to events
    Aggregate,
    /// Keeps a view: turns events into rows
    Projection,
    /// Follows what happens over several aggregates and sends them commands
    ProcessManager,
    /// Makes new shapes of old events when they are read
    Upcaster,
}

impl Kind {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Aggregate => "aggregate",
            Self::Projection => "projection",
            Self::ProcessManager => "process-manager",
            Self::Upcaster => "upcaster",
        }
    }
}

#[derive(Debug, Serialize)]
struct Created<'a> {
    name: &'a str,
    kind: &'static str,
    path: &'a Path,
}

/// Names of types and crates that a plugin uses itself, or that its language keeps for itself.
const TAKEN: [&str; 66] = [
    "abstract",
    "add-item",
    "aggregate",
    "alloc",
    "annals-sdk",
    "annotated",
    "any",
    "async",
    "await",
    "become",
    "box",
    "break",
    "check-out",
    "checked-out",
    "command",
    "const",
    "content",
    "context",
    "continue",
    "core",
    "decision",
    "dyn",
    "enum",
    "event",
    "event-meta",
    "extern",
    "failure",
    "false",
    "final",
    "impl",
    "instance",
    "item-added",
    "item-removed",
    "macro",
    "minimum",
    "new",
    "none",
    "old",
    "option",
    "override",
    "proc-macro",
    "process-context",
    "process-manager",
    "projection",
    "reacted",
    "reaction",
    "received",
    "rejection",
    "remove-item",
    "reply",
    "result",
    "sent",
    "serde",
    "static",
    "std",
    "string",
    "struct",
    "table",
    "test",
    "timer",
    "trait",
    "unhandled",
    "unreadable",
    "upcast",
    "waiting",
    "writes",
];

/// Runs the command.
pub(super) fn run(args: &NewArgs, output: &mut Output) -> Result<(), Failure> {
    let name = name(&args.name)?;
    let aggregate = name_of("the aggregate", &args.from_aggregate)?;
    let folder = args.dir.clone().unwrap_or_else(|| PathBuf::from(&name));
    must_be_free(&folder)?;
    let (words, type_name) = (name.replace('-', " "), type_name(&name));
    let templates = templates(args.kind, args.lang)?;
    let summary = match args.kind {
        Kind::Aggregate => format!("Keeps the rules of a {words}"),
        Kind::Projection => format!("What each {aggregate} holds"),
        Kind::ProcessManager => format!("Checks out each {aggregate} that nobody changes"),
        Kind::Upcaster => format!("Old events of a {aggregate}, as of today"),
    };
    let words = [
        ("name", name.as_str()),
        ("crate", &name.replace('-', "_")),
        ("Type", &type_name),
        ("words", &words),
        ("summary", &summary),
        ("aggregate", &aggregate),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    template::write(&folder, args.lang, templates, &words)
        .map_err(|error| Failure::file("write the plugin to", &folder, &error))?;
    let kind = args.kind.as_str();
    if output.is_json() {
        return output.json(&Created { name: &name, kind, path: &folder });
    }
    output.line(format_args!("created the {kind} `{name}` in `{}`", folder.display()))?;
    output.note(format_args!(
        "\nNext:\n  cd {} && annals plugin test\n  annals plugin build\n  annals plugin install    \
         while `annals serve` runs",
        folder.display()
    ));
    Ok(())
}

fn templates(kind: Kind, language: Language) -> Result<&'static Templates, Failure> {
    match (kind, language) {
        (Kind::Aggregate, Language::Rust) => Ok(template::AGGREGATE),
        (Kind::Aggregate, Language::Js) => Ok(template::JS_AGGREGATE),
        (Kind::Aggregate, Language::Python) => Ok(template::PYTHON_AGGREGATE),
        (Kind::Projection, Language::Rust) => Ok(template::PROJECTION),
        (Kind::ProcessManager, Language::Rust) => Ok(template::PROCESS_MANAGER),
        (Kind::Upcaster, Language::Rust) => Ok(template::UPCASTER),
        (Kind::Projection | Kind::ProcessManager | Kind::Upcaster, _) => {
            Err(Failure::yours(format!("{}s are written in Rust", kind.as_str()))
                .with_hint("leave out `--lang`: it takes events of aggregates in any language"))
        }
    }
}

fn name(text: &str) -> Result<String, Failure> {
    let name = name_of("the plugin", text)?;
    if TAKEN.contains(&name.as_str()) || is_keyword(&name) {
        return Err(Failure::yours(format!(
            "a plugin cannot be named `{name}`: its code needs the word"
        ))
        .with_hint("choose a name of your domain, e.g. `shop-cart`"));
    }
    Ok(name)
}

fn name_of(what: &str, text: &str) -> Result<String, Failure> {
    PluginName::new(text).map(String::from).map_err(|error| {
        Failure::yours(format!("the name of {what}: {error}"))
            .with_hint(format!("try `{}`", kebab_case(text)))
    })
}

/// Whether Rust keeps the word for itself; those of more letters are in [`TAKEN`].
fn is_keyword(name: &str) -> bool {
    const SHORT: [&str; 33] = [
        "as", "do", "else", "fn", "for", "gen", "if", "in", "let", "loop", "match", "mod", "move",
        "mut", "priv", "pub", "ref", "return", "self", "super", "crate", "true", "try", "type",
        "typeof", "union", "unsafe", "unsized", "use", "virtual", "where", "while", "yield",
    ];
    SHORT.contains(&name)
}

/// A name that could have been meant.
fn kebab_case(text: &str) -> String {
    let mut name = String::new();
    for c in text.chars() {
        let starts_word = c.is_ascii_uppercase() || !c.is_ascii_alphanumeric();
        if starts_word && !name.is_empty() && !name.ends_with('-') {
            name.push('-');
        }
        if c.is_ascii_alphanumeric() && (!name.is_empty() || c.is_ascii_alphabetic()) {
            name.push(c.to_ascii_lowercase());
        }
    }
    let name = name.trim_end_matches('-');
    if name.is_empty() { "shop-cart".to_owned() } else { name.to_owned() }
}

/// `ShopCart` of `shop-cart`.
fn type_name(name: &str) -> String {
    let capital = |word: &str| {
        let mut chars = word.chars();
        let first = chars.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(chars).collect::<String>()
    };
    name.split('-').map(capital).collect()
}

fn must_be_free(folder: &Path) -> Result<(), Failure> {
    let is_free = match std::fs::read_dir(folder) {
        Ok(mut entries) => entries.next().is_none(),
        Err(error) if error.kind() == ErrorKind::NotFound => true,
        Err(error) => return Err(Failure::file("look into", folder, &error)),
    };
    if is_free {
        return Ok(());
    }
    Err(Failure::yours(format!("the folder `{}` is not empty", folder.display()))
        .with_hint("choose another name, or a folder with `--dir`"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_that_could_have_been_meant_are_names() {
        // Guards the hint about a bad name: following it works.
        let cases = [
            ("ShopCart", "shop-cart"),
            ("shop_cart", "shop-cart"),
            ("Shop Cart!", "shop-cart"),
            ("2nd-cart", "nd-cart"),
            ("ü", "shop-cart"),
        ];
        for (text, expected) in cases {
            assert_eq!(kebab_case(text), expected);
            assert!(PluginName::new(&kebab_case(text)).is_ok());
        }
    }

    #[test]
    fn types_are_named_after_plugins() {
        // Guards the generated code.
        assert_eq!(type_name("shop-cart"), "ShopCart");
        assert_eq!(type_name("a-1-b"), "A1B");
    }

    #[test]
    fn words_of_the_code_are_no_names() {
        // Guards against a plugin that does not compile because of its name.
        for taken in ["event", "test", "fn", "result"] {
            assert!(name(taken).is_err(), "{taken}");
        }
        assert_eq!(name("shop-cart").unwrap(), "shop-cart");
    }
}
