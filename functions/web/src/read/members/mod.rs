//! The members: those that are asked for, in the order that is asked for, page by page.
//!
//! Whoever shows a page of a large group is sent that page, and what must be known of all the others: how many there are in which phase, and which are hot.

mod line;
mod loads;

use std::cmp::Ordering;
use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use muster_control::ports::{Clock, GroupState};
use muster_core::group::GroupName;
use muster_core::member::{InstanceId, Phase};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use line::{LeavingLine, MemberLine};
pub use loads::{MemberLoads, member_loads};

use super::sampling::{self, Asked};
use super::{Looked, ReadError, count};
use crate::stand::{Stand, Store};

/// Points of the loads of late.
const SPARK_POINTS: u32 = 30;
/// Bytes of sampled sweeps that they may cost: they are asked for again and again.
const SPARK_BUDGET: u64 = 150_000;
/// Hot spots that are named.
const MOST_HOT: usize = 60;

/// Which members are asked for, and in which order. Nothing said: all of them, by id.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AskedMembers {
    /// Only those in whose id, zone, template, agent's version or detail this stands, in capitals or not; blanks around it do not count.
    pub find: String,
    /// Only those in this phase.
    pub phase: Option<Phase>,
    /// Only the hot ones.
    pub hot: bool,
    /// By what they are ordered; those that are the same in that, by id.
    pub sort: Sort,
    /// Which way.
    pub order: Order,
    /// Which page, from 0 on; where there are fewer, the last.
    pub page: u32,
    /// How many make a page, one at least; none: all are on one.
    pub limit: Option<u32>,
}

/// By what members are ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Sort {
    /// The instance.
    #[default]
    Id,
    /// The phase, what wants to be looked at first.
    Phase,
    /// The zone.
    Zone,
    /// The age.
    Age,
    /// The load; no load is less than any.
    Load,
    /// The last answer; none is before any.
    Answer,
    /// The agent's version.
    Agent,
}

/// Which way something is ordered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Order {
    /// The least first.
    #[default]
    Up,
    /// The most first.
    Down,
}

/// Members of a group.
#[derive(Clone, Debug, Default, PartialEq, Serialize, JsonSchema)]
pub struct Members {
    /// How many the group has.
    pub total: u32,
    /// How many of them are in each phase that any is in.
    pub phases: BTreeMap<Phase, u32>,
    /// Those that are hot.
    pub hot: HotSpots,
    /// How many of the group are as was asked.
    pub matching: u32,
    /// Which page of these follows, from 0 on.
    pub page: u32,
    /// That page.
    pub members: Vec<MemberLine>,
}

/// The members that are hot.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HotSpots {
    /// How many.
    pub count: u32,
    /// Their instances, the hottest first; no more than sixty.
    pub ids: Vec<String>,
}

impl HotSpots {
    fn of(members: &[MemberLine]) -> Self {
        let mut hot: Vec<&MemberLine> = members.iter().filter(|member| member.hot).collect();
        hot.sort_by(|a, b| Sort::Load.compare(b, a).then_with(|| a.id.cmp(&b.id)));
        Self { count: count(hot.len()), ids: hot.iter().take(MOST_HOT).map(|member| member.id.clone()).collect() }
    }
}

impl AskedMembers {
    /// Whether a member is asked for, when `find` is in small letters.
    fn wants(&self, member: &MemberLine) -> bool {
        let texts = [&member.id, &member.zone, &member.template, &member.agent_version, &member.detail];
        self.phase.is_none_or(|phase| member.phase == phase)
            && (member.hot || !self.hot)
            && (self.find.is_empty() || texts.iter().any(|text| text.to_lowercase().contains(&self.find)))
    }

    fn compare(&self, a: &MemberLine, b: &MemberLine) -> Ordering {
        let compared = self.sort.compare(a, b);
        let compared = if self.order == Order::Down { compared.reverse() } else { compared };
        compared.then_with(|| a.id.cmp(&b.id))
    }

    /// The page that is asked for of the members of a group.
    fn of(mut self, mut members: Vec<MemberLine>) -> Members {
        self.find = self.find.trim().to_lowercase();
        let (total, hot) = (count(members.len()), HotSpots::of(&members));
        let mut phases = BTreeMap::new();
        for member in &members {
            *phases.entry(member.phase).or_insert(0) += 1;
        }
        members.retain(|member| self.wants(member));
        members.sort_by(|a, b| self.compare(a, b));
        let matching = count(members.len());
        let size = self.limit.unwrap_or(matching).max(1);
        let page = self.page.min(matching.saturating_sub(1) / size);
        let index = |place: u32| usize::try_from(place).unwrap_or(usize::MAX);
        let members = members.into_iter().skip(index(page * size)).take(index(size)).collect();
        Members { total, phases, hot, matching, page, members }
    }
}

impl Sort {
    fn compare(self, a: &MemberLine, b: &MemberLine) -> Ordering {
        match self {
            Self::Id => a.id.cmp(&b.id),
            Self::Phase => urgency(a.phase).cmp(&urgency(b.phase)),
            Self::Zone => a.zone.cmp(&b.zone),
            Self::Age => b.launched_at.cmp(&a.launched_at),
            Self::Load => a.load.unwrap_or(-1.0).total_cmp(&b.load.unwrap_or(-1.0)),
            Self::Answer => a.last_answer.cmp(&b.last_answer),
            Self::Agent => a.agent_version.cmp(&b.agent_version),
        }
    }
}

/// What wants to be looked at first is the least.
const fn urgency(phase: Phase) -> u8 {
    match phase {
        Phase::Suspect => 0,
        Phase::Terminating => 1,
        Phase::Draining => 2,
        Phase::Pending => 3,
        Phase::Warming => 4,
        Phase::InService => 5,
    }
}

/// Members of a group.
pub async fn members<S: Store, P, F, C: Clock>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    asked: AskedMembers,
) -> Result<Members, ReadError> {
    let state = stand.store.read(group).await?.ok_or_else(|| ReadError::no_group(group))?;
    let GroupState { head, members, .. } = state;
    let looked = Looked::with(stand, head).await?;
    let mut found = asked.of(members.iter().map(|record| line::line(record, &looked)).collect());
    spark(&stand.store, &looked, &mut found.members).await?;
    Ok(found)
}

/// One member of a group.
pub async fn member<S: Store, P, F, C: Clock>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    id: &InstanceId,
) -> Result<MemberLine, ReadError> {
    let state = stand.store.read(group).await?.ok_or_else(|| ReadError::no_group(group))?;
    let record = state.members.iter().find(|record| record.id == *id).ok_or_else(|| ReadError::no_member(group, id))?;
    let looked = Looked::with(stand, state.head).await?;
    Ok(line::line(record, &looked))
}

/// Fills in the loads of late of `members`.
async fn spark<S: Store>(store: &S, looked: &Looked, members: &mut [MemberLine]) -> Result<(), ReadError> {
    let (Some(slot), Some(sweep), [_, ..]) = (looked.slot(), looked.sweep(), &*members) else { return Ok(()) };
    let (group, rosters) = (&looked.head.group, &looked.head.rosters);
    let points = sampling::points(sweep.members, count(rosters.len()), SPARK_POINTS, SPARK_BUDGET);
    let until = slot.plus(Duration::from_millis(1));
    // Both ends of the grid are rounded outwards: one part less, so that no more points come of it.
    let span = looked.period().saturating_mul(points.saturating_sub(1).max(1));
    let asked = Asked { from: Some(until.minus(span)), until: Some(until), ..Asked::default() };
    let grid = asked.grid(looked.now, looked.period(), |_| points)?;
    let shown: BTreeSet<&str> = members.iter().map(|member| member.id.as_str()).collect();
    let (_, mut loads) = loads::loads(store, group, rosters.keys(), grid, |id| shown.contains(id)).await?;
    for member in members {
        member.spark = loads.remove(&member.id).unwrap_or_default();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(id: &str, phase: Phase, load: Option<f64>, hot: bool) -> MemberLine {
        MemberLine {
            id: id.into(),
            zone: if load.is_some() { "eu-west-1a".into() } else { String::new() },
            shard: 0,
            phase,
            load,
            signals: BTreeMap::new(),
            last_answer: load.map(|load| load as u64),
            silent_since: None,
            detail: if phase == Phase::Suspect { "Connection refused".into() } else { String::new() },
            agent: None,
            agent_version: if hot { "0.2.0".into() } else { "0.1.0".into() },
            marked_since: None,
            protected: false,
            protected_by_agent: false,
            leaving: None,
            replaces: None,
            template: "lt-web".into(),
            template_version: 1,
            launched_at: u64::from(id.as_bytes()[2]),
            first_answer: None,
            spark: Vec::new(),
            hot,
        }
    }

    fn group() -> Vec<MemberLine> {
        vec![
            one("i-a", Phase::InService, Some(40.0), false),
            one("i-b", Phase::InService, Some(95.0), true),
            one("i-c", Phase::Suspect, None, false),
            one("i-d", Phase::Warming, Some(40.0), false),
            one("i-e", Phase::InService, Some(99.0), true),
        ]
    }

    fn ids(found: &Members) -> String {
        found.members.iter().map(|member| member.id.trim_start_matches("i-")).collect()
    }

    #[test]
    fn members_are_found_and_ordered_as_is_asked() {
        let all = AskedMembers::default;
        let by = |sort, order| AskedMembers { sort, order, ..all() };
        let table = [
            (all(), "abcde"),
            (by(Sort::Id, Order::Down), "edcba"),
            (by(Sort::Load, Order::Up), "cadbe"),
            (by(Sort::Load, Order::Down), "ebadc"),
            (by(Sort::Phase, Order::Up), "cdabe"),
            (by(Sort::Age, Order::Up), "edcba"),
            (by(Sort::Zone, Order::Up), "cabde"),
            (by(Sort::Answer, Order::Down), "ebadc"),
            (by(Sort::Agent, Order::Down), "beacd"),
            (AskedMembers { hot: true, ..all() }, "be"),
            (AskedMembers { phase: Some(Phase::InService), ..all() }, "abe"),
            (AskedMembers { phase: Some(Phase::Suspect), hot: true, ..all() }, ""),
            (AskedMembers { find: "I-D".into(), ..all() }, "d"),
            (AskedMembers { find: " i-d\t".into(), ..all() }, "d"),
            (AskedMembers { find: "0.2".into(), ..all() }, "be"),
            (AskedMembers { find: "REFUSED".into(), ..all() }, "c"),
            (AskedMembers { find: "lt-web".into(), ..by(Sort::Load, Order::Down) }, "ebadc"),
            (AskedMembers { find: "nobody".into(), ..all() }, ""),
        ];
        for (asked, expected) in table {
            let found = asked.clone().of(group());
            assert_eq!((ids(&found).as_str(), found.matching), (expected, count(expected.len())), "{asked:?}");
            // What is told of all of them does not go by what is asked.
            assert_eq!((found.total, found.hot.count, found.hot.ids.join(" ").as_str()), (5, 2, "i-e i-b"));
            let phases = [(Phase::Warming, 1), (Phase::InService, 3), (Phase::Suspect, 1)];
            assert_eq!(found.phases, BTreeMap::from(phases));
        }
    }

    #[test]
    fn pages_have_every_member_once_and_after_the_last_comes_the_last() {
        for limit in 1..=6 {
            let page = |page| AskedMembers { page, limit: Some(limit), ..AskedMembers::default() }.of(group());
            let pages = 5_u32.div_ceil(limit);
            assert_eq!((0..pages).map(|nth| ids(&page(nth))).collect::<String>(), "abcde", "{limit}");
            for beyond in [pages, u32::MAX] {
                assert_eq!((page(beyond).page, ids(&page(beyond))), (pages - 1, ids(&page(pages - 1))), "{limit}");
            }
        }
        let asked = |limit| AskedMembers { page: 7, limit, ..AskedMembers::default() };
        assert_eq!(ids(&asked(Some(0)).of(group())), "e", "a page has one member at least");
        assert_eq!((ids(&asked(None).of(group())).as_str(), asked(None).of(group()).page), ("abcde", 0));
        assert_eq!(asked(Some(2)).of(Vec::new()), Members::default());
    }

    #[test]
    fn hot_spots_are_counted_and_not_all_named() {
        let many = (100..200).map(|n| one(&format!("i-{n}"), Phase::InService, Some(f64::from(n) / 2.0), true));
        let found = AskedMembers { limit: Some(1), ..AskedMembers::default() }.of(many.collect());
        assert_eq!((found.hot.count, found.hot.ids.len(), found.hot.ids[0].as_str()), (100, MOST_HOT, "i-199"));
    }
}
