//! Who knows the load before it comes, and is bound by the boot time and the bounds like everybody: the cheapest way to let
//! nobody wait. It is the measure of every cost: who is cheaper lets requests wait that need not have.
//!
//! It needs no search. Look at the instances as levels: the third one is needed exactly while the need is three or more. Each
//! level is switched on a boot time before, and stays on through a gap that is no longer than a boot, in which it would be paid
//! for anyhow. What the bounds forbid is overloaded for the oracle, too.

use crate::scaler::size;
use crate::trace::STEP_S;
use crate::world::{BILLED_AT_LEAST_S, Run, World};

/// A level's time in service: steps from the first to the last.
#[derive(Clone, Copy, Debug)]
struct Span {
    first: usize,
    last: usize,
}

/// What the oracle's group would have done in `world`.
pub fn play(world: &World<'_>) -> Run {
    let steps = world.demand.rates.len();
    let gap = size(world.boot_s / STEP_S) as usize;
    let mut book = Book { changes: vec![0; steps + 1], billed_s: 0.0, launches: 0, boot_s: world.boot_s };
    // Of each level the span that may still grow.
    let mut levels: Vec<Span> = Vec::new();
    let mut before = 0;
    for (step, need) in world.need().map(|need| need as usize).enumerate() {
        levels.iter_mut().take(before.min(need)).for_each(|span| span.last = step);
        for level in before..need {
            match levels.get_mut(level) {
                Some(span) if step - span.last - 1 <= gap => span.last = step,
                Some(span) => book.close(std::mem::replace(span, Span { first: step, last: step })),
                None => levels.push(Span { first: step, last: step }),
            }
        }
        before = need;
    }
    levels.into_iter().for_each(|span| book.close(span));
    book.into_run(world)
}

/// What the levels come to.
struct Book {
    /// By how many the supply changes at each step.
    changes: Vec<i64>,
    billed_s: f64,
    launches: u32,
    boot_s: f64,
}

impl Book {
    fn close(&mut self, span: Span) {
        self.changes[span.first] += 1;
        self.changes[span.last + 1] -= 1;
        let launched = span.first > 0;
        let served_s = (span.last - span.first + 1) as f64 * STEP_S;
        self.billed_s += (served_s + if launched { self.boot_s } else { 0.0 }).max(BILLED_AT_LEAST_S);
        self.launches += u32::from(launched);
    }

    fn into_run(self, world: &World<'_>) -> Run {
        let rates = &world.demand.rates;
        let supply = self.changes.iter().scan(0_i64, |supply, change| {
            *supply += change;
            Some(u32::try_from(*supply).unwrap_or_default())
        });
        let ready: Vec<u32> = supply.take(rates.len()).collect();
        let could = |ready: &u32| f64::from(*ready) * world.capacity;
        let served = || rates.iter().zip(ready.iter().map(could));
        Run {
            utilisation: served().map(|(rate, could)| rate / could).collect(),
            lost: served().map(|(rate, could)| (rate - could).max(0.0) * STEP_S).sum(),
            booting: vec![0; rates.len()],
            billed_s: self.billed_s,
            changes: crate::scaler::count(ready.windows(2).filter(|pair| pair[0] != pair[1]).count()),
            launches: self.launches,
            ready,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaler::Bounds;
    use crate::trace::Demand;

    /// What the oracle does when so many instances are needed in each step and booting takes 30 s.
    fn play_needs(needs: &[u32]) -> Run {
        let rates = needs.iter().map(|need| f64::from(*need) * 9.0).collect();
        let demand = Demand { start_unix_s: 0.0, rates };
        let mut world = World::of(&demand, 1, Bounds { min: 1, max: 4 }, 30.0, 1);
        world.capacity = 10.0;
        play(&world)
    }

    #[test]
    fn a_level_stays_on_through_a_gap_no_longer_than_a_boot() {
        let run = play_needs(&[1, 3, 1, 1, 1, 3, 1]);
        assert_eq!(run.ready, [1, 3, 3, 3, 3, 3, 1]);
        assert_eq!(run.billed_s, 70.0 + 2.0 * (50.0 + 30.0));
        assert_eq!((run.launches, run.changes), (2, 2));
        let run = play_needs(&[1, 2, 1, 1, 1, 1, 2]);
        assert_eq!(run.ready, [1, 2, 1, 1, 1, 1, 2], "four steps are longer");
        assert_eq!(run.billed_s, 70.0 + 2.0 * 60.0, "a minute at least");
    }

    #[test]
    fn what_is_there_at_the_start_need_not_boot_and_nobody_exceeds_the_maximum() {
        let run = play_needs(&[3, 3, 3, 3, 3, 3, 9]);
        assert_eq!(run.ready, [3, 3, 3, 3, 3, 3, 4]);
        assert_eq!(run.billed_s, 3.0 * 70.0 + 60.0);
        assert!((run.utilisation[6] - 81.0 / 40.0).abs() < 1e-9);
        assert!((run.lost - 410.0).abs() < 1e-6);
    }
}
