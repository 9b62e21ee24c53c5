//! What the line that begins a commit says: its streams, claims, releases and command.

use annals_core::command::{CommandRecord, Outcome, Rejection};
use annals_core::commit::{Claim, Commit, Release, StreamAppend};
use annals_core::event::ContentType;
use annals_core::id::{CommandId, Digest};
use annals_core::name::CommandName;
use annals_core::stream::StreamId;
use annals_core::time::Timestamp;
use bytes::Bytes;
use serde::{Deserialize, Serialize};

use super::error::LineFault;
use super::payload::{Json, join, present, split};

/// What the line that begins a commit says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct CommitData {
    pub(super) streams: Vec<StreamData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    claims: Vec<ClaimData>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    releases: Vec<ReleaseData>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    command: Option<CommandData>,
}

/// One stream of the commit, and how many events of it follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct StreamData {
    stream: StreamId,
    expected: String,
    pub(super) events_count: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ClaimData {
    scope: String,
    key: String,
    stream: StreamId,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    expires_at: Option<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct ReleaseData {
    scope: String,
    key: String,
    stream: StreamId,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct CommandData {
    id: CommandId,
    name: CommandName,
    stream: StreamId,
    content_type: String,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    data: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    data_base64: Option<String>,
    decided_at: String,
    seed: (String, String),
    plugin: Digest,
    /// None: accepted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rejection: Option<RejectionData>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct RejectionData {
    code: String,
    message: String,
    #[serde(default, deserialize_with = "present", skip_serializing_if = "Option::is_none")]
    detail: Option<Json>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    detail_base64: Option<String>,
}

impl CommitData {
    pub(super) fn of(commit: &Commit) -> Self {
        let streams = commit.streams.iter().map(|append| StreamData {
            stream: append.stream.clone(),
            expected: append.expected.to_string(),
            events_count: append.events.len(),
        });
        let claims = commit.claims.iter().map(|claim| ClaimData {
            scope: claim.scope.as_ref().to_owned(),
            key: claim.key.as_ref().to_owned(),
            stream: claim.stream.clone(),
            expires_at: claim.expires_at.map(|time| time.to_string()),
        });
        let releases = commit.releases.iter().map(|release| ReleaseData {
            scope: release.scope.as_ref().to_owned(),
            key: release.key.as_ref().to_owned(),
            stream: release.stream.clone(),
        });
        Self {
            streams: streams.collect(),
            claims: claims.collect(),
            releases: releases.collect(),
            command: commit.command.as_ref().map(CommandData::of),
        }
    }

    /// Puts what the line says into a commit, whose streams get their events afterwards.
    pub(super) fn fill(&self, commit: &mut Commit) -> Result<(), LineFault> {
        for StreamData { stream, expected, .. } in &self.streams {
            let expected = expected
                .parse()
                .map_err(|error| LineFault::invalid("data.streams.expected", &error))?;
            let stream = stream.clone();
            commit.streams.push(StreamAppend { stream, expected, events: Vec::new() });
        }
        for ClaimData { scope, key, stream, expires_at } in &self.claims {
            let expires_at = expires_at.as_deref();
            commit.claims.push(Claim {
                scope: scope.as_str().into(),
                key: key.as_str().into(),
                stream: stream.clone(),
                expires_at: expires_at
                    .map(|at| read_time("data.claims.expires_at", at))
                    .transpose()?,
            });
        }
        commit.releases.extend(self.releases.iter().map(|release| Release {
            scope: release.scope.as_str().into(),
            key: release.key.as_str().into(),
            stream: release.stream.clone(),
        }));
        commit.command = self.command.as_ref().map(CommandData::record).transpose()?;
        Ok(())
    }
}

impl CommandData {
    fn of(record: &CommandRecord) -> Self {
        let (data, data_base64) = split(&record.data, &record.content_type);
        Self {
            id: record.id,
            name: record.name.clone(),
            stream: record.stream.clone(),
            content_type: record.content_type.as_str().to_owned(),
            data,
            data_base64,
            decided_at: record.decided_at.to_string(),
            seed: (record.seed.0.to_string(), record.seed.1.to_string()),
            plugin: record.plugin,
            rejection: match &record.outcome {
                Outcome::Accepted => None,
                Outcome::Rejected(rejection) => Some(RejectionData::of(rejection)),
            },
        }
    }

    fn record(&self) -> Result<CommandRecord, LineFault> {
        let data = join("data.command.data", self.data.as_ref(), self.data_base64.as_deref())?;
        let seed = |text: &str| {
            text.parse().map_err(|error: std::num::ParseIntError| {
                LineFault::invalid("data.command.seed", &error)
            })
        };
        Ok(CommandRecord {
            id: self.id,
            name: self.name.clone(),
            stream: self.stream.clone(),
            content_type: ContentType::from(self.content_type.as_str()),
            data,
            decided_at: read_time("data.command.decided_at", &self.decided_at)?,
            seed: (seed(&self.seed.0)?, seed(&self.seed.1)?),
            plugin: self.plugin,
            outcome: match &self.rejection {
                None => Outcome::Accepted,
                Some(rejection) => Outcome::Rejected(rejection.rejection()?),
            },
        })
    }
}

impl RejectionData {
    fn of(rejection: &Rejection) -> Self {
        let (detail, detail_base64) = match &rejection.detail {
            detail if detail.is_empty() => (None, None),
            detail => split(detail, &ContentType::Json),
        };
        Self {
            code: rejection.code.as_ref().to_owned(),
            message: rejection.message.as_ref().to_owned(),
            detail,
            detail_base64,
        }
    }

    fn rejection(&self) -> Result<Rejection, LineFault> {
        let detail = match (&self.detail, &self.detail_base64) {
            (None, None) => Bytes::new(),
            (detail, base64) => {
                join("data.command.rejection.detail", detail.as_ref(), base64.as_deref())?
            }
        };
        let (code, message) = (self.code.as_str().into(), self.message.as_str().into());
        Ok(Rejection { code, message, detail })
    }
}

/// Reads a time of an attribute.
pub(super) fn read_time(name: &'static str, text: &str) -> Result<Timestamp, LineFault> {
    text.parse().map_err(|_| {
        let cause = format!("`{text}` is not a time such as `2026-11-20T09:30:00.000Z`");
        LineFault::Invalid { name, cause }
    })
}
