//! The shipped decision for a world that is another program: one JSON object a line, one line of answer for each.
//!
//! ```text
//! {"type":"init","min":2,"max":60,"interval_s":20}                       -> {"ok":true}
//! {"type":"tick","unix":1000.0,"desired":2,
//!  "samples":[{"instance_id":"i-7","state":"ready","age_s":130,"cpu":63.1},
//!             {"instance_id":"i-8","state":"booting","age_s":20,"cpu":null}]}  -> {"desired":3}
//! {"type":"end"}
//! ```
//!
//! (Each is one line.) A sample may tell `rps`, the requests a second that come to the instance. `min` and `max` stand instead of the policy's. `desired` counts in the first tick only: after it the group knows what
//! it wants. Fields that are not listed are ignored, so that a world may say more. What comes in is not trusted: whatever it is, it
//! gives an answer or an error that names its line.

use std::collections::BTreeSet;
use std::time::Duration;

use muster_core::member::InstanceId;
use muster_core::policy::Policy;
use serde::Deserialize;

use crate::muster::{Muster, Sighting};
use crate::scaler::Bounds;

/// Instances in a tick at most: the most that a policy allows, and as many that boot or go.
const MOST_SAMPLES: usize = 20_000;
/// Most instances that a policy may allow.
const MOST_INSTANCES: u32 = 10_000;
/// Characters of an id at most.
const LONGEST_ID: usize = 128;
/// The last second of a timestamp.
const LATEST_S: f64 = 253_402_207_200.0;

/// One conversation.
#[derive(Debug)]
pub struct Stream {
    policy: Policy,
    lines: u64,
    group: Option<Muster>,
    before_s: f64,
}

/// What to answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// This line.
    Line(String),
    /// Nothing: it is over.
    End,
}

/// Why a line is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {problem}")]
pub struct StreamError {
    /// The line's number, from 1.
    pub line: u64,
    /// What is wrong with it.
    pub problem: String,
}

#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum Message {
    Init { min: u32, max: u32, interval_s: f64 },
    Tick { unix: f64, desired: u32, samples: Vec<Sample> },
    End,
}

#[derive(Deserialize)]
struct Sample {
    instance_id: InstanceId,
    state: State,
    age_s: f64,
    #[serde(default)]
    cpu: Option<f64>,
    #[serde(default)]
    rps: Option<f64>,
}

#[derive(Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Ready,
    Booting,
}

impl Stream {
    /// A conversation in which `policy` decides.
    pub const fn new(policy: Policy) -> Self {
        Self { policy, lines: 0, group: None, before_s: 0.0 }
    }

    /// Takes the next line.
    pub fn take(&mut self, line: &str) -> Result<Reply, StreamError> {
        self.lines += 1;
        self.answer(line).map_err(|problem| StreamError { line: self.lines, problem })
    }

    fn answer(&mut self, line: &str) -> Result<Reply, String> {
        match serde_json::from_str(line).map_err(|error| error.to_string())? {
            Message::Init { min, max, interval_s } => self.init(Bounds { min, max }, interval_s),
            Message::Tick { unix, desired, samples } => self.tick(unix, desired, &samples),
            Message::End => Ok(Reply::End),
        }
    }

    fn init(&mut self, bounds: Bounds, interval_s: f64) -> Result<Reply, String> {
        let Bounds { min, max } = bounds;
        if self.group.is_some() {
            return Err("a second init: a conversation is about one group".into());
        }
        if !(1..=max).contains(&min) || max > MOST_INSTANCES {
            return Err(format!("min {min} and max {max} are not 1 <= min <= max <= {MOST_INSTANCES}"));
        }
        if !(1.0..=3_600.0).contains(&interval_s) {
            return Err(format!("an interval_s of {interval_s} is not within 1 to 3600"));
        }
        let period = Duration::from_secs_f64(interval_s);
        self.group = Some(Muster::every(self.policy.clone(), bounds, period));
        Ok(Reply::Line("{\"ok\":true}".into()))
    }

    fn tick(&mut self, unix_s: f64, desired: u32, samples: &[Sample]) -> Result<Reply, String> {
        let group = self.group.as_mut().ok_or("a tick before the init")?;
        if !(self.before_s..=LATEST_S).contains(&unix_s) {
            return Err(format!("unix {unix_s} is not within {} to {LATEST_S}: time does not go back", self.before_s));
        }
        check(samples)?;
        self.before_s = unix_s;
        let seen = samples.iter().map(|sample| Sighting {
            id: &sample.instance_id,
            age_s: sample.age_s,
            serves: sample.state == State::Ready,
            cpu: sample.cpu,
            rate: sample.rps,
        });
        let wanted = group.sweep(unix_s, desired, seen);
        Ok(Reply::Line(format!("{{\"desired\":{wanted}}}")))
    }
}

fn check(samples: &[Sample]) -> Result<(), String> {
    if samples.len() > MOST_SAMPLES {
        return Err(format!("{} samples are more than {MOST_SAMPLES}", samples.len()));
    }
    let mut ids = BTreeSet::new();
    for Sample { instance_id, age_s, .. } in samples {
        let length = instance_id.0.chars().count();
        if !(1..=LONGEST_ID).contains(&length) {
            return Err(format!("an instance_id has 1 to {LONGEST_ID} characters, this one {length}"));
        }
        if !(0.0..=LATEST_S).contains(age_s) {
            return Err(format!("{instance_id}: an age_s of {age_s} is not within 0 to {LATEST_S}"));
        }
        if !ids.insert(instance_id) {
            return Err(format!("{instance_id} is there twice"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const INIT: &str = r#"{"type":"init","min":1,"max":6,"boot_s":90,"interval_s":20,"seed":1,"params":{"a":[1]}}"#;

    fn tick(unix: &str, samples: &str) -> String {
        format!(r#"{{"type":"tick","t":0,"unix":{unix},"desired":2,"ready":2,"booting":0,"samples":[{samples}]}}"#)
    }

    fn sample(id: &str, state: &str, age: &str, cpu: &str) -> String {
        format!(r#"{{"instance_id":"{id}","state":"{state}","age_s":{age},"cpu":{cpu}}}"#)
    }

    #[test]
    fn a_conversation_goes_from_init_to_end() {
        let mut stream = Stream::new(Policy::parse(r#"{"scaling": {"kind": "threshold"}}"#).unwrap());
        let line = |text: &str| Ok(Reply::Line(text.into()));
        assert_eq!(stream.take(INIT), line(r#"{"ok":true}"#));
        let busy = [sample("a", "ready", "1e6", "95"), sample("b", "ready", "1e6", "95.5")].join(",");
        assert_eq!(stream.take(&tick("1000.5", &busy)), line(r#"{"desired":4}"#));
        let booting = format!("{busy},{}", sample("c", "booting", "0", "null"));
        assert_eq!(
            stream.take(&tick("1020.5", &booting)),
            line(r#"{"desired":4}"#),
            "one that never came is ordered again"
        );
        assert_eq!(stream.take(r#"{"type":"end"}"#), Ok(Reply::End));
    }

    #[test]
    fn what_is_not_understood_is_refused_with_its_line() {
        let good = sample("a", "ready", "5", "50");
        let cases = [
            (String::new(), "EOF while parsing"),
            ("[]".into(), "missing field `type`"),
            ("{}".into(), "missing field `type`"),
            (r#"{"type":"dance"}"#.into(), "unknown variant `dance`"),
            (INIT.into(), "a second init"),
            (tick("-1", &good), "time does not go back"),
            (tick("1e400", &good), "number out of range"),
            (tick("1e300", &good), "time does not go back"),
            (tick("\"now\"", &good), "invalid type"),
            (tick("5", &sample("a", "asleep", "5", "50")), "unknown variant `asleep`"),
            (tick("5", &sample("a", "ready", "-1", "50")), "an age_s of -1"),
            (tick("5", &sample("", "ready", "1", "50")), "1 to 128 characters"),
            (tick("5", &sample(&"x".repeat(129), "ready", "1", "50")), "1 to 128 characters"),
            (tick("5", &format!("{good},{good}")), "a is there twice"),
            (tick("5", "1"), "invalid type"),
            ("[".repeat(100_000), "invalid type: sequence"),
            (format!(r#"{{"type":"tick","x":{}"#, "[".repeat(100_000)), "recursion limit"),
        ];
        for (line, problem) in cases {
            let mut stream = Stream::new(Policy::default());
            stream.take(INIT).unwrap();
            let error = stream.take(&line).expect_err(problem);
            assert!(error.to_string().starts_with("line 2: ") && error.problem.contains(problem), "{error}");
        }
    }

    #[test]
    fn what_an_init_must_be() {
        let cases = [
            (tick("1", ""), "a tick before the init"),
            (INIT.replace("\"min\":1", "\"min\":0"), "1 <= min <= max <= 10000"),
            (INIT.replace("\"min\":1", "\"min\":7"), "1 <= min <= max <= 10000"),
            (INIT.replace("\"max\":6", "\"max\":10001"), "1 <= min <= max <= 10000"),
            (INIT.replace("\"max\":6", "\"max\":-6"), "invalid value"),
            (INIT.replace("\"interval_s\":20", "\"interval_s\":0"), "an interval_s of 0"),
        ];
        for (line, problem) in cases {
            let error = Stream::new(Policy::default()).take(&line).expect_err(problem);
            assert!(error.problem.contains(problem), "{error}");
        }
    }

    #[test]
    fn a_load_that_is_none_is_a_missing_sample() {
        for cpu in ["null", "-3", "100.1", "1e300"] {
            let mut stream = Stream::new(Policy::default());
            stream.take(INIT).unwrap();
            let seen = [sample("a", "ready", "1e6", cpu), sample("b", "ready", "1e6", cpu)].join(",");
            assert_eq!(stream.take(&tick("1000", &seen)), Ok(Reply::Line(r#"{"desired":2}"#.into())), "{cpu}");
        }
    }
}
