//! Which kind of rule a policy's text means, and what follows from it. A text that names none means the kind whose settings it
//! sets: whoever writes `cpu_up_threshold` wants thresholds. One that sets none means `auto`; settings of several kinds without a
//! name are refused, for nobody could tell which is meant.

use serde_json::Value;

use super::document::{PolicyDocument, ScalingKind};

/// Every kind of rule, its name, and the settings of `scaling` that are its own.
const KINDS: [(ScalingKind, &str, &[&str]); 4] = [
    (
        ScalingKind::Threshold,
        "threshold",
        &["cpu_up_threshold", "cpu_down_threshold", "scale_up_factor", "scale_down_factor"],
    ),
    (ScalingKind::Target, "target", &["target", "tolerance"]),
    (ScalingKind::Step, "step", &["steps"]),
    (ScalingKind::Auto, "auto", &["price"]),
];

/// Writes out the kind of rule, and the defaults that it has of its own, where the text does not say. The error is a message
/// about `scaling.kind`: it must be named.
pub(super) fn write_out(value: &mut Value) -> Result<(), String> {
    let Value::Object(settings) = value else { return Ok(()) };
    let scaling = settings.entry("scaling").or_insert_with(|| Value::Object(serde_json::Map::new()));
    let Value::Object(scaling) = scaling else { return Ok(()) };
    let kind = match scaling.get("kind") {
        Some(named) => serde_json::from_value(named.clone()),
        None => {
            let meant = meant(scaling)?;
            scaling.insert("kind".into(), serde_json::to_value(meant).expect("a kind is a word"));
            Ok(meant)
        }
    };
    // An unknown name is refused where the document is read.
    let Ok(kind) = kind else { return Ok(()) };
    let of_kind = serde_json::to_value(PolicyDocument::of(kind)).expect("a policy is plain data");
    for (key, usual) in of_kind.as_object().into_iter().flatten() {
        if !settings.contains_key(key) {
            settings.insert(key.clone(), usual.clone());
        }
    }
    Ok(())
}

/// The kind that `scaling` means without naming it.
fn meant(scaling: &serde_json::Map<String, Value>) -> Result<ScalingKind, String> {
    let set = KINDS.iter().filter_map(|(kind, name, own)| {
        let first = own.iter().find(|key| scaling.contains_key(**key))?;
        Some((*kind, format!("{first} is of {name}")))
    });
    let set: Vec<(ScalingKind, String)> = set.collect();
    match set.as_slice() {
        [] => Ok(ScalingKind::default()),
        [(kind, _)] => Ok(*kind),
        [..] => {
            let each: Vec<&str> = set.iter().map(|(_, says)| says.as_str()).collect();
            Err(format!("must be given where settings of several kinds are: {}", each.join(", ")))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::document::ScalingDocument;
    use super::super::{Policy, ScalingRule};
    use super::*;
    use crate::time::millis;

    #[test]
    fn every_setting_of_scaling_is_one_kinds_own() {
        let document = serde_json::to_value(ScalingDocument::default()).expect("plain data");
        let mut all: Vec<&str> = document.as_object().expect("an object").keys().map(String::as_str).collect();
        all.retain(|key| *key != "kind");
        let mut own: Vec<&str> = KINDS.iter().flat_map(|(_, _, own)| own.iter().copied()).collect();
        own.sort_unstable();
        all.sort_unstable();
        assert_eq!(own, all);
        for (kind, name, _) in KINDS {
            assert_eq!(serde_json::to_value(kind).expect("a word"), name);
        }
    }

    /// What a text means: its kind, and how long a reduction of its must last.
    fn meaning(text: &str) -> (ScalingKind, u64) {
        let policy = Policy::parse(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        let kind = match policy.scaling {
            ScalingRule::Threshold(_) => ScalingKind::Threshold,
            ScalingRule::Target(_) => ScalingKind::Target,
            ScalingRule::Step(_) => ScalingKind::Step,
            ScalingRule::Auto(_) => ScalingKind::Auto,
        };
        (kind, millis(policy.inward.stabilization))
    }

    #[test]
    fn z10_a_policy_that_says_nothing_of_its_rule_means_auto() {
        for text in [
            "{}",
            r#"{"min_instances": 2, "max_instances": 5}"#,
            r#"{"scaling": {}}"#,
            r#"{"scaling": {"price": 0.3}}"#,
        ] {
            assert_eq!(meaning(text), (ScalingKind::Auto, 30_000), "{text}");
        }
    }

    #[test]
    fn the_settings_of_one_kind_mean_that_kind_with_its_own_defaults() {
        for key in ["cpu_up_threshold", "cpu_down_threshold", "scale_up_factor", "scale_down_factor"] {
            let value = if key == "scale_down_factor" { 0.3 } else { 9.0 };
            let value = if key == "cpu_up_threshold" { 90.0 } else { value };
            let text = format!(r#"{{"scaling": {{"{key}": {value}}}}}"#);
            assert_eq!(meaning(&text), (ScalingKind::Threshold, 300_000), "{text}");
        }
        for (text, kind) in [
            (r#"{"scaling": {"target": 50}}"#, ScalingKind::Target),
            (r#"{"scaling": {"tolerance": 0}}"#, ScalingKind::Target),
            (r#"{"scaling": {"steps": [{"above": 60, "change": 1}]}}"#, ScalingKind::Step),
        ] {
            assert_eq!(meaning(text), (kind, 300_000), "{text}");
        }
    }

    #[test]
    fn z9_settings_of_several_kinds_need_a_name() {
        let several = r#""cpu_up_threshold": 80, "cpu_down_threshold": 30, "target": 50"#;
        let refused = Policy::parse(&format!("{{\"scaling\": {{{several}}}}}")).expect_err("it says nothing clear");
        let says = "scaling.kind must be given where settings of several kinds are: cpu_up_threshold is of threshold, \
                    target is of target (line 1, column 13)";
        assert_eq!((refused.problems.len(), refused.to_string().contains(says)), (1, true), "{refused}");
        let (kind, _) = meaning(&format!("{{\"scaling\": {{\"kind\": \"step\", {several}}}}}"));
        assert_eq!(kind, ScalingKind::Step, "what belongs to another kind moves nothing");
    }
}
