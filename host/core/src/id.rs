//! Ids of commands, events, stores and plugin contents, and who makes new ones.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use crate::stream::StreamId;

macro_rules! uuid_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps a UUID.
            #[must_use]
            pub const fn new(uuid: Uuid) -> Self {
                Self(uuid)
            }

            /// The UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::str::FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, uuid::Error> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_type! {
    /// The id of a command, given by the caller or made by the host. A stream that has decided an id
    /// gives the first outcome again.
    CommandId
}
uuid_type! {
    /// The id of an event: [`EventId::derive`]d, or given by the client of a plain append.
    EventId
}
uuid_type! {
    /// The id of the message that directly caused another.
    CausationId
}
uuid_type! {
    /// The id of one event store, made when it is created. Whatever is derived from a store carries
    /// it, so that it is never believed of another.
    StoreId
}

impl CommandId {
    /// The id of the command that `cause` leads to at `number`, such as a time: the same whoever asks,
    /// and however often, so that the command has one outcome. A UUID of version 8, "custom"
    /// (RFC 9562).
    #[must_use]
    pub fn derive(cause: CausationId, number: u64) -> Self {
        let (high, low) = cause.0.as_u64_pair();
        let high = mix(high ^ mix(number));
        let low = mix(low.wrapping_add(mix(high.wrapping_add(number))));
        Self(custom_uuid(high, low))
    }
}

impl EventId {
    /// The id of the event `ordinal` (0 is the first of its stream in the commit) that `command`
    /// recorded in `stream`. The same on every driver and at every read.
    ///
    /// Both halves of the command id are mixed with the stream and the ordinal by the finaliser of
    /// SplitMix64 (Steele, Lea and Flood, 2014), and the result is marked as a UUID of version 8,
    /// "custom" (RFC 9562).
    #[must_use]
    pub fn derive(command: CommandId, stream: &StreamId, ordinal: u32) -> Self {
        let (high, low) = command.0.as_u64_pair();
        let place = stream.stable_hash() ^ u64::from(ordinal).wrapping_mul(GOLDEN_GAMMA);
        let high = mix(high ^ place);
        let low = mix(low.wrapping_add(mix(high.wrapping_add(place))));
        Self(custom_uuid(high, low))
    }
}

fn custom_uuid(high: u64, low: u64) -> Uuid {
    let bytes = (u128::from(high) << 64 | u128::from(low)).to_be_bytes();
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The seed of a message: differs for every message, and is the same at every replay of one.
#[must_use]
pub fn seed_of(message: Uuid) -> (u64, u64) {
    let (high, low) = message.as_u64_pair();
    let first = mix(high ^ mix(low));
    (first, mix(first.wrapping_add(low)))
}

/// 2^64 divided by the golden ratio, the increment of SplitMix64.
const GOLDEN_GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;

/// The finaliser of SplitMix64: a bijection in which every input bit moves every output bit.
fn mix(number: u64) -> u64 {
    let mut z = number.wrapping_add(GOLDEN_GAMMA);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Longest correlation id, in bytes: enough for any trace id or request id.
pub const CORRELATION_ID_BYTES_MAX: usize = 128;

/// The id shared by everything one outside request led to: 1 to [`CORRELATION_ID_BYTES_MAX`] visible
/// ASCII characters.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct CorrelationId(Arc<str>);

/// A text that is not a correlation id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a correlation id has 1 to 128 visible ASCII characters")]
pub struct InvalidCorrelationId;

impl CorrelationId {
    /// Parses a correlation id.
    ///
    /// # Errors
    /// [`InvalidCorrelationId`] when it is empty, too long or has other than visible ASCII.
    pub fn new(text: &str) -> Result<Self, InvalidCorrelationId> {
        let is_valid = !text.is_empty()
            && text.len() <= CORRELATION_ID_BYTES_MAX
            && text.bytes().all(|byte| byte.is_ascii_graphic());
        if is_valid { Ok(Self(Arc::from(text))) } else { Err(InvalidCorrelationId) }
    }

    /// The correlation id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl From<CommandId> for CorrelationId {
    fn from(command: CommandId) -> Self {
        let mut text = [0; uuid::fmt::Hyphenated::LENGTH];
        Self(Arc::from(&*command.0.hyphenated().encode_lower(&mut text)))
    }
}

impl TryFrom<String> for CorrelationId {
    type Error = InvalidCorrelationId;
    fn try_from(text: String) -> Result<Self, InvalidCorrelationId> {
        Self::new(&text)
    }
}

impl From<CorrelationId> for String {
    fn from(id: CorrelationId) -> Self {
        (*id.0).to_owned()
    }
}

impl fmt::Display for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for CorrelationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

/// The SHA-256 of some bytes: names the content of a plugin.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Digest([u8; 32]);

/// A text that is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("a digest is 64 hexadecimal digits in lower case")]
pub struct InvalidDigest;

impl Digest {
    /// The digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }

    /// The digest with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The bytes of the digest.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The first twelve hexadecimal digits, for people.
    #[must_use]
    pub fn short(&self) -> String {
        self.to_string().chars().take(12).collect()
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl std::str::FromStr for Digest {
    type Err = InvalidDigest;
    fn from_str(text: &str) -> Result<Self, InvalidDigest> {
        let is_lower_hex = text.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if text.len() != 64 || !is_lower_hex {
            return Err(InvalidDigest);
        }
        let mut bytes = [0; 32];
        for (byte, pair) in bytes.iter_mut().zip(text.as_bytes().chunks(2)) {
            let pair = std::str::from_utf8(pair).map_err(|_| InvalidDigest)?;
            *byte = u8::from_str_radix(pair, 16).map_err(|_| InvalidDigest)?;
        }
        Ok(Self(bytes))
    }
}

impl TryFrom<String> for Digest {
    type Error = InvalidDigest;
    fn try_from(text: String) -> Result<Self, InvalidDigest> {
        text.parse()
    }
}

impl From<Digest> for String {
    fn from(digest: Digest) -> Self {
        digest.to_string()
    }
}

/// Makes ids. Injected, so that a test or a simulation sees the same ids each time.
pub trait IdGenerator: Send + Sync + fmt::Debug {
    /// A UUID that was never made before; ordered by time as far as the generator can.
    fn next_uuid(&self) -> Uuid;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn event_ids_differ_by_command_stream_and_ordinal_and_never_change() {
        // Guards the derivation: a stored event has the same id for ever, and neighbours
        // (sequential command ids, ordinals) do not collide.
        let stream = StreamId::parse("account/a1").unwrap();
        let other = StreamId::parse("account/a2").unwrap();
        let mut seen = std::collections::HashSet::new();
        for command in 0..100_u128 {
            let command = CommandId::new(Uuid::from_u128(command));
            for ordinal in 0..100 {
                assert!(seen.insert(EventId::derive(command, &stream, ordinal)));
                assert!(seen.insert(EventId::derive(command, &other, ordinal)));
            }
        }
        let id = EventId::derive(CommandId::new(Uuid::from_u128(1)), &stream, 0);
        assert_eq!(id.uuid().get_version_num(), 8);
        assert_eq!(id.to_string(), "0bceca0b-f01f-813c-9764-89fcb012a731");
    }

    #[test]
    fn ids_of_derived_commands_differ_by_cause_and_number_and_never_change() {
        // Guards scheduled commands: a firing has one id on every host and in every version.
        let mut seen = std::collections::HashSet::new();
        for cause in 0..100_u128 {
            let cause = CausationId::new(Uuid::from_u128(cause));
            for number in 0..100 {
                assert!(seen.insert(CommandId::derive(cause, number)));
            }
        }
        let id = CommandId::derive(CausationId::new(Uuid::from_u128(1)), 1_795_167_000_000);
        assert_eq!(id.uuid().get_version_num(), 8);
        assert_eq!(id.to_string(), "25cd1332-3d09-8498-bf36-08cafe46494c");
    }

    #[test]
    fn digests_print_and_parse() {
        // Guards the name of plugin contents on disk.
        let digest = Digest::of(b"abc");
        let text = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(digest.to_string(), text);
        assert_eq!(text.parse(), Ok(digest));
        assert_eq!(digest.short(), "ba7816bf8f01");
        assert_eq!("AB".repeat(32).parse::<Digest>(), Err(InvalidDigest));
        assert_eq!("ü".repeat(32).parse::<Digest>(), Err(InvalidDigest));
    }

    #[test]
    fn correlation_ids_are_visible_ascii() {
        // Guards logs and headers against control characters from a client.
        assert!(CorrelationId::new("4bf92f35-77b3").is_ok());
        for bad in ["", "a b", "a\n", "ü", &"x".repeat(CORRELATION_ID_BYTES_MAX + 1)] {
            assert_eq!(CorrelationId::new(bad), Err(InvalidCorrelationId));
        }
    }
}
