//! Chapter "Launching" of the contract: from which template version is launched (L1), and from which no more (L8, L9).

use crate::common::*;
use muster_core::decide::Decision;
use muster_core::group::{Head, PolicyVersion, TemplateRecord};
use muster_core::intent::{Call, Cause, Intent};
use muster_core::policy::{Mode, Policy};
use muster_core::report::Rule;
use muster_core::snapshot::{InstanceState, Member, Snapshot};

fn template(policy: &mut Policy) {
    policy.launch.template = Some("lt-1".into());
}

/// Four of version 2 of `lt-1`, which is in force, and `short` more desired.
fn versioned(short: u32) -> Group {
    let group = Group::of(&[50.0; 4]).desired(4 + short).bounds(2, 40).with(template);
    (1..=4).fold(group, |group, n| group.whose(&format!("i-{n}"), of_version(2))).but(|s| s.template_version = Some(2))
}

fn of_version(version: u64) -> impl Fn(&mut Member) {
    move |member| (member.template, member.template_version) = ("lt-1".into(), version)
}

/// The same, but the version in force is a new one, 3, of which nobody has ever answered.
fn untried(short: u32) -> Group {
    versioned(short).but(|s| s.template_version = Some(3))
}

fn record(version: u64, failures: u32) -> TemplateRecord {
    TemplateRecord { template: "lt-1".into(), version, failures, proven: true, policy: None }
}

fn versions(decision: &Decision) -> Vec<u64> {
    decision.launch_specs().iter().map(|spec| spec.template_version).collect()
}

fn failures(head: &Head, version: u64) -> Option<u32> {
    head.templates.iter().find(|known| known.version == version).map(|known| known.failures)
}

#[test]
fn l1_a_launch_names_its_version_and_waits_while_that_is_unknown() {
    assert_eq!(versions(&versioned(2).decide()), [2, 2]);
    let unknown = versioned(2).but(|s| s.template_version = None).decide();
    assert_eq!((unknown.plan.is_empty(), unknown.verdict()), (true, (6, Rule::Z1)));
    assert_eq!(unknown.waits_text(Rule::L1), "2 of 2 launches wait: the launch template's version is not known");
    let replaced = versioned(0).but(|s| s.template_version = None).whose("i-1", |m| m.health = dead()).decide();
    assert!(replaced.plan.is_empty() && replaced.waits_for(Rule::L1));
    // One that the policy names, or no template at all, needs nobody to be asked.
    let pinned = versioned(1).with(|p| p.launch.template_version = Some(2)).but(|s| s.template_version = None);
    assert_eq!(versions(&pinned.decide()), [2]);
    let pinned = versioned(1).with(|p| p.launch.template_version = Some(2)).but(|s| s.template_version = Some(9));
    assert_eq!(versions(&pinned.decide()), [2]);
    let none = Group::of(&[50.0; 3]).desired(4).but(|s| s.template_version = None);
    assert_eq!(versions(&none.decide()), [0]);
}

#[test]
fn l1_d1_with_the_version_unknown_nobody_is_outdated() {
    let group = versioned(0).whose("i-4", of_version(1)).desired(3);
    assert_eq!(group.decide().drains(), ["i-4"]);
    assert_eq!(group.clone().but(|s| s.template_version = None).decide().drains(), ["i-1"]);
    assert_eq!(group.clone().whose("i-4", of_version(0)).decide().drains(), ["i-1"], "0 is the one in force");
    assert_eq!(group.with(|p| p.launch.template = None).decide().drains(), ["i-1"]);
}

/// One member of the version in force, launched so many seconds ago, that has never answered.
fn unanswered(name: &str, launched_ago: u64, version: u64) -> Member {
    Member { template: "lt-1".into(), template_version: version, ..pending(name, launched_ago) }
}

#[test]
fn l8_three_failures_in_a_row_stop_launches_from_that_version() {
    for (before, launches, after) in [(0, 1, 1), (1, 1, 2), (2, 0, 3), (3, 0, 4)] {
        let group = versioned(1).and([unanswered("i-9", 600, 2)]).but(|s| s.head.templates = vec![record(2, before)]);
        let decision = group.desired(5).decide();
        assert_eq!(decision.terminates(), [("i-9", Cause::BootTimeout)]);
        assert_eq!((decision.launches(), failures(&decision.plan.head, 2)), (launches, Some(after)));
        assert_eq!(decision.waits_for(Rule::L8), launches == 0);
    }
    let stopped = versioned(2).but(|s| s.head.templates = vec![record(2, 3)]).decide();
    assert_eq!(
        stopped.waits_text(Rule::L8),
        "2 of 2 launches wait: 3 launches from version 2 of lt-1 in a row never answered: stopped until an edit or a new \
         version"
    );
    assert_eq!(stopped.verdict().0, 6);
    // The same without a template.
    let plain = Group::of(&[50.0; 3]).desired(4).but(|s| s.head.templates = vec![untemplated(3, true)]).decide();
    assert!(plain.waits_text(Rule::L8).contains("3 launches in a row never answered"));
}

#[test]
fn l8_a_new_version_an_edited_policy_or_an_answer_clears_it() {
    let quarantined = || versioned(1).but(|s| s.head.templates = vec![record(2, 3)]);
    assert_eq!(quarantined().decide().launches(), 0);
    assert_eq!(versions(&quarantined().but(|s| s.template_version = Some(3)).decide()), [3]);
    assert_eq!(versions(&quarantined().with(|p| p.launch.template_version = Some(1)).decide()), [1]);
    let edited = quarantined().but(|s| s.head.policy = Some(PolicyVersion(2))).decide();
    assert_eq!((edited.launches(), failures(&edited.plan.head, 2)), (1, Some(0)));
    let same = quarantined().but(|s| s.head.policy = Some(PolicyVersion(2)));
    let same = same.but(|s| s.head.templates[0].policy = Some(PolicyVersion(2))).decide();
    assert_eq!((same.launches(), failures(&same.plan.head, 2)), (0, Some(3)));
    let answers = |m: &mut Member| m.health = Some(answering(50.0));
    let answered = quarantined().and([unanswered("i-9", 50, 2)]).whose("i-9", answers).desired(6).decide();
    assert_eq!((answered.launches(), failures(&answered.plan.head, 2)), (1, Some(0)));
    // An answer from another version says nothing of this one.
    let other = quarantined().and([unanswered("i-9", 50, 1)]).whose("i-9", answers).desired(6).decide();
    assert_eq!((other.launches(), failures(&other.plan.head, 2)), (0, Some(3)));
    assert!(other.plan.head.templates.iter().any(|known| known.version == 1 && known.proven));
}

#[test]
fn l8_a_failure_counts_only_when_its_termination_is_claimed() {
    let late =
        || versioned(1).and([unanswered("i-9", 600, 2)]).desired(5).but(|s| s.head.policy = Some(PolicyVersion(7)));
    let head = late().decide().plan.head;
    let noted = &head.templates[0];
    assert_eq!((noted.failures, noted.policy, noted.proven), (1, Some(PolicyVersion(7)), false));
    for mode in [Mode::OutOnly, Mode::Observe, Mode::Paused] {
        assert_eq!(failures(&late().with(|p| p.mode = mode).decide().plan.head, 2), None, "{mode:?}");
    }
    let no_room = late().with(|p| p.inward.limit.percent = 0).but(|s| {
        s.head.terminations.record(ago(5), 1, 4, seconds_of(300));
    });
    assert_eq!((no_room.decide().lets_go().len(), failures(&no_room.decide().plan.head, 2)), (0, None));
    // What a full claim has no room for has not failed yet.
    let many = (0..30).map(|n| unanswered(&format!("i-p{n:02}"), 600, 2));
    let full = versioned(30).and(many).bounds(2, 100).with(|p| p.inward.limit.percent = 10_000).decide();
    assert_eq!((full.terminates().len(), failures(&full.plan.head, 2)), (24, Some(24)));
    // Another member of the group is no launch; a victim has not failed.
    let victim = versioned(0).and([unanswered("i-9", 30, 2)]).decide();
    assert_eq!((victim.terminates(), failures(&victim.plan.head, 2)), (vec![("i-9", Cause::Bounds)], None));
}

#[test]
fn l8_the_boot_clock_stands_still_in_every_darkness() {
    let group = |age| {
        versioned(1).and([unanswered("i-9", age, 2)]).desired(5).but(|s| {
            for (at, dark) in [(700, true), (600, true), (590, false), (300, true), (100, true), (90, false)] {
                s.head.remember_darkness(ago(at), dark);
            }
        })
    };
    assert_eq!((group(899).decide().lets_go().len(), group(900).decide().lets_go().len()), (0, 1), "600 s of light");
}

#[test]
fn l8_only_so_many_versions_are_remembered_and_the_latest_ones() {
    let mut head = Head::default();
    for version in 1..=10 {
        head.template_record("lt-1", version).failures = 1;
        head.template_record("lt-1", 1).failures += 1;
    }
    let kept: Vec<_> = head.templates.iter().map(|known| known.version).collect();
    assert_eq!(kept, [4, 5, 6, 7, 8, 9, 10, 1]);
    assert_eq!(failures(&head, 1), Some(11));
    assert_eq!(head.template_record("lt-2", 1).failures, 0, "another template's first");
}

fn open_of_version(name: &str, version: u64) -> Intent {
    let mut intent = open_launch(name, 1);
    if let Call::Launch(spec) = &mut intent.call {
        (spec.template, spec.template_version) = ("lt-1".into(), version);
    }
    intent
}

#[test]
fn l9_an_untried_version_has_three_launches_open_or_failed_before_the_first_answer() {
    let decision = untried(10).decide();
    assert_eq!((versions(&decision), decision.verdict().0), (vec![3; 3], 14));
    assert_eq!(
        decision.waits_text(Rule::L9),
        "7 of 10 launches wait: of launches from version 3 of lt-1 nobody has answered yet: at most 3 before"
    );
    // Open, Pending and failed ones all count, each once; those of another version do not.
    let (open, pending) = (open_of_version("l-1", 3), unanswered("i-9", 50, 3));
    let failed = |s: &mut Snapshot| s.head.templates = vec![TemplateRecord { proven: false, ..record(3, 1) }];
    let with_open = |s: &mut Snapshot| s.intents = vec![open.clone()];
    assert_eq!(untried(10).but(with_open).decide().launches(), 2);
    assert_eq!(untried(10).and([pending.clone()]).decide().launches(), 2);
    assert_eq!(untried(10).but(failed).decide().launches(), 2);
    let all = untried(10).and([pending]).but(with_open).but(failed).decide();
    assert_eq!((all.launches(), all.waits_for(Rule::L9)), (0, true));
    let older = untried(10).and([unanswered("i-9", 50, 2)]).but(|s| s.intents = vec![open_of_version("l-1", 2)]);
    assert_eq!(older.decide().launches(), 3);
    // The replacements of the dead count among them.
    let ill = untried(2).whose("i-1", |m| m.health = dead()).whose("i-2", |m| m.health = dead());
    let ill = ill.with(|p| p.max_unhealthy_percent = 100).decide();
    assert_eq!((ill.launches(), ill.launches_for(Cause::Unhealthy), ill.waits_for(Rule::L9)), (3, 1, true));
}

#[test]
fn l9_one_that_fails_here_and_now_is_not_counted_twice() {
    let group = untried(10).and([unanswered("i-8", 600, 3), unanswered("i-9", 50, 3)]);
    let decision = group.decide();
    assert_eq!((decision.terminates(), decision.launches()), (vec![("i-8", Cause::BootTimeout)], 1));
}

#[test]
fn l9_a_version_is_proven_by_its_record_or_by_a_member_that_is_there() {
    assert_eq!(untried(10).but(|s| s.head.templates = vec![record(3, 0)]).decide().launches(), 10);
    for (of, launches) in [(3, 10), (2, 3)] {
        let answered = untried(10).whose("i-4", of_version(of)).decide();
        assert_eq!(answered.launches(), launches, "one of version {of} is there");
    }
    // Even on its way out; and one that answers for the first time now.
    let leaving = terminating("i-9", 5, Cause::Load);
    assert_eq!(untried(10).and([leaving]).whose("i-9", of_version(3)).decide().launches(), 10);
    let first = untried(10).and([unanswered("i-9", 50, 3)]).whose("i-9", |m| m.health = Some(answering(50.0)));
    let first = first.decide();
    assert_eq!(first.launches(), 9);
    assert!(first.plan.head.templates.iter().any(|known| known.version == 3 && known.proven));
    assert_eq!(untried(10).whose("i-4", |m| m.template = "lt-2".into()).decide().launches(), 3);
}

#[test]
fn l9_pending_ones_that_are_lost_count_while_the_version_is_unproven() {
    let lost = |group: Group| group.and([unanswered("i-9", 50, 3)]).ec2_says("i-9", InstanceState::Terminated).decide();
    let decision = lost(untried(10));
    assert_eq!((decision.launches(), failures(&decision.plan.head, 3)), (2, Some(1)));
    let third = lost(untried(10).but(|s| s.head.templates = vec![TemplateRecord { proven: false, ..record(3, 2) }]));
    assert_eq!((third.launches(), third.waits_for(Rule::L8)), (0, true));
    // Somebody ends what boots: of a version that is known to boot that is no boot failure (L8).
    let proven = lost(untried(10).but(|s| s.head.templates = vec![record(3, 0)]));
    assert_eq!((proven.launches(), failures(&proven.plan.head, 3)), (10, Some(0)));
    // Nor is who has answered.
    let answered = untried(1).and([unanswered("i-9", 500, 3)]).whose("i-9", |m| {
        (m.state, m.first_answer) = (serving("", 0.0).state, Some(ago(400)));
    });
    let answered = answered.ec2_says("i-9", InstanceState::Terminated).decide();
    assert_eq!(failures(&answered.plan.head, 3), None);
}
