//! Bytes in JSON: as they are when they are JSON on one line, else as base64. Either way every byte
//! comes back.

use std::fmt;

use annals_core::event::ContentType;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use serde::de::{MapAccess, SeqAccess, Visitor};
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use super::error::LineFault;

/// JSON text that is kept as it was written: numbers, key order and spaces.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Json(Box<RawValue>);

impl Json {
    /// The bytes as JSON, when they are exactly one JSON value on one line that every JSON reader
    /// takes: an unpaired surrogate or a number like `1e999` would make the whole line unreadable.
    pub(super) fn of(bytes: &[u8]) -> Option<Self> {
        let is_on_one_line = !bytes.iter().any(|byte| matches!(byte, b'\n' | b'\r'));
        let text = std::str::from_utf8(bytes).ok().filter(|_| is_on_one_line)?;
        let value: &RawValue = serde_json::from_str(text).ok()?;
        let _: Readable = serde_json::from_str(text).ok()?;
        // Spaces around a value are not part of it, and would be lost.
        (value.get().len() == text.len()).then(|| Self(value.to_owned()))
    }

    pub(super) fn text(&self) -> &str {
        self.0.get()
    }
}

impl PartialEq for Json {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text()
    }
}

impl Eq for Json {}

/// JSON that was read whole, without building it.
struct Readable;

impl<'de> Deserialize<'de> for Readable {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ReadableVisitor)
    }
}

struct ReadableVisitor;

impl<'de> Visitor<'de> for ReadableVisitor {
    type Value = Readable;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_str<E>(self, _: &str) -> Result<Readable, E> {
        Ok(Readable)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Readable, A::Error> {
        while seq.next_element::<Readable>()?.is_some() {}
        Ok(Readable)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Readable, A::Error> {
        while map.next_entry::<Readable, Readable>()?.is_some() {}
        Ok(Readable)
    }
}

/// Reads a member that is there: `null` is JSON like any other.
pub(super) fn present<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Json>, D::Error> {
    Json::deserialize(from).map(Some)
}

/// Bytes of a media type as JSON or as base64: one of the two.
pub(super) fn split(bytes: &[u8], media_type: &ContentType) -> (Option<Json>, Option<String>) {
    match Json::of(bytes).filter(|_| *media_type == ContentType::Json) {
        Some(json) => (Some(json), None),
        None => (None, Some(STANDARD.encode(bytes))),
    }
}

/// The bytes that [`split`] was given. `name` is that of the member with JSON.
pub(super) fn join(
    name: &'static str,
    json: Option<&Json>,
    base64: Option<&str>,
) -> Result<Bytes, LineFault> {
    match (json, base64) {
        (Some(json), None) => Ok(Bytes::copy_from_slice(json.text().as_bytes())),
        (None, Some(base64)) => decode(name, base64),
        (None, None) => Err(LineFault::Missing { name }),
        (Some(_), Some(_)) => Err(LineFault::Twice { name }),
    }
}

/// The bytes of a text in base64.
pub(super) fn decode(name: &'static str, base64: &str) -> Result<Bytes, LineFault> {
    let decoded = STANDARD.decode(base64);
    decoded.map(Bytes::from).map_err(|error| LineFault::invalid(name, &error))
}

/// Bytes in base64.
pub(super) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_comes_back() {
        // Guards the round trip of data: what JSON would change goes as base64.
        let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
        let as_json: [&[u8]; 6] = [
            b"null",
            b"1.50e+01",
            br#"{"b":1,"a":18446744073709551616}"#,
            br#"{"a": 1, "a" : 2}"#,
            br#""\ud83e\udd80 \u00fc""#,
            "\"\u{1f980}\u{2028}\"".as_bytes(),
        ];
        let as_base64: [&[u8]; 11] = [
            b"",
            b" {}",
            b"{}\n",
            b"{\n}",
            b"{\r}",
            b"\0",
            b"\"\xff\"",
            b"{",
            br#""\ud800""#,
            b"1e999",
            deep.as_bytes(),
        ];
        for (list, is_as_json) in [(&as_json[..], true), (&as_base64[..], false)] {
            for bytes in list {
                let (json, base64) = split(bytes, &ContentType::Json);
                assert_eq!((json.is_some(), base64.is_some()), (is_as_json, !is_as_json));
                let joined = join("data", json.as_ref(), base64.as_deref());
                assert_eq!(joined.unwrap(), *bytes);
                let (json, base64) = split(bytes, &ContentType::from("application/cbor"));
                assert_eq!(json, None);
                assert_eq!(join("data", None, base64.as_deref()).unwrap(), *bytes);
            }
        }
    }
}
