//! What a decision on a reading may do.

use super::steps::Choice;
use super::world::{MOST, Record, Seen, World};
use super::{Design, Leaving, Role};

impl Leaving {
    /// Everything that a decision on this reading may do. The code takes some of it; which, hangs on loads and times.
    pub(super) fn choices(&self, world: &World, seen: &[Seen; MOST], desired: u8) -> Vec<Choice> {
        let all: Vec<(usize, Role, Seen)> =
            world.members.iter().zip(seen).enumerate().map(|(at, (member, seen))| (at, member.role, *seen)).collect();
        let actual = |seen: &Seen| seen.record == Record::Actual;
        let find = |role| all.iter().find(|(_, r, s)| *r == role && actual(s)).map(|(at, _, seen)| (*at, *seen));
        let pair = match (find(Role::Old), find(Role::New)) {
            (Some((old, ill)), Some((new, replacement))) if !ill.healthy => Some((old, new, replacement.healthy)),
            _ => None,
        };
        let paired = |at| pair.is_some_and(|(old, new, _)| at == old || at == new) && self.design != Design::PairIsTwo;
        let all_actual = all.iter().filter(|(_, _, seen)| actual(seen)).count();
        let effective = all_actual - usize::from(pair.is_some() && self.design != Design::PairIsTwo);
        let healthy = all.iter().filter(|(_, _, seen)| actual(seen) && seen.healthy).count();
        let surplus = effective > usize::from(desired);
        // D1: who is unhealthy or Pending goes before anybody who is at work.
        let idle = all.iter().any(|(at, _, seen)| actual(seen) && !seen.healthy && !paired(*at));
        let spare = surplus && !idle && healthy > usize::from(self.min);
        let mut choices = Vec::new();
        if world.sizes > 0 {
            let least = self.min.max(desired.saturating_sub(1));
            let sizes = (least..=desired + 1).filter(|size| *size != desired);
            choices.extend(sizes.map(Choice::Size));
        }
        for (at, role, seen) in all.iter().copied() {
            match seen.record {
                Record::Actual if spare && !paired(at) && seen.healthy => {
                    choices.push(Choice::Drain(at));
                }
                Record::Actual if surplus && !paired(at) && !seen.healthy => choices.push(Choice::Terminate(at)),
                // L8: the launch is given up before it has answered.
                Record::Actual if role == Role::New && !seen.healthy => choices.push(Choice::Terminate(at)),
                // H4: the replacement stands in, now the old one goes.
                Record::Actual if pair.is_some_and(|(old, _, stands_in)| at == old && stands_in) => {
                    choices.push(Choice::Terminate(at));
                }
                Record::Draining => {
                    choices.push(Choice::Terminate(at));
                    if effective < usize::from(desired) {
                        choices.push(Choice::TakeBack(at));
                    }
                }
                Record::Terminating => {
                    if !seen.open {
                        choices.push(Choice::Terminate(at));
                    }
                    if self.design == Design::TakeBackTerminating && effective < usize::from(desired) {
                        choices.push(Choice::TakeBack(at));
                    }
                }
                Record::Actual | Record::Closed => {}
            }
            let gone =
                world.members[at].ended || (self.design == Design::CloseUnlisted && seen.record == Record::Terminating);
            if gone && seen.record != Record::Closed {
                choices.push(Choice::Close(at));
            }
        }
        choices
    }
}
