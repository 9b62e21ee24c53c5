//! Settings that are a choice: what there is to choose from.

use std::num::NonZeroUsize;

use super::value::{BadValue, Setting, choice, quoted, refused};

/// Most shards: more than any machine has cores.
const SHARDS_COUNT_MAX: usize = 256;

choice! {
    /// Where events and views are kept.
    StoreDriver, "`local`, `memory` or `dynamodb`" {
        /// In files of the data folder.
        Local = "local",
        /// In memory; gone when the daemon ends.
        Memory = "memory",
        /// In two tables of Amazon DynamoDB, for any number of hosts.
        Dynamodb = "dynamodb",
    }
}

choice! {
    /// How news travels.
    BusDriver, "`local` or `redis`" {
        /// Within the daemon.
        Local = "local",
        /// Over Redis, to other hosts and to whoever reads its streams.
        Redis = "redis",
    }
}

choice! {
    /// How log lines look.
    LogFormat, "`text` or `json`" {
        /// For people.
        Text = "text",
        /// One JSON object per line, for machines.
        Json = "json",
    }
}

/// How many shards run commands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShardsCount {
    /// One per core.
    Auto,
    /// So many.
    Exactly(NonZeroUsize),
}

impl ShardsCount {
    /// The number, on a machine with so many cores.
    #[must_use]
    pub fn on(self, cores_count: NonZeroUsize) -> NonZeroUsize {
        match self {
            Self::Auto => cores_count,
            Self::Exactly(count) => count,
        }
    }
}

impl Setting for ShardsCount {
    const FORM: &'static str = "`auto` or a number from 1 to 256";

    fn parse(text: &str) -> Result<Self, BadValue> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let count =
            text.parse().ok().filter(|count: &NonZeroUsize| count.get() <= SHARDS_COUNT_MAX);
        count.map(Self::Exactly).ok_or_else(|| refused::<Self>(text))
    }

    fn to_toml(&self) -> String {
        match self {
            Self::Auto => quoted("auto"),
            Self::Exactly(count) => count.to_string(),
        }
    }
}

/// What is logged, checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl LogFilter {
    /// The filter as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl Setting for LogFilter {
    const FORM: &'static str = "`error`, `warn`, `info`, `debug` or `trace`, also by part as in `info,annals_engine=debug`";

    fn parse(text: &str) -> Result<Self, BadValue> {
        let is_filter = !text.is_empty() && crate::logging::is_filter(text);
        if is_filter { Ok(Self(text.to_owned())) } else { Err(refused::<Self>(text)) }
    }

    fn to_toml(&self) -> String {
        quoted(&self.0)
    }
}
