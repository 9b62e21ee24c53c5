//! Writing JSON around JSON that is there already, without reading it again.
//!
//! What events say was checked to be JSON before it was recorded. [`RawJson`] puts such bytes into an
//! answer as they are; [`to_vec`] is the serializer that knows how.

use std::io;

use serde::{Serialize, Serializer};
use serde_json::ser::Formatter;

use crate::problem::{Code, Problem};

/// Bytes that are one JSON value. Only [`to_vec`] and [`write`] write them as such.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RawJson<'a>(pub(crate) &'a [u8]);

impl Serialize for RawJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_bytes(self.0)
    }
}

/// Writes byte strings as the JSON they are, on one line.
struct Splice;

impl Formatter for Splice {
    fn write_byte_array<W: io::Write + ?Sized>(
        &mut self,
        writer: &mut W,
        value: &[u8],
    ) -> io::Result<()> {
        // In JSON a bare line break stands between tokens only; one line is what NDJSON and
        // event streams need.
        if !value.contains(&b'\n') && !value.contains(&b'\r') {
            return writer.write_all(value);
        }
        value
            .split(|byte| matches!(byte, b'\n' | b'\r'))
            .try_for_each(|line| writer.write_all(line).and_then(|()| writer.write_all(b" ")))
    }
}

/// Appends the JSON of `value` to `out`.
pub(crate) fn write<T: Serialize + ?Sized>(out: &mut Vec<u8>, value: &T) -> Result<(), Problem> {
    value
        .serialize(&mut serde_json::Serializer::with_formatter(out, Splice))
        .map_err(|error| Problem::new(Code::Internal, INTERNAL).caused_by(&error))
}

/// The JSON of `value`, on one line.
pub(crate) fn to_vec<T: Serialize + ?Sized>(value: &T) -> Result<Vec<u8>, Problem> {
    let mut out = Vec::with_capacity(512);
    write(&mut out, value)?;
    Ok(out)
}

const INTERNAL: &str = "The answer could not be written. Report this with the request id.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn raw_json_is_written_as_it_is_on_one_line() {
        // Guards feeds: data is not read again, and a line break in it does not end a line.
        #[derive(Serialize)]
        struct Event<'a> {
            name: &'a str,
            data: RawJson<'a>,
        }
        let event = Event { name: "a\nb", data: RawJson(b"{\"x\":\r\n  [1,\n2]}") };
        let text = String::from_utf8(to_vec(&event).unwrap()).unwrap();
        assert_eq!(text, r#"{"name":"a\nb","data":{"x":    [1, 2]} }"#);
    }
}
