//! Plugins: installing and listing. `details.rs` is what only one plugin at a time is shown with.

mod details;

use std::sync::Arc;

use annals_core::event::SchemaVersion;
use annals_core::id::Digest;
use annals_core::name::PluginName;
use annals_core::plugin::{MessageType, PluginKind};
use annals_engine::plugins::{InstallOutcome, PluginStatus};
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

/// Checks, compiles, activates and records a plugin.
#[utoipa::path(
    put,
    operation_id = "install_plugin",
    path = "/v1/plugins/{name}",
    tag = "plugins",
    params(("name" = String, Path, description = "The plugin's own name.")),
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
    Query::none(&parts.uri)?;
    let [name] = path::segments(&parts.uri, 2)?;
    let name = PluginName::new(&name)?;
    headers::media_type(&parts.headers, &["application/wasm", "application/octet-stream"])?;
    let whole = body::read(&api, body, api.options.component_bytes_max).await?;
    let (outcome, plugin) = api.engine.install(Some(&name), whole.bytes.clone(), None).await?;
    json_response(&InstalledJson { outcome, plugin: PluginJson::new(&plugin) })
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
    let plugin = api.engine.plugin(&name).ok_or_else(|| {
        let known = api.engine.plugins();
        let known: Vec<_> = known.iter().map(|plugin| &plugin.description.name).collect();
        Problem::new(
            Code::UnknownPlugin,
            format!("There is no plugin `{name}`. Use one of `known`, or install it."),
        )
        .with("known", known.as_slice())
    })?;
    json_response(&PluginDetailsJson::new(&plugin))
}

/// What installing did.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = Installed)]
pub(crate) struct InstalledJson<'a> {
    /// `installed`, `upgraded` or `unchanged`.
    #[schema(value_type = String)]
    outcome: InstallOutcome,
    /// The plugin.
    plugin: PluginJson<'a>,
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
    /// `aggregate` or `projection`.
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
    /// What it decides.
    commands: Vec<MessageJson<'a>>,
    /// What it records, or wants.
    events: Vec<MessageJson<'a>>,
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
            tables: description.tables.iter().map(|table| table.as_str()).collect(),
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
