//! `muster --stack NAME policy get|set`: the parameter that the controller reads at every decision.

use std::path::PathBuf;

use clap::Args;
use muster_control::ports::PolicySource;
use muster_core::group::GroupName;
use muster_core::policy::Policy;
use serde_json::json;

use super::{Cloud, StackArgs, run};
use crate::failure::Failure;
use crate::policy::{load, print, say};

/// Which policy to print.
#[derive(Clone, Debug, Args)]
pub struct GetArgs {
    /// The group; needed when the stack has several.
    #[arg(long)]
    group: Option<GroupName>,
    /// Print one JSON object: {"group", "version", "text", "valid"}.
    #[arg(long)]
    json: bool,
}

/// Which policy to write.
#[derive(Clone, Debug, Args)]
pub struct SetArgs {
    /// The policy's file; `-` reads standard input.
    file: PathBuf,
    /// The group; needed when the stack has several, or none yet.
    #[arg(long)]
    group: Option<GroupName>,
    /// Write only over this version, as `policy get --json` tells it: nobody else's edit is lost unseen.
    #[arg(long, value_name = "VERSION")]
    over: Option<u64>,
    /// Print one JSON object: {"group", "version"}.
    #[arg(long)]
    json: bool,
}

/// Prints the policy's text as it stands in the parameter.
pub fn get(stack: &StackArgs, args: &GetArgs) -> Result<(), Failure> {
    run(async {
        let cloud = Cloud::open(stack).await?;
        let group = cloud.one_group(args.group.as_ref()).await?;
        let fetched = cloud.policies.fetch(&group).await;
        let found = fetched.map_err(|error| Failure::run(&format!("the policy of {group} cannot be read"), &error))?;
        let Some(found) = found else {
            return Err(Failure::Run(format!(
                "{group} has no policy: there is no parameter {}",
                super::Parameters::name(&group)
            )));
        };
        if args.json {
            let valid = Policy::parse(&found.text).is_ok();
            return print(&json!({"group": group, "version": found.version, "text": found.text, "valid": valid}));
        }
        say(found.text.trim_end())
    })
}

/// Writes the policy, if it is valid.
pub fn set(stack: &StackArgs, args: &SetArgs) -> Result<(), Failure> {
    let (_, text) = load(&args.file)?;
    run(async {
        let cloud = Cloud::open(stack).await?;
        let group = cloud.one_group(args.group.as_ref()).await?;
        if let Some(expected) = args.over {
            unchanged(&cloud, &group, expected).await?;
        }
        let version = cloud.policies.put(&group, &text).await;
        let version =
            version.map_err(|error| Failure::run(&format!("the policy of {group} cannot be written"), &error))?;
        if args.json {
            return print(&json!({"group": group, "version": version}));
        }
        say(&format!("{group} has policy version {version}: the next decision follows it"))
    })
}

/// SSM has no conditional write: what this cannot see is an edit between its look and the write.
async fn unchanged(cloud: &Cloud, group: &GroupName, expected: u64) -> Result<(), Failure> {
    let fetched = cloud.policies.fetch(group).await;
    let found = fetched.map_err(|error| Failure::run(&format!("the policy of {group} cannot be read"), &error))?;
    let version = found.and_then(|found| found.version).map_or(0, |version| version.0);
    if version == expected {
        return Ok(());
    }
    Err(Failure::Run(format!(
        "{group} has policy version {version}, not {expected}: somebody else has edited it. Nothing was written"
    )))
}
