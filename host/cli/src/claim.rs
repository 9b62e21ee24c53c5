//! `annals claim`: who holds a name.

use serde::Deserialize;

use crate::args::ServerArgs;
use crate::client::{ApiPath, Call, Client};
use crate::failure::Failure;
use crate::output::Output;
use crate::tasks;

/// Look at claims: names that one stream holds alone
#[derive(Debug, clap::Subcommand)]
pub(crate) enum ClaimCommand {
    Show(ShowArgs),
}

/// Show which stream holds a name now, and until when
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Exit code 1 means that no stream holds it. Names are compared byte for byte.

Examples:
  annals claim show email ada@example.org
  annals claim show seat 'row 3/12' --output json")]
pub(crate) struct ShowArgs {
    /// What kind of name it is, e.g. `email`
    scope: String,

    /// The name, as it was claimed
    key: String,

    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Deserialize)]
struct Claim {
    holder: String,
    expires_at: Option<String>,
}

/// Runs the command.
pub(crate) fn run(command: ClaimCommand, output: &mut Output) -> Result<(), Failure> {
    let ClaimCommand::Show(args) = command;
    if args.scope.is_empty() || args.key.is_empty() {
        return Err(Failure::yours("the scope and the key of a claim are never empty"));
    }
    let path = ApiPath::new("/v1/claims").join(&args.scope).join(&args.key);
    let answer = tasks::run_here(async {
        let mut client = Client::connect(&args.server).await?;
        client.send(Call::get(path)).await
    })?;
    if output.is_json() {
        return output.line(answer.text());
    }
    let Claim { holder, expires_at } = answer.json()?;
    let end =
        expires_at.map_or("it is released".to_owned(), |at| format!("{at}, or it is released"));
    output.line(format_args!("{holder}  until {end}"))
}
