//! The read model and the steering over HTTP: JSON, for the page and for whoever else asks.
//!
//! `routes` is the one table of what can be asked: the router, and the description at `/api/openapi.json`, are made of it. [`guards`] says who may
//! ask and how, [`problem`] what is answered when it goes wrong: always JSON, never a panic. Nothing is written but by [`crate::steer`].
//!
//! **Bounds.** A request has a deadline, a body of 64 KiB at most, and is one of sixteen at a time; a preview, which takes a processor for seconds, is the
//! only one at a time. A connection has ten seconds for its request's head, and is one of sixty-four.

pub mod guards;
mod openapi;
mod page;
pub mod problem;
mod query;
mod route;
mod routes;
mod serve;

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{RawPathParams, Request};
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{MethodFilter, get, on};
use axum::{RequestExt, http::Method};
use muster_control::ports::{Clock, Marks, PolicyDesk};
use sha2::{Digest, Sha256};
use tokio::sync::Semaphore;

pub use guards::Guards;
pub use serve::serve;

use crate::stand::{Stand, Store};
use problem::Problem;
use route::{Ask, Route};

/// Bytes of a body at most: a policy's text has at most that many.
const LONGEST_BODY: usize = 64 * 1024;
/// Requests that are answered at a time.
const AT_ONCE: usize = 16;

/// What every handler stands on.
#[derive(Debug)]
pub(crate) struct App<T> {
    pub(crate) stand: T,
    /// Requests that may be answered now.
    room: Semaphore,
    /// Previews that may be played now: one.
    pub(crate) stage: Arc<Semaphore>,
}

/// The router over a stand, for those whom `guards` lets in.
pub fn router<S, P, F, C>(stand: Stand<S, P, F, C>, guards: Guards) -> Router
where
    S: Store + 'static,
    P: PolicyDesk + 'static,
    F: Marks + 'static,
    C: Clock + 'static,
{
    let app = App { stand, room: Semaphore::new(AT_ONCE), stage: Arc::new(Semaphore::new(1)) };
    let (app, routes) = (Arc::new(app), routes::routes());
    let description = Bytes::from(openapi::description(&routes).to_string());
    let mut router = Router::new();
    for route in routes {
        let filter = MethodFilter::try_from(route.method.clone()).unwrap_or(MethodFilter::GET);
        let (path, route, app) = (route.path, Arc::new(route), Arc::clone(&app));
        let answer = move |request: Request| answer(Arc::clone(&app), Arc::clone(&route), request);
        router = router.route(path, on(filter, answer));
    }
    let describe = move |headers: HeaderMap| async move { json(&headers, description) };
    let guards = Arc::new(guards);
    let guarded = move |request: Request, next| guards::check(Arc::clone(&guards), request, next);
    page::mount(router.route("/api/openapi.json", get(describe)))
        .fallback(|| async { Problem::not_found("there is nothing here").into_response() })
        .method_not_allowed_fallback(|| async { Problem::method_not_allowed().into_response() })
        .layer(middleware::from_fn(guarded))
}

/// Answers one request, within its deadline.
async fn answer<T>(app: Arc<App<T>>, route: Arc<Route<T>>, request: Request) -> Response {
    let headers = request.headers().clone();
    let deadline = route.deadline;
    let work = async {
        let _permit = app.room.acquire().await.map_err(|_| Problem::busy("the server ends"))?;
        let ask = ask(request).await?;
        (route.handle)(Arc::clone(&app), ask).await
    };
    match tokio::time::timeout(deadline, work).await {
        Ok(Ok(body)) => json(&headers, body),
        Ok(Err(problem)) => problem.into_response(),
        Err(_) => Problem::late(deadline).into_response(),
    }
}

/// What is asked: path, query and body.
async fn ask(mut request: Request) -> Result<Ask, Problem> {
    let params = request.extract_parts::<RawPathParams>().await;
    let params = params.map_err(|_| Problem::bad_request("the path is not UTF-8"))?;
    let path = params.iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
    let query = query::parse(request.uri().query().unwrap_or_default())?;
    let body = match *request.method() {
        Method::GET | Method::HEAD => Bytes::new(),
        _ => whole(request.into_body()).await?,
    };
    Ok(Ask { path, query, body })
}

async fn whole(body: Body) -> Result<Bytes, Problem> {
    to_bytes(body, LONGEST_BODY).await.map_err(|error| {
        let cut = std::error::Error::source(&error).is_some_and(|inner| inner.to_string().contains("length limit"));
        if cut { Problem::too_large(LONGEST_BODY) } else { Problem::bad_request("the body did not come whole") }
    })
}

/// An answer with its ETag; without its body when the asker has it already.
fn json(headers: &HeaderMap, body: Bytes) -> Response {
    with_tag(headers, "application/json", "no-cache", body)
}

/// A body with its ETag; only that when the asker has it already.
pub(crate) fn with_tag(headers: &HeaderMap, content_type: &'static str, cache: &'static str, body: Bytes) -> Response {
    let digest: String = Sha256::digest(&body).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let tag = format!("\"{digest}\"");
    let seen = headers.get_all(header::IF_NONE_MATCH).iter().filter_map(|value| value.to_str().ok());
    let same = |told: &str| told.trim() == "*" || told.trim().trim_start_matches("W/") == tag;
    let known = seen.flat_map(|list| list.split(',')).any(same);
    let mut response = Response::new(if known { Body::empty() } else { Body::from(body) });
    if known {
        *response.status_mut() = StatusCode::NOT_MODIFIED;
    } else {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    }
    if let Ok(tag) = HeaderValue::from_str(&tag) {
        response.headers_mut().insert(header::ETAG, tag);
    }
    response.headers_mut().insert(header::CACHE_CONTROL, HeaderValue::from_static(cache));
    response
}

/// How long most requests may take.
pub(crate) const DEADLINE: Duration = Duration::from_secs(10);
/// How long a preview may take.
pub(crate) const PREVIEW_DEADLINE: Duration = Duration::from_secs(20);
