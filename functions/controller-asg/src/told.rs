//! What an invocation writes down of a group: a line for each decision, one for each action, one for each trouble, and one of metrics.

use std::io::Write;
use std::time::Duration;

use muster_control::activity::{Activity, Event};
use muster_control::ports::Clock;
use muster_control::reconcile::{Controller, Reconciled};
use muster_core::group::GroupName;
use muster_core::report::{LOOK_ORPHANED, Report, Rule};
use muster_core::time::millis;
use muster_lambda::Failure;
use muster_lambda::clock::within;
use muster_lambda::emf::{Metric, Metrics};
use muster_webhook::{Sent, Webhook};
use serde::Serialize;
use tracing::{info, warn};

use crate::counted::{Counted, Counts};

/// What a webhook may take of an invocation, for all groups together.
const FOR_THE_WEBHOOK: Duration = Duration::from_secs(2);

/// What became of a group, for a direct call's answer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Decisions taken and written down.
    pub decisions: u32,
    /// Launches that EC2 accepted.
    pub launched: u32,
    /// Terminations that EC2 accepted.
    pub terminated: u32,
    /// What could not be done now, in words.
    pub troubles: Vec<String>,
    /// Why there was no decision: the failure's name.
    pub failure: Option<&'static str>,
}

/// Writes down what a look at `group` came to.
pub fn tell<S, F, P, C: Clock>(
    controller: &Controller<S, Counted<F>, P, C>,
    group: &GroupName,
    looked: &Result<Reconciled, Failure>,
    out: &mut impl Write,
) -> Summary {
    let counts = controller.fleet.take();
    let mut metrics = Metrics::of(&controller.settings.stack, group)
        .with(Metric::Launches, counts.launches)
        .with(Metric::LaunchFailures, counts.launch_failures)
        .with(Metric::Terminations, counts.terminations)
        .with(Metric::Failures, u32::from(looked.is_err()));
    let summary = match looked {
        Ok(done) => {
            done.activity.iter().for_each(log);
            for trouble in &done.troubles {
                warn!(%group, trouble, "Left to the next doorbell.");
            }
            if done.contended {
                warn!(%group, "Others were first: left to the next doorbell.");
            }
            metrics = measured(metrics, &done.activity);
            summary(done, counts)
        }
        Err(failure) => {
            warn!(%group, error_type = failure.name, error = failure.text, "Not reconciled.");
            let Counts { launches: launched, terminations: terminated, .. } = counts;
            Summary { launched, terminated, failure: Some(failure.name), ..Summary::default() }
        }
    };
    metrics.write(controller.clock.now(), out);
    summary
}

fn summary(done: &Reconciled, counts: Counts) -> Summary {
    let Counts { launches: launched, terminations: terminated, .. } = counts;
    let decisions = reports(&done.activity).count();
    let decisions = u32::try_from(decisions).unwrap_or(u32::MAX);
    Summary { decisions, launched, terminated, troubles: done.troubles.clone(), failure: None }
}

fn reports(activity: &[Activity]) -> impl DoubleEndedIterator<Item = &Report> {
    activity.iter().filter_map(|activity| match &activity.event {
        Event::Decision { report, .. } => Some(report.as_ref()),
        _ => None,
    })
}

/// What the decisions say of the group, by the last of them.
fn measured(metrics: Metrics, activity: &[Activity]) -> Metrics {
    let count = |count: usize| u32::try_from(count).unwrap_or(u32::MAX);
    let refusals = activity.iter().filter(|activity| matches!(activity.event, Event::PolicyRefused { .. })).count();
    let metrics =
        metrics.with(Metric::Decisions, count(reports(activity).count())).with(Metric::Refusals, count(refusals));
    let Some(last) = reports(activity).next_back() else { return metrics };
    // While silence is taken for our own fault every report says so (H3), whatever else it decides.
    let breaker_open = last.remarks.iter().any(|remark| remark.rule == Rule::H3);
    // So many instances that no record knows that our records may be wrong (V3).
    let many_orphans = last.remarks.iter().any(|remark| remark.rule == Rule::V3 && remark.text.contains(LOOK_ORPHANED));
    let metrics = metrics
        .with(Metric::Desired, last.desired.after)
        .with(Metric::Actual, last.counts.actual)
        .with(Metric::BreakerOpen, u32::from(breaker_open))
        .with(Metric::ManyOrphans, u32::from(many_orphans));
    match last.slot {
        Some(slot) => {
            let age_ms = millis(last.at.since(slot)) as f64;
            metrics.with(Metric::SweepAge, age_ms)
        }
        None => metrics,
    }
}

/// One line for each thing that has happened.
fn log(activity: &Activity) {
    let Activity { group, event, .. } = activity;
    match event {
        Event::Decision { report, version, count, .. } => info!(
            %group,
            version,
            count,
            mode = ?report.mode,
            rule = %report.rule,
            desired = report.desired.after,
            desired_before = report.desired.before,
            actual = report.counts.actual,
            serving = report.counts.serving,
            missing = report.counts.missing,
            mean = report.load.map(|load| load.mean),
            actions = report.actions.len(),
            reason = report.headline,
            "Decided."
        ),
        Event::Launched { intent, instance, zone, cause, replaces } => {
            let replaces = replaces.as_ref().map(tracing::field::display);
            info!(%group, %intent, %instance, zone, %cause, replaces, "Launched.");
        }
        Event::Terminated { intent, instance, cause } => info!(%group, %intent, %instance, %cause, "Terminated."),
        Event::Abandoned { intent, reason } => warn!(%group, %intent, reason, "Given up."),
        Event::Joined { instance, boot_ms } => info!(%group, %instance, boot_ms, "Joined."),
        Event::Draining { instance, cause } => info!(%group, %instance, %cause, "Draining."),
        Event::TakenBack { instance } => info!(%group, %instance, "Taken back."),
        Event::Disowned { instance } => warn!(%group, %instance, "Disowned."),
        Event::Lost { instance } => warn!(%group, %instance, "Lost."),
        Event::PolicyAccepted { version } => info!(%group, policy = %version, "Policy accepted."),
        Event::PolicyRefused { reason } => warn!(%group, reason, "Policy refused."),
    }
}

/// Tells the operator's webhook, after everything is done. It is not waited for longer than two seconds for all groups together, and
/// what it does changes nothing.
pub async fn notify(webhook: &Webhook, clock: &impl Clock, happened: &[(GroupName, Vec<Activity>)]) {
    let all = async {
        for (group, activity) in happened {
            match webhook.send(group, activity, clock.now(), FOR_THE_WEBHOOK).await {
                Ok(Sent::Nothing) => {}
                Ok(Sent::Events(events)) => info!(%group, events, "Webhook told."),
                Err(error) => {
                    warn!(%group, error = muster_control::chain::chain(&error), "The webhook was not told.");
                }
            }
        }
    };
    if within(clock, FOR_THE_WEBHOOK, all).await.is_none() {
        warn!("The webhook was not told of every group in time.");
    }
}
