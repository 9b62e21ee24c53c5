//! Consent to a change that cannot be taken back: asked for on a terminal, or given by `--yes`.

use std::io::{self, BufRead, IsTerminal as _};

use crate::failure::Failure;
use crate::output::Output;

/// Whether somebody has to be asked.
#[derive(Debug, clap::Args)]
pub(super) struct ConsentArgs {
    /// Do it without asking; needed where nobody can be asked
    #[arg(long)]
    yes: bool,
}

impl ConsentArgs {
    /// Asks whether to do `what`, a sentence without subject: `rename 3 events`.
    pub(super) fn ask(&self, what: &str, output: &mut Output) -> Result<(), Failure> {
        if self.yes {
            return Ok(());
        }
        let stdin = io::stdin();
        if !stdin.is_terminal() {
            return Err(Failure::yours(format!("nothing was changed; this would {what}"))
                .with_hint("nobody can be asked here: pass `--yes` to do it"));
        }
        output.note(format_args!("this will {what}\ngo on? [y/N]"));
        if says_yes(&mut stdin.lock())? {
            return Ok(());
        }
        Err(Failure::yours("nothing was changed"))
    }
}

/// Longest answer that is read, in bytes.
const ANSWER_BYTES_MAX: u64 = 64;

fn says_yes(from: &mut impl BufRead) -> Result<bool, Failure> {
    let mut answer = String::new();
    let read = io::Read::take(from, ANSWER_BYTES_MAX).read_line(&mut answer);
    read.map_err(|error| Failure::yours(format!("failed to read the answer: {error}")))?;
    let answer = answer.trim().to_lowercase();
    Ok(answer == "y" || answer == "yes")
}

#[cfg(test)]
mod tests {
    use super::says_yes;

    #[test]
    fn only_a_yes_is_a_yes() {
        // Guards against a change by somebody who only pressed a key, or by no answer at all.
        for (answer, expected) in [
            ("y\n", true),
            ("YES\n", true),
            (" yes", true),
            ("\n", false),
            ("", false),
            ("n\n", false),
            ("yesterday\n", false),
        ] {
            assert_eq!(says_yes(&mut answer.as_bytes()).unwrap(), expected, "{answer:?}");
        }
    }
}
