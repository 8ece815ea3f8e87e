//! Where a webhook may be.

use std::fmt;
use std::str::FromStr;

use reqwest::Url;

/// The longest address that is taken.
const LONGEST: usize = 2_048;

/// An address that may be posted to: https anywhere, http on loopback only, since what is told would otherwise be read on the way.
///
/// It is shown without its path and query: with many receivers they are the secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

/// A text that is no such address.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is neither an https address nor an http address on loopback")]
pub struct TargetError(String);

impl TargetError {
    /// The text as it may be shown.
    pub fn shown(&self) -> &str {
        &self.0
    }
}

impl Target {
    pub(crate) fn url(&self) -> Url {
        self.0.clone()
    }
}

impl FromStr for Target {
    type Err = TargetError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unreadable = || TargetError(format!("a text of {} bytes", text.len()));
        let url = Url::parse(text).ok().filter(|_| text.len() <= LONGEST).ok_or_else(unreadable)?;
        let target = Self(url);
        let fits = match target.0.scheme() {
            "https" => target.0.host_str().is_some_and(|host| !host.is_empty()),
            "http" => is_loopback(&target.0),
            _ => false,
        };
        if fits { Ok(target) } else { Err(TargetError(target.to_string())) }
    }
}

fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
    host == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", self.0.scheme(), self.0.host_str().unwrap_or_default())?;
        self.0.port().map_or(Ok(()), |port| write!(f, ":{port}"))?;
        f.write_str("/...")
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn https_goes_anywhere_and_http_stays_on_this_machine() {
        let taken = [
            "https://hooks.slack.com/services/T0/B0/secret",
            "https://example.com:8443/?key=secret",
            "http://127.0.0.1:8080/hook",
            "http://127.9.9.9/",
            "http://localhost:1/",
            "http://[::1]:80/",
        ];
        for text in taken {
            assert!(text.parse::<Target>().is_ok(), "{text}");
        }
        let refused = [
            "http://example.com/",
            "http://10.0.0.1/",
            "http://127.0.0.1.example.com/",
            "http://localhost.example.com/",
            "http://169.254.169.254/latest",
            "ftp://example.com/",
            "file:///etc/passwd",
            "https:///",
            "example.com",
            "",
            &format!("https://example.com/{}", "x".repeat(LONGEST)),
        ];
        for text in refused {
            assert!(text.parse::<Target>().is_err(), "{text}");
        }
    }

    #[test]
    fn an_address_is_shown_without_what_is_secret_in_it() {
        let target: Target = "https://user:secret@example.com:8443/secret?k=secret#secret".parse().expect("an address");
        assert_eq!(
            (target.to_string(), format!("{target:?}")),
            ("https://example.com:8443/...".into(), target.to_string())
        );
        let refused = "http://example.com/secret".parse::<Target>().expect_err("no loopback").to_string();
        assert_eq!(refused, "http://example.com/... is neither an https address nor an http address on loopback");
        let refused = "secret secret".parse::<Target>().expect_err("no address").to_string();
        assert!(!refused.contains("secret"), "{refused}");
    }
}
