//! Where a load comes from: a trace, or the sweeps that a group's store has kept.

use std::path::Path;
use std::time::Duration;

use muster_backtest::compare::Named;
use muster_backtest::history::{Gaps, record};
use muster_backtest::trace::{Demand, Trace};
use muster_control::ports::{Clock, GroupStore, StoreError, SweepLog};
use muster_core::group::GroupName;
use muster_core::policy::Policy;
use muster_core::time::Timestamp;
use muster_embedded::SqliteStore;
use muster_web::read::record::{RecordError, looks};

use super::{BacktestArgs, playable};
use crate::failure::Failure;
use crate::local::clock::SystemClock;
use crate::local::paths::Paths;
use crate::policy::read_all;

/// The longest trace that is read, in bytes: a year of ten-second bins fits.
const LONGEST: u64 = 128 << 20;
/// Sweeps that are read at most: a week of a group of sixteen shards at 10 s.
const MOST: usize = 1_000_000;

/// A load, and what is known with it.
pub(crate) struct Source {
    /// What it is called.
    pub(super) name: String,
    pub(super) demand: Demand,
    /// Of a group's own record: what in it is assumed.
    pub(super) gaps: Option<Gaps>,
    /// The boot time that the group has measured.
    pub(super) boot: Option<Duration>,
    /// The policy that is in force there.
    pub(super) in_force: Option<Named>,
}

/// The load of a trace.
pub(super) fn trace(file: &Path) -> Result<Source, Failure> {
    let name = file.display().to_string();
    let input = std::fs::File::open(file).map_err(|error| Failure::input(&format!("{name} cannot be read"), &error))?;
    let text = read_all(&name, input, LONGEST)?;
    let trace = Trace::parse(&text).map_err(|error| Failure::input(&name, &error))?;
    let name = file.file_name().map_or(name, |name| name.to_string_lossy().into_owned());
    Ok(Source { name, demand: trace.demand(), gaps: None, boot: None, in_force: None })
}

/// The load of a local world.
pub(super) fn state(folder: &Path, args: &BacktestArgs) -> Result<Source, Failure> {
    let file = Paths { state: folder.to_owned(), run: folder.to_owned() }.store();
    let store = SqliteStore::open_read_only(&file).map_err(|error| {
        Failure::input(&format!("--state {}: {} cannot be read", folder.display(), file.display()), &error)
    })?;
    let group =
        args.group.clone().map_or_else(|| "local".parse().map_err(|error| Failure::input("--group", &error)), Ok)?;
    let runtime = tokio::runtime::Builder::new_current_thread().build();
    let runtime = runtime.map_err(|error| Failure::run("the store cannot be read", &error))?;
    runtime.block_on(recorded(&store, &group, &folder.display().to_string(), args, args.since))
}

/// The load of a group, of `place`, in the time of `since` until now.
pub(crate) async fn recorded<S: GroupStore + SweepLog>(
    store: &S,
    group: &GroupName,
    place: &str,
    args: &BacktestArgs,
    since: Option<Duration>,
) -> Result<Source, Failure> {
    let failed = |error: StoreError| Failure::run(&format!("group {group} of {place} cannot be read"), &error);
    let head = store.head(group).await.map_err(failed)?;
    let head = head.ok_or_else(|| Failure::Input(format!("{place} has no group {group} that was ever decided on")))?;
    let from = since.map_or(Timestamp::EPOCH, |since| SystemClock.now().minus(since));
    let looks = looks(store, group, from, MOST).await.map_err(|error| match error {
        RecordError::Store(error) => Failure::run(&format!("the sweeps of {group} cannot be read"), &error),
        RecordError::TooLong { most } => {
            Failure::Input(format!("{group} has more than {most} sweeps in that time: ask for less with --since"))
        }
    })?;
    let name = format!("group {group} of {place}");
    let recording = record(&looks, args.saturated()).map_err(|error| Failure::input(&name, &error))?;
    let in_force = match head.policy {
        Some(version) => store.policy(group, version).await.map_err(failed)?,
        None => None,
    };
    // What was in force has been valid; by a newer muster's lights it may not be, and then there is nothing to compare with.
    let in_force = in_force.and_then(|stored| Some((stored.version, Policy::parse(&stored.text).ok()?)));
    let in_force = in_force.and_then(|(version, policy)| playable(format!("in force ({version})"), policy).ok());
    let boot = (!head.boot_times_ms.is_empty()).then(|| head.boot_time());
    Ok(Source { name, demand: recording.demand, gaps: Some(recording.gaps), boot, in_force })
}
