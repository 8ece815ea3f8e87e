//! `muster --stack NAME sweep --once --dry-run`: one look at the agents from here, as MonitorS would look.
//!
//! It never counts as a sweep: it would have this machine's clock and this machine's view of the network, and would take a slot
//! from MonitorS.

use clap::Args;
use comfy_table::{ContentArrangement, Table, presets};
use muster_control::ports::{
    Claim, GroupState, GroupStore, HealthStore, LeaseRequest, Release, Settlement, StoreError, StoredPolicy,
};
use muster_control::sweep::{Monitor, Swept};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::health::{Health, Seen};
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use muster_probe::{GrpcProbe, Settings};

use super::{Cloud, StackArgs, run};
use crate::failure::Failure;
use crate::local::clock::SystemClock;
use crate::policy::{print, say};

/// What to sweep.
#[derive(Clone, Debug, Args)]
pub struct SweepArgs {
    /// The group; needed when the stack has several.
    #[arg(long)]
    group: Option<GroupName>,
    /// Look once and end. There is no other way: MonitorS sweeps on its schedule.
    #[arg(long, required = true)]
    once: bool,
    /// Only look: agents are asked, but not told anything, and nothing is written. There is no other way.
    #[arg(long, required = true)]
    dry_run: bool,
    /// Print one JSON array with a sweep for each shard.
    #[arg(long)]
    json: bool,
}

/// Sweeps every shard of the group once.
pub fn sweep(stack: &StackArgs, args: &SweepArgs) -> Result<(), Failure> {
    run(async {
        let cloud = Cloud::open(stack).await?;
        let group = cloud.one_group(args.group.as_ref()).await?;
        let failed = |error: StoreError| Failure::run(&format!("group {group} cannot be swept"), &error);
        let head = cloud.tables.head(&group).await.map_err(failed)?;
        let shards = head.map_or(vec![Shard(0)], |head| head.rosters.keys().copied().collect());
        let sweeps = sweep_all(LookOnly(cloud.tables), &group, &shards).await.map_err(failed)?;
        if args.json {
            return print(&sweeps);
        }
        sweeps.iter().try_for_each(say_sweep)
    })
}

async fn sweep_all<S>(store: S, group: &GroupName, shards: &[Shard]) -> Result<Vec<Sweep>, StoreError>
where
    S: GroupStore + HealthStore,
{
    let name = format!("muster-{}", std::process::id());
    let monitor = Monitor { store, probe: GrpcProbe::new(SystemClock, Settings::default()), clock: SystemClock, name };
    let mut sweeps = Vec::new();
    for shard in shards {
        match muster_control::sweep::sweep(&monitor, group, *shard).await? {
            Swept::Written(sweep) => sweeps.push(*sweep),
            // A store that is only looked at takes no slot from anybody.
            Swept::Taken => return Err(StoreError::Conflict),
        }
    }
    Ok(sweeps)
}

fn say_sweep(sweep: &Sweep) -> Result<(), Failure> {
    let mut table = Table::new();
    table.load_style(presets::UTF8_FULL_CONDENSED).set_content_arrangement(ContentArrangement::Dynamic);
    table.set_header(["member", "seen", "load", "state", "detail"]);
    for (id, health) in &sweep.members {
        table.add_row([id.to_string(), seen(health).to_owned(), load(health), state(health), health.detail.clone()]);
    }
    let counts = &sweep.counts;
    say(&table.to_string())?;
    say(&format!("shard {}: {} of {} answer", sweep.shard, counts.answered, counts.members))?;
    sweep.blind.iter().try_for_each(|why| say(&format!("blind: {why}")))
}

const fn seen(health: &Health) -> &'static str {
    match health.seen {
        Seen::Answered => "answered",
        Seen::Silent => "silent",
        Seen::Unknown => "unknown",
    }
}

fn load(health: &Health) -> String {
    health.load.map_or("-".into(), |load| format!("{:.2} %", load.percent()))
}

fn state(health: &Health) -> String {
    health.agent.map_or("-".into(), |agent| format!("{agent:?}").to_lowercase())
}

/// A store that is read and never written: every slot is free, every sweep goes nowhere, and the agents are told nothing.
struct LookOnly<S>(S);

fn refused<T>() -> Result<T, StoreError> {
    Err(StoreError::Unavailable("a dry run writes nothing".into()))
}

impl<S: GroupStore> GroupStore for LookOnly<S> {
    /// In `paused` mode nobody tells an agent anything (O1): so a dry run looks through the eyes of that mode.
    async fn head(&self, group: &GroupName) -> Result<Option<Head>, StoreError> {
        let head = self.0.head(group).await?;
        Ok(head.map(|head| Head { mode: muster_core::policy::Mode::Paused, ..head }))
    }

    async fn read(&self, group: &GroupName) -> Result<Option<GroupState>, StoreError> {
        self.0.read(group).await
    }

    async fn claim(&self, _: &Claim) -> Result<(), StoreError> {
        refused()
    }

    async fn lease(&self, _: &LeaseRequest) -> Result<u32, StoreError> {
        refused()
    }

    async fn release(&self, _: &Release) -> Result<(), StoreError> {
        refused()
    }

    async fn settle(&self, _: &Settlement) -> Result<(), StoreError> {
        refused()
    }

    async fn roster(
        &self,
        group: &GroupName,
        shard: Shard,
        number: RosterNumber,
    ) -> Result<Option<Roster>, StoreError> {
        self.0.roster(group, shard, number).await
    }

    async fn policy(&self, group: &GroupName, version: PolicyVersion) -> Result<Option<StoredPolicy>, StoreError> {
        self.0.policy(group, version).await
    }
}

impl<S: HealthStore> HealthStore for LookOnly<S> {
    async fn take_slot(&self, _: &GroupName, _: Shard, _: Timestamp, _: &str) -> Result<(), StoreError> {
        Ok(())
    }

    async fn append(&self, _: &Sweep) -> Result<(), StoreError> {
        Ok(())
    }

    async fn latest(&self, group: &GroupName, shard: Shard) -> Result<Option<Sweep>, StoreError> {
        self.0.latest(group, shard).await
    }
}
