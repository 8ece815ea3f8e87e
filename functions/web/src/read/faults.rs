//! What is wrong with the loop itself, and whether somebody should look: in words.

use std::time::Duration;

use muster_core::policy::Mode;
use muster_core::report::{Report, Rule, StageName};
use muster_core::time::{Timestamp, spoken};
use schemars::JsonSchema;
use serde::Serialize;

use super::looked::STALE_PERIODS;
use super::{Looked, Ms, count, counted, ms};

/// How much a group needs somebody's eyes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Attention {
    /// Not at all.
    #[default]
    Fine,
    /// When there is time.
    Look,
    /// Now.
    Bad,
}

/// Something that is wrong with the loop: what watches, decides and acts.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Fault {
    /// What, by a name that stays.
    pub what: FaultKind,
    /// In words.
    pub text: String,
    /// Since when, if that is known.
    pub since: Option<Ms>,
}

/// What can be wrong with the loop.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum FaultKind {
    /// No sweep comes in.
    StaleSweep,
    /// Sweeps come in, and nobody decides on them.
    StaleDecision,
    /// EC2 refuses launches (L5).
    LaunchRefused,
    /// Launches from the template's version never answer (L8).
    TemplateQuarantined,
    /// Members have answered before, and none of them does.
    NobodyAnswers,
    /// Many are silent together (H3).
    BreakerOpen,
    /// The newest edit of the policy was refused (Z9).
    PolicyRefused,
    /// The policy is missing, empty or cannot be read (O7).
    PolicyMissing,
    /// MonitorS does not trust its own eyes (H2).
    BlindSweep,
    /// EC2 has no capacity in a place (L4).
    NoCapacity,
    /// Instances of ours that no record knows (V3).
    Orphans,
}

impl FaultKind {
    /// How much it needs somebody's eyes.
    pub const fn attention(self) -> Attention {
        match self {
            Self::StaleSweep | Self::StaleDecision | Self::LaunchRefused | Self::TemplateQuarantined => Attention::Bad,
            Self::NobodyAnswers | Self::BreakerOpen => Attention::Bad,
            Self::PolicyRefused | Self::PolicyMissing | Self::BlindSweep | Self::NoCapacity | Self::Orphans => {
                Attention::Look
            }
        }
    }
}

/// Everything that is wrong with the loop, the worst first.
pub(crate) fn faults(looked: &Looked) -> Vec<Fault> {
    let mut faults: Vec<Fault> = [watching(looked), acting(looked), policy(looked)].concat();
    faults.sort_by_key(|fault| (std::cmp::Reverse(fault.what.attention()), fault.what));
    faults
}

const fn fault(what: FaultKind, text: String, since: Option<Timestamp>) -> Fault {
    let since = match since {
        Some(at) => Some(ms(at)),
        None => None,
    };
    Fault { what, text, since }
}

/// What is wrong with the sweeps, and with deciding on them.
fn watching(looked: &Looked) -> Vec<Fault> {
    let (head, mut found) = (&looked.head, Vec::new());
    let patience = looked.period() * STALE_PERIODS;
    match (looked.slot(), looked.stale()) {
        (None, _) if looked.now.since(head.born) > patience.max(Duration::from_secs(60)) => {
            found.push(fault(FaultKind::StaleSweep, "there has been no sweep yet".into(), Some(head.born)));
        }
        (Some(slot), Some(age)) => {
            found.push(fault(FaultKind::StaleSweep, format!("no sweep for {}", coarse(age)), Some(slot)));
        }
        _ => {}
    }
    if let Some((slot, age)) = undecided(looked, patience) {
        let text = format!("sweeps come in, and nobody has decided on one for {}", coarse(age));
        found.push(fault(FaultKind::StaleDecision, text, slot));
    }
    let Some(sweep) = looked.sweep() else { return found };
    if let Some(why) = &sweep.blind {
        let text = format!("the last sweep was blind: {why}");
        found.push(fault(FaultKind::BlindSweep, text, Some(Timestamp::from_millis(sweep.slot))));
    } else if sweep.answered == 0 && sweep.silent > 0 && sweep.unknown == 0 {
        let all = counted(sweep.members, "member");
        found.push(fault(FaultKind::NobodyAnswers, format!("nobody answers: {all} silent"), silent_since(looked)));
    }
    if let Some(breaker) = &head.breaker {
        let text = format!(
            "breaker open: {} are silent together, assumed to be our own fault; {} replaced at a time",
            counted(sweep.silent, "agent"),
            breaker.width
        );
        found.push(fault(FaultKind::BreakerOpen, text, Some(breaker.since)));
    }
    for (zone, breaker) in &head.zone_breakers {
        let text =
            format!("breaker open in {zone}: many are silent together there, {} replaced at a time", breaker.width);
        found.push(fault(FaultKind::BreakerOpen, text, Some(breaker.since)));
    }
    found
}

/// Since when nobody has decided on a sweep, though there are new ones, and anybody should.
fn undecided(looked: &Looked, patience: Duration) -> Option<(Option<Timestamp>, Duration)> {
    let slot = looked.slot()?;
    if looked.stale().is_some() {
        return None;
    }
    let last = looked.head.last_slot;
    let behind = slot.since(last.unwrap_or(looked.head.born));
    (behind > patience).then_some((last, behind))
}

/// When the longest present silence was first noticed.
fn silent_since(looked: &Looked) -> Option<Timestamp> {
    looked.sweeps.iter().flat_map(|sweep| sweep.members.values()).filter_map(|health| health.silent_since).min()
}

/// What is wrong with launches, and with what EC2 lists.
fn acting(looked: &Looked) -> Vec<Fault> {
    let (head, now, mut found) = (&looked.head, looked.now, Vec::new());
    if let Some(refusal) = &head.launch_refusal {
        let tries = counted(refusal.failures, "refusal");
        let text = format!("EC2 refuses launches: {} ({tries} in a row)", refusal.reason);
        found.push(fault(FaultKind::LaunchRefused, text, None));
    }
    for record in head.quarantined() {
        let name = if record.template.is_empty() { "the default template".to_owned() } else { record.template.clone() };
        let text = format!(
            "{} in a row from {name} version {} never answered: nothing more is launched from it until the policy is edited",
            counted(record.failures, "launch").replace("launchs", "launches"),
            record.version
        );
        found.push(fault(FaultKind::TemplateQuarantined, text, None));
    }
    let scarce: Vec<_> = head.capacity.iter().filter(|scarcity| scarcity.until > now).collect();
    if !scarce.is_empty() {
        let places = scarce.iter().take(3).map(|scarcity| place(&scarcity.place.zone, &scarcity.place.instance_type));
        let text = format!("EC2 has no capacity: {}", places.collect::<Vec<_>>().join(", "));
        found.push(fault(FaultKind::NoCapacity, text, None));
    }
    if !head.orphans.is_empty() {
        let text = format!(
            "{} of this group that no record knows: swept a few at a time",
            counted(count(head.orphans.len()), "instance")
        );
        found.push(fault(FaultKind::Orphans, text, head.orphans.values().map(|seen| seen.first).min()));
    }
    found
}

/// `t3.small in eu-west-1a`.
pub(crate) fn place(zone: &str, instance_type: &str) -> String {
    match (zone, instance_type) {
        ("", "") => "anywhere".into(),
        ("", kind) => kind.into(),
        (zone, "") => zone.into(),
        (zone, kind) => format!("{kind} in {zone}"),
    }
}

/// What is wrong with the policy's text.
fn policy(looked: &Looked) -> Vec<Fault> {
    if let Some(refusal) = &looked.head.refusal {
        let text = format!("the newest edit of the policy is refused: {}", refusal.reason);
        return vec![fault(FaultKind::PolicyRefused, text, Some(refusal.at))];
    }
    let missing = looked.report().and_then(|report| report.remarks.iter().find(|remark| remark.rule == Rule::O7));
    missing.map(|remark| fault(FaultKind::PolicyMissing, remark.text.clone(), None)).into_iter().collect()
}

/// How much the group needs somebody's eyes, and the first reason.
pub(crate) fn attention(looked: &Looked, faults: &[Fault]) -> (Attention, Option<String>) {
    if let Some(worst) = faults.first() {
        return (worst.what.attention(), Some(worst.text.clone()));
    }
    match remarkable(looked) {
        Some(why) => (Attention::Look, Some(why)),
        None => (Attention::Fine, None),
    }
}

/// What is no fault, but should be known.
fn remarkable(looked: &Looked) -> Option<String> {
    if let Some(pause) = looked.pause() {
        return Some(format!("paused: {}", pause.reason));
    }
    match looked.mode() {
        Mode::Paused => return Some("paused by its policy".into()),
        Mode::Observe => return Some("observes only: what it decides is not done".into()),
        Mode::Active | Mode::OutOnly => {}
    }
    let Some(report) = looked.report() else { return Some("nothing has been decided yet".into()) };
    let silent = looked.sweep().map_or(0, |sweep| sweep.silent);
    if silent > 0 {
        let thin = report.rule == Rule::M3 || report.rule == Rule::M5 || report.waits.iter().any(is_for_the_missing);
        let so = if thin { ": data too thin to scale in" } else { "" };
        return Some(format!("{} silent{so}", counted(silent, "agent")));
    }
    at_max(report)
}

fn is_for_the_missing(wait: &muster_core::report::Remark) -> bool {
    matches!(wait.rule, Rule::M2 | Rule::M3 | Rule::M5)
}

/// That the load asks for more than max, if it does.
fn at_max(report: &Report) -> Option<String> {
    let max = report.bounds.1;
    let asked =
        report.stages.iter().filter(|stage| stage.stage != StageName::Bounded).map(|stage| stage.desired).max()?;
    let bound = report.desired.after == max && asked > max && max > 0;
    bound.then(|| format!("at max: the load asks for {asked}, max_instances is {max}"))
}

/// A span to the minute, so that it does not change with every look.
fn coarse(span: Duration) -> String {
    match span.as_secs() {
        0..60 => "less than a minute".into(),
        seconds @ 60..3_600 => format!("{} min", seconds / 60),
        seconds => spoken(Duration::from_secs(seconds / 60 * 60)),
    }
}
