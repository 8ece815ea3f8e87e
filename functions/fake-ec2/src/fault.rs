//! Errors as EC2 gives them: a code, a message, and the HTTP status that belongs to the code.

use serde::Serialize;

/// An error that EC2 answers with.
/// <https://docs.aws.amazon.com/AWSEC2/latest/APIReference/errors-overview.html>
#[derive(Clone, Debug, PartialEq, Eq, Serialize, thiserror::Error)]
#[error("{code}: {message}")]
pub struct Fault {
    /// The code that clients act on.
    pub code: String,
    /// For people.
    pub message: String,
    /// The HTTP status.
    pub status: u16,
}

impl Fault {
    /// The error `code`, with the status that EC2 gives it.
    pub fn new(code: impl Into<String>, message: impl Into<String>) -> Self {
        let code = code.into();
        Self { status: status(&code), code, message: message.into() }
    }

    pub(crate) fn missing(parameter: &str) -> Self {
        Self::new("MissingParameter", format!("The request must contain the parameter {parameter}"))
    }

    pub(crate) fn value(parameter: &str, value: &str) -> Self {
        let message = format!("Value ({value}) for parameter {parameter} is invalid.");
        Self::new("InvalidParameterValue", message)
    }
}

/// Client errors are 400, save for permissions and the dry run; server errors are 500 or 503, and lack of capacity is one of them.
fn status(code: &str) -> u16 {
    match code {
        "UnauthorizedOperation" | "OptInRequired" | "Blocked" | "PendingVerification" => 403,
        "AuthFailure" => 401,
        "DryRunOperation" => 412,
        "RequestLimitExceeded" | "Unavailable" | "ServiceUnavailable" => 503,
        "InternalError"
        | "InternalFailure"
        | "InsufficientInstanceCapacity"
        | "InsufficientHostCapacity"
        | "InsufficientReservedInstanceCapacity"
        | "InsufficientAddressCapacity"
        | "InsufficientCapacity" => 500,
        _ => 400,
    }
}

/// What EC2 says with a code, for rules that give no message of their own.
pub(crate) fn usual_message(code: &str) -> String {
    match code {
        "InsufficientInstanceCapacity" => "There is not enough capacity to fulfill your launch request.",
        "RequestLimitExceeded" => "Request limit exceeded.",
        "UnauthorizedOperation" => "You are not authorized to perform this operation.",
        "InternalError" | "InternalFailure" => "An internal error has occurred.",
        "InstanceLimitExceeded" => "You have requested more instances than your current instance limit allows.",
        "VcpuLimitExceeded" => "You have requested more vCPU capacity than your current vCPU limit allows.",
        "Unavailable" | "ServiceUnavailable" => "The service is unavailable. Please try again shortly.",
        "AuthFailure" => "AWS was not able to validate the provided access credentials.",
        _ => return format!("{code}, by a rule."),
    }
    .into()
}
