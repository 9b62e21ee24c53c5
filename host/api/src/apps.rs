//! Pages of applications: `GET /apps/{app}/…`, from memory.
//!
//! Whoever starts the host reads the files once. A request is answered with the file whose path it
//! spells, or not at all: no path of a request ever reaches a file system.

mod media;

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use annals_core::id::Digest;
use annals_core::name::AppName;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::response::Response;
use bytes::Bytes;
use percent_encoding::percent_decode_str;

use crate::Api;
use crate::problem::{Code, Problem};

/// The apps of a host, by name.
#[derive(Debug, Clone, Default)]
pub struct Apps(Arc<BTreeMap<AppName, App>>);

impl FromIterator<(AppName, App)> for Apps {
    fn from_iter<I: IntoIterator<Item = (AppName, App)>>(apps: I) -> Self {
        Self(Arc::new(apps.into_iter().collect()))
    }
}

/// The files of one app.
#[derive(Debug, Clone, Default)]
pub struct App {
    // By their path, such as `index.html` or `images/logo.svg`.
    files: HashMap<String, AppFile>,
}

#[derive(Debug, Clone)]
struct AppFile {
    content: Bytes,
    content_type: HeaderValue,
    tag: HeaderValue,
}

impl App {
    /// An app of these files, each with its path below the folder, written with `/`.
    pub fn new(files: impl IntoIterator<Item = (String, Bytes)>) -> Self {
        let file = |(path, content): (String, Bytes)| {
            let content_type = media::of_path(&path);
            let tag = format!("\"{}\"", Digest::of(&content));
            // Hexadecimal digits and quotes are a header value.
            let tag = HeaderValue::from_str(&tag).unwrap_or(HeaderValue::from_static("\"\""));
            (path, AppFile { content, content_type, tag })
        };
        Self { files: files.into_iter().map(file).collect() }
    }

    /// The file that a path of a request spells; a folder is its `index.html`.
    fn file(&self, path: &str) -> Option<&AppFile> {
        if path.is_empty() || path.ends_with('/') {
            return self.files.get(&format!("{path}{INDEX}"));
        }
        self.files.get(path)
    }
}

/// What is served for a folder.
const INDEX: &str = "index.html";

/// Everything a page needs comes from this host, nothing may frame it, and no script is in the page.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
     font-src 'self'; media-src 'self'; connect-src 'self'; manifest-src 'self'; \
     base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
);

const HEADERS: [(HeaderName, HeaderValue); 4] = [
    (header::CONTENT_SECURITY_POLICY, POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (header::REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    // A copy may be kept, and must be asked for before it is used.
    (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
];

/// What the paths of all apps begin with.
const PREFIX: &str = "/apps/";

/// Answers with a file of an app.
pub(crate) async fn file(
    State(api): State<Arc<Api>>,
    request: Request,
) -> Result<Response, Problem> {
    let path = request.uri().path().strip_prefix(PREFIX).unwrap_or_default();
    let (name, path) = match path.split_once('/') {
        Some((name, path)) => (name, Some(path)),
        None => (path, None),
    };
    let app = AppName::new(name).ok().and_then(|name| api.options.apps.0.get(&name));
    let app = app.ok_or_else(|| unknown_app(&api, name))?;
    let Some(path) = path else {
        return Ok(redirection(name));
    };
    // Decoded once: what is encoded twice, or not to be decoded, is the path of no file.
    let path = percent_decode_str(path).decode_utf8().ok();
    let file = path.and_then(|path| app.file(&path)).ok_or_else(|| {
        Problem::new(
            Code::UnknownRoute,
            format!("App `{name}` has no such file. Its start page is `{PREFIX}{name}/`."),
        )
    })?;
    Ok(response(file, request.headers()))
}

fn response(file: &AppFile, headers: &HeaderMap) -> Response {
    let known = headers.get_all(header::IF_NONE_MATCH).iter();
    let is_known = known
        .filter_map(|value| value.to_str().ok())
        .any(|value| value.split(',').any(|tag| file.tag == tag.trim().trim_start_matches("W/")));
    let mut response = if is_known {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = StatusCode::NOT_MODIFIED;
        response
    } else {
        let mut response = Response::new(Body::from(file.content.clone()));
        response.headers_mut().insert(header::CONTENT_TYPE, file.content_type.clone());
        response
    };
    response.headers_mut().insert(header::ETAG, file.tag.clone());
    response.headers_mut().extend(HEADERS);
    response
}

/// Sends to the folder: links of a page are relative to it.
fn redirection(name: &str) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
    // The name of an app is kebab-case, which a header can have.
    if let Ok(place) = HeaderValue::from_str(&format!("{PREFIX}{name}/")) {
        response.headers_mut().insert(header::LOCATION, place);
    }
    response
}

fn unknown_app(api: &Api, name: &str) -> Problem {
    let known: Vec<_> = api.options.apps.0.keys().collect();
    let name = percent_decode_str(name).decode_utf8_lossy();
    Problem::new(
        Code::UnknownRoute,
        format!("There is no app `{name}`. Use one of `known`, or add it to `web.folders`."),
    )
    .with("known", known.as_slice())
}
