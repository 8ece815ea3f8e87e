//! The README's table of settings, written from the policy's schema: `muster policy settings` prints it, and a test compares.
//!
//! Everything in it is the schema's own: the order and the defaults are those of [`PolicyDocument`], ranges are the schema's words for
//! them, and the last column is the help that the page and a refusal show, too.

use std::collections::BTreeMap;

use muster_core::policy::{PolicyDocument, ScalingKind, Span, schema};
use serde_json::Value;

/// One setting.
struct Setting {
    /// Its dotted key.
    key: String,
    /// What the schema says of it.
    said: Value,
}

/// The table, as Markdown.
pub fn table() -> String {
    let schema = schema().to_value();
    let mut settings = Vec::new();
    collect("", &schema, &schema, &mut settings);
    let order = order();
    let place = |setting: &Setting| order.iter().position(|key| *key == setting.key).unwrap_or(order.len());
    settings.sort_by_key(place);
    let usual = defaults(ScalingKind::default());
    let own = [ScalingKind::Threshold, ScalingKind::Target, ScalingKind::Step].map(|kind| (kind, defaults(kind)));
    let mut lines = vec!["| setting | default | range | what for |".to_owned(), "|---|---|---|---|".to_owned()];
    for setting in &settings {
        let key = &setting.key;
        // What a document leaves out as a whole has no default.
        let mut default = usual.get(key).cloned().unwrap_or_else(|| "none".into());
        let mut differing = BTreeMap::<&str, Vec<String>>::new();
        for (kind, of_kind) in &own {
            let differs = of_kind.get(key).filter(|value| usual.get(key) != Some(value) && key != "scaling.kind");
            if let Some(value) = differs {
                differing.entry(value).or_default().push(format!("`{}`", name(*kind)));
            }
        }
        for (value, kinds) in differing {
            default.push_str(&format!(" ({}: {value})", kinds.join(", ")));
        }
        let range = range(&setting.said, &schema).replace('|', "\\|");
        let help = setting.said["description"].as_str().unwrap_or_default().replace('\n', " ").replace('|', "\\|");
        lines.push(format!("| `{key}` | {default} | {range} | {help} |"));
    }
    lines.join("\n")
}

fn name(kind: ScalingKind) -> String {
    serde_json::to_value(kind).ok().and_then(|name| Some(name.as_str()?.to_owned())).unwrap_or_default()
}

/// Every setting under `said`; a limit is one.
fn collect(key: &str, said: &Value, schema: &Value, settings: &mut Vec<Setting>) {
    let properties = resolved(said, schema)["properties"].as_object();
    match properties.filter(|properties| !properties.contains_key("at_least")) {
        Some(properties) => {
            for (inner, said) in properties {
                let key = if key.is_empty() { inner.clone() } else { format!("{key}.{inner}") };
                collect(&key, said, schema, settings);
            }
        }
        None => settings.push(Setting { key: key.to_owned(), said: said.clone() }),
    }
}

/// What a reference stands for.
fn resolved<'a>(said: &'a Value, schema: &'a Value) -> &'a Value {
    let reference = said["$ref"].as_str().map(|reference| reference.trim_start_matches('#'));
    reference.and_then(|reference| schema.pointer(reference)).unwrap_or(said)
}

/// The dotted keys of a policy in the order in which it is written. JSON values are sorted by name; the text is not.
fn order() -> Vec<String> {
    let text = serde_json::to_string_pretty(&PolicyDocument::default()).unwrap_or_default();
    let (mut path, mut keys) = (Vec::<String>::new(), Vec::new());
    for line in text.lines() {
        let depth = (line.len() - line.trim_start().len()) / 2;
        let Some((key, _)) = line.trim_start().strip_prefix('"').and_then(|rest| rest.split_once("\": ")) else {
            continue;
        };
        path.truncate(depth.saturating_sub(1));
        path.push(key.to_owned());
        keys.push(path.join("."));
    }
    keys
}

/// The defaults of a kind of rule, in words, by their dotted keys.
fn defaults(kind: ScalingKind) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    leaves("", &serde_json::to_value(PolicyDocument::of(kind)).unwrap_or_default(), &mut found);
    found
}

fn leaves(key: &str, value: &Value, found: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(fields) if !fields.contains_key("at_least") => {
            for (inner, value) in fields {
                let key = if key.is_empty() { inner.clone() } else { format!("{key}.{inner}") };
                leaves(&key, value, found);
            }
        }
        value => _ = found.insert(key.to_owned(), told(value)),
    }
}

/// A value in words.
fn told(value: &Value) -> String {
    match value {
        Value::Null | Value::Bool(_) => value.to_string(),
        Value::Number(number) => number.as_f64().map_or_else(String::new, |number| number.to_string()),
        Value::String(text) => text.clone(),
        Value::Array(items) if items.is_empty() => "none".into(),
        Value::Array(items) => items.iter().map(told).collect::<Vec<_>>().join(", "),
        Value::Object(fields) => match (fields.get("percent"), fields.get("at_least")) {
            (Some(percent), Some(at_least)) => format!("{percent} %, at least {at_least}"),
            _ => fields.iter().map(|(key, value)| format!("{key} {}", told(value))).collect::<Vec<_>>().join(" "),
        },
    }
}

/// What a setting may be, in words.
fn range(said: &Value, schema: &Value) -> String {
    let whole = resolved(said, schema);
    let list =
        |word: &str| whole[word].as_array().into_iter().flatten().map(|one| range(one, schema)).collect::<Vec<_>>();
    let alternatives = [list("anyOf"), list("oneOf")].concat();
    if !alternatives.is_empty() {
        return alternatives.join(", ");
    }
    if let Some(names) = whole["enum"].as_array() {
        return names.iter().map(told).collect::<Vec<_>>().join(", ");
    }
    if let Some(properties) = whole["properties"].as_object() {
        // What is required stands in the order of the document, what is not by its name.
        let required = whole["required"].as_array();
        let place = |key: &str| required.and_then(|keys| keys.iter().position(|one| one == key)).unwrap_or(usize::MAX);
        let mut parts: Vec<_> = properties.iter().collect();
        parts.sort_by_key(|(key, _)| place(key));
        let part = |(key, said): (&String, &Value)| format!("`{key}` {}", range(said, schema)).trim_end().to_owned();
        return parts.into_iter().map(part).collect::<Vec<_>>().join(", ");
    }
    let null = whole["type"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind == "null"));
    let text = match whole.get("const") {
        Some(one) => told(one),
        None if whole["type"] == "null" => "null".into(),
        None => bounds(whole),
    };
    if null {
        [text, "null".into()].into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(", or ")
    } else {
        text
    }
}

/// What the schema says of a number, a span, a text or a list.
fn bounds(said: &Value) -> String {
    let number = |word: &str| said[word].as_f64().map(|number| number.to_string());
    let between = |least: Option<String>, most: Option<String>, dash: &str| match (least, most) {
        (Some(least), Some(most)) => format!("{least}{dash}{most}"),
        (Some(least), None) => format!("from {least}"),
        (None, Some(most)) => format!("at most {most}"),
        (None, None) => String::new(),
    };
    if said["format"] == "span" {
        return between(span(&said["x-minimum"]), span(&said["x-maximum"]), "-");
    }
    if said["format"] == "date-time" {
        return "a time in UTC".into();
    }
    if said["maxItems"].is_number() {
        let each = if said["uniqueItems"] == true { ", each once" } else { "" };
        return format!("{} entries{each}", between(number("minItems"), number("maxItems"), "-"));
    }
    if said["maxLength"].is_number() {
        return format!("{} characters", between(number("minLength"), number("maxLength"), "-"));
    }
    match (number("exclusiveMinimum"), number("exclusiveMaximum")) {
        (Some(least), Some(most)) => format!("above {least}, below {most}"),
        (Some(least), None) => format!("above {}", between(Some(least), number("maximum"), " to ")),
        (None, Some(most)) => format!("below {most}"),
        (None, None) => {
            let dash = if said["type"] == "number" { " to " } else { "-" };
            between(number("minimum"), number("maximum"), dash)
        }
    }
}

/// A span in the unit that a person would take.
fn span(said: &Value) -> Option<String> {
    let span: Span = serde_json::from_value(said.clone()).ok()?;
    let seconds = span.0.as_secs();
    let told =
        [(3_600, "h"), (60, "m")].into_iter().find(|(unit, _)| seconds >= *unit && seconds.is_multiple_of(*unit));
    Some(told.map_or_else(|| format!("{seconds}s"), |(unit, letter)| format!("{}{letter}", seconds / unit)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn ranges_are_the_schemas_words() {
        let schema = json!({"$defs": {"Kind": {"oneOf": [{"const": "a"}, {"const": "b"}]},
            "Pause": {"type": "object", "properties": {"reason": {"type": "string", "maxLength": 9}}}}});
        for (said, words) in [
            (json!({"type": "integer", "minimum": 0, "maximum": 10_000}), "0-10000"),
            (json!({"type": "number", "exclusiveMinimum": 1, "maximum": 100.0}), "above 1 to 100"),
            (json!({"type": "number", "exclusiveMinimum": 0, "exclusiveMaximum": 1}), "above 0, below 1"),
            (json!({"type": "number", "minimum": 0.0, "maximum": 0.5}), "0 to 0.5"),
            (json!({"type": ["integer", "null"], "minimum": 1}), "from 1, or null"),
            (json!({"type": "string", "format": "span", "x-minimum": "0s", "x-maximum": "7200s"}), "0s-2h"),
            (json!({"type": ["string", "null"], "format": "span", "x-maximum": "600s"}), "at most 10m, or null"),
            (json!({"type": "array", "maxItems": 16, "uniqueItems": true}), "at most 16 entries, each once"),
            (json!({"type": "array", "minItems": 1, "maxItems": 10}), "1-10 entries"),
            (json!({"type": "string", "minLength": 1, "maxLength": 128}), "1-128 characters"),
            (json!({"$ref": "#/$defs/Kind"}), "a, b"),
            (json!({"enum": ["x", "y"]}), "x, y"),
            (json!({"anyOf": [{"$ref": "#/$defs/Pause"}, {"type": "null"}]}), "`reason` at most 9 characters, null"),
        ] {
            assert_eq!(range(&said, &schema), words, "{said}");
        }
    }

    #[test]
    fn every_setting_has_its_row_once_with_a_range_and_help() {
        let table = table();
        let rows: Vec<Vec<&str>> = table.lines().skip(2).map(|line| line.split(" | ").collect()).collect();
        assert!(rows.len() >= 37, "{table}");
        for row in &rows {
            assert!(row.len() == 4 && row.iter().all(|cell| !cell.trim_matches(['|', ' ']).is_empty()), "{row:?}");
        }
        let keys: std::collections::BTreeSet<&str> = rows.iter().map(|row| row[0]).collect();
        assert_eq!(keys.len(), rows.len());
        assert!(rows[0][0].contains("`mode`"), "{:?}", rows[0]);
        let of_kinds = rows.iter().find(|row| row[0] == "| `in_window`").expect("its row");
        assert_eq!(of_kinds[1], "60s (`threshold`, `target`, `step`: 300s)");
    }
}
