//! What a function URL hands over for each request, and what it wants back (payload format 2.0).
//!
//! Lambda has checked the signature and the caller's rights; everything else in it is whatever somebody has sent, and is read without trust.
//! <https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html#urls-payloads>

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::events::EventError;

/// What is read, for whoever has handed over something else.
const WANTED: &str = r#"a function URL's request: {"version": "2.0", "rawPath": "/", "requestContext": {"domainName": ..., "http": {"method": "GET"}}}"#;
/// The payload format that function URLs speak.
const VERSION: &str = "2.0";
/// Bytes of an answer's body as it is handed over. Lambda takes 6 MB with everything around it; what is larger would be told as a failure of
/// the function. <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>
pub const ANSWER_AT_MOST: usize = 5 << 20;

/// A request to the URL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UrlRequest {
    /// Its method, as it was sent.
    pub method: String,
    /// Its path, as it was sent, from the first slash on.
    pub path: String,
    /// What was behind the question mark; often nothing.
    pub query: String,
    /// Its headers by their names in lower case; several of one name are one, with commas between.
    pub headers: BTreeMap<String, String>,
    /// The URL's own domain, as Lambda knows it: whatever the header `host` says, this is where the request has come to.
    pub domain: String,
    /// Its body.
    pub body: Vec<u8>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Payload {
    version: String,
    raw_path: String,
    #[serde(default)]
    raw_query_string: String,
    #[serde(default)]
    headers: BTreeMap<String, String>,
    #[serde(default)]
    cookies: Vec<String>,
    request_context: Context,
    body: Option<String>,
    #[serde(default)]
    is_base64_encoded: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Context {
    domain_name: String,
    http: Http,
}

#[derive(Deserialize)]
struct Http {
    method: String,
}

impl UrlRequest {
    /// Reads the event of a request. Fields that it does not know are AWS's to add.
    pub fn read(event: &Value) -> Result<Self, EventError> {
        let refused = |problem: &dyn std::fmt::Display| EventError::unshown(WANTED, problem);
        let payload = Payload::deserialize(event).map_err(|error| refused(&error))?;
        if payload.version != VERSION {
            return Err(refused(&format!("its version is {:?}, not {VERSION:?}", payload.version)));
        }
        let body = match payload.body {
            None => Vec::new(),
            Some(text) if payload.is_base64_encoded => BASE64.decode(text).map_err(|error| refused(&error))?,
            Some(text) => text.into_bytes(),
        };
        let mut headers: BTreeMap<String, String> =
            payload.headers.into_iter().map(|(name, value)| (name.to_ascii_lowercase(), value)).collect();
        if !payload.cookies.is_empty() {
            headers.insert("cookie".into(), payload.cookies.join("; "));
        }
        Ok(Self {
            method: payload.request_context.http.method,
            path: payload.raw_path,
            query: payload.raw_query_string,
            headers,
            domain: payload.request_context.domain_name,
            body,
        })
    }
}

/// What a request is answered.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct UrlAnswer {
    status_code: u16,
    headers: BTreeMap<String, String>,
    body: String,
    is_base64_encoded: bool,
}

impl UrlAnswer {
    /// An answer; none when its body is more than Lambda hands on. A body that is text goes as text, anything else in Base64.
    pub fn new(status: u16, headers: BTreeMap<String, String>, body: Vec<u8>) -> Option<Self> {
        let (body, is_base64_encoded) = match String::from_utf8(body) {
            Ok(text) => (text, false),
            Err(other) => (BASE64.encode(other.into_bytes()), true),
        };
        (written(&body) <= ANSWER_AT_MOST).then_some(Self { status_code: status, headers, body, is_base64_encoded })
    }

    /// Its status.
    pub const fn status(&self) -> u16 {
        self.status_code
    }
}

/// Bytes of a text as a string of JSON.
fn written(text: &str) -> usize {
    let bytes = text.bytes().map(|byte| match byte {
        b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
        0..=0x1f => 6,
        _ => 1,
    });
    bytes.sum::<usize>() + 2
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn answer(body: impl Into<Vec<u8>>) -> Option<UrlAnswer> {
        UrlAnswer::new(200, BTreeMap::from([("content-type".into(), "text/plain".into())]), body.into())
    }

    #[test]
    fn an_answer_is_as_a_url_wants_it() {
        let told = serde_json::to_value(answer("grüß dich")).expect("plain data");
        let expected = json!({
            "statusCode": 200, "headers": {"content-type": "text/plain"}, "body": "grüß dich", "isBase64Encoded": false,
        });
        assert_eq!(told, expected);
        let told = serde_json::to_value(answer([0xff, 0x00])).expect("plain data");
        assert_eq!((&told["body"], &told["isBase64Encoded"]), (&json!("/wA="), &json!(true)));
    }

    #[test]
    fn an_answer_is_measured_as_it_is_written() {
        for text in ["", "a", "\"\\\n\r\t", "\u{1}\u{1f}\u{7f}", "grüß \u{1f600} \u{2028}", "{\"a\": [1, \"b\"]}"] {
            let whole = serde_json::to_string(text).expect("plain data");
            assert!(written(text) >= whole.len() && written(text) <= whole.len() + 8, "{text:?}");
        }
        assert!(answer("a".repeat(ANSWER_AT_MOST - 2)).is_some());
        assert!(answer("a".repeat(ANSWER_AT_MOST - 1)).is_none());
        assert!(answer("\"".repeat(ANSWER_AT_MOST / 2)).is_none(), "each of them is written with a backslash");
        assert!(answer(vec![0xff; ANSWER_AT_MOST / 4 * 3]).is_none(), "four characters for three bytes");
    }
}
