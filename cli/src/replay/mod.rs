//! `muster replay`: the decisions of the activity log, taken once more on what they were recorded with. The same must come out (O3).
//!
//! [`play`] takes them again; here log, policies and sweeps are read, and the outcome is told. Nothing is written anywhere.

pub mod play;

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use clap::Args;
use muster_control::ports::{Clock, GroupStore, MOST_PARTS, Marks, Parts, PolicyDesk, SweepLog};
use muster_core::group::{GroupName, PolicyVersion, Shard};
use muster_core::policy::Policy;
use muster_core::sweep::Sweep;
use muster_core::time::{Timestamp, millis};
use muster_web::stand::{Stand, Store};
use serde::Serialize;

use crate::failure::Failure;
use crate::moments::past;
use crate::place::{self, Command, PlaceArgs, StackArgs, group_of};
use crate::policy::{print, say};
use crate::words::{moment, plain};
use play::{Difference, Outcome, Player, Recorded};

/// How much of the log is read at a time.
const SLICE: Duration = Duration::from_secs(3_600);
/// Activities of a slice at most: at a sweep a second not half as many.
const MOST_OF_SLICE: usize = 20_000;
/// How much of a stack's log is played when nobody says it: reading costs.
const OF_STACK: Duration = Duration::from_secs(86_400);
/// Sweeps that are read for one record at most.
const MOST_SWEEPS: usize = 20_000;
/// Decisions that differ and are told.
const TOLD: usize = 50;

/// Take recorded decisions again: the same must come out, to the bit.
///
/// Each record of the activity log holds what was decided on; it is decided on again with the policy of then, and the reports are compared:
/// sizes, stages, sentences, actions. What the rule `auto` knew is no part of a record: it is learnt again from the sweeps, from the
/// group's beginning on; where those are gone, its decisions cannot be replayed, and are counted apart. So it is with groups of more
/// than 50 members, whose records hold no snapshot. The exit code is 3 when a decision differs: another version may have taken it.
///
///   muster replay --state DIR
///   muster --stack prod replay --group web --since 7d
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct ReplayArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Only what was first decided since then: a time, or a span until now such as 2h. Default: everything; of a stack the last day.
    #[arg(long, value_name = "TIME|SPAN", value_parser = past)]
    since: Option<Timestamp>,
    /// Print one JSON object: {"records", "decisions", "agree", "differ": [...], "cannot": [...]}.
    #[arg(long)]
    json: bool,
}

/// What came of it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Replayed {
    /// The group.
    pub group: String,
    /// Where.
    pub place: String,
    /// Records of decisions.
    pub records: u32,
    /// Decisions in them: equal ones in a row are one record.
    pub decisions: u64,
    /// When the first record's last decision was taken.
    pub first: Option<u64>,
    /// When the last one's was.
    pub last: Option<u64>,
    /// Records that agree to the bit.
    pub agree: u32,
    /// Records that do not.
    pub differ: u32,
    /// The first of them, with what differs.
    pub differing: Vec<Differing>,
    /// Records that cannot be taken again, by the reason.
    pub cannot: Vec<Cannot>,
}

/// A decision of which something else comes now.
#[derive(Clone, Debug, Serialize)]
pub struct Differing {
    /// Its id in the log.
    pub id: String,
    /// When.
    pub at: u64,
    /// With which policy.
    pub policy: Option<PolicyVersion>,
    /// What differs.
    pub differences: Vec<Difference>,
}

/// Decisions that cannot be taken again.
#[derive(Clone, Debug, Serialize)]
pub struct Cannot {
    /// Why.
    pub why: String,
    /// How many records.
    pub records: u32,
    /// When the first was.
    pub first: u64,
    /// When the last was.
    pub last: u64,
}

/// Runs the command.
pub fn run(stack: &StackArgs, args: &ReplayArgs) -> Result<(), Failure> {
    let of_stack = stack.named().is_some() && args.place.state.is_none();
    let usual = of_stack.then_some(OF_STACK);
    let replayed = place::at(stack, &args.place, &Replay { args, usual })?;
    if args.json {
        print(&replayed)?;
    } else {
        say(&told(&replayed))?;
    }
    match replayed.differ {
        0 => Ok(()),
        1 => Err(Failure::Unhealthy("a decision is not what was recorded".into())),
        many => Err(Failure::Unhealthy(format!("{many} decisions are not what was recorded"))),
    }
}

struct Replay<'a> {
    args: &'a ReplayArgs,
    usual: Option<Duration>,
}

impl Command for Replay<'_> {
    type Output = Replayed;

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
        &self,
        stand: &Stand<S, P, F, C>,
    ) -> Result<Replayed, Failure> {
        let group = group_of(stand, self.args.place.group.as_ref()).await?;
        let now = stand.clock.now();
        let usual = self.usual.map(|usual| now.minus(usual));
        let place = stand.place.clone();
        let replayed = replay(&stand.store, &group, self.args.since.or(usual), now).await?;
        Ok(Replayed { place, ..replayed })
    }
}

/// Takes all decisions since `from` again; none means the group's beginning.
async fn replay<S: Store>(
    store: &S,
    group: &GroupName,
    from: Option<Timestamp>,
    now: Timestamp,
) -> Result<Replayed, Failure> {
    let failed = |error| Failure::run(&format!("the record of {group} cannot be read"), &error);
    let head = store.head(group).await.map_err(failed)?;
    let head = head.ok_or_else(|| Failure::Input(format!("there is no group {group} that was ever decided on")))?;
    let mut replayed = Replayed { group: group.to_string(), ..Replayed::default() };
    let mut policies = Policies { store, group, known: BTreeMap::new() };
    let mut player: Option<Player> = None;
    let mut slice = from.unwrap_or(head.born).max(head.born);
    while slice <= now {
        let end = slice.plus(SLICE);
        let activities = store.between(group, slice, Some(end), MOST_OF_SLICE).await.map_err(failed)?;
        if activities.len() == MOST_OF_SLICE {
            return Err(Failure::Run(format!(
                "{group} has more than {MOST_OF_SLICE} activities in the hour after {slice}"
            )));
        }
        for recorded in activities.into_iter().filter_map(Recorded::of) {
            let player = player.get_or_insert_with(|| Player::new(recorded.at));
            let outcome = match policies.of(&recorded).await.map_err(failed)? {
                Err(why) => {
                    player.pass(&why);
                    Outcome::CannotBe(why)
                }
                Ok(policy) => {
                    let gap = player.gap(&recorded, policy);
                    let sweeps = sweeps(store, group, gap, policy.sweep_interval).await.map_err(failed)?;
                    player.take(&recorded, policy, &sweeps)
                }
            };
            replayed.count(&recorded, outcome);
        }
        slice = end;
    }
    Ok(replayed)
}

/// The policies that the log's decisions were taken with.
struct Policies<'a, S> {
    store: &'a S,
    group: &'a GroupName,
    known: BTreeMap<PolicyVersion, Result<Policy, String>>,
}

impl<S: GroupStore> Policies<'_, S> {
    async fn of(&mut self, recorded: &Recorded) -> Result<Result<&Policy, String>, muster_control::ports::StoreError> {
        let Some(version) = recorded.report.policy else { return Ok(Err("the record names no policy".into())) };
        if !self.known.contains_key(&version) {
            let stored = self.store.policy(self.group, version).await?;
            let policy = stored.ok_or_else(|| format!("policy version {version} is no longer kept"));
            let read = |text: &str| {
                Policy::parse(text)
                    .map_err(|error| format!("policy version {version} is not valid for this muster: {error}"))
            };
            self.known.insert(version, policy.and_then(|stored| read(&stored.text)));
        }
        let found = self.known.get(&version).map(|known| known.as_ref().map_err(Clone::clone));
        Ok(found.unwrap_or_else(|| Err("the record names no policy".into())))
    }
}

/// The sweeps between two slots, of a group of one shard: larger ones leave no snapshot.
async fn sweeps<S: SweepLog>(
    store: &S,
    group: &GroupName,
    gap: Option<(Timestamp, Timestamp)>,
    interval: Duration,
) -> Result<Vec<Sweep>, muster_control::ports::StoreError> {
    let Some((after, until)) = gap else { return Ok(Vec::new()) };
    // Slots are multiples of the interval: in half of one there is one at most.
    let part = (interval / 2).max(Duration::from_millis(1));
    let (mut from, mut found) = (after.plus(Duration::from_millis(1)), Vec::new());
    while from < until && found.len() <= MOST_SWEEPS {
        let end = from.plus(part * MOST_PARTS).min(until);
        let parts = millis(end.since(from)).div_ceil(millis(part)).max(1);
        let points = u32::try_from(parts).unwrap_or(MOST_PARTS);
        let parts = Parts { shard: Shard(0), from, until: end, points };
        found.extend(store.sampled(group, parts).await?);
        from = end;
    }
    Ok(found)
}

impl Replayed {
    fn count(&mut self, recorded: &Recorded, outcome: Outcome) {
        let at = recorded.at.as_millis();
        self.records += 1;
        self.decisions += u64::from(recorded.count);
        self.first = self.first.or(Some(at));
        self.last = Some(at);
        match outcome {
            Outcome::Agrees => self.agree += 1,
            Outcome::Differs(differences) => {
                self.differ += 1;
                if self.differing.len() < TOLD {
                    let (id, policy) = (recorded.id.clone(), recorded.report.policy);
                    self.differing.push(Differing { id, at, policy, differences });
                }
            }
            Outcome::CannotBe(why) => match self.cannot.iter_mut().find(|cannot| cannot.why == why) {
                Some(cannot) => (cannot.records, cannot.last) = (cannot.records + 1, at),
                None => self.cannot.push(Cannot { why, records: 1, first: at, last: at }),
            },
        }
    }
}

fn told(replayed: &Replayed) -> String {
    let Replayed { group, place, records, decisions, agree, differ, .. } = replayed;
    let (Some(first), Some(last)) = (replayed.first, replayed.last) else {
        return format!("group {group} of {place}: no decision is recorded in that time");
    };
    let mut text = format!(
        "group {group} of {place}: {decisions} decisions in {records} records, from {} to {}\n  {agree} agree to the bit, {differ} differ",
        moment(first),
        moment(last)
    );
    // Writing into a string does not fail.
    for one in &replayed.differing {
        let policy = one.policy.map(|version| format!(", policy version {version}")).unwrap_or_default();
        let _ = write!(text, "\n  {} at {}{policy}", plain(&one.id), moment(one.at));
        for Difference { key, recorded, replayed } in &one.differences {
            let _ = write!(
                text,
                "\n    {key}: recorded {}, now {}",
                plain(&recorded.to_string()),
                plain(&replayed.to_string())
            );
        }
    }
    for Cannot { why, records, first, last } in &replayed.cannot {
        let when = if first == last {
            format!("at {}", moment(*first))
        } else {
            format!("from {} to {}", moment(*first), moment(*last))
        };
        let _ = write!(text, "\n  {records} cannot be replayed, {when}: {}", plain(why));
    }
    text
}

#[cfg(test)]
mod tests {
    use muster_control::memory::MemoryStore;

    use super::*;
    use crate::golden;
    use crate::lived::{group, story};

    #[tokio::test]
    async fn what_was_replayed_reads_like_this() {
        let lived = story().await;
        let agreed = replay(&lived.stand.store, &group(), None, lived.stand.clock.now()).await.expect("a replay");
        let agreed = Replayed { place: lived.stand.place, ..agreed };
        assert_eq!((agreed.differ, agreed.agree, agreed.cannot.len()), (0, agreed.records, 0), "{agreed:?}");
        golden::check("replay.txt", &told(&agreed));
        golden::check_json("replay.json", &agreed);
        // As another version would have taken them: one decision differs, and some had a policy that is gone.
        let difference =
            Difference { key: "desired.after".into(), recorded: 4.into(), replayed: serde_json::Value::from(5) };
        let (id, at, policy) = ("decision-0009".into(), agreed.last.expect("a last one"), Some(PolicyVersion(2)));
        let why = "policy version 1 is no longer kept".into();
        let (first, last) = (agreed.first.expect("a first one"), at);
        let differing = vec![Differing { id, at, policy, differences: vec![difference] }];
        let cannot = vec![Cannot { why, records: 2, first, last }];
        let differs = Replayed { agree: agreed.agree - 3, differ: 1, differing, cannot, ..agreed };
        golden::check("replay-differs.txt", &told(&differs));
        golden::check_json("replay-differs.json", &differs);
        let nobody = replay(&MemoryStore::default(), &group(), None, Timestamp::EPOCH).await;
        assert!(nobody.expect_err("there is no group").to_string().contains("no group web that was ever decided on"));
    }
}
