//! All groups, each in a line.

use std::pin::pin;

use futures_util::stream::{self, StreamExt};
use muster_control::chain::chain;
use muster_control::ports::{Clock, StoreError};
use muster_core::group::GroupName;
use muster_core::policy::Mode;
use muster_core::time::millis;
use schemars::JsonSchema;
use serde::Serialize;

use super::faults::{self, Attention};
use super::{Looked, Ms, ReadError, ms};
use crate::stand::{Stand, Store};

/// Groups that are looked at at a time.
pub const AT_ONCE: usize = 8;

/// All groups.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct Groups {
    /// Which world this is: `local`, `stack prod`.
    pub place: String,
    /// The groups, by name.
    pub groups: Vec<GroupLine>,
    /// Groups whose record cannot be understood, by name: they are no reason not to tell of the others.
    pub unreadable: Vec<Unreadable>,
}

/// A group whose record cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct Unreadable {
    /// Its name.
    pub group: String,
    /// Why.
    pub why: String,
}

/// A group in a line.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct GroupLine {
    /// Its name.
    pub group: String,
    /// Whether somebody should look.
    pub attention: Attention,
    /// Why.
    pub why: Option<String>,
    /// What Muster may do to it now.
    pub mode: Mode,
    /// How many members it should have.
    pub desired: u32,
    /// How many it has, as the last decision counted them; before any, as the last sweep did.
    pub actual: u32,
    /// How many serve with a fresh sample.
    pub serving: u32,
    /// Fewest members now; none while that is not known.
    pub min: Option<u32>,
    /// Most members now.
    pub max: Option<u32>,
    /// Mean load in percent.
    pub mean: Option<f64>,
    /// The last decision in a sentence.
    pub headline: Option<String>,
    /// The slot of the latest sweep.
    pub last_slot: Option<Ms>,
    /// The effective period of the sweeps.
    pub period_ms: u64,
}

/// All groups of the stand's store.
pub async fn groups<S: Store, P: Sync, F: Sync, C: Clock>(stand: &Stand<S, P, F, C>) -> Result<Groups, ReadError> {
    let names = stand.store.groups().await?;
    let looks = stream::iter(names).map(|group| async move { (line(stand, &group).await, group) }).buffered(AT_ONCE);
    let mut all = Groups { place: stand.place.clone(), groups: Vec::new(), unreadable: Vec::new() };
    let mut looks = pin!(looks);
    while let Some((looked, group)) = looks.next().await {
        match looked {
            Ok(line) => all.groups.extend(line),
            Err(ReadError::Store(error @ StoreError::Corrupt(_))) => {
                all.unreadable.push(Unreadable { group: group.to_string(), why: chain(&error) });
            }
            Err(error) => return Err(error),
        }
    }
    Ok(all)
}

/// The group's line; none when it has been removed meanwhile.
async fn line<S: Store, P, F, C: Clock>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
) -> Result<Option<GroupLine>, ReadError> {
    let looked = match Looked::at(stand, group).await {
        Err(ReadError::NotFound(_)) => return Ok(None),
        looked => looked?,
    };
    let faults = faults::faults(&looked);
    let (attention, why) = faults::attention(&looked, &faults);
    let (sweep, counts) = (looked.sweep(), looked.report().map(|report| report.counts));
    let swept = sweep.as_ref().map_or(0, |sweep| sweep.members);
    let bounds = looked.bounds();
    Ok(Some(GroupLine {
        group: group.to_string(),
        attention,
        why,
        mode: looked.mode(),
        desired: looked.head.desired,
        actual: counts.map_or(swept, |counts| counts.actual),
        serving: counts.map_or(0, |counts| counts.serving),
        min: bounds.map(|(min, _)| min),
        max: bounds.map(|(_, max)| max),
        mean: sweep.as_ref().and_then(|sweep| sweep.mean),
        headline: looked.report().map(|report| report.headline.clone()),
        last_slot: looked.slot().map(ms),
        period_ms: millis(looked.period()),
    }))
}
