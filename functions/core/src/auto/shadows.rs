//! The rules, each replayed in shadow: what it asked for, what it would have paid, whom it would have kept waiting.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::features::{FEATURES, Feature};
use super::{OVERLOADED, Sample, Setting, rounded_up};
use crate::time::{Timestamp, millis};

/// Utilisations to aim at.
const TARGETS: [f64; 7] = [0.45, 0.53, 0.6, 0.67, 0.74, 0.8, 0.86];
/// How long a bill is remembered, fading.
const MEMORY: Duration = Duration::from_secs(24 * 3_600);
/// So much must have been billed before it counts.
const BILLED_AT_LEAST: Duration = Duration::from_secs(1_800);
/// How often the rules are weighed anew.
const WEIGHED_EVERY: Duration = Duration::from_secs(60);
/// How much less a dearer rule weighs: exp(-SHARPNESS x difference of the bills).
const SHARPNESS: f64 = 40.0;
/// What weighs less than this share of the cheapest is left out.
const LIGHTEST: f64 = 1e-3;
/// What a shadow would have in service is known by the grain of this share of the lead.
const BLOCKS: u32 = 15;
/// The finest grain.
const BLOCK_AT_LEAST: Duration = Duration::from_secs(20);
/// More than the largest demand comes to in the time for which a bill is remembered.
const MOST: f32 = 1e15;
/// Two sweeps that are farther apart than so many periods have a gap between them, in which nothing is billed.
const GAP: u32 = 5;

/// A rule of the family.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Shadow {
    /// Where its feature stands.
    feature: usize,
    target: f64,
}

/// The family.
pub(super) const RULES: [Shadow; FEATURES.len() * TARGETS.len()] = family();
/// The rule that decides before anything is known: the highest of 20 minutes at 67 %.
const PRIOR: u16 = 3 * 7 + 3;

const fn family() -> [Shadow; FEATURES.len() * TARGETS.len()] {
    let mut rules = [Shadow { feature: 0, target: 1.0 }; FEATURES.len() * TARGETS.len()];
    let mut nth = 0;
    while nth < rules.len() {
        rules[nth] = Shadow { feature: nth / TARGETS.len(), target: TARGETS[nth % TARGETS.len()] };
        nth += 1;
    }
    rules
}

impl fmt::Display for Shadow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let feature: Feature = FEATURES[self.feature];
        write!(f, "{feature} at {:.0} %", self.target * 100.0)
    }
}

/// All shadows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Shadows {
    /// Instances that each would have paid for; seconds, fading.
    paid: Vec<f32>,
    /// Demand that each would have met overloaded; seconds of thousandths, fading.
    overloaded: Vec<f32>,
    /// Instances that were needed, and the demand there was, likewise.
    needed: f32,
    demand: f32,
    /// How long has been billed.
    billed_ms: u64,
    /// The rules that weigh anything, and how much; together 1.
    weights: Vec<(u16, f32)>,
    weighed_at: Timestamp,
    /// What each asks for.
    asked: Vec<u32>,
    /// The least that each asked for, span after span, oldest first, back to who asks now for what serves now.
    blocks: Vec<Block>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Block {
    since: Timestamp,
    least: Vec<u32>,
}

/// What the rules ask for on the mean, in instances.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Blend(pub(super) f64);

/// What a shadow has come to.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Bill {
    /// What it would have paid for, over what was needed.
    cost: f64,
    /// The share of requests that would have met an overloaded group, in percent.
    overloaded: f64,
}

impl Bill {
    fn total(self, price: f64) -> f64 {
        self.cost + price * self.overloaded
    }
}

impl fmt::Display for Bill {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "bill {:.2}, overload {:.1} %", self.cost, self.overloaded)
    }
}

impl Shadows {
    pub(super) fn begin() -> Self {
        let none = vec![0.0; RULES.len()];
        Self {
            paid: none.clone(),
            overloaded: none,
            needed: 0.0,
            demand: 0.0,
            billed_ms: 0,
            weights: vec![(PRIOR, 1.0)],
            weighed_at: Timestamp::EPOCH,
            asked: vec![0; RULES.len()],
            blocks: Vec::new(),
        }
    }

    /// Whether it is a state of this family, and its numbers are such as it writes: others would not fade for weeks.
    pub(super) fn fits(&self) -> bool {
        let whole = |length: usize| length == RULES.len();
        let mut sums = self.paid.iter().chain(&self.overloaded).chain([&self.needed, &self.demand]);
        whole(self.paid.len())
            && whole(self.overloaded.len())
            && whole(self.asked.len())
            && sums.all(|sum| (0.0..=MOST).contains(sum))
            && self
                .weights
                .iter()
                .all(|(rule, weight)| usize::from(*rule) < RULES.len() && (0.0..=1.0).contains(weight))
            && self.blocks.iter().all(|block| whole(block.least.len()))
    }

    /// Bills every shadow for the span up to `sample`, in which the demand was as it says.
    pub(super) fn bill(&mut self, sample: &Sample, lasted: Duration, setting: &Setting) {
        if lasted > setting.period.saturating_mul(GAP).max(Duration::from_secs(300)) {
            // Nobody knows what was in between, and what serves now was asked for in it.
            self.blocks.clear();
            return;
        }
        // What was asked for a lead ago stands in the last block that began before it.
        let from = sample.at.minus(setting.lead());
        let past = self.blocks.iter().take_while(|block| block.since <= from).count();
        let Some(past) = past.checked_sub(1) else { return };
        self.blocks.drain(..past);
        let (seconds, demand) = (lasted.as_secs_f64(), f64::from(sample.demand));
        let fades = narrow((-seconds / MEMORY.as_secs_f64()).exp());
        let needed = rounded_up(demand / (1_000.0 * OVERLOADED)).max(setting.min);
        self.needed = self.needed * fades + narrow(f64::from(needed) * seconds);
        self.demand = self.demand * fades + narrow(demand * seconds);
        let met = narrow(demand * seconds);
        for nth in 0..RULES.len() {
            let ready = self.blocks.iter().map(|block| block.least[nth]).min().unwrap_or_default();
            let over = demand > 1_000.0 * OVERLOADED * f64::from(ready);
            self.paid[nth] = self.paid[nth] * fades + narrow(f64::from(self.asked[nth]) * seconds);
            self.overloaded[nth] = self.overloaded[nth] * fades + if over { met } else { 0.0 };
        }
        self.billed_ms = self.billed_ms.saturating_add(millis(lasted));
    }

    /// Lets every rule ask, by the features' values.
    pub(super) fn ask(&mut self, at: Timestamp, values: &[f64; FEATURES.len()], setting: &Setting) {
        for (asked, rule) in self.asked.iter_mut().zip(&RULES) {
            *asked = rounded_up(values[rule.feature] / (1_000.0 * rule.target)).clamp(setting.min, setting.max);
        }
        let grain = (setting.lead() / BLOCKS).max(BLOCK_AT_LEAST);
        match self.blocks.last_mut().filter(|block| at.since(block.since) < grain) {
            Some(block) => {
                block.least.iter_mut().zip(&self.asked).for_each(|(least, asked)| *least = (*least).min(*asked));
            }
            None => self.blocks.push(Block { since: at, least: self.asked.clone() }),
        }
    }

    /// What the rules ask for on the mean, each as much as it weighs.
    pub(super) fn blend(&self, values: &[f64; FEATURES.len()]) -> Blend {
        let asks = |rule: &Shadow| values[rule.feature] / (1_000.0 * rule.target);
        let parts = self.weights.iter().map(|(rule, weight)| f64::from(*weight) * asks(&RULES[usize::from(*rule)]));
        Blend(parts.sum())
    }

    /// Weighs the rules anew, if it is time to.
    pub(super) fn weigh(&mut self, at: Timestamp, price: f64) {
        if self.billed_ms < millis(BILLED_AT_LEAST) || at.since(self.weighed_at) < WEIGHED_EVERY {
            return;
        }
        self.weighed_at = at;
        let totals: Vec<f64> = (0..RULES.len()).map(|rule| self.bill_of(rule).total(price)).collect();
        let least = totals.iter().copied().fold(f64::INFINITY, f64::min);
        let weighs = |total: f64| (-SHARPNESS * (total - least)).exp();
        let heavy: Vec<(u16, f64)> = (0..)
            .zip(&totals)
            .map(|(rule, total)| (rule, weighs(*total)))
            .filter(|(_, weight)| *weight >= LIGHTEST)
            .collect();
        let sum: f64 = heavy.iter().map(|(_, weight)| weight).sum();
        if sum > 0.0 {
            self.weights = heavy.into_iter().map(|(rule, weight)| (rule, narrow(weight / sum))).collect();
        }
    }

    fn bill_of(&self, rule: usize) -> Bill {
        let share = |part: f32, whole: f32| if whole > 0.0 { f64::from(part) / f64::from(whole) } else { 0.0 };
        Bill {
            cost: share(self.paid[rule], self.needed),
            overloaded: 100.0 * share(self.overloaded[rule], self.demand),
        }
    }

    /// Which rules have asked, and what they would have come to.
    pub(super) fn account(&self, price: f64) -> String {
        if self.billed_ms < millis(BILLED_AT_LEAST) {
            return format!("{}, where every group begins", RULES[usize::from(PRIOR)]);
        }
        let mut asking: Vec<(usize, f32)> =
            self.weights.iter().map(|(rule, weight)| (usize::from(*rule), *weight)).collect();
        asking.sort_by(|a, b| self.bill_of(a.0).total(price).total_cmp(&self.bill_of(b.0).total(price)));
        let told = |(rule, _): &(usize, f32)| format!("{} ({})", RULES[*rule], self.bill_of(*rule));
        let best = asking.first().map(told).unwrap_or_default();
        let next = asking.get(1).map(|rule| format!(", then {}", told(rule))).unwrap_or_default();
        let (of, n, span) = (RULES.len(), asking.len(), watched(self.billed_ms));
        format!("of {of} rules replayed over {span} the cheapest {n} on the mean; first {best}{next}")
    }
}

/// How long the bills have been counted, in words, and no longer than they are remembered.
fn watched(ms: u64) -> String {
    match ms / 60_000 {
        minutes @ 0..120 => format!("{minutes} min"),
        minutes @ 120..1_440 => format!("{} h", minutes / 60),
        _ => "the last 24 h".into(),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "seven digits are enough for a sum that fades")]
const fn narrow(value: f64) -> f32 {
    value as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auto::tests::{at, sample};

    /// What is asked for serves after 115 s.
    const SETTING: Setting =
        Setting { price: 0.1, min: 1, max: 100, boot: Duration::from_secs(100), period: Duration::from_secs(10) };

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    /// All rules have asked for what each of these demands, all features alike.
    fn asked(demands: &[(u64, f64)]) -> Shadows {
        let mut shadows = Shadows::begin();
        demands.iter().for_each(|(s, demand)| shadows.ask(at(*s), &[*demand; FEATURES.len()], &SETTING));
        shadows
    }

    fn close(a: f64, b: f64) -> bool {
        (a - b).abs() <= 1e-4 * b.abs()
    }

    #[test]
    fn z10_a_bill_is_who_was_paid_for_over_who_was_needed_and_the_share_that_met_an_overloaded_group() {
        // Demands of 10 and, a minute later, of 20.
        let mut shadows = asked(&[(0, 10_000.0), (60, 20_000.0)]);
        shadows.bill(&sample(114, 99_000), seconds(10), &SETTING);
        assert_eq!(shadows.billed_ms, 0, "nothing that was asked for serves yet");
        // 12 / 0.9 takes 14, and the first serve; 22 / 0.9 takes 25, and the second do.
        shadows.bill(&sample(120, 12_000), seconds(10), &SETTING);
        shadows.bill(&sample(180, 22_000), seconds(60), &SETTING);
        assert_eq!(shadows.billed_ms, 70_000);
        let fades = (-60.0_f64 / 86_400.0).exp();
        // Target, what it asks for now, whether 12 overload what it asked for first and 22 what it asked for then.
        for (nth, now, first, then) in [
            (0, 45.0, 0.0, 0.0), // 23, 45
            (1, 38.0, 0.0, 0.0), // 19, 38
            (3, 30.0, 0.0, 0.0), // 15, 30
            (4, 28.0, 0.0, 0.0), // 14, 28: 12.6, 25.2 at 90 %
            (5, 25.0, 1.0, 0.0), // 13, 25: 11.7, 22.5
            (6, 24.0, 1.0, 1.0), // 12, 24: 10.8, 21.6
        ] {
            let Bill { cost, overloaded } = shadows.bill_of(nth);
            let paid = now * (10.0 * fades + 60.0) / (14.0 * 10.0 * fades + 25.0 * 60.0);
            let (first, then) = (first * 12.0 * 10.0 * fades, then * 22.0 * 60.0);
            let waited = 100.0 * (first + then) / (12.0 * 10.0 * fades + 22.0 * 60.0);
            assert!(close(cost, paid) && close(overloaded, waited), "{}: {cost}, {overloaded}", RULES[nth]);
        }
    }

    #[test]
    fn z10_what_serves_is_the_least_that_was_asked_for_in_the_last_lead() {
        // Asked for at 0, 60 and 120; the demand of the second is billed.
        for (demands, billed_at, over) in [
            ([20_000.0, 5_000.0, 20_000.0], 120, true),
            ([20_000.0, 5_000.0, 20_000.0], 180, true),
            ([20_000.0, 5_000.0, 20_000.0], 234, true),
            ([20_000.0, 5_000.0, 20_000.0], 236, false),
            ([5_000.0, 20_000.0, 20_000.0], 174, true),
            ([5_000.0, 20_000.0, 20_000.0], 176, false),
            ([20_000.0, 20_000.0, 5_000.0], 180, true),
        ] {
            let mut shadows = asked(&[(0, demands[0]), (60, demands[1]), (120, demands[2])]);
            shadows.bill(&sample(billed_at, 15_000), seconds(10), &SETTING);
            assert_eq!(shadows.bill_of(3).overloaded > 0.0, over, "{demands:?} at {billed_at}");
        }
        // Within one grain the least counts, too.
        let mut shadows = asked(&[(0, 20_000.0), (10, 5_000.0), (19, 20_000.0), (60, 20_000.0)]);
        shadows.bill(&sample(130, 15_000), seconds(10), &SETTING);
        assert!(shadows.bill_of(3).overloaded > 0.0);
    }

    #[test]
    fn z10_a_gap_bills_nothing_nor_what_was_asked_for_before_it() {
        for (lasted, billed_ms) in [(300, 300_000), (301, 0), (86_400, 0)] {
            let mut shadows = asked(&[(0, 10_000.0)]);
            shadows.bill(&sample(120 + lasted, 12_000), seconds(lasted), &SETTING);
            assert_eq!(shadows.billed_ms, billed_ms, "{lasted} s");
            shadows.bill(&sample(130 + lasted, 12_000), seconds(10), &SETTING);
            assert_eq!(shadows.billed_ms > 0, billed_ms > 0, "{lasted} s");
        }
        // Five periods, where those are long.
        let slow = Setting { period: seconds(120), ..SETTING };
        let mut shadows = asked(&[(0, 10_000.0)]);
        shadows.bill(&sample(900, 12_000), seconds(600), &slow);
        assert_eq!(shadows.billed_ms, 600_000);
    }

    #[test]
    fn z10_the_cheapest_weighs_most_and_the_first_half_hour_one_rule_all() {
        let mut shadows = Shadows::begin();
        for nth in 0..=400_u64 {
            let demand = if nth % 60 < 30 { 10_000 } else { 14_000 };
            shadows.weigh(at(10 * nth), SETTING.price);
            if shadows.billed_ms < 1_800_000 {
                assert_eq!(shadows.weights, [(PRIOR, 1.0)]);
            }
            shadows.bill(&sample(10 * nth, demand), seconds(10), &SETTING);
            shadows.ask(at(10 * nth), &[f64::from(demand); FEATURES.len()], &SETTING);
        }
        let total = |rule: u16| shadows.bill_of(usize::from(rule)).total(SETTING.price);
        let sum: f32 = shadows.weights.iter().map(|(_, weight)| weight).sum();
        assert!((sum - 1.0).abs() < 1e-5 && shadows.weights.len() > 1, "{:?}", shadows.weights);
        let heaviest = shadows.weights.iter().max_by(|a, b| a.1.total_cmp(&b.1)).expect("there is one").0;
        let cheapest = (0..105).map(total).fold(f64::INFINITY, f64::min);
        assert!(close(total(heaviest), cheapest), "{} of {cheapest}", total(heaviest));
        for ((cheap, weighs), (dear, less)) in shadows.weights.iter().zip(shadows.weights.iter().skip(1)) {
            // A weight is a minute older than the bill.
            let settled = (total(*cheap) - total(*dear)).abs() > 0.01;
            assert!(!settled || (total(*cheap) < total(*dear)) == (weighs > less), "{cheap} and {dear}");
        }
    }

    #[test]
    fn z10_what_the_rules_ask_for_is_their_mean_by_weight() {
        let mut shadows = Shadows::begin();
        let mut values = [10_000.0; FEATURES.len()];
        // The prior looks at the highest of 20 minutes and aims at 67 %.
        values[3] = 6_700.0;
        assert!(close(shadows.blend(&values).0, 10.0));
        shadows.weights = vec![(0, 0.25), (PRIOR, 0.75)];
        assert!(close(shadows.blend(&values).0, 0.25 * 10.0 / 0.45 + 7.5));
    }

    #[test]
    fn z10_a_state_of_another_length_or_with_impossible_numbers_does_not_fit() {
        let spoils: [fn(&mut Shadows); 9] = [
            |shadows| shadows.paid[7] = 1e16,
            |shadows| shadows.overloaded[7] = -1.0,
            |shadows| shadows.needed = f32::NAN,
            |shadows| shadows.weights[0].1 = 1.5,
            |shadows| _ = shadows.paid.pop(),
            |shadows| shadows.overloaded.push(0.0),
            |shadows| shadows.asked.clear(),
            |shadows| shadows.weights.push((105, 0.1)),
            |shadows| _ = shadows.blocks[0].least.pop(),
        ];
        for spoil in spoils {
            let mut shadows = asked(&[(0, 1_000.0)]);
            assert!(shadows.fits());
            spoil(&mut shadows);
            assert!(!shadows.fits());
        }
    }
}
