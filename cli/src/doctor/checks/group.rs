//! What is judged of a group: its policy, whether it is swept and decided on, its agents, clocks, launches, open calls, EC2.

use std::time::Duration;

use muster_core::group::Head;
use muster_core::policy::{Mode, Policy};
use muster_core::time::{Timestamp, spoken};

use super::Finding;
use crate::doctor::facts::{Asked, Facts, GroupFacts, Home, SweepSeen};

/// How much longer than three periods a sweep may take before it counts as late: Lambda starts, a schedule drifts.
const SLACK_OF_STACK: Duration = Duration::from_secs(30);
/// The same of a local world.
const SLACK_OF_WORLD: Duration = Duration::from_secs(5);
/// Periods after which a sweep is too old for load and health (O8).
const PERIODS: u32 = 3;
/// Clocks that are closer than this are good enough: nothing in Muster counts in less.
const CLOCKS_APART: Duration = Duration::from_secs(5);
/// An intent ends within this (V2).
const INTENT_LASTS: Duration = Duration::from_secs(15 * 60);

pub(super) fn of_group(facts: &Facts, group: &GroupFacts) -> Vec<Finding> {
    let local = matches!(facts.home, Home::World(_));
    let slack = if local { SLACK_OF_WORLD } else { SLACK_OF_STACK };
    let policy = match &group.policy {
        Some(Ok(Some(text))) => Policy::parse(text).ok(),
        _ => None,
    };
    let head = match &group.head {
        Some(Ok(head)) => head.as_ref(),
        _ => None,
    };
    let mut found = vec![of_policy(group, head, facts.now)];
    match &group.head {
        Some(Err(why)) => {
            found.push(Finding::bad("state", format!("it cannot be read: {why}"), "see the table's console"));
        }
        Some(Ok(None)) => found.push(Finding::warn(
            "state",
            "nothing has been decided yet",
            "a sweep and a valid policy make it begin",
        )),
        Some(Ok(Some(_))) | None => {}
    }
    let sweeps = match &group.sweeps {
        Some(Ok(sweeps)) => sweeps.as_slice(),
        Some(Err(why)) => {
            found.push(Finding::bad("sweeps", format!("the latest cannot be read: {why}"), "the next one begins anew"));
            &[]
        }
        None => &[],
    };
    let newest = sweeps.iter().max_by_key(|sweep| sweep.slot);
    found.extend(group.sweeps.as_ref().filter(|sweeps| sweeps.is_ok()).map(|_| of_sweeps(facts, group, newest, slack)));
    if let Some(newest) = newest {
        found.push(of_clock(newest, facts.now));
        found.extend(head.map(|head| of_doorbell(newest, head, local, slack)));
        let least_unhealthy = policy.as_ref().map_or(34, |policy| policy.max_unhealthy_percent);
        found.push(of_agents(sweeps, least_unhealthy, local));
    }
    found.extend(head.map(|head| of_launches(head, facts.now)));
    found.push(of_intents(group, facts.now));
    found.extend(of_ec2(&group.instances));
    found
}

fn of_policy(group: &GroupFacts, head: Option<&Head>, now: Timestamp) -> Finding {
    const CHECK: &str = "policy";
    let at = &group.policy_at;
    let stays = head.and_then(|head| head.policy).map_or_else(
        || "and none has ever been valid: nothing is decided".to_owned(),
        |version| format!("version {version} stays in force"),
    );
    match &group.policy {
        None => Finding::not_checked(CHECK, "not asked for"),
        Some(Err(why)) => {
            Finding::bad(CHECK, format!("{at} cannot be read: {why}; {stays}"), "see the right to read it")
        }
        Some(Ok(None)) => {
            Finding::bad(CHECK, format!("there is no {at}; {stays}"), "`muster policy set FILE` writes it")
        }
        Some(Ok(Some(text))) => match Policy::parse(text) {
            Err(error) => Finding::bad(
                CHECK,
                format!("{at} is refused: {error}; {stays}"),
                "`muster policy edit` shows where, and saves it once it is valid",
            ),
            Ok(policy) => {
                let policy = policy.at(now);
                let size = format!("valid: {} to {} instances", policy.min, policy.max);
                match policy.mode {
                    Mode::Active => Finding::ok(CHECK, size),
                    Mode::OutOnly => Finding::warn(
                        CHECK,
                        format!("{size}; the mode is out-only: nobody is let go"),
                        "`muster policy edit` and \"mode\": \"active\" when that is over",
                    ),
                    Mode::Observe => Finding::warn(
                        CHECK,
                        format!("{size}; the mode is observe: nothing is changed"),
                        "`muster policy edit` and \"mode\": \"active\" when that is over",
                    ),
                    Mode::Paused => Finding::warn(
                        CHECK,
                        format!("{size}; the group is paused: nothing is decided"),
                        "`muster resume` when that is over",
                    ),
                }
            }
        },
    }
}

/// Whether somebody sweeps: on AWS the schedule wakes MonitorS.
fn of_sweeps(facts: &Facts, group: &GroupFacts, newest: Option<&SweepSeen>, slack: Duration) -> Finding {
    let (check, remedy) = match &facts.home {
        Home::Account(account) => (
            "schedule",
            format!(
                "see in EventBridge's console whether the schedule sweep-{} of the group {} is on, and `make logs STACK={} GROUP={}` whether \
                 MonitorS fails",
                group.group, account.stack, account.stack, group.group
            ),
        ),
        Home::World(_) => ("sweeps", "see what `muster up` says of its monitor".to_owned()),
    };
    let Some(newest) = newest else {
        return Finding::bad(check, "nobody has ever swept the group", remedy);
    };
    let age = facts.now.since(newest.finished_at);
    let most = Duration::from_millis(newest.period_ms) * PERIODS + slack;
    let text = format!(
        "the last sweep is {} old, at a period of {}",
        spoken(age),
        spoken(Duration::from_millis(newest.period_ms))
    );
    if age > most { Finding::bad(check, format!("{text}: nobody sweeps"), remedy) } else { Finding::ok(check, text) }
}

/// The monitor's clock against this machine's: a sweep cannot end in the future.
fn of_clock(newest: &SweepSeen, now: Timestamp) -> Finding {
    let ahead = newest.finished_at.max(newest.slot).since(now);
    if ahead > CLOCKS_APART {
        let text =
            format!("the last sweep ends in {}: this machine's clock is behind, or the monitor's ahead", spoken(ahead));
        return Finding::bad("clock", text, "`timedatectl` tells whether this one is synchronised");
    }
    Finding::ok("clock", "no sweep is in the future")
}

/// Whether sweeps lead to decisions.
fn of_doorbell(newest: &SweepSeen, head: &Head, local: bool, slack: Duration) -> Finding {
    const CHECK: &str = "doorbell";
    let remedy = if local {
        "see what `muster up` says of its controller"
    } else {
        "see in Lambda's console whether the trigger of ControllerASG (the stream of the sweeps' table) is enabled, how far behind it is, and \
         whether the function fails"
    };
    let most = Duration::from_millis(newest.period_ms) * PERIODS + slack;
    match head.last_slot {
        None if newest.slot.since(head.born) > most => Finding::bad(CHECK, "no sweep has ever been decided on", remedy),
        None => Finding::ok(CHECK, "the group has just begun"),
        Some(last) if newest.slot.since(last) > most => {
            let behind = spoken(newest.slot.since(last));
            Finding::bad(CHECK, format!("the last decision is on a sweep {behind} before the latest"), remedy)
        }
        Some(last) => {
            let behind = newest.slot.since(last);
            let text = if behind.is_zero() {
                "the latest sweep has been decided on".into()
            } else {
                format!("decisions are {} behind", spoken(behind))
            };
            Finding::ok(CHECK, text)
        }
    }
}

fn of_agents(sweeps: &[SweepSeen], least_unhealthy: u32, local: bool) -> Finding {
    const CHECK: &str = "agents";
    if let Some(why) = sweeps.iter().find_map(|sweep| sweep.blind.as_ref()) {
        return Finding::bad(
            CHECK,
            format!("the monitor did not trust its own eyes: {why}"),
            "see its network and its load",
        );
    }
    let sum = |count: fn(&SweepSeen) -> u32| sweeps.iter().map(count).fold(0, u32::saturating_add);
    let (members, answered) = (sum(|sweep| sweep.counts.members), sum(|sweep| sweep.counts.answered));
    let silent = sum(|sweep| sweep.counts.silent);
    let remedy = if local {
        "see whether the monitor-c processes run"
    } else {
        "see whether monitor-c runs there, and the security groups between MonitorS and the instances; `muster members` names the silent"
    };
    let text = format!("{answered} of {members} answer");
    match silent {
        0 if answered == 0 && members > 0 => Finding::bad(CHECK, text, remedy),
        0 => Finding::ok(CHECK, text),
        _ if answered == 0
            || (silent >= 2 && u64::from(silent) * 100 >= u64::from(members) * u64::from(least_unhealthy)) =>
        {
            Finding::bad(
                CHECK,
                format!("{text}, {silent} are silent: so many that it is taken for our own fault"),
                remedy,
            )
        }
        _ => Finding::warn(CHECK, format!("{text}, {silent} silent"), remedy),
    }
}

fn of_launches(head: &Head, now: Timestamp) -> Finding {
    const CHECK: &str = "launches";
    if let Some(refusal) = &head.launch_refusal {
        let text = format!("EC2 refuses them, {} in a row: {}", refusal.failures, refusal.reason);
        return Finding::bad(
            CHECK,
            text,
            "see the launch template, the image and the role's rights; any accepted edit of the policy tries again",
        );
    }
    if let Some(record) = head.quarantined().next() {
        let whence = if record.template.is_empty() {
            "the image".to_owned()
        } else {
            format!("{} version {}", record.template, record.version)
        };
        let text =
            format!("{} in a row from {whence} never answered: nothing more is launched from it", record.failures);
        return Finding::bad(
            CHECK,
            text,
            "put a better version, or edit the policy when it was not the version's fault",
        );
    }
    if let Some(breaker) = &head.breaker {
        let text = format!("many members have been silent together since {}: few are replaced", breaker.since);
        return Finding::warn(CHECK, text, "see the finding on agents");
    }
    let scarce: Vec<String> = head
        .capacity
        .iter()
        .filter(|scarce| scarce.until > now)
        .map(|scarce| [scarce.place.zone.as_str(), &scarce.place.instance_type].join(" ").trim().to_owned())
        .collect();
    if !scarce.is_empty() {
        let text = format!("EC2 has no capacity in {}", scarce.join(", "));
        return Finding::warn(CHECK, text, "name further zones or instance types in the policy's `launch`");
    }
    Finding::ok(CHECK, "EC2 refuses none")
}

fn of_intents(group: &GroupFacts, now: Timestamp) -> Finding {
    const CHECK: &str = "intents";
    let old: Vec<&str> =
        group.intents.iter().filter(|(_, at)| now.since(*at) > INTENT_LASTS).map(|(id, _)| id.as_str()).collect();
    match old.first() {
        None => Finding::ok(CHECK, format!("{} open, none for long", group.intents.len())),
        Some(first) => {
            let text = format!("{} open for more than {}, such as {first}", old.len(), spoken(INTENT_LASTS));
            Finding::bad(
                CHECK,
                text,
                "the controller carries them out at every doorbell: its log says what EC2 answers",
            )
        }
    }
}

fn of_ec2(instances: &Asked<u32>) -> Option<Finding> {
    Some(match instances.as_ref()? {
        Ok(instances) => Finding::ok("ec2", format!("it lists {instances}")),
        Err(why) => {
            Finding::bad("ec2", why, "nothing is concluded from EC2's silence, and nothing launched or ended meanwhile")
        }
    })
}
