//! What happens outside: to the agents, to their machines, at the operator's desk.

use std::time::Duration;

use muster_control::ports::{Probed, Target};
use muster_core::health::Observation;
use muster_core::member::{InstanceId, MemberState};
use serde_json::json;

use crate::ec2::Instance;
use crate::fault::Fault;
use crate::schedule::merge;
use crate::story::Weight;
use crate::weak;
use crate::world::{Event, RunId, World};

impl World {
    /// What a probe sees. Nobody's silence is its own fault here: a zone or the whole network may be dark.
    pub(crate) fn probe(&mut self, run: RunId, targets: &[Target]) -> Probed {
        self.o1_a_sweep_obeys_the_mode(targets);
        let share = self.share();
        let mut probed = Probed::default();
        for target in targets {
            let observation = self.ask(target, share);
            if matches!(observation, Observation::Unknown) {
                probed.blind = Some("the event loop stalled".into());
            }
            probed.observations.insert(target.id.clone(), observation);
        }
        self.probed(run, &probed);
        for seen in probed.observations.values_mut() {
            let honest = std::mem::replace(seen, Observation::Unknown);
            *seen = weak::observation(self.weakness, honest, self.now);
        }
        probed
    }

    fn ask(&mut self, target: &Target, share: f64) -> Observation {
        let unreachable = || Observation::Unreachable { detail: "no answer within 1 s".into() };
        let now = self.now;
        if !self.ec2.get(&target.id).is_some_and(|instance| instance.running(now)) {
            return unreachable();
        }
        let Some(zone) = self.agents.get(&target.id).map(|agent| agent.zone.clone()) else { return unreachable() };
        if let Some((fault, number, knows)) = self.dark(&zone) {
            self.ledger.silences.insert(target.id.clone(), (fault, number));
            return if knows { Observation::Unknown } else { unreachable() };
        }
        let Some(agent) = self.agents.get_mut(&target.id) else { return unreachable() };
        if let Some((fault, number)) = agent.silence(now) {
            if let Some(fault) = fault {
                self.ledger.silences.insert(target.id.clone(), (fault, number));
            }
            return if number % 2 == 0 { unreachable() } else { Observation::BadAnswer { detail: "y".repeat(5_000) } };
        }
        self.ledger.silences.remove(&target.id);
        agent.answer(target, now, share)
    }

    // The script.

    /// A happening begins.
    pub(crate) fn begin(&mut self, number: usize) {
        let Some(happening) = self.schedule.script.get(number).cloned() else { return };
        let until = crate::schedule::START.plus(happening.until);
        self.after(happening.until.saturating_sub(happening.from), Event::End(number));
        let (fault, pick) = (happening.fault, happening.pick);
        match fault {
            Fault::PolicyEdit | Fault::PolicyInvalid | Fault::PolicyDeleted | Fault::Mode | Fault::Emptied => {
                self.write(fault, pick);
            }
            Fault::BadImage => {
                self.template += 1;
                self.bad_templates.insert(self.template);
            }
            Fault::Upgrade => self.upgrade(number, until),
            Fault::TickMissing
            | Fault::Capacity
            | Fault::Permission
            | Fault::TokenExpired
            | Fault::BlackoutZone
            | Fault::BlackoutAll => self.tally.inject(fault),
            Fault::HandRetag if pick % 4 == 0 => self.tag_foreign(),
            _ => {
                let share = if fault == Fault::Dead && pick % 5 == 0 { 2 } else { 1 };
                for nth in 0..share {
                    self.befall(fault, number, pick.wrapping_add(nth * 7), until);
                }
            }
        }
        self.tell(Weight::Deed, |_| format!("{fault} begins"));
        self.check_state();
    }

    /// A member is chosen, and something happens to it.
    pub(crate) fn befall(&mut self, fault: Fault, number: usize, pick: u64, until: muster_core::time::Timestamp) {
        let now = self.now;
        let alive: Vec<InstanceId> = self
            .ec2
            .all()
            .iter()
            .filter(|instance| instance.running(now) && instance.spec.is_some() && instance.ours(now))
            .filter(|instance| fault != Fault::Dead || self.well(&instance.made.id))
            .map(|instance| instance.made.id.clone())
            .collect();
        let Some(count) = u64::try_from(alive.len()).ok().filter(|count| *count > 0) else { return };
        let Some(id) = usize::try_from(pick % count).ok().and_then(|at| alive.get(at)).cloned() else { return };
        self.tally.inject(fault);
        self.tell(Weight::Deed, |_| format!("{fault} meets {id}"));
        let (Some(instance), Some(agent)) = (self.ec2.get_mut(&id), self.agents.get_mut(&id)) else { return };
        match fault {
            Fault::Spot | Fault::HandTerminate => {
                instance.taken_by = instance.taken_by.or(Some(fault));
                instance.end(now);
            }
            Fault::HandStop => {
                instance.taken_by = instance.taken_by.or(Some(fault));
                instance.stop(now);
            }
            Fault::HandRetag => {
                instance.taken_by = instance.taken_by.or(Some(fault));
                instance.tag(now, false);
            }
            Fault::HandDrain => instance.mark(now, true),
            Fault::Impaired => {
                instance.impaired = true;
                agent.dead_since = agent.dead_since.or(Some(now));
            }
            Fault::Leaving => agent.leaving = true,
            Fault::Dead => agent.dead_since = agent.dead_since.or(Some(now)),
            Fault::Silence => agent.silent = Some((until, Fault::Silence, number)),
            Fault::Failing => agent.failing = Some((until, number)),
            Fault::Lie => agent.lie = Some((until, number, pick / 16)),
            _ => {}
        }
        self.ledger.chosen.insert(number, id);
    }

    /// A happening ends: by itself, or because faults stop.
    pub(crate) fn end(&mut self, number: usize) {
        let Some(happening) = self.schedule.script.get(number).cloned() else { return };
        let now = self.now;
        let chosen = self.ledger.chosen.get(&number).cloned();
        match happening.fault {
            Fault::PolicyInvalid | Fault::PolicyDeleted => {
                let text = self.operator.document.to_string();
                self.operator.write(Some(text), None);
            }
            Fault::Mode => {
                self.resume();
                let text = self.operator.document.to_string();
                self.operator.write(Some(text), None);
            }
            Fault::Emptied => {
                let first = |key: &str| self.schedule.policy.get(key).cloned().unwrap_or_default();
                let (min, max) = (first("min_instances"), first("max_instances"));
                let pace = json!({"percent": 50, "at_least": 1});
                let filled = json!({"min_instances": min, "max_instances": max, "max_in_per_window": pace});
                merge(&mut self.operator.document, filled);
                let text = self.operator.document.to_string();
                self.operator.write(Some(text), None);
            }
            Fault::BadImage => self.template += 1,
            Fault::Leaving => {
                if let Some(instance) = chosen.and_then(|id| self.ec2.get_mut(&id)) {
                    instance.taken_by = instance.taken_by.or(Some(Fault::Leaving));
                    instance.end(now);
                }
            }
            Fault::HandRetag => {
                if let Some(instance) = chosen.and_then(|id| self.ec2.get_mut(&id)) {
                    instance.tag(now, true);
                }
            }
            Fault::HandDrain if happening.pick % 3 == 0 => {
                if let Some(instance) = chosen.and_then(|id| self.ec2.get_mut(&id)) {
                    instance.mark(now, false);
                }
            }
            _ => {}
        }
        self.tell(Weight::Deed, |_| format!("{} ends", happening.fault));
        self.check_state();
    }

    fn upgrade(&mut self, number: usize, until: muster_core::time::Timestamp) {
        let now = self.now;
        let span = until.since(now);
        let count = u32::try_from(self.agents.len()).unwrap_or(u32::MAX).max(1);
        for (nth, agent) in (0_u32..).zip(self.agents.values_mut()) {
            self.tally.inject(Fault::Upgrade);
            let from = now.plus(span / count * nth);
            agent.upgrade = Some((from, from.plus(Duration::from_secs(45)), number));
        }
    }

    /// Somebody else's instance gets our tag by mistake. It carries no intent, so it is not ours.
    fn tag_foreign(&mut self) {
        let id = self.ec2.add_foreign(&self.group.clone(), self.now);
        self.tally.inject(Fault::HandRetag);
        let now = self.now;
        if let Some(instance) = self.ec2.get_mut(&id) {
            instance.tag(now, true);
        }
    }

    fn write(&mut self, fault: Fault, pick: u64) {
        self.tally.inject(fault);
        let text = match fault {
            Fault::PolicyDeleted => None,
            Fault::PolicyInvalid => {
                let texts = [
                    "{",
                    "{\"min_instances\": 9, \"max_instances\": 2}",
                    "{\"colour\": 1}",
                    "[]",
                    "  ",
                    "{\"scaling\": {\"cpu_up_threshold\": 0.7}}",
                ];
                usize::try_from(pick % 6).ok().and_then(|at| texts.get(at)).map(|text| (*text).to_owned())
            }
            // A pause, which ends by itself, or with the happening.
            Fault::Mode if pick % 6 == 3 => {
                let until = self.now.plus(Duration::from_secs(30 + pick / 6 % 300)).to_string();
                merge(&mut self.operator.document, json!({"pause": {"reason": "a look at it", "until": until}}));
                Some(self.operator.document.to_string())
            }
            Fault::Mode => {
                let modes = ["paused", "observe", "out-only"];
                let mode = usize::try_from(pick % 3).ok().and_then(|at| modes.get(at)).copied().unwrap_or("paused");
                merge(&mut self.operator.document, json!({"mode": mode}));
                Some(self.operator.document.to_string())
            }
            Fault::Emptied => {
                merge(&mut self.operator.document, json!({"min_instances": 0, "max_instances": 0}));
                // Now and then all may go at once.
                if pick.is_multiple_of(2) {
                    let pace = json!({"percent": 10_000, "at_least": 10_000});
                    merge(&mut self.operator.document, json!({ "max_in_per_window": pace }));
                }
                Some(self.operator.document.to_string())
            }
            _ => {
                self.edit(pick);
                Some(self.operator.document.to_string())
            }
        };
        self.operator.write(text, Some(fault));
    }

    /// A valid edit: the bounds, a threshold or a target, a pace.
    fn edit(&mut self, pick: u64) {
        let whole = |key: &str| self.operator.document.get(key).and_then(serde_json::Value::as_u64).unwrap_or(5);
        let (min, max) = (whole("min_instances"), whole("max_instances"));
        let by = pick / 8 % 4 + 1;
        // The bounds of an emptied group are left as they are: one of them alone would be refused.
        let kind = if max == 0 { 4 + pick % 4 } else { pick % 8 };
        let change = match kind {
            0 => json!({"max_instances": max.saturating_sub(by).max(min)}),
            1 => json!({"max_instances": (max + by).min(16)}),
            2 => json!({"min_instances": (min + by).min(max)}),
            3 => json!({"min_instances": min.saturating_sub(by).max(5)}),
            4 => json!({"scaling": {"cpu_up_threshold": 60 + by * 5, "target": 45 + by * 5}}),
            5 => json!({"cooldown_in": format!("{}s", by * 30)}),
            6 => json!({"max_in_per_window": {"percent": 20 * by, "at_least": 1}}),
            _ => json!({"drain": {"timeout": format!("{}s", 20 * by)}}),
        };
        merge(&mut self.operator.document, change);
    }

    /// An edit that means nothing but that somebody has looked.
    pub(crate) fn reedit(&mut self) {
        let spare = 30 + self.operator.version % 60;
        merge(&mut self.operator.document, json!({"drain": {"timeout": format!("{spare}s")}}));
        let text = self.operator.document.to_string();
        self.operator.write(Some(text), None);
        self.tell(Weight::Deed, |_| "the operator edits the policy".to_owned());
    }

    /// An edit of the schedule's.
    pub(crate) fn scheduled_edit(&mut self, number: usize) {
        let Some((_, change)) = self.schedule.edits.get(number).cloned() else { return };
        merge(&mut self.operator.document, change);
        let text = self.operator.document.to_string();
        self.operator.write(Some(text), None);
        self.tell(Weight::Deed, |w| format!("the operator writes {}", w.operator.document));
    }

    /// The mode is active again, and no pause is written; says whether that is an edit.
    fn resume(&mut self) -> bool {
        let active = json!("active");
        let changed = self.operator.document.get("mode").is_some_and(|mode| *mode != active);
        merge(&mut self.operator.document, json!({"mode": active}));
        let pause = self.operator.document.as_object_mut().and_then(|document| document.remove("pause"));
        changed || pause.is_some()
    }

    /// Faults stop: the operator puts everything in order that is up to a person.
    pub(crate) fn calm_down(&mut self) {
        if self.resume() {
            self.reedit();
        }
        let now = self.now;
        self.ec2.unprotect();
        for agent in self.agents.values_mut() {
            agent.protected = false;
            agent.silent = None;
            agent.failing = None;
            agent.lie = None;
            agent.leaving = false;
        }
        for number in 0..self.schedule.script.len() {
            let Some(id) = self.ledger.chosen.get(&number).cloned() else { continue };
            let leaving = self.schedule.script.get(number).is_some_and(|h| h.fault == Fault::Leaving);
            if leaving && let Some(instance) = self.ec2.get_mut(&id) {
                instance.taken_by = instance.taken_by.or(Some(Fault::Leaving));
                instance.end(now);
            }
        }
        // Nobody answers, and nobody will: that is for a person (V4), who ends the dead.
        let serves = |instance: &Instance| instance.alive(now) && self.well(&instance.made.id);
        let members: Vec<InstanceId> = self.view.iter().flat_map(|view| &view.members).map(|m| m.id.clone()).collect();
        let any = members.iter().filter_map(|id| self.ec2.get(id)).any(serves);
        let dead: Vec<InstanceId> = members
            .into_iter()
            .filter(|id| {
                self.agents.get(id).is_some_and(|agent| agent.dead_since.is_some() || agent.boots_at.is_none())
            })
            .collect();
        if !any {
            for id in dead {
                if let Some(instance) = self.ec2.get_mut(&id) {
                    instance.taken_by = instance.taken_by.or(Some(Fault::HandTerminate));
                    instance.end(now);
                }
            }
        }
        self.tell(Weight::Deed, |_| "faults stop".to_owned());
    }

    /// Whether a member is at work by its record.
    pub(crate) const fn in_actual(state: &MemberState) -> bool {
        matches!(state, MemberState::Pending | MemberState::Active)
    }
}
