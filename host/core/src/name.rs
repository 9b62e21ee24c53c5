//! Kebab-case names: categories, event types, commands, plugins, tables and queries.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

/// Longest name, in bytes. Long enough for any sentence-like event type, short enough for every
/// driver's keys.
pub const NAME_BYTES_MAX: usize = 64;

/// A text that is not a name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "`{text}` is not a {what}: use kebab-case, lower-case letters, digits and single hyphens, \
     starting with a letter, at most 64 bytes"
)]
pub struct InvalidName {
    /// Which kind of name was expected, e.g. `event type`.
    pub what: &'static str,
    /// The text as it came, cut to a printable length.
    pub text: String,
}

impl InvalidName {
    fn new(what: &'static str, text: &str) -> Self {
        Self { what, text: text.chars().take(NAME_BYTES_MAX + 1).collect() }
    }
}

fn is_kebab_case(text: &str) -> bool {
    let parts_are_words = text.split('-').all(|part| {
        !part.is_empty() && part.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
    });
    let starts_with_letter = text.bytes().next().is_some_and(|b| b.is_ascii_lowercase());
    text.len() <= NAME_BYTES_MAX && parts_are_words && starts_with_letter
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident, $what:literal) => {
        $(#[$doc])*
        #[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(try_from = "String", into = "String")]
        pub struct $name(Arc<str>);

        impl $name {
            /// Parses a name.
            ///
            /// # Errors
            /// [`InvalidName`] when `text` is not kebab-case or longer than [`NAME_BYTES_MAX`].
            pub fn new(text: &str) -> Result<Self, InvalidName> {
                if is_kebab_case(text) {
                    Ok(Self(Arc::from(text)))
                } else {
                    Err(InvalidName::new($what, text))
                }
            }

            /// The name as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidName;
            fn from_str(text: &str) -> Result<Self, InvalidName> {
                Self::new(text)
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidName;
            fn try_from(text: String) -> Result<Self, InvalidName> {
                Self::new(&text)
            }
        }

        impl From<$name> for String {
            fn from(name: $name) -> Self {
                (*name.0).to_owned()
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }
    };
}

name_type! {
    /// The stable name of a kind of event, in the past tense: `funds-deposited`.
    EventType, "event type"
}
name_type! {
    /// The name of a command, in the imperative: `deposit-funds`.
    CommandName, "command name"
}
name_type! {
    /// The name of a plugin; for an aggregate it is also the category of its streams.
    PluginName, "plugin name"
}
name_type! {
    /// The name of a table of rows.
    TableName, "table name"
}
name_type! {
    /// The name of a question a projection answers.
    QueryName, "query name"
}
name_type! {
    /// The name of a subscription, by which its members share it.
    SubscriptionName, "subscription name"
}
name_type! {
    /// The name of an app: a folder of pages that the host serves.
    AppName, "app name"
}

/// The part of a stream id before the `/`: all streams of one kind.
///
/// The host's own categories start with `$`, e.g. `$plugins`; only [`Category::system`] makes them.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Category(Arc<str>);

impl Category {
    /// Parses a category that applications may use.
    ///
    /// # Errors
    /// [`InvalidName`] when `text` is not kebab-case or longer than [`NAME_BYTES_MAX`].
    pub fn new(text: &str) -> Result<Self, InvalidName> {
        if is_kebab_case(text) {
            Ok(Self(Arc::from(text)))
        } else {
            Err(InvalidName::new("category", text))
        }
    }

    /// Makes a category of the host: `system("plugins")` is `$plugins`.
    ///
    /// # Errors
    /// [`InvalidName`] when `name` is not kebab-case.
    pub fn system(name: &str) -> Result<Self, InvalidName> {
        Self::new(name).map(|category| Self(Arc::from(format!("${category}"))))
    }

    /// Parses a category of an application or of the host.
    ///
    /// # Errors
    /// [`InvalidName`] when `text`, without a leading `$`, is not kebab-case.
    pub fn parse_any(text: &str) -> Result<Self, InvalidName> {
        text.strip_prefix('$').map_or_else(|| Self::new(text), Self::system)
    }

    /// As [`Self::parse_any`], without making one.
    pub(crate) fn check_any(text: &str) -> Result<(), InvalidName> {
        let name = text.strip_prefix('$').unwrap_or(text);
        if is_kebab_case(name) { Ok(()) } else { Err(InvalidName::new("category", name)) }
    }

    /// Whether the category belongs to the host.
    #[must_use]
    pub fn is_system(&self) -> bool {
        self.0.starts_with('$')
    }

    /// The category as text, with its `$` if it has one.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl From<&PluginName> for Category {
    fn from(name: &PluginName) -> Self {
        Self(Arc::clone(&name.0))
    }
}

impl TryFrom<String> for Category {
    type Error = InvalidName;
    fn try_from(text: String) -> Result<Self, InvalidName> {
        Self::parse_any(&text)
    }
}

impl From<Category> for String {
    fn from(category: Category) -> Self {
        (*category.0).to_owned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_kebab_case_only() {
        // Guards the one spelling of names: anything else would make two names of one.
        for good in ["a", "funds-deposited", "v2-thing", &"a".repeat(NAME_BYTES_MAX)] {
            assert_eq!(EventType::new(good).map(String::from), Ok(good.to_owned()));
        }
        for bad in ["", "-", "a-", "-a", "a--b", "A", "ä", "2a", "a_b", "a b", "$a", "a/b"] {
            let error = InvalidName { what: "event type", text: bad.to_owned() };
            assert_eq!(EventType::new(bad), Err(error));
        }
        assert!(EventType::new(&"a".repeat(NAME_BYTES_MAX + 1)).is_err());
    }

    #[test]
    fn only_the_host_makes_system_categories() {
        // Guards that a client cannot write to `$plugins`.
        assert!(Category::new("$plugins").is_err());
        let category = Category::system("plugins").unwrap();
        assert_eq!((category.as_str(), category.is_system()), ("$plugins", true));
        assert_eq!(Category::parse_any("$plugins"), Ok(category));
        assert!(Category::parse_any("$$plugins").is_err());
    }
}
