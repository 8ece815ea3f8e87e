//! The decision: total, pure, independent of the order of its input (S9).
//!
//! The way through: [`census`] sorts the members into phases; [`size`] turns load into a desired size, stage by stage;
//! [`victims`] says who goes; [`repair`] replaces the unhealthy; [`saga`] takes the steps that follow from earlier
//! decisions; [`operator`] lets go whom a person has marked; [`breaker`] holds repair back while silence may be our own; [`orphans`] ends what no record knows;
//! [`draft`] collects it all into a plan. What must never be in here: a loop over EC2, a clock, a retry.

mod breaker;
mod census;
mod draft;
mod launches;
mod load;
mod operator;
mod orphans;
mod outcomes;
mod repair;
mod saga;
mod size;
mod victims;

use serde::{Deserialize, Serialize};

use crate::group::Heading;
use crate::intent::Cause;
use crate::plan::Plan;
use crate::policy::{Mode, Policy};
use crate::report::{Remark, Report, Rule};
use crate::snapshot::Snapshot;
use crate::time::spoken;

use census::Census;
use draft::Draft;
use size::Sizing;

/// Actions that one claim takes at most. A DynamoDB transaction holds 100 items: an action costs two, a fact two (its
/// member and its activity), and HEAD, the decision's record, the policy, what `auto` knows and the rosters of up to 20
/// shards the rest.
pub const ACTIONS_PER_CLAIM: usize = 24;
/// Facts that one claim writes down at most, for the same reason.
pub const RECORDS_PER_CLAIM: usize = 12;
/// Remarks of a kind that a report holds at most: a record in DynamoDB holds 400 KB, however large the group.
const REMARKS_KEPT: usize = 20;
/// Effective periods after which a sweep is too old for load and health (O8).
const STALE_PERIODS: u32 = 3;

/// What to do, and why.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Decision {
    /// What to do.
    pub plan: Plan,
    /// Why.
    pub report: Report,
}

/// Decides what the group should do next.
pub fn decide(snapshot: &Snapshot, policy: &Policy) -> Decision {
    // Whatever decides below sees the bounds of this moment.
    let policy = policy.at(snapshot.now);
    let policy = policy.as_ref();
    let census = Census::take(snapshot, policy);
    let mut draft = Draft::new(snapshot, policy, &census);
    saga::record_facts(&census, &mut draft);
    draft.head.remember_halt(snapshot.now, matches!(policy.mode, Mode::Observe | Mode::Paused));
    draft.facts_are_taken();
    let gate = gate(snapshot, &census);
    if policy.mode == Mode::Paused {
        draft.look(&gate);
        let said = policy.pause.as_ref().map_or("nothing is decided".into(), ToString::to_string);
        let sizing = Sizing::hold(draft.head.desired, Rule::O1, format!("Paused: {said}."));
        return draft.finish(&census, &sizing);
    }
    let judged = gate.is_ok() && census.blind.is_none();
    draft.remark_on_health(&census);
    if judged {
        breaker::update(&census, &mut draft);
    }
    let opinion = gate.is_ok().then(|| load::opinion(snapshot, &census, policy)).flatten();
    let sizing = size::size(&census, policy, &draft.head, &gate, opinion.as_ref());
    draft.take(&sizing, &gate, &census);
    draft.learn(opinion);
    saga::end_stopped(&census, &mut draft);
    if judged {
        saga::drain_leaving(&census, &mut draft);
    }
    // A claim may be too small for all that is taken back: the next one goes on with the same sweep.
    let goes_on = gate.as_ref().is_err_and(|closed| closed.rule == Rule::S7) && census.blind.is_none();
    if judged || goes_on {
        operator::take_back(&census, &mut draft);
        saga::take_back(&census, &mut draft);
    }
    saga::finish_drains(&census, &mut draft);
    saga::repeat_terminations(&census, &mut draft);
    if judged {
        saga::give_up_boots(&census, &mut draft);
    }
    level(&census, &gate, &mut draft);
    if judged {
        repair::repair(&census, &mut draft);
        operator::drain_marked(&census, &mut draft);
    }
    orphans::sweep(snapshot, &census, &mut draft);
    draft.finish(&census, &sizing)
}

/// Whether this sweep may still move anything for reasons of load or health; else why not.
fn gate(snapshot: &Snapshot, census: &Census<'_>) -> Result<(), Remark> {
    let closed = |rule, text| Err(Remark { rule, text });
    let Some(sweep) = &snapshot.sweep else {
        return closed(Rule::M5, "there has been no sweep yet".into());
    };
    if sweep.awaited > 0 {
        return closed(Rule::M5, format!("the sweep of {} shards is not in yet", sweep.awaited));
    }
    if sweep.slot > snapshot.now.plus(census.period) {
        return closed(Rule::O8, format!("the latest sweep is of {}, which is yet to come", sweep.slot));
    }
    let age = snapshot.now.since(sweep.slot);
    if age > census.period * STALE_PERIODS {
        return closed(
            Rule::O8,
            format!(
                "the latest sweep is {} old, three periods are {}",
                spoken(age),
                spoken(census.period * STALE_PERIODS)
            ),
        );
    }
    if snapshot.head.last_slot.is_some_and(|last| last >= sweep.slot) {
        return closed(Rule::S7, format!("the sweep of {} has been decided on", sweep.slot));
    }
    Ok(())
}

/// Brings *actual* to *desired* (C4): launches what is missing, lets go what is too much.
fn level(census: &Census<'_>, gate: &Result<(), Remark>, draft: &mut Draft<'_>) {
    let desired = draft.head.desired;
    let effective = draft.effective(census);
    if effective < desired {
        let cause = if draft.head.heading == Heading::Out { Cause::Load } else { Cause::Bounds };
        launches::launch_missing(census, desired - effective, cause, draft);
    } else if effective > desired {
        let cause = if draft.head.heading == Heading::In { Cause::Load } else { Cause::Bounds };
        match unsure(census, gate, draft.policy) {
            Some(Remark { rule, text }) if cause == Cause::Load => {
                draft.wait(rule, format!("the rest of the scale-in waits: {text}"));
            }
            Some(_) | None => victims::let_go(census, effective - desired, cause, draft),
        }
    }
}

/// Why what is left of an earlier load-driven scale-in may not go on, if it may not: nobody goes for load on a sweep that
/// says nothing (M5, O8, S5), or while the missing may be as busy as they can be (M2, S10). That the sweep has been decided
/// on is no reason: this is that decision, carried out.
fn unsure(census: &Census<'_>, gate: &Result<(), Remark>, policy: &Policy) -> Option<Remark> {
    let at_most = load::mean_with_missing_full(census);
    match gate {
        Err(closed) if closed.rule != Rule::S7 => Some(closed.clone()),
        Ok(()) | Err(_) if census.nobody_answers() => Some(Remark { rule: Rule::M5, text: "nobody answers".into() }),
        Ok(()) | Err(_) if at_most > load::brings_back(&policy.scaling) => {
            let (missing, mean) = (census.counts.missing, load::percent(at_most));
            Some(Remark { rule: Rule::M2, text: format!("with {missing} missing at 100 % the mean is {mean}") })
        }
        Ok(()) | Err(_) => {
            let blind = census.blind.map(|why| Remark { rule: Rule::H2, text: why.into() });
            blind.or_else(|| load::unsure(census, policy).map(|text| Remark { rule: Rule::Z4, text }))
        }
    }
}

/// `1 member`, `2 members`.
fn counted(n: usize, what: &str) -> String {
    if n == 1 { format!("1 {what}") } else { format!("{n} {what}s") }
}
