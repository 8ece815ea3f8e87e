//! Who may ask, and how: whoever sits at this machine, by way of this page or a program of his own. A page of somebody else in the same
//! browser may neither read nor write, whatever name its server has.

use std::sync::Arc;

use axum::extract::Request;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use axum::middleware::Next;
use axum::response::Response;

use super::problem::Problem;

/// What the page may load: its own files, and nothing of anybody else's.
const CONTENT: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
                       form-action 'none'; frame-ancestors 'none'";

/// What every answer carries. Not `Cross-Origin-Opener-Policy`: for it a browser throws away the process that it has begun to load the page in, some 25 ms
/// of the first data, and an opener would find neither a frame nor a listener here.
fn headers() -> [(HeaderName, &'static str); 4] {
    [
        (header::CONTENT_SECURITY_POLICY, CONTENT),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ]
}

/// Under which names this is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Guards {
    hosts: Vec<String>,
}

impl Guards {
    /// A server on loopback at `port`: another name for its address is somebody else's, who wants to be taken for us
    /// (<https://en.wikipedia.org/wiki/DNS_rebinding>).
    pub fn loopback(port: u16) -> Self {
        Self { hosts: ["127.0.0.1", "localhost", "[::1]"].map(|host| format!("{host}:{port}")).into() }
    }

    /// A server whose names are whoever's who mounts it, and who checks who asks.
    pub const fn any_host() -> Self {
        Self { hosts: Vec::new() }
    }

    fn admit(&self, request: &Request) -> Result<(), Problem> {
        let named = only(request.headers(), &header::HOST)?;
        let target = request.uri().authority().map(|authority| authority.as_str());
        let host = target.or(named).ok_or_else(|| Problem::misdirected("the request names no host"))?;
        let ours = |name: &str| self.hosts.is_empty() || self.hosts.iter().any(|host| host.eq_ignore_ascii_case(name));
        if !ours(host) || !named.is_none_or(ours) {
            return Err(Problem::misdirected("this host is not served here"));
        }
        match *request.method() {
            Method::GET | Method::HEAD => Ok(()),
            _ => self::write(request.headers(), host),
        }
    }
}

/// Whether a request that may change something comes from our own page, or from no page.
fn write(headers: &HeaderMap, host: &str) -> Result<(), Problem> {
    let kind = only(headers, &header::CONTENT_TYPE)?.unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default().trim();
    // A page of somebody else can send a form without being asked, but not this type.
    if !kind.eq_ignore_ascii_case("application/json") {
        return Err(Problem::forbidden("Content-Type must be application/json"));
    }
    let origin = only(headers, &header::ORIGIN)?;
    let own = |origin: &str| {
        let rest = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
        rest.is_some_and(|rest| rest.eq_ignore_ascii_case(host))
    };
    if !origin.is_none_or(own) {
        return Err(Problem::forbidden("Origin must be this server's own"));
    }
    match only(headers, &HeaderName::from_static("sec-fetch-site"))? {
        None | Some("same-origin" | "none") => Ok(()),
        Some(_) => Err(Problem::forbidden("Sec-Fetch-Site must be same-origin")),
    }
}

/// The header's value, if it is there; twice or unreadable is refused.
fn only<'h>(headers: &'h HeaderMap, name: &HeaderName) -> Result<Option<&'h str>, Problem> {
    let mut values = headers.get_all(name).iter();
    let first = values.next();
    if values.next().is_some() {
        return Err(Problem::bad_request(&format!("the header {name} stands twice")));
    }
    let unreadable = |_| Problem::bad_request(&format!("the header {name} cannot be read"));
    first.map(|value| value.to_str().map_err(unreadable)).transpose()
}

/// Lets a request pass or refuses it, and puts its headers on every answer.
pub(super) async fn check(guards: Arc<Guards>, request: Request, next: Next) -> Response {
    let mut response = match guards.admit(&request) {
        Ok(()) => next.run(request).await,
        Err(problem) => problem.into_response(),
    };
    for (name, value) in headers() {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}
