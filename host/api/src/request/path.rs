//! Segments of the path, percent-decoded.

use std::borrow::Cow;

use axum::http::Uri;
use percent_encoding::percent_decode_str;

use crate::problem::{Code, Problem};

/// `COUNT` segments of the path after the first `skip` ones (`/v1/streams/account` has three).
/// Missing ones are empty; routing has seen to it that there are none.
pub(crate) fn segments<const COUNT: usize>(
    uri: &Uri,
    skip: usize,
) -> Result<[Cow<'_, str>; COUNT], Problem> {
    let mut segments = [const { Cow::Borrowed("") }; COUNT];
    for (segment, text) in segments.iter_mut().zip(raw_segments(uri, skip)) {
        *segment = percent_decode_str(text).decode_utf8().map_err(|_| {
            Problem::new(
                Code::BadPath,
                "The path is not UTF-8 after percent-decoding. Encode it as UTF-8.",
            )
        })?;
    }
    Ok(segments)
}

/// One segment as bytes, which need not be text.
pub(crate) fn segment_bytes(uri: &Uri, skip: usize) -> Cow<'_, [u8]> {
    raw_segments(uri, skip).next().map(|text| percent_decode_str(text).into()).unwrap_or_default()
}

fn raw_segments(uri: &Uri, skip: usize) -> impl Iterator<Item = &str> {
    // The path begins with a slash, so the first part of the split is empty.
    uri.path().split('/').skip(skip.saturating_add(1))
}
