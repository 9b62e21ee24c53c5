//! `--force --reason TEXT`: to do what the history gate refuses.

use crate::client::ApiPath;

#[derive(Debug, clap::Args)]
pub(super) struct ForceArgs {
    /// Activate it although it does not read all that is recorded
    #[arg(long, requires = "reason")]
    force: bool,

    /// Why that is right; kept in the history of the plugin
    #[arg(long, value_name = "TEXT", requires = "force", value_parser = reason)]
    reason: Option<String>,
}

impl ForceArgs {
    pub(super) fn add_to(&self, path: ApiPath) -> ApiPath {
        path.query("force", self.force.then_some(true)).query("reason", self.reason.as_deref())
    }
}

fn reason(text: &str) -> Result<String, &'static str> {
    if text.trim().is_empty() { Err("say why, in a few words") } else { Ok(text.to_owned()) }
}
