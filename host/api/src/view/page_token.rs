//! Where the next page of rows begins, as a text that clients only pass on.

use annals_core::limits::ROW_KEY_BYTES_MAX;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use crate::problem::Problem;
use crate::request::query::bad;

/// The token of the page after the row with this key.
pub(super) fn of(key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// The key a token stands for.
pub(super) fn read(token: &str) -> Result<Vec<u8>, Problem> {
    let key = URL_SAFE_NO_PAD.decode(token).ok().filter(|key| key.len() <= ROW_KEY_BYTES_MAX);
    key.ok_or_else(|| {
        bad("page", "is not a token of this host", "the `next_page` of the page before")
    })
}
