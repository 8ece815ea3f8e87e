//! Random calls of a store: mostly good ones, some stale, some of what is not there; and what is compared after each.

use std::fmt::Debug;

use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterEntry, RosterNumber, Shard, Wanted};
use muster_core::intent::IntentId;
use muster_core::member::{InstanceId, MemberRecord, MemberState};
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;

use super::store::{Conflict, StoreModel, Tables};
use super::{Answer, Case, Dice, NextFate, Tested};
use crate::activity::Activity;
use crate::conformance::store::{self as examples, Store, at};
use crate::faulty::{Fate, Faulty};
use crate::memory::ManualClock;
use crate::ports::{
    ActivityLog, Claim, GroupStore, Groups, HealthStore, LeaseRequest, Release, Settlement, StoreError, StoredPolicy,
};

/// A write, and its fate.
#[derive(Clone, Debug)]
pub struct StoreCall {
    pub(super) fate: Fate,
    pub(super) made: Made,
}

/// A write.
#[derive(Clone, Debug)]
pub(super) enum Made {
    Claim(Box<Claim>),
    Lease(LeaseRequest),
    Release(Release),
    Settle(Settlement),
    TakeSlot(GroupName, Shard, Timestamp, &'static str),
    Append(Sweep),
}

const SHARDS: [Shard; 2] = [Shard(0), Shard(1)];

fn groups() -> [GroupName; 2] {
    [GroupName::default(), "other".parse().expect("a name")]
}

/// Draws a call that makes sense in `tables`, or just does not.
pub(super) fn draw(tables: &Tables, dice: &mut Dice) -> Made {
    let group = if dice.once_in(4) { groups()[1].clone() } else { GroupName::default() };
    let draw = Draw { tables, head: tables.heads.get(&group), group };
    match dice.below(16) {
        0..=4 => Made::Claim(Box::new(draw.claim(dice))),
        5..=8 => Made::Lease(draw.lease(dice)),
        9 => Made::Release(draw.release(dice)),
        10..=12 => Made::Settle(draw.settlement(dice)),
        13 => draw.slot(dice),
        _ => Made::Append(draw.sweep(dice)),
    }
}

fn draw_time(dice: &mut Dice) -> Timestamp {
    at(u64::try_from(dice.below(24)).expect("small") * 10)
}

/// The number that is right, or rarely the one before or after it.
fn nearly(dice: &mut Dice, right: u64) -> u64 {
    match dice.below(8) {
        6 => right.saturating_sub(1),
        7 => right + 1,
        _ => right,
    }
}

struct Draw<'a> {
    tables: &'a Tables,
    group: GroupName,
    head: Option<&'a Head>,
}

impl Draw<'_> {
    fn claim(&self, dice: &mut Dice) -> Claim {
        let version = self.head.map(|head| head.version);
        let expected = if dice.once_in(12) { None } else { version.map(|version| nearly(dice, version)) };
        let next = version.unwrap_or_default() + 1;
        let shard = dice.one(&SHARDS);
        let mut head = Head { group: self.group.clone(), version: next, ..self.head.cloned().unwrap_or_default() };
        head.outcomes.clear();
        head.desired = u32::try_from(dice.below(9)).expect("small");
        let put_rosters: Vec<Roster> = if dice.below(2) == 0 { Vec::new() } else { vec![self.roster(shard)] };
        head.rosters.extend(put_rosters.iter().map(|roster| (roster.shard, roster.number)));
        let fresh = |n: usize| examples::intent(&format!("{next:04}-{n}"));
        let policy = dice.once_in(4).then(|| StoredPolicy {
            version: PolicyVersion(next),
            text: format!("{{\"min_instances\":{next}}}"),
            since: at(next),
        });
        let bogus = [IntentId("not there".into())];
        let cancel = if dice.once_in(16) { &bogus[..] } else { &self.intents()[..] };
        Claim {
            expected,
            put_members: self.members(dice),
            delete_members: self.members(dice).into_iter().map(|member| member.id).collect(),
            put_intents: (0..dice.below(3)).map(fresh).collect(),
            cancel_intents: if dice.once_in(3) { dice.some(cancel, 1) } else { Vec::new() },
            put_rosters,
            put_policy: policy,
            put_learnt: None,
            activity: self.activity(dice),
            head,
        }
    }

    fn lease(&self, dice: &mut Dice) -> LeaseRequest {
        let (intent, attempt) = self.intent(dice);
        let now = draw_time(dice);
        let until = at(now.as_millis() + 10 + u64::try_from(dice.below(50)).expect("small"));
        LeaseRequest {
            group: self.group.clone(),
            intent,
            attempt,
            owner: format!("owner-{}", now.as_millis()),
            now,
            until,
        }
    }

    fn release(&self, dice: &mut Dice) -> Release {
        let (intent, attempt) = self.intent(dice);
        Release { group: self.group.clone(), intent, attempt, until: draw_time(dice) }
    }

    fn settlement(&self, dice: &mut Dice) -> Settlement {
        let shard = dice.one(&SHARDS);
        let seen = self.head.and_then(|head| head.rosters.get(&shard).copied());
        let wrong = dice.once_in(8);
        let mut settled = vec![self.intent(dice)];
        if dice.once_in(3) {
            settled.push(self.intent(dice));
            settled.dedup_by(|a, b| a.0 == b.0);
        }
        let put_members = self.members(dice);
        Settlement {
            group: self.group.clone(),
            shard,
            roster_seen: if wrong { Some(RosterNumber(nearly(dice, seen.unwrap_or_default().0 + 1))) } else { seen },
            settled,
            roster: (!put_members.is_empty()).then(|| self.roster(shard)),
            put_members,
            outcomes: (0..dice.below(3)).map(|n| examples::accepted(u64::try_from(n).expect("small"))).collect(),
            activity: self.activity(dice),
        }
    }

    /// A slot, often the one that is claimed already, for one of two owners.
    fn slot(&self, dice: &mut Dice) -> Made {
        let (shard, time) = (dice.one(&SHARDS), draw_time(dice));
        let taken = self.tables.slots.get(&(self.group.clone(), shard)).map(|(slot, _)| *slot);
        let slot = taken.filter(|_| dice.once_in(3)).unwrap_or(time);
        Made::TakeSlot(self.group.clone(), shard, slot, dice.one(&["me", "you"]))
    }

    fn sweep(&self, dice: &mut Dice) -> Sweep {
        let shard = dice.one(&SHARDS);
        let roster = self.head.and_then(|head| head.rosters.get(&shard).copied());
        let slot = draw_time(dice);
        let slot_ms = slot.as_millis();
        Sweep { group: self.group.clone(), shard, roster, ..examples::sweep(slot_ms) }
    }

    /// An intent with the attempt that it has; rarely another attempt, or one that is not there.
    fn intent(&self, dice: &mut Dice) -> (IntentId, u32) {
        let known = self.intents();
        let id = if known.is_empty() { IntentId("not there".into()) } else { dice.one(&known) };
        let attempt = self.tables.intents.get(&(self.group.clone(), id.clone())).map_or(0, |intent| intent.attempt);
        (id, u32::try_from(nearly(dice, attempt.into())).expect("small"))
    }

    fn intents(&self) -> Vec<IntentId> {
        let own = self.tables.intents.keys().filter(|(group, _)| *group == self.group);
        own.map(|(_, id)| id.clone()).collect()
    }

    /// The shard's next roster: a number is given once, also by a write that comes to nothing.
    fn roster(&self, shard: Shard) -> Roster {
        let used = self.tables.rosters.keys().filter(|(group, of, _)| *group == self.group && *of == shard);
        let number = used.map(|(.., number)| *number).max().unwrap_or_default().next();
        let entry = |n: u64| RosterEntry {
            id: InstanceId(format!("i-{n}")),
            endpoint: "127.0.0.1:1".into(),
            wanted: Wanted::Serve,
        };
        Roster { group: self.group.clone(), shard, number, entries: (0..number.0 % 3).map(entry).collect() }
    }

    fn members(&self, dice: &mut Dice) -> Vec<MemberRecord> {
        let ids = ["i-1", "i-2", "i-3", "i-4"];
        let states = [MemberState::Pending, MemberState::Active];
        let ids = dice.some(&ids, 2);
        ids.into_iter().map(|id| MemberRecord { state: dice.one(&states), ..examples::member(id) }).collect()
    }

    fn activity(&self, dice: &mut Dice) -> Vec<Activity> {
        // What is written again under its id keeps its place.
        let mut ids = dice.some(&[("a", 90), ("b", 10), ("c", 110), ("d", 10), ("e", 230)], 2);
        ids.dedup();
        let own = |(id, since): (&str, u64), time: Timestamp| Activity {
            group: self.group.clone(),
            ..examples::decision(id, since, time.as_millis())
        };
        ids.into_iter().map(|id| own(id, draw_time(dice))).collect()
    }
}

/// Makes the calls of a case, and compares every answer and all that can be read.
pub(super) async fn play<S: Store>(store: S, case: Case<StoreModel>) {
    let (next, clock) = (NextFate::default(), ManualClock::at(Timestamp::EPOCH));
    let tested: Tested<'_, S> = Faulty { inner: store, schedule: &next, clock: &clock };
    for (call, model) in case.steps() {
        next.set(call.fate);
        let answered = match &call.made {
            Made::Claim(claim) => tested.claim(claim).await.map(|()| 0),
            Made::Lease(request) => tested.lease(request).await,
            Made::Release(release) => tested.release(release).await.map(|()| 0),
            Made::Settle(settlement) => tested.settle(settlement).await.map(|()| 0),
            Made::TakeSlot(group, shard, slot, owner) => {
                tested.take_slot(group, *shard, *slot, owner).await.map(|()| 0)
            }
            Made::Append(sweep) => tested.append(sweep).await.map(|()| 0),
        };
        let answered = match answered {
            Ok(attempt) => Answer::Ok(attempt),
            Err(StoreError::Conflict) => Answer::Err(Conflict),
            Err(StoreError::Throttled(_)) => Answer::Throttled,
            Err(StoreError::Unavailable(_)) => Answer::Unavailable,
            Err(error @ StoreError::Corrupt(_)) => panic!("{error:?} to {call:?}"),
        };
        assert_eq!(answered, model.answer, "the answer to {call:?}");
        for group in groups() {
            compare(&tested, &model.tables, &group).await;
        }
    }
}

/// Everything that can be read of a group. Rosters that HEAD does not name may have been forgotten, and policies never.
async fn compare<S: Store>(store: &Tested<'_, S>, tables: &Tables, group: &GroupName) {
    let state = tables.state(group);
    assert_eq!(read(store.read(group).await), state);
    assert_eq!(read(store.intents(group).await), state.as_ref().map_or_else(Vec::new, |state| state.intents.clone()));
    assert_eq!(read(store.head(group).await), state.map(|state| state.head));
    for ((of, shard, number), put) in tables.rosters.iter().filter(|((of, ..), _)| of == group) {
        let found = read(store.roster(of, *shard, *number).await);
        let in_force = tables.heads.get(of).is_some_and(|head| head.rosters.get(shard) == Some(number));
        assert!(found.as_ref() == Some(put) || (found.is_none() && !in_force), "roster {number} of {shard}: {found:?}");
    }
    for ((of, version), put) in tables.policies.iter().filter(|((of, _), _)| of == group) {
        assert_eq!(read(store.policy(of, *version).await).as_ref(), Some(put));
    }
    for shard in SHARDS {
        let after_all = tables.rosters.keys().map(|(.., number)| *number).max().unwrap_or_default().next();
        assert_eq!(read(store.roster(group, shard, after_all).await), None);
        assert_eq!(read(store.latest(group, shard).await), tables.latest(group, shard));
    }
    assert_eq!(read(store.policy(group, PolicyVersion(u64::from(u32::MAX))).await), None);
    for (from, limit) in [(0, 100), (100, 100), (0, 2)] {
        assert_eq!(read(store.since(group, at(from), limit).await), tables.since(group, at(from), limit));
    }
}

fn read<T: Debug>(answer: Result<T, StoreError>) -> T {
    answer.expect("a read")
}
