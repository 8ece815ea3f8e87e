//! What the operator may set of ControllerASG.

use std::time::Duration;

use muster_lambda::settings::{Environment, SettingsError, WEBHOOK_FORMAT, WEBHOOK_SECRET, WEBHOOK_URL};
use muster_webhook::{Format, Target};

/// The settings of ControllerASG.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The stack.
    pub stack: String,
    /// Where the agents of its instances listen.
    pub agent_port: u16,
    /// The length of a lease on an intent.
    pub lease: Duration,
    /// Whom the groups' events are told; none tells nobody.
    pub webhook: Option<WebhookSettings>,
}

/// The settings of the webhook.
#[derive(Clone)]
pub struct WebhookSettings {
    /// Where it is.
    pub target: Target,
    /// What its requests are signed with; none leaves them unsigned.
    pub secret: Option<String>,
    /// How they are written.
    pub format: Format,
}

impl std::fmt::Debug for WebhookSettings {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { target, secret, format } = self;
        let signed = secret.is_some();
        f.debug_struct("WebhookSettings")
            .field("target", target)
            .field("signed", &signed)
            .field("format", format)
            .finish()
    }
}

impl Settings {
    /// Reads the settings, and tells everything that is wrong with them.
    pub fn read(mut environment: Environment) -> Result<Self, SettingsError> {
        let (stack, agent_port, lease) = (environment.stack(), environment.agent_port(), environment.lease());
        let webhook = webhook(&mut environment);
        let all = || Some(Self { stack: stack?, agent_port: agent_port?, lease: lease?, webhook });
        let settings = all();
        environment.finish(settings)
    }
}

/// The webhook; none without an address, or when something is wrong.
fn webhook(environment: &mut Environment) -> Option<WebhookSettings> {
    let format = environment.take(WEBHOOK_FORMAT, "json or slack", Some(Format::Json), |text| text.parse().ok());
    let secret = secret(environment);
    let text = environment.text(WEBHOOK_URL)?.to_owned();
    match text.parse() {
        Ok(target) => Some(WebhookSettings { target, secret: secret?, format: format? }),
        Err(error) => {
            let range = "an https address, or an http address on loopback (localhost, 127.0.0.1, [::1])";
            let _refused: Option<Target> = environment.problem(WEBHOOK_URL, Some(error.shown().to_owned()), range);
            None
        }
    }
}

/// The secret, if there is one; none when it is wrong. It is never shown.
fn secret(environment: &mut Environment) -> Option<Option<String>> {
    let Some(secret) = environment.text(WEBHOOK_SECRET).map(str::to_owned) else { return Some(None) };
    if (16..=256).contains(&secret.len()) {
        return Some(Some(secret));
    }
    let value = format!("a text of {} bytes (not shown)", secret.len());
    environment.problem(WEBHOOK_SECRET, Some(value), "16 to 256 bytes: it is what tells your requests from anybody's")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(pairs: &[(&str, &str)]) -> Result<Settings, String> {
        let stack = [("MUSTER_STACK", "prod")];
        let pairs = stack.iter().chain(pairs).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Settings::read(Environment::of(pairs)).map_err(|error| error.to_string())
    }

    #[test]
    fn without_an_address_there_is_no_webhook() {
        let settings = read(&[("MUSTER_WEBHOOK_FORMAT", "slack")]).expect("sane");
        assert!(settings.webhook.is_none());
        assert_eq!((settings.agent_port, settings.lease), (7717, Duration::from_secs(180)));
    }

    #[test]
    fn a_webhook_has_an_address_and_may_have_a_secret_and_a_format() {
        let url = ("MUSTER_WEBHOOK_URL", "https://hooks.example.com/T0/hush");
        let plain = read(&[url]).expect("sane").webhook.expect("a webhook");
        assert_eq!((plain.secret, plain.format), (None, Format::Json));
        let full = read(&[url, ("MUSTER_WEBHOOK_SECRET", "hush-hush-hush-hush"), ("MUSTER_WEBHOOK_FORMAT", "slack")]);
        let full = full.expect("sane").webhook.expect("a webhook");
        assert_eq!((full.secret.as_deref(), full.format), (Some("hush-hush-hush-hush"), Format::Slack));
        assert!(!format!("{full:?}").contains("hush"), "{full:?}");
    }

    #[test]
    fn every_problem_is_told_at_once_and_no_secret_with_it() {
        let refused = read(&[
            ("MUSTER_AGENT_PORT", "0"),
            ("MUSTER_WEBHOOK_URL", "http://example.com/hush"),
            ("MUSTER_WEBHOOK_SECRET", "hush"),
            ("MUSTER_WEBHOOK_FORMAT", "xml"),
        ]);
        let refused = refused.expect_err("all wrong");
        assert_eq!(
            refused,
            "MUSTER_AGENT_PORT is \"0\"; it must be a port of 1 to 65535. \
             MUSTER_WEBHOOK_FORMAT is \"xml\"; it must be json or slack. \
             MUSTER_WEBHOOK_SECRET is a text of 4 bytes (not shown); it must be 16 to 256 bytes: it is what tells your \
             requests from anybody's. \
             MUSTER_WEBHOOK_URL is http://example.com/...; it must be an https address, or an http address on loopback \
             (localhost, 127.0.0.1, [::1])"
        );
    }
}
