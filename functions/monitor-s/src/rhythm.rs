//! When an invocation sweeps next, and when it ends.
//!
//! The schedule ticks once a minute at most, and a tick may come anywhere inside its minute. So an invocation goes on, slot after
//! slot, until a newer one has taken over. Who it is that takes over is settled slot by slot, by the conditional write that claims
//! it:
//!
//! - Who has swept before and finds the next slot taken ends: somebody newer is there.
//! - Who has not swept yet and finds the slot taken waits for the next one and tries again. If it ended instead, and the older one
//!   ended at its next slot for another reason, nobody would sweep until the next tick.
//! - A slot up to one's own last one is taken by oneself, and says nothing: the clock may have stepped back, or the interval may have grown.
//!
//! So at every slot somebody sweeps, and of two that run side by side one ends soon. An invocation lasts at most [`LONGEST`],
//! and begins no sweep that its own deadline might cut off. A sweep that takes longer than the interval skips the slots that it
//! has missed. At [`PERIOD`] or more between slots there is one sweep an invocation: tuning the schedule tunes the sweep. There a
//! sweep that fails is tried again at once, a few times with growing pauses, for nobody else would before the next slot; below,
//! the next slot is the retry.

use std::fmt;
use std::time::Duration;

use muster_core::time::Timestamp;
use serde::Serialize;

/// The shortest period of a schedule.
pub const PERIOD: Duration = Duration::from_secs(60);
/// An invocation's longest life: two ticks may be two minutes apart, and the first sweep of the second takes a while.
pub const LONGEST: Duration = Duration::from_secs(150);
/// The shortest interval that a policy may ask for.
pub const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// How long an invocation that finds its slot taken waits for the next one when slots are [`PERIOD`] or more apart: a tick that came a moment
/// early would otherwise leave its own slot to nobody.
const EARLY: Duration = Duration::from_secs(5);
/// The pause after the first attempt of a slot that failed, when slots are [`PERIOD`] or more apart; it doubles with each ...
const FIRST_PAUSE: Duration = Duration::from_secs(1);
/// ... and after so many in a row the slot is given up: 31 s of pauses outlast a throttle, and leave a minute's slot its rest.
const RETRIES: u32 = 5;

/// An invocation, and how far it has come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn {
    /// When it began.
    pub began: Timestamp,
    /// When it will be cut off.
    pub deadline: Timestamp,
    /// The slot of the last sweep that it has written.
    pub last_slot: Option<Timestamp>,
    /// Attempts in a row that have failed, and when the last of them began: its slot may be taken by oneself, and its sweep written.
    pub failed: Option<(u32, Timestamp)>,
    /// The longest that its next sweep may take.
    pub whole_sweep: Duration,
}

impl Turn {
    /// Notes an attempt that began at `began` and failed.
    pub fn fails(&mut self, began: Timestamp) {
        let before = self.failed.map_or(0, |(attempts, _)| attempts);
        self.failed = Some((before.saturating_add(1), began));
    }

    /// Notes a sweep that is written.
    pub fn writes(&mut self, slot: Timestamp) {
        (self.last_slot, self.failed) = (Some(slot), None);
    }

    /// When the attempt that has just failed is made again, unless it has failed too often.
    fn again(&self, now: Timestamp) -> Option<Timestamp> {
        let (attempts, _) = self.failed.filter(|(attempts, _)| (1..=RETRIES).contains(attempts))?;
        Some(now.plus(FIRST_PAUSE * 2_u32.pow(attempts - 1)))
    }
}

/// How an attempt at a slot went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Attempt {
    /// The sweep is written.
    Written,
    /// The slot belongs to somebody else, or its time has not come.
    Taken,
    /// The store failed.
    Failed,
}

/// What comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// An attempt at the slot that begins then.
    At(Timestamp),
    /// The end.
    End(End),
}

/// Why an invocation ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum End {
    /// A newer one sweeps.
    TakenOver,
    /// The next slot is the next tick's.
    NextTick,
    /// It has lasted as long as it may.
    LongEnough,
    /// Another sweep might not be done before its deadline.
    OutOfTime,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TakenOver => "taken-over",
            Self::NextTick => "next-tick",
            Self::LongEnough => "long-enough",
            Self::OutOfTime => "out-of-time",
        })
    }
}

/// What comes after an attempt that has ended at `now`, while slots are `interval` apart.
pub fn next(turn: &Turn, attempt: Attempt, interval: Duration, now: Timestamp) -> Next {
    let interval = interval.max(SHORTEST_INTERVAL);
    let slot = now.round_down(interval);
    let half_own = turn.failed.is_some_and(|(_, began)| began >= slot);
    if attempt == Attempt::Taken && !half_own && turn.last_slot.is_some_and(|own| own < slot) {
        return Next::End(End::TakenOver);
    }
    // Counted from now: what a long sweep has missed is skipped, not made up for.
    let at = slot.plus(interval);
    if attempt == Attempt::Failed && interval >= PERIOD {
        let again = turn.again(now).filter(|again| *again < at && again.plus(turn.whole_sweep) <= turn.deadline);
        return again.map_or(Next::End(End::NextTick), Next::At);
    }
    if interval >= PERIOD && (attempt != Attempt::Taken || at.since(now) > EARLY) {
        return Next::End(End::NextTick);
    }
    if at > turn.began.plus(LONGEST) {
        return Next::End(End::LongEnough);
    }
    if at.plus(turn.whole_sweep) > turn.deadline {
        return Next::End(End::OutOfTime);
    }
    Next::At(at)
}

#[cfg(test)]
mod tests {
    use super::*;
    use Attempt::{Failed, Taken, Written};

    const MINUTE: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn at(seconds: f64) -> Timestamp {
        MINUTE.plus(Duration::from_secs_f64(seconds))
    }

    /// An invocation that began at `began`, has five minutes, and has last swept the slot at `last`.
    fn turn(began: f64, last: Option<f64>) -> Turn {
        let whole_sweep = Duration::from_secs(5);
        Turn { began: at(began), deadline: at(began + 300.0), last_slot: last.map(at), failed: None, whole_sweep }
    }

    fn check(cases: &[(Turn, Attempt, u64, f64, Next, &str)]) {
        for (turn, attempt, interval, now, expected, why) in cases {
            let said = next(turn, *attempt, Duration::from_secs(*interval), at(*now));
            assert_eq!(said, *expected, "{why}");
        }
    }

    #[test]
    fn slot_follows_slot_until_somebody_newer_is_there() {
        let ends = |why| Next::End(why);
        check(&[
            (turn(3.0, Some(0.0)), Written, 10, 3.4, Next::At(at(10.0)), "the first slot is not a whole one"),
            (turn(3.0, Some(10.0)), Written, 10, 10.4, Next::At(at(20.0)), "then they are"),
            (turn(3.0, Some(10.0)), Taken, 10, 20.0, ends(End::TakenOver), "a newer one has the next"),
            (turn(3.0, Some(10.0)), Failed, 10, 29.0, Next::At(at(30.0)), "a store that fails is asked again"),
            (turn(3.0, None), Failed, 10, 3.4, Next::At(at(10.0)), "by who has not swept yet, too"),
        ]);
    }

    #[test]
    fn who_has_not_swept_yet_waits_for_the_next_slot() {
        check(&[
            (turn(63.0, None), Taken, 10, 63.0, Next::At(at(70.0)), "the older one has this slot"),
            (turn(63.0, None), Taken, 10, 70.0, Next::At(at(80.0)), "it won the race for the next one, too"),
            (turn(63.0, Some(80.0)), Written, 10, 80.2, Next::At(at(90.0)), "now the older one has ended"),
            (turn(63.0, None), Taken, 10, 212.0, Next::End(End::LongEnough), "nobody waits for ever"),
        ]);
    }

    #[test]
    fn a_slot_that_one_has_taken_oneself_says_nothing() {
        check(&[
            (turn(0.0, Some(40.0)), Taken, 10, 49.999, Next::At(at(50.0)), "a sleep that was too short"),
            (turn(0.0, Some(40.0)), Taken, 10, 33.0, Next::At(at(40.0)), "a clock that was set back"),
            (
                turn(0.0, Some(40.0)),
                Taken,
                30,
                47.0,
                Next::At(at(60.0)),
                "an interval that has grown: its slot lies before",
            ),
        ]);
    }

    #[test]
    fn a_changed_interval_is_followed_at_once() {
        check(&[
            (turn(0.0, Some(40.0)), Written, 2, 40.3, Next::At(at(42.0)), "shorter"),
            (turn(0.0, Some(40.0)), Written, 45, 40.3, Next::At(at(45.0)), "longer"),
            (turn(0.0, Some(40.0)), Written, 300, 40.3, Next::End(End::NextTick), "so long that the schedule beats it"),
            (turn(0.0, Some(40.0)), Written, 0, 40.3, Next::At(at(41.0)), "none is the shortest"),
        ]);
    }

    #[test]
    fn a_sweep_longer_than_the_interval_skips_what_it_has_missed() {
        check(&[
            (turn(0.0, Some(0.0)), Written, 1, 7.3, Next::At(at(8.0)), "seven slots are left out"),
            (turn(0.0, Some(0.0)), Written, 10, 20.0, Next::At(at(30.0)), "the slot that begins just now has begun"),
        ]);
    }

    #[test]
    fn at_a_schedules_period_or_more_there_is_one_sweep_an_invocation() {
        let ends = Next::End(End::NextTick);
        check(&[
            (turn(0.0, Some(0.0)), Written, 60, 0.4, ends, "a minute"),
            (turn(0.0, Some(0.0)), Written, 48, 0.4, Next::At(at(48.0)), "less than that"),
            (turn(60.0, None), Taken, 3_600, 60.0, ends, "an hour, of which this minute is not the first"),
            (turn(59.8, None), Taken, 60, 59.8, Next::At(at(60.0)), "a tick that came early waits for its own slot"),
            (turn(54.0, None), Taken, 60, 54.0, ends, "but not long"),
        ]);
    }

    #[test]
    fn at_a_schedules_period_or_more_what_fails_is_tried_again_with_growing_pauses() {
        let ends = Next::End(End::NextTick);
        let failed = |attempts: u32| Turn { failed: Some((attempts, at(60.0))), ..turn(60.0, None) };
        let soon = Turn { deadline: at(66.9), ..failed(1) };
        check(&[
            (failed(1), Failed, 60, 61.0, Next::At(at(62.0)), "the first"),
            (failed(2), Failed, 60, 63.0, Next::At(at(65.0)), "the second"),
            (failed(5), Failed, 3_600, 90.0, Next::At(at(106.0)), "the last"),
            (failed(6), Failed, 3_600, 110.0, ends, "then it is given up"),
            (failed(5), Failed, 60, 104.0, ends, "the next slot is the next tick's"),
            (soon, Failed, 60, 61.0, ends, "another sweep might be cut off"),
            (failed(1), Failed, 48, 61.0, Next::At(at(96.0)), "below that the next slot is the retry"),
        ]);
    }

    #[test]
    fn a_slot_of_which_the_attempt_failed_may_be_ones_own() {
        let failed = |last: Option<f64>, began: f64| Turn { failed: Some((1, at(began))), ..turn(0.0, last) };
        check(&[
            (failed(Some(40.0), 50.1), Taken, 10, 55.0, Next::At(at(60.0)), "it was written, and the answer was lost"),
            (failed(Some(40.0), 50.1), Taken, 10, 60.0, Next::End(End::TakenOver), "the next one never was"),
            (failed(None, 60.1), Taken, 60, 61.4, Next::End(End::NextTick), "with a long interval all is done"),
        ]);
    }

    #[test]
    fn failures_are_counted_until_a_sweep_is_written() {
        let mut turn = turn(0.0, None);
        turn.fails(at(1.0));
        turn.fails(at(3.0));
        assert_eq!(turn.failed, Some((2, at(3.0))));
        turn.writes(at(0.0));
        assert_eq!((turn.last_slot, turn.failed), (Some(at(0.0)), None));
    }

    #[test]
    fn nothing_is_begun_that_cannot_be_ended() {
        let soon = |deadline: f64| Turn { deadline: at(deadline), ..turn(0.0, Some(0.0)) };
        check(&[
            (soon(15.0), Written, 10, 0.4, Next::At(at(10.0)), "a whole sweep fits"),
            (soon(14.9), Written, 10, 0.4, Next::End(End::OutOfTime), "it does not"),
            (turn(0.0, Some(140.0)), Written, 10, 140.4, Next::At(at(150.0)), "the last one"),
            (turn(0.0, Some(150.0)), Written, 10, 150.4, Next::End(End::LongEnough), "two and a half minutes"),
        ]);
    }

    /// What `next` makes of invocations side by side: each slot goes to the first that asks for it.
    fn played(starts: &[u64], interval: u64, until: u64, newest_first: bool) -> (Vec<u64>, Vec<usize>) {
        let interval = Duration::from_secs(interval);
        let turn = |start: &u64| Some((at(*start as f64), turn(*start as f64, None)));
        let mut live: Vec<Option<(Timestamp, Turn)>> = starts.iter().map(turn).collect();
        let (mut taken, mut swept, mut most) = (None, Vec::new(), Vec::new());
        for ms in 0..until * 10 {
            let now = MINUTE.plus(Duration::from_millis(ms * 100));
            let mut order: Vec<usize> = (0..live.len()).collect();
            if newest_first {
                order.reverse();
            }
            for n in order {
                let Some((_, mut turn)) = live[n].filter(|(due, _)| *due == now) else { continue };
                let slot = now.round_down(interval);
                let attempt = if taken >= Some(slot) { Taken } else { Written };
                if attempt == Written {
                    taken = Some(slot);
                    turn.last_slot = Some(slot);
                    swept.push(slot.since(MINUTE).as_secs());
                }
                live[n] = match next(&turn, attempt, interval, now) {
                    Next::At(due) => Some((due, turn)),
                    Next::End(_) => None,
                };
            }
            most.push(live.iter().flatten().filter(|(due, turn)| turn.began <= now && *due > now).count());
        }
        (swept, most)
    }

    #[test]
    fn no_slot_is_left_out_whoever_wins_and_however_the_ticks_come() {
        // A tick comes anywhere in its minute; the third is doubled.
        let starts = [3, 119, 120, 120, 181, 299, 300, 419];
        for newest_first in [true, false] {
            for interval in [1, 5, 10, 45] {
                let (swept, alive) = played(&starts, interval, 420, newest_first);
                let first = starts[0] / interval * interval;
                let expected: Vec<u64> = (first..420).step_by(usize::try_from(interval).expect("small")).collect();
                assert_eq!(swept, expected, "every {interval} s, newest first: {newest_first}");
                assert!(alive.iter().all(|alive| *alive <= 4), "{alive:?}");
            }
        }
    }
}
