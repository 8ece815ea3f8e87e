//! From facts to findings: what is well, what is not, and what to do about it. Pure, so that each fault has a test.

mod account;
mod group;
mod world;

use std::time::Duration;

use muster_control::ports::Rejected;
use muster_core::group::GroupName;
use muster_core::time::{Timestamp, spoken};
use serde::Serialize;

use super::facts::{Facts, Home};
use account::of_account;
use group::of_group;
use world::of_world;

/// A record that was turned away longer ago than this is no news.
const NEWS: Duration = Duration::from_secs(24 * 3600);

/// How well something is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// It is well.
    Ok,
    /// It could not be found out from here.
    NotChecked,
    /// It works, and somebody should know of it.
    Warn,
    /// It does not work.
    Bad,
}

/// What one check has found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What was looked at.
    pub check: &'static str,
    /// Of which group; none for what all share.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<GroupName>,
    /// How well it is.
    pub verdict: Verdict,
    /// What was found.
    pub text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
}

impl Finding {
    fn new(check: &'static str, verdict: Verdict, text: impl Into<String>) -> Self {
        Self { check, group: None, verdict, text: text.into(), remedy: None }
    }

    fn ok(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Ok, text)
    }

    fn warn(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(check, Verdict::Warn, text) }
    }

    fn bad(check: &'static str, text: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..Self::new(check, Verdict::Bad, text) }
    }

    fn not_checked(check: &'static str, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::NotChecked, text)
    }
}

/// Judges everything.
pub fn judge(facts: &Facts) -> Vec<Finding> {
    let mut found = match &facts.home {
        Home::Account(account) => of_account(account),
        Home::World(world) => of_world(world),
    };
    found.extend(facts.rejected.as_ref().map(|rejected| of_rejected(rejected, facts.now)));
    match &facts.groups {
        None => {}
        Some(Err(why)) => found.push(Finding::bad("groups", format!("they cannot be read: {why}"), "see above")),
        Some(Ok(groups)) if groups.is_empty() => {
            found.push(Finding::warn(
                "groups",
                "there is none yet",
                "its first sweep makes one: see what wakes the monitor",
            ));
        }
        Some(Ok(groups)) => {
            for group in groups {
                let of_group = of_group(facts, group).into_iter();
                found.extend(of_group.map(|finding| Finding { group: Some(group.group.clone()), ..finding }));
            }
        }
    }
    found
}

/// Whether the sweeps' stream brought something that is no sweep.
fn of_rejected(rejected: &Result<Option<Rejected>, String>, now: Timestamp) -> Finding {
    const CHECK: &str = "records";
    match rejected {
        Err(why) => Finding::warn(
            CHECK,
            format!("the count of those that were turned away cannot be read: {why}"),
            "see what holds it: the item STACK, REJECTED of the control table, the table `rejected` of a local store",
        ),
        Ok(None) => Finding::ok(CHECK, "none of the sweeps' stream was turned away"),
        Ok(Some(Rejected { records, last_at, reason })) => {
            let text = format!(
                "{records} of the sweeps' stream rang for nobody, the last {} ago: {reason}",
                spoken(now.since(*last_at))
            );
            if now.since(*last_at) > NEWS {
                return Finding::ok(CHECK, text);
            }
            Finding::warn(CHECK, text, "find out who else writes there: nothing but MonitorS should")
        }
    }
}
