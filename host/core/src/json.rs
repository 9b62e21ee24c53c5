//! Checking JSON without building it: a scan, not a tree.

use serde::de::IgnoredAny;

/// Bytes that are not one JSON value.
#[derive(Debug, thiserror::Error)]
#[error("not JSON: {0}")]
pub struct InvalidJson(serde_json::Error);

/// Checks that `bytes` are exactly one JSON value, by reading over it.
///
/// # Errors
/// [`InvalidJson`] with line and column of the first fault.
pub fn check(bytes: &[u8]) -> Result<(), InvalidJson> {
    let _: IgnoredAny = serde_json::from_slice(bytes).map_err(InvalidJson)?;
    // The scan passes over the inside of strings; a value is text only when it is UTF-8.
    std::str::from_utf8(bytes)
        .map(drop)
        .map_err(|error| InvalidJson(serde::de::Error::custom(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_one_value_and_nothing_else() {
        // Guards the log against data that no reader can parse.
        for good in [&b"{}"[..], b"null", b" [1, \"\xc3\xbc\"] "] {
            assert!(check(good).is_ok());
        }
        for bad in [&b""[..], b"{", b"{} {}", b"\"\xff\"", b"{\"a\":}", b"nul"] {
            assert!(check(bad).is_err(), "{bad:?}");
        }
    }
}
