//! One line of an export: a CloudEvent 1.0 in its JSON format.
//!
//! Attributes of our own begin with `annals`. All of them are texts, also numbers: an integer of
//! CloudEvents has 32 bits.

use annals_core::id::StoreId;
use serde::{Deserialize, Serialize};

use super::error::LineFault;
use super::payload::{Json, present};

/// Type of the first line.
pub(super) const EXPORT: &str = "annals.export";
/// Type of a line that begins a commit. No event type has a dot.
pub(super) const COMMIT: &str = "annals.commit";
/// Type of the last line.
pub(super) const END: &str = "annals.end";

/// The version of CloudEvents.
const SPEC_VERSION: &str = "1.0";

/// A line, with every attribute that one can have.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Line {
    specversion: String,
    /// Of an event, its own id.
    pub(super) id: String,
    /// The store, as [`source_of`] says it.
    pub(super) source: String,
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// The stream.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) subject: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) time: Option<String>,
    #[serde(rename = "annalspartition", skip_serializing_if = "Option::is_none")]
    pub(super) partition: Option<String>,
    #[serde(rename = "annalscommit", skip_serializing_if = "Option::is_none")]
    pub(super) commit: Option<String>,
    /// Of the first event of a commit, and of a line that begins one.
    #[serde(rename = "annalsposition", skip_serializing_if = "Option::is_none")]
    pub(super) position: Option<String>,
    #[serde(rename = "annalsrevision", skip_serializing_if = "Option::is_none")]
    pub(super) revision: Option<String>,
    #[serde(rename = "annalsschema", skip_serializing_if = "Option::is_none")]
    pub(super) schema: Option<String>,
    #[serde(rename = "annalscorrelation", skip_serializing_if = "Option::is_none")]
    pub(super) correlation: Option<String>,
    #[serde(rename = "annalscausation", skip_serializing_if = "Option::is_none")]
    pub(super) causation: Option<String>,
    #[serde(rename = "annalsprincipal", skip_serializing_if = "Option::is_none")]
    pub(super) principal: Option<String>,
    /// Metadata that is text; none when it is empty.
    #[serde(rename = "annalsmetadata", skip_serializing_if = "Option::is_none")]
    pub(super) metadata: Option<String>,
    /// Metadata that is not.
    #[serde(rename = "annalsmetadatabase64", skip_serializing_if = "Option::is_none")]
    pub(super) metadata_base64: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) datacontenttype: Option<String>,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    pub(super) data: Option<Json>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) data_base64: Option<String>,
}

/// What the first line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Head {
    pub(super) format: u64,
    pub(super) store: StoreId,
    pub(super) partitions_count: u32,
}

/// What the last line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Foot {
    pub(super) commits_count: u64,
    pub(super) events_count: u64,
    pub(super) sha256: annals_core::id::Digest,
}

/// The `source` of every line of an export.
pub(super) fn source_of(store: StoreId) -> String {
    format!("urn:uuid:{store}")
}

impl Line {
    pub(super) fn new(source: &str, kind: &str, id: String) -> Self {
        Self {
            specversion: SPEC_VERSION.to_owned(),
            id,
            source: source.to_owned(),
            kind: kind.to_owned(),
            ..Self::default()
        }
    }

    /// A line with JSON of our own.
    pub(super) fn with_data(mut self, data: &impl Serialize) -> Self {
        let text = serde_json::to_vec(data).expect("its keys are texts, so it has a JSON form");
        self.datacontenttype = Some("application/json".to_owned());
        self.data = Json::of(&text);
        self
    }

    /// Adds the line and its end to a text.
    pub(super) fn write(&self, text: &mut Vec<u8>) {
        serde_json::to_writer(&mut *text, self)
            .expect("its keys are texts and memory can be written");
        text.push(b'\n');
    }

    /// Reads a line, without its end.
    pub(super) fn parse(text: &[u8]) -> Result<Self, LineFault> {
        // Raw JSON is read from text only.
        let text = std::str::from_utf8(text)
            .map_err(|error| LineFault::NotALine { cause: error.to_string() })?;
        if text.trim().is_empty() {
            return Err(LineFault::Nothing);
        }
        let line: Self =
            serde_json::from_str(text).map_err(|error| LineFault::not_a_line(&error))?;
        if line.specversion != SPEC_VERSION {
            let cause = format!("`{}` is not `{SPEC_VERSION}`", line.specversion);
            return Err(LineFault::Invalid { name: "specversion", cause });
        }
        Ok(line)
    }

    /// Reads JSON of our own.
    pub(super) fn data<'a, T: Deserialize<'a>>(&'a self) -> Result<T, LineFault> {
        let data = self.data.as_ref().ok_or(LineFault::Missing { name: "data" })?;
        serde_json::from_str(data.text()).map_err(|error| {
            let LineFault::NotALine { cause } = LineFault::not_a_line(&error) else {
                return LineFault::invalid("data", &error);
            };
            LineFault::Invalid { name: "data", cause }
        })
    }

    /// Without what the line alone says: the rest follows from its commit.
    pub(super) fn without_content(mut self) -> Self {
        (self.data, self.data_base64) = (None, None);
        (self.metadata, self.metadata_base64) = (None, None);
        self
    }

    /// The first attribute by which a line differs from the one it should be.
    pub(super) fn contradiction(&self, expected: &Self) -> Option<LineFault> {
        if self == expected {
            return None;
        }
        let attributes = |line: &Self| match serde_json::to_value(line) {
            Ok(serde_json::Value::Object(attributes)) => attributes,
            _ => serde_json::Map::new(),
        };
        let (found, expected) = (attributes(self), attributes(expected));
        let names = expected.keys().chain(found.keys());
        let name = names.into_iter().find(|name| found.get(*name) != expected.get(*name))?;
        let text = |value: Option<&serde_json::Value>| match value {
            Some(value) => format!("`{}`", value.as_str().unwrap_or_default()),
            None => "absent".to_owned(),
        };
        Some(LineFault::Contradiction {
            name: name.clone(),
            found: text(found.get(name)),
            expected: text(expected.get(name)),
        })
    }
}
