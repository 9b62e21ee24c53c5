//! Names of members, and of deliveries.

use std::fmt;
use std::sync::Arc;

use annals_core::place::{Partition, Position};
use serde::{Deserialize, Serialize};

/// Longest name of a member, in bytes.
const MEMBER_NAME_BYTES_MAX: usize = 64;

/// Who takes deliveries: any name that a process keeps, e.g. of its host or pod.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct MemberName(Arc<str>);

/// A text that is not the name of a member.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not the name of a member: use 1 to 64 printable ASCII characters without spaces"
)]
pub struct InvalidMemberName {
    text: String,
}

impl MemberName {
    /// Parses a name.
    ///
    /// # Errors
    /// [`InvalidMemberName`] when `text` is empty, too long, or has a character that is not printable
    /// ASCII.
    pub fn new(text: &str) -> Result<Self, InvalidMemberName> {
        let is_valid = !text.is_empty()
            && text.len() <= MEMBER_NAME_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid {
            return Ok(Self(Arc::from(text)));
        }
        Err(InvalidMemberName { text: text.chars().take(MEMBER_NAME_BYTES_MAX).collect() })
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for MemberName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl TryFrom<String> for MemberName {
    type Error = InvalidMemberName;
    fn try_from(text: String) -> Result<Self, InvalidMemberName> {
        Self::new(&text)
    }
}

impl From<MemberName> for String {
    fn from(name: MemberName) -> Self {
        (*name.0).to_owned()
    }
}

/// Names one delivery of an event: the next delivery of it has another name.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct DeliveryId {
    pub(super) partition: Partition,
    pub(super) position: Position,
    pub(super) lease: u64,
    // The end of the subscription's incarnation.
    pub(super) incarnation: Arc<str>,
}

impl DeliveryId {
    /// The delivery that a text names; `None`: no host ever wrote it.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.split('.');
        let partition = Partition(parts.next()?.parse().ok()?);
        let position = Position::new(parts.next()?.parse().ok()?);
        let lease = parts.next()?.parse().ok()?;
        let incarnation = Arc::from(parts.next()?);
        let id = Self { partition, position, lease, incarnation };
        parts.next().is_none().then_some(id)
    }
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { partition, position, lease, incarnation } = self;
        write!(f, "{partition}.{position}.{lease}.{incarnation}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_members_and_deliveries_are_what_was_written() {
        // Guards what clients pass on: a delivery reads as it was written, and nothing else does.
        let id = DeliveryId {
            partition: Partition(3),
            position: Position::new(41),
            lease: 7,
            incarnation: Arc::from("0a1b"),
        };
        assert_eq!(id.to_string(), "3.41.7.0a1b");
        assert_eq!(DeliveryId::parse("3.41.7.0a1b"), Some(id));
        for bad in ["", "3", "3.41", "3.41.7", "3.41.7.a.b", "x.41.7.a", "-1.41.7.a"] {
            assert_eq!(DeliveryId::parse(bad), None, "{bad}");
        }
        for good in ["a", "worker-1", "Pod/7", &"x".repeat(MEMBER_NAME_BYTES_MAX)] {
            assert_eq!(MemberName::new(good).map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "a b", "ä", "\n", &"x".repeat(MEMBER_NAME_BYTES_MAX + 1)] {
            assert!(MemberName::new(bad).is_err(), "{bad}");
        }
    }
}
