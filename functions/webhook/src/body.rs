//! How events are written: as JSON of a documented version, or as the text that Slack and its kin take.

use std::str::FromStr;

use muster_core::group::GroupName;
use muster_core::time::Timestamp;
use serde::Serialize;

use crate::events::GroupEvent;

/// Events that one body holds; with what a sentence may have, some 40 kB.
pub(crate) const EVENTS_AT_MOST: usize = 20;
/// The version of the JSON format. It rises when a field changes its meaning or goes; fields may be added any time.
const VERSION: u32 = 1;

/// How the body is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Format {
    /// `{"version": 1, "stack": ..., "group": ..., "sent_at": ..., "events": [...], "left_out": 0}`.
    #[default]
    Json,
    /// `{"text": "..."}`, one line an event.
    Slack,
}

impl FromStr for Format {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "json" => Ok(Self::Json),
            "slack" => Ok(Self::Slack),
            _ => Err(()),
        }
    }
}

#[derive(Serialize)]
struct Document<'a> {
    version: u32,
    stack: &'a str,
    group: &'a GroupName,
    sent_at: Timestamp,
    events: &'a [GroupEvent],
    /// Newer events that the body has no room for.
    left_out: usize,
}

/// The body that tells `events` of `group`: the first [`EVENTS_AT_MOST`], and how many more there were.
pub(crate) fn body(format: Format, stack: &str, group: &GroupName, events: &[GroupEvent], now: Timestamp) -> Vec<u8> {
    let (events, more) = events.split_at(events.len().min(EVENTS_AT_MOST));
    let left_out = more.len();
    let written = match format {
        Format::Json => {
            serde_json::to_vec(&Document { version: VERSION, stack, group, sent_at: now, events, left_out })
        }
        Format::Slack => {
            let lines = events.iter().map(|event| format!("*{stack}/{group}*: {}", escaped(&event.text)));
            let rest = (left_out > 0).then(|| format!("*{stack}/{group}*: and {left_out} more"));
            let text = lines.chain(rest).collect::<Vec<_>>().join("\n");
            serde_json::to_vec(&serde_json::json!({ "text": text }))
        }
    };
    written.expect("plain data with text keys can be written")
}

/// Slack's control characters, written so that it shows them: without it a text could link to anywhere or call everybody.
/// <https://docs.slack.dev/messaging/formatting-message-text/#escaping>
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::events::Kind;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn event(text: &str) -> GroupEvent {
        let instance = Some("i-1".to_owned());
        GroupEvent { kind: Kind::Launched, at: NOW, id: "intent-1".into(), text: text.into(), instance, replaces: None }
    }

    fn written(format: Format, events: &[GroupEvent]) -> Value {
        let group = "web".parse().expect("a name");
        serde_json::from_slice(&body(format, "prod", &group, events, NOW)).expect("JSON")
    }

    #[test]
    fn the_json_format_is_what_the_readme_says() {
        let expected = json!({
            "version": 1, "stack": "prod", "group": "web", "sent_at": "2026-11-22T10:00:00Z", "left_out": 0,
            "events": [{"kind": "launched", "at": "2026-11-22T10:00:00Z", "id": "intent-1", "text": "up", "instance": "i-1"}],
        });
        assert_eq!(written(Format::Json, &[event("up")]), expected);
    }

    #[test]
    fn slack_is_given_text_that_can_do_nothing() {
        let text = written(Format::Slack, &[event("a"), event("<!channel> & <https://x|y>")]);
        let expected = "*prod/web*: a\n*prod/web*: &lt;!channel&gt; &amp; &lt;https://x|y&gt;";
        assert_eq!(text, json!({ "text": expected }));
    }

    #[test]
    fn a_body_has_a_bound_and_says_what_it_leaves_out() {
        let many = vec![event(&"<".repeat(500)); 1_000];
        assert_eq!(written(Format::Json, &many)["left_out"], 980);
        assert_eq!(written(Format::Json, &many)["events"].as_array().map(Vec::len), Some(EVENTS_AT_MOST));
        let text = written(Format::Slack, &many)["text"].as_str().map(str::to_owned).expect("a text");
        assert!(text.ends_with("and 980 more") && text.len() < 50_000, "{} bytes", text.len());
    }

    #[test]
    fn a_format_has_one_of_two_names() {
        assert_eq!(
            ["json", "slack", "JSON", ""].map(|text| text.parse().ok()),
            [Some(Format::Json), Some(Format::Slack), None, None]
        );
    }
}
