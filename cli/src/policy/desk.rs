//! `muster policy get|set|diff|history|rollback`: a group's policy where its operator writes it. Every write is over a text that was
//! seen: nobody's edit is lost unseen.

use std::fmt::Write;
use std::path::PathBuf;

use clap::Args;
use muster_control::ports::{Clock, GroupStore, Marks, PolicyDesk, Revision};
use muster_core::group::{GroupName, PolicyVersion};
use muster_core::policy::Policy;
use muster_web::read::policy::{PolicyHistory, PolicyView, SettingChange, changes, history, policy};
use muster_web::stand::{Stand, Store};
use muster_web::steer::policy::put;
use serde_json::json;

use super::{load, print, read, say};
use crate::failure::{Failure, PolicyReport};
use crate::pause::told as told_written;
use crate::place::{Command, PlaceArgs, group_of, unread, unsteered};
use crate::said::Said;
use crate::words::{moment, plain, table};

/// Digits of a revision that must be said at least.
const LEAST_DIGITS: usize = 6;

/// Which policy to print.
#[derive(Clone, Debug, Args)]
pub struct GetArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// Print one JSON object: {"text", "revision", "version", "valid", "problems", "document", "in_force", "notice"}.
    #[arg(long)]
    json: bool,
}

/// Write a group's policy, if it is valid; the next decision follows it.
///
///   muster policy set web.json
///   muster --stack prod policy set web.json --group web --over 7
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct SetArgs {
    /// The policy's file; `-` reads standard input.
    file: PathBuf,
    /// Write only over this version or revision, as `policy get --json` tells it: nobody else's edit is lost unseen.
    #[arg(long, value_name = "VERSION|REVISION")]
    over: Option<String>,
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// Print one JSON object: {"version", "revision"}.
    #[arg(long)]
    pub(super) json: bool,
}

/// Show how a policy differs from the one in force, setting by setting, defaults filled in.
///
///   muster policy diff             what is written, against what is in force
///   muster policy diff web.json    a file against what is in force
///   muster policy diff --from 3    what is written, against version 3
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct DiffArgs {
    /// The policy's file; `-` reads standard input. Default: what is written where the group's policy is.
    file: Option<PathBuf>,
    /// The version to compare with. Default: the one in force.
    #[arg(long, value_name = "VERSION")]
    from: Option<u64>,
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// Print one JSON object: {"changes": [{"key", "before", "after"}]}.
    #[arg(long)]
    json: bool,
}

/// Show the policies that have been in force, each with what it changed, and edits that were refused.
#[derive(Clone, Debug, Args)]
pub struct HistoryArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// Print one JSON object: {"versions": [...], "refusals": [...]}, the newest first.
    #[arg(long)]
    json: bool,
}

/// Write the text of an earlier version again, as a new one.
///
///   muster policy rollback 3 --group web
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct RollbackArgs {
    /// The version, as `policy history` tells it.
    version: u64,
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// Print one JSON object: {"version", "revision"}.
    #[arg(long)]
    pub(super) json: bool,
}

impl Command for GetArgs {
    type Output = ();

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(&self, stand: &Stand<S, P, F, C>) -> Result<(), Failure> {
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let found = policy(stand, &group).await.map_err(unread(stand.place.as_str()))?;
        if self.json {
            return print(&found);
        }
        if let Some(notice) = &found.notice {
            eprintln!("{}", plain(notice));
        }
        let none = || Failure::Run(format!("{group} of {} has no policy", stand.place));
        say(found.text.as_ref().ok_or_else(none)?.trim_end())
    }
}

impl Command for SetArgs {
    type Output = Said;

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
        &self,
        stand: &Stand<S, P, F, C>,
    ) -> Result<Said, Failure> {
        let (_, text) = load(&self.file)?;
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let found = stand.policies.fetch(&group).await;
        let found = found.map_err(|error| Failure::run(&format!("the policy of {group} cannot be read"), &error))?;
        let revision = found.as_ref().map(|found| Revision::of(&found.text));
        if let Some(over) = &self.over {
            let version = found.as_ref().and_then(|found| found.version);
            unchanged(&group, over, version, revision.as_ref())?;
        }
        write(stand, &group, &text, revision.as_ref()).await
    }
}

/// Refuses to write over anything but what was meant.
fn unchanged(
    group: &GroupName,
    over: &str,
    version: Option<PolicyVersion>,
    revision: Option<&Revision>,
) -> Result<(), Failure> {
    let is_version = version.is_some_and(|version| version.to_string() == over);
    let is_revision = revision.is_some_and(|revision| over.len() >= LEAST_DIGITS && revision.0.starts_with(over));
    if is_version || is_revision {
        return Ok(());
    }
    let has = match (version, revision) {
        (Some(version), _) => format!("policy version {version}"),
        (None, Some(revision)) => format!("the policy of revision {}", revision.0),
        (None, None) => "no policy".into(),
    };
    Err(Failure::Run(format!("{group} has {has}, not {over}: somebody else has edited it. Nothing was written")))
}

/// Writes a text that is valid, and tells of it.
pub(super) async fn write<S, P: PolicyDesk, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    text: &str,
    over: Option<&Revision>,
) -> Result<Said, Failure> {
    let failed = unsteered(format!("the policy of {group} is not written"));
    let written = put(stand, group, text, over).await.map_err(failed)?;
    Said::new(told_written(group, &written, "has its policy"), &written)
}

impl Command for DiffArgs {
    type Output = ();

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(&self, stand: &Stand<S, P, F, C>) -> Result<(), Failure> {
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let found = policy(stand, &group).await.map_err(unread(stand.place.as_str()))?;
        let (before, of) = match self.from {
            Some(version) => (version_of(stand, &group, version).await?, format!("version {version}")),
            None => {
                let none =
                    || Failure::Input(format!("{group} has no policy in force yet: there is nothing to compare with"));
                let in_force = found.in_force.as_ref().ok_or_else(none)?;
                (in_force.text.clone(), format!("version {}, in force", in_force.version))
            }
        };
        let after = self.after(&found, &group)?;
        let changed = changes(&before, &after);
        if self.json {
            return print(&json!({"changes": changed}));
        }
        say(&told_changes(&changed, &of))
    }
}

impl DiffArgs {
    /// The text that is compared; it must be valid, or its settings would be nobody's.
    fn after(&self, found: &PolicyView, group: &GroupName) -> Result<String, Failure> {
        let (name, text) = match (&self.file, &found.text) {
            (Some(file), _) => (file.display().to_string(), read(file)?),
            (None, Some(text)) => (format!("the policy of {group}"), text.clone()),
            (None, None) => return Err(Failure::Run(format!("{group} has no policy"))),
        };
        Policy::parse(&text).map_err(|error| PolicyReport::new(name, error))?;
        Ok(text)
    }
}

/// The text of a version that has been in force.
async fn version_of<S: GroupStore, P, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    version: u64,
) -> Result<String, Failure> {
    let found = stand.store.policy(group, PolicyVersion(version)).await;
    let found = found.map_err(|error| Failure::run(&format!("version {version} of {group} cannot be read"), &error))?;
    let none =
        || Failure::Input(format!("{group} has had no policy version {version} in force: see `muster policy history`"));
    Ok(found.ok_or_else(none)?.text)
}

/// The changes, a line each.
pub(super) fn told_changes(changed: &[SettingChange], of: &str) -> String {
    if changed.is_empty() {
        return format!("no difference from {of}");
    }
    changed.iter().fold(format!("against {of}:"), |mut text, change| {
        // Writing into a string does not fail.
        let _ = write!(text, "\n  {}", told_change(change));
        text
    })
}

fn told_change(change: &SettingChange) -> String {
    plain(&format!("{}: {} -> {}", change.key, change.before, change.after))
}

impl Command for HistoryArgs {
    type Output = ();

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(&self, stand: &Stand<S, P, F, C>) -> Result<(), Failure> {
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let found = history(stand, &group).await.map_err(unread(stand.place.as_str()))?;
        if self.json { print(&found) } else { say(&told_history(&found)) }
    }
}

fn told_history(found: &PolicyHistory) -> String {
    let rows = found.versions.iter().map(|line| {
        let changed: Vec<String> = line.changes.iter().map(told_change).collect();
        let changed = if changed.is_empty() { "-".to_owned() } else { changed.join("\n") };
        [line.version.to_string(), moment(line.since), changed]
    });
    let mut text = table(["version", "in force since", "what it changed"], rows);
    for refusal in &found.refusals {
        // Writing into a string does not fail.
        let _ = write!(text, "\nrefused at {}: {}", moment(refusal.at), plain(&refusal.reason));
    }
    text
}

impl Command for RollbackArgs {
    type Output = Said;

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
        &self,
        stand: &Stand<S, P, F, C>,
    ) -> Result<Said, Failure> {
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let text = version_of(stand, &group, self.version).await?;
        let found = stand.policies.fetch(&group).await;
        let found = found.map_err(|error| Failure::run(&format!("the policy of {group} cannot be read"), &error))?;
        let revision = found.map(|found| Revision::of(&found.text));
        write(stand, &group, &text, revision.as_ref()).await
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::golden;
    use crate::lived::{group, policy as text, story};

    #[tokio::test]
    async fn the_policy_and_its_history_read_like_this() {
        let lived = story().await;
        let found = history(&lived.stand, &group()).await.expect("the history");
        golden::check("policy-history.txt", &told_history(&found));
        golden::check_json("policy-history.json", &found);
        let found = policy(&lived.stand, &group()).await.expect("the policy");
        golden::check_json("policy-get.json", &found);
        let in_force = found.in_force.expect("one is in force").text;
        let changed = changes(&in_force, &text(json!({"max_instances": 8, "cooldown_in": "30s"})).to_string());
        golden::check("policy-diff.txt", &told_changes(&changed, "version 2, in force"));
        golden::check_json("policy-diff.json", &json!({"changes": changed}));
        assert_eq!(told_changes(&changes(&in_force, &in_force), "version 2"), "no difference from version 2");
    }

    #[tokio::test]
    async fn what_a_written_policy_reads_like() {
        let (lived, folder) = (story().await, tempfile::tempdir().expect("a folder"));
        let file = folder.path().join("web.json");
        std::fs::write(&file, text(json!({"max_instances": 8})).to_string()).expect("a file");
        let args = SetArgs { file, over: None, place: PlaceArgs::default(), json: false };
        golden::check_said("policy-set", &args.run(&lived.stand).await.expect("it is written"));
    }

    #[tokio::test]
    async fn a_policy_is_written_over_what_was_meant_alone() {
        let revision = Revision::of("one");
        let (version, group) = (Some(PolicyVersion(7)), group());
        for over in ["7", revision.0.as_str(), &revision.0[..6]] {
            assert!(unchanged(&group, over, version, Some(&revision)).is_ok(), "{over}");
        }
        for over in ["6", "", "77", &revision.0[..5], "000000"] {
            let refused = unchanged(&group, over, version, Some(&revision)).expect_err("not that");
            assert!(refused.to_string().starts_with(&format!("web has policy version 7, not {over}: ")), "{refused}");
        }
        let none = unchanged(&group, "7", None, None).expect_err("there is none").to_string();
        assert!(none.starts_with("web has no policy, not 7"), "{none}");
    }

    #[tokio::test]
    async fn a_rollback_writes_an_earlier_text_again() {
        let mut lived = story().await;
        let args = |version| RollbackArgs { version, place: PlaceArgs::default(), json: false };
        golden::check_said("policy-rollback", &args(1).run(&lived.stand).await.expect("version 1 was in force"));
        lived.step(40.0).await;
        let found = policy(&lived.stand, &group()).await.expect("the policy").in_force.expect("one is in force");
        assert_eq!((found.version, found.text), (PolicyVersion(3), text(json!({})).to_string()));
        let never = args(9).run(&lived.stand).await.expect_err("it never was");
        assert_eq!(never.exit_code(), 2);
        assert!(never.to_string().contains("web has had no policy version 9 in force"), "{never}");
    }
}
