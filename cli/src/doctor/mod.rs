//! `muster doctor`: what is wrong with a stack or a local world, and what to do about it.
//!
//! [`facts`] is what was found, [`checks`] judges it, and here it is told. What must never be in here: a repair. The doctor reads.

pub mod checks;
pub mod facts;
pub(crate) mod gather;

use std::fmt::Write;

use checks::{Finding, Verdict, judge};
use clap::Args;
use facts::Facts;
use muster_core::group::GroupName;
use serde::Serialize;

use crate::failure::Failure;
use crate::place::{PlaceArgs, StackArgs, blocking};
use crate::policy::{print, say};
use crate::words::plain;

/// Say what is wrong with a stack or a local world, and what to do about it. Nothing is changed.
///
/// Of a stack: credentials, region, tables, the sweeps' stream and what it brought that was no sweep, CloudFormation; of each group its
/// policy, whether it is swept and decided on, its agents, clocks, launches, open calls, EC2. Of a local world: processes, folder, disk,
/// store and page instead. The exit code is 3 when something is bad.
///
///   muster doctor
///   muster --stack prod doctor --json
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct DoctorArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Print one JSON object: {"place", "healthy", "findings": [{"check", "group", "verdict", "text", "remedy"}]}.
    #[arg(long)]
    json: bool,
}

/// Runs the command.
pub fn run(stack: &StackArgs, args: &DoctorArgs) -> Result<(), Failure> {
    let group = args.place.group.as_ref();
    let (place, facts) = match (&args.place.state, stack.named()) {
        (None, Some(name)) => (format!("stack {name}"), of_stack(name, group)?),
        (state, _) => ("local".to_owned(), blocking(gather::world(state.as_deref(), group))?),
    };
    let diagnosis = Diagnosis::of(place, judge(&facts));
    if args.json {
        print(&diagnosis)?;
    } else {
        say(&diagnosis.told())?;
    }
    if diagnosis.healthy { Ok(()) } else { Err(Failure::Unhealthy(diagnosis.complaint())) }
}

#[cfg(feature = "aws")]
fn of_stack(name: &str, group: Option<&GroupName>) -> Result<Facts, Failure> {
    blocking(async { Ok(crate::stack::facts(name, group).await) })
}

#[cfg(not(feature = "aws"))]
fn of_stack(name: &str, _: Option<&GroupName>) -> Result<Facts, Failure> {
    Err(crate::place::without_aws(name))
}

/// What the doctor says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Diagnosis {
    /// What was looked at: `stack prod`, or a folder.
    pub place: String,
    /// Whether nothing is bad.
    pub healthy: bool,
    /// One for each thing that was looked at.
    pub findings: Vec<Finding>,
}

impl Diagnosis {
    /// Of `place`.
    pub fn of(place: String, findings: Vec<Finding>) -> Self {
        let healthy = findings.iter().all(|finding| finding.verdict != Verdict::Bad);
        Self { place, healthy, findings }
    }

    /// It as people read it.
    pub fn told(&self) -> String {
        let mut text = format!("{}\n", self.place);
        let mut of: Option<&GroupName> = None;
        for finding in &self.findings {
            if finding.group.as_ref() != of {
                of = finding.group.as_ref();
                // Writing into a string does not fail.
                let _ = of.map(|group| writeln!(text, "group {group}"));
            }
            let _ = writeln!(text, "  {:<5} {:<12} {}", mark(finding.verdict), finding.check, plain(&finding.text));
            if let Some(remedy) = finding.remedy.as_ref().filter(|_| finding.verdict != Verdict::Ok) {
                let _ = writeln!(text, "  {:<18} do: {remedy}", "");
            }
        }
        text + &self.sum()
    }

    /// The diagnosis in one line.
    pub fn sum(&self) -> String {
        let count = |verdict| self.findings.iter().filter(|finding| finding.verdict == verdict).count();
        let named = [
            (Verdict::Bad, "bad"),
            (Verdict::Warn, "to look at"),
            (Verdict::NotChecked, "not checked"),
            (Verdict::Ok, "well"),
        ];
        let parts = named.map(|(verdict, word)| (count(verdict), word)).into_iter().filter(|(count, _)| *count > 0);
        parts.map(|(count, word)| format!("{count} {word}")).collect::<Vec<_>>().join(", ")
    }

    /// What is bad, in one line.
    pub fn complaint(&self) -> String {
        let name = |finding: &Finding| match &finding.group {
            Some(group) => format!("{} of {group}", finding.check),
            None => finding.check.to_owned(),
        };
        let bad = self.findings.iter().filter(|finding| finding.verdict == Verdict::Bad).map(name);
        format!("{} is not well: {}", self.place, bad.collect::<Vec<_>>().join(", "))
    }
}

const fn mark(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Ok => "ok",
        Verdict::NotChecked => "-",
        Verdict::Warn => "LOOK",
        Verdict::Bad => "BAD",
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use muster_control::ports::Rejected;
    use muster_core::group::{Head, LaunchRefusal, PolicyVersion, TemplateRecord};
    use muster_core::policy::Mode;
    use muster_core::sweep::SweepCounts;
    use muster_core::time::Timestamp;

    use super::*;
    use crate::golden;
    use facts::{Account, GroupFacts, Home, SweepSeen, TableFacts, World};

    fn now() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    fn ago(seconds: u64) -> Timestamp {
        now().minus(Duration::from_secs(seconds))
    }

    fn group() -> GroupFacts {
        let counts =
            SweepCounts { members: 4, answered: 4, mean: Some(48.5), p90: Some(51.0), ..SweepCounts::default() };
        let head = Head {
            version: 9,
            born: ago(90_000),
            policy: Some(PolicyVersion(3)),
            desired: 4,
            last_slot: Some(ago(4)),
            ..Head::default()
        };
        GroupFacts {
            group: "web".parse().expect("a name"),
            policy_at: "/muster/web/policy".into(),
            policy: Some(Ok(Some("{}".into()))),
            head: Some(Ok(Some(head))),
            sweeps: Some(Ok(vec![SweepSeen {
                slot: ago(4),
                finished_at: ago(3),
                period_ms: 10_000,
                blind: None,
                counts,
            }])),
            intents: vec![("launch-1".into(), ago(20))],
            instances: Some(Ok(4)),
        }
    }

    fn table(name: &str, stream: Option<bool>) -> TableFacts {
        TableFacts { name: format!("prod-{name}"), status: Some("ACTIVE".into()), stream }
    }

    /// A stack that is well, but for what `fault` does to it.
    fn stack(fault: impl FnOnce(&mut Account, &mut GroupFacts)) -> Facts {
        let stacks = ["prod", "prod-functions", "prod-web"].map(|name| (name.into(), "UPDATE_COMPLETE".into(), None));
        let mut account = Account {
            stack: "prod".into(),
            region: Ok("eu-central-1".into()),
            tables: Some(Ok(vec![table("control", None), table("sweeps", Some(true)), table("activity", None)])),
            stacks: Some(Ok(stacks.into())),
        };
        let mut group = group();
        fault(&mut account, &mut group);
        let reached = account.region.is_ok() && account.tables.as_ref().is_some_and(Result::is_ok);
        let rejected = reached.then_some(Ok(None));
        Facts { now: now(), home: Home::Account(account), rejected, groups: reached.then(|| Ok(vec![group])) }
    }

    fn world(fault: impl FnOnce(&mut World, &mut GroupFacts)) -> Facts {
        let mut world = World {
            state: "/tmp/world".into(),
            writable: Ok(()),
            free_bytes: Some(Ok(9 << 30)),
            runs: Some(Ok(true)),
            store: Some(Ok(())),
            page: Some(Ok("http://127.0.0.1:7718/".into())),
        };
        let mut group = GroupFacts { policy_at: "/tmp/world/policy.json".into(), instances: None, ..group() };
        fault(&mut world, &mut group);
        Facts { now: now(), home: Home::World(world), rejected: Some(Ok(None)), groups: Some(Ok(vec![group])) }
    }

    fn head(group: &mut GroupFacts) -> &mut Head {
        group.head.as_mut().expect("asked").as_mut().expect("answered").as_mut().expect("a HEAD")
    }

    fn sweep(group: &mut GroupFacts) -> &mut SweepSeen {
        &mut group.sweeps.as_mut().expect("asked").as_mut().expect("answered")[0]
    }

    /// What is bad in `facts`: the check, and what was found.
    fn bad(facts: &Facts) -> Vec<(&'static str, String)> {
        let bad = judge(facts).into_iter().filter(|finding| finding.verdict == Verdict::Bad);
        bad.map(|finding| {
            assert!(finding.remedy.is_some(), "{}: what to do?", finding.check);
            (finding.check, finding.text)
        })
        .collect()
    }

    #[test]
    fn each_planted_fault_of_a_stack_is_named_and_nothing_else() {
        type Fault = fn(&mut Account, &mut GroupFacts);
        let faults: [(&str, &str, Fault); 19] = [
            ("region", "no AWS region", |account, _| account.region = Err("no AWS region: set AWS_REGION".into())),
            ("credentials", "ExpiredToken", |account, _| {
                account.tables = Some(Err("ExpiredTokenException: expired".into()));
            }),
            ("credentials", "no credentials", |account, _| {
                account.tables = Some(Err("no credentials in the chain".into()));
            }),
            ("credentials", "may not", |account, _| {
                account.tables = Some(Err("AccessDeniedException: is not authorized".into()));
            }),
            ("clock", "too old or too new", |account, _| {
                account.tables = Some(Err("Signature expired: 20261122T1".into()));
            }),
            ("network", "dispatch failure", |account, _| {
                account.tables = Some(Err("dispatch failure: io error".into()));
            }),
            ("tables", "prod-activity is not there", |account, _| {
                account.tables.as_mut().expect("asked").as_mut().expect("told")[2].status = None;
            }),
            ("tables", "no stack prod in this account", |account, _| {
                account
                    .tables
                    .as_mut()
                    .expect("asked")
                    .as_mut()
                    .expect("told")
                    .iter_mut()
                    .for_each(|table| table.status = None);
            }),
            ("stream", "prod-sweeps is off", |account, _| {
                account.tables.as_mut().expect("asked").as_mut().expect("told")[1].stream = Some(false);
            }),
            ("policy", "scaling.cpu_up_threshold is 0.7", |_, group| {
                group.policy = Some(Ok(Some(r#"{"scaling": {"cpu_up_threshold": 0.7}}"#.into())));
            }),
            ("policy", "there is no /muster/web/policy; version 3 stays", |_, group| group.policy = Some(Ok(None))),
            ("schedule", "the last sweep is 5 m old", |_, group| {
                (sweep(group).slot, sweep(group).finished_at) = (ago(301), ago(300));
                head(group).last_slot = Some(ago(301));
            }),
            ("schedule", "nobody has ever swept", |_, group| group.sweeps = Some(Ok(Vec::new()))),
            ("doorbell", "on a sweep 4 m 6 s before the latest", |_, group| head(group).last_slot = Some(ago(250))),
            ("agents", "1 of 4 answer, 3 are silent", |_, group| {
                (sweep(group).counts.answered, sweep(group).counts.silent) = (1, 3);
            }),
            ("agents", "did not trust its own eyes", |_, group| {
                sweep(group).blind = Some("its timers were late".into());
            }),
            ("clock", "the last sweep ends in 1 m", |_, group| {
                sweep(group).finished_at = now().plus(Duration::from_secs(60));
            }),
            ("launches", "UnauthorizedOperation", |_, group| {
                let reason = "UnauthorizedOperation: you may not".to_owned();
                head(group).launch_refusal = Some(LaunchRefusal { reason, failures: 4, until: now(), policy: None });
            }),
            ("ec2", "throttling", |_, group| group.instances = Some(Err("EC2 is throttling".into()))),
        ];
        assert_eq!(bad(&stack(|_, _| {})), []);
        for (check, says, fault) in faults {
            let found = bad(&stack(fault));
            let [(of, text)] = &found[..] else { panic!("{check}: {found:?}") };
            assert!(*of == check && text.contains(says), "{check}, {says}: {of}: {text}");
        }
    }

    #[test]
    fn each_planted_fault_of_a_local_world_is_named_and_nothing_else() {
        type Fault = fn(&mut World, &mut GroupFacts);
        let faults: [(&str, &str, Fault); 8] = [
            ("processes", "no muster up runs on /tmp/world", |world, _| world.runs = Some(Ok(false))),
            ("permissions", "Permission denied", |world, _| world.writable = Err("Permission denied".into())),
            ("disk", "100 MB are free", |world, _| world.free_bytes = Some(Ok(100 << 20))),
            ("store", "schema version 1", |world, _| world.store = Some(Err("the file has schema version 1".into()))),
            ("sweeps", "2 m old", |_, group| {
                (sweep(group).slot, sweep(group).finished_at) = (ago(121), ago(120));
                head(group).last_slot = Some(ago(121));
            }),
            ("intents", "launch-1", |_, group| group.intents[0].1 = ago(1_000)),
            ("launches", "3 in a row from the image never answered", |_, group| {
                let policy = head(group).policy;
                head(group).templates = vec![TemplateRecord { failures: 3, policy, ..TemplateRecord::default() }];
            }),
            ("state", "it cannot be read", |_, group| group.head = Some(Err("throttled".into()))),
        ];
        assert_eq!(bad(&world(|_, _| {})), []);
        for (check, says, fault) in faults {
            let found = bad(&world(fault));
            let [(of, text)] = &found[..] else { panic!("{check}: {found:?}") };
            assert!(*of == check && text.contains(says), "{check}, {says}: {of}: {text}");
        }
    }

    #[test]
    fn what_somebody_should_know_of_is_no_fault() {
        let paused = stack(|_, group| {
            group.policy = Some(Ok(Some(r#"{"mode": "paused"}"#.into())));
            head(group).mode = Mode::Paused;
        });
        let silent = stack(|_, group| (sweep(group).counts.answered, sweep(group).counts.silent) = (3, 1));
        let page = world(|world, _| world.page = Some(Err("connection refused".into())));
        let poisoned = |seconds| {
            let reason = "it has no slot".to_owned();
            let rejected = Some(Ok(Some(Rejected { records: 3, last_at: ago(seconds), reason })));
            Facts { rejected, ..stack(|_, _| {}) }
        };
        let damaged = Facts { rejected: Some(Err("its item cannot be read".into())), ..stack(|_, _| {}) };
        assert!(judge(&poisoned(2 * 86_400)).iter().all(|finding| finding.verdict != Verdict::Warn), "that is no news");
        let looked = [(paused, "policy"), (silent, "agents"), (page, "page"), (damaged, "records")];
        for (facts, check) in looked.into_iter().chain([(poisoned(60), "records")]) {
            assert_eq!(bad(&facts), []);
            let looks = judge(&facts).into_iter().filter(|finding| finding.verdict == Verdict::Warn);
            assert_eq!(looks.map(|finding| finding.check).collect::<Vec<_>>(), [check]);
        }
    }

    #[test]
    fn the_diagnosis_reads_like_this() {
        let well = Diagnosis::of("stack prod".into(), judge(&stack(|_, _| {})));
        golden::check("doctor-well.txt", &well.told());
        let ill = stack(|_, group| {
            group.policy = Some(Ok(Some(r#"{"min_instances": 9}"#.into())));
            (sweep(group).counts.answered, sweep(group).counts.silent) = (1, 3);
        });
        let ill = Diagnosis::of("stack prod".into(), judge(&ill));
        golden::check("doctor-ill.txt", &format!("{}\n{}", ill.told(), ill.complaint()));
        golden::check_json("doctor-ill.json", &ill);
        let local =
            Diagnosis::of("the world in /tmp/world".into(), judge(&world(|world, _| world.runs = Some(Ok(false)))));
        golden::check("doctor-local.txt", &local.told());
    }
}
