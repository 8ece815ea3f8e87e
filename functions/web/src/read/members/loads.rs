//! The loads of the members over time, out of the sampled sweeps.

use std::collections::BTreeMap;

use futures_util::future::try_join_all;
use muster_control::ports::{Clock, SweepLog};
use muster_core::group::{GroupName, Shard};
use muster_core::health::Load;
use muster_core::member::InstanceId;
use muster_core::sweep::SweepLoads;
use muster_core::time::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

use crate::read::sampling::{self, Asked, Grid};
use crate::read::{Looked, Ms, ReadError, count, ms};
use crate::stand::{Stand, Store};

/// The loads of the members over time.
#[derive(Clone, Debug, PartialEq, Serialize, JsonSchema)]
pub struct MemberLoads {
    /// From when on.
    pub from: Ms,
    /// Until before when.
    pub until: Ms,
    /// When the members were swept.
    pub at: Vec<Ms>,
    /// Each member's load in percent at these times; null where it gave none.
    pub members: BTreeMap<String, Vec<Option<f64>>>,
}

/// The loads of the members of a group over time, sampled; of `member` alone, when one is named.
pub async fn member_loads<S: Store, P, F, C: Clock>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    asked: Asked,
    member: Option<&InstanceId>,
) -> Result<MemberLoads, ReadError> {
    let looked = Looked::at(stand, group).await?;
    let (swept, shards) = (looked.sweep().map_or(0, |sweep| sweep.members), count(looked.head.rosters.len()));
    let most = |wanted| sampling::points(swept, shards, wanted, sampling::BUDGET);
    let grid = asked.grid(looked.now, looked.period(), most)?;
    let wanted = |id: &str| member.is_none_or(|member| member.0 == id);
    let (at, members) = loads(&stand.store, group, looked.head.rosters.keys(), grid, wanted).await?;
    Ok(MemberLoads { from: ms(grid.from), until: ms(grid.until), at, members })
}

/// The load of every member that is `wanted` in the sampled sweeps: the times, and a load or none for each of them.
pub(super) async fn loads<S: SweepLog>(
    store: &S,
    group: &GroupName,
    shards: impl Iterator<Item = &Shard>,
    grid: Grid,
    wanted: impl Fn(&str) -> bool,
) -> Result<(Vec<Ms>, BTreeMap<String, Vec<Option<f64>>>), ReadError> {
    let sampled = shards.map(|shard| store.sampled_loads(group, grid.of(*shard)));
    let sweeps: Vec<SweepLoads> = try_join_all(sampled).await?.into_iter().flatten().collect();
    // The shards of one part were swept at almost the same time: they are one point, at the first one's.
    let mut points: BTreeMap<Timestamp, (Timestamp, Vec<SweepLoads>)> = BTreeMap::new();
    for sweep in sweeps {
        let point = points.entry(sweep.slot.round_down(grid.step)).or_insert((sweep.slot, Vec::new()));
        point.0 = point.0.min(sweep.slot);
        point.1.push(sweep);
    }
    let mut members: BTreeMap<String, Vec<Option<f64>>> = BTreeMap::new();
    for (nth, (_, sweeps)) in points.values().enumerate() {
        let told = sweeps.iter().flat_map(|sweep| &sweep.members);
        for (id, load) in told.filter(|(id, _)| wanted(&id.0)) {
            let load = load.map(Load::percent);
            if let Some(loads) = members.get_mut(&id.0) {
                loads[nth] = load;
            } else {
                let mut loads = vec![None; points.len()];
                loads[nth] = load;
                members.insert(id.to_string(), loads);
            }
        }
    }
    Ok((points.values().map(|(at, _)| ms(*at)).collect(), members))
}
