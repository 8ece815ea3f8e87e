//! What is answered when something goes wrong: a status, and JSON that says what and why.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::Response;
use muster_control::chain::chain;
use muster_control::ports::{FleetError, PutError, Revision, StoreError};
use muster_core::group::PolicyVersion;
use schemars::JsonSchema;
use serde::Serialize;

use super::query::short;
use super::route::Param;
use crate::read::ReadError;
use crate::read::policy::{ProblemLine, problems};
use crate::read::preview::PreviewError;
use crate::steer::SteerError;

/// What went wrong, as it is sent.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Problem {
    /// What went wrong.
    pub error: Why,
    #[serde(skip)]
    status: u16,
}

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Why {
    /// By a name that stays.
    pub code: Code,
    /// In words.
    pub message: String,
    /// The policy that is there instead of the one that was to be replaced.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<Box<Found>>,
    /// What is wrong with a policy, place by place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub problems: Option<Vec<ProblemLine>>,
}

/// What can go wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Code {
    /// It is not there.
    NotFound,
    /// It cannot be asked for so.
    BadRequest,
    /// Somebody else has edited the policy: nothing was written.
    LostUpdate,
    /// The policy is not valid: nothing was written.
    InvalidPolicy,
    /// EC2 or the policy's source refuses it as it is.
    Refused,
    /// Too much was asked at once.
    Throttled,
    /// Something that is needed does not answer.
    Unavailable,
    /// The request does not come from where requests come from.
    Forbidden,
    /// The body is longer than a body may be.
    TooLarge,
}

/// A policy's text that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Found {
    /// The text; none when there is no policy.
    pub text: Option<String>,
    /// Its digest.
    pub revision: Option<String>,
    /// The source's own number of it.
    pub version: Option<PolicyVersion>,
}

impl Problem {
    fn new(status: StatusCode, code: Code, message: String) -> Self {
        Self { error: Why { code, message, found: None, problems: None }, status: status.as_u16() }
    }

    pub(crate) fn not_found(message: &str) -> Self {
        Self::new(StatusCode::NOT_FOUND, Code::NotFound, message.to_owned())
    }

    pub(crate) fn bad_request(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BadRequest, message.to_owned())
    }

    pub(crate) fn method_not_allowed() -> Self {
        Self::new(StatusCode::METHOD_NOT_ALLOWED, Code::BadRequest, "this cannot be done to it".into())
    }

    pub(crate) fn forbidden(message: &str) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Forbidden, message.to_owned())
    }

    pub(crate) fn misdirected(message: &str) -> Self {
        Self::new(StatusCode::MISDIRECTED_REQUEST, Code::Forbidden, message.to_owned())
    }

    pub(crate) fn too_large(most: usize) -> Self {
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, Code::TooLarge, format!("the body has more than {most} bytes"))
    }

    pub(crate) fn busy(message: &str) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::Unavailable, message.to_owned())
    }

    pub(crate) fn throttled(message: &str) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, Code::Throttled, message.to_owned())
    }

    pub(crate) fn late(deadline: Duration) -> Self {
        Self::busy(&format!("there was no answer within {} s", deadline.as_secs()))
    }

    pub(crate) fn unknown_parameter(name: &str, known: &[Param]) -> Self {
        let known: Vec<&str> = known.iter().map(|param| param.name).collect();
        let known =
            if known.is_empty() { "there is none here".to_owned() } else { format!("known: {}", known.join(", ")) };
        Self::bad_request(&format!("unknown parameter {:?}: {known}", short(name)))
    }

    fn refused(message: String) -> Self {
        Self::new(StatusCode::FORBIDDEN, Code::Refused, message)
    }

    fn invalid(error: &muster_core::policy::PolicyError) -> Self {
        let mut problem =
            Self::new(StatusCode::UNPROCESSABLE_ENTITY, Code::InvalidPolicy, "the policy is not valid".into());
        problem.error.problems = Some(problems(error));
        problem
    }

    /// The answer.
    pub(crate) fn into_response(self) -> Response {
        let body = serde_json::to_vec(&self).unwrap_or_default();
        let mut response = Response::new(Body::from(body));
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::SERVICE_UNAVAILABLE);
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        response
    }
}

impl From<ReadError> for Problem {
    fn from(error: ReadError) -> Self {
        let message = chain(&error);
        match error {
            ReadError::NotFound(_) => Self::not_found(&message),
            ReadError::BadRequest(_) => Self::bad_request(&message),
            ReadError::Store(StoreError::Throttled(_)) => Self::throttled(&message),
            ReadError::Store(StoreError::Conflict | StoreError::Unavailable(_) | StoreError::Corrupt(_)) => {
                Self::busy(&message)
            }
            ReadError::Policy(_) => Self::busy(&message),
        }
    }
}

impl From<PreviewError> for Problem {
    fn from(error: PreviewError) -> Self {
        match error {
            PreviewError::Invalid(error) => Self::invalid(&error),
            PreviewError::Read(error) => error.into(),
        }
    }
}

impl From<SteerError> for Problem {
    fn from(error: SteerError) -> Self {
        let message = chain(&error);
        match error {
            SteerError::Read(error) => error.into(),
            SteerError::Invalid(error) => Self::invalid(&error),
            SteerError::Put(PutError::LostUpdate { found }) => {
                let mut problem = Self::new(StatusCode::CONFLICT, Code::LostUpdate, message);
                problem.error.found = Some(Box::new(Found {
                    revision: found.as_ref().map(|found| Revision::of(&found.text).0),
                    version: found.as_ref().and_then(|found| found.version),
                    text: found.map(|found| found.text),
                }));
                problem
            }
            SteerError::Put(PutError::TooLong { .. } | PutError::Refused(_)) => Self::refused(message),
            SteerError::Put(PutError::Unavailable(_)) => Self::busy(&message),
            SteerError::Fleet(FleetError::Throttled(_)) => Self::throttled(&message),
            SteerError::Fleet(FleetError::Unavailable(_) | FleetError::Superseded) => Self::busy(&message),
            SteerError::Fleet(FleetError::Refused(_) | FleetError::NoCapacity(_) | FleetError::Ended(_)) => {
                Self::refused(message)
            }
        }
    }
}
