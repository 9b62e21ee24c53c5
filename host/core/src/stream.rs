//! Stream ids: `category/id`, e.g. `account/a1`.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::name::{Category, InvalidName};

/// Longest id part of a stream id, in bytes. With the category and a prefix it stays well below the
/// 2 048 bytes of a DynamoDB partition key.
pub const STREAM_ID_PART_BYTES_MAX: usize = 256;

/// The name of a stream: a [`Category`], a `/` and an id that is unique within the category.
///
/// The id is 1 to [`STREAM_ID_PART_BYTES_MAX`] bytes of UTF-8 without `/` and control characters.
/// Cloning is cheap.
#[derive(Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamId {
    text: Arc<str>,
    // Invariant: `text[category_bytes]` is the only `/`.
    category_bytes: usize,
}

/// A text that is not a stream id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum InvalidStreamId {
    /// No `/` between category and id.
    #[error("`{text}` is not a stream id: write it as `category/id`")]
    NoSlash {
        /// The text as it came, cut to a printable length.
        text: String,
    },
    /// The category is not a name.
    #[error("the category of the stream id is not valid")]
    Category(#[source] InvalidName),
    /// The id is empty, too long, or has a `/` or a control character.
    #[error(
        "`{id}` is not the id of a stream: it has 1 to 256 bytes and no `/` or control characters"
    )]
    Id {
        /// The id as it came, cut to a printable length.
        id: String,
    },
}

fn check_id(id: &str) -> Result<(), InvalidStreamId> {
    let is_plain = id.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'/');
    let is_valid = !id.is_empty()
        && id.len() <= STREAM_ID_PART_BYTES_MAX
        && (is_plain || !id.chars().any(|c| c == '/' || c.is_control()));
    if is_valid { Ok(()) } else { Err(InvalidStreamId::Id { id: id.chars().take(64).collect() }) }
}

impl StreamId {
    /// Makes the id of the stream `id` in `category`.
    ///
    /// # Errors
    /// [`InvalidStreamId::Id`] when `id` is empty, longer than [`STREAM_ID_PART_BYTES_MAX`], or has
    /// a `/` or a control character.
    pub fn new(category: &Category, id: &str) -> Result<Self, InvalidStreamId> {
        check_id(id)?;
        let category = category.as_str();
        let mut text = String::with_capacity(category.len() + 1 + id.len());
        text.push_str(category);
        text.push('/');
        text.push_str(id);
        Ok(Self { text: Arc::from(text), category_bytes: category.len() })
    }

    /// Parses `category/id`; categories of the host (`$…`) are allowed.
    ///
    /// # Errors
    /// Each variant of [`InvalidStreamId`].
    pub fn parse(text: &str) -> Result<Self, InvalidStreamId> {
        let Some((category, id)) = text.split_once('/') else {
            return Err(InvalidStreamId::NoSlash { text: text.chars().take(64).collect() });
        };
        Category::check_any(category).map_err(InvalidStreamId::Category)?;
        check_id(id)?;
        Ok(Self { text: Arc::from(text), category_bytes: category.len() })
    }

    /// The whole id, `category/id`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the `/`.
    #[must_use]
    pub fn category(&self) -> &str {
        self.text.get(..self.category_bytes).unwrap_or_default()
    }

    /// The part after the `/`.
    #[must_use]
    pub fn id(&self) -> &str {
        self.text.get(self.category_bytes + 1..).unwrap_or_default()
    }

    /// Whether the stream belongs to the host.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.text.starts_with('$')
    }

    /// A hash of the id that is the same on every machine and in every release: FNV-1a with 64 bits
    /// (Fowler, Noll, Vo; RFC 9923).
    #[must_use]
    pub fn stable_hash(&self) -> u64 {
        self.text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3)
        })
    }

    /// The whole id, shared.
    #[must_use]
    pub fn to_shared(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }
}

impl PartialEq for StreamId {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl Eq for StreamId {}

impl Hash for StreamId {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text.hash(state);
    }
}

impl PartialOrd for StreamId {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for StreamId {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.text.cmp(&other.text)
    }
}

impl std::borrow::Borrow<str> for StreamId {
    fn borrow(&self) -> &str {
        &self.text
    }
}

impl fmt::Display for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for StreamId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.text)
    }
}

impl std::str::FromStr for StreamId {
    type Err = InvalidStreamId;
    fn from_str(text: &str) -> Result<Self, InvalidStreamId> {
        Self::parse(text)
    }
}

impl TryFrom<String> for StreamId {
    type Error = InvalidStreamId;
    fn try_from(text: String) -> Result<Self, InvalidStreamId> {
        Self::parse(&text)
    }
}

impl From<StreamId> for String {
    fn from(stream: StreamId) -> Self {
        (*stream.text).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn splits_into_category_and_id() {
        // Guards that the two parts of a stream id are what was put in.
        let stream = StreamId::parse("money-transfer/42 ü").unwrap();
        assert_eq!((stream.category(), stream.id()), ("money-transfer", "42 ü"));
        assert_eq!(stream.as_str(), "money-transfer/42 ü");
    }

    #[test]
    fn rejects_invalid_stream_ids() {
        // Guards that no driver ever sees a key it cannot hold.
        let too_long = format!("account/{}", "x".repeat(STREAM_ID_PART_BYTES_MAX + 1));
        for bad in
            ["", "account", "account/", "/a1", "a/b/c", "account/a\nb", "Account/a", &too_long]
        {
            assert!(StreamId::parse(bad).is_err(), "{bad}");
        }
        let longest = format!("account/{}", "x".repeat(STREAM_ID_PART_BYTES_MAX));
        assert!(StreamId::parse(&longest).is_ok());
    }
}
