//! `annals plugin install`: gives a component to a running daemon.

use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde_json::{Value, json};

use super::changes::{self, Change, Unread};
use super::component::{CacheArgs, Component};
use super::force::ForceArgs;
use super::manifest::Manifest;
use super::{example, verify};
use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Install a plugin in a running daemon
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The plugin is active at once. Over an older version it takes over between two commands, and nobody is
refused meanwhile. Installing the same component again changes nothing. With `--verify` it is first
compared with the history, as `annals plugin verify` does. The view of another version of a projection is
built anew; `annals projection rebuild NAME --with FILE` keeps the old one serving until it has caught up.

A version that does not read all that is recorded is refused, unless you force it with a reason, which
`annals plugin history` shows. Commands and events that changed are listed.

Examples:
  annals plugin install
  annals plugin install shop-cart
  annals plugin install shop-cart --verify
  annals plugin install shop-cart/shop-cart.wasm --server http://127.0.0.1:7071
  annals plugin install shop-cart --force --reason 'the carts of the trial are of no use'")]
pub(crate) struct InstallArgs {
    /// The component, or the folder of the plugin that was built
    #[arg(value_name = "FILE|DIR", default_value = ".")]
    from: PathBuf,

    #[command(flatten)]
    force: ForceArgs,

    #[command(flatten)]
    verify: verify::VerifyFirstArgs,

    #[command(flatten)]
    server: ServerArgs,

    #[command(flatten)]
    cache: CacheArgs,
}

#[derive(Debug, Deserialize)]
struct Installed {
    outcome: String,
    plugin: Plugin,
    changes: Vec<Change>,
    unread: Vec<Unread>,
}

#[derive(Debug, Deserialize)]
struct Plugin {
    name: String,
    version: String,
    kind: String,
    commands: Vec<Message>,
    tables: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Message {
    name: String,
    schema: Option<Value>,
}

/// Runs the command.
pub(super) fn run(args: &InstallArgs, output: &mut Output) -> Result<(), Failure> {
    let component = Component::load(&component_of(&args.from)?, &args.cache)?;
    verify::before_install(&args.verify, &component, &args.server, output)?;
    let path = args.force.add_to(ApiPath::new("/v1/plugins").join(component.name()));
    let call = Call::put_component(path, component.bytes);
    let answer = tasks::run_here(async { Client::connect(&args.server).await?.send(call).await })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let Installed { outcome, plugin, changes, unread } = answer.json()?;
    let Plugin { name, version, kind, commands, tables } = plugin;
    output.line(match outcome.as_str() {
        "unchanged" => format!("the {kind} `{name}` {version} is installed already"),
        outcome => format!("{outcome} the {kind} `{name}` {version}"),
    })?;
    if kind == "projection" && outcome == "upgraded" {
        output.note(format_args!(
            "its view is built anew from the first event, and what is read meanwhile is not complete; \
             next time\n  annals projection rebuild {name} --with FILE\nkeeps the old view serving until \
             the new one has caught up"
        ));
    }
    changes::print(&changes, output)?;
    changes::warn_of(&unread, output);
    if outcome != "installed" {
        return Ok(());
    }
    // The commands of a process manager are not for it.
    if kind == "process-manager" {
        return Ok(());
    }
    if let Some(command) = commands.first() {
        let data = example::of(command.schema.as_ref().unwrap_or(&Value::Null));
        let data = Some(data).filter(Value::is_object).unwrap_or_else(|| json!({}));
        output.note(format_args!("\nTry it:\n  annals command {name} 1 {} '{data}'", command.name));
    } else if let Some(table) = tables.first() {
        output.note(format_args!("\nTry it:\n  annals view list {name} {table}"));
    }
    Ok(())
}

/// The component at a path: the file itself, or the one that was built in a plugin's folder.
pub(crate) fn component_of(path: &Path) -> Result<PathBuf, Failure> {
    if !path.is_dir() {
        return Ok(path.to_owned());
    }
    let component = Manifest::read(path)?.component(path);
    if component.is_file() {
        return Ok(component);
    }
    Err(Failure::yours(format!("`{}` is not built yet", path.display()))
        .with_hint("build it with `annals plugin build`"))
}
