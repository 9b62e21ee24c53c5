//! Bytes as people can read them in a row of JSON: text as it is, other bytes in hexadecimal digits.

use bytes::Bytes;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[derive(Serialize, Deserialize)]
#[serde(untagged)]
enum Shown {
    Text(String),
    Other { hex: String },
}

impl Shown {
    fn of(bytes: &[u8]) -> Self {
        match std::str::from_utf8(bytes) {
            Ok(text) => Self::Text(text.to_owned()),
            Err(_) => Self::Other { hex: bytes.iter().map(|byte| format!("{byte:02x}")).collect() },
        }
    }

    fn bytes(self) -> Result<Bytes, &'static str> {
        const BAD: &str = "an even number of hexadecimal digits was expected";
        let hex = match self {
            Self::Text(text) => return Ok(text.into()),
            Self::Other { hex } => hex,
        };
        let digits =
            hex.chars().map(|digit| digit.to_digit(16).and_then(|it| u8::try_from(it).ok()));
        let digits: Vec<u8> = digits.collect::<Option<_>>().ok_or(BAD)?;
        let pairs = digits.chunks(2).map(|pair| match pair {
            [high, low] => Ok(high * 16 + low),
            _ => Err(BAD),
        });
        pairs.collect::<Result<Vec<u8>, _>>().map(Bytes::from)
    }
}

pub(super) fn serialize<S: Serializer>(bytes: &Bytes, serializer: S) -> Result<S::Ok, S::Error> {
    Shown::of(bytes).serialize(serializer)
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Bytes, D::Error> {
    Shown::deserialize(deserializer)?.bytes().map_err(serde::de::Error::custom)
}

/// The same for what may be absent.
pub(super) mod optional {
    use serde::{Deserialize as _, Serialize as _};

    use super::{Bytes, Deserializer, Serializer, Shown};

    pub(in crate::process) fn serialize<S: Serializer>(
        bytes: &Option<Bytes>,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        bytes.as_deref().map(Shown::of).serialize(serializer)
    }

    pub(in crate::process) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Option<Bytes>, D::Error> {
        let shown = Option::<Shown>::deserialize(deserializer)?;
        shown.map(Shown::bytes).transpose().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_read_back_as_they_were() {
        // Guards the state of a plugin that is not JSON, and not even text.
        for bytes in [&b""[..], b"{\"a\":\"\\n\"}", b"\xff\x00\x10", "ü".as_bytes()] {
            let bytes = Bytes::copy_from_slice(bytes);
            let text = serde_json::to_string(&Shown::of(&bytes)).unwrap();
            let back = serde_json::from_str::<Shown>(&text).unwrap().bytes();
            assert_eq!(back, Ok(bytes));
        }
        assert!(Shown::Other { hex: "abc".to_owned() }.bytes().is_err());
        assert!(Shown::Other { hex: "zz".to_owned() }.bytes().is_err());
    }
}
