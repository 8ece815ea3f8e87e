//! The worlds that run on this machine: each `muster up` leaves a note while it runs, so that the other commands find it.
//!
//! A note is no proof: a killed world leaves it behind. What proves that a world runs is the lock of its state.

use std::fs;
use std::os::unix::fs::{DirBuilderExt, MetadataExt};
use std::path::{Path, PathBuf};

use muster_core::group::GroupName;
use serde::{Deserialize, Serialize};

use super::paths::Paths;

/// What is known of a world that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The process of its `muster up`.
    pub pid: u32,
    /// Store and ledger.
    pub state: PathBuf,
    /// Sockets.
    pub run: PathBuf,
    /// The policy's file.
    pub policy: PathBuf,
    /// Its group.
    pub group: GroupName,
    /// Where its page is, if it has one.
    #[serde(default)]
    pub page: Option<String>,
}

impl Running {
    /// The world's files.
    pub fn paths(&self) -> Paths {
        Paths { state: self.state.clone(), run: self.run.clone() }
    }
}

/// The note of this process's world; it goes with it.
#[derive(Debug)]
pub struct Note(PathBuf);

impl Drop for Note {
    fn drop(&mut self) {
        let _gone = fs::remove_file(&self.0);
    }
}

/// Leaves a note of `world` in the folder of notes. A world of which none can be left runs all the same.
pub fn announce(world: &Running) -> Option<Note> {
    announce_in(&folder()?, world)
}

fn announce_in(folder: &Path, world: &Running) -> Option<Note> {
    let file = folder.join(format!("{}.json", world.pid));
    let text = serde_json::to_string(world).ok()?;
    fs::write(&file, text).ok()?;
    Some(Note(file))
}

/// The worlds that run, by their folders.
pub fn running() -> Vec<Running> {
    folder().map(|folder| running_in(&folder)).unwrap_or_default()
}

fn running_in(folder: &Path) -> Vec<Running> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    let read = |file: fs::DirEntry| serde_json::from_str(&fs::read_to_string(file.path()).ok()?).ok();
    let mut worlds: Vec<Running> = files.filter_map(read).filter(|world: &Running| is_held(&world.paths())).collect();
    worlds.sort_by(|a, b| a.state.cmp(&b.state));
    worlds
}

/// Whether somebody holds the lock of a state: a `muster up` that runs on it.
pub fn is_held(paths: &Paths) -> bool {
    fs::File::open(paths.lock()).is_ok_and(|file| matches!(file.try_lock_shared(), Err(fs::TryLockError::WouldBlock)))
}

/// This user's folder of notes; none when it cannot be made, or is somebody else's.
fn folder() -> Option<PathBuf> {
    let user = rustix::process::getuid().as_raw();
    let folder = match std::env::var_os("XDG_RUNTIME_DIR").filter(|folder| !folder.is_empty()) {
        Some(folder) => PathBuf::from(folder).join("muster"),
        None => std::env::temp_dir().join(format!("muster-worlds-{user}")),
    };
    let _there = fs::DirBuilder::new().mode(0o700).create(&folder);
    // In a folder for everybody somebody else may have made it first, and tell of worlds of his.
    let about = fs::symlink_metadata(&folder).ok()?;
    (about.is_dir() && about.uid() == user).then_some(folder)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_world_is_found_while_its_lock_is_held() {
        let (notes, state) = (tempfile::tempdir().expect("a folder"), tempfile::tempdir().expect("a folder"));
        let world = Running {
            pid: 7,
            state: state.path().to_owned(),
            run: state.path().to_owned(),
            policy: state.path().join("policy.json"),
            group: GroupName::default(),
            page: None,
        };
        let note = announce_in(notes.path(), &world).expect("a note");
        fs::write(notes.path().join("8.json"), "{").expect("a file");
        assert_eq!(running_in(notes.path()), [], "there is no lock");
        let lock = fs::File::create(world.paths().lock()).expect("a lock");
        assert_eq!(running_in(notes.path()), [], "nobody holds it");
        lock.try_lock().expect("it is free");
        assert_eq!(running_in(notes.path()), [world]);
        drop(note);
        assert_eq!(running_in(notes.path()), [], "its note has gone");
    }
}
