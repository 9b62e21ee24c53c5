//! Reading and writing the attributes of items, whose types nobody else checks.

use std::collections::HashMap;
use std::sync::Arc;

use annals_core::error::DriverError;
use annals_core::port::event_store::ReadError;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use bytes::Bytes;
use uuid::Uuid;

/// An item, or a map inside one.
pub(super) type Item = HashMap<String, AttributeValue>;

/// An item that is not as this driver writes them.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("attribute `{name}` {what}")]
pub(super) struct Fault {
    /// The attribute.
    pub(super) name: String,
    /// What is wrong with it.
    pub(super) what: &'static str,
}

impl Fault {
    pub(super) fn new(name: &str, what: &'static str) -> Self {
        Self { name: name.to_owned(), what }
    }
}

/// The error of a read that met a faulty item.
pub(super) fn damaged(item: &Item, fault: Fault) -> ReadError {
    let part =
        |name| item.get(name).and_then(|value| value.as_s().ok()).map_or("?", String::as_str);
    let text = format!("the item `{}`, `{}` cannot be read", part("pk"), part("sk"));
    ReadError::Damaged(DriverError::with_source(&text, fault))
}

/// Attributes by name.
#[derive(Debug, Clone, Copy)]
pub(super) struct Fields<'a>(pub(super) &'a Item);

impl<'a> Fields<'a> {
    fn required<T>(name: &str, value: Option<T>) -> Result<T, Fault> {
        value.ok_or_else(|| Fault::new(name, "is missing"))
    }

    /// A number; `None` when it is not there.
    pub(super) fn optional_number(self, name: &str) -> Result<Option<u64>, Fault> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let number = value.as_n().ok().and_then(|text| text.parse().ok());
        number.map(Some).ok_or_else(|| Fault::new(name, "is not a number of 64 bits"))
    }

    /// A number that must be there.
    pub(super) fn number(self, name: &str) -> Result<u64, Fault> {
        Self::required(name, self.optional_number(name)?)
    }

    /// A text; `None` when it is not there.
    pub(super) fn optional_text(self, name: &str) -> Result<Option<&'a str>, Fault> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let text = value.as_s().map_err(|_| Fault::new(name, "is not a text"))?;
        Ok(Some(text))
    }

    /// A text that must be there.
    pub(super) fn text(self, name: &str) -> Result<&'a str, Fault> {
        Self::required(name, self.optional_text(name)?)
    }

    /// Bytes, kept as text or as binary; empty when they are not there.
    pub(super) fn content(self, name: &str) -> Result<Bytes, Fault> {
        match self.0.get(name) {
            None => Ok(Bytes::new()),
            Some(AttributeValue::S(text)) => Ok(Bytes::copy_from_slice(text.as_bytes())),
            Some(AttributeValue::B(blob)) => Ok(Bytes::copy_from_slice(blob.as_ref())),
            Some(_) => Err(Fault::new(name, "is neither text nor binary")),
        }
    }

    /// Binary; `None` when it is not there.
    pub(super) fn optional_binary(self, name: &str) -> Result<Option<&'a [u8]>, Fault> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let blob = value.as_b().map_err(|_| Fault::new(name, "is not binary"))?;
        Ok(Some(blob.as_ref()))
    }

    /// A UUID; `None` when it is not there.
    pub(super) fn optional_uuid(self, name: &str) -> Result<Option<Uuid>, Fault> {
        let Some(bytes) = self.optional_binary(name)? else { return Ok(None) };
        let uuid = Uuid::from_slice(bytes);
        uuid.map(Some).map_err(|_| Fault::new(name, "has not the 16 bytes of a UUID"))
    }

    /// A map; `None` when it is not there.
    pub(super) fn optional_map(self, name: &str) -> Result<Option<Self>, Fault> {
        let Some(value) = self.0.get(name) else { return Ok(None) };
        let map = value.as_m().map_err(|_| Fault::new(name, "is not a map"))?;
        Ok(Some(Fields(map)))
    }

    /// A list; empty when it is not there.
    pub(super) fn list(self, name: &str) -> Result<&'a [AttributeValue], Fault> {
        let Some(value) = self.0.get(name) else { return Ok(&[]) };
        value.as_l().map(Vec::as_slice).map_err(|_| Fault::new(name, "is not a list"))
    }

    /// A list of maps; empty when it is not there.
    pub(super) fn maps(self, name: &str) -> Result<Vec<Self>, Fault> {
        let maps = self.list(name)?.iter().map(|value| value.as_m().map(Fields));
        maps.collect::<Result<_, _>>().map_err(|_| Fault::new(name, "holds something but maps"))
    }

    /// A text that must be there and parse.
    pub(super) fn parsed<T: std::str::FromStr>(self, name: &str) -> Result<T, Fault> {
        self.text(name)?.parse().map_err(|_| Fault::new(name, "is not what it should name"))
    }
}

/// A number as an attribute.
pub(super) fn number(number: u64) -> AttributeValue {
    AttributeValue::N(number.to_string())
}

/// A text as an attribute.
pub(super) fn text(text: &str) -> AttributeValue {
    AttributeValue::S(text.to_owned())
}

/// Bytes as an attribute.
pub(super) fn binary(bytes: &[u8]) -> AttributeValue {
    AttributeValue::B(Blob::new(bytes))
}

/// Bytes as an attribute that people can read when they are plain text.
pub(super) fn content(bytes: &[u8]) -> AttributeValue {
    let is_plain = |c: char| !c.is_control() || matches!(c, '\n' | '\r' | '\t');
    match std::str::from_utf8(bytes) {
        Ok(plain) if plain.chars().all(is_plain) => text(plain),
        _ => binary(bytes),
    }
}

/// A shared text; saves nothing in the item but a copy in memory.
pub(super) fn shared(text: &str) -> Arc<str> {
    Arc::from(text)
}
