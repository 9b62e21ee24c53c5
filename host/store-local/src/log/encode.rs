//! From a commit to the body of a frame. `decode.rs` is the way back.
//!
//! ```text
//!  body = what is there ─ origin ─ streams ─ command? ─ claims and releases? ─ events
//! ```

use annals_core::command::{CommandRecord, Outcome};
use annals_core::commit::{Claim, Commit, Release, StreamAppend};
use annals_core::event::{ContentType, NewEvent, Origin};
use annals_core::limits;
use annals_core::place::ExpectedRevision;
use annals_core::port::event_store::{AppendError, SizeLimit};
use annals_core::stream::StreamId;
use bytes::BufMut as _;

use super::frame::{Draft, body_start};

/// Bits of the first byte of a body.
pub(crate) mod what {
    pub(crate) const CORRELATION: u8 = 1;
    pub(crate) const CAUSATION: u8 = 2;
    pub(crate) const PRINCIPAL: u8 = 4;
    pub(crate) const COMMAND: u8 = 8;
    pub(crate) const CLAIMS: u8 = 16;
    pub(crate) const KNOWN: u8 = 31;
}

/// What a commit expects of a stream, as a byte.
pub(crate) mod expects {
    pub(crate) const ANY: u8 = 0;
    pub(crate) const NO_STREAM: u8 = 1;
    pub(crate) const STREAM_EXISTS: u8 = 2;
    pub(crate) const EXACTLY: u8 = 3;
    /// The commit does not name the stream; its command does.
    pub(crate) const NOT_NAMED: u8 = 4;
}

/// Bits of the first byte of an event.
pub(crate) mod event_bits {
    pub(crate) const ID: u8 = 1;
    pub(crate) const CONTENT_TYPE: u8 = 2;
    pub(crate) const KNOWN: u8 = 3;
}

/// What follows a decided command.
pub(crate) mod outcome {
    pub(crate) const ACCEPTED: u8 = 0;
    pub(crate) const REJECTED: u8 = 1;
}

/// The stream of the commit's command, when the commit does not name it.
pub(crate) fn unnamed_stream(commit: &Commit) -> Option<&StreamId> {
    let stream = &commit.command.as_ref()?.stream;
    commit.streams.iter().all(|append| append.stream != *stream).then_some(stream)
}

/// Encodes everything of `commit` but its place.
pub(crate) fn encode(commit: &Commit, salt: u64) -> Result<Draft, AppendError> {
    let unnamed = unnamed_stream(commit);
    let streams_count = commit.streams.len() + usize::from(unnamed.is_some());
    let start = body_start(streams_count);
    let mut out = Vec::with_capacity(start + bytes_at_most(commit));
    out.resize(start, 0);
    let has_claims = !commit.claims.is_empty() || !commit.releases.is_empty();
    out.put_u8(
        origin_bits(&commit.origin)
            | if commit.command.is_some() { what::COMMAND } else { 0 }
            | if has_claims { what::CLAIMS } else { 0 },
    );
    put_origin(&mut out, &commit.origin)?;
    for append in &commit.streams {
        put_stream(&mut out, append)?;
    }
    if let Some(stream) = unnamed {
        put_text_16(&mut out, stream.as_str())?;
        out.put_u8(expects::NOT_NAMED);
        out.put_u32_le(0);
    }
    if let Some(command) = &commit.command {
        let own = commit
            .streams
            .iter()
            .position(|append| append.stream == command.stream)
            .unwrap_or(commit.streams.len());
        put_command(&mut out, command, own)?;
    }
    if has_claims {
        put_claims(&mut out, &commit.claims, &commit.releases)?;
    }
    for event in commit.streams.iter().flat_map(|append| &append.events) {
        put_event(&mut out, event)?;
    }
    let size = out.len();
    u16::try_from(streams_count)
        .ok()
        .and_then(|streams_count| Draft::new(out, streams_count, salt))
        .ok_or(AppendError::TooLarge {
            what: SizeLimit::CommitBytes,
            size,
            max: limits::COMMIT_BYTES_MAX,
        })
}

/// An upper bound of the size of the body for all but texts of unusual length.
fn bytes_at_most(commit: &Commit) -> usize {
    let command = commit.command.as_ref().map_or(0, |c| c.data.len() + 512);
    let events = commit
        .streams
        .iter()
        .flat_map(|append| &append.events)
        .map(|event| event.data.len() + event.metadata.len() + event.event_type.as_str().len() + 30)
        .sum::<usize>();
    128 + command + events + 128 * (commit.streams.len() + commit.claims.len())
}

fn origin_bits(origin: &Origin) -> u8 {
    let bit = |is_there, bit| if is_there { bit } else { 0 };
    bit(origin.correlation_id.is_some(), what::CORRELATION)
        | bit(origin.causation_id.is_some(), what::CAUSATION)
        | bit(origin.principal.is_some(), what::PRINCIPAL)
}

fn put_origin(out: &mut Vec<u8>, origin: &Origin) -> Result<(), AppendError> {
    if let Some(id) = &origin.correlation_id {
        put_text_8(out, id.as_str())?;
    }
    if let Some(id) = origin.causation_id {
        out.put_slice(id.uuid().as_bytes());
    }
    if let Some(principal) = &origin.principal {
        put_text_16(out, principal)?;
    }
    Ok(())
}

fn put_stream(out: &mut Vec<u8>, append: &StreamAppend) -> Result<(), AppendError> {
    put_text_16(out, append.stream.as_str())?;
    match append.expected {
        ExpectedRevision::Any => out.put_u8(expects::ANY),
        ExpectedRevision::NoStream => out.put_u8(expects::NO_STREAM),
        ExpectedRevision::StreamExists => out.put_u8(expects::STREAM_EXISTS),
        ExpectedRevision::Exactly(revision) => {
            out.put_u8(expects::EXACTLY);
            out.put_u64_le(revision.get());
        }
    }
    put_count_32(out, append.events.len())
}

fn put_command(out: &mut Vec<u8>, command: &CommandRecord, own: usize) -> Result<(), AppendError> {
    out.put_slice(command.id.uuid().as_bytes());
    put_text_8(out, command.name.as_str())?;
    out.put_u16_le(u16::try_from(own).map_err(|_| TEXT_TOO_LONG)?);
    put_content_type(out, &command.content_type)?;
    put_bytes_32(out, &command.data)?;
    out.put_u64_le(command.decided_at.ms());
    out.put_u64_le(command.seed.0);
    out.put_u64_le(command.seed.1);
    out.put_slice(command.plugin.as_bytes());
    match &command.outcome {
        Outcome::Accepted => out.put_u8(outcome::ACCEPTED),
        Outcome::Rejected(rejection) => {
            out.put_u8(outcome::REJECTED);
            put_text_16(out, &rejection.code)?;
            put_text_16(out, &rejection.message)?;
            put_bytes_32(out, &rejection.detail)?;
        }
    }
    Ok(())
}

fn put_claims(
    out: &mut Vec<u8>,
    claims: &[Claim],
    releases: &[Release],
) -> Result<(), AppendError> {
    put_count_32(out, releases.len())?;
    for release in releases {
        put_text_16(out, &release.scope)?;
        put_text_16(out, &release.key)?;
        put_text_16(out, release.stream.as_str())?;
    }
    put_count_32(out, claims.len())?;
    for claim in claims {
        put_text_16(out, &claim.scope)?;
        put_text_16(out, &claim.key)?;
        put_text_16(out, claim.stream.as_str())?;
        match claim.expires_at {
            Some(time) => {
                out.put_u8(1);
                out.put_u64_le(time.ms());
            }
            None => out.put_u8(0),
        }
    }
    Ok(())
}

pub(crate) fn put_event(out: &mut Vec<u8>, event: &NewEvent) -> Result<(), AppendError> {
    let has_other_type = event.content_type != ContentType::Json;
    out.put_u8(
        if event.id.is_some() { event_bits::ID } else { 0 }
            | if has_other_type { event_bits::CONTENT_TYPE } else { 0 },
    );
    put_text_8(out, event.event_type.as_str())?;
    out.put_u32_le(event.schema_version.0);
    if let Some(id) = event.id {
        out.put_slice(id.uuid().as_bytes());
    }
    if has_other_type {
        put_content_type(out, &event.content_type)?;
    }
    put_bytes_32(out, &event.data)?;
    put_bytes_32(out, &event.metadata)
}

/// As text of 16 bits of length; empty means JSON.
fn put_content_type(out: &mut Vec<u8>, content_type: &ContentType) -> Result<(), AppendError> {
    match content_type {
        ContentType::Json => put_text_16(out, ""),
        ContentType::Other(text) => put_text_16(out, text),
    }
}

const TEXT_TOO_LONG: AppendError =
    AppendError::Invalid { what: "a principal or a content type has more than 65 535 bytes" };

fn put_text_8(out: &mut Vec<u8>, text: &str) -> Result<(), AppendError> {
    out.put_u8(u8::try_from(text.len()).map_err(|_| TEXT_TOO_LONG)?);
    out.put_slice(text.as_bytes());
    Ok(())
}

fn put_text_16(out: &mut Vec<u8>, text: &str) -> Result<(), AppendError> {
    out.put_u16_le(u16::try_from(text.len()).map_err(|_| TEXT_TOO_LONG)?);
    out.put_slice(text.as_bytes());
    Ok(())
}

fn put_bytes_32(out: &mut Vec<u8>, bytes: &[u8]) -> Result<(), AppendError> {
    put_count_32(out, bytes.len())?;
    out.put_slice(bytes);
    Ok(())
}

fn put_count_32(out: &mut Vec<u8>, count: usize) -> Result<(), AppendError> {
    // `Commit::check` bounds every count and size far below 32 bits.
    out.put_u32_le(u32::try_from(count).map_err(|_| TEXT_TOO_LONG)?);
    Ok(())
}
