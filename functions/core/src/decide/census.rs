//! The members, each in its phase, as the contract counts them.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::health::{AgentState, Health, Load, Seen};
use crate::intent::{Call, Cause, Intent, IntentId, LaunchSpec};
use crate::member::{InstanceId, MemberState, Phase};
use crate::policy::Policy;
use crate::report::Counts;
use crate::snapshot::{FleetInstance, Member, Snapshot};
use crate::time::{Timestamp, spoken};

/// EC2's facts lag: for this long after its launch an instance may be shown without the tags that it was launched with, and nobody
/// is disowned (O5).
const TAGS_SHOWN: Duration = Duration::from_secs(60);

/// Sweeps that a member must have missed before it counts as unhealthy (H1): one miss never kills.
const MISSED_SWEEPS: u32 = 3;

/// A member and what is derived of it.
pub(super) struct Seat<'a> {
    pub(super) member: &'a Member,
    pub(super) phase: Phase,
    /// When its agent first answered, if it ever did.
    pub(super) first_answer: Option<Timestamp>,
    /// Its load, when it serves (M1).
    pub(super) serving: Option<Load>,
    /// Whether it answered in the latest sweep and its application does not fail.
    pub(super) healthy: bool,
    /// Why it is unhealthy, if it is (H1).
    pub(super) unhealthy: Option<String>,
    /// Whether that is for its silence: its agent is dead, as far as anybody can say.
    pub(super) dead: bool,
    /// Whether its silence has a known cause: the agent said that it was about to restart (H6).
    excused: bool,
    /// Whether EC2 says that it is impaired, so that its silence needs no other witness (H3).
    pub(super) impaired: bool,
    /// Whether somebody has stopped it, by EC2's word (O5).
    pub(super) stopped: bool,
    /// Whether it may not be a scale-in victim (D2): by its tag as EC2 says it or last said it, or by its agent's word.
    pub(super) protected: bool,
    /// Since when its tag has marked it for draining (D8), as EC2 says it or last said it.
    pub(super) marked: Option<Timestamp>,
    /// Whether EC2 was asked for its tags now, and said them: without that nothing begins or is taken back for their sake.
    pub(super) asked: bool,
}

impl Seat<'_> {
    /// Whether its agent answered in the latest sweep.
    pub(super) fn answered(&self) -> bool {
        self.member.health.as_ref().is_some_and(|health| health.seen == Seen::Answered)
    }

    /// Whether its agent says that the machine is about to go (H6).
    pub(super) fn leaves(&self) -> bool {
        self.answered() && self.member.health.as_ref().is_some_and(|health| health.agent == Some(AgentState::Leaving))
    }

    /// Since when an operator has wanted it drained, if he does: protection outranks the mark (D2).
    pub(super) fn wanted_gone(&self) -> Option<Timestamp> {
        self.marked.filter(|_| !self.protected)
    }

    /// Whether it has drained, by its own word.
    pub(super) fn drained(&self) -> bool {
        // What it said in an earlier drain, which was taken back, says nothing about this one.
        let since = match &self.member.state {
            MemberState::Draining(leaving) => leaving.since,
            MemberState::Pending | MemberState::Active | MemberState::Terminating(_) => Timestamp::EPOCH,
        };
        let drained = |health: &Health| {
            health.agent == Some(AgentState::Drained)
                && health.unregistered_at.is_some()
                && health.last_answer.is_none_or(|at| at >= since)
        };
        self.member.health.as_ref().is_some_and(drained)
    }
}

/// A launch that is not settled yet: it counts as Pending (C3).
pub(super) struct OpenLaunch<'a> {
    pub(super) intent: &'a Intent,
    pub(super) spec: &'a LaunchSpec,
}

/// How many members that have ever answered there are, and how many of them are silent for no known cause.
#[derive(Clone, Copy, Default)]
pub(super) struct Silence {
    pub(super) ever: u32,
    pub(super) silent: u32,
}

impl Silence {
    fn count(&mut self, silent: bool) {
        self.ever += 1;
        self.silent += u32::from(silent);
    }

    /// Whether so many are silent together that it is probably our own fault (H3).
    pub(super) fn is_mass(self, policy: &Policy) -> bool {
        self.silent >= 2
            && u64::from(self.silent) * 100 >= u64::from(self.ever) * u64::from(policy.max_unhealthy_percent)
    }
}

/// The group, sorted.
pub(super) struct Census<'a> {
    pub(super) now: Timestamp,
    /// The effective period of the sweeps.
    pub(super) period: Duration,
    pub(super) blind: Option<&'a str>,
    /// The version of the launch template that a launch would use now, 0 without a template; none when it is not known.
    pub(super) template_version: Option<u64>,
    /// Members that EC2 does not call gone, by id.
    pub(super) seats: BTreeMap<&'a InstanceId, Seat<'a>>,
    /// Members that EC2 calls gone (H7), or has not listed for long enough.
    pub(super) gone: Vec<&'a Member>,
    /// Members from which somebody has taken our tag (O5).
    pub(super) disowned: Vec<&'a Member>,
    /// Members that EC2 does not list at all; None: EC2 was not asked with success.
    pub(super) unlisted: Option<BTreeSet<&'a InstanceId>>,
    /// Instances that EC2 calls protected, or last called so (D2); None: EC2 was not asked with success.
    pub(super) tagged: Option<BTreeSet<&'a InstanceId>>,
    pub(super) open: BTreeMap<&'a IntentId, OpenLaunch<'a>>,
    /// Members with an open terminate intent.
    pub(super) ending: BTreeSet<&'a InstanceId>,
    /// Unhealthy members whose replacement is launched or under way (H4), and those that an operator has marked (D8), with the
    /// replacement's id, once it has one.
    pub(super) pairs: BTreeMap<&'a InstanceId, Option<&'a InstanceId>>,
    pub(super) counts: Counts,
    /// Sum of the serving members' loads.
    pub(super) load_sum: f64,
    /// Members that have ever answered and are not on their way out, and how many of them did not answer now.
    ever: u32,
    unanswering: u32,
    /// The same, without those whose silence has a known cause: for the group's breaker and for each zone's (H3).
    pub(super) silence: Silence,
    pub(super) zones: BTreeMap<&'a str, Silence>,
    /// Members in service or suspect that answered in the latest sweep (M5).
    pub(super) answering: u32,
    /// Whether silence is evidence: the sweep is fresh, MonitorS was not blind, and somebody answers. Without it nobody is
    /// taken for unhealthy when victims are chosen (S5, O8).
    pub(super) trusted: bool,
}

impl<'a> Census<'a> {
    pub(super) fn take(snapshot: &'a Snapshot, policy: &Policy) -> Self {
        let sweep = snapshot.sweep.as_ref();
        let stored_period = Duration::from_millis(sweep.map_or(0, |sweep| sweep.period_ms));
        let period = stored_period.max(policy.sweep_interval);
        let template_version = match (&policy.launch.template, policy.launch.template_version) {
            (None, _) => Some(0),
            (Some(_), Some(pinned)) => Some(pinned),
            (Some(_), None) => snapshot.template_version,
        };
        let mut census = Self {
            template_version,
            now: snapshot.now,
            period,
            blind: sweep.and_then(|sweep| sweep.blind.as_deref()),
            seats: BTreeMap::new(),
            gone: Vec::new(),
            disowned: Vec::new(),
            unlisted: None,
            tagged: None,
            open: BTreeMap::new(),
            ending: BTreeSet::new(),
            pairs: BTreeMap::new(),
            counts: Counts::default(),
            load_sum: 0.0,
            ever: 0,
            unanswering: 0,
            silence: Silence::default(),
            zones: BTreeMap::new(),
            answering: 0,
            trusted: false,
        };
        census.sort_members(snapshot, policy);
        census.sort_intents(snapshot);
        // Where nobody is wanted, nobody is replaced: both of a pair are to go.
        if !policy.empties(snapshot.head.desired) {
            census.pair_replacements();
        }
        census.count();
        let fresh = sweep.is_some_and(|sweep| snapshot.now.since(sweep.slot) <= period * super::STALE_PERIODS);
        census.trusted = fresh && census.blind.is_none() && !census.nobody_answers();
        census
    }

    fn sort_members(&mut self, snapshot: &'a Snapshot, policy: &Policy) {
        let listed: Option<BTreeMap<_, _>> =
            snapshot.fleet.as_ref().map(|fleet| fleet.iter().map(|i| (&i.id, i)).collect());
        let slot = snapshot.sweep.as_ref().map_or(snapshot.now, |sweep| sweep.slot);
        let mut unlisted = BTreeSet::new();
        for member in &snapshot.members {
            let facts = listed.as_ref().map(|listed| listed.get(&member.id).copied());
            match facts {
                Some(Some(facts)) if facts.state.is_gone() => {
                    self.witness(member);
                    self.gone.push(member);
                    continue;
                }
                Some(Some(facts)) if !facts.ours && snapshot.now.since(member.launched_at) >= TAGS_SHOWN => {
                    self.witness(member);
                    self.disowned.push(member);
                    continue;
                }
                Some(None) => {
                    unlisted.insert(&member.id);
                    let seen = super::saga::sighted_again(snapshot.head.not_found.get(&member.id), snapshot.now);
                    if super::saga::proves_absence(&seen, snapshot.now) {
                        self.gone.push(member);
                        continue;
                    }
                }
                Some(Some(_)) | None => {}
            }
            let mut seat = self.seat(member, facts.flatten(), policy, slot);
            let remembered = || snapshot.head.protected.contains(&member.id);
            seat.protected |= facts.flatten().map_or_else(remembered, |facts| facts.protected);
            let since = snapshot.head.marked.get(&member.id).copied();
            seat.marked = match facts.flatten() {
                // Clocks differ: by the next controller's it must not begin later.
                Some(facts) => facts.drain.then(|| since.unwrap_or(snapshot.now).min(snapshot.now)),
                None => since,
            };
            seat.asked = facts.flatten().is_some();
            self.seats.insert(&member.id, seat);
        }
        self.gone.sort_by(|a, b| a.id.cmp(&b.id));
        self.disowned.sort_by(|a, b| a.id.cmp(&b.id));
        // Also of those whose launch is not settled yet: EC2 may be out of reach when they become members.
        self.tagged = snapshot.fleet.as_ref().map(|fleet| {
            // Who has lost our tag just now is a member still, and may have it back before EC2 can be asked again.
            let known = |instance: &&FleetInstance| instance.ours || self.seats.contains_key(&instance.id);
            let listed = fleet.iter().filter(known).filter(|instance| instance.protected).map(|instance| &instance.id);
            // Nobody knows which instance an open launch has made; it may be one that has lost its tag meanwhile.
            let launching = snapshot.intents.iter().any(|intent| matches!(intent.call, Call::Launch(_)));
            let known: BTreeSet<_> = fleet.iter().map(|instance| &instance.id).collect();
            let unseen = snapshot.head.protected.iter();
            let unseen = unseen.filter(|id| unlisted.contains(id) || (launching && !known.contains(id)));
            listed.chain(unseen).collect()
        });
        self.unlisted = listed.is_some().then_some(unlisted);
    }

    /// Counts a member whose record is about to be closed among those whose silence makes a sweep dark: it was swept with the
    /// others, and what nobody has answered to is evidence of nothing (S5).
    fn witness(&mut self, member: &Member) {
        let at_work = matches!(member.state, MemberState::Pending | MemberState::Active);
        let health = member.health.as_ref();
        let ever = member.first_answer.or_else(|| health.and_then(|health| health.first_answer)).is_some();
        if at_work && ever {
            self.ever += 1;
            self.unanswering += u32::from(health.is_none_or(|health| health.seen != Seen::Answered));
        }
    }

    fn seat(&self, member: &'a Member, facts: Option<&FleetInstance>, policy: &Policy, slot: Timestamp) -> Seat<'a> {
        let health = member.health.as_ref();
        let pending = member.state == MemberState::Pending;
        let first_answer = member
            .first_answer
            .or_else(|| health.and_then(|health| health.first_answer))
            .or_else(|| health.filter(|health| pending && health.seen == Seen::Answered).map(|_| slot))
            .or((!pending).then_some(Timestamp::EPOCH));
        let answered = health.is_some_and(|health| health.seen == Seen::Answered);
        let failing = health.is_some_and(|health| health.failing_sweeps > 0);
        let phase = match (&member.state, first_answer) {
            (MemberState::Draining(_), _) => Phase::Draining,
            (MemberState::Terminating(_), _) => Phase::Terminating,
            (MemberState::Pending | MemberState::Active, None) => Phase::Pending,
            (MemberState::Pending | MemberState::Active, Some(first)) => {
                if self.now.since(first) < policy.warm_up {
                    Phase::Warming
                } else if answered && !failing {
                    Phase::InService
                } else {
                    Phase::Suspect
                }
            }
        };
        let oldest = policy.max_sample_age.unwrap_or(self.period * 3);
        let serving = health
            .filter(|_| phase == Phase::InService)
            .filter(|health| self.now.since(health.sampled_at.unwrap_or(slot)) <= oldest)
            .and_then(|health| health.load);
        let (silence, failure) = match phase {
            Phase::InService | Phase::Suspect | Phase::Warming | Phase::Draining => self.judge(member, policy),
            Phase::Pending | Phase::Terminating => (None, None),
        };
        Seat {
            member,
            phase,
            first_answer,
            serving,
            healthy: answered && !failing,
            dead: silence.is_some(),
            unhealthy: silence.or(failure),
            excused: health.is_some_and(|health| self.excused(health, policy)),
            impaired: facts.is_some_and(|facts| facts.impaired),
            stopped: facts.is_some_and(|facts| facts.state.is_stopped()),
            protected: health.is_some_and(|health| health.protected),
            marked: None,
            asked: false,
        }
    }

    /// Whether a silence has a known cause (H6): the agent's last word was that it is about to restart. It has the grace of
    /// a launch to come back.
    fn excused(&self, health: &Health, policy: &Policy) -> bool {
        let patience = policy.grace_period.saturating_add(policy.unhealthy_after);
        health.agent == Some(AgentState::Restarting)
            && health.silent_since.is_some_and(|since| self.now.since(since) < patience)
    }

    /// Why a member that has answered once is unhealthy now, for its silence and for its application: H1 in full.
    fn judge(&self, member: &Member, policy: &Policy) -> (Option<String>, Option<String>) {
        let Some(health) = &member.health else { return (None, None) };
        if self.now.since(member.launched_at) < policy.grace_period {
            return (None, None);
        }
        let lasts = |since: Option<Timestamp>, sweeps: u32, what: &str| {
            let span = self.now.since(since?);
            let lasts = sweeps >= MISSED_SWEEPS && span >= policy.unhealthy_after;
            lasts.then(|| format!("{what} for {} and {sweeps} sweeps", spoken(span)))
        };
        let silence = lasts(health.silent_since, health.silent_sweeps, "its agent has been silent");
        let silence = silence.filter(|_| !self.excused(health, policy));
        (silence, lasts(health.failing_since, health.failing_sweeps, "its application has failed"))
    }

    fn sort_intents(&mut self, snapshot: &'a Snapshot) {
        for intent in &snapshot.intents {
            match &intent.call {
                Call::Launch(spec) => {
                    self.open.insert(&intent.id, OpenLaunch { intent, spec });
                }
                Call::Terminate { instance, .. } => {
                    self.ending.insert(instance);
                }
            }
        }
    }

    /// Pairs each unhealthy member with the replacement that was launched for it. A pair whose old member has
    /// recovered, or is on its way out, is no pair any more; nor is one whose replacement is unhealthy itself: it would
    /// never stand in, and hold its place among those under replacement for ever. A member that an operator has marked (D8) is
    /// replaced by a launch that was ordered since then, and by no earlier one.
    fn pair_replacements(&mut self) {
        let launched = self.seats.values().filter(|seat| seat.phase.is_actual() && seat.unhealthy.is_none());
        let launched = launched
            .filter_map(|seat| Some((seat.member.replaces.as_ref()?, Some(&seat.member.id), seat.member.intended_at)));
        let open = self.open.values().filter_map(|open| Some((open.spec.replaces.as_ref()?, None, open.intent.at)));
        let pairs: Vec<_> = launched.chain(open).collect();
        for (old, new, ordered) in pairs {
            let leaves =
                |seat: &Seat<'_>| seat.unhealthy.is_some() || seat.wanted_gone().is_some_and(|since| ordered >= since);
            if self.seats.get(old).is_some_and(|seat| seat.phase.is_actual() && leaves(seat)) {
                self.pairs.entry(old).or_insert(new);
            }
        }
    }

    fn count(&mut self) {
        let counts = &mut self.counts;
        for seat in self.seats.values() {
            match seat.phase {
                Phase::Pending => counts.pending += 1,
                Phase::Warming => counts.warming += 1,
                Phase::InService => counts.in_service += 1,
                Phase::Suspect => counts.suspect += 1,
                Phase::Draining => counts.draining += 1,
                Phase::Terminating => counts.terminating += 1,
            }
            match seat.serving {
                Some(load) => {
                    counts.serving += 1;
                    self.load_sum += load.percent();
                }
                None if matches!(seat.phase, Phase::InService | Phase::Suspect) => counts.missing += 1,
                None => {}
            }
            self.answering += u32::from(matches!(seat.phase, Phase::InService | Phase::Suspect) && seat.answered());
            if seat.phase.is_actual() && seat.first_answer.is_some() {
                let silent = !seat.answered() && !seat.excused;
                self.ever += 1;
                self.unanswering += u32::from(!seat.answered());
                self.silence.count(silent);
                self.zones.entry(&seat.member.zone).or_default().count(silent);
            }
        }
        counts.pending += u32::try_from(self.open.len()).unwrap_or(u32::MAX);
        counts.actual = counts.pending + counts.warming + counts.in_service + counts.suspect;
    }

    /// Members for which somebody has been launched who is in one of `phases`, or is still to come.
    pub(super) fn replaced(&self, phases: fn(Phase) -> bool) -> impl Iterator<Item = &'a InstanceId> {
        let launched = self.seats.values().filter(move |seat| phases(seat.phase));
        let open = self.open.values().filter_map(|open| open.spec.replaces.as_ref());
        launched.filter_map(|seat| seat.member.replaces.as_ref()).chain(open)
    }

    /// *actual* as C4 counts it: a member under replacement and its replacement are one towards desired.
    pub(super) fn effective(&self) -> u32 {
        self.counts.actual.saturating_sub(u32::try_from(self.pairs.len()).unwrap_or(u32::MAX))
    }

    /// The same without the load-driven launches that EC2 has not accepted yet.
    pub(super) fn accepted(&self) -> u32 {
        let open = self.open.values().filter(|open| open.intent.cause == Cause::Load).count();
        self.effective().saturating_sub(u32::try_from(open).unwrap_or(u32::MAX))
    }

    /// Members in *actual* that EC2 has taken from us.
    pub(super) fn lost(&self) -> usize {
        let at_work = |member: &&&Member| matches!(member.state, MemberState::Pending | MemberState::Active);
        self.gone.iter().chain(&self.disowned).filter(at_work).count()
    }

    /// Whether members have answered before and none of them does now: then nobody is terminated for load or health
    /// (S5).
    pub(super) fn nobody_answers(&self) -> bool {
        self.ever > 0 && self.unanswering == self.ever
    }

    /// The ids of those in `phase` of which `wanted` holds, at most three and a count, for a remark.
    pub(super) fn names(&self, wanted: impl Fn(&Seat<'a>) -> bool) -> Option<String> {
        let mut names = self.seats.values().filter(|seat| wanted(seat)).map(|seat| seat.member.id.to_string());
        let first: Vec<String> = names.by_ref().take(3).collect();
        let rest = names.count();
        match (first.is_empty(), rest) {
            (true, _) => None,
            (false, 0) => Some(first.join(", ")),
            (false, rest) => Some(format!("{} and {rest} more", first.join(", "))),
        }
    }
}
