//! How a version differs from the one before, as the daemon tells it.

use serde::Deserialize;

use crate::failure::Failure;
use crate::output::Output;

/// A command or event that is not as it was.
#[derive(Debug, Deserialize)]
pub(super) struct Change {
    message: String,
    name: String,
    schema_version: u32,
    change: String,
    is_breaking: bool,
    differences: Vec<Difference>,
}

#[derive(Debug, Deserialize)]
struct Difference {
    pointer: String,
    text: String,
}

/// Events that an active plugin wants and cannot read.
#[derive(Debug, Deserialize)]
pub(super) struct Unread {
    reader: String,
    r#type: String,
    schema_version: u32,
}

/// Warns of plugins that will fail on what a version records.
pub(super) fn warn_of(unread: &[Unread], output: &mut Output) {
    for Unread { reader, r#type, schema_version } in unread {
        output.warning(format_args!(
            "`{reader}` wants `{type}` and does not read its version {schema_version}: install a \
             version of it that does"
        ));
    }
}

/// Prints what changed, and warns of what may break.
pub(super) fn print(changes: &[Change], output: &mut Output) -> Result<(), Failure> {
    for Change { message, name, schema_version, change, is_breaking, differences } in changes {
        let shape = if message == "event" { format!(" v{schema_version}") } else { String::new() };
        let breaks = if *is_breaking { " (breaking)" } else { "" };
        output.line(format_args!("  {change} {message} `{name}`{shape}{breaks}"))?;
        for Difference { pointer, text } in differences {
            let place = if pointer.is_empty() { String::new() } else { format!("`{pointer}` ") };
            output.line(format_args!("    {place}{text}"))?;
        }
    }
    let breaking_count = changes.iter().filter(|change| change.is_breaking).count();
    if breaking_count > 0 {
        output.warning(format_args!(
            "{breaking_count} of the changes may break callers or readers of events"
        ));
    }
    Ok(())
}
