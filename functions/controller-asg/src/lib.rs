//! ControllerASG: what a doorbell comes to. Each group that it rings for is one `reconcile` of `muster-control`, within a share of
//! the invocation's time; this crate shares it out, and tells what was done.
//!
//! What must never be in here: an AWS SDK type, a decision, a call to an agent (ControllerASG has no way to one), state that
//! outlives an invocation, a batch that fails for one group's sake (V5).
//!
//! **Where to start reading.** [`handle`], then [`budget`]. [`counted`] counts the calls to EC2 for the metrics, [`told`] writes down
//! what was done, [`settings`] is what the operator may set.

pub mod budget;
pub mod counted;
pub mod settings;
pub mod told;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use aws_lambda_events::streams::DynamoDbEventResponse;
use muster_control::activity::Activity;
use muster_control::chain::chain;
use muster_control::ports::{Clock, Fleet, GroupStore, HealthStore, PolicySource, Rejections, StoreError};
use muster_control::reconcile::{Controller, Reconciled, reconcile_into};
use muster_core::group::GroupName;
use muster_core::time::Timestamp;
use muster_lambda::Failure;
use muster_lambda::clock::within;
use muster_lambda::emf::{Metric, Metrics};
use muster_lambda::events::{Batch, Doorbell, Ignored};
use muster_lambda::settings::check_lease;
use serde::Serialize;
use tracing::{info, warn};

use crate::budget::Budget;
use crate::counted::Counted;
use crate::told::Summary;

/// What an invocation answers.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Answer {
    /// To the stream's mapping: no record has failed, ever.
    Batch(DynamoDbEventResponse),
    /// To a direct call: what became of each group.
    Groups {
        /// By their names.
        groups: BTreeMap<GroupName, Summary>,
    },
}

/// What an invocation has done.
#[derive(Debug)]
pub struct Handled {
    /// What it answers.
    pub answer: Answer,
    /// What has happened to each group, for the webhook.
    pub happened: Vec<(GroupName, Vec<Activity>)>,
}

/// Looks at every group that `doorbell` rings for. `groups` lists those of the stack, `jitter` gives random shares in 0..=1, metrics
/// go to `out`; the controller's budget is set for each group. `deadline` is the invocation's own.
///
/// It is an error when the lease is too short for the invocation, when all groups are asked for and cannot be listed, and when
/// of the groups that were named directly every single one failed. A batch of the stream never fails for what a group does.
pub async fn handle<S, F, P, C>(
    controller: &mut Controller<S, Counted<F>, P, C>,
    doorbell: Doorbell,
    deadline: Timestamp,
    groups: impl AsyncFnOnce() -> Result<Vec<GroupName>, StoreError>,
    mut jitter: impl FnMut() -> f64,
    out: &mut impl Write,
) -> Result<Handled, Failure>
where
    S: GroupStore + HealthStore + Rejections,
    F: Fleet,
    P: PolicySource,
    C: Clock,
{
    let began = controller.clock.now();
    check_lease(controller.settings.lease, began, deadline).map_err(|error| Failure::from(&error))?;
    let budget = Budget::of(began, deadline);
    let (wanted, ignored) = match doorbell {
        Doorbell::Batch(batch) => {
            tell_ignored(&controller.settings.stack, &batch, began, out);
            (batch.groups, Some(batch.ignored))
        }
        Doorbell::Groups(groups) => (groups, None),
        Doorbell::All => {
            let listed = groups().await.map_err(|error| Failure::from(&error))?;
            (listed.into_iter().collect::<BTreeSet<_>>(), None)
        }
    };
    let wanted = from_anywhere(wanted, jitter());
    let mut left = wanted.len();
    let mut summaries = BTreeMap::new();
    let mut happened = Vec::new();
    let mut failures = Vec::new();
    for group in wanted {
        let looked = look(controller, &group, &budget, left, jitter()).await;
        left -= 1;
        let summary = told::tell(controller, &group, &looked, out);
        summaries.insert(group.clone(), summary);
        match looked {
            Ok(done) => happened.push((group, done.activity)),
            Err(failure) => failures.push(failure),
        }
    }
    if let Some(ignored) = ignored {
        count_ignored(controller, &ignored, &budget).await;
        return Ok(Handled { answer: Answer::Batch(DynamoDbEventResponse::default()), happened });
    }
    match failures.into_iter().next() {
        Some(failure) if happened.is_empty() => Err(failure),
        Some(_) | None => Ok(Handled { answer: Answer::Groups { groups: summaries }, happened }),
    }
}

/// The groups in their order, begun at a random one (`share`, 0..=1): when the time is not enough for all, it is not always the same
/// that are left out.
fn from_anywhere(groups: BTreeSet<GroupName>, share: f64) -> Vec<GroupName> {
    let mut groups: Vec<GroupName> = groups.into_iter().collect();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a share of a small number; what is odd saturates"
    )]
    let first = (groups.len() as f64 * share) as usize;
    let first = first.min(groups.len().saturating_sub(1));
    groups.rotate_left(first);
    groups
}

/// One group, within its share of the time.
async fn look<S, F, P, C>(
    controller: &mut Controller<S, Counted<F>, P, C>,
    group: &GroupName,
    budget: &Budget,
    left: usize,
    jitter: f64,
) -> Result<Reconciled, Failure>
where
    S: GroupStore + HealthStore,
    F: Fleet,
    P: PolicySource,
    C: Clock,
{
    let share = budget.share(controller.clock.now(), left);
    if share.is_zero() {
        return Err(Failure { name: "Timeout", text: "no time was left for it: the next sweep is the retry".into() });
    }
    controller.settings.budget = share;
    let limit = budget.limit(controller.clock.now(), share);
    let mut done = Reconciled::default();
    let too_long = "it took longer than its share of the time";
    match within(&controller.clock, limit, reconcile_into(controller, group, jitter, &mut done)).await {
        Some(Ok(())) => Ok(done),
        Some(Err(error)) => Err(Failure::from(&error)),
        // A call that was under way is one that was never answered: its lease and its token make that harmless.
        None if done.activity.is_empty() => Err(Failure { name: "Timeout", text: too_long.into() }),
        // What has been done is done, and is told.
        None => {
            done.troubles.push(too_long.into());
            Ok(done)
        }
    }
}

/// Leaves in the store what rang for nobody, for whoever looks at the groups; the groups come first. What cannot be counted is only logged.
async fn count_ignored<S: Rejections, F, P, C: Clock>(
    controller: &Controller<S, F, P, C>,
    ignored: &BTreeMap<Ignored, u32>,
    budget: &Budget,
) {
    if ignored.is_empty() {
        return;
    }
    let (clock, records) = (&controller.clock, ignored.values().sum());
    let reasons: Vec<String> = ignored.iter().map(|(reason, records)| format!("{records} {reason}")).collect();
    let (reasons, now) = (reasons.join(", "), clock.now());
    let counted = controller.store.reject(records, &reasons, now);
    match within(clock, budget.limit(now, Duration::ZERO), counted).await {
        Some(Ok(())) => {}
        Some(Err(error)) => warn!(error = chain(&error), "Ignored records are not counted."),
        None => warn!("Ignored records are not counted: no time was left."),
    }
}

/// Says which records rang for nobody.
fn tell_ignored(stack: &str, batch: &Batch, now: Timestamp, out: &mut impl Write) {
    let all: u32 = batch.ignored.values().sum();
    if all == 0 {
        return;
    }
    for (reason, records) in &batch.ignored {
        warn!(%reason, records, "Records ignored.");
    }
    info!(groups = batch.groups.len(), "Batch.");
    Metrics::of_stack(stack).with(Metric::IgnoredRecords, all).write(now, out);
}
