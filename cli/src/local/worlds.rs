//! Which local worlds run: each `muster up` writes down where it is, so that other commands find it without being told.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use muster_core::group::GroupName;
use rustix::process::{Pid, getuid, test_kill_process};
use serde::{Deserialize, Serialize};

/// The longest entry that is read.
const LONGEST: u64 = 64 << 10;

/// A world that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorldEntry {
    /// Where store and ledger are.
    pub state: PathBuf,
    /// Where the sockets are.
    pub run: PathBuf,
    /// The policy's file.
    pub policy: PathBuf,
    /// The group.
    pub group: GroupName,
    /// The dashboard's address, if it has one.
    pub dashboard: Option<String>,
    /// The process of `muster up`.
    pub pid: u32,
    /// When that process was started, in the kernel's ticks since it booted: another process may get its number later.
    #[serde(default)]
    pub started: Option<u64>,
}

/// An entry that is there until this is dropped.
#[derive(Debug)]
pub struct Entered(PathBuf);

impl Drop for Entered {
    fn drop(&mut self) {
        // What stays behind is found to be stale.
        let _gone = fs::remove_file(&self.0);
    }
}

impl WorldEntry {
    /// Writes the entry down, for this user alone.
    pub fn enter(&self) -> io::Result<Entered> {
        self.enter_into(&folder())
    }

    fn enter_into(&self, folder: &Path) -> io::Result<Entered> {
        DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        for part in folder.ancestors().take(2) {
            own(part)?;
        }
        let (file, new) = (folder.join(format!("{}.json", self.pid)), folder.join(format!("{}.new", self.pid)));
        let _absent = fs::remove_file(&new);
        let mut written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        written.write_all(&serde_json::to_vec(self)?)?;
        fs::rename(&new, &file)?;
        Ok(Entered(file))
    }

    /// Whether its process still runs.
    fn runs(&self) -> bool {
        let pid = i32::try_from(self.pid).ok().and_then(Pid::from_raw);
        let alive = pid.is_some_and(|pid| test_kill_process(pid).is_ok());
        alive && (self.started.is_none() || started(self.pid) == self.started)
    }
}

/// When a process was started, in the kernel's ticks. <https://man7.org/linux/man-pages/man5/proc_pid_stat.5.html>
pub fn started(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name, in parentheses, may hold anything; what follows it begins with the third field.
    let (_, rest) = stat.rsplit_once(')')?;
    rest.split_whitespace().nth(19)?.parse().ok()
}

/// The worlds of this user that run, the oldest process first. What is left of others is removed.
pub fn running() -> Vec<WorldEntry> {
    running_in(&folder())
}

fn running_in(folder: &Path) -> Vec<WorldEntry> {
    if folder.ancestors().take(2).any(|part| own(part).is_err()) {
        return Vec::new();
    }
    let files = fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let files = files.filter(|file| file.extension().is_some_and(|ending| ending == "json"));
    let mut found: Vec<WorldEntry> = files.filter_map(|file| entry(&file)).collect();
    found.sort_by_key(|world| (world.started, world.pid));
    found
}

/// The entry in a file, if its world runs; else the file is removed.
fn entry(file: &Path) -> Option<WorldEntry> {
    let small = fs::metadata(file).is_ok_and(|about| about.is_file() && about.len() <= LONGEST);
    let world = fs::read(file).ok().filter(|_| small).and_then(|text| serde_json::from_slice::<WorldEntry>(&text).ok());
    let named = |world: &WorldEntry| file.file_stem().is_some_and(|name| *name == *world.pid.to_string());
    let world = world.filter(named).filter(WorldEntry::runs);
    if world.is_none() {
        let _gone = fs::remove_file(file);
    }
    world
}

/// Where the entries are.
fn folder() -> PathBuf {
    let base = std::env::var_os("XDG_RUNTIME_DIR").filter(|base| !base.is_empty());
    let base = base.map_or_else(|| PathBuf::from("/tmp"), PathBuf::from);
    base.join(format!("muster-{}", getuid().as_raw())).join("worlds")
}

/// Fails unless a folder is ours alone: under `/tmp` anybody may have made it.
fn own(folder: &Path) -> io::Result<()> {
    let about = fs::symlink_metadata(folder)?;
    let own = about.is_dir() && about.uid() == getuid().as_raw() && about.mode() & 0o077 == 0;
    if own {
        Ok(())
    } else {
        Err(io::Error::new(io::ErrorKind::PermissionDenied, "the folder is not this user's alone"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn world(pid: u32, started: Option<u64>) -> WorldEntry {
        WorldEntry {
            state: "/s".into(),
            run: "/r".into(),
            policy: "/p".into(),
            group: GroupName::default(),
            dashboard: Some("http://127.0.0.1:1/".into()),
            pid,
            started,
        }
    }

    #[test]
    fn a_world_is_found_while_it_runs_and_what_is_left_of_others_is_removed() {
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("muster-0").join("worlds");
        assert_eq!(running_in(&folder), []);
        let own = std::process::id();
        let here = world(own, started(own));
        let entered = here.enter_into(&folder).expect("an entry");
        // Nobody has the highest number; another process has the number of one that has gone; and what is no entry.
        let _gone = world(i32::MAX as u32, None).enter_into(&folder).map(std::mem::forget);
        fs::write(folder.join("1.json"), serde_json::to_vec(&world(1, Some(u64::MAX))).expect("plain"))
            .expect("a file");
        fs::write(folder.join("2.json"), b"{").expect("a file");
        fs::write(folder.join("3.json"), serde_json::to_vec(&here).expect("plain")).expect("another's name");
        assert_eq!(running_in(&folder), [here]);
        assert_eq!(fs::read_dir(&folder).expect("a folder").count(), 1);
        drop(entered);
        assert_eq!(running_in(&folder), []);
    }

    #[test]
    fn a_folder_that_others_may_write_into_is_not_believed() {
        use std::os::unix::fs::PermissionsExt;
        let place = tempfile::tempdir().expect("a folder");
        let folder = place.path().join("muster-0").join("worlds");
        let own = std::process::id();
        let entered = world(own, None).enter_into(&folder).expect("an entry");
        fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("its owner may");
        assert_eq!(running_in(&folder), []);
        assert!(world(own, None).enter_into(&folder).is_err());
        drop(entered);
    }
}
