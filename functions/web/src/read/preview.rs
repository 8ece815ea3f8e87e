//! What a policy would have done to the load that the group really had, beside the one in force.

use std::time::Duration;

use muster_backtest::compare::{Boot, BootFrom, Capacity, Named, Outcome, Setting, can_be_played, compare};
use muster_backtest::history::{Recording, SATURATED_AT, record};
use muster_backtest::price;
use muster_control::ports::{Clock, GroupStore, SweepLog};
use muster_core::group::GroupName;
use muster_core::policy::{Policy, PolicyError};
use schemars::JsonSchema;
use serde::Serialize;

use super::record::{RecordError, looks};
use super::{ReadError, Thresholds, count};
use crate::stand::Stand;

/// The time that is played when nobody says which.
pub const USUAL: Duration = Duration::from_secs(86_400);
/// The longest time that is played.
pub const LONGEST: Duration = Duration::from_secs(7 * 86_400);
/// Sweeps that are read at most: a day of a thousand members every ten seconds has 17,280, a week of one shard 60,480.
pub const MOST_LOOKS: usize = 100_000;
/// A boot time that nobody has measured: a common Linux image, its agent and its application.
const BOOT: Duration = Duration::from_secs(90);
const SEED: u64 = 1;

/// Why there is no preview.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The new policy is not valid.
    #[error(transparent)]
    Invalid(#[from] PolicyError),
    /// Something cannot be read, or not be asked for so.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Preview {
    /// Sweeps that were read.
    pub looks: u32,
    /// The new policy, the one in force, and an oracle that knew the load.
    #[serde(flatten)]
    pub outcome: Outcome,
}

/// What is to be played: everything that has to be read for it.
#[derive(Clone, Debug)]
pub struct Play {
    looks: u32,
    recording: Recording,
    boot: Boot,
    price: Option<f64>,
    threshold: Option<f64>,
    policies: Vec<Named>,
}

/// Reads what is to be played: the load of the last `span`, for `text` and for the policy in force.
pub async fn prepare<S: GroupStore + SweepLog, P, F, C: Clock>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    text: &str,
    span: Duration,
) -> Result<Play, PreviewError> {
    if span.is_zero() || span > LONGEST {
        return Err(ReadError::BadRequest("since_ms must be from 1 to 604800000 (7 days)".into()).into());
    }
    let new = Policy::parse(text)?;
    let head = stand.store.head(group).await.map_err(ReadError::from)?.ok_or_else(|| ReadError::no_group(group))?;
    let stored = match head.policy {
        Some(version) => stand.store.policy(group, version).await.map_err(ReadError::from)?,
        None => None,
    };
    let looks = looks(&stand.store, group, stand.clock.now().minus(span), MOST_LOOKS).await.map_err(refused)?;
    let recording = record(&looks, SATURATED_AT).map_err(|error| ReadError::BadRequest(error.to_string()))?;
    let price = new.launch.instance_types.first().and_then(|first| price::of(first));
    if !can_be_played(&new) {
        return Err(ReadError::BadRequest("max_instances is 0: nobody would ever serve".into()).into());
    }
    // What was in force has been valid; by a newer version's lights it may not be, and then there is nothing to compare with.
    let in_force = stored.and_then(|stored| {
        let name = format!("in force ({})", stored.version);
        Some(Named { name, policy: Policy::parse(&stored.text).ok().filter(can_be_played)? })
    });
    let both = std::iter::once(Named { name: "new".into(), policy: new }).chain(in_force);
    // A pause says nothing about what a policy would do without it.
    let policies: Vec<Named> =
        both.map(|named| Named { policy: Policy { pause: None, ..named.policy }, ..named }).collect();
    let threshold = threshold(&policies);
    let (span, from) =
        if head.boot_times_ms.is_empty() { (BOOT, BootFrom::Assumed) } else { (head.boot_time(), BootFrom::Measured) };
    let boot = Boot { seconds: span.as_secs_f64(), from };
    Ok(Play { looks: count(looks.len()), recording, boot, price, threshold, policies })
}

/// Where the policy in force scales out, which comes second, or else the new one: what is busy has to be the same for both.
pub fn threshold(played: &[Named]) -> Option<f64> {
    played.iter().rev().find_map(|named| Thresholds::of(&named.policy.scaling).high)
}

fn refused(error: RecordError) -> ReadError {
    match error {
        RecordError::Store(error) => error.into(),
        error @ RecordError::TooLong { .. } => ReadError::BadRequest(error.to_string()),
    }
}

impl Play {
    /// Plays it: seconds of work, for a thread of its own.
    pub fn play(&self) -> Preview {
        let setting = Setting {
            demand: &self.recording.demand,
            capacity: Capacity::Record,
            boot: self.boot,
            price: self.price,
            gaps: Some(self.recording.gaps),
            threshold: self.threshold,
            seed: SEED,
        };
        Preview { looks: self.looks, outcome: compare(&setting, &self.policies, false, &mut |_| {}) }
    }
}
