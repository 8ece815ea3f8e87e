//! `group add`: makes a group's stack, or changes it, and writes the group's policy if there is none.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use muster_aws::parameters::Parameters;
use muster_aws::stacks::{Change, GROUP, STACK, StackFacts, Wanted, Watcher};
use muster_control::ports::GroupStore;
use muster_core::group::GroupName;
use serde::Serialize;

use super::{Desk, STACK_LIMIT, policies, stack_failed, tell, tell_step, template};
use crate::failure::Failure;
use crate::policy::{print, say};

/// What the group shall be. What is left out keeps its value in a group that there is, and has infra/group.yaml's default in a new one.
#[derive(Clone, Debug, Args)]
pub struct AddArgs {
    /// The group's name: no other stack of the account and region may have one of this name.
    group: GroupName,
    /// The image of its instances, with the agent in it; needed for a new group.
    #[arg(long, value_name = "AMI")]
    image: Option<String>,
    /// Where to launch: `launch.zones` of the first policy, when that names none.
    #[arg(long, value_name = "SUBNETS", value_delimiter = ',')]
    subnets: Vec<String>,
    /// The type of instances where the policy names none.
    #[arg(long, value_name = "TYPE")]
    instance_type: Option<String>,
    /// Security groups beside the agents', with commas between them.
    #[arg(long, value_name = "GROUPS")]
    security_groups: Option<String>,
    /// ARNs of managed policies for what runs on the instances, with commas between them.
    #[arg(long, value_name = "ARNS")]
    instance_policies: Option<String>,
    /// The instances' user data, as it is: it is put into base64 here. `-` reads standard input.
    #[arg(long, value_name = "FILE")]
    user_data: Option<PathBuf>,
    /// How often MonitorS is woken: `rate(1 minute)`, or `cron(...)`.
    #[arg(long, value_name = "EXPRESSION")]
    schedule: Option<String>,
    /// The seconds between two ticks of the schedule, for the alarms; by default what a schedule of `rate(...)` says.
    #[arg(long, value_name = "SECONDS")]
    schedule_period: Option<u64>,
    /// The oldest that a decision's sweep may be before the alarm, in milliseconds.
    #[arg(long, value_name = "MILLISECONDS")]
    sweep_age_limit: Option<u64>,
    /// The group's first policy; a policy that is there already is kept. By default two to five instances.
    #[arg(long, value_name = "FILE")]
    policy: Option<PathBuf>,
    /// Print one JSON object: {"stack", "group", "cloudformation", "launch_template", "policy"}.
    #[arg(long)]
    json: bool,
}

/// What has become of the group.
#[derive(Debug, Serialize)]
struct Added<'a> {
    stack: &'a str,
    group: &'a GroupName,
    cloudformation: Made,
    launch_template: LaunchTemplate,
    policy: Policy,
}

#[derive(Debug, Serialize)]
struct Made {
    name: String,
    status: String,
    change: &'static str,
}

#[derive(Debug, Serialize)]
struct LaunchTemplate {
    name: String,
    id: Option<String>,
    latest_version: Option<String>,
}

#[derive(Debug, Serialize)]
struct Policy {
    parameter: String,
    /// None when it was there already.
    written: Option<u64>,
}

pub(super) async fn add(desk: &Desk, args: &AddArgs) -> Result<(), Failure> {
    let (stack, group) = (desk.name(), &args.group);
    let name = template::stack_name(stack, group)?;
    let parameters = parameters(stack, args)?;
    let policy = policies::first(args.policy.as_deref(), &name, &args.subnets)?;
    let present = present(desk, args, &name).await?;
    let (change, made) = apply(desk, args, &name, &parameters, present.as_ref()).await?;
    let written = desk.cloud.policies.put_first(group, &policy).await;
    let written = written.map_err(|error| Failure::run(&format!("the policy of {group} cannot be written"), &error))?;
    let added = Added {
        stack,
        group,
        cloudformation: Made { name: made.name.clone(), status: made.status.clone(), change: word(change) },
        launch_template: LaunchTemplate {
            id: made.outputs.get("LaunchTemplate").cloned(),
            latest_version: made.outputs.get("LatestVersion").cloned(),
            name,
        },
        policy: Policy { parameter: Parameters::name(group), written: written.map(|version| version.0) },
    };
    if written.is_none() {
        compare(desk, args, &added).await?;
    }
    if args.json { print(&added) } else { say_added(&added, change) }
}

/// The template's parameters, as far as the operator has said something of them.
fn parameters(stack: &str, args: &AddArgs) -> Result<BTreeMap<&'static str, Option<String>>, Failure> {
    let mut parameters = template::untouched();
    let period = args.schedule_period.or_else(|| template::period(args.schedule.as_deref()?));
    let user_data = args.user_data.as_deref().map(policies::user_data).transpose()?;
    for (name, value) in [
        ("Stack", Some(stack.to_owned())),
        ("Group", Some(args.group.to_string())),
        ("SweepSchedule", args.schedule.clone()),
        ("SchedulePeriod", period.map(|period| period.to_string())),
        ("SweepAgeLimit", args.sweep_age_limit.map(|limit| limit.to_string())),
        ("Image", args.image.clone()),
        ("InstanceType", args.instance_type.clone()),
        ("SecurityGroups", args.security_groups.clone()),
        ("InstancePolicies", args.instance_policies.clone()),
        ("UserData", user_data),
    ] {
        parameters.insert(name, value);
    }
    Ok(parameters)
}

/// The group's stack as it stands, if there is one and it is nobody else's.
async fn present(desk: &Desk, args: &AddArgs, name: &str) -> Result<Option<StackFacts>, Failure> {
    let (stack, group) = (desk.name(), &args.group);
    let all = desk.all_stacks().await?;
    if let Some((other, owner)) = template::owner(&all, stack, group) {
        return Err(Failure::Input(format!(
            "group {group} belongs to the stack {other} (CloudFormation stack {}): a policy is named after its group alone, so no two \
             stacks of an account and region may have a group of one name",
            owner.name
        )));
    }
    if !template::has_foundation(&all, stack) {
        return Err(Failure::Run(format!(
            "stack {stack} is not here: there is no CloudFormation stack {stack}-foundation in this account and region. `make deploy` \
             makes it (infra/README.md)"
        )));
    }
    let head = desk.cloud.tables.head(group).await;
    let head = head.map_err(|error| Failure::run(&format!("group {group} cannot be read"), &error))?;
    if let Some(head) = head.filter(|head| head.stack != stack) {
        let other = head.stack;
        return Err(Failure::Input(format!(
            "group {group} belongs to the stack {other}, as its records in {stack}-control say"
        )));
    }
    let found = template::of_group(&all, stack, group).cloned();
    let taken = all.iter().find(|facts| facts.name == name);
    if let Some(taken) = taken.filter(|_| found.is_none()) {
        return Err(Failure::Input(format!(
            "there is a CloudFormation stack {name} ({}) which is not group {group}'s of stack {stack}",
            taken.status
        )));
    }
    Ok(found)
}

/// Makes or changes the stack. What CloudFormation is doing with it is waited for first; of one whose creation has failed the husk goes.
async fn apply(
    desk: &Desk,
    args: &AddArgs,
    name: &str,
    parameters: &BTreeMap<&str, Option<String>>,
    present: Option<&StackFacts>,
) -> Result<(Change, StackFacts), Failure> {
    let failed = stack_failed(format!("group {} is not as it shall be", args.group));
    let mut teller = tell_step;
    let mut watcher = Watcher::new(STACK_LIMIT, &mut teller);
    let mut present = present.cloned();
    if let Some(moving) = present.take_if(|facts| facts.is_moving()) {
        tell(&format!("waiting: CloudFormation is still at {} ({})", moving.name, moving.status));
        present = desk.stacks.follow(&moving.id, &mut watcher).await.map_err(&failed)?;
    }
    if let Some(husk) = present.take_if(|facts| facts.is_husk()) {
        tell(&format!("deleting what is left of {}, whose creation has failed", husk.name));
        desk.stacks.delete(&husk, &desk.token(), &mut watcher).await.map_err(&failed)?;
    }
    if present.is_none() && args.image.is_none() {
        return Err(Failure::Input(format!("there is no group {} yet: a new one needs --image", args.group)));
    }
    let name = present.as_ref().map_or(name, |facts| facts.name.as_str());
    tell(&format!("{} the CloudFormation stack {name}", if present.is_some() { "changing" } else { "making" }));
    let (stack, group) = (desk.name(), args.group.to_string());
    let wanted = Wanted {
        name,
        template: template::TEMPLATE,
        parameters,
        tags: &[(STACK, stack), (GROUP, &group)],
        token: &desk.token(),
    };
    desk.stacks.apply(&wanted, present.as_ref(), &mut watcher).await.map_err(&failed)
}

/// Says where the policy that was kept is not what the operator may think.
async fn compare(desk: &Desk, args: &AddArgs, added: &Added<'_>) -> Result<(), Failure> {
    let (stack, group) = (added.stack, added.group);
    if args.policy.is_some() || !args.subnets.is_empty() {
        tell(&format!(
            "{group} has a policy, which is kept: `muster --stack {stack} policy set FILE --group {group}` writes another"
        ));
    }
    let Some(kept) = desk.policy(group).await? else { return Ok(()) };
    if policies::wants_nobody(&kept.text) {
        tell("its policy wants nobody: was a removal cut off?");
    }
    let named = policies::template_of(&kept.text);
    let own = [Some(&added.launch_template.name), added.launch_template.id.as_ref()];
    if !own.contains(&named.as_ref()) {
        let named = named.unwrap_or("none".into());
        tell(&format!("its launch.template is {named}, not {}", added.launch_template.name));
    }
    Ok(())
}

fn say_added(added: &Added<'_>, change: Change) -> Result<(), Failure> {
    let Added { stack, group, cloudformation, launch_template, policy } = added;
    say(&format!("group {group} of stack {stack}: {} ({})", cloudformation.change, cloudformation.name))?;
    let latest = launch_template.latest_version.as_deref().unwrap_or("?");
    say(&format!("launch template {}, newest version {latest}", launch_template.name))?;
    match policy.written {
        Some(version) => say(&format!("policy {}: written, version {version}", policy.parameter))?,
        None => say(&format!("policy {}: kept as it is", policy.parameter))?,
    }
    if change == Change::Updated && latest != "1" {
        let name = &launch_template.name;
        say("launches go on from the template's default version; to make the newest one that:")?;
        say(&format!("    aws ec2 modify-launch-template --launch-template-name {name} --default-version {latest}"))?;
    }
    Ok(())
}

const fn word(change: Change) -> &'static str {
    match change {
        Change::Created => "created",
        Change::Updated => "updated",
        Change::Unchanged => "unchanged",
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        args: AddArgs,
    }

    fn args(line: &[&str]) -> AddArgs {
        Line::try_parse_from([&["add"], line].concat()).expect("arguments").args
    }

    #[test]
    fn what_is_not_said_is_left_as_it_is() {
        let said = parameters("prod", &args(&["web"])).expect("parameters");
        let given: Vec<_> = said.iter().filter_map(|(name, value)| Some((*name, value.as_deref()?))).collect();
        assert_eq!(given, [("Group", "web"), ("Stack", "prod")]);
        assert_eq!(said.len(), template::PARAMETERS.len());
    }

    #[test]
    fn every_option_is_a_parameter_of_the_template() {
        let line = [
            "web",
            "--image=ami-1",
            "--instance-type=m7.large",
            "--security-groups=sg-1,sg-2",
            "--instance-policies=",
            "--schedule=rate(5 minutes)",
            "--sweep-age-limit=930000",
        ];
        let said = parameters("prod", &args(&line)).expect("parameters");
        let value = |name: &str| said[name].as_deref();
        assert_eq!((value("Image"), value("InstanceType")), (Some("ami-1"), Some("m7.large")));
        assert_eq!((value("SecurityGroups"), value("InstancePolicies")), (Some("sg-1,sg-2"), Some("")));
        assert_eq!((value("SweepSchedule"), value("SchedulePeriod")), (Some("rate(5 minutes)"), Some("300")));
        assert_eq!((value("SweepAgeLimit"), value("UserData")), (Some("930000"), None));
        let said = parameters("prod", &args(&["web", "--schedule=cron(* * * * ? *)"])).expect("parameters");
        assert_eq!(said["SchedulePeriod"], None);
        let line = ["web", "--schedule=rate(5 minutes)", "--schedule-period=600"];
        let said = parameters("prod", &args(&line)).expect("parameters");
        assert_eq!(said["SchedulePeriod"].as_deref(), Some("600"));
    }
}
