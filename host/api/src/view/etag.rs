//! `etag` and `if-none-match` of what is read of views.
//!
//! The tags are weak: two answers with the same one say the same of the view, and may differ in bytes
//! after an update of the host.

use annals_engine::view::ViewTag;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::Response;

/// Most tags of one `if-none-match` that are looked at; more are no help to anybody.
const TAGS_MAX: usize = 16;

/// A copy may be kept, and must be asked for before it is used.
const NO_CACHE: HeaderValue = HeaderValue::from_static("no-cache");

/// The tags by which the client knows the view. Those that are not of this host, and `*`, say nothing.
pub(super) fn known(headers: &HeaderMap) -> Vec<ViewTag> {
    let values =
        headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let tags = values.flat_map(|value| value.split(',')).take(TAGS_MAX);
    tags.filter_map(|tag| {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag.strip_prefix('"')?.strip_suffix('"')?.parse().ok()
    })
    .collect()
}

/// Adds the tag of what was read.
pub(super) fn with_tag(mut response: Response, tag: ViewTag) -> Response {
    let headers = response.headers_mut();
    // Hexadecimal digits and quotes are a header value.
    if let Ok(value) = HeaderValue::from_str(&format!("W/\"{tag}\"")) {
        headers.insert(header::ETAG, value);
        headers.insert(header::CACHE_CONTROL, NO_CACHE);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_are_read_in_every_form_and_at_most_sixteen() {
        // Guards the header against anything a client writes into it.
        let tag = "0f".repeat(32);
        let expected: ViewTag = tag.parse().unwrap();
        let known_of = |values: &[&str]| {
            let mut headers = HeaderMap::new();
            for value in values {
                headers.append(header::IF_NONE_MATCH, value.parse().unwrap());
            }
            known(&headers)
        };
        for form in [format!("W/\"{tag}\""), format!("\"{tag}\""), format!("\"a,b\" , W/\"{tag}\"")]
        {
            assert_eq!(known_of(&[&form]), [expected], "{form}");
        }
        let quoted = format!("\"{tag}\"");
        assert_eq!(known_of(&["\"x\"", &quoted]), [expected]);
        for none in ["", "*", &tag, "W/", "\"", "\"\"", "W/\"0f\""] {
            assert_eq!(known_of(&[none]), [], "{none}");
        }
        let others = vec!["\"x\""; TAGS_MAX - 1].join(",");
        assert_eq!(known_of(&[&others, &quoted]), [expected]);
        assert_eq!(known_of(&[&others, "\"x\"", &quoted]), []);
    }
}
