//! How much of the record of sweeps is looked at: parts of the time, as many as a budget of bytes has room for.
//!
//! DynamoDB charges a read by the size of the items. A sweep of up to fifty members is a map that a person can read, some 330 bytes a
//! member; a larger one is packed, 5 to 8 bytes a member and sweep, and stands on a base of some 60 bytes a member that is read once or
//! twice a day and kept. Parts begin at multiples of their length, and that is a multiple of the period: so a part begins with a slot, the first item that
//! is read in it is the shard's own, and whoever asks again a moment later gets the same points.

use std::time::Duration;

use muster_control::ports::Parts;
use muster_core::group::Shard;
use muster_core::time::{Timestamp, millis};

use super::ReadError;

/// Bytes of sampled sweeps that one answer may cost, without their bases.
pub const BUDGET: u64 = 680_000;
/// Points of an answer when nobody says how many.
pub const USUAL_POINTS: u32 = 240;
/// Points of an answer at most.
pub const MOST_POINTS: u32 = 720;
/// The longest span that is looked at: as long as sweeps are kept.
const LONGEST: Duration = Duration::from_secs(31 * 86_400);
/// The span that is looked at when nobody says which.
const USUAL_SPAN: Duration = Duration::from_secs(3_600);

/// Members of a shard up to which its sweep is a map that a person can read.
const READABLE: u64 = 50;
/// Bytes of a readable sweep's item without its members, and of each of these.
const READABLE_BYTES: (u64, u64) = (230, 332);
/// The same of a packed one.
const PACKED_BYTES: (u64, u64) = (350, 8);

/// Bytes that one sweep of each shard costs to read, of a group with so many members in so many shards.
pub fn cost(members: u32, shards: u32) -> u64 {
    let shards = u64::from(shards.max(1));
    let each = u64::from(members).div_ceil(shards);
    let (plain, of_a_member) = if each <= READABLE { READABLE_BYTES } else { PACKED_BYTES };
    shards * (plain + each * of_a_member)
}

/// Points that may be looked at: as many as are wanted and `budget` bytes have room for, one at least.
pub fn points(members: u32, shards: u32, wanted: u32, budget: u64) -> u32 {
    let room = u32::try_from(budget / cost(members, shards)).unwrap_or(u32::MAX);
    room.clamp(1, wanted.clamp(1, MOST_POINTS))
}

/// What part of the record is asked for. All is optional.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Asked {
    /// From when on; an hour before `until` when nobody says it.
    pub from: Option<Timestamp>,
    /// Until before when; now when nobody says it.
    pub until: Option<Timestamp>,
    /// How many points at most.
    pub points: Option<u32>,
    /// Only what is after this moment: what a former answer has not told yet.
    pub since: Option<Timestamp>,
}

/// The parts that are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Grid {
    pub(crate) from: Timestamp,
    pub(crate) until: Timestamp,
    pub(crate) step: Duration,
    /// Parts of the length `step` between `from` and `until`.
    pub(crate) parts: u32,
}

impl Grid {
    /// The parts in which the sweeps of `shard` are looked for.
    pub(crate) const fn of(self, shard: Shard) -> Parts {
        Parts { shard, from: self.from, until: self.until, points: self.parts }
    }
}

impl Asked {
    /// The parts for a group that is swept every `period`, when `most` points may be looked at.
    pub(crate) fn grid(
        self,
        now: Timestamp,
        period: Duration,
        most: impl FnOnce(u32) -> u32,
    ) -> Result<Grid, ReadError> {
        let refuse = |message: &str| Err(ReadError::BadRequest(message.to_owned()));
        let until = self.until.unwrap_or_else(|| now.plus(Duration::from_millis(1)));
        let from = self.from.unwrap_or_else(|| until.minus(USUAL_SPAN));
        if from >= until {
            return refuse("from must be before until");
        }
        if until.since(from) > LONGEST {
            return refuse("from and until must be within 31 days");
        }
        let points = u64::from(most(self.points.unwrap_or(USUAL_POINTS).clamp(1, MOST_POINTS)));
        let period = millis(period).max(1);
        let span = millis(until.since(from));
        let step = Duration::from_millis(span.div_ceil(points).div_ceil(period).max(1).saturating_mul(period));
        let last = until.minus(Duration::from_millis(1)).round_down(step).plus(step);
        let mut first = from.round_down(step);
        if let Some(since) = self.since {
            first = first.max(since.round_down(step).plus(step)).min(last);
        }
        let parts = u32::try_from(millis(last.since(first)) / millis(step)).unwrap_or(u32::MAX);
        Ok(Grid { from: first, until: last, step, parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn at(ms: u64) -> Timestamp {
        Timestamp::from_millis(ms)
    }

    #[test]
    fn a_budget_has_room_for_fewer_points_of_larger_groups() {
        let of = |members, shards| points(members, shards, 240, BUDGET);
        assert_eq!([of(0, 1), of(3, 1), of(50, 1), of(51, 1)], [240, 240, 40, 240]);
        assert_eq!([of(500, 1), of(1_000, 2), of(10_000, 20)], [156, 78, 7]);
        assert_eq!(
            [points(u32::MAX, 1, 5, BUDGET), points(3, 0, 0, 0), points(1, 1, 9_999, u64::MAX)],
            [1, 1, MOST_POINTS]
        );
        for (members, shards) in [(1, 1), (50, 1), (100, 2), (1_000, 2), (5_000, 10)] {
            let read = u64::from(of(members, shards)) * cost(members, shards);
            assert!(read <= BUDGET, "{members} in {shards}: {read}");
        }
    }

    #[test]
    fn parts_begin_at_multiples_of_their_length_whenever_one_asks() {
        let asked = Asked { from: Some(at(1_000_123)), until: Some(at(4_600_123)), ..Asked::default() };
        let period = Duration::from_secs(10);
        let grid = asked.grid(at(0), period, |wanted| wanted).expect("a grid");
        // 3,600 s in 240 parts are 15 s, and with a sweep every 10 s that is 20 s.
        assert_eq!((grid.step, grid.from, grid.until), (Duration::from_secs(20), at(1_000_000), at(4_620_000)));
        assert_eq!(grid.parts, 181);
        let since = Asked { since: Some(at(4_590_000)), ..asked }.grid(at(0), period, |wanted| wanted).expect("a grid");
        assert_eq!((since.from, since.until, since.parts), (at(4_600_000), at(4_620_000), 1));
        let nothing =
            Asked { since: Some(at(9_000_000)), ..asked }.grid(at(0), period, |wanted| wanted).expect("a grid");
        assert_eq!(nothing.parts, 0);
    }

    #[test]
    fn what_cannot_be_asked_for_is_refused_and_nothing_overflows() {
        let period = Duration::from_secs(10);
        for (from, until) in [(5, 5), (6, 5), (0, u64::MAX)] {
            let asked = Asked { from: Some(at(from)), until: Some(at(until)), ..Asked::default() };
            assert!(asked.grid(at(0), period, |wanted| wanted).is_err(), "{from} {until}");
        }
        for (now, period) in [(0, 0), (u64::MAX, u64::MAX), (1, u64::MAX)] {
            let grid = Asked::default().grid(at(now), Duration::from_millis(period), |wanted| wanted).expect("a grid");
            assert!(grid.parts <= MOST_POINTS + 1, "{grid:?}");
        }
    }
}
