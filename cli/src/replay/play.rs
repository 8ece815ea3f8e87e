//! Recorded decisions, taken once more on what they were recorded with.
//!
//! A record holds the whole snapshot, save for what the rule `auto` knew: that is larger than all the rest, and follows from the
//! sweeps. So it is carried from decision to decision, as the controller itself does: HEAD in the snapshot has the samples since the
//! state was stored last, and the decision that stored it is one of those before. Equal decisions in a row are one record, with the last
//! one's snapshot; where a state was stored in one that the record no longer holds, that one is taken again, on its sweep.

use muster_control::activity::{Activity, Event};
use muster_core::auto::{Learnt, Recent};
use muster_core::decide::{Decision, decide};
use muster_core::group::Head;
use muster_core::policy::{Policy, ScalingRule};
use muster_core::report::Report;
use muster_core::snapshot::{Snapshot, SweepFacts};
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

/// Differences of a decision that are told.
const TOLD: usize = 8;
/// The version of HEAD that a group's first decision leaves: one makes HEAD, the next decides.
const FIRST_DECISION: &str = "0000000002-decision";

/// A decision as the log has it.
#[derive(Clone, Debug)]
pub struct Recorded {
    /// Its id.
    pub id: String,
    /// When the last of the equal decisions was taken.
    pub at: Timestamp,
    /// How many equal decisions there were.
    pub count: u32,
    /// HEAD's version after the last of them.
    pub version: u64,
    /// The last one's report.
    pub report: Box<Report>,
    /// What the last one was decided on.
    pub snapshot: Option<Box<Snapshot>>,
}

impl Recorded {
    /// The decision in `activity`, if it is one.
    pub fn of(activity: Activity) -> Option<Self> {
        let Activity { at, id, event, .. } = activity;
        match event {
            Event::Decision { report, version, since: _, count, snapshot } => {
                Some(Self { id, at, count, version, report, snapshot })
            }
            _ => None,
        }
    }

    /// The slot that the last of them was taken on.
    fn slot(&self) -> Option<Timestamp> {
        self.snapshot.as_ref()?.sweep.as_ref().map(|sweep| sweep.slot)
    }
}

/// What came of replaying one.
#[derive(Clone, Debug, PartialEq)]
pub enum Outcome {
    /// The same, to the bit.
    Agrees,
    /// Something else.
    Differs(Vec<Difference>),
    /// It cannot be taken again, and why.
    CannotBe(String),
}

/// One value that is not what was recorded.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Difference {
    /// Its place in the report, or `version`.
    pub key: String,
    /// As the log has it; null when it has none.
    pub recorded: Value,
    /// As it is decided now; null when there is none.
    pub replayed: Value,
}

/// What `auto` knows after a decision.
#[derive(Clone, Debug, Default)]
struct Known {
    /// HEAD's part of it.
    recent: Recent,
    /// The state that was stored last.
    stored: Option<Box<Learnt>>,
    /// The slot of the last sweep that was decided on.
    slot: Option<Timestamp>,
}

impl Known {
    /// After `decision`, which was taken on `slot`.
    fn after(self, decision: Decision, slot: Option<Timestamp>) -> Self {
        let recent = decision.plan.head.auto;
        let stored_now = recent.stored_at != self.recent.stored_at;
        Self { recent, stored: if stored_now { decision.plan.learnt } else { self.stored }, slot: slot.or(self.slot) }
    }
}

/// Takes decisions again, in their order.
#[derive(Debug)]
pub struct Player {
    auto: Result<Known, String>,
}

impl Player {
    /// For a log whose oldest record is of `begin`.
    pub fn new(begin: Timestamp) -> Self {
        Self { auto: Err(format!("what auto knew is not recorded before {begin}")) }
    }

    /// The slots between which the sweeps must be known before `recorded` can be taken again: none when nothing is missing.
    pub fn gap(&self, recorded: &Recorded, policy: &Policy) -> Option<(Timestamp, Timestamp)> {
        let ScalingRule::Auto(_) = policy.scaling else { return None };
        let known = self.known(recorded).ok()?;
        let snapshot = recorded.snapshot.as_ref()?;
        let missing = known.recent.stored_at != snapshot.head.auto.stored_at && snapshot.head.auto.stored_at.is_some();
        missing.then(|| (known.slot.unwrap_or(snapshot.head.born), recorded.slot().unwrap_or(recorded.at)))
    }

    /// Takes `recorded` again with the policy of its version. `sweeps` are those of the gap, oldest first.
    pub fn take(&mut self, recorded: &Recorded, policy: &Policy, sweeps: &[Sweep]) -> Outcome {
        let Some(snapshot) = &recorded.snapshot else {
            let why = "the record holds no snapshot: the group was too large, or a newer version has written it";
            self.auto = Err(why.to_owned());
            return Outcome::CannotBe(why.to_owned());
        };
        self.auto = self.before(recorded, snapshot, policy, sweeps);
        let learnt = match (&policy.scaling, &self.auto) {
            (ScalingRule::Auto(_), Err(why)) => return Outcome::CannotBe(why.clone()),
            (_, Ok(known)) => known.stored.clone(),
            (_, Err(_)) => None,
        };
        let decision = decide(&Snapshot { learnt, ..Snapshot::clone(snapshot) }, policy);
        let differences = differences(recorded, &decision);
        if let Ok(known) = &mut self.auto {
            *known = std::mem::take(known).after(decision, recorded.slot());
        }
        if differences.is_empty() { Outcome::Agrees } else { Outcome::Differs(differences) }
    }

    /// Passes by a decision that is not taken again.
    pub fn pass(&mut self, why: &str) {
        self.auto = Err(why.to_owned());
    }

    /// What `auto` knew after the decision before `recorded`, the equal ones of its own record left out.
    fn known(&self, recorded: &Recorded) -> Result<Known, String> {
        match &self.auto {
            Err(_) if recorded.id == FIRST_DECISION => Ok(Known::default()),
            known => known.clone(),
        }
    }

    /// What `auto` knew when the last of `recorded` was decided.
    fn before(
        &self,
        recorded: &Recorded,
        snapshot: &Snapshot,
        policy: &Policy,
        sweeps: &[Sweep],
    ) -> Result<Known, String> {
        let recent = &snapshot.head.auto;
        if recent.stored_at.is_none() {
            let slot = snapshot.head.last_slot;
            return Ok(Known { recent: recent.clone(), stored: None, slot });
        }
        let mut known = self.known(recorded)?;
        if known.recent.stored_at != recent.stored_at {
            known = fold(known, recorded, snapshot, policy, sweeps)?;
        }
        Ok(Known { recent: recent.clone(), ..known })
    }
}

/// Takes the decisions that were folded into `recorded` before its last one, each on its sweep, for what `auto` learnt in them.
fn fold(
    mut known: Known,
    recorded: &Recorded,
    last: &Snapshot,
    policy: &Policy,
    sweeps: &[Sweep],
) -> Result<Known, String> {
    let (folded, found) = (recorded.count.saturating_sub(1) as usize, sweeps.len());
    if folded != found {
        return Err(format!(
            "what auto knew is not known after {}: of the {folded} equal decisions up to {} the sweeps of {found} are kept",
            known.slot.map_or_else(|| "the beginning".to_owned(), |slot| slot.to_string()),
            recorded.at
        ));
    }
    for sweep in sweeps {
        let mut snapshot = Snapshot {
            now: sweep.finished_at,
            head: Head { auto: known.recent.clone(), last_slot: known.slot, ..last.head.clone() },
            sweep: Some(SweepFacts {
                slot: sweep.slot,
                period_ms: sweep.period_ms,
                blind: sweep.blind.clone(),
                awaited: 0,
            }),
            learnt: known.stored.clone(),
            ..last.clone()
        };
        for member in &mut snapshot.members {
            member.health = sweep.members.get(&member.id).cloned();
        }
        known = known.after(decide(&snapshot, policy), Some(sweep.slot));
    }
    if known.recent != last.head.auto {
        return Err(format!(
            "what auto knew is not known before {}: the sweeps kept give other samples than HEAD has",
            last.now
        ));
    }
    Ok(known)
}

/// Where the decision is not what was recorded.
fn differences(recorded: &Recorded, decision: &Decision) -> Vec<Difference> {
    let mut found = Vec::new();
    let value = |report: &Report| serde_json::to_value(report).unwrap_or_default();
    compare("", &value(&recorded.report), &value(&decision.report), &mut found);
    compare("version", &json!(recorded.version), &json!(decision.plan.head.version), &mut found);
    found.truncate(TOLD);
    found
}

fn compare(key: &str, recorded: &Value, replayed: &Value, found: &mut Vec<Difference>) {
    let under = |inner: &str| if key.is_empty() { inner.to_owned() } else { format!("{key}.{inner}") };
    match (recorded, replayed) {
        (Value::Object(one), Value::Object(other)) => {
            let only_other = other.keys().filter(|inner| !one.contains_key(*inner));
            for inner in one.keys().chain(only_other) {
                compare(&under(inner), &recorded[inner], &replayed[inner], found);
            }
        }
        (Value::Array(one), Value::Array(other)) if one.len() == other.len() => {
            for (nth, (one, other)) in one.iter().zip(other).enumerate() {
                compare(&under(&nth.to_string()), one, other, found);
            }
        }
        (one, other) if one == other => {}
        (one, other) => {
            found.push(Difference { key: key.to_owned(), recorded: one.clone(), replayed: other.clone() });
        }
    }
}

#[cfg(test)]
mod tests {
    use muster_control::ports::{ActivityLog, GroupStore};

    use super::*;
    use crate::lived::{Lived, group};

    /// What a group has left: its log, and itself with its sweeps.
    struct Left {
        log: Vec<Recorded>,
        lived: Lived,
    }

    /// A group that meets `loads`, one a sweep, with `policy`.
    async fn lived(policy: &Value, loads: impl Iterator<Item = f64>) -> Left {
        let mut lived = Lived::new(policy);
        for load in loads {
            lived.step(load).await;
        }
        let log = lived.stand.store.since(&group(), Timestamp::EPOCH, usize::MAX).await.expect("a log");
        // As it comes out of a table: without what auto knew.
        let read = |activity: Activity| {
            serde_json::from_value(serde_json::to_value(activity).expect("JSON")).expect("what was written")
        };
        Left { log: log.into_iter().map(read).filter_map(Recorded::of).collect(), lived }
    }

    impl Left {
        async fn replayed(&self, keep: impl Fn(&Sweep) -> bool, from: usize) -> Vec<Outcome> {
            let mut player = Player::new(self.log[from].at);
            let mut outcomes = Vec::new();
            for recorded in &self.log[from..] {
                let version = recorded.report.policy.expect("a version");
                let policy = self.lived.stand.store.policy(&group(), version).await.expect("a read").expect("its text");
                let policy = Policy::parse(&policy.text).expect("it was valid");
                let gap = player.gap(recorded, &policy);
                let between =
                    |sweep: &&Sweep| gap.is_some_and(|(after, until)| sweep.slot > after && sweep.slot < until);
                let kept = self.lived.sweeps.iter().filter(between).filter(|sweep| keep(sweep));
                outcomes.push(player.take(recorded, &policy, &kept.cloned().collect::<Vec<_>>()));
            }
            outcomes
        }
    }

    fn policy(kind: &str) -> Value {
        json!({"min_instances": 2, "max_instances": 12, "scaling": {"kind": kind}, "cooldown_in": "0s", "warm_up": "0s",
            "health": {"grace_period": "0s"}})
    }

    /// A load that rises and falls, and stays for long.
    fn waves() -> impl Iterator<Item = f64> {
        (0..240_u32).map(|n| if n % 80 < 40 { 30.0 + f64::from(n % 7) } else { 70.0 + f64::from(n % 5) })
    }

    #[tokio::test]
    async fn o3_every_decision_of_a_log_is_taken_again_to_the_bit() {
        for kind in ["threshold", "target", "auto"] {
            let left = lived(&policy(kind), waves()).await;
            let folded = left.log.iter().filter(|recorded| recorded.count > 12).count();
            assert!(left.log.len() > 12 && folded > 0, "{kind}: {} records, {folded} long", left.log.len());
            for (recorded, outcome) in left.log.iter().zip(left.replayed(|_| true, 0).await) {
                assert_eq!(outcome, Outcome::Agrees, "{kind}: {}", recorded.id);
            }
        }
    }

    #[tokio::test]
    async fn of_auto_nothing_is_replayed_whose_sweeps_or_beginning_are_lost() {
        let left = lived(&policy("auto"), waves()).await;
        let lost = left.replayed(|sweep| sweep.slot.as_millis() % 7 != 0, 0).await;
        let why = |outcome: &Outcome| match outcome {
            Outcome::CannotBe(why) => why.clone(),
            other => format!("{other:?}"),
        };
        let first = lost.iter().find(|outcome| **outcome != Outcome::Agrees).expect("some cannot be replayed");
        assert!(why(first).contains("equal decisions up to"), "{first:?}");
        let after = lost.iter().skip_while(|outcome| **outcome == Outcome::Agrees);
        assert!(after.clone().count() > 1 && after.clone().all(|outcome| matches!(outcome, Outcome::CannotBe(_))));
        let late = left.replayed(|_| true, 4).await;
        assert!(
            late.iter().all(|outcome| why(outcome).starts_with("what auto knew is not recorded before ")),
            "{late:?}"
        );
    }

    #[tokio::test]
    async fn a_record_that_was_changed_is_told_by_its_place() {
        let mut left = lived(&policy("threshold"), waves().take(90)).await;
        let changed = left.log.len() - 1;
        left.log[changed].report.desired.after += 1;
        left.log[changed].report.headline = "Scale out for no reason.".into();
        left.log[changed].version += 1;
        let outcomes = left.replayed(|_| true, 0).await;
        let Some(Outcome::Differs(differences)) = outcomes.last() else { panic!("{:?}", outcomes.last()) };
        let keys: Vec<&str> = differences.iter().map(|difference| difference.key.as_str()).collect();
        assert_eq!(keys, ["desired.after", "headline", "version"]);
        assert!(outcomes[..changed].iter().all(|outcome| *outcome == Outcome::Agrees));
        left.log[changed].snapshot = None;
        let outcomes = left.replayed(|_| true, 0).await;
        assert!(matches!(outcomes.last(), Some(Outcome::CannotBe(why)) if why.contains("no snapshot")));
    }
}
