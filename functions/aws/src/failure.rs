//! A call that has not succeeded, as AWS tells it: code, text and request id, for people; nothing that is a secret or a blob.

use std::error::Error;
use std::fmt;

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use muster_control::ports::Cause;

/// Characters of a foreign text that are kept.
const TEXT_KEPT: usize = 400;
/// Characters of a request id or a code that are kept; they have 36 and less than 60.
const WORD_KEPT: usize = 80;
/// What an encoded authorization message begins with: kilobytes that only `DecodeAuthorizationMessage` can read.
/// <https://docs.aws.amazon.com/STS/latest/APIReference/API_DecodeAuthorizationMessage.html>
const ENCODED: &str = "Encoded authorization failure message";

/// What has failed, and what AWS said of it.
#[derive(Debug)]
pub(crate) struct Failure {
    call: &'static str,
    told: Option<Told>,
    source: Option<Cause>,
}

/// An error that AWS has answered with.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    status: u16,
    code: String,
    text: String,
    request_id: Option<String>,
}

impl Failure {
    /// The failure of `call`. Only an answer with a code of AWS's own is what AWS has told: a proxy's page or a torn answer is
    /// none.
    pub(crate) fn new<E>(call: &'static str, error: SdkError<E, HttpResponse>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
    {
        let told = error.as_service_error().and_then(ProvideErrorMetadata::code).map(|code| {
            let text = error.as_service_error().and_then(ProvideErrorMetadata::message).unwrap_or_default();
            Told {
                status: error.raw_response().map_or(0, |raw| raw.status().as_u16()),
                code: shortened(code, WORD_KEPT),
                text: readable(text),
                request_id: error.raw_response().and_then(request_id),
            }
        });
        let source = told.is_none().then(|| -> Cause { Box::new(error) });
        Self { call, told, source }
    }

    /// A failure that is no error of the SDK's: an answer without what it must hold.
    pub(crate) fn odd(call: &'static str, what: impl Into<Cause>) -> Self {
        Self { call, told: None, source: Some(what.into()) }
    }

    /// AWS's code, when it has answered with one.
    pub(crate) fn code(&self) -> Option<&str> {
        self.told.as_ref().map(|told| told.code.as_str())
    }

    /// Whether AWS says that the fault is its own: then the call may have done something.
    pub(crate) fn is_theirs(&self) -> bool {
        self.told.as_ref().is_none_or(|told| told.status >= 500)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some(told) = &self.told else { return write!(f, "{} has had no answer of use", self.call) };
        write!(f, "{} failed with {}", self.call, told.code)?;
        if !told.text.is_empty() {
            write!(f, ": {}", told.text)?;
        }
        told.request_id.as_ref().map_or(Ok(()), |id| write!(f, " (request {id})"))
    }
}

impl Error for Failure {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.as_ref().map(|source| &**source as &(dyn Error + 'static))
    }
}

/// The text without what nobody can read.
fn readable(text: &str) -> String {
    let end = text.find(ENCODED).unwrap_or(text.len());
    shortened(text[..end].trim_end(), TEXT_KEPT)
}

fn shortened(text: &str, kept: usize) -> String {
    match text.char_indices().nth(kept) {
        None => text.to_owned(),
        Some((end, _)) => format!("{}...", &text[..end]),
    }
}

/// From the headers, or from the body: EC2's errors have it there (`<RequestID>`).
fn request_id(raw: &HttpResponse) -> Option<String> {
    let in_headers = || ["x-amzn-requestid", "x-amz-request-id"].iter().find_map(|name| raw.headers().get(*name));
    let in_body = || {
        let body = std::str::from_utf8(raw.body().bytes()?).ok()?;
        let (_, rest) = body.split_once("<RequestID>")?;
        rest.split_once("</RequestID>").map(|(id, _)| id.trim())
    };
    in_headers().or_else(in_body).map(|id| shortened(id, WORD_KEPT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_encoded_message_is_cut_and_a_long_one_shortened() {
        let text = "You are not authorized to perform this operation. Encoded authorization failure message: Zm9v";
        assert_eq!(readable(text), "You are not authorized to perform this operation.");
        assert_eq!(readable(&"ä".repeat(TEXT_KEPT + 1)), format!("{}...", "ä".repeat(TEXT_KEPT)));
    }
}
