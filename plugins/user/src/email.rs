//! What an e-mail address is here.

use annals_sdk::{Rejection, ensure};

/// Longest address, in bytes: the longest that mail is sent to (RFC 5321), and shorter than a claim's
/// key may be.
pub const EMAIL_BYTES_MAX: usize = 254;

/// The one spelling of an address: in lower case, without white space around it.
pub(crate) fn normalized(text: &str) -> Result<String, Rejection> {
    let email = text.trim().to_lowercase();
    let has_two_parts = email
        .split_once('@')
        .is_some_and(|(local, domain)| !local.is_empty() && !domain.is_empty());
    let is_email = has_two_parts
        && email.matches('@').count() == 1
        && email.len() <= EMAIL_BYTES_MAX
        && !email.contains(|c: char| c.is_whitespace() || c.is_control());
    ensure!(
        is_email,
        "invalid-email",
        "an e-mail address is like `ada@example.org`, and has at most {EMAIL_BYTES_MAX} bytes"
    );
    Ok(email)
}
