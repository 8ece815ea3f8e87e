//! How an invocation's time is shared out.
//!
//! Several groups share a batch, and one of them may be large, slow or stuck. Each has the same share of what is left when its
//! turn comes, so what one does not need is the others'. Behind all shares stays a margin: a share says when the last call may
//! begin, and a call takes its time.

use std::time::Duration;

use muster_core::time::Timestamp;

/// What is kept for calls that are under way when a share ends: the longest call of EC2's and the transaction that settles it, each with
/// the deadline of the clients (9 s).
const UNDER_WAY: Duration = Duration::from_secs(18);
/// The smallest share: with less a group would be looked at, and nothing done. When there is not enough for all, some are left to
/// their next sweep.
const LEAST: Duration = Duration::from_secs(8);
/// What is kept behind that, for the webhook (2 s) and the answer.
pub const FOR_THE_ANSWER: Duration = Duration::from_secs(3);

/// The time of one invocation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Budget {
    /// When nothing new may begin.
    begin_until: Timestamp,
    /// When everything must have ended.
    end_by: Timestamp,
}

impl Budget {
    /// Of an invocation that begins at `now` and will be cut off at `deadline`. One that is too short for the margin keeps half.
    pub fn of(now: Timestamp, deadline: Timestamp) -> Self {
        let whole = deadline.since(now);
        let answer = FOR_THE_ANSWER.min(whole / 8);
        let margin = (UNDER_WAY + FOR_THE_ANSWER).min(whole / 2);
        Self { begin_until: deadline.minus(margin), end_by: deadline.minus(answer) }
    }

    /// The share of each of `left` groups, of which one is about to begin at `now`.
    pub fn share(&self, now: Timestamp, left: usize) -> Duration {
        let left = u32::try_from(left).unwrap_or(u32::MAX).max(1);
        let time = self.begin_until.since(now);
        (time / left).max(LEAST).min(time)
    }

    /// How long a group with this share may take at most, calls that are under way included.
    pub fn limit(&self, now: Timestamp, share: Duration) -> Duration {
        share.saturating_add(UNDER_WAY).min(self.end_by.since(now))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn seconds(n: u64) -> Duration {
        Duration::from_secs(n)
    }

    #[test]
    fn v5_each_group_has_its_share_of_what_is_left() {
        let budget = Budget::of(NOW, NOW.plus(seconds(120)));
        let cases = [
            (0, 1, 99, "one group has all but the margin"),
            (0, 3, 33, "three have a third each"),
            (1, 2, 49, "what the first did not need is the others'"),
            (60, 2, 19, "and so is what it took too much"),
            (99, 1, 0, "nothing is begun in the margin"),
            (200, 1, 0, "or after the end"),
            (0, 0, 99, "nobody is as one"),
            (0, 300, 8, "too many have enough to do something with"),
            (94, 300, 5, "while there is time"),
        ];
        for (after, left, share, why) in cases {
            assert_eq!(budget.share(NOW.plus(seconds(after)), left).as_secs(), share, "{why}");
        }
    }

    #[test]
    fn v5_a_group_that_hangs_ends_before_the_others_time_does() {
        let budget = Budget::of(NOW, NOW.plus(seconds(120)));
        assert_eq!(budget.limit(NOW, seconds(33)), seconds(51));
        assert_eq!(budget.limit(NOW.plus(seconds(90)), seconds(9)), seconds(27), "three are kept for the answer");
        assert_eq!(budget.limit(NOW.plus(seconds(130)), seconds(0)), seconds(0));
    }

    #[test]
    fn a_short_invocation_keeps_half_of_its_time() {
        let budget = Budget::of(NOW, NOW.plus(seconds(8)));
        assert_eq!(budget.share(NOW, 1), seconds(4));
        assert_eq!(budget.limit(NOW, seconds(4)), seconds(7));
    }
}
