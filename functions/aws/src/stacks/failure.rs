//! What CloudFormation's errors mean. It has one code for most of them, `ValidationError`: the text says which.

use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use muster_control::ports::Cause;

use crate::failure::Failure;

/// Why a stack is not as it shall be.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The call can never succeed as it is. Nothing was done.
    #[error("CloudFormation refuses the call")]
    Refused(#[source] Cause),
    /// No answer of use: it may or may not be under way.
    #[error("CloudFormation did not answer")]
    Unavailable(#[source] Cause),
    /// It came to another end.
    #[error("the CloudFormation stack {name} is {status}{}", because(.why))]
    Failed {
        /// The stack.
        name: String,
        /// What it ended as.
        status: String,
        /// What CloudFormation says of what has failed, thing by thing.
        why: Vec<String>,
    },
    /// It has not come to an end in time, and goes on.
    #[error("the CloudFormation stack {name} is still {status} after {seconds} s; it goes on by itself")]
    Late {
        /// The stack.
        name: String,
        /// Its status.
        status: String,
        /// How long it was followed.
        seconds: u64,
    },
}

impl StackError {
    /// Somebody has deleted it meanwhile.
    pub(super) fn gone(name: &str) -> Self {
        Self::Failed { name: name.to_owned(), status: "gone".into(), why: vec!["somebody has deleted it".into()] }
    }
}

fn because(why: &[String]) -> String {
    why.iter().map(|line| format!("\n  {line}")).collect()
}

/// A call that has failed: for good, or for now.
pub(super) fn refused(failure: Failure) -> StackError {
    let throttled = matches!(failure.code(), Some("Throttling" | "ThrottlingException" | "RequestLimitExceeded"));
    if throttled || failure.is_theirs() {
        StackError::Unavailable(Box::new(failure))
    } else {
        StackError::Refused(Box::new(failure))
    }
}

/// There is no such stack.
pub(super) fn is_absent<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    says(error, "does not exist")
}

/// The stack is so already.
pub(super) fn is_unchanged<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> bool {
    says(error, "No updates are to be performed")
}

fn says<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>, words: &str) -> bool {
    let told = error.as_service_error();
    let code = told.and_then(ProvideErrorMetadata::code).unwrap_or_default();
    let text = told.and_then(ProvideErrorMetadata::message).unwrap_or_default();
    code == "ValidationError" && text.contains(words)
}
