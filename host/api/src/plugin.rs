//! Plugins: installing and listing. `plugin/versions.rs` rolls back and removes, `plugin/history.rs`
//! says what happened, `plugin/details.rs` is what only one plugin at a time is shown with.

mod change;
mod details;
pub(crate) mod history;
pub(crate) mod versions;

use std::sync::Arc;

use annals_core::event::SchemaVersion;
use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::plugin::{MessageType, PluginKind};
use annals_engine::plugins::{
    Activation, ForceReason, InstallOutcome, InstallRequest, PluginStatus, PluginVersion,
};
use axum::extract::{Request, State};
use axum::response::Response;
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

pub(crate) use details::PluginDetailsJson;

use crate::Api;
use crate::answer::json_response;
use crate::event::Time;
use crate::openapi::ProblemDocument;
use crate::problem::{Code, Problem};
use crate::request::query::Query;
use crate::request::{body, headers, path};
use change::{ChangeJson, UnreadJson};

/// Checks, compiles, activates and records a plugin.
#[utoipa::path(
    put,
    operation_id = "install_plugin",
    path = "/v1/plugins/{name}",
    tag = "plugins",
    params(
        ("name" = String, Path, description = "The plugin's own name."),
        ("force" = Option<bool>, Query, description = "Install it although it does not read all that is recorded; needs a `reason`."),
        ("reason" = Option<String>, Query, description = "Why, for the history: at most 1024 bytes."),
    ),
    request_body(content = Vec<u8>, content_type = "application/wasm", description = "The component."),
    responses(
        (status = 200, description = "Installed and active.", body = InstalledJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn install(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let force = Query::parse(&parts.uri, &["force", "reason"])?.force()?;
    let [name] = path::segments(&parts.uri, 2)?;
    let name = PluginName::new(&name)?;
    headers::media_type(&parts.headers, &["application/wasm", "application/octet-stream"])?;
    let whole = body::read(&api, body, api.options.component_bytes_max).await?;
    let bytes = whole.bytes.clone();
    let request = InstallRequest { name: Some(name), bytes, principal: None, force };
    activated(&api.engine.install_by(request).await?)
}

/// Lists the installed plugins, in order of name.
#[utoipa::path(
    get,
    operation_id = "list_plugins",
    path = "/v1/plugins",
    tag = "plugins",
    responses(
        (status = 200, description = "The plugins.", body = PluginsJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let plugins = api.engine.plugins();
    json_response(&PluginsJson { plugins: plugins.iter().map(PluginJson::new).collect() })
}

/// Shows an installed plugin.
#[utoipa::path(
    get,
    operation_id = "read_plugin",
    path = "/v1/plugins/{name}",
    tag = "plugins",
    params(("name" = String, Path, description = "The plugin.")),
    responses(
        (status = 200, description = "The plugin, and what it uses.", body = PluginDetailsJson<'static>),
        (status = "default", description = "A problem.", body = ProblemDocument, content_type = "application/problem+json"),
    ),
)]
pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    Query::none(request.uri())?;
    let [name] = path::segments(request.uri(), 2)?;
    let name = PluginName::new(&name)?;
    let plugin = api.engine.plugin(&name).ok_or_else(|| unknown(&api, &name))?;
    json_response(&PluginDetailsJson::new(&plugin))
}

pub(crate) fn unknown(api: &Api, name: &PluginName) -> Problem {
    let known = api.engine.plugins();
    let known: Vec<_> = known.iter().map(|plugin| &plugin.description.name).collect();
    Problem::new(
        Code::UnknownPlugin,
        format!("There is no plugin `{name}`. Use one of `known`, or install it."),
    )
    .with("known", known.as_slice())
}

fn activated(activation: &Activation) -> Result<Response, Problem> {
    json_response(&InstalledJson {
        outcome: activation.outcome,
        plugin: PluginJson::new(&activation.plugin),
        changes: activation.changes.iter().map(ChangeJson::new).collect(),
        unread: activation.unread.iter().map(UnreadJson::new).collect(),
    })
}

/// What installing did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Installed)]
pub(crate) struct InstalledJson<'a> {
    /// `installed`, `upgraded`, `rolled-back` or `unchanged`.
    #[schema(value_type = String)]
    outcome: InstallOutcome,
    /// The plugin.
    plugin: PluginJson<'a>,
    /// How its commands and events differ from those of the version before: commands first, each in
    /// order of name and schema version.
    changes: Vec<ChangeJson<'a>>,
    /// Of an aggregate: events it may record that active plugins want and cannot read in this version.
    unread: Vec<UnreadJson<'a>>,
}

/// The installed plugins.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plugins)]
pub(crate) struct PluginsJson<'a> {
    /// In order of name.
    plugins: Vec<PluginJson<'a>>,
}

/// An installed plugin.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Plugin)]
pub(crate) struct PluginJson<'a> {
    /// Its name.
    name: &'a str,
    /// Its semantic version.
    version: &'a str,
    /// A sentence for people.
    summary: &'a str,
    /// `aggregate`, `projection`, `process-manager` or `upcaster`.
    #[schema(value_type = String)]
    kind: PluginKind,
    /// Content of its component (SHA-256).
    #[schema(value_type = String)]
    digest: Digest,
    /// Size of its component.
    component_bytes: usize,
    /// The contract version it was built for.
    contract_version: &'a str,
    /// What it imports.
    imports: &'a [String],
    /// Whether it answers named questions.
    has_queries: bool,
    /// When it was installed (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    installed_at: Time,
    /// Who installed it; null when nobody was asked who they are.
    installed_by: Option<&'a str>,
    /// Since when it is active (RFC 3339): later than `installed_at` after a roll back.
    #[schema(value_type = String, format = "date-time")]
    activated_at: Time,
    /// Why it was activated although it did not read all that was recorded; null when there was no
    /// need.
    #[schema(value_type = Option<String>)]
    force_reason: Option<&'a ForceReason>,
    /// The versions that are kept, the newest activation first; the first one is active.
    versions: Vec<VersionJson<'a>>,
    /// What it decides; of a process manager, what it sends.
    commands: Vec<MessageJson<'a>>,
    /// What it records, or wants.
    events: Vec<MessageJson<'a>>,
    /// Upcaster: what it makes of its events.
    produces: Vec<MessageJson<'a>>,
    /// Its tables.
    tables: Vec<&'a str>,
}

impl<'a> PluginJson<'a> {
    fn new(status: &'a PluginStatus) -> Self {
        let description = &status.description;
        Self {
            name: description.name.as_str(),
            version: &description.version,
            summary: &description.summary,
            kind: status.kind,
            digest: status.digest,
            component_bytes: status.component_bytes,
            contract_version: &status.contract_version,
            imports: &status.imports,
            has_queries: status.has_queries,
            installed_at: Time(status.installed_at),
            installed_by: status.installed_by.as_deref(),
            activated_at: Time(status.activated_at),
            force_reason: status.force_reason.as_ref(),
            versions: status.versions.iter().map(VersionJson::new).collect(),
            commands: description
                .commands
                .iter()
                .map(|m| MessageJson::new(m, m.name.as_str()))
                .collect(),
            events: description
                .events
                .iter()
                .map(|m| MessageJson::new(m, m.name.as_str()))
                .collect(),
            produces: description
                .produces
                .iter()
                .map(|m| MessageJson::new(m, m.name.as_str()))
                .collect(),
            tables: description.tables.iter().map(|table| table.as_str()).collect(),
        }
    }
}

/// A version of a plugin that is kept.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = PluginVersion)]
pub(crate) struct VersionJson<'a> {
    /// Its semantic version.
    version: &'a str,
    /// Content of its component (SHA-256).
    #[schema(value_type = String)]
    digest: Digest,
    /// Size of its component.
    component_bytes: usize,
    /// When it was installed last (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    installed_at: Time,
    /// Who installed it; null when nobody was asked who they are.
    installed_by: Option<&'a str>,
    /// When it was activated last (RFC 3339).
    #[schema(value_type = String, format = "date-time")]
    activated_at: Time,
    /// Whether it is the one that runs.
    is_active: bool,
}

impl<'a> VersionJson<'a> {
    fn new(version: &'a PluginVersion) -> Self {
        Self {
            version: &version.version,
            digest: version.digest,
            component_bytes: version.component_bytes,
            installed_at: Time(version.installed_at),
            installed_by: version.installed_by.as_deref(),
            activated_at: Time(version.activated_at),
            is_active: version.is_active,
        }
    }
}

/// A kind of command or event.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = MessageType)]
pub(crate) struct MessageJson<'a> {
    /// Its name.
    name: &'a str,
    /// Shape of the data.
    #[schema(value_type = u32)]
    schema_version: SchemaVersion,
    /// Media type of the data.
    content_type: &'a str,
    /// JSON Schema of the data; null when unknown.
    #[schema(value_type = Option<Object>)]
    schema: Option<&'a RawValue>,
}

impl<'a> MessageJson<'a> {
    fn new<N>(message: &'a MessageType<N>, name: &'a str) -> Self {
        Self {
            name,
            schema_version: message.schema_version,
            content_type: message.content_type.as_str(),
            // A guest wrote the schema: what is not JSON is as good as unknown.
            schema: serde_json::from_str(&message.schema).ok(),
        }
    }
}
