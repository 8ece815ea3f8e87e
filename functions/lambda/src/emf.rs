//! Metrics in CloudWatch's embedded metric format: one line of JSON on standard output, of which CloudWatch makes metrics without
//! a call of ours. <https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/CloudWatch_Embedded_Metric_Format_Specification.html>
//!
//! Their dimensions are the stack and the group and nothing else: one of instances would cost a metric for each that ever lived.

use std::collections::BTreeMap;
use std::io::Write;

use muster_core::group::GroupName;
use muster_core::time::Timestamp;
use serde_json::{Map, Value, json};

/// The namespace of all our metrics.
pub const NAMESPACE: &str = "Muster";
/// Metrics that one line may declare, by the specification.
const METRICS_AT_MOST: usize = 100;

/// What is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "each variant is the name of a metric; its doc is the table of functions/README.md")]
pub enum Metric {
    Members,
    Answered,
    Unreachable,
    Unknown,
    BlindSweeps,
    SweepDuration,
    SweepAge,
    Desired,
    Actual,
    Decisions,
    Refusals,
    BreakerOpen,
    ManyOrphans,
    Launches,
    LaunchFailures,
    Terminations,
    Failures,
    IgnoredRecords,
}

impl Metric {
    const fn name(self) -> &'static str {
        match self {
            Self::Members => "Members",
            Self::Answered => "Answered",
            Self::Unreachable => "Unreachable",
            Self::Unknown => "Unknown",
            Self::BlindSweeps => "BlindSweeps",
            Self::SweepDuration => "SweepDuration",
            Self::SweepAge => "SweepAge",
            Self::Desired => "Desired",
            Self::Actual => "Actual",
            Self::Decisions => "Decisions",
            Self::Refusals => "Refusals",
            Self::BreakerOpen => "BreakerOpen",
            Self::ManyOrphans => "ManyOrphans",
            Self::Launches => "Launches",
            Self::LaunchFailures => "LaunchFailures",
            Self::Terminations => "Terminations",
            Self::Failures => "Failures",
            Self::IgnoredRecords => "IgnoredRecords",
        }
    }

    const fn unit(self) -> &'static str {
        match self {
            Self::SweepDuration | Self::SweepAge => "Milliseconds",
            Self::Members
            | Self::Answered
            | Self::Unreachable
            | Self::Unknown
            | Self::BlindSweeps
            | Self::Desired
            | Self::Actual
            | Self::Decisions
            | Self::Refusals
            | Self::BreakerOpen
            | Self::ManyOrphans
            | Self::Launches
            | Self::LaunchFailures
            | Self::Terminations
            | Self::Failures
            | Self::IgnoredRecords => "Count",
        }
    }
}

/// The metrics of one group at one moment. A metric has one value: the last one that is put.
#[derive(Clone, Debug, PartialEq)]
pub struct Metrics {
    stack: String,
    group: Option<GroupName>,
    values: BTreeMap<Metric, f64>,
}

impl Metrics {
    /// None yet, of `group` in `stack`.
    pub fn of(stack: &str, group: &GroupName) -> Self {
        Self { stack: stack.to_owned(), group: Some(group.clone()), values: BTreeMap::new() }
    }

    /// None yet, of the stack as a whole.
    pub fn of_stack(stack: &str) -> Self {
        Self { stack: stack.to_owned(), group: None, values: BTreeMap::new() }
    }

    /// Puts a value; what is not finite is left out, for JSON has no word for it.
    #[must_use]
    pub fn with(mut self, metric: Metric, value: impl Into<f64>) -> Self {
        let value = value.into();
        if value.is_finite() {
            self.values.insert(metric, value);
        }
        self
    }

    /// The line, without its end; none without a value. It holds no text of foreign origin but the group's name, so that it
    /// stays within a few hundred bytes.
    pub fn line(&self, now: Timestamp) -> Option<String> {
        if self.values.is_empty() {
            return None;
        }
        let declared: Vec<Value> = self
            .values
            .keys()
            .take(METRICS_AT_MOST)
            .map(|metric| json!({"Name": metric.name(), "Unit": metric.unit()}))
            .collect();
        let dimensions = if self.group.is_some() { json!([["Stack", "Group"]]) } else { json!([["Stack"]]) };
        let directive = json!({"Namespace": NAMESPACE, "Dimensions": dimensions, "Metrics": declared});
        let mut line = Map::new();
        line.insert("_aws".into(), json!({"Timestamp": now.as_millis(), "CloudWatchMetrics": [directive]}));
        line.insert("Stack".into(), json!(self.stack));
        line.extend(self.group.iter().map(|group| ("Group".to_owned(), json!(group))));
        line.extend(self.values.iter().map(|(metric, value)| (metric.name().to_owned(), json!(value))));
        Some(Value::Object(line).to_string())
    }

    /// Writes the line in one piece, so that no log line comes in between. Nobody is told when it cannot be: there is nobody.
    pub fn write(&self, now: Timestamp, out: &mut impl Write) {
        if let Some(line) = self.line(now) {
            let _unheard = out.write_all(format!("{line}\n").as_bytes()).and_then(|()| out.flush());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_795_341_600_000);

    fn all() -> Vec<Metric> {
        use Metric::*;
        vec![
            Members,
            Answered,
            Unreachable,
            Unknown,
            BlindSweeps,
            SweepDuration,
            SweepAge,
            Desired,
            Actual,
            Decisions,
            Refusals,
            BreakerOpen,
            ManyOrphans,
            Launches,
            LaunchFailures,
            Terminations,
            Failures,
            IgnoredRecords,
        ]
    }

    /// What the specification's JSON schema demands, and its limits. Property names and values are copied from there.
    fn obeys_the_schema(line: &Value) {
        let root = line.as_object().expect("a root object");
        let aws = root["_aws"].as_object().expect("metadata");
        assert!(aws["Timestamp"].is_u64());
        let directives = aws["CloudWatchMetrics"].as_array().expect("directives");
        assert_eq!(directives.len(), 1);
        for directive in directives {
            let namespace = directive["Namespace"].as_str().expect("a namespace");
            assert!((1..=1024).contains(&namespace.len()));
            let sets = directive["Dimensions"].as_array().expect("dimension sets");
            assert!(!sets.is_empty());
            for name in sets.iter().flat_map(|set| set.as_array().expect("a set")) {
                let name = name.as_str().expect("a dimension");
                let value = root[name].as_str().expect("a dimension's value is a text of the root");
                assert!((1..=250).contains(&name.len()) && (1..=1024).contains(&value.len()));
            }
            assert!(sets.iter().all(|set| set.as_array().is_some_and(|set| set.len() <= 30)));
            let metrics = directive["Metrics"].as_array().expect("metrics");
            assert!((1..=100).contains(&metrics.len()));
            for metric in metrics {
                let name = metric["Name"].as_str().expect("a name");
                assert!((1..=1024).contains(&name.len()));
                assert!(["Count", "Milliseconds"].contains(&metric["Unit"].as_str().expect("a unit")));
                assert!(root[name].is_number(), "{name} has its value at the root");
            }
        }
    }

    #[test]
    fn a_line_obeys_the_specification() {
        let group: GroupName = "web".parse().expect("a name");
        for metrics in [Metrics::of("prod", &group), Metrics::of_stack("prod")] {
            let full = all().into_iter().fold(metrics, |metrics, metric| metrics.with(metric, 1.5));
            let line = full.line(NOW).expect("it has values");
            assert!(!line.contains('\n') && line.len() < 4_000, "{} bytes", line.len());
            obeys_the_schema(&serde_json::from_str(&line).expect("one JSON document"));
        }
    }

    #[test]
    fn a_line_is_what_it_says() {
        let group: GroupName = "web".parse().expect("a name");
        let metrics = Metrics::of("prod", &group).with(Metric::Desired, 3_u32).with(Metric::SweepAge, 250.0);
        let line: Value = serde_json::from_str(&metrics.line(NOW).expect("a line")).expect("JSON");
        let expected = json!({
            "_aws": {"Timestamp": 1_795_341_600_000_u64, "CloudWatchMetrics": [{
                "Namespace": "Muster", "Dimensions": [["Stack", "Group"]],
                "Metrics": [{"Name": "SweepAge", "Unit": "Milliseconds"}, {"Name": "Desired", "Unit": "Count"}],
            }]},
            "Stack": "prod", "Group": "web", "Desired": 3.0, "SweepAge": 250.0,
        });
        assert_eq!(line, expected);
    }

    #[test]
    fn what_is_no_number_is_left_out_and_nothing_is_no_line() {
        let none = Metrics::of_stack("prod").with(Metric::Desired, f64::NAN).with(Metric::Actual, f64::INFINITY);
        assert_eq!(none.line(NOW), None);
        let mut out = Vec::new();
        none.write(NOW, &mut out);
        assert!(out.is_empty());
        none.with(Metric::Actual, 2_u32).write(NOW, &mut out);
        assert_eq!(out.iter().filter(|byte| **byte == b'\n').count(), 1);
    }

    #[test]
    fn names_are_told_apart() {
        let names: std::collections::BTreeSet<_> = all().into_iter().map(Metric::name).collect();
        assert_eq!(names.len(), all().len());
    }
}
