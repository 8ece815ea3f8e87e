//! The policy as a file: it stands where the SSM parameter does on AWS.

use std::fs::File;
use std::io::{ErrorKind, Read, Write};
use std::path::PathBuf;

use muster_control::ports::{PolicyDesk, PolicySource, PolicySourceError, PolicyText, Put, PutError, Revision};
use muster_core::group::GroupName;

/// The longest file that is read; the core refuses a longer policy with the reason.
const LONGEST: u64 = 1 << 20;

/// A policy's file. It is read at every decision (O4).
#[derive(Clone, Debug)]
pub struct PolicyFile(pub PathBuf);

impl PolicySource for PolicyFile {
    async fn fetch(&self, _: &GroupName) -> Result<Option<PolicyText>, PolicySourceError> {
        let mut text = Vec::new();
        // Opening a pipe would wait for its writer: only a file is opened.
        match std::fs::metadata(&self.0) {
            Ok(about) if about.is_file() => {}
            Ok(_) => return Err(PolicySourceError(format!("{} is not a file", self.0.display()).into())),
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(PolicySourceError(error.into())),
        }
        let file = File::open(&self.0).map_err(|error| PolicySourceError(error.into()))?;
        file.take(LONGEST).read_to_end(&mut text).map_err(|error| PolicySourceError(error.into()))?;
        Ok(Some(PolicyText { text: String::from_utf8_lossy(&text).into_owned(), version: None }))
    }
}

/// The new text is written beside the old one and takes its place at once, so that nobody ever reads half of it. Two who write at once
/// are kept apart by a lock on the old file; an editor asks for none, and the text is looked at last before it is replaced.
impl PolicyDesk for PolicyFile {
    async fn put(&self, group: &GroupName, text: &str, over: Option<&Revision>) -> Result<Put, PutError> {
        let most = usize::try_from(LONGEST).unwrap_or(usize::MAX);
        if text.len() > most {
            return Err(PutError::TooLong { bytes: text.len(), most });
        }
        let refused = |error: std::io::Error| PutError::Refused(error.into());
        // What a link names is replaced, and not the link.
        let file = std::fs::canonicalize(&self.0).unwrap_or_else(|_| self.0.clone());
        let folder = file.parent().ok_or_else(|| PutError::Refused("the policy's file has no folder".into()))?;
        let mut new = tempfile::NamedTempFile::new_in(folder).map_err(refused)?;
        new.write_all(text.as_bytes()).and_then(|()| new.as_file().sync_all()).map_err(refused)?;
        let _lock = match File::open(&file) {
            Ok(old) => {
                let permissions = old.metadata().map_err(refused)?.permissions();
                new.as_file().set_permissions(permissions).map_err(refused)?;
                old.try_lock().map_err(|error| PutError::Unavailable(error.into()))?;
                Some(old)
            }
            Err(error) if error.kind() == ErrorKind::NotFound => None,
            Err(error) => return Err(refused(error)),
        };
        let found = self.fetch(group).await.map_err(|error| PutError::Unavailable(error.into()))?;
        if found.as_ref().map(|found| Revision::of(&found.text)).as_ref() != over {
            return Err(PutError::LostUpdate { found });
        }
        let placed = if over.is_some() { new.persist(&file) } else { new.persist_noclobber(&file) };
        match placed {
            Ok(_) => Ok(Put { version: None, revision: Revision::of(text), overwrote: None }),
            Err(error) if error.error.kind() == ErrorKind::AlreadyExists => {
                let found = self.fetch(group).await.map_err(|error| PutError::Unavailable(error.into()))?;
                Err(PutError::LostUpdate { found })
            }
            Err(error) => Err(refused(error.error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[tokio::test]
    async fn a_policy_is_replaced_whole_and_only_as_it_was_read() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("policy.json"), folder.path().join("link.json"));
        let (desk, group) = (PolicyFile(file.clone()), GroupName::default());
        let revision = |text: &str| Some(Revision::of(text));
        let put = async |text: &str, over: Option<Revision>| desk.put(&group, text, over.as_ref()).await;
        assert!(matches!(put("a", revision("b")).await, Err(PutError::LostUpdate { found: None })));
        assert_eq!(put("a", None).await.expect("the first").revision, Revision::of("a"));
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).expect("its owner may");
        assert!(matches!(put("b", None).await, Err(PutError::LostUpdate { found: Some(found) }) if found.text == "a"));
        assert!(matches!(put("b", revision("z")).await, Err(PutError::LostUpdate { .. })));
        put("b", revision("a")).await.expect("over what is there");
        let mode = std::fs::metadata(&file).expect("a file").permissions().mode() & 0o777;
        assert_eq!((std::fs::read_to_string(&file).expect("a file").as_str(), mode), ("b", 0o640));
        symlink(&file, &link).expect("a link");
        PolicyFile(link.clone()).put(&group, "c", revision("b").as_ref()).await.expect("by the link");
        assert!(link.is_symlink() && std::fs::read_to_string(&file).expect("a file") == "c");
        let long = "x".repeat(2 << 20);
        assert!(matches!(put(&long, revision("c")).await, Err(PutError::TooLong { .. })));
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 2, "nothing is left beside it");
    }

    #[tokio::test]
    async fn of_many_edits_of_one_text_one_is_written() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("policy.json");
        std::fs::write(&file, "old").expect("a file");
        let written: Vec<bool> = std::thread::scope(|scope| {
            let one = |nth: u32| {
                let desk = PolicyFile(file.clone());
                move || {
                    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                    let (group, old) = (GroupName::default(), Revision::of("old"));
                    runtime.block_on(desk.put(&group, &nth.to_string(), Some(&old))).is_ok()
                }
            };
            let threads: Vec<_> = (0..8).map(|nth| scope.spawn(one(nth))).collect();
            threads.into_iter().map(|thread| thread.join().expect("it ends")).collect()
        });
        assert_eq!(written.iter().filter(|written| **written).count(), 1);
    }
}
