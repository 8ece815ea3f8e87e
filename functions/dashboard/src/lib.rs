//! Dashboard: the page and its API at a function URL, for whoever IAM lets in.
//!
//! An event becomes a request, `muster_web`'s router answers it, and the answer becomes what Lambda hands back. Lambda has looked at the
//! signature and at the caller's policies before any of this runs.
//!
//! What must never be in here: a decision, a write to a table, a call that launches or terminates, an answer of its own where the router has
//! one, state that outlives an invocation, a body in the log. The function's role (`infra/foundation.yaml`) could do none of the second and third.

use std::collections::BTreeMap;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Request, Response, Uri, header};
use muster_control::ports::{Clock, Marks, PolicyDesk};
use muster_lambda::Failure;
use muster_lambda::url::{ANSWER_AT_MOST, UrlAnswer, UrlRequest};
use muster_web::api::{Guards, router};
use muster_web::stand::{Stand, Store};
use serde_json::json;
use tower_service::Service;

/// What answers the requests of a URL.
#[derive(Debug)]
pub struct Dashboard {
    /// None of it where the settings are wrong; then every request hears which.
    router: Result<Router, Failure>,
}

impl Dashboard {
    /// Over a stand. Under which name it is asked is the URL's affair, and looked at here.
    pub fn new<S, P, F, C>(stand: Stand<S, P, F, C>) -> Self
    where
        S: Store + 'static,
        P: PolicyDesk + 'static,
        F: Marks + 'static,
        C: Clock + 'static,
    {
        Self { router: Ok(router(stand, Guards::any_host())) }
    }

    /// One that can answer nothing but why: an exit would only say that there was one.
    pub const fn unwired(failure: Failure) -> Self {
        Self { router: Err(failure) }
    }

    /// Answers a request.
    pub async fn answer(&self, request: UrlRequest) -> UrlAnswer {
        let router = match &self.router {
            Ok(router) => router,
            Err(failure) => return problem(500, "unavailable", &failure.text),
        };
        // Lambda puts the URL's own domain there. Anything else was never sent to it, and `Origin` is compared with this.
        let host = request.headers.get("host");
        if !host.is_none_or(|host| host.eq_ignore_ascii_case(&request.domain)) {
            return problem(421, "forbidden", "this host is not served here");
        }
        match asked(request) {
            Some(request) => answered(call(router, request).await).await,
            None => problem(400, "bad-request", "the path, the method or a header cannot be read"),
        }
    }
}

/// The group that a path is about, if it is about one: so that the log can be read by groups.
pub fn group(path: &str) -> Option<&str> {
    let rest = path.strip_prefix("/api/groups/")?;
    rest.split('/').next().filter(|name| !name.is_empty())
}

/// The request as the router takes it.
fn asked(request: UrlRequest) -> Option<Request<Body>> {
    let UrlRequest { method, path, query, headers, domain, body } = request;
    let target = if query.is_empty() { path } else { format!("{path}?{query}") };
    let mut asked = Request::new(Body::from(body));
    *asked.method_mut() = method.parse().ok()?;
    // With its first slash it names no host of its own.
    *asked.uri_mut() = target.starts_with('/').then(|| target.parse::<Uri>().ok()).flatten()?;
    let read =
        |(name, value): (String, String)| Some((HeaderName::try_from(name).ok()?, HeaderValue::try_from(value).ok()?));
    *asked.headers_mut() = headers.into_iter().map(read).collect::<Option<HeaderMap>>()?;
    asked.headers_mut().insert(header::HOST, HeaderValue::try_from(domain).ok()?);
    Some(asked)
}

async fn call(router: &Router, request: Request<Body>) -> Response<Body> {
    // A clone is ready, and a router never fails.
    let Ok(response) = router.clone().call(request).await;
    response
}

/// The answer as Lambda takes it.
async fn answered(response: Response<Body>) -> UrlAnswer {
    let (parts, body) = response.into_parts();
    let headers = joined(&parts.headers);
    let told = match to_bytes(body, ANSWER_AT_MOST).await {
        Ok(body) => UrlAnswer::new(parts.status.as_u16(), headers, body.into()),
        Err(_) => None,
    };
    // Nothing that is asked for is nearly as large: see the bounds of `muster_web`.
    told.unwrap_or_else(|| problem(500, "too-large", &format!("the answer has more than {ANSWER_AT_MOST} bytes")))
}

/// Headers with one value each, as a URL hands them on.
fn joined(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut joined: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let value = String::from_utf8_lossy(value.as_bytes());
        joined
            .entry(name.as_str().to_owned())
            .and_modify(|before| {
                before.push_str(", ");
                before.push_str(&value);
            })
            .or_insert_with(|| value.clone().into_owned());
    }
    joined
}

/// An answer of our own, in the API's words.
fn problem(status: u16, code: &str, message: &str) -> UrlAnswer {
    let body = json!({ "error": { "code": code, "message": message } }).to_string();
    let headers =
        [("content-type", "application/json"), ("cache-control", "no-store"), ("x-content-type-options", "nosniff")];
    let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    UrlAnswer::new(status, headers, body.into_bytes()).expect("a failure's text is short")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_tells_its_group() {
        assert_eq!(group("/api/groups/web/members/i-1/protect"), Some("web"));
        assert_eq!(group("/api/groups/web"), Some("web"));
        for path in ["/", "/api/groups", "/api/groups/", "/api/policy/check", "/assets/api/groups/web"] {
            assert_eq!(group(path), None, "{path}");
        }
    }
}
