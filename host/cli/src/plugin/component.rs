//! Looks at components as a daemon does: checks, compiles and describes them.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use annals_core::error::ErrorChain;
use annals_core::plugin::{MessageType, PluginKind};
use annals_core::port::guest::{GuestPlugin, LoadError};
use annals_daemon::{Config, inspector};
use serde::Serialize;
use serde_json::value::RawValue;

use crate::failure::Failure;
use crate::output::Output;
use crate::text;

/// Where to keep what was compiled
#[derive(Debug, Clone, Default, clap::Args)]
pub(super) struct CacheArgs {
    /// Keep compiled components in this folder, so that each is compiled once: those of JavaScript
    /// and Python take seconds. What lies there is run as it is, so let nobody else write to it
    #[arg(long, value_name = "DIR", env = "ANNALS_COMPILE_CACHE")]
    compile_cache: Option<PathBuf>,
}

/// A component of a plugin.
#[derive(Debug)]
pub(crate) struct Component {
    /// Its bytes.
    pub(crate) bytes: Vec<u8>,
    plugin: Arc<dyn GuestPlugin>,
}

impl Component {
    /// Reads and checks a component.
    pub(super) fn load(path: &Path, cache: &CacheArgs) -> Result<Self, Failure> {
        let bytes = std::fs::read(path).map_err(|error| Failure::file("read", path, &error))?;
        let runtime = inspector(&Config::default(), cache.compile_cache.as_deref())?;
        let plugin = runtime.load(&bytes).map_err(|error| refused(path, &error))?;
        Ok(Self { bytes, plugin })
    }

    /// The plugin's own name.
    pub(crate) fn name(&self) -> &str {
        self.plugin.description().name.as_str()
    }

    /// Its kind.
    pub(crate) fn kind(&self) -> PluginKind {
        self.plugin.inspection().kind
    }

    /// What it is, for programs; with the same names as the API has.
    pub(crate) fn facts(&self) -> Facts<'_> {
        let (inspection, description) = (self.plugin.inspection(), self.plugin.description());
        Facts {
            name: description.name.as_str(),
            version: &description.version,
            summary: &description.summary,
            kind: inspection.kind,
            digest: inspection.digest.to_string(),
            component_bytes: inspection.component_bytes,
            contract_version: &inspection.contract_version,
            imports: &inspection.imports,
            has_queries: inspection.has_queries,
            commands: description
                .commands
                .iter()
                .map(|m| Message::new(m, m.name.as_str()))
                .collect(),
            events: description.events.iter().map(|m| Message::new(m, m.name.as_str())).collect(),
            produces: description
                .produces
                .iter()
                .map(|m| Message::new(m, m.name.as_str()))
                .collect(),
            targets: description.targets.iter().map(|target| target.as_str()).collect(),
            tables: description.tables.iter().map(|table| table.as_str()).collect(),
        }
    }

    /// What it is, for people.
    pub(crate) fn print(&self, output: &mut Output) -> Result<(), Failure> {
        let facts = self.facts();
        let size = text::bytes(u64::try_from(facts.component_bytes).unwrap_or(u64::MAX));
        output.heading(format_args!("{} {}", facts.name, facts.version))?;
        if !facts.summary.is_empty() {
            output.line(format_args!("  {}", facts.summary))?;
        }
        let lists = [
            ("imports", facts.imports.join(", ")),
            commands_of(&facts),
            ("events", joined(&facts.events)),
            ("produces", joined(&facts.produces)),
            ("tables", facts.tables.join(", ")),
        ];
        let mut rows = vec![
            ("kind", facts.kind.to_string()),
            ("size", size),
            ("contract", format!("annals:plugin@{}", facts.contract_version)),
            ("digest", facts.digest.clone()),
        ];
        rows.extend(
            lists.into_iter().filter(|(name, list)| *name == "imports" || !list.is_empty()),
        );
        for (name, value) in rows {
            let value = if value.is_empty() { "nothing".to_owned() } else { value };
            output.line(format_args!("  {name:<9} {value}"))?;
        }
        Ok(())
    }
}

impl Facts<'_> {
    /// Its content.
    pub(crate) fn digest(&self) -> &str {
        &self.digest
    }
}

/// What a component is.
#[derive(Debug, Serialize)]
pub(crate) struct Facts<'a> {
    name: &'a str,
    version: &'a str,
    summary: &'a str,
    kind: PluginKind,
    digest: String,
    component_bytes: usize,
    contract_version: &'a str,
    imports: &'a [String],
    has_queries: bool,
    commands: Vec<Message<'a>>,
    events: Vec<Message<'a>>,
    produces: Vec<Message<'a>>,
    targets: Vec<&'a str>,
    tables: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct Message<'a> {
    name: &'a str,
    schema_version: u32,
    schema: Option<&'a RawValue>,
}

impl<'a> Message<'a> {
    fn new<N>(message: &'a MessageType<N>, name: &'a str) -> Self {
        Self {
            name,
            schema_version: message.schema_version.0,
            // What is not JSON is as good as unknown.
            schema: serde_json::from_str(&message.schema).ok(),
        }
    }
}

/// The commands: those it decides, or those it sends with who takes them.
fn commands_of(facts: &Facts<'_>) -> (&'static str, String) {
    if facts.targets.is_empty() {
        return ("commands", joined(&facts.commands));
    }
    let sent = facts.targets.iter().zip(&facts.commands);
    let sent: Vec<_> = sent.map(|(target, command)| format!("{target} {}", command.name)).collect();
    ("sends", sent.join(", "))
}

fn joined(messages: &[Message<'_>]) -> String {
    messages.iter().map(|message| message.name).collect::<Vec<_>>().join(", ")
}

/// `annals plugin check`.
pub(super) fn check(path: &Path, cache: &CacheArgs, output: &mut Output) -> Result<(), Failure> {
    let component = Component::load(path, cache)?;
    if output.is_json() {
        return output.json(&component.facts());
    }
    let (kind, name) = (component.kind(), component.name());
    output.line(format_args!("`{}` is the {kind} `{name}` and can be installed", path.display()))
}

/// `annals plugin inspect`.
pub(super) fn inspect(path: &Path, cache: &CacheArgs, output: &mut Output) -> Result<(), Failure> {
    let component = Component::load(path, cache)?;
    if output.is_json() { output.json(&component.facts()) } else { component.print(output) }
}

fn refused(path: &Path, error: &LoadError) -> Failure {
    let failure = Failure::yours(format!("`{}`: {}", path.display(), ErrorChain(error)));
    match error {
        LoadError::NotAComponent { .. } | LoadError::NotAPlugin { .. } => {
            failure.with_hint("build the plugin with `annals plugin build`")
        }
        LoadError::ForbiddenImports { .. } => failure.with_hint(
            "look for a dependency that needs an operating system: a plugin has no clock, no files \
             and no network",
        ),
        _ => failure,
    }
}
