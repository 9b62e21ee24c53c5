//! Query parameters: each known, given once, and in its range.

use std::borrow::Cow;
use std::collections::HashSet;
use std::fmt::Display;
use std::ops::RangeInclusive;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use annals_core::name::{Category, EventType};
use annals_core::place::{Partition, Position};
use annals_core::port::event_store::FeedFilter;
use annals_engine::plugins::ForceReason;
use annals_engine::view::WaitFor;
use axum::http::Uri;
use percent_encoding::percent_decode_str;

use crate::options::ApiOptions;
use crate::problem::{Code, Problem};

/// The parameters of one request.
#[derive(Debug)]
pub(crate) struct Query<'a>(Vec<(Cow<'a, str>, Cow<'a, str>)>);

impl<'a> Query<'a> {
    /// Parses the query of `uri`, which may only have the parameters `known`, each once.
    pub(crate) fn parse(uri: &'a Uri, known: &[&str]) -> Result<Self, Problem> {
        let mut pairs: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::new();
        for pair in uri.query().unwrap_or_default().split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let name = decode(name).ok_or_else(|| not_text(name))?;
            if !known.contains(&&*name) {
                let text = match known {
                    [] => format!("There is no query parameter `{name}` here. Leave it away."),
                    known => format!(
                        "There is no query parameter `{name}` here. Use `{}`.",
                        known.join("`, `")
                    ),
                };
                return Err(Problem::new(Code::UnknownQueryParameter, text)
                    .with("parameter", &*name)
                    .with("known", known));
            }
            if pairs.iter().any(|(other, _)| *other == name) {
                return Err(bad(&name, "is given twice", "it once"));
            }
            let value = decode(value).ok_or_else(|| not_text(&name))?;
            pairs.push((name, value));
        }
        Ok(Self(pairs))
    }

    /// Checks that there are none.
    pub(crate) fn none(uri: &Uri) -> Result<(), Problem> {
        Query::parse(uri, &[]).map(drop)
    }

    /// The value of a parameter.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(other, _)| other == name).map(|(_, value)| &**value)
    }

    /// A parameter that is a number.
    pub(crate) fn number(&self, name: &str) -> Result<Option<u64>, Problem> {
        let parse =
            |text: &str| text.parse().map_err(|_| bad(name, NOT_IN_RANGE, "a number from 0"));
        self.text(name).map(parse).transpose()
    }

    /// A parameter that is `true`, or `false` as when it is absent.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            None | Some("false") => Ok(false),
            Some("true") => Ok(true),
            Some(_) => Err(bad(name, NOT_IN_RANGE, "`true` or `false`")),
        }
    }

    /// A parameter that is a number in a range.
    fn number_in<N: FromStr + PartialOrd + Display>(
        &self,
        name: &str,
        range: &RangeInclusive<N>,
    ) -> Result<Option<N>, Problem> {
        let parse = |text: &str| {
            let number = text.parse().ok().filter(|number| range.contains(number));
            let expected = || format!("a number from {} to {}", range.start(), range.end());
            number.ok_or_else(|| bad(name, NOT_IN_RANGE, &expected()))
        };
        self.text(name).map(parse).transpose()
    }

    /// `force` and `reason`: why to do something that the history gate refuses.
    pub(crate) fn force(&self) -> Result<Option<ForceReason>, Problem> {
        const REASON: &str = "why it is right nevertheless, in at most 1024 bytes";
        match (self.flag("force")?, self.text("reason")) {
            (false, None) => Ok(None),
            (false, Some(_)) => Err(bad("reason", "is given without `force=true`", "both or none")),
            (true, None) => Err(bad("reason", "is absent, and `force` needs it", REASON)),
            (true, Some(text)) => {
                let reason = ForceReason::new(text);
                reason.map(Some).map_err(|_| bad("reason", NOT_IN_RANGE, REASON))
            }
        }
    }

    /// `limit`: how many at most.
    pub(crate) fn limit(&self, default: usize, max: usize) -> Result<usize, Problem> {
        Ok(self.number_in("limit", &(1..=max))?.unwrap_or(default.min(max)))
    }

    /// `wait_ms`: how long to wait at most.
    pub(crate) fn wait(&self, default: Duration, max: Duration) -> Result<Duration, Problem> {
        let wait = self.number_in("wait_ms", &(0..=ms(max)))?.map(Duration::from_millis);
        Ok(wait.unwrap_or(default.min(max)))
    }

    /// `partition`: which one of `partitions_count`; may be absent when there is one.
    pub(crate) fn partition(&self, partitions_count: u32) -> Result<Partition, Problem> {
        let last = partitions_count.saturating_sub(1);
        match self.number_in("partition", &(0..=last))? {
            Some(number) => Ok(Partition(number)),
            None if last == 0 => Ok(Partition::ZERO),
            None => {
                let expected = format!("a number from 0 to {last}");
                Err(bad("partition", "is absent, and the store has several", &expected))
            }
        }
    }

    /// `position`, `partition` and `wait_ms`: what a view must have reached, and in which partition
    /// the client wants to know how far it is, if it says so.
    pub(crate) fn wait_for(
        &self,
        options: &ApiOptions,
        partitions_count: u32,
    ) -> Result<(Option<Partition>, Option<WaitFor>), Problem> {
        let wait = self.wait(VIEW_WAIT, options.wait_max)?;
        let position = self.number("position")?.map(Position::new);
        let says = position.is_some() || self.text("partition").is_some();
        let partition = (says || partitions_count == 1).then(|| self.partition(partitions_count));
        let partition = partition.transpose()?;
        let wait_for = partition.zip(position);
        let wait_for = wait_for.map(|(partition, position)| WaitFor { partition, position, wait });
        Ok((partition, wait_for))
    }

    /// `category`, `type` and `stream_prefix`: which events.
    pub(crate) fn feed_filter(&self) -> Result<FeedFilter, Problem> {
        let category = |name: &str| Category::parse_any(name).map(|name| Arc::from(name.as_str()));
        Ok(FeedFilter {
            categories: self.text("category").map(|names| set(names, category)).transpose()?,
            event_types: self.text("type").map(|names| set(names, EventType::new)).transpose()?,
            stream_prefix: self.text("stream_prefix").map(Arc::from),
        })
    }
}

/// How long a view is waited for when the client does not say.
const VIEW_WAIT: Duration = Duration::from_secs(5);

/// How long to wait for a view at most, when `wait_ms` is read already.
pub(crate) fn view_wait(wait_ms: Option<u64>, options: &ApiOptions) -> Result<Duration, Problem> {
    let max = options.wait_max;
    match wait_ms.map(Duration::from_millis) {
        None => Ok(VIEW_WAIT.min(max)),
        Some(wait) if wait <= max => Ok(wait),
        Some(_) => Err(bad("wait_ms", NOT_IN_RANGE, &format!("a number from 0 to {}", ms(max)))),
    }
}

fn ms(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

const NOT_IN_RANGE: &str = "has a value it cannot have";

fn set<T: Eq + std::hash::Hash>(
    names: &str,
    parse: impl Fn(&str) -> Result<T, annals_core::name::InvalidName>,
) -> Result<HashSet<T>, Problem> {
    names.split(',').map(|name| parse(name).map_err(Problem::from)).collect()
}

fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.contains(['%', '+']) {
        return Some(Cow::Borrowed(text));
    }
    let text = text.replace('+', " ");
    percent_decode_str(&text).decode_utf8().ok().map(|text| Cow::Owned(text.into_owned()))
}

fn not_text(name: &str) -> Problem {
    bad(name, "is not UTF-8 after percent-decoding", "UTF-8")
}

/// A parameter with a value it cannot have.
pub(crate) fn bad(name: &str, fault: &str, expected: &str) -> Problem {
    Problem::new(
        Code::BadQueryParameter,
        format!("Query parameter `{name}` {fault}. Give {expected}."),
    )
    .with("parameter", name)
    .with("expected", expected)
}
