//! `infra/group.yaml`, as this command has it: its parameters, the names that it takes, and the stacks that are made from it.

use std::collections::BTreeMap;

use muster_aws::stacks::{GROUP, STACK, StackFacts};
use muster_core::group::GroupName;

use crate::failure::Failure;

/// The template.
pub(super) const TEMPLATE: &str = include_str!("../../../../infra/group.yaml");
/// Its parameters, whatever is to become of them.
pub(super) const PARAMETERS: [&str; 10] = [
    "Stack",
    "Group",
    "SweepSchedule",
    "SchedulePeriod",
    "SweepAgeLimit",
    "Image",
    "InstanceType",
    "SecurityGroups",
    "InstancePolicies",
    "UserData",
];
/// The periods in seconds that it takes: alarms count in whole minutes, and not in all of them.
const PERIODS: [u64; 9] = [60, 120, 180, 240, 300, 600, 900, 1_800, 3_600];
/// The longest name of a group: a schedule's has 64 characters, and begins with `sweep-`.
const LONGEST_GROUP: usize = 58;
/// The longest name of a CloudFormation stack.
const LONGEST_STACK: usize = 128;
/// Stacks of ours that are no group's.
const RESERVED: [&str; 2] = ["foundation", "triggers"];

/// Parameters that keep the values they have, or get the template's defaults.
pub(super) fn untouched() -> BTreeMap<&'static str, Option<String>> {
    PARAMETERS.iter().map(|name| (*name, None)).collect()
}

/// The name of the group's CloudFormation stack and launch template.
pub(super) fn stack_name(stack: &str, group: &GroupName) -> Result<String, Failure> {
    let text = group.to_string();
    if text.len() > LONGEST_GROUP {
        return Err(Failure::Input(format!("group name {text:?} must have {LONGEST_GROUP} characters at most")));
    }
    if RESERVED.contains(&text.as_str()) {
        return Err(Failure::Input(format!("a group cannot be called {text}: {stack}-{text} is another stack's name")));
    }
    let name = format!("{stack}-{text}");
    let letters = name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-');
    if !letters || !name.starts_with(|first: char| first.is_ascii_alphabetic()) || name.len() > LONGEST_STACK {
        return Err(Failure::Input(format!(
            "CloudFormation takes no stack called {name:?}: it must begin with a letter and have only letters, digits and '-', \
             {LONGEST_STACK} at most"
        )));
    }
    Ok(name)
}

/// The Muster stack and the group that a CloudFormation stack was made for: by its tags, or, made by hand without any, by its parameters
/// and what it gives out.
pub(super) fn made_for(facts: &StackFacts) -> Option<(&str, &str)> {
    let tagged = facts.tags.get(STACK).zip(facts.tags.get(GROUP));
    let by_hand = || {
        let (stack, group) = (facts.parameters.get("Stack")?, facts.parameters.get("Group")?);
        (facts.outputs.get("Policy")? == &format!("/muster/{group}/policy")).then_some((stack, group))
    };
    tagged.or_else(by_hand).map(|(stack, group)| (stack.as_str(), group.as_str()))
}

/// The group's stack, if there is one. An image's pipeline may carry the same tags: group.yaml alone has a schedule.
pub(super) fn of_group<'a>(all: &'a [StackFacts], stack: &str, group: &GroupName) -> Option<&'a StackFacts> {
    let group = group.to_string();
    let found = all.iter().filter(|facts| made_for(facts) == Some((stack, &group)));
    let name = format!("{stack}-{group}");
    found.max_by_key(|facts| (facts.parameters.contains_key("SweepSchedule"), facts.name == name))
}

/// Another Muster stack that has a group of that name.
pub(super) fn owner<'a>(all: &'a [StackFacts], stack: &str, group: &GroupName) -> Option<(&'a str, &'a StackFacts)> {
    let group = group.to_string();
    let other = |facts: &'a StackFacts| made_for(facts).filter(|made| made.1 == group && made.0 != stack);
    all.iter().find_map(|facts| Some((other(facts)?.0, facts)))
}

/// Whether foundation.yaml has been deployed for the stack, under whatever name.
pub(super) fn has_foundation(all: &[StackFacts], stack: &str) -> bool {
    let (export, name) = (format!("{stack}-ScheduleGroup"), format!("{stack}-foundation"));
    all.iter().any(|facts| facts.name == name || facts.exports.contains(&export))
}

/// The alarms' period in seconds for sweeps at `schedule`, when that says how often: as long, or the next longer one that there is.
pub(super) fn period(schedule: &str) -> Option<u64> {
    let rate = schedule.trim().strip_prefix("rate(")?.strip_suffix(')')?;
    let (number, unit) = rate.trim().split_once(' ')?;
    let seconds = match unit.trim() {
        "minute" | "minutes" => 60,
        "hour" | "hours" => 3_600,
        "day" | "days" => 86_400,
        _ => return None,
    };
    let wanted = number.parse::<u64>().ok()?.checked_mul(seconds)?;
    PERIODS.iter().copied().find(|period| *period >= wanted).or(PERIODS.last().copied())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stack(name: &str, tags: &[(&str, &str)], parameters: &[(&str, &str)]) -> StackFacts {
        let map = |pairs: &[(&str, &str)]| pairs.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        StackFacts { name: name.into(), tags: map(tags), parameters: map(parameters), ..StackFacts::default() }
    }

    fn group(name: &str) -> GroupName {
        name.parse().expect("a name")
    }

    #[test]
    fn the_parameters_are_the_templates() {
        let section = TEMPLATE.split("\nParameters:\n").nth(1).and_then(|rest| rest.split("\nConditions:").next());
        let lines = section.expect("parameters").lines();
        let names = lines.filter(|line| line.starts_with("  ") && !line.starts_with("   "));
        let names: Vec<&str> = names.filter_map(|line| line.trim().strip_suffix(':')).collect();
        assert_eq!(names, PARAMETERS);
        for text in [r#"AllowedPattern: "[a-zA-Z0-9_.-]{1,58}""#, &format!("AllowedValues: {PERIODS:?}")] {
            assert!(TEMPLATE.contains(text), "{text}");
        }
    }

    #[test]
    fn names_that_a_template_or_cloudformation_refuses_are_refused_first() {
        assert_eq!(stack_name("prod", &group("web-2")).expect("a name"), "prod-web-2");
        let long = "a".repeat(59);
        for (stack, name) in [
            ("prod", "foundation"),
            ("prod", "triggers"),
            ("prod", "a_b"),
            ("prod", "a.b"),
            ("7up", "web"),
            ("prod", &long),
        ] {
            let refused = stack_name(stack, &group(name)).expect_err(name);
            assert_eq!(refused.exit_code(), 2, "{name}: {refused}");
        }
    }

    #[test]
    fn a_group_is_found_by_tags_or_by_what_it_was_made_with() {
        let ours = [("muster:stack", "prod"), ("muster:group", "web")];
        let image = stack("prod-web-image", &ours, &[("Group", "web")]);
        let tagged = stack("web-of-prod", &ours, &[("SweepSchedule", "rate(1 minute)")]);
        let mut by_hand = stack("prod-api", &[], &[("Stack", "prod"), ("Group", "api")]);
        let other = stack("test-api", &[("muster:stack", "test"), ("muster:group", "api")], &[]);
        assert_eq!(made_for(&by_hand), None, "an image's stack has such parameters, too");
        by_hand.outputs.insert("Policy".into(), "/muster/api/policy".into());
        let all = [image, tagged, by_hand, other];
        let found = |stack: &str, name: &str| of_group(&all, stack, &group(name)).map(|facts| facts.name.as_str());
        assert_eq!(found("prod", "web"), Some("web-of-prod"));
        assert_eq!(found("prod", "api"), Some("prod-api"));
        assert_eq!(found("test", "web"), None);
        let of_others = |name: &str| owner(&all, "prod", &group(name)).map(|(stack, _)| stack);
        assert_eq!((of_others("api"), of_others("web")), (Some("test"), None));
    }

    #[test]
    fn a_foundation_is_known_by_its_exports_or_its_name() {
        let mut foundation = stack("base", &[], &[]);
        assert!(!has_foundation(&[foundation.clone()], "prod"));
        foundation.exports.insert("prod-ScheduleGroup".into());
        assert!(has_foundation(&[foundation], "prod"));
        assert!(has_foundation(&[stack("prod-foundation", &[], &[])], "prod"));
    }

    #[test]
    fn a_period_is_the_schedules_or_the_next_that_there_is() {
        for (schedule, expected) in [
            ("rate(1 minute)", Some(60)),
            ("rate(5 minutes)", Some(300)),
            ("rate(7 minutes)", Some(600)),
            ("rate(1 hour)", Some(3_600)),
            ("rate(2 days)", Some(3_600)),
            ("cron(0 * * * ? *)", None),
            ("rate(soon)", None),
            ("rate(x minutes)", None),
        ] {
            assert_eq!(period(schedule), expected, "{schedule}");
        }
    }
}
