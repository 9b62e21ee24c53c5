//! What happened to a plugin: who did what when.

use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::place::Revision;
use annals_engine::plugins::{ForceReason, HistoryEntry, HistoryEvent, InstallError};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use utoipa::ToSchema;

use crate::Api;
use crate::answer::json_response;
use crate::event::Time;
use crate::openapi::ProblemDocument;
use crate::plugin::unknown;
use crate::problem::Problem;
use crate::request::path;
use crate::request::query::Query;

/// Entries of a page when the client does not say how many.
const PAGE_ENTRIES: usize = 100;

/// Most entries of a page (inclusive): as many as a page of the registry's stream has events.
const PAGE_ENTRIES_MAX: usize = 1_000;

/// Says what happened to a plugin, also to one that was removed.
#[utoipa::path(
    get,
    operation_id = "read_plugin_history",
    path = "/v1/plugins/{name}/history",
    tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin."),
        ("from" = Option<u64>, Query, description = "Where to begin: the `next` of the page before. The newest when absent."),
        ("limit" = Option<u64>, Query, description = "Most entries to return, up to 1000; 100 when absent."),
    ),
    responses(
        (status = 200, description = "A page of the history, newest first.", body = HistoryJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn read(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let uri = request.uri();
    let query = Query::parse(uri, &["from", "limit"])?;
    let [name] = path::segments(uri, 2)?;
    let name = PluginName::new(&name)?;
    let limit = query.limit(PAGE_ENTRIES, PAGE_ENTRIES_MAX)?;
    let from = query.number("from")?.map(Revision::new);
    let page = api.engine.plugin_history(&name, from, limit).await;
    let page = page.map_err(|error| Problem::from(InstallError::Registry(error)))?;
    let page = page.ok_or_else(|| unknown(&api, &name))?;
    json_response(&HistoryJson {
        name: name.as_str(),
        entries: page.entries.iter().map(EntryJson::new).collect(),
        next: page.next.map(Revision::get),
    })
}

/// What happened to a plugin.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginHistory)]
pub(crate) struct HistoryJson<'a> {
    /// The plugin.
    name: &'a str,
    /// Newest first.
    entries: Vec<EntryJson<'a>>,
    /// Where the next page begins; null at the end.
    next: Option<u64>,
}

/// One thing that happened to a plugin.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginHistoryEntry)]
pub(crate) struct EntryJson<'a> {
    /// Its place in the stream `$plugins/registry`.
    revision: u64,
    /// When it happened (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    at: Time,
    /// Who asked for it; null when nobody was asked who they are.
    principal: Option<&'a str>,
    /// `installed`, `rolled-back` or `removed`; of a projection's views `rebuild-started`, `cut-over`,
    /// `rebuild-cancelled`, `view-rolled-back` or `previous-dropped`.
    what: &'static str,
    /// The version that is active from then on; null when it is known by its digest alone, or none is.
    version: Option<&'a str>,
    /// Content of its component (SHA-256); null when none is active.
    #[schema(value_type = Option<String>)]
    digest: Option<Digest>,
    /// Why it was done although the version did not read all that was recorded.
    #[schema(value_type = Option<String>)]
    force_reason: Option<&'a ForceReason>,
    /// Whether views were deleted as well.
    deletes_views: bool,
    /// Which of the views of that content it is about, when it is about a view.
    #[serde(skip_serializing_if = "Option::is_none")]
    build: Option<u32>,
    /// How many rows differed at a cut-over.
    #[serde(skip_serializing_if = "Option::is_none")]
    differences: Option<DifferencesJson>,
}

/// How many rows of two views differed.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = DifferenceCounts)]
pub(crate) struct DifferencesJson {
    /// Rows that only the view that served had.
    only_old_count: u64,
    /// Rows that only the view that was built had.
    only_new_count: u64,
    /// Rows that both had, with other values.
    different_count: u64,
}

impl<'a> EntryJson<'a> {
    fn new(entry: &'a HistoryEntry) -> Self {
        let nothing = Self {
            revision: entry.revision.get(),
            at: Time(entry.at),
            principal: entry.principal.as_deref(),
            what: "removed",
            version: None,
            digest: None,
            force_reason: None,
            deletes_views: false,
            build: None,
            differences: None,
        };
        match &entry.event {
            HistoryEvent::Installed { version, digest, force_reason } => Self {
                what: "installed",
                version: Some(version),
                digest: Some(*digest),
                force_reason: force_reason.as_ref(),
                ..nothing
            },
            HistoryEvent::Activated { version, digest, force_reason } => Self {
                what: "rolled-back",
                version: version.as_deref(),
                digest: Some(*digest),
                force_reason: force_reason.as_ref(),
                ..nothing
            },
            HistoryEvent::Removed { deletes_views } => {
                Self { deletes_views: *deletes_views, ..nothing }
            }
            event => Self::of_view(event, nothing),
        }
    }

    /// The same for what happened to views.
    fn of_view(event: &'a HistoryEvent, nothing: Self) -> Self {
        let (what, version, digest, build) = match event {
            HistoryEvent::RebuildStarted { version, digest, build } => {
                ("rebuild-started", Some(version), digest, build)
            }
            HistoryEvent::CutOver { version, digest, build, .. } => {
                ("cut-over", version.as_ref(), digest, build)
            }
            HistoryEvent::RebuildCancelled { digest, build } => {
                ("rebuild-cancelled", None, digest, build)
            }
            HistoryEvent::ViewRolledBack { version, digest, build } => {
                ("view-rolled-back", version.as_ref(), digest, build)
            }
            HistoryEvent::PreviousDropped { digest, build } => {
                ("previous-dropped", None, digest, build)
            }
            HistoryEvent::Installed { .. }
            | HistoryEvent::Activated { .. }
            | HistoryEvent::Removed { .. } => return nothing,
        };
        let differences = match event {
            HistoryEvent::CutOver { differences, .. } => *differences,
            _ => None,
        };
        Self {
            what,
            version: version.map(String::as_str),
            digest: Some(*digest),
            build: Some(*build),
            differences: differences.map(|it| DifferencesJson {
                only_old_count: it.only_old_count,
                only_new_count: it.only_new_count,
                different_count: it.different_count,
            }),
            ..nothing
        }
    }
}
