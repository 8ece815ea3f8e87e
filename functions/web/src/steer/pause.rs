//! A pause as an edit of the operator's text: what is not about it stays to the letter.

use jsonc_parser::ast::{Object, ObjectProp, Value};
use jsonc_parser::common::Ranged;
use jsonc_parser::{CollectOptions, ParseOptions, parse_to_ast};
use muster_core::time::Timestamp;
use serde_json::json;

/// The key of a pause in a policy.
const PAUSE: &str = "pause";

/// `text` with a pause in it; none when it is no object.
pub(super) fn paused(text: &str, reason: &str, until: Option<Timestamp>) -> Option<String> {
    let pause = match until {
        Some(until) => json!({"reason": reason, "until": until}),
        None => json!({"reason": reason}),
    };
    with_root(text, |root| match property(root, PAUSE) {
        Some(old) => replaced(text, old.value.range().start, old.value.range().end, &pause.to_string()),
        None => {
            // As the first property is set off, so is the new one.
            let open = root.range().start + 1;
            let first = root.properties.first().map(|first| first.range().start);
            let space = first.and_then(|first| text.get(open..first)).unwrap_or_default();
            let rest = if first.is_some() { "," } else { "" };
            let space = if space.contains(['/', '*']) { "" } else { space };
            replaced(text, open, open, &format!("{space}\"{PAUSE}\": {pause}{rest}"))
        }
    })
}

/// `text` without a pause in it, and active where it was paused by its mode; none when it is no object.
pub(super) fn resumed(text: &str) -> Option<String> {
    let text = with_root(text, |root| {
        let Some(at) = root.properties.iter().position(|property| property.name.as_str() == PAUSE) else {
            return Some(text.to_owned());
        };
        let range = |nth: usize| root.properties.get(nth).map(|property| property.range());
        let own = range(at)?;
        // With the comma that follows it, or else with the one before it.
        let (start, end) = match (range(at + 1), at.checked_sub(1).and_then(range)) {
            (Some(next), _) => (own.start, next.start),
            (None, Some(before)) => (before.end, own.end),
            (None, None) => (own.start, own.end),
        };
        replaced(text, start, end, "")
    })?;
    with_root(&text, |root| match property(root, "mode").map(|mode| &mode.value) {
        Some(Value::StringLit(mode)) if mode.value == "paused" => {
            replaced(&text, mode.range().start, mode.range().end, "\"active\"")
        }
        Some(_) | None => Some(text.clone()),
    })
}

fn with_root<T>(text: &str, edit: impl FnOnce(&Object<'_>) -> Option<T>) -> Option<T> {
    let parsed = parse_to_ast(text, &CollectOptions::default(), &ParseOptions::default()).ok()?;
    match parsed.value? {
        Value::Object(root) => edit(&root),
        _ => None,
    }
}

fn property<'a, 'b>(root: &'b Object<'a>, key: &str) -> Option<&'b ObjectProp<'a>> {
    root.properties.iter().find(|property| property.name.as_str() == key)
}

fn replaced(text: &str, start: usize, end: usize, by: &str) -> Option<String> {
    Some(format!("{}{by}{}", text.get(..start)?, text.get(end..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pause_is_put_beside_what_is_there_and_taken_out_again() {
        let until = Some(Timestamp::from_millis(1_795_370_400_000));
        for (text, with) in [
            ("{}", r#"{"pause": {"reason":"a \"b\""}}"#),
            (r#"{"mode": "active"}"#, r#"{"pause": {"reason":"a \"b\""},"mode": "active"}"#),
            (
                "{\n  \"min_instances\": 2\n}\n",
                "{\n  \"pause\": {\"reason\":\"a \\\"b\\\"\"},\n  \"min_instances\": 2\n}\n",
            ),
        ] {
            let paused = paused(text, "a \"b\"", None).expect("an object");
            assert_eq!(paused, with);
            assert_eq!(resumed(&paused).expect("an object"), text, "everything else stays to the letter");
            assert_eq!(resumed(text).expect("an object"), text);
        }
        let again = paused(r#"{"a": 1, "pause": {"reason": "old"}}"#, "new", until).expect("an object");
        assert_eq!(again, r#"{"a": 1, "pause": {"reason":"new","until":"2026-11-22T18:00:00Z"}}"#);
        assert_eq!(resumed(&again).expect("an object"), r#"{"a": 1}"#);
    }

    #[test]
    fn resuming_turns_the_mode_paused_into_active() {
        let text = "{ \"mode\": \"paused\", \"pause\": {\"reason\": \"x\"}, \"max_instances\": 4 }";
        assert_eq!(resumed(text).expect("an object"), "{ \"mode\": \"active\", \"max_instances\": 4 }");
        assert_eq!(resumed("{\"mode\": \"observe\"}").expect("an object"), "{\"mode\": \"observe\"}");
        for text in ["", "[]", "3", "{", "\u{1f600}"] {
            assert_eq!((paused(text, "x", None), resumed(text)), (None, None), "{text}");
        }
    }
}
