//! `muster protect` and `muster drain`: marks on a member, which the controller reads at its next decision.

use clap::Args;
use muster_control::ports::{Clock, Mark, Marks, PolicyDesk};
use muster_core::member::InstanceId;
use muster_web::stand::{Stand, Store};
use muster_web::steer::marks::{Protection, mark};
use serde_json::json;

use crate::failure::Failure;
use crate::place::{self, Command, PlaceArgs, StackArgs, group_of, unsteered};
use crate::said::Said;

/// Keep a member from being scaled in; it is still replaced when it is unhealthy. The same as its EC2 tag muster:protected=true.
///
///   muster protect i-0123456789abcdef0
///   muster protect i-0123456789abcdef0 --off
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ProtectArgs {
    #[command(flatten)]
    one: OneArgs,
}

/// Let a member finish its work and go; another takes its place if the group needs it. The same as its EC2 tag muster:drain=true.
///
///   muster drain i-0123456789abcdef0
///   muster drain i-0123456789abcdef0 --off    while it has not gone
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct DrainArgs {
    #[command(flatten)]
    one: OneArgs,
}

/// Which member, and whether.
#[derive(Clone, Debug, Args)]
struct OneArgs {
    /// The member's instance id, as `muster members` shows it.
    member: String,
    /// Take the mark away.
    #[arg(long)]
    off: bool,
    #[command(flatten)]
    place: PlaceArgs,
    /// Print one JSON object: {"instance", "protected"} or {"instance", "drain"}.
    #[arg(long)]
    json: bool,
}

/// Protects, or no longer.
pub fn protect(stack: &StackArgs, args: &ProtectArgs) -> Result<(), Failure> {
    place::at(stack, &args.one.place, &Marked { mark: Mark::Protected, one: &args.one })?.print(args.one.json)
}

/// Drains, or no longer.
pub fn drain(stack: &StackArgs, args: &DrainArgs) -> Result<(), Failure> {
    place::at(stack, &args.one.place, &Marked { mark: Mark::Drain, one: &args.one })?.print(args.one.json)
}

struct Marked<'a> {
    mark: Mark,
    one: &'a OneArgs,
}

impl Command for Marked<'_> {
    type Output = Said;

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
        &self,
        stand: &Stand<S, P, F, C>,
    ) -> Result<Said, Failure> {
        let OneArgs { member, off, place, json: _ } = self.one;
        let group = group_of(stand, place.group.as_ref()).await?;
        let failed = unsteered(format!("{member:?} cannot be marked"));
        let protection = mark(stand, &group, &InstanceId(member.clone()), self.mark, !off).await.map_err(failed)?;
        let key = match self.mark {
            Mark::Protected => "protected",
            Mark::Drain => "drain",
        };
        let text = format!("{member} {}: the next decision follows", told(self.mark, !off, protection));
        Said::new(text, &json!({"instance": member, key: !off}))
    }
}

const fn told(mark: Mark, on: bool, before: Protection) -> &'static str {
    match (mark, on) {
        (Mark::Protected, true) => "is protected from scale-in",
        (Mark::Protected, false) if before.agent => {
            "has no tag any more that protects it, but its own agent still asks for that (D2)"
        }
        (Mark::Protected, false) => "is no longer protected",
        (Mark::Drain, true) if before.agent => {
            "is marked to go, and stays as long as its own agent asks to be protected (D2)"
        }
        (Mark::Drain, true) if before.tag => {
            "is marked to go, and stays as long as it is protected (D2): `muster protect MEMBER --off` lets it go"
        }
        (Mark::Drain, true) => "is to finish its work and go",
        (Mark::Drain, false) => "is no longer to go",
    }
}

#[cfg(test)]
mod tests {
    use muster_web::read::members::{AskedMembers, members};

    use super::*;
    use crate::golden;
    use crate::lived::{group, story};

    fn args(member: &str, off: bool) -> OneArgs {
        OneArgs { member: member.into(), off, place: PlaceArgs::default(), json: false }
    }

    #[tokio::test]
    async fn a_member_is_protected_and_a_stranger_is_refused() {
        let mut lived = story().await;
        let marked =
            async |mark, off| Marked { mark, one: &args("i-0004", off) }.run(&lived.stand).await.expect("a member");
        golden::check_said("drain", &marked(Mark::Drain, false).await);
        golden::check_said("drain-off", &marked(Mark::Drain, true).await);
        golden::check_said("protect", &marked(Mark::Protected, false).await);
        golden::check_said("protect-off", &marked(Mark::Protected, true).await);
        marked(Mark::Protected, false).await;
        lived.step(40.0).await;
        golden::check_said(
            "drain-protected",
            &Marked { mark: Mark::Drain, one: &args("i-0004", false) }.run(&lived.stand).await.expect("a member"),
        );
        let found = members(&lived.stand, &group(), AskedMembers::default()).await.expect("the members");
        let protected: Vec<&str> =
            found.members.iter().filter(|member| member.protected).map(|member| member.id.as_str()).collect();
        assert_eq!(protected, ["i-0004"]);
        let stranger = Marked { mark: Mark::Drain, one: &args("i-0999", false) }.run(&lived.stand).await;
        let failure = stranger.expect_err("nobody knows it");
        assert_eq!(failure.exit_code(), 2);
        let by_agent = Protection { tag: false, agent: true };
        assert!(told(Mark::Protected, false, by_agent).contains("its own agent still asks for that"));
        assert!(told(Mark::Drain, true, by_agent).contains("stays as long as its own agent"));
        assert!(failure.to_string().contains("there is no member \"i-0999\" of group web"), "{failure}");
    }
}
