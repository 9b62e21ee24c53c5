//! `/apps/…`.

use annals_api::apps::{App, Apps};
use annals_core::name::AppName;
use axum::body::Body;
use axum::http::Method;
use bytes::Bytes;
use serde_json::json;

use crate::support::{Answer, Host, request};

async fn host() -> Host {
    let files = [
        ("index.html", "<!doctype html>start"),
        ("app.js", "run()"),
        ("help/index.html", "<!doctype html>help"),
        ("images/a b.svg", "<svg/>"),
    ];
    let files = files.map(|(path, content)| (path.to_owned(), Bytes::from(content)));
    let apps = Apps::from_iter([(AppName::new("todo").unwrap(), App::new(files))]);
    Host::empty_with(|setup| setup.api.apps = apps).await
}

async fn ask(host: &Host, method: Method, uri: &str, headers: &[(&str, &str)]) -> Answer {
    Answer::read(host.respond(request(method, uri, headers, Body::empty())).await).await
}

async fn get(host: &Host, uri: &str) -> Answer {
    ask(host, Method::GET, uri, &[]).await
}

#[tokio::test]
async fn pages_are_served_with_their_type_and_a_strict_policy() {
    // Guards apps: content, type, and headers that keep a page to what this host serves.
    let host = host().await;
    let html = "text/html; charset=utf-8";
    for (uri, content, media) in [
        ("/apps/todo/", "<!doctype html>start", html),
        ("/apps/todo/index.html", "<!doctype html>start", html),
        ("/apps/todo/?list=home", "<!doctype html>start", html),
        ("/apps/todo/help/", "<!doctype html>help", html),
        ("/apps/todo/app.js", "run()", "text/javascript; charset=utf-8"),
        ("/apps/todo/images/a%20b.svg", "<svg/>", "image/svg+xml"),
    ] {
        let answer = get(&host, uri).await;
        assert_eq!((answer.status.as_u16(), answer.text()), (200, content), "{uri}");
        assert_eq!(answer.header("content-type"), Some(media), "{uri}");
        let policy = answer.header("content-security-policy").unwrap();
        assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(answer.header("referrer-policy"), Some("no-referrer"));
        assert_eq!(answer.header("cache-control"), Some("no-cache"));
    }
    let head = ask(&host, Method::HEAD, "/apps/todo/app.js", &[]).await;
    assert_eq!((head.status.as_u16(), head.text()), (200, ""));
    let to_folder = get(&host, "/apps/todo").await;
    assert_eq!(to_folder.status.as_u16(), 308);
    assert_eq!(to_folder.header("location"), Some("/apps/todo/"));
}

#[tokio::test]
async fn a_file_that_is_as_it_was_is_not_sent_again() {
    // Guards reloads: 304 with the policy, and the whole file for whoever knows another one.
    let host = host().await;
    let tag = get(&host, "/apps/todo/").await.header("etag").unwrap().to_owned();
    for known in [tag.clone(), format!("W/{tag}"), format!("\"x\", {tag}")] {
        let same = ask(&host, Method::GET, "/apps/todo/", &[("if-none-match", &known)]).await;
        assert_eq!((same.status.as_u16(), same.text()), (304, ""), "{known}");
        assert_eq!(same.header("etag"), Some(tag.as_str()));
        assert!(same.header("content-security-policy").is_some());
    }
    let other = ask(&host, Method::GET, "/apps/todo/app.js", &[("if-none-match", &tag)]).await;
    assert_eq!((other.status.as_u16(), other.text()), (200, "run()"));
}

#[tokio::test]
async fn only_what_is_among_the_files_is_served() {
    // Guards the machine: no spelling of a path leads out of the folder, or to anything but a file.
    let host = host().await;
    for path in [
        "..",
        "../",
        "../todo/index.html",
        "../../../../etc/passwd",
        "..%2f..%2fetc%2fpasswd",
        "%2e%2e/%2e%2e/etc/passwd",
        "%2e%2e%2fapp.js",
        "..%5c..%5capp.js",
        "help/../index.html",
        "help/../../todo/app.js",
        "./app.js",
        "//app.js",
        "%2fapp.js",
        "/etc/passwd",
        "help",
        "help//",
        "images/",
        "app.js/",
        "app.js%00",
        "app%2ejs%2500",
        "app%252ejs",
        "%ff",
        "APP.JS",
    ] {
        let answer = get(&host, &format!("/apps/todo/{path}")).await;
        assert_eq!(
            (answer.status.as_u16(), &answer.json()["code"]),
            (404, &json!("unknown-route"))
        );
    }
    // The same file by another spelling is the same file.
    assert_eq!(get(&host, "/apps/todo/app%2Ejs").await.text(), "run()");
    assert_eq!(get(&host, "/apps/todo/help%2F").await.text(), "<!doctype html>help");
}

#[tokio::test]
async fn an_app_that_is_not_there_is_named() {
    // Guards 404, also of a host without apps, and that apps are only read.
    let unknown = get(&host().await, "/apps/shop/").await;
    unknown.assert_problem(
        404,
        &json!({
            "code": "unknown-route",
            "detail": "There is no app `shop`. Use one of `known`, or add it to `web.folders`.",
            "known": ["todo"],
        }),
    );
    let without = Host::empty_with(|_| ()).await;
    for uri in ["/apps/todo", "/apps/todo/", "/apps/todo/app.js", "/apps/To%20Do/"] {
        get(&without, uri).await.assert_code(404, "unknown-route");
    }
    let posted = ask(&host().await, Method::POST, "/apps/todo/app.js", &[]).await;
    posted.assert_code(405, "method-not-allowed");
}
