//! Problems of the API (RFC 9457) as failures of a command.

use hyper::StatusCode;
use serde::Deserialize;

use crate::failure::Failure;

/// Longest body that is no problem and shown anyway, in characters.
const BODY_CHARS_MAX: usize = 200;

#[derive(Debug, Deserialize)]
struct Problem {
    code: String,
    detail: String,
    rejection: Option<Rejection>,
    pointer: Option<String>,
    request_id: Option<String>,
    failure_id: Option<String>,
    limit: Option<String>,
    cause: Option<String>,
    #[serde(default)]
    known: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Rejection {
    code: String,
    message: String,
}

/// What an answer that is no success means.
pub(crate) fn failure(status: StatusCode, body: &[u8]) -> Failure {
    let Ok(problem) = serde_json::from_slice::<Problem>(body) else {
        let body: String = String::from_utf8_lossy(body).chars().take(BODY_CHARS_MAX).collect();
        return Failure::ours(format!("the daemon answered {status}: {body}"));
    };
    if let Some(Rejection { code, message }) = &problem.rejection {
        return Failure::yours(format!("rejected: {} ({code})", beginning_small(message)));
    }
    let (sentence, next) = split(&problem.detail);
    let sentence = beginning_small(sentence);
    let failure = if status.is_client_error() {
        Failure::yours(sentence)
    } else {
        let is_told = problem.code != "quarantined";
        let why = problem.limit.as_ref().or(problem.cause.as_ref()).filter(|_| is_told);
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        let ids = [("request", &problem.request_id), ("failure", &problem.failure_id)];
        let ids: Vec<_> =
            ids.iter().filter_map(|(of, id)| id.as_ref().map(|id| format!("{of} {id}"))).collect();
        let ids = if ids.is_empty() { String::new() } else { format!(" ({})", ids.join(", ")) };
        Failure::ours(format!("{sentence}{why}{ids}"))
    };
    match hint(&problem, next) {
        Some(hint) => failure.with_hint(hint),
        None => failure,
    }
}

/// What to do next, in the words of the command line where they differ from those of the API.
fn hint(problem: &Problem, next: &str) -> Option<String> {
    match (problem.code.as_str(), problem.known.as_slice()) {
        ("wrong-expected-revision", _) => {
            Some("read the stream and decide again, or pass `--expected any`".to_owned())
        }
        ("unreadable-history", _) => {
            Some("activate it in spite of that with `--force --reason TEXT`".to_owned())
        }
        ("no-version-before" | "version-not-kept", _) => {
            Some("see which ones are kept with `annals plugin show`".to_owned())
        }
        ("malformed-command", _) => {
            let pointer = problem.pointer.as_deref().filter(|pointer| !pointer.is_empty())?;
            Some(format!("look at `{pointer}` of the data"))
        }
        ("unknown-process-instance", _) => {
            Some("list those there are with `annals process list NAME`".to_owned())
        }
        ("unknown-aggregate" | "unknown-projection" | "unknown-process" | "unknown-plugin", []) => {
            Some("install its plugin with `annals plugin install`".to_owned())
        }
        (_, []) => (!next.is_empty()).then(|| beginning_small(next)),
        (_, known) => Some(format!("there is `{}`", known.join("`, `"))),
    }
}

/// The first sentence, and what follows, both without the last period.
fn split(detail: &str) -> (&str, &str) {
    let (sentence, next) = detail.split_once(". ").unwrap_or((detail, ""));
    (sentence.trim_end_matches('.'), next.trim_end_matches('.'))
}

/// The text with a small first letter, unless it begins in capitals.
fn beginning_small(text: &str) -> String {
    let mut chars = text.chars();
    let (first, second) = (chars.next(), chars.clone().next());
    let is_word = second.is_none_or(|second| !second.is_uppercase());
    match first {
        Some(first) if is_word => first.to_lowercase().chain(chars).collect(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(status: u16, body: &str, message: &str, hint: Option<&str>) {
        let failure = failure(StatusCode::from_u16(status).unwrap(), body.as_bytes());
        assert_eq!((failure.message.as_str(), failure.hint.as_deref()), (message, hint));
    }

    #[test]
    fn problems_are_told_as_an_error_and_a_hint() {
        // Guards what people see of RFC 9457.
        check(
            409,
            r#"{"code":"wrong-expected-revision","detail":"Stream `a/1` is at revision 7, expected 5. Read it."}"#,
            "stream `a/1` is at revision 7, expected 5",
            Some("read the stream and decide again, or pass `--expected any`"),
        );
        check(
            422,
            r#"{"code":"rejected","detail":"x","rejection":{"code":"insufficient-funds","message":"the balance is 10"}}"#,
            "rejected: the balance is 10 (insufficient-funds)",
            None,
        );
        check(
            404,
            r#"{"code":"unknown-aggregate","detail":"There is no aggregate `x`. Use one.","known":["account","cart"]}"#,
            "there is no aggregate `x`",
            Some("there is `account`, `cart`"),
        );
        check(
            503,
            r#"{"code":"busy","detail":"The host is busy. Try again in a moment.","request_id":"r1"}"#,
            "the host is busy (request r1)",
            Some("try again in a moment"),
        );
        check(502, "<html>", "the daemon answered 502 Bad Gateway: <html>", None);
    }
}
