//! Paths of the API, percent-encoded.

use std::fmt::Display;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What is encoded in a segment or a value: all but what RFC 3986 calls unreserved.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A path with its query.
#[derive(Debug, Clone)]
pub(crate) struct ApiPath {
    text: String,
    has_query: bool,
}

impl ApiPath {
    /// A path as it is, e.g. `/v1/plugins`.
    pub(crate) fn new(path: &str) -> Self {
        Self { text: path.to_owned(), has_query: false }
    }

    /// Adds a segment.
    #[must_use]
    pub(crate) fn join(mut self, segment: &str) -> Self {
        self.text.push('/');
        self.text.extend(utf8_percent_encode(segment, ENCODED));
        self
    }

    /// Adds a query parameter, when it has a value.
    #[must_use]
    pub(crate) fn query(mut self, name: &str, value: Option<impl Display>) -> Self {
        if let Some(value) = value {
            self.text.push(if self.has_query { '&' } else { '?' });
            self.has_query = true;
            self.text.push_str(name);
            self.text.push('=');
            self.text.extend(utf8_percent_encode(&value.to_string(), ENCODED));
        }
        self
    }

    /// The path as text.
    pub(crate) fn as_str(&self) -> &str {
        &self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_and_parameters_are_encoded() {
        // Guards ids and keys with any character: none of them changes the path.
        let path = ApiPath::new("/v1/streams")
            .join("$plugins")
            .join("a/1 ü?")
            .query("from", Some(3))
            .query("limit", None::<u64>)
            .query("prefix", Some("a&b"));
        assert_eq!(path.as_str(), "/v1/streams/%24plugins/a%2F1%20%C3%BC%3F?from=3&prefix=a%26b");
    }
}
