//! A recorded event as CloudEvents 1.0 in its JSON format.
//!
//! Attributes of our own begin with `annals`, as in an export. All of them are texts, also numbers:
//! an integer of CloudEvents has 32 bits. An event whose data and metadata are over the limit has
//! neither, but `dataref` (the extension for claim checks): the path of the API that gives it whole.

use annals_core::event::{ContentType, RecordedEvent};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Serialize;
use serde_json::value::RawValue;

/// What stays as it is in a path (RFC 3986, "unreserved").
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// The event in its JSON form. Absent attributes are left out.
#[derive(Serialize)]
struct CloudEvent<'a> {
    specversion: &'static str,
    id: String,
    source: &'a str,
    #[serde(rename = "type")]
    event_type: &'a str,
    subject: &'a str,
    time: String,
    annalspartition: String,
    annalsposition: String,
    annalsrevision: String,
    annalsschema: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    annalscorrelation: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annalscausation: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    annalsprincipal: Option<&'a str>,
    /// Metadata that is text.
    #[serde(skip_serializing_if = "Option::is_none")]
    annalsmetadata: Option<&'a str>,
    /// Metadata that is not.
    #[serde(skip_serializing_if = "Option::is_none")]
    annalsmetadatabase64: Option<String>,
    datacontenttype: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    dataref: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<&'a RawValue>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
}

/// The JSON text of an event from the store that `source` names.
pub(crate) fn json_of(event: &RecordedEvent, source: &str, event_bytes_max: usize) -> String {
    let is_pointer = event.data.len().saturating_add(event.metadata.len()) > event_bytes_max;
    let json = if is_pointer { None } else { json_data(event) };
    let is_base64 = !is_pointer && json.is_none();
    let has_metadata = !is_pointer && !event.metadata.is_empty();
    let metadata_text = std::str::from_utf8(&event.metadata).ok().filter(|_| has_metadata);
    let metadata_bytes = has_metadata && metadata_text.is_none();
    let cloud_event = CloudEvent {
        specversion: "1.0",
        id: event.id.to_string(),
        source,
        event_type: event.event_type.as_str(),
        subject: event.stream.as_str(),
        time: event.recorded_at.to_string(),
        annalspartition: event.partition.to_string(),
        annalsposition: event.position.to_string(),
        annalsrevision: event.revision.to_string(),
        annalsschema: event.schema_version.to_string(),
        annalscorrelation: event.origin.correlation_id.as_ref().map(|id| id.as_str()),
        annalscausation: event.causation_id().map(|id| id.to_string()),
        annalsprincipal: event.origin.principal.as_deref(),
        annalsmetadata: metadata_text,
        annalsmetadatabase64: metadata_bytes.then(|| STANDARD.encode(&event.metadata)),
        datacontenttype: event.content_type.as_str(),
        dataref: is_pointer.then(|| reference(event)),
        data: json,
        data_base64: is_base64.then(|| STANDARD.encode(&event.data)),
    };
    serde_json::to_string(&cloud_event).expect("its keys are texts, so it has a JSON form")
}

/// The data as it was written, when it is JSON.
fn json_data(event: &RecordedEvent) -> Option<&RawValue> {
    if event.content_type != ContentType::Json {
        return None;
    }
    serde_json::from_str(std::str::from_utf8(&event.data).ok()?).ok()
}

/// The path of the API that gives the event whole.
fn reference(event: &RecordedEvent) -> String {
    let category = utf8_percent_encode(event.stream.category(), ENCODED);
    let id = utf8_percent_encode(event.stream.id(), ENCODED);
    format!("/v1/streams/{category}/{id}?from={}&limit=1", event.revision)
}
