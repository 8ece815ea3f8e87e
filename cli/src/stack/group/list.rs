//! `group list`: the groups that CloudFormation knows and those that the control table knows, as one list.

use std::collections::BTreeSet;

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use muster_aws::stacks::StackFacts;
use muster_control::ports::{GroupStore, HealthStore, StoreError};
use muster_core::group::{GroupName, PolicyVersion};
use serde::Serialize;

use super::{Desk, age_seconds, template};
use crate::failure::Failure;
use crate::policy::{print, say};

/// How to show the groups.
#[derive(Clone, Debug, Args)]
pub struct ListArgs {
    /// Print one JSON object: {"stack", "groups": [...]}.
    #[arg(long)]
    json: bool,
}

/// A group, as each side knows it.
#[derive(Debug, Serialize)]
struct Listed {
    group: GroupName,
    /// None: there is no stack of it.
    cloudformation: Option<Stack>,
    /// None: nothing has been decided yet.
    records: Option<Records>,
    /// What one side lacks.
    note: Option<&'static str>,
}

#[derive(Debug, Serialize)]
struct Stack {
    name: String,
    status: String,
}

#[derive(Debug, Serialize)]
struct Records {
    members: usize,
    intents: usize,
    desired: u32,
    policy: Option<PolicyVersion>,
    /// None before the first sweep.
    sweep_age_seconds: Option<u64>,
}

pub(super) async fn list(desk: &Desk, args: &ListArgs) -> Result<(), Failure> {
    let stack = desk.name();
    let all = desk.all_stacks().await?;
    let recorded = desk.cloud.groups().await?;
    let mut groups = Vec::new();
    for group in names(&all, stack, &recorded) {
        let found = template::of_group(&all, stack, &group);
        let records = records(&desk.cloud.tables, &group).await;
        let records = records.map_err(|error| Failure::run(&format!("group {group} cannot be read"), &error))?;
        groups.push(Listed {
            note: note(found.is_some(), records.is_some()),
            cloudformation: found.map(|facts| Stack { name: facts.name.clone(), status: facts.status.clone() }),
            group,
            records,
        });
    }
    if args.json {
        return print(&serde_json::json!({"stack": stack, "groups": groups}));
    }
    if groups.is_empty() {
        return say(&format!(
            "stack {stack} has no group yet: `muster --stack {stack} group add GROUP --image AMI` makes one"
        ));
    }
    say(&table(&groups).to_string())
}

/// The groups of both sides, by name.
fn names(all: &[StackFacts], stack: &str, recorded: &[GroupName]) -> BTreeSet<GroupName> {
    let made = all.iter().filter_map(template::made_for).filter(|made| made.0 == stack);
    made.filter_map(|made| made.1.parse().ok()).chain(recorded.iter().cloned()).collect()
}

async fn records<S: GroupStore + HealthStore>(store: &S, group: &GroupName) -> Result<Option<Records>, StoreError> {
    let Some(state) = store.read(group).await? else { return Ok(None) };
    let mut swept = None;
    for shard in state.head.rosters.keys() {
        swept = swept.max(store.latest(group, *shard).await?.map(|sweep| sweep.finished_at));
    }
    Ok(Some(Records {
        members: state.members.len(),
        intents: state.intents.len(),
        desired: state.head.desired,
        policy: state.head.policy,
        sweep_age_seconds: swept.map(age_seconds),
    }))
}

const fn note(has_stack: bool, has_head: bool) -> Option<&'static str> {
    match (has_stack, has_head) {
        (true, true) => None,
        (true, false) => Some("nothing has been decided yet"),
        (false, true) => Some("no CloudFormation stack: nobody sweeps it"),
        (false, false) => Some("its removal was cut off: run it again"),
    }
}

fn table(groups: &[Listed]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["group", "CloudFormation", "members", "desired", "policy", "last sweep", "note"]);
    for group in groups {
        let records = group.records.as_ref();
        let cell = |text: Option<String>| text.unwrap_or("-".into());
        table.add_row([
            group.group.to_string(),
            cell(group.cloudformation.as_ref().map(|stack| format!("{}: {}", stack.name, stack.status))),
            cell(records.map(|records| records.members.to_string())),
            cell(records.map(|records| records.desired.to_string())),
            cell(records.and_then(|records| Some(format!("version {}", records.policy?)))),
            cell(records.and_then(|records| Some(format!("{} s ago", records.sweep_age_seconds?)))),
            group.note.unwrap_or_default().to_owned(),
        ]);
    }
    table
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_sides_are_one_list() {
        let mut ours = StackFacts { name: "prod-web".into(), ..StackFacts::default() };
        ours.tags = [("muster:stack", "prod"), ("muster:group", "web")].map(|(k, v)| (k.into(), v.into())).into();
        let mut other = ours.clone();
        other.tags.insert("muster:stack".into(), "test".into());
        other.tags.insert("muster:group".into(), "batch".into());
        let recorded: Vec<GroupName> = ["web", "api"].map(|name| name.parse().expect("a name")).into();
        let names = names(&[ours, other], "prod", &recorded);
        assert_eq!(names.iter().map(ToString::to_string).collect::<Vec<_>>(), ["api", "web"]);
    }
}
