//! What a file is, by the end of its name.

use axum::http::HeaderValue;

/// By extension, in lower case. Scripts, styles and texts are UTF-8.
const TYPES: [(&str, &str); 21] = [
    ("avif", "image/avif"),
    ("css", "text/css; charset=utf-8"),
    ("gif", "image/gif"),
    ("html", "text/html; charset=utf-8"),
    ("ico", "image/x-icon"),
    ("jpeg", "image/jpeg"),
    ("jpg", "image/jpeg"),
    ("js", "text/javascript; charset=utf-8"),
    ("json", "application/json"),
    ("map", "application/json"),
    ("md", "text/markdown; charset=utf-8"),
    ("mjs", "text/javascript; charset=utf-8"),
    ("mp3", "audio/mpeg"),
    ("mp4", "video/mp4"),
    ("png", "image/png"),
    ("svg", "image/svg+xml"),
    ("txt", "text/plain; charset=utf-8"),
    ("wasm", "application/wasm"),
    ("webmanifest", "application/manifest+json"),
    ("webp", "image/webp"),
    ("woff2", "font/woff2"),
];

/// Anything: browsers save it, and do not guess.
const OTHER: &str = "application/octet-stream";

/// The media type of a file.
pub(super) fn of_path(path: &str) -> HeaderValue {
    let name = path.rsplit('/').next().unwrap_or(path);
    let extension = name.rsplit_once('.').map(|(_, extension)| extension.to_ascii_lowercase());
    let known = TYPES.iter().find(|(known, _)| Some(*known) == extension.as_deref());
    HeaderValue::from_static(known.map_or(OTHER, |(_, media)| *media))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_have_the_type_of_their_extension() {
        // Guards pages: with `nosniff`, a script or style of another type is not used.
        for (path, expected) in [
            ("index.html", "text/html; charset=utf-8"),
            ("a/b.d/app.JS", "text/javascript; charset=utf-8"),
            ("style.css", "text/css; charset=utf-8"),
            ("logo.svg", "image/svg+xml"),
            ("archive.tar.gz", OTHER),
            ("html", OTHER),
            ("folder.html/readme", OTHER),
        ] {
            assert_eq!(of_path(path), expected, "{path}");
        }
        assert!(TYPES.is_sorted());
    }
}
