//! `muster pause` and `muster resume`: nothing is decided for a group, until somebody or a time says so. Both are edits of its policy.

use clap::Args;
use muster_control::ports::{Clock, Marks, PolicyDesk};
use muster_core::group::GroupName;
use muster_core::time::Timestamp;
use muster_web::stand::{Stand, Store};
use muster_web::steer::policy::{Written, pause, resume};

use crate::failure::Failure;
use crate::moments::coming;
use crate::place::{self, Command, PlaceArgs, StackArgs, group_of, unsteered};
use crate::said::Said;
use crate::words::{moment, or_dash};

/// Pause a group: nothing is launched, drained or terminated, whatever its load. Sweeps go on.
///
/// It is an edit of the policy, whose field "pause" says why and until when; everybody sees it there.
///
///   muster pause "deploying 4.2" --until 2h
///   muster --stack prod pause "the database is being moved" --group web
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct PauseArgs {
    /// Why, in 1 to 200 characters: for whoever finds it.
    reason: String,
    /// When it ends by itself: a time, or a span from now such as 2h. Default: at `muster resume`.
    #[arg(long, value_name = "TIME|SPAN", value_parser = coming)]
    until: Option<Timestamp>,
    #[command(flatten)]
    place: PlaceArgs,
    /// Print one JSON object: {"version", "revision"}.
    #[arg(long)]
    json: bool,
}

/// End a group's pause, and turn the mode `paused` into `active`. A group that is not paused stays as it is.
///
///   muster resume --group web
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ResumeArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Print one JSON object: {"version", "revision"}.
    #[arg(long)]
    json: bool,
}

/// Pauses.
pub fn run(stack: &StackArgs, args: &PauseArgs) -> Result<(), Failure> {
    place::at(stack, &args.place, args)?.print(args.json)
}

/// Resumes.
pub fn run_resume(stack: &StackArgs, args: &ResumeArgs) -> Result<(), Failure> {
    place::at(stack, &args.place, args)?.print(args.json)
}

impl Command for PauseArgs {
    type Output = Said;

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
        &self,
        stand: &Stand<S, P, F, C>,
    ) -> Result<Said, Failure> {
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let failed = unsteered(format!("{group} of {} cannot be paused", stand.place));
        let written = pause(stand, &group, &self.reason, self.until).await.map_err(failed)?;
        let until = self
            .until
            .map_or_else(|| "until `muster resume`".into(), |until| format!("until {}", moment(until.as_millis())));
        Said::new(told(&group, &written, &format!("is paused {until}")), &written)
    }
}

impl Command for ResumeArgs {
    type Output = Said;

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
        &self,
        stand: &Stand<S, P, F, C>,
    ) -> Result<Said, Failure> {
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let failed = unsteered(format!("{group} of {} cannot be resumed", stand.place));
        let written = resume(stand, &group).await.map_err(failed)?;
        Said::new(told(&group, &written, "is not paused"), &written)
    }
}

/// What has been written, and what it means.
pub(crate) fn told(group: &GroupName, written: &Written, means: &str) -> String {
    let version = written.version.map_or_else(String::new, |version| format!(" (policy version {version})"));
    let overwrote = written.overwrote.map(|theirs| {
        let theirs = or_dash(Some(theirs));
        format!("\nVersion {theirs} is overwritten now, which was not in force: an edit that came in between, or one that is not valid. Its text is in the parameter's history")
    });
    format!("{group} {means}{version}: the next decision follows{}", overwrote.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use muster_core::policy::Mode;
    use muster_web::read::now::now;

    use super::*;
    use crate::golden;
    use crate::lived::{Lived, policy};

    #[tokio::test]
    async fn a_pause_holds_until_it_is_ended() {
        let mut lived = Lived::new(&policy(serde_json::json!({})));
        lived.steps(4, 45.0).await;
        let group = crate::lived::group();
        let args = |until| {
            let (reason, place) = ("deploying 4.2".into(), PlaceArgs::default());
            PauseArgs { reason, until, place, json: false }
        };
        let until = lived.stand.clock.now().plus(std::time::Duration::from_secs(7_200));
        golden::check_said("pause-until", &args(Some(until)).run(&lived.stand).await.expect("it is paused"));
        golden::check_said("pause", &args(None).run(&lived.stand).await.expect("it is paused"));
        lived.step(95.0).await;
        let seen = now(&lived.stand, &group).await.expect("the group");
        assert_eq!((seen.mode, seen.desired), (Mode::Paused, 2));
        let past = args(Some(lived.stand.clock.now())).run(&lived.stand).await.expect_err("that time has passed");
        assert_eq!(past.exit_code(), 2);
        assert!(past.to_string().contains("until must be in the future"), "{past}");
        let args = ResumeArgs { place: PlaceArgs::default(), json: false };
        golden::check_said("resume", &args.run(&lived.stand).await.expect("it is resumed"));
        lived.step(95.0).await;
        assert_eq!(now(&lived.stand, &group).await.expect("the group").mode, Mode::Active);
        let written =
            Written { version: None, revision: String::new(), overwrote: Some(muster_core::group::PolicyVersion(8)) };
        assert!(told(&group, &written, "is paused").contains("Version 8 is overwritten now"));
    }
}
