//! Gathering the facts: each is asked for on its own, so that what fails is told beside what does not.

use std::path::Path;
use std::time::Duration;

use muster_control::chain::chain;
use muster_control::ports::{
    Clock, Fleet, GroupStore, Groups, HealthStore, PolicySource, Rejected, Rejections, StoreError,
};
use muster_core::group::{GroupName, Head, Shard};
use muster_embedded::SqliteStore;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::facts::{Facts, GroupFacts, Home, SweepSeen, World};
use crate::failure::Failure;
use crate::local::clock::SystemClock;
use crate::local::fleet_client::FleetClient;
use crate::local::policy_file::PolicyFile;
use crate::local::stand::find;
use crate::local::worlds::running;

/// How long the page may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// The facts of the world in `state`, or of the only one that runs.
pub(super) async fn world(state: Option<&Path>, group: Option<&GroupName>) -> Result<Facts, Failure> {
    let found = find(state, &running())?;
    let paths = found.paths();
    let store = SqliteStore::open_read_only(paths.store());
    let world = World {
        state: found.state.display().to_string(),
        writable: tempfile::tempfile_in(&found.state).map(drop).map_err(|error| error.to_string()),
        free_bytes: Some(free(&found.state)),
        runs: found.state.is_dir().then_some(Ok(found.runs)),
        store: Some(store.as_ref().map(drop).map_err(|error| chain(error))),
        page: match &found.page {
            Some(page) => Some(answers(page).await.map(|()| page.clone())),
            None => None,
        },
    };
    let (rejected, groups) = match store {
        Err(_) => (None, None),
        Ok(store) => {
            let policy_at = found.policy.display().to_string();
            let fleet = found.runs.then(|| FleetClient(paths.fleet_socket()));
            let policies = PolicyFile(found.policy);
            let groups = groups(&store, &policies, fleet.as_ref(), group, &|_| policy_at.clone()).await;
            (Some(rejected(&store).await), Some(groups))
        }
    };
    Ok(Facts { now: SystemClock.now(), home: Home::World(world), rejected, groups })
}

fn free(folder: &Path) -> Result<u64, String> {
    let about = rustix::fs::statvfs(folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    Ok(about.f_bavail.saturating_mul(about.f_frsize))
}

/// Whether a page on this machine answers at all.
async fn answers(page: &str) -> Result<(), String> {
    let address = page.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let ask = async {
        let mut stream = TcpStream::connect(&address).await?;
        stream.write_all(format!("GET /api/groups HTTP/1.0\r\nHost: {address}\r\n\r\n").as_bytes()).await?;
        let mut status = [0; 12];
        stream.read_exact(&mut status).await?;
        std::io::Result::Ok(status.ends_with(b" 200"))
    };
    match tokio::time::timeout(PATIENCE, ask).await {
        Ok(Ok(true)) => Ok(()),
        Ok(Ok(false)) => Err(format!("{page} answers, and not with its groups")),
        Ok(Err(error)) => Err(format!("{page}: {error}")),
        Err(_) => Err(format!("{page} does not answer within {} s", PATIENCE.as_secs())),
    }
}

/// What the sweeps' stream brought that was no sweep.
pub(crate) async fn rejected<S: Rejections>(store: &S) -> Result<Option<Rejected>, String> {
    store.rejected().await.map_err(|error| chain(&error))
}

/// The facts of each group, or of the one that is named.
pub(crate) async fn groups<S, P, F>(
    store: &S,
    policies: &P,
    fleet: Option<&F>,
    named: Option<&GroupName>,
    policy_at: &impl Fn(&GroupName) -> String,
) -> Result<Vec<GroupFacts>, String>
where
    S: GroupStore + HealthStore + Groups,
    P: PolicySource,
    F: Fleet,
{
    let names = match named {
        Some(group) => vec![group.clone()],
        None => store.groups().await.map_err(|error| chain(&error))?,
    };
    let mut found = Vec::new();
    for group in names {
        found.push(one(store, policies, fleet, &group, policy_at(&group)).await);
    }
    Ok(found)
}

async fn one<S, P, F>(store: &S, policies: &P, fleet: Option<&F>, group: &GroupName, policy_at: String) -> GroupFacts
where
    S: GroupStore + HealthStore,
    P: PolicySource,
    F: Fleet,
{
    let policy = policies.fetch(group).await;
    let state = store.read(group).await;
    let intents = match &state {
        Ok(Some(state)) => state.intents.iter().map(|intent| (intent.id.to_string(), intent.at)).collect(),
        Ok(None) | Err(_) => Vec::new(),
    };
    let head = state.map(|state| state.map(|state| state.head)).map_err(|error| chain(&error));
    let sweeps = match &head {
        Ok(head) => Some(latest(store, group, head.as_ref()).await.map_err(|error| chain(&error))),
        Err(_) => None,
    };
    let instances = match fleet {
        Some(fleet) => Some(listed(fleet, group).await),
        None => None,
    };
    GroupFacts {
        group: group.clone(),
        policy_at,
        policy: Some(policy.map(|policy| policy.map(|policy| policy.text)).map_err(|error| chain(&error))),
        head: Some(head),
        sweeps,
        intents,
        instances,
    }
}

/// The latest sweep of each shard; before there is HEAD a group has one.
async fn latest<S: HealthStore>(
    store: &S,
    group: &GroupName,
    head: Option<&Head>,
) -> Result<Vec<SweepSeen>, StoreError> {
    let shards: Vec<Shard> = head.map_or_else(|| vec![Shard(0)], |head| head.rosters.keys().copied().collect());
    let mut found = Vec::new();
    for shard in shards {
        found.extend(store.latest(group, shard).await?.as_ref().map(SweepSeen::from));
    }
    Ok(found)
}

async fn listed<F: Fleet>(fleet: &F, group: &GroupName) -> Result<u32, String> {
    let listed = fleet.list(group).await.map_err(|error| chain(&error))?;
    let there = listed.iter().filter(|instance| !instance.state.is_gone()).count();
    Ok(u32::try_from(there).unwrap_or(u32::MAX))
}
