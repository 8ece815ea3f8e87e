//! The policy as a file: it stands where the SSM parameter does on AWS.

use std::fs;
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
        let file = std::fs::File::open(&self.0).map_err(|error| PolicySourceError(error.into()))?;
        file.take(LONGEST).read_to_end(&mut text).map_err(|error| PolicySourceError(error.into()))?;
        Ok(Some(PolicyText { text: String::from_utf8_lossy(&text).into_owned(), version: None }))
    }
}

/// Whoever writes holds the lock of the file that he found: of two who want to write over the same text one finds it changed.
impl PolicyDesk for PolicyFile {
    async fn put(&self, group: &GroupName, text: &str, over: Option<&Revision>) -> Result<Put, PutError> {
        let refused = |error: std::io::Error| PutError::Refused(error.into());
        // A link to the file stays one.
        let file = self.0.canonicalize().unwrap_or_else(|_| self.0.clone());
        let held = fs::File::open(&file).ok();
        if let Some(held) = &held {
            held.lock().map_err(refused)?;
        }
        let found = self.fetch(group).await.map_err(|error| PutError::Unavailable(error.into()))?;
        if found.as_ref().map(|found| Revision::of(&found.text)).as_ref() != over {
            return Err(PutError::LostUpdate { found });
        }
        let folder = file.parent().map_or_else(|| PathBuf::from("."), PathBuf::from);
        let mut draft = tempfile::NamedTempFile::new_in(folder).map_err(refused)?;
        draft.write_all(text.as_bytes()).map_err(refused)?;
        let about = held.as_ref().and_then(|held| held.metadata().ok());
        if let Some(about) = about {
            draft.as_file().set_permissions(about.permissions()).map_err(refused)?;
            draft.persist(&file).map_err(|error| refused(error.error))?;
        } else if let Err(error) = draft.persist_noclobber(&file) {
            let found = self.fetch(group).await.ok().flatten();
            return Err(if found.is_some() { PutError::LostUpdate { found } } else { refused(error.error) });
        }
        Ok(Put { version: None, revision: Revision::of(text), overwrote: None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_file_is_written_over_the_text_that_was_seen_and_no_other() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, group) = (PolicyFile(folder.path().join("policy.json")), GroupName::default());
        let text = || fs::read_to_string(&file.0).expect("the policy");
        file.put(&group, "one", None).await.expect("there is none yet");
        assert!(matches!(file.put(&group, "two", None).await, Err(PutError::LostUpdate { found: Some(_) })));
        let one = Revision::of("one");
        let put = file.put(&group, "two", Some(&one)).await.expect("nobody was in between");
        assert_eq!((put.revision, text().as_str()), (Revision::of("two"), "two"));
        let lost = file.put(&group, "three", Some(&one)).await;
        assert!(matches!(lost, Err(PutError::LostUpdate { found: Some(PolicyText { text, .. }) }) if text == "two"));
        fs::remove_file(&file.0).expect("it is there");
        let gone = file.put(&group, "three", Some(&one)).await;
        assert!(matches!(gone, Err(PutError::LostUpdate { found: None })), "{gone:?}");
    }

    #[tokio::test]
    async fn of_many_who_write_over_the_same_text_one_wins() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, group) = (PolicyFile(folder.path().join("policy.json")), GroupName::default());
        fs::write(&file.0, "before").expect("the policy");
        let before = Revision::of("before");
        let won = std::thread::scope(|threads| {
            let writers: Vec<_> = (0..8)
                .map(|n| {
                    let (file, group, before) = (file.clone(), group.clone(), before.clone());
                    threads.spawn(move || {
                        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
                        runtime.block_on(file.put(&group, &format!("text {n}"), Some(&before))).is_ok()
                    })
                })
                .collect();
            writers.into_iter().map(|writer| writer.join().expect("it ends")).filter(|won| *won).count()
        });
        assert_eq!(won, 1);
    }
}
