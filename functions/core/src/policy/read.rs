//! From text to a valid document, with errors that point at the place and name key, value and range.

use garde::Validate;
use serde_json::Value;

use super::document::{PolicyDocument, SignalDocument, StepDocument};
use super::kind;
use super::pause::PauseDocument;
use super::problem::{PolicyError, Problem, Tree, syntax, whole};
use super::schedule::WindowDocument;

/// The largest policy text that is read. A standard SSM parameter holds 4 KB, an advanced one 8 KB.
const LARGEST_TEXT: usize = 64 * 1024;
/// Problems that a refusal tells at most. It is stored in HEAD and shown in every report while it holds, and a HEAD that
/// outgrows DynamoDB's 400 KB can no longer be claimed.
const PROBLEMS_TOLD: usize = 20;
/// The valid document that `text` holds.
pub(super) fn document(text: &str) -> Result<PolicyDocument, PolicyError> {
    let fail = |problems| Err(PolicyError { text: text.to_owned(), problems });
    if text.len() > LARGEST_TEXT {
        let message = format!("the policy has more than {LARGEST_TEXT} bytes: at most that many are read");
        return Err(PolicyError { text: String::new(), problems: vec![whole(message)] });
    }
    if text.trim().is_empty() {
        return fail(vec![whole("the policy is empty: write at least {}".into())]);
    }
    // serde_json goes first: it bounds the depth of nesting, which the parser that knows the places does not.
    let value: Value = match serde_json::from_str(text) {
        Ok(value) => value,
        Err(error) => return fail(vec![syntax(text, &error)]),
    };
    let tree = Tree::of(text);
    let mut problems = Vec::new();
    let mut every_key = PolicyDocument::default();
    every_key.pause = Some(PauseDocument::every_key());
    every_key.scaling.steps = vec![StepDocument::every_key()];
    every_key.schedule = vec![WindowDocument::every_key()];
    every_key.signals = vec![SignalDocument::default()];
    let known = serde_json::to_value(every_key).expect("a policy is plain data");
    let mut value = without_unknown_keys(value, &known, "", &tree, &mut problems);
    if let Err(message) = kind::write_out(&mut value) {
        problems.push(tree.problem("scaling.kind", &message));
    }
    problems.extend(tree.repeated_keys(PROBLEMS_TOLD + 1));
    let document: Option<PolicyDocument> = match serde_path_to_error::deserialize(&value) {
        Ok(document) => Some(document),
        Err(error) => {
            let key = error.path().to_string();
            problems.push(tree.problem(&key, &with_range(&key, &error.into_inner().to_string())));
            None
        }
    };
    if let Some(Err(report)) = document.as_ref().map(PolicyDocument::validate) {
        problems.extend(report.iter().take(PROBLEMS_TOLD + 1).map(|(path, error)| {
            let key = path.to_string();
            tree.problem(&key, &with_range(&key, error.message()))
        }));
    }
    match document {
        Some(document) if problems.is_empty() => Ok(document),
        Some(_) | None => {
            problems.sort_by_key(|problem| problem.span.start);
            if problems.len() > PROBLEMS_TOLD {
                problems.truncate(PROBLEMS_TOLD);
                problems.push(whole(format!("more is wrong: only {PROBLEMS_TOLD} problems are told")));
            }
            fail(problems)
        }
    }
}

/// A message with the setting's own words about its range, unless it tells the range already.
fn with_range(key: &str, message: &str) -> String {
    let tells = ["must ", "unknown variant"];
    match help(key) {
        Some(help) if !tells.iter().any(|word| message.starts_with(word)) => format!("{message}. {help}"),
        Some(_) | None => message.to_owned(),
    }
}

/// What the schema says of a setting: the doc comment in `document.rs`, which names the range.
fn help(key: &str) -> Option<String> {
    let schema = super::schema();
    let schema = schema.as_value();
    let mut at = schema;
    for part in key.split(['.', '[']).filter(|part| !part.ends_with(']')) {
        let inner = match at.get("$ref").and_then(Value::as_str) {
            Some(reference) => schema.pointer(reference.trim_start_matches('#'))?,
            None => at,
        };
        let inner = match inner.pointer("/items/$ref").and_then(Value::as_str) {
            Some(reference) => schema.pointer(reference.trim_start_matches('#'))?,
            None => inner,
        };
        at = inner.get("properties")?.get(part)?;
    }
    Some(at.get("description")?.as_str()?.replace('\n', " "))
}

/// `value` without the keys that the document does not have, at any depth; each of them is a problem, and so is anything that
/// is no object where one belongs: serde would take a list for one, field by field.
fn without_unknown_keys(
    value: Value,
    known: &Value,
    path: &str,
    tree: &Tree<'_>,
    problems: &mut Vec<Problem>,
) -> Value {
    let known = match known {
        Value::Object(known) => known,
        // The items of a list are objects of one kind, or nothing that has keys.
        Value::Array(known) => {
            let (Some(known), Value::Array(items)) = (known.first(), &value) else { return value };
            let item = |(n, item): (u32, &Value)| {
                without_unknown_keys(item.clone(), known, &format!("{path}[{n}]"), tree, problems)
            };
            return (0..).zip(items).map(item).collect();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return value,
    };
    let Value::Object(value) = value else {
        if problems.len() <= PROBLEMS_TOLD {
            problems.push(tree.problem(path, "must be an object: {...}"));
        }
        return Value::Object(serde_json::Map::new());
    };
    let mut kept = serde_json::Map::new();
    for (key, inner) in value {
        let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
        if let Some(known) = known.get(&key) {
            kept.insert(key, without_unknown_keys(inner, known, &path, tree, problems));
            continue;
        }
        if problems.len() > PROBLEMS_TOLD {
            continue;
        }
        let names: Vec<&str> = known.keys().map(String::as_str).collect();
        let near = names.iter().find(|name| name.contains(key.as_str()) || key.contains(**name));
        let hint = near.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        let message = format!("is not a key of the policy{hint} (known here: {})", names.join(", "));
        problems.push(tree.problem_at_key(&path, &message));
    }
    Value::Object(kept)
}

#[cfg(test)]
mod tests {
    use super::super::{Mode, Policy, ScalingKind};
    use super::*;
    use crate::policy::problem::shortened;
    use miette::{Diagnostic, LabeledSpan};

    fn refusal(text: &str) -> String {
        Policy::parse(text).expect_err(text).to_string()
    }

    #[test]
    fn two_numbers_are_a_policy() {
        let policy = Policy::parse(r#"{"min_instances": 3, "max_instances": 7}"#).unwrap();
        assert_eq!((policy.min, policy.max, policy.mode), (3, 7, Mode::Active));
        assert_eq!(policy, Policy { min: 3, max: 7, ..Policy::default() });
    }

    #[test]
    fn the_default_document_is_valid_and_reads_itself() {
        let text = serde_json::to_string_pretty(&PolicyDocument::default()).unwrap();
        assert_eq!(document(&text).unwrap(), PolicyDocument::default());
        assert_eq!(document("{}").unwrap().scaling.kind, ScalingKind::Auto);
    }

    #[test]
    fn z9_every_refusal_names_key_value_and_range() {
        for (text, says) in [
            (
                r#"{"min_instances": 9, "max_instances": 3}"#,
                "min_instances is 9: must not be above max_instances, which is 3 (line 1, column 19)",
            ),
            (r#"{"min_instances": 9}"#, "min_instances is 9: must not be above max_instances, which is 5"),
            (r#"{"max_instances": 1}"#, "min_instances must not be above max_instances, which is 1"),
            (
                r#"{"min_instances": 0}"#,
                "min_instances is 0: must be at least 1: processor load cannot wake a group without members (Z7); to empty \
                 the group set max_instances to 0, too",
            ),
            (r#"{"min_instances": 0, "max_instances": 1}"#, "min_instances is 0: must be at least 1"),
            (r#"{"max_instances": 10001}"#, "max_instances is 10001: "),
            (
                r#"{"max_instances": 0}"#,
                "min_instances must not be above max_instances, which is 0: to empty the group set both to 0",
            ),
            (r#"{"min_instances": 0, "max_instances": -1}"#, "max_instances is -1: "),
            (
                r#"{"scaling": {"cpu_up_threshold": 0.7}}"#,
                "scaling.cpu_up_threshold is 0.7: must be above 1 and at most 100; percentages are 0-100: 0.7 means 70",
            ),
            (r#"{"scaling": {"cpu_down_threshold": 0.2}}"#, "0.2 means 20"),
            (
                r#"{"scaling": {"cpu_up_threshold": 30, "cpu_down_threshold": 25}}"#,
                "scaling.cpu_up_threshold is 30: must be at least 10 above cpu_down_threshold, which is 25",
            ),
            (r#"{"scaling": {"scale_down_factor": 1}}"#, "scaling.scale_down_factor is 1: must be above 0 and below 1"),
            (r#"{"scaling": {"scale_up_factor": 1}}"#, "scaling.scale_up_factor is 1: must be above 1 and at most 10"),
            (r#"{"scaling": {"kind": "magic"}}"#, r#"scaling.kind is "magic": unknown variant `magic`"#),
            (
                r#"{"scaling": {"price": 2}}"#,
                "scaling.price is 2: must be economy, balanced, safe, or a number of 0.01 to 1",
            ),
            (r#"{"scaling": {"price": "cheap"}}"#, "scaling.price"),
            (r#"{"cooldown_in": "2h"}"#, r#"cooldown_in is "2h": must be from 0s to 3600s"#),
            (
                r#"{"cooldown_in": 300}"#,
                r#"cooldown_in is 300: invalid type: integer `300`, expected a span with its unit, such as "10s""#,
            ),
            (
                r#"{"max_sample_age": "1s"}"#,
                r#"max_sample_age is "1s": must be from sweep_interval, which is 10s, to 600s"#,
            ),
            (r#"{"mode": "on"}"#, r#"mode is "on": unknown variant `on`, expected one of"#),
            (r#"{"min_instance": 2}"#, "min_instance is not a key of the policy; did you mean min_instances?"),
            (r#"{"scaling": {"threshold": 2}}"#, "scaling.threshold is not a key of the policy"),
            (r#"{"min_instances": 2, "min_instances": 3}"#, "min_instances stands twice"),
            (r#"{"min_instances": -1}"#, "expected u32. Fewest instances, 1-10000"),
            (r#"{"max_instances": 20000, "foo": 1}"#, "foo is not a key of the policy"),
            (
                r#"{"max_instances": 20000, "foo": 1}"#,
                "max_instances is 20000: greater than 10000. Most instances, 1-10000",
            ),
            (
                r#"{"scaling": {"target": 0.6}}"#,
                "scaling.target is 0.6: must be from 10 to 95; percentages are 0-100: 0.6 means 60",
            ),
            (
                r#"{"scaling": {"target": 95}}"#,
                "scaling.target is 95: must be below 90.9 with a tolerance of 0.1: only a mean above 104.5 % would scale out",
            ),
            (
                r#"{"scaling": {"tolerance": 10}}"#,
                "scaling.tolerance is 10: must be from 0 to 0.5: it is a share of the target (",
            ),
            (r#"{"scaling": {"target": 80, "tolerance": 0.25}}"#, "must be below 80 with a tolerance of 0.25"),
            (r#"{"scaling": {"steps": []}}"#, "scaling.steps is []: "),
            (r#"{"scaling": {"steps": {}}}"#, "scaling.steps is {}: invalid type: map, expected a sequence"),
            (
                r#"{"scaling": {"steps": [[70, null, 1, null]]}}"#,
                "scaling.steps[0] is [70, null, 1, null]: must be an object",
            ),
            (
                r#"{"scaling": {"steps": [{"above": 70, "change": 1, "by": 2}]}}"#,
                "scaling.steps[0].by is not a key of the policy (known here: above, below, change, change_percent)",
            ),
            (
                r#"{"scaling": {"steps": [{"change": 1}]}}"#,
                "scaling.steps[0].above must be given, or below, and not both (line 1, column 24)",
            ),
            (
                r#"{"scaling": {"steps": [{"above": 70, "below": 20, "change": 1}]}}"#,
                "scaling.steps[0].above is 70: must be given, or below, and not both",
            ),
            (
                r#"{"scaling": {"steps": [{"above": 70}]}}"#,
                "scaling.steps[0].change must be given, or change_percent, and not both",
            ),
            (
                r#"{"scaling": {"steps": [{"above": 70, "change": 1, "change_percent": 1}]}}"#,
                "scaling.steps[0].change is 1: must be given, or change_percent, and not both",
            ),
            (
                r#"{"scaling": {"steps": [{"above": 70, "change": -1}]}}"#,
                "scaling.steps[0].change is -1: must be from 1 to 10000 in a step above something",
            ),
            (
                r#"{"scaling": {"steps": [{"above": 70, "change": 1}, {"below": 20, "change_percent": 30}]}}"#,
                "scaling.steps[1].change_percent is 30: must be from -99 to -1 in a step below something",
            ),
            (
                r#"{"scaling": {"steps": [{"above": 0.7, "change": 1}]}}"#,
                "scaling.steps[0].above is 0.7: must be above 1 and at most 100; percentages are 0-100: 0.7 means 70",
            ),
            (
                r#"{"scaling": {"steps": [{"above": "70", "change": 1}]}}"#,
                "expected f64. Speaks when the mean load is above this, above 1 to 100 %.",
            ),
            (r#"{"scaling": {"steps": [{"below": 20, "change": -1}]}}"#, "must have a step above something"),
            (
                r#"{"scaling": {"steps": [{"above": 70, "change": 1}, {"above": 70, "change": 2}]}}"#,
                "must have each bound once: above 70 stands there twice",
            ),
            (
                r#"{"scaling": {"steps": [{"above": 90, "change": 2}, {"above": 30, "change": 1}, {"below": 25, "change": -1}]}}"#,
                "must keep every above at least 10 over every below: 30 and 25 are closer",
            ),
            (
                r#"{"signals": [{"name": "Rate", "target": 1}]}"#,
                r#"signals[0].name is "Rate": must be 1-32 characters of a-z, 0-9 and _, the first a letter"#,
            ),
            (r#"{"signals": [{"name": "rate"}]}"#, "signals[0].target must be given, from 0.1 to 1000000000000"),
            (r#"{"signals": [{"target": 5}]}"#, "signals[0].name must be 1-32 characters"),
            (r#"{"signals": [{"name": "cpu", "target": 60}]}"#, "that is what `scaling` is for"),
            (r#"{"signals": [{"name": "busy", "target": 1}]}"#, "no size follows from it"),
            (
                r#"{"signals": [{"name": "memory", "target": 0.7}]}"#,
                "signals[0].target is 0.7: must be from 10 to 95; percentages are 0-100: 0.7 means 70",
            ),
            (
                r#"{"signals": [{"name": "pressure", "target": 90, "tolerance": 0.2}]}"#,
                "signals[0].target is 90: must be below 83.33 with a tolerance of 0.2",
            ),
            (
                r#"{"signals": [{"name": "rate", "target": 5, "tolerance": 1}]}"#,
                "signals[0].tolerance is 1: must be from 0 to 0.5: it is a share of the target",
            ),
            (
                r#"{"signals": [{"name": "rate", "target": 5}, {"name": "rate", "target": 6}]}"#,
                "must name each once: \"rate\" stands there twice",
            ),
            (
                r#"{"signals": [{"name": "rate", "target": 5, "unit": "x"}]}"#,
                "signals[0].unit is not a key of the policy (known here: name, target, tolerance)",
            ),
            (r#"{"signals": {"rate": 5}}"#, "signals is {\"rate\": 5}: invalid type: map, expected a sequence"),
            (r#"{"sweep_interval": "-5s"}"#, "1s-1h"),
            (r#"{"min_instances": 2.5}"#, "min_instances is 2.5: "),
            (r#"{"scaling": {"cpu_up_threshold": 1e999}}"#, "the policy is not JSON: number out of range"),
            (r#"{"launch": {"zones": ["a", ""]}}"#, r#"launch.zones[1] is "": "#),
            (r#"{"max_in_per_window": {"percent": 50, "at_least": 0}}"#, "max_in_per_window.at_least is 0: "),
            ("[2, 5]", "must be an object"),
            ("[]", "must be an object"),
            (r#"{"scaling": []}"#, "scaling is []: must be an object"),
            (r#"{"max_in_per_window": [50, 1]}"#, "max_in_per_window is [50, 1]: must be an object"),
            ("{\n  \"min_instances\": 2,\n}", "the policy is not JSON: trailing comma (line 3, column 1)"),
            ("", "the policy is empty"),
            ("{\"min_instances\": 2} x", "the policy is not JSON: trailing characters"),
        ] {
            let said = refusal(text);
            assert!(said.contains(says), "{text}\nsaid:   {said}\nwanted: {says}");
        }
    }

    /// A text that sets one thing.
    fn setting(key: &str, value: &str) -> String {
        key.rsplit('.').fold(value.to_owned(), |inner, part| format!("{{\"{part}\": {inner}}}"))
    }

    #[test]
    fn z9_a_range_holds_both_its_ends_and_nothing_beyond() {
        let spans = [
            ("sweep_interval", ["999ms", "1s", "1h", "3601s"]),
            ("max_sample_age", ["9999ms", "10s", "10m", "601s"]),
            ("out_window", ["999ms", "1s", "1h", "3601s"]),
            ("health.boot_timeout", ["999ms", "1s", "2h", "7201s"]),
            ("drain.timeout", ["-1s", "0s", "48h", "172801s"]),
        ];
        let numbers = [
            ("min_instances", ["0", "1", "5", "6"]),
            ("max_instances", ["1", "2", "10000", "10001"]),
            ("min_available_percent", ["-1", "0", "100", "101"]),
            ("scaling.cpu_up_threshold", ["29.9", "30", "100", "100.1"]),
            ("scaling.cpu_down_threshold", ["1", "1.1", "60", "60.1"]),
            ("scaling.scale_up_factor", ["1", "1.01", "10", "10.01"]),
            ("scaling.scale_down_factor", ["0", "0.01", "0.99", "1"]),
            ("scaling.target", ["9.9", "10", "90.9", "90.91"]),
            ("scaling.tolerance", ["-0.01", "0", "0.5", "0.51"]),
        ];
        let out = |bound, change| format!("[{{\"above\": {bound}, {change}}}]");
        let inward = |bound, change| format!("[{{\"above\": 100, \"change\": 1}}, {{\"below\": {bound}, {change}}}]");
        let count = |change: i32| format!("\"change\": {change}");
        let share = |change: i32| format!("\"change_percent\": {change}");
        let steps = [
            ["1", "1.01", "100", "100.01"].map(|bound| out(bound, count(1))),
            ["1", "1.01", "90", "90.01"].map(|bound| inward(bound, count(-1))),
            [0, 1, 10_000, 10_001].map(|change| out("70", count(change))),
            [0, 1, 1_000, 1_001].map(|change| out("70", share(change))),
            [-10_001, -10_000, -1, 0].map(|change| inward("20", count(change))),
            [-100, -99, -1, 0].map(|change| inward("20", share(change))),
        ];
        let spans = spans.map(|(key, ends)| (key, ends.map(|end| format!("\"{end}\""))));
        let numbers = numbers.map(|(key, ends)| (key, ends.map(str::to_owned)));
        for (key, [below, least, most, above]) in
            spans.into_iter().chain(numbers).chain(steps.map(|ends| ("scaling.steps", ends)))
        {
            for (value, accepted) in [(below, false), (least, true), (most, true), (above, false)] {
                assert_eq!(Policy::parse(&setting(key, &value)).is_ok(), accepted, "{key}: {value}");
            }
        }
    }

    #[test]
    fn z9_a_fraction_is_taken_for_a_percentage_and_nothing_else_is() {
        for (value, hint) in [("-0.5", ""), ("0", ""), ("0.005", "0.005 means 0.5"), ("1", "1 means 100"), ("170", "")]
        {
            let said = refusal(&setting("scaling.cpu_up_threshold", value));
            assert!(said.contains("must be above 1 and at most 100"), "{said}");
            assert_eq!((said.contains(hint), said.contains(" means ")), (true, !hint.is_empty()), "{said}");
        }
    }

    #[test]
    fn z9_a_refusal_points_into_its_text_and_says_what_holds_meanwhile() {
        let error = Policy::parse("{\"size\": 9,\n \"mode\": \"on\"}").unwrap_err();
        let source = error.source_code().expect("the text is kept");
        let shown = |label: LabeledSpan| {
            let place = source.read_span(label.inner(), 0, 0).expect("it lies in the text");
            (str::from_utf8(place.data()).expect("characters").to_owned(), label.label().map(str::to_owned))
        };
        let shown: Vec<_> = error.labels().expect("places").map(shown).collect();
        let said: Vec<_> = error.problems.iter().map(|problem| Some(problem.message.clone())).collect();
        assert_eq!(shown.iter().map(|(place, _)| place.as_str()).collect::<Vec<_>>(), ["\"size\"", "\"on\""]);
        assert_eq!(shown.into_iter().map(|(_, message)| message).collect::<Vec<_>>(), said);
        assert!(error.help().expect("help").to_string().contains("the last valid policy stays in force"));
    }

    #[test]
    fn z9_a_key_that_is_left_out_is_pointed_at_where_it_would_stand() {
        for (text, key, line, column) in [
            ("\n {\"max_instances\": 1}", "min_instances", 2, 2),
            ("{\n\"scaling\": {\"cpu_down_threshold\": 65}}", "scaling.cpu_up_threshold", 2, 12),
        ] {
            let problem = &Policy::parse(text).unwrap_err().problems[0];
            assert_eq!((problem.key.as_str(), problem.line, problem.column), (key, line, column));
            assert_eq!(problem.value, "");
        }
    }

    #[test]
    fn z9_all_problems_are_told_at_once_and_each_points_at_its_place() {
        let text =
            "{\n  \"min_instances\": 9, \"max_instances\": 3,\n  \"scaling\": {\n    \"cpu_up_threshold\": 0.7 }\n}";
        let error = Policy::parse(text).unwrap_err();
        let places: Vec<_> = error.problems.iter().map(|p| (p.line, p.column, &text[p.span.clone()])).collect();
        assert_eq!(places[0], (2, 20, "9"));
        assert!(places.contains(&(4, 25, "0.7")), "{places:?}");
    }

    #[test]
    fn s11_hostile_texts_are_refused_not_suffered() {
        assert!(refusal(&"[".repeat(50_000)).contains("recursion limit"));
        assert!(refusal(&format!("{{\"mode\": \"{}\"}}", "x".repeat(LARGEST_TEXT))).contains("more than 65536 bytes"));
        assert!(refusal("{\"\u{1F600}\": 1}").contains("is not a key"));
        let padded = |len| format!("{{}}{}", " ".repeat(len - 2));
        assert!(Policy::parse(&padded(LARGEST_TEXT)).is_ok() && Policy::parse(&padded(LARGEST_TEXT + 1)).is_err());
    }

    #[test]
    fn s11_a_refusal_stays_small_however_much_is_wrong() {
        let many = |item: &dyn Fn(usize) -> String| (0..3_000).map(item).collect::<Vec<_>>().join(",");
        let long = "\u{e4}".repeat(LARGEST_TEXT / 4);
        for text in [
            format!("{{{}}}", many(&|n| format!("\"{n}\": 0"))),
            format!("{{{}}}", many(&|_| "\"mode\": 0".into())),
            format!("{{{}}}", many(&|_| "\"mode\": \"active\"".into())),
            format!("{{\"{long}\": {{{}}}}}", many(&|_| "\"a\": {}".into())),
            format!("{{\"launch\": {{\"zones\": [{}]}}}}", many(&|_| "\"\"".into())),
            format!("{{\"scaling\": {{\"steps\": [{}]}}}}", many(&|_| "[]".into())),
            format!("{{\"scaling\": {{\"steps\": [{}]}}}}", many(&|_| "{}".into())),
        ] {
            let error = Policy::parse(&text).unwrap_err();
            assert_eq!(error.problems.len(), PROBLEMS_TOLD + 1);
            assert!(error.to_string().contains("; more is wrong: only 20 problems are told"), "{error}");
            assert!(error.to_string().len() < 24 * 1024, "{}", error.to_string().len());
        }
        for text in
            [format!("{{\"{long}\": 1}}"), format!("{{\"mode\": \"{long}\"}}"), format!("{{\"mode\": [\"{long}\"]}}")]
        {
            assert!(refusal(&text).len() < 1_200, "{}", refusal(&text));
        }
        assert!(refusal(&format!("{{\"mode\": \"{long}\"}}")).contains("expected one of `active`"));
    }

    #[test]
    fn s11_twenty_problems_are_told_and_the_next_is_only_counted() {
        for (wrong, told, more) in [(20, 20, false), (21, 21, true), (22, 21, true)] {
            let keys: Vec<_> = (0..wrong).map(|n| format!("\"x{n}\": 0")).collect();
            let error = Policy::parse(&format!("{{{}}}", keys.join(","))).unwrap_err();
            assert_eq!((error.problems.len(), error.to_string().contains("more is wrong")), (told, more), "{wrong}");
        }
    }

    #[test]
    fn s11_long_texts_keep_their_start_and_their_end() {
        for (text, most, kept) in [
            ("abcdefgh", 8, "abcdefgh"),
            ("abcdefghi", 8, "ab...hi"),
            ("abcdefghij", 9, "abc...hij"),
            ("\u{e4}\u{e4}\u{e4}\u{e4}\u{e4}", 9, "\u{e4}...\u{e4}"),
        ] {
            assert_eq!(shortened(text, most), kept);
        }
        for (length, shown) in [(58, "x\""), (59, "x...")] {
            let problem =
                &Policy::parse(&setting("mode", &format!("\"{}\"", "x".repeat(length)))).unwrap_err().problems[0];
            assert!(problem.value.ends_with(shown) && problem.value.len() <= 63, "{}", problem.value);
        }
    }

    #[test]
    fn z9_a_broken_text_is_pointed_at_between_its_characters() {
        for (text, line, column, at) in
            [("{\"\u{e4}\u{e4}\": x}", 1, 8, 9), ("\"a\u{1F600}", 1, 3, 2), ("{\n \"\u{e4}", 2, 3, 4), ("{\n", 2, 1, 1)]
        {
            let problem = &Policy::parse(text).unwrap_err().problems[0];
            assert_eq!(
                (problem.line, problem.column, problem.span.clone()),
                (line, column, at..at),
                "{text:?} {problem}"
            );
        }
    }
}
