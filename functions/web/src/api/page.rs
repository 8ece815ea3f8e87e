//! The page: files that are built into the program, so that it can be looked at wherever the program runs.

use axum::Router;
use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::routing::get;

use super::with_tag;

/// A file of the page.
struct File {
    /// Where it is asked for.
    path: &'static str,
    bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/page.rs"));

/// The page that is asked for when nothing is named.
const INDEX: &str = "/index.html";

/// Serves the files, and the index at the root.
pub(super) fn mount(mut router: Router) -> Router {
    for File { path, bytes } in FILES {
        let answer = move |headers: HeaderMap| async move {
            with_tag(&headers, content_type(path), cache(path), Bytes::from_static(bytes))
        };
        if *path == INDEX {
            router = router.route("/", get(answer));
        }
        router = router.route(path, get(answer));
    }
    router
}

/// A file under `/assets/` has a digest of itself in its name, once it is built: under that name it is never another. The plain page's is not built.
fn cache(path: &str) -> &'static str {
    let hashed = BUILT && path.starts_with("/assets/");
    if hashed { "public, max-age=31536000, immutable" } else { "no-cache" }
}

fn content_type(path: &str) -> &'static str {
    match path.rsplit('.').next().unwrap_or_default() {
        "html" => "text/html; charset=utf-8",
        "js" | "mjs" => "text/javascript; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        "png" => "image/png",
        "ico" => "image/x-icon",
        "woff2" => "font/woff2",
        "json" | "map" => "application/json",
        "txt" => "text/plain; charset=utf-8",
        "webmanifest" => "application/manifest+json",
        _ => "application/octet-stream",
    }
}
