//! One thing that can be asked: how, with what, and what comes back. What comes back has the very type that the description tells.

use std::collections::BTreeMap;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::Method;
use muster_core::group::GroupName;
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::problem::Problem;
use super::{App, DEADLINE};

/// What is asked, in pieces.
#[derive(Debug)]
pub(crate) struct Ask {
    pub(crate) path: BTreeMap<String, String>,
    pub(crate) query: BTreeMap<String, String>,
    pub(crate) body: Bytes,
}

impl Ask {
    /// A part of the path.
    pub(crate) fn part(&self, name: &str) -> &str {
        self.path.get(name).map(String::as_str).unwrap_or_default()
    }

    /// The group that the path names.
    pub(crate) fn group(&self) -> Result<GroupName, Problem> {
        self.part("group")
            .parse()
            .map_err(|error: muster_core::group::GroupNameError| Problem::not_found(&error.to_string()))
    }
}

/// A parameter of the query.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Param {
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    /// Its type, of JSON Schema.
    pub(crate) kind: &'static str,
}

pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;
type Answering = Pin<Box<dyn Future<Output = Result<Bytes, Problem>> + Send>>;
type Handle<T> = Box<dyn Fn(Arc<App<T>>, Ask) -> Answering + Send + Sync>;

/// One thing that can be asked.
pub(crate) struct Route<T> {
    pub(crate) method: Method,
    /// With its variable parts in braces.
    pub(crate) path: &'static str,
    /// Its name among all of them.
    pub(crate) name: &'static str,
    pub(crate) about: &'static str,
    pub(crate) query: &'static [Param],
    pub(crate) body: Option<SchemaOf>,
    pub(crate) answer: SchemaOf,
    pub(crate) deadline: Duration,
    pub(crate) handle: Handle<T>,
}

impl<T> fmt::Debug for Route<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Route").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

/// Something that is only looked at.
pub(crate) fn look<T, A, Fut>(
    path: &'static str,
    name: &'static str,
    about: &'static str,
    query: &'static [Param],
    handle: impl Fn(Arc<App<T>>, Ask) -> Fut + Send + Sync + 'static,
) -> Route<T>
where
    T: Send + Sync + 'static,
    A: Serialize + JsonSchema,
    Fut: Future<Output = Result<A, Problem>> + Send + 'static,
{
    let handle = move |app: Arc<App<T>>, ask: Ask| -> Answering {
        let known = ask.query.keys().find(|key| !query.iter().any(|param| param.name == key.as_str()));
        if let Some(unknown) = known {
            let problem = Problem::unknown_parameter(unknown, query);
            return Box::pin(async move { Err(problem) });
        }
        let answer = handle(app, ask);
        Box::pin(async move { written(&answer.await?) })
    };
    let answer: SchemaOf = |generator| generator.subschema_for::<A>();
    Route {
        method: Method::GET,
        path,
        name,
        about,
        query,
        body: None,
        answer,
        deadline: DEADLINE,
        handle: Box::new(handle),
    }
}

/// Something that is sent a body.
pub(crate) fn send<T, B, A, Fut>(
    method: Method,
    path: &'static str,
    name: &'static str,
    about: &'static str,
    handle: impl Fn(Arc<App<T>>, Ask, B) -> Fut + Send + Sync + 'static,
) -> Route<T>
where
    T: Send + Sync + 'static,
    B: DeserializeOwned + JsonSchema,
    A: Serialize + JsonSchema,
    Fut: Future<Output = Result<A, Problem>> + Send + 'static,
{
    let handle = move |app: Arc<App<T>>, ask: Ask| -> Answering {
        if let Some(unknown) = ask.query.keys().next() {
            let problem = Problem::unknown_parameter(unknown, &[]);
            return Box::pin(async move { Err(problem) });
        }
        match serde_json::from_slice::<B>(&ask.body) {
            Err(error) => {
                let problem = Problem::bad_request(&format!("the body is not what belongs here: {error}"));
                Box::pin(async move { Err(problem) })
            }
            Ok(body) => {
                let answer = handle(app, ask, body);
                Box::pin(async move { written(&answer.await?) })
            }
        }
    };
    let (body, answer): (SchemaOf, SchemaOf) =
        (|generator| generator.subschema_for::<B>(), |generator| generator.subschema_for::<A>());
    Route {
        method,
        path,
        name,
        about,
        query: &[],
        body: Some(body),
        answer,
        deadline: DEADLINE,
        handle: Box::new(handle),
    }
}

fn written(answer: &impl Serialize) -> Result<Bytes, Problem> {
    let written = serde_json::to_vec(answer);
    written.map(Bytes::from).map_err(|error| Problem::busy(&format!("the answer cannot be written: {error}")))
}
