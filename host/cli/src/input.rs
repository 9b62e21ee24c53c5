//! What people give to commands: JSON, as it is, from a file or from standard input; and streams.

use std::io::Read as _;
use std::path::Path;

use serde_json::value::RawValue;

use crate::failure::Failure;

/// Largest JSON that is read, in bytes.
const JSON_BYTES_MAX: u64 = 8 << 20;

/// Reads JSON from an argument: the text itself, `@FILE`, or `-` for standard input.
pub(crate) fn json(argument: &str) -> Result<Box<RawValue>, Failure> {
    let text = if argument == "-" {
        let mut text = String::new();
        let read = std::io::stdin().take(JSON_BYTES_MAX + 1).read_to_string(&mut text);
        read.map_err(|error| Failure::yours(format!("failed to read standard input: {error}")))?;
        text
    } else if let Some(path) = argument.strip_prefix('@') {
        let path = Path::new(path);
        std::fs::read_to_string(path).map_err(|error| Failure::file("read", path, &error))?
    } else {
        argument.to_owned()
    };
    if u64::try_from(text.len()).unwrap_or(u64::MAX) > JSON_BYTES_MAX {
        return Err(Failure::yours(format!("the JSON has more than {JSON_BYTES_MAX} bytes")));
    }
    serde_json::from_str(&text).map_err(|error| {
        Failure::yours(format!("not JSON: {error}"))
            .with_hint(r#"put it in single quotes: '{"cents": 100}', or use `@FILE` or `-`"#)
    })
}

/// Splits `category/id`.
pub(crate) fn stream(argument: &str) -> Result<(String, String), Failure> {
    match argument.split_once('/') {
        Some((category, id)) if !category.is_empty() && !id.is_empty() => {
            Ok((category.to_owned(), id.to_owned()))
        }
        _ => Err(Failure::yours(format!("`{argument}` is not a stream"))
            .with_hint("write it as `category/id`, e.g. `account/a1`")),
    }
}
