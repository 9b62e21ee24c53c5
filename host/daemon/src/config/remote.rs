//! Settings of services elsewhere: names, addresses, secrets.

use std::fmt;
use std::time::Duration;

use annals_store_dynamodb::client::PREFIX_BYTES_MAX;

use super::value::{BadValue, Setting, duration_text, optional, quoted, refused};

/// What names of tables begin with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TablePrefix(String);

impl TablePrefix {
    /// A prefix that is known to be one.
    pub(super) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The prefix as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for TablePrefix {
    const FORM: &'static str = "1 to 200 letters, digits, `-`, `_` and `.`";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let is_named = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_prefix = (1..=PREFIX_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_named);
        if is_prefix { Ok(Self::of(text)) } else { Err(refused::<Self>(text)) }
    }

    fn to_toml(&self) -> String {
        quoted(&self.0)
    }
}

/// Longest name of a region, in bytes: that of a label in the name of a host.
const REGION_BYTES_MAX: usize = 63;

/// The name of an AWS region.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RegionName(String);

impl RegionName {
    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for RegionName {
    const FORM: &'static str = "a region such as `eu-central-1`";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let is_named =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let is_region = (1..=REGION_BYTES_MAX).contains(&text.len()) && text.bytes().all(is_named);
        if is_region { Ok(Self(text.to_owned())) } else { Err(refused::<Self>(text)) }
    }

    fn to_toml(&self) -> String {
        quoted(&self.0)
    }
}

optional!(RegionName, "a region such as `eu-central-1`, or `\"\"` for that of the environment");

/// The address of a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint(String);

impl Endpoint {
    /// The address as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Setting for Endpoint {
    const FORM: &'static str = "an address such as `http://127.0.0.1:8000`";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let scheme = ["http://", "https://"].into_iter().find(|scheme| text.starts_with(scheme));
        let rest = scheme.and_then(|scheme| text.strip_prefix(scheme));
        let is_address = rest.is_some_and(|rest| {
            !rest.is_empty()
                && !rest.starts_with('/')
                && rest.bytes().all(|it| it.is_ascii_graphic())
        });
        if is_address { Ok(Self(text.to_owned())) } else { Err(refused::<Self>(text)) }
    }

    fn to_toml(&self) -> String {
        quoted(&self.0)
    }
}

optional!(Endpoint, "an address such as `http://127.0.0.1:8000`, or `\"\"` for that of AWS");

/// How long an operation on DynamoDB is tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OperationWait(Duration);

/// Longest such time (inclusive): DynamoDB recognises a repeated transaction for ten minutes, and one
/// that it did not recognise would happen twice.
const OPERATION_WAIT_MAX: Duration = Duration::from_mins(5);

impl OperationWait {
    /// A time that is known to be allowed.
    pub(super) fn of(wait: Duration) -> Self {
        Self(wait.min(OPERATION_WAIT_MAX))
    }

    /// The time.
    #[must_use]
    pub const fn get(self) -> Duration {
        self.0
    }
}

impl Setting for OperationWait {
    const FORM: &'static str = "a duration such as `500ms` or `15s`, at most `5m`";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let wait = Duration::parse(text).ok().filter(|wait| *wait <= OPERATION_WAIT_MAX);
        wait.map(Self).ok_or_else(|| refused::<Self>(text))
    }

    fn to_toml(&self) -> String {
        quoted(&duration_text(self.0))
    }
}

/// What is printed in place of a password.
const MASK: &str = "***";

/// The address of a Redis. It may hold a password, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct RedisUrl(String);

impl RedisUrl {
    /// An address that is known to be one.
    pub(super) fn of(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// The address with its password.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// The address, its password masked.
    #[must_use]
    pub fn masked(&self) -> String {
        let Some((scheme, rest)) = self.0.split_once("://") else {
            return MASK.to_owned();
        };
        // The last `@`: one that belongs to a password and was not escaped masks too much, and
        // never too little.
        let Some((login, place)) = rest.rsplit_once('@') else {
            return self.0.clone();
        };
        // A password alone is easily written where the user belongs.
        let user = login.split_once(':').map(|(user, _)| format!("{user}:")).unwrap_or_default();
        format!("{scheme}://{user}{MASK}@{place}")
    }
}

impl Setting for RedisUrl {
    const FORM: &'static str = "an address such as `redis://127.0.0.1:6379` or \
                                `rediss://user:password@host:6379/0`, with the password itself";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let url = Self::of(text);
        let scheme = ["redis://", "rediss://"].into_iter().find(|scheme| text.starts_with(scheme));
        let is_masked = text.contains(&format!("{MASK}@"));
        let rest = scheme.and_then(|scheme| text.strip_prefix(scheme));
        let is_address = rest.is_some_and(|rest| {
            !rest.is_empty() && rest.bytes().all(|byte| byte.is_ascii_graphic())
        });
        if is_address && !is_masked {
            return Ok(url);
        }
        // The text may hold a password in any place.
        Err(BadValue { text: MASK.to_owned(), form: Self::FORM })
    }

    fn to_toml(&self) -> String {
        quoted(&self.masked())
    }
}

impl fmt::Debug for RedisUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RedisUrl").field(&self.masked()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_never_printed() {
        // Guards `--print-config`, errors and logs: whatever is in the address of a Redis.
        let cases = [
            ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379"),
            ("redis://:secret@host", "redis://:***@host"),
            ("redis://secret@host", "redis://***@host"),
            ("rediss://user:secret@host:6380/2", "rediss://user:***@host:6380/2"),
            ("redis://user:sec@ret@host", "redis://user:***@host"),
            ("redis://user:sec:ret@host/?x=1", "redis://user:***@host/?x=1"),
        ];
        for (text, masked) in cases {
            let url = RedisUrl::parse(text).unwrap();
            assert_eq!((url.secret(), url.to_toml()), (text, format!("\"{masked}\"")));
            assert_eq!(format!("{url:?}"), format!("RedisUrl(\"{masked}\")"));
        }
        for bad in ["", "secret", "http://:secret@host", "redis://", "redis://:se cret@host"] {
            let error = RedisUrl::parse(bad).unwrap_err();
            let form = RedisUrl::FORM;
            assert_eq!(error.to_string(), format!("`***` is not allowed: write {form}"), "{bad}");
        }
    }

    #[test]
    fn a_masked_address_is_no_address() {
        // Guards against a printed configuration that is used with `***` as its password.
        let printed = RedisUrl::parse("redis://:secret@host").unwrap().masked();
        assert!(RedisUrl::parse(&printed).is_err());
    }

    #[test]
    fn what_may_be_left_out_is_left_out_when_empty() {
        // Guards variables that are set to nothing, and the form in errors.
        assert_eq!(Option::<Endpoint>::parse(""), Ok(None));
        assert_eq!(Option::<Endpoint>::to_toml(&None), "\"\"");
        let endpoint = Option::<Endpoint>::parse("http://127.0.0.1:8000").unwrap();
        assert_eq!(endpoint.to_toml(), "\"http://127.0.0.1:8000\"");
        for bad in ["127.0.0.1:8000", "http://", "http:///", "ftp://host", "http://a b"] {
            let form = "an address such as `http://127.0.0.1:8000`, or `\"\"` for that of AWS";
            let error = BadValue { text: bad.to_owned(), form };
            assert_eq!(Option::<Endpoint>::parse(bad), Err(error));
        }
        assert!(Option::<RegionName>::parse("eu-central-1").unwrap().is_some());
        assert!(Option::<RegionName>::parse("EU central").is_err());
        let longest = "r".repeat(REGION_BYTES_MAX);
        assert!(RegionName::parse(&longest).is_ok());
        assert!(RegionName::parse(&format!("{longest}r")).is_err());
    }

    #[test]
    fn a_prefix_can_begin_the_name_of_a_table() {
        // Guards tables: DynamoDB would refuse other names, with a text that says less.
        let longest = "p".repeat(PREFIX_BYTES_MAX);
        for good in ["annals", "a", "Team_1.annals-test", &longest] {
            assert_eq!(TablePrefix::parse(good).unwrap().as_str(), good);
        }
        for bad in ["", "a b", "a/b", "ä", &format!("{longest}p")] {
            assert!(TablePrefix::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn operations_end_while_a_repeat_is_recognised() {
        // Guards against a transaction that happens twice.
        for (text, is_allowed) in [("0ms", true), ("15s", true), ("5m", true), ("301s", false)] {
            assert_eq!(OperationWait::parse(text).is_ok(), is_allowed, "{text}");
        }
    }
}
