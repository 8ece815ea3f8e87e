//! A group as it is now: what it has, what was decided last, what it waits for, what is wrong.

use futures_util::future::try_join3;
use muster_control::ports::{Clock, Rejected, StoreError};
use muster_core::group::{GroupName, PolicyVersion, Shard};
use muster_core::intent::{Call, Cause, Intent};
use muster_core::policy::{Mode, Policy, ScalingKind, ScalingRule, Window};
use muster_core::report::{Counts, Remark, Report, Rule, StageName};
use muster_core::time::{Timestamp, millis};
use schemars::JsonSchema;
use serde::Serialize;

use super::faults::{self, Attention, Fault, place};
use super::looked::{Decided, Pause, SweepNow, Thresholds};
use super::{Looked, Ms, ReadError, count, ms};
use crate::stand::{Stand, Store};

/// Sweeps that wait to be decided on that are counted.
const SWEEPS_COUNTED: usize = 100;

/// A group as it is now.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Now {
    /// Its name.
    pub group: String,
    /// Which world this is.
    pub place: String,
    /// Whether somebody should look.
    pub attention: Attention,
    /// Why.
    pub why: Option<String>,
    /// What Muster may do to it now.
    pub mode: Mode,
    /// Why and until when it is paused, if it is by a pause.
    pub pause: Option<Pause>,
    /// Fewest and most members now.
    pub bounds: Option<Bounds>,
    /// The window of the schedule that is open.
    pub window: Option<OpenWindow>,
    /// How many members it should have.
    pub desired: u32,
    /// The members by phase, as the last decision counted them.
    pub counts: Option<Counts>,
    /// The policy.
    pub policy: PolicyNow,
    /// The means at which the rule acts.
    pub thresholds: Thresholds,
    /// The latest sweep of all shards together.
    pub sweep: Option<SweepNow>,
    /// The last decision.
    pub decision: Option<Decided>,
    /// What it waits for.
    pub waits_until: Vec<Wait>,
    /// The median of the latest boot times.
    pub boot_time_ms: u64,
    /// What has been decided and not been done yet.
    pub intents: Vec<OpenIntent>,
    /// What is wrong with the loop, the worst first.
    pub faults: Vec<Fault>,
    /// What the loop has before it, and what it has turned away.
    pub queue: Queue,
    /// Where this can be looked at in a browser, for those who print it.
    pub dashboard: Option<String>,
}

/// Fewest and most members.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Bounds {
    /// Fewest.
    pub min: u32,
    /// Most.
    pub max: u32,
}

/// A window of the schedule that is open.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OpenWindow {
    /// Its name.
    pub name: String,
    /// When it opened.
    pub since: Ms,
    /// When it closes.
    pub until: Ms,
    /// The same on the clocks of its time zone, which it names.
    pub closes: String,
}

impl OpenWindow {
    fn of(window: &Window) -> Self {
        let (name, closes) = (window.name.clone(), window.closes.clone());
        Self { name, since: ms(window.since), until: ms(window.until), closes }
    }
}

/// The policy in few words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PolicyNow {
    /// The version in force; none before the first valid one.
    pub version: Option<PolicyVersion>,
    /// The kind of its rule.
    pub kind: Option<ScalingKind>,
    /// Why the newest text is not in force, if it is not.
    pub notice: Option<String>,
}

/// Something that is waited for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Wait {
    /// The rule.
    pub rule: Rule,
    /// The sentence.
    pub text: String,
    /// When it ends, where that follows from what is known.
    pub until: Option<Ms>,
}

/// A call of EC2 that has been decided and is not settled.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct OpenIntent {
    /// Its id.
    pub id: String,
    /// When it was committed.
    pub at: Ms,
    /// What is to be done.
    pub kind: IntentKind,
    /// Why.
    pub cause: String,
    /// Where, of a launch.
    pub place: Option<String>,
    /// How many times it has been tried.
    pub attempt: u32,
    /// Which instance, of a termination.
    pub instance: Option<String>,
}

/// What the loop has before it, and what it has turned away.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Queue {
    /// Sweeps that are written and that nobody has decided on; no more than a hundred are counted. One may have just come in.
    pub sweeps: u32,
    /// Calls of EC2 that have been decided and are not settled.
    pub calls: u32,
    /// Records of the sweeps' stream that rang for nobody, of all groups of the stack; none: there was none.
    pub rejected: Option<RejectedRecords>,
}

/// Records of the sweeps' stream that rang for nobody: nothing but a sweep should be written there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RejectedRecords {
    /// How many there have ever been.
    pub records: u64,
    /// When the last ones came.
    pub last_at: Ms,
    /// What was wrong with the last ones.
    pub reason: String,
}

/// What an intent does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum IntentKind {
    /// One instance more.
    Launch,
    /// One less.
    Terminate,
}

/// The group as it is now.
pub async fn now<S: Store, P, F, C: Clock>(stand: &Stand<S, P, F, C>, group: &GroupName) -> Result<Now, ReadError> {
    let looked = Looked::at(stand, group).await?;
    let store = &stand.store;
    let intents = async { Ok(store.intents(group).await?) };
    let (sweeps, rejected, intents) = try_join3(undecided(store, &looked), rejected(store), intents).await?;
    let faults = faults::faults(&looked);
    let (attention, why) = faults::attention(&looked, &faults);
    let policy = looked.policy.as_ref();
    Ok(Now {
        group: group.to_string(),
        place: stand.place.clone(),
        attention,
        why,
        mode: looked.mode(),
        pause: looked.pause(),
        bounds: looked.bounds().map(|(min, max)| Bounds { min, max }),
        window: policy.and_then(|policy| policy.window.as_ref()).map(OpenWindow::of),
        desired: looked.head.desired,
        counts: looked.report().map(|report| report.counts),
        policy: PolicyNow {
            version: looked.head.policy,
            kind: policy.map(|policy| kind_of(&policy.scaling)),
            notice: notice(&looked),
        },
        thresholds: policy.map(|policy| Thresholds::of(&policy.scaling)).unwrap_or_default(),
        sweep: looked.sweep(),
        waits_until: waits(&looked),
        boot_time_ms: millis(looked.head.boot_time()),
        queue: Queue {
            sweeps,
            calls: count(intents.len()),
            rejected: rejected.map(|rejected| RejectedRecords {
                records: rejected.records,
                last_at: ms(rejected.last_at),
                reason: rejected.reason,
            }),
        },
        intents: intents.iter().map(open_intent).collect(),
        faults,
        decision: looked.decision,
        dashboard: None,
    })
}

/// Sweeps that nobody has decided on. Most looks find that there are none in what they have read already.
async fn undecided<S: Store>(store: &S, looked: &Looked) -> Result<u32, ReadError> {
    let last = looked.head.last_slot.unwrap_or(Timestamp::EPOCH);
    if looked.slot().is_none_or(|slot| slot <= last) {
        return Ok(0);
    }
    let waiting = store.sweeps_after(&looked.head.group, (last, Shard(u16::MAX)), SWEEPS_COUNTED).await?;
    Ok(count(waiting.len()))
}

/// What was turned away. It is the stack's: a count that cannot be read hides no group, and `muster doctor` tells of it.
async fn rejected<S: Store>(store: &S) -> Result<Option<Rejected>, ReadError> {
    match store.rejected().await {
        Err(StoreError::Corrupt(_)) => Ok(None),
        found => Ok(found?),
    }
}

/// The kind of a rule.
pub(crate) const fn kind_of(rule: &ScalingRule) -> ScalingKind {
    match rule {
        ScalingRule::Threshold(_) => ScalingKind::Threshold,
        ScalingRule::Target(_) => ScalingKind::Target,
        ScalingRule::Step(_) => ScalingKind::Step,
        ScalingRule::Auto(_) => ScalingKind::Auto,
    }
}

/// Why the newest text is not in force.
pub(crate) fn notice(looked: &Looked) -> Option<String> {
    if let Some(refusal) = &looked.head.refusal {
        return Some(format!("the newest edit was refused: {}", refusal.reason));
    }
    let missing = looked.report()?.remarks.iter().find(|remark| remark.rule == Rule::O7)?;
    Some(missing.text.clone())
}

fn open_intent(intent: &Intent) -> OpenIntent {
    let (kind, place, instance) = match &intent.call {
        Call::Launch(spec) => (IntentKind::Launch, Some(place(&spec.zone, &spec.instance_type)), None),
        Call::Terminate { instance, .. } => (IntentKind::Terminate, None, Some(instance.to_string())),
    };
    let (id, cause) = (intent.id.to_string(), cause(intent.cause));
    OpenIntent { id, at: ms(intent.at), kind, cause, place, attempt: intent.attempt, instance }
}

/// A cause in the words of the activity log.
pub(crate) fn cause(cause: Cause) -> String {
    cause.to_string()
}

/// What the last decision waits for, each with its end where HEAD and policy tell it.
fn waits(looked: &Looked) -> Vec<Wait> {
    let Some(report) = looked.report() else { return Vec::new() };
    let wait = |remark: &Remark| Wait {
        rule: remark.rule,
        text: remark.text.clone(),
        until: looked.policy.as_ref().and_then(|policy| until(remark, report, policy, looked)).map(ms),
    };
    let paused = looked.pause().filter(|_| report.mode == Mode::Paused);
    let pause =
        paused.map(|pause| Wait { rule: Rule::O1, text: format!("paused: {}", pause.reason), until: pause.until });
    report.waits.iter().map(wait).chain(pause).collect()
}

fn until(remark: &Remark, report: &Report, policy: &Policy, looked: &Looked) -> Option<Timestamp> {
    let head = &looked.head;
    let inward = remark.text.contains("scale-in");
    match remark.rule {
        Rule::F2 if inward => Some(head.scale_in_at?.plus(policy.inward.cooldown)),
        Rule::F2 => Some(head.launch_accepted_at?.plus(policy.out.cooldown)),
        Rule::F1 => stabilised(report, policy, looked),
        Rule::L4 => head.capacity.iter().map(|scarcity| scarcity.until).filter(|until| *until > looked.now).min(),
        Rule::L5 => head.launch_refusal.as_ref().map(|refusal| refusal.until),
        Rule::Z5 => policy.window.as_ref().map(|window| window.until),
        _ => None,
    }
}

/// When what was asked for lately no longer holds the size back (F1), if nothing is asked for anew.
fn stabilised(report: &Report, policy: &Policy, looked: &Looked) -> Option<Timestamp> {
    let before = report.stages.iter().take_while(|stage| stage.stage != StageName::Stabilised).last()?;
    let (n, wanted) = (report.desired.before, before.desired);
    let seen = &looked.head.recommendations;
    let holds = |last: Option<Timestamp>, span| last.map(|at: Timestamp| at.plus(span));
    if wanted < n {
        let last = seen.iter().filter(|seen| seen.highest > wanted).map(|seen| seen.at).max();
        holds(last, policy.inward.stabilization)
    } else {
        let last = seen.iter().filter(|seen| seen.lowest < wanted).map(|seen| seen.at).max();
        holds(last, policy.out.stabilization)
    }
}
