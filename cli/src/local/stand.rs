//! A local world as the commands see it: its store to read, its policy's file, and its fleet while it runs.

use std::path::Path;

use muster_control::ports::{FleetError, Mark, Marks};
use muster_core::group::GroupName;
use muster_core::member::InstanceId;
use muster_embedded::SqliteStore;
use muster_web::stand::Stand;

use super::clock::SystemClock;
use super::fleet_client::FleetClient;
use super::paths::Paths;
use super::policy_file::PolicyFile;
use super::worlds::{WorldEntry, running};
use crate::failure::Failure;

/// A local world, over the ports.
pub type LocalStand = Stand<SqliteStore, PolicyFile, LocalFleet, SystemClock>;

/// The fleet of a world; none while it does not run.
#[derive(Clone, Debug)]
pub struct LocalFleet(pub Option<FleetClient>);

impl Marks for LocalFleet {
    async fn mark(&self, group: &GroupName, instance: &InstanceId, mark: Mark, on: bool) -> Result<(), FleetError> {
        match &self.0 {
            Some(fleet) => fleet.mark(group, instance, mark, on).await,
            None => {
                Err(FleetError::Unavailable("the world does not run: its instances are marked while it does".into()))
            }
        }
    }
}

/// The world in `state`, or the only one that runs.
pub fn open(state: Option<&Path>) -> Result<LocalStand, Failure> {
    let world = find(state, &running())?;
    let paths = world.paths();
    let store = SqliteStore::open_read_only(paths.store()).map_err(|error| {
        Failure::input(
            &format!("the world in {}: {} cannot be read", world.state.display(), paths.store().display()),
            &error,
        )
    })?;
    let fleet = LocalFleet(world.runs.then(|| FleetClient(paths.fleet_socket())));
    let policies = PolicyFile(world.policy);
    Ok(Stand { store, policies, fleet, clock: SystemClock, place: "local".into() })
}

/// A world that was asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) state: std::path::PathBuf,
    pub(crate) run: std::path::PathBuf,
    pub(crate) policy: std::path::PathBuf,
    pub(crate) page: Option<String>,
    pub(crate) runs: bool,
}

impl World {
    pub(crate) fn paths(&self) -> Paths {
        Paths { state: self.state.clone(), run: self.run.clone() }
    }
}

impl From<WorldEntry> for World {
    fn from(running: WorldEntry) -> Self {
        let WorldEntry { state, run, policy, dashboard, .. } = running;
        Self { state, run, policy, page: dashboard, runs: true }
    }
}

/// The world in `state`, or the only one of those that run.
pub(crate) fn find(state: Option<&Path>, running: &[WorldEntry]) -> Result<World, Failure> {
    let Some(state) = state else {
        return match running {
            [one] => Ok(one.clone().into()),
            [] => Err(Failure::Input(
                "no world runs on this machine: start one with `muster up`, or say --state DIR or --stack NAME".into(),
            )),
            many => {
                let told: Vec<String> = many.iter().map(|world| world.state.display().to_string()).collect();
                Err(Failure::Input(format!("which world? Say --state with one of {}", told.join(", "))))
            }
        };
    };
    let state = std::path::absolute(state).map_err(|error| Failure::input("--state cannot be used", &error))?;
    // The same folder may be called by several names.
    let same = |world: &&WorldEntry| {
        world.state == state
            || state.canonicalize().is_ok_and(|real| world.state.canonicalize().is_ok_and(|its| its == real))
    };
    if let Some(world) = running.iter().find(same) {
        return Ok(world.clone().into());
    }
    let policy = Paths { state: state.clone(), run: state.clone() }.policy();
    Ok(World { run: state.clone(), state, policy, page: None, runs: false })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(state: &str) -> WorldEntry {
        WorldEntry {
            pid: 1,
            state: state.into(),
            run: "/run/it".into(),
            policy: "/etc/policy.json".into(),
            group: GroupName::default(),
            dashboard: None,
            started: None,
        }
    }

    #[test]
    fn the_only_world_that_runs_is_meant_and_of_several_the_one_that_is_named() {
        let (one, two) = (world("/tmp/one"), world("/tmp/two"));
        assert_eq!(find(None, std::slice::from_ref(&one)).expect("one"), one.clone().into());
        assert_eq!(find(Some(Path::new("/tmp/two")), &[one.clone(), two.clone()]).expect("two"), two.clone().into());
        let none = find(None, &[]).expect_err("none runs").to_string();
        assert!(none.contains("`muster up`"), "{none}");
        let many = find(None, &[one, two]).expect_err("which?").to_string();
        assert!(many.contains("/tmp/one, /tmp/two"), "{many}");
        let still = find(Some(Path::new("/tmp/three")), &[]).expect("a folder");
        assert_eq!((still.runs, still.policy.as_path()), (false, Path::new("/tmp/three/policy.json")));
    }
}
