//! `muster status`: how the groups are, and why each has the size that it has.

use std::fmt::Write;
use std::io::IsTerminal;
use std::time::Duration;

use clap::Args;
use muster_control::ports::{Clock, Marks, PolicyDesk};
use muster_core::time::{Timestamp, spoken};
use muster_web::read::faults::{Attention, Fault, FaultKind};
use muster_web::read::groups::{GroupLine, Groups, Unreadable, groups};
use muster_web::read::now::{Now, Wait, now};
use muster_web::stand::{Stand, Store};

use crate::failure::Failure;
use crate::place::{self, Command, PlaceArgs, StackArgs, unread};
use crate::policy::{print, say};
use crate::words::{away, moment, name, or_dash, percent, plain, table};

/// How often a watcher looks.
const EVERY: Duration = Duration::from_secs(2);
/// Clears a terminal and begins at its top.
const CLEAR: &str = "\u{1b}[2J\u{1b}[H";

/// Show how the groups are, and why each has the size that it has.
///
/// The exit code is 3 when a group is not well: nobody sweeps or decides, EC2 refuses its launches, nobody answers.
///
///   muster status                      of the world that runs on this machine
///   muster --stack prod status         of a stack
///   muster status --group web --watch  one group, again and again
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct StatusArgs {
    #[command(flatten)]
    place: PlaceArgs,
    /// Look again every two seconds, until Ctrl-C.
    #[arg(long)]
    watch: bool,
    /// Print one JSON object: {"place", "groups": [...]}, or of --group all that is known; with --watch one a line, when something is new.
    #[arg(long)]
    json: bool,
}

/// What is shown.
enum Seen {
    All(Groups),
    One(Box<Now>),
}

impl Seen {
    fn told(&self, now: Timestamp) -> String {
        match self {
            Self::All(groups) => told(groups, now),
            Self::One(group) => told_whole(group, now),
        }
    }

    /// Why the exit code is 3, if it is.
    fn complaint(&self) -> Option<String> {
        let ill = |group: &str, attention: Attention, why: &Option<String>| {
            (attention == Attention::Bad).then(|| format!("{group}: {}", plain(&or_dash(why.as_ref()))))
        };
        let complaints: Vec<String> = match self {
            Self::All(groups) => {
                let ill = groups.groups.iter().filter_map(|line| ill(&line.group, line.attention, &line.why));
                ill.chain(groups.unreadable.iter().map(unread_group)).collect()
            }
            Self::One(group) => ill(&group.group, group.attention, &group.why).into_iter().collect(),
        };
        (!complaints.is_empty()).then(|| complaints.join("; "))
    }

    fn print(&self) -> Result<(), Failure> {
        match self {
            Self::All(groups) => print(groups),
            Self::One(group) => print(group),
        }
    }

    fn line(&self) -> Result<String, Failure> {
        let line = match self {
            Self::All(groups) => serde_json::to_string(groups),
            Self::One(group) => serde_json::to_string(group),
        };
        line.map_err(|error| Failure::run("the answer cannot be written", &error))
    }
}

/// Runs the command.
pub fn run(stack: &StackArgs, args: &StatusArgs) -> Result<(), Failure> {
    place::at(stack, &args.place, args)
}

impl Command for StatusArgs {
    type Output = ();

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(&self, stand: &Stand<S, P, F, C>) -> Result<(), Failure> {
        let mut before = String::new();
        loop {
            let seen = self.look(stand).await?;
            if !self.watch {
                if self.json {
                    seen.print()?;
                } else {
                    say(&seen.told(stand.clock.now()))?;
                }
                return seen.complaint().map_or(Ok(()), |complaint| Err(Failure::Unhealthy(complaint)));
            }
            if self.json {
                let line = seen.line()?;
                if line != before {
                    say(&line)?;
                }
                before = line;
            } else {
                let clear = if std::io::stdout().is_terminal() { CLEAR } else { "" };
                say(&format!("{clear}{}", seen.told(stand.clock.now())))?;
            }
            stand.clock.sleep(EVERY).await;
        }
    }
}

impl StatusArgs {
    async fn look<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
        &self,
        stand: &Stand<S, P, F, C>,
    ) -> Result<Seen, Failure> {
        match &self.place.group {
            None => Ok(Seen::All(groups(stand).await.map_err(unread(stand.place.as_str()))?)),
            Some(group) => Ok(Seen::One(Box::new(now(stand, group).await.map_err(unread(stand.place.as_str()))?))),
        }
    }
}

fn unread_group(group: &Unreadable) -> String {
    format!("{} cannot be read: {}", group.group, plain(&group.why))
}

/// All groups, a line each.
fn told(seen: &Groups, now: Timestamp) -> String {
    if seen.groups.is_empty() && seen.unreadable.is_empty() {
        return format!("{} has no group yet: its first sweep makes one", seen.place);
    }
    let bounds = |line: &GroupLine| match (line.min, line.max) {
        (Some(min), Some(max)) => format!("{min}-{max}"),
        _ => "-".into(),
    };
    let why = |line: &GroupLine| {
        let parts = [line.why.clone(), line.headline.clone()];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if parts.is_empty() { "no decision yet".into() } else { parts.join("\n") }
    };
    let rows = seen.groups.iter().map(|line| {
        [
            line.group.clone(),
            name(&line.attention),
            name(&line.mode),
            line.desired.to_string(),
            line.actual.to_string(),
            line.serving.to_string(),
            bounds(line),
            percent(line.mean),
            line.last_slot.map_or_else(|| "none yet".into(), |slot| away(now, slot)),
            why(line),
        ]
    });
    let headings = ["group", "is", "mode", "desired", "actual", "serving", "min-max", "load", "last sweep", "why"];
    let mut text = format!("{}\n{}", seen.place, table(headings, rows));
    seen.unreadable.iter().for_each(|group| text.push_str(&format!("\n{}", unread_group(group))));
    text
}

/// One group, with all that is known.
pub(crate) fn told_whole(group: &Now, now: Timestamp) -> String {
    let mut lines =
        vec![("", format!("{} ({}): {}, {}", group.group, group.place, name(&group.mode), name(&group.attention)))];
    let mut add = |what: &'static str, text: String| lines.push((what, plain(&text)));
    // What is told as wrong below is not told twice.
    let told = |text: &String| group.faults.iter().any(|fault| fault.text == *text);
    group.why.iter().filter(|why| !told(why)).for_each(|why| add("because", why.clone()));
    if let Some(pause) = &group.pause {
        let until = pause.until.map_or_else(
            || "until `muster resume`".into(),
            |until| format!("until {}, {}", moment(until), away(now, until)),
        );
        add("paused", format!("{}, {until}", pause.reason));
    }
    add("size", size(group));
    add("load", load(group));
    add("sweep", sweep(group, now));
    if let Some(decided) = &group.decision {
        let times = if decided.count > 1 {
            format!(", {} times since {}", decided.count, moment(decided.since))
        } else {
            String::new()
        };
        add("decision", format!("{} ({}{times})", decided.report.headline, away(now, decided.at)));
    }
    group.waits_until.iter().for_each(|wait| add("waits", waits(wait, now)));
    for intent in &group.intents {
        let what = intent.instance.as_ref().or(intent.place.as_ref()).filter(|what| !what.is_empty());
        let what = what.map(|what| format!(" {what}")).unwrap_or_default();
        let tried =
            if intent.attempt == 0 { "not tried yet".into() } else { format!("tried {} times", intent.attempt) };
        add(
            "under way",
            format!("{}{what} ({}), ordered {}, {tried}", name(&intent.kind), intent.cause, away(now, intent.at)),
        );
    }
    if let Some(window) = &group.window {
        add("window", format!("{}, closes {} ({})", window.name, window.closes, away(now, window.until)));
    }
    let version = group.policy.version.map_or_else(|| "none yet".into(), |version| format!("version {version}"));
    let kind = group.policy.kind.map(|kind| format!(", {}", name(&kind))).unwrap_or_default();
    add("policy", format!("{version}{kind}"));
    let of_policy = |fault: &&Fault| matches!(fault.what, FaultKind::PolicyRefused | FaultKind::PolicyMissing);
    if !group.faults.iter().any(|fault| of_policy(&fault)) {
        group.policy.notice.iter().for_each(|notice| add("", notice.clone()));
    }
    for fault in &group.faults {
        let since = fault.since.map(|since| format!(", since {}", moment(since))).unwrap_or_default();
        add("wrong", format!("{}{since}", fault.text));
    }
    // One may have just come in.
    if group.queue.sweeps > 1 {
        add("waiting", format!("{} sweeps that nobody has decided on", group.queue.sweeps));
    }
    if let Some(rejected) = &group.queue.rejected {
        let last = away(now, rejected.last_at);
        add(
            "rejected",
            format!("{} records of the stack's stream, the last {last}: {}", rejected.records, rejected.reason),
        );
    }
    group.dashboard.iter().for_each(|page| add("page", page.clone()));
    lines.iter().fold(String::new(), |mut text, (what, line)| {
        // Writing into a string does not fail.
        let _ = if text.is_empty() { writeln!(text, "{line}") } else { writeln!(text, "  {what:<10}{line}") };
        text
    })
}

fn size(group: &Now) -> String {
    let bounds = group.bounds.map_or_else(String::new, |bounds| format!(", min {}, max {}", bounds.min, bounds.max));
    let Some(counts) = group.counts else { return format!("desired {}{bounds}", group.desired) };
    let phases = [
        (counts.in_service, "in service"),
        (counts.warming, "warming"),
        (counts.pending, "pending"),
        (counts.suspect, "suspect"),
        (counts.draining, "draining"),
        (counts.terminating, "terminating"),
    ];
    let there = phases.iter().filter(|(many, _)| *many > 0).map(|(many, what)| format!("{many} {what}"));
    let there = there.collect::<Vec<_>>().join(", ");
    let there = if there.is_empty() { String::new() } else { format!(" ({there})") };
    format!("desired {}, actual {}{there}, serving {}{bounds}", group.desired, counts.actual, counts.serving)
}

fn load(group: &Now) -> String {
    let sweep = group.sweep.as_ref();
    let mean = sweep.and_then(|sweep| sweep.mean);
    let mean = mean.map_or_else(|| "not known".into(), |mean| format!("mean {mean:.1} %"));
    let p90 = sweep.and_then(|sweep| sweep.p90).map_or_else(String::new, |p90| format!(", p90 {p90:.1} %"));
    let out = group.thresholds.high.map_or_else(String::new, |high| format!("; out above {high} %"));
    let inward = group.thresholds.low.map_or_else(String::new, |low| format!("; in below {low} %"));
    format!("{mean}{p90}{out}{inward}")
}

fn sweep(group: &Now, now: Timestamp) -> String {
    let Some(sweep) = &group.sweep else { return "none yet".into() };
    let silent = if sweep.silent > 0 { format!(", {} silent", sweep.silent) } else { String::new() };
    let unknown = if sweep.unknown > 0 { format!(", {} unknown", sweep.unknown) } else { String::new() };
    let blind = sweep.blind.as_ref().map(|why| format!(", blind: {why}")).unwrap_or_default();
    let period = spoken(Duration::from_millis(sweep.period_ms));
    let when = away(now, sweep.finished_at);
    format!("{when}, every {period}: {} of {} answer{silent}{unknown}{blind}", sweep.answered, sweep.members)
}

fn waits(wait: &Wait, now: Timestamp) -> String {
    let until = wait.until.map(|until| format!(", over {}", away(now, until))).unwrap_or_default();
    format!("{}{until} ({})", wait.text, wait.rule)
}

#[cfg(test)]
mod tests {
    use muster_control::memory::Scripted;
    use muster_control::ports::PolicySource;

    use super::*;
    use crate::golden;
    use crate::lived::{Lived, group, policy, story};

    async fn all(lived: &Lived) -> Seen {
        Seen::All(groups(&lived.stand).await.expect("the groups"))
    }

    async fn one(lived: &Lived) -> Seen {
        Seen::One(Box::new(now(&lived.stand, &group()).await.expect("the group")))
    }

    #[tokio::test]
    async fn the_groups_and_one_of_them_read_like_this() {
        let lived = story().await;
        let (now, all, one) = (lived.stand.clock.now(), all(&lived).await, one(&lived).await);
        golden::check("status.txt", &all.told(now));
        golden::check("status-group.txt", &one.told(now));
        golden::check("status.json", &json(&all));
        golden::check("status-group.json", &json(&one));
        assert_eq!((all.complaint(), one.complaint()), (None, None), "a refused edit is nothing that is not well");
    }

    fn json(seen: &Seen) -> String {
        let value: serde_json::Value = serde_json::from_str(&seen.line().expect("JSON")).expect("JSON");
        serde_json::to_string_pretty(&value).expect("JSON")
    }

    #[tokio::test]
    async fn a_group_that_nobody_sweeps_is_not_well() {
        let lived = story().await;
        lived.stand.clock.advance(Duration::from_secs(600));
        for seen in [all(&lived).await, one(&lived).await] {
            let complaint = seen.complaint().expect("it is not well");
            assert!(complaint.starts_with("web: no sweep"), "{complaint}");
        }
    }

    #[tokio::test]
    async fn a_place_without_a_group_says_so_and_hostile_words_are_no_commands() {
        let lived = Lived::new(&policy(serde_json::json!({})));
        let now = lived.stand.clock.now();
        assert_eq!(all(&lived).await.told(now), "stack prod has no group yet: its first sweep makes one");
        let mut lived = story().await;
        lived.agents.insert(1, Scripted::Failing);
        lived.stand.policies.set(Some("{\"min_instances\u{1b}[2J\": 1}"));
        assert!(lived.stand.policies.fetch(&group()).await.is_ok());
        lived.step(40.0).await;
        for seen in [all(&lived).await, one(&lived).await] {
            assert!(!seen.told(now).contains('\u{1b}'), "{}", seen.told(now).escape_debug());
        }
    }
}
