//! A load as it was recorded, and the demand that is played of it.
//!
//! The file is CSV: `unix_seconds,requests_per_second`, a line for each bin with its start and the mean rate in it. A first line
//! that is no bin is a heading; empty lines and those that begin with `#` say nothing.

/// The length of a step of the world, in seconds: agents report as often.
pub const STEP_S: f64 = 10.0;
/// Bins up to this long are held, so that nothing of the next one is seen early; longer ones are joined by a straight line, for
/// a load that stands still for five minutes and then jumps was never there.
const HELD_S: f64 = 60.0;
/// Steps of a trace at most: a year.
pub(crate) const MOST_STEPS: f64 = 366.0 * 8_640.0;
/// The highest rate that is read, requests a second: far beyond any group, and far from where floats run out.
const HIGHEST_RATE: f64 = 1e12;

/// Bins of a recorded load.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    bins: Vec<Bin>,
}

#[derive(Clone, Copy, Debug, PartialEq)]
struct Bin {
    start_s: f64,
    rate: f64,
}

/// Requests a second in each step of ten seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// When the first step begins, in seconds since 1970.
    pub start_unix_s: f64,
    /// The rates.
    pub rates: Vec<f64>,
}

/// Why a text is no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TraceError {
    /// A line is wrong.
    #[error("line {line}: {problem}")]
    Line {
        /// Its number, from 1.
        line: usize,
        /// What is wrong with it.
        problem: String,
    },
    /// There is too little or too much of it.
    #[error("{0}")]
    Whole(String),
}

impl Trace {
    /// Reads a trace.
    pub fn parse(text: &str) -> Result<Self, TraceError> {
        let mut bins: Vec<Bin> = Vec::new();
        let mut headed = false;
        for (nth, line) in text.lines().enumerate() {
            let line = line.trim();
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            let heading = bins.is_empty() && !headed && line.starts_with(|c: char| c.is_alphabetic());
            headed = true;
            if heading {
                continue;
            }
            let wrong = |problem| TraceError::Line { line: nth + 1, problem };
            let bin = Bin::parse(line).map_err(wrong)?;
            if let Some(before) = bins.last().filter(|before| bin.start_s <= before.start_s) {
                return Err(wrong(format!("{} s is not after {} s, the line before it", bin.start_s, before.start_s)));
            }
            bins.push(bin);
        }
        Self { bins }.checked()
    }

    fn checked(self) -> Result<Self, TraceError> {
        let whole = |problem: String| Err(TraceError::Whole(problem));
        let [first, .., last] = &self.bins[..] else {
            return whole(format!("a trace has at least 2 bins, this one {}", self.bins.len()));
        };
        let steps = (last.start_s - first.start_s + self.width_s()) / STEP_S;
        if steps < 1.0 {
            return whole(format!("the trace is shorter than one step of {STEP_S} s"));
        }
        if steps > MOST_STEPS {
            return whole(format!("the trace spans {:.0} days: 366 are played at most", steps * STEP_S / 86_400.0));
        }
        if self.bins.iter().all(|bin| bin.rate == 0.0) {
            return whole("the trace has no request in it".into());
        }
        Ok(self)
    }

    /// The usual length of a bin: the median, so that a gap in the record does not count.
    fn width_s(&self) -> f64 {
        let mut gaps: Vec<f64> = self.bins.windows(2).map(|pair| pair[1].start_s - pair[0].start_s).collect();
        gaps.sort_by(f64::total_cmp);
        let (lower, upper) = (gaps.get((gaps.len().max(1) - 1) / 2), gaps.get(gaps.len() / 2));
        lower.zip(upper).map_or(0.0, |(lower, upper)| (lower + upper) / 2.0)
    }

    /// Steps that it takes to play it.
    pub fn steps(&self) -> u32 {
        let span_s = self.bins.first().zip(self.bins.last()).map_or(0.0, |(first, last)| last.start_s - first.start_s);
        crate::scaler::size((span_s + self.width_s()) / STEP_S)
    }

    /// The demand, step by step.
    pub fn demand(&self) -> Demand {
        let Some(first) = self.bins.first() else { return Demand { start_unix_s: 0.0, rates: Vec::new() } };
        let held = self.width_s() <= HELD_S;
        let mut within = 0;
        let rates = (0..self.steps()).map(|step| {
            let at_s = first.start_s + f64::from(step) * STEP_S;
            while self.bins.get(within + 1).is_some_and(|next| next.start_s <= at_s) {
                within += 1;
            }
            let bin = self.bins[within];
            match self.bins.get(within + 1) {
                Some(next) if !held => {
                    let share = (at_s - bin.start_s) / (next.start_s - bin.start_s);
                    bin.rate + (next.rate - bin.rate) * share
                }
                Some(_) | None => bin.rate,
            }
        });
        Demand { start_unix_s: first.start_s, rates: rates.collect() }
    }
}

impl Bin {
    fn parse(line: &str) -> Result<Self, String> {
        let mut fields = line.split(',');
        let (Some(start), Some(rate), None) = (fields.next(), fields.next(), fields.next()) else {
            return Err(format!("{:?} is not `unix_seconds,requests_per_second`", shown(line)));
        };
        let number = |text: &str| text.trim().parse::<f64>().map_err(|_| format!("{:?} is no number", shown(text)));
        let (start_s, rate) = (number(start)?, number(rate)?);
        if !(0.0..=253_402_207_200.0).contains(&start_s) {
            return Err(format!("{start_s} is no time in seconds since 1970"));
        }
        if !(0.0..=HIGHEST_RATE).contains(&rate) {
            return Err(format!("a rate of {rate} is not within 0 to {HIGHEST_RATE:e} requests a second"));
        }
        Ok(Self { start_s, rate: rate + 0.0 })
    }
}

/// The start of a foreign text, for a message.
fn shown(text: &str) -> String {
    text.chars().take(60).collect()
}

impl Demand {
    /// The rate below which `share` of all steps lie, from 0 to 1; between two steps it is interpolated.
    pub fn quantile(&self, share: f64) -> f64 {
        let mut sorted = self.rates.clone();
        sorted.sort_by(f64::total_cmp);
        let place = share.clamp(0.0, 1.0) * (sorted.len().max(1) - 1) as f64;
        let below = crate::scaler::size(place.floor()) as usize;
        let at = |nth: usize| sorted.get(nth).or(sorted.last()).copied().unwrap_or_default();
        at(below) + (at(below + 1) - at(below)) * (place - place.floor())
    }

    /// Hours that it lasts.
    pub fn hours(&self) -> f64 {
        self.rates.len() as f64 * STEP_S / 3_600.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_bins_are_held_and_long_ones_joined() {
        let held = Trace::parse("unix_seconds,requests_per_second\n0,1\n20,3\n40,5\n").unwrap().demand();
        assert_eq!(held.rates, [1.0, 1.0, 3.0, 3.0, 5.0, 5.0]);
        let joined = Trace::parse("# a comment\n100, 0\n\n200, 10\n").unwrap().demand();
        assert_eq!(joined.start_unix_s, 100.0);
        assert_eq!(joined.rates[..11], [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 10.0]);
        assert_eq!((joined.rates.len(), joined.rates[19]), (20, 10.0));
    }

    #[test]
    fn a_gap_in_the_record_is_bridged() {
        let demand = Trace::parse("0,1\n10,2\n20,3\n100,9\n").unwrap().demand();
        assert_eq!(demand.rates, [1.0, 2.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 3.0, 9.0]);
    }

    #[test]
    fn what_is_wrong_is_told_with_its_line() {
        let say = |text: &str| Trace::parse(text).expect_err(text).to_string();
        assert_eq!(say("0,1\n10,x\n"), "line 2: \"x\" is no number");
        assert_eq!(say("t,r\n\n0,1\n0,2\n"), "line 4: 0 s is not after 0 s, the line before it");
        assert_eq!(say("0;1\n"), "line 1: \"0;1\" is not `unix_seconds,requests_per_second`");
        assert_eq!(say("0,1,2\n"), "line 1: \"0,1,2\" is not `unix_seconds,requests_per_second`");
        assert_eq!(say("0,-1\n"), "line 1: a rate of -1 is not within 0 to 1e12 requests a second");
        assert_eq!(say("0,inf\n"), "line 1: a rate of inf is not within 0 to 1e12 requests a second");
        assert_eq!(say("NaN,1\n0,1\n"), "a trace has at least 2 bins, this one 1");
        assert_eq!(say("-5,1\n"), "line 1: -5 is no time in seconds since 1970");
        assert_eq!(say("t,r\nu,v\n"), "line 2: \"u\" is no number");
        assert_eq!(say(""), "a trace has at least 2 bins, this one 0");
        assert_eq!(say("0,0\n10,0\n"), "the trace has no request in it");
        assert_eq!(say("0,1\n1,1\n"), "the trace is shorter than one step of 10 s");
        assert_eq!(say("0,1\n86400000,1\n"), "the trace spans 2000 days: 366 are played at most");
    }

    #[test]
    fn a_quantile_lies_between_its_neighbours() {
        let demand = Demand { start_unix_s: 0.0, rates: vec![4.0, 1.0, 3.0, 2.0] };
        assert_eq!([0.0, 0.5, 1.0].map(|share| demand.quantile(share)), [1.0, 2.5, 4.0]);
    }
}
