//! The two policies that these commands write: a group's first, and the one of a group that is to be emptied.

use std::path::Path;

use muster_core::policy::Policy;
use serde_json::{Map, Value, json};

use crate::failure::{Failure, PolicyReport};
use crate::policy::{load, read};

/// Fewest members where the operator names no policy.
const MIN: u32 = 2;
/// Most members there.
const MAX: u32 = 5;

/// The first policy of a group: the text of `file`, or one of two to five; with the group's own launch template and subnets where it
/// names none. It is valid.
pub(super) fn first(file: Option<&Path>, template: &str, subnets: &[String]) -> Result<String, Failure> {
    let (name, text) = match file {
        Some(file) => (file.display().to_string(), load(file)?.1),
        None => (
            "the policy".to_owned(),
            json!({"min_instances": MIN, "max_instances": MAX, "scaling": {"kind": "auto"}}).to_string(),
        ),
    };
    let text = with_launch(&text, template, subnets);
    Policy::parse(&text).map_err(|error| PolicyReport::new(name, error))?;
    Ok(text)
}

/// The text with what it lacks of `launch`; as it is when it lacks nothing.
fn with_launch(text: &str, template: &str, subnets: &[String]) -> String {
    let Ok(Value::Object(mut policy)) = serde_json::from_str(text) else { return text.to_owned() };
    let launch = policy.entry("launch").or_insert_with(|| Value::Object(Map::new()));
    let Value::Object(launch) = launch else { return text.to_owned() };
    let mut lacked = false;
    if launch.get("template").is_none_or(Value::is_null) {
        launch.insert("template".into(), template.into());
        lacked = true;
    }
    let named = launch.get("zones").and_then(Value::as_array).is_some_and(|zones| !zones.is_empty());
    if !named && !subnets.is_empty() {
        launch.insert("zones".into(), subnets.into());
        lacked = true;
    }
    if !lacked {
        return text.to_owned();
    }
    serde_json::to_string_pretty(&policy).unwrap_or_else(|_| text.to_owned())
}

/// The launch template that a policy's text names.
pub(super) fn template_of(text: &str) -> Option<String> {
    let policy: Value = serde_json::from_str(text).ok()?;
    policy.pointer("/launch/template")?.as_str().map(str::to_owned)
}

/// The policy of a group that is to be emptied: nobody, at once, and everything else as in `text`, drains above all. None when that is no
/// JSON object.
pub(super) fn of_nobody(text: &str) -> Option<String> {
    let Ok(Value::Object(mut policy)) = serde_json::from_str(text) else { return None };
    let changes = json!({
        "mode": "active", "min_instances": 0, "max_instances": 0, "schedule": [],
        "in_window": "1s", "max_in_per_window": {"percent": 100, "at_least": 10_000},
    });
    policy.extend(changes.as_object().cloned().unwrap_or_default());
    serde_json::to_string_pretty(&policy).ok()
}

/// Whether a policy's text wants nobody, ever.
pub(super) fn wants_nobody(text: &str) -> bool {
    let policy: Value = serde_json::from_str(text).unwrap_or_default();
    let scheduled = policy.get("schedule").and_then(Value::as_array).is_some_and(|windows| !windows.is_empty());
    policy.get("max_instances").and_then(Value::as_u64) == Some(0) && !scheduled
}

/// The bytes of a file that become user data, in base64.
pub(super) fn user_data(file: &Path) -> Result<String, Failure> {
    /// The longest value of a CloudFormation parameter.
    const LONGEST: usize = 4_096;
    let bytes = match file.as_os_str() == "-" {
        true => read(file)?.into_bytes(),
        false => std::fs::read(file)
            .map_err(|error| Failure::input(&format!("{} cannot be read", file.display()), &error))?,
    };
    let encoded = muster_aws::stacks::base64(&bytes);
    if encoded.len() > LONGEST {
        let (name, most) = (file.display(), LONGEST / 4 * 3);
        return Err(Failure::Input(format!("{name} has more than {most} bytes: a template's parameter takes no more")));
    }
    Ok(encoded)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn parsed(text: &str) -> Value {
        serde_json::from_str(text).expect("JSON")
    }

    fn file(text: &str) -> tempfile::NamedTempFile {
        let mut file = tempfile::NamedTempFile::new().expect("a file");
        file.write_all(text.as_bytes()).expect("a text");
        file
    }

    #[test]
    fn without_a_file_a_group_is_two_to_five() {
        let text = first(None, "prod-web", &["subnet-a".into()]).expect("a policy");
        let launch = json!({"template": "prod-web", "zones": ["subnet-a"]});
        let scaling = json!({"kind": "auto"});
        assert_eq!(
            parsed(&text),
            json!({"min_instances": 2, "max_instances": 5, "scaling": scaling, "launch": launch})
        );
        let text = first(None, "prod-web", &[]).expect("a policy");
        assert_eq!(parsed(&text)["launch"], json!({"template": "prod-web"}));
    }

    #[test]
    fn only_what_a_file_lacks_is_put_into_it() {
        let subnets = ["subnet-a".to_owned()];
        let whole = r#"{ "launch": {"template": "lt-1", "zones": ["z"]} }"#;
        assert_eq!(first(Some(file(whole).path()), "prod-web", &subnets).expect("a policy"), whole, "to the letter");
        let null = file(r#"{"min_instances": 3, "launch": {"template": null, "zones": [], "instance_types": ["t"]}}"#);
        let text = first(Some(null.path()), "prod-web", &subnets).expect("a policy");
        let launch = json!({"template": "prod-web", "zones": ["subnet-a"], "instance_types": ["t"]});
        assert_eq!(parsed(&text), json!({"min_instances": 3, "launch": launch}));
        let bad = file(r#"{"min_instances": 9, "max_instances": 5}"#);
        assert_eq!(first(Some(bad.path()), "prod-web", &subnets).expect_err("refused").exit_code(), 2);
    }

    #[test]
    fn a_policy_of_nobody_keeps_everything_but_the_size() {
        let text = r#"{"min_instances": 2, "max_instances": 5, "mode": "paused", "drain": {"timeout": "9m"}, "launch": {"template": "x"}}"#;
        let nobody = of_nobody(text).expect("a policy");
        assert!(wants_nobody(&nobody) && !wants_nobody(text) && !wants_nobody("{"));
        let value = parsed(&nobody);
        assert_eq!((&value["mode"], &value["min_instances"]), (&json!("active"), &json!(0)));
        assert_eq!((&value["drain"], &value["launch"]), (&json!({"timeout": "9m"}), &json!({"template": "x"})));
        assert_eq!(template_of(&nobody).as_deref(), Some("x"));
        assert_eq!(of_nobody("[]"), None);
    }

    #[test]
    fn user_data_is_encoded_and_bounded() {
        assert_eq!(user_data(file("#!/bin/sh\n").path()).expect("text"), "IyEvYmluL3NoCg==");
        assert_eq!(user_data(file(&"x".repeat(3_073)).path()).expect_err("too long").exit_code(), 2);
    }
}
