//! `muster policy edit`: the text in the operator's own editor, until it is valid and saved, or given up. The draft is a file that is named
//! and stays until then, so that nothing typed is lost.

use std::ffi::OsString;
use std::future::Future;
use std::io::Write;
use std::path::{Path, PathBuf};

use clap::Args;
use muster_control::ports::{Clock, Marks, PolicyDesk, PolicyText, PutError, Revision};
use muster_core::group::GroupName;
use muster_core::policy::Policy;
use muster_web::read::policy::changes;
use muster_web::stand::{Stand, Store};
use muster_web::steer::SteerError;
use muster_web::steer::policy::{Written, put};
use serde_json::json;
use tokio::process;
use tokio::signal::unix::{Signal, SignalKind, signal};

use super::desk::told_changes;
use super::read;
use crate::failure::{Failure, PolicyReport};
use crate::pause::told as told_written;
use crate::place::{Command, PlaceArgs, group_of, unsteered};
use crate::said::Said;

/// What is opened where neither VISUAL nor EDITOR says it.
const USUAL_EDITOR: &str = "vi";
/// A policy for who has none: both settings that everybody sets.
const FIRST: &str = "{\n  \"min_instances\": 2,\n  \"max_instances\": 5,\n  \"scaling\": { \"kind\": \"auto\" }\n}\n";

/// Edit a group's policy in $VISUAL or $EDITOR. It is saved once it is valid, and only over the text that was shown; else the problem is
/// told, and the editor opens again. The draft is a file that is named: Ctrl-C loses nothing.
///
///   EDITOR=nano muster policy edit --group web
#[derive(Clone, Debug, Args)]
#[command(verbatim_doc_comment)]
pub struct EditArgs {
    #[command(flatten)]
    pub(super) place: PlaceArgs,
    /// Go on with a draft that was left behind.
    #[arg(long, value_name = "FILE")]
    draft: Option<PathBuf>,
    /// Print one JSON object: {"version", "revision"}, or {"unchanged": true}.
    #[arg(long)]
    pub(super) json: bool,
}

/// Who edits: an editor, and somebody who answers.
trait Editing {
    /// Opens the draft, and comes back when the editor has ended. An error when it did not end well.
    fn open(&mut self, draft: &Path) -> impl Future<Output = Result<(), Failure>>;
    /// Shows what is wrong.
    fn show(&mut self, text: &str);
    /// Asks; whether the answer is yes. `usual` is what an empty answer means.
    fn ask(&mut self, question: &str, usual: bool) -> impl Future<Output = Result<bool, Failure>>;
}

/// How an edit ends.
#[derive(Debug, PartialEq)]
enum Ended {
    /// Nothing was changed.
    Unchanged,
    /// It is saved.
    Saved(Written),
}

impl Command for EditArgs {
    type Output = Said;

    async fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
        &self,
        stand: &Stand<S, P, F, C>,
    ) -> Result<Said, Failure> {
        let group = group_of(stand, self.place.group.as_ref()).await?;
        let mut person = Person::new()?;
        said(&group, &edit(stand, &group, self.draft.as_deref(), &mut person).await?)
    }
}

fn said(group: &GroupName, ended: &Ended) -> Result<Said, Failure> {
    match ended {
        Ended::Unchanged => {
            Said::new(format!("{group} keeps its policy: nothing was changed"), &json!({"unchanged": true}))
        }
        Ended::Saved(written) => Said::new(told_written(group, written, "has its policy"), written),
    }
}

/// Edits until it is saved or given up.
async fn edit<S, P: PolicyDesk, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    left: Option<&Path>,
    person: &mut impl Editing,
) -> Result<Ended, Failure> {
    let fetched = stand.policies.fetch(group).await;
    let found = fetched.map_err(|error| Failure::run(&format!("the policy of {group} cannot be read"), &error))?;
    let mut shown = found.map(|found| found.text);
    let draft = match left {
        Some(left) => left.to_owned(),
        None => begin(group, shown.as_deref().unwrap_or(FIRST))?,
    };
    person.show(&format!("The draft is {}: it stays until it is saved.", draft.display()));
    loop {
        person.open(&draft).await?;
        let text = read(&draft)?;
        if shown.as_ref() == Some(&text) {
            forget(&draft);
            return Ok(Ended::Unchanged);
        }
        if let Err(error) = Policy::parse(&text) {
            let report = PolicyReport::new(draft.display().to_string(), error);
            person.show(&format!("{:?}", miette::Report::new(report)));
            if person.ask("Edit it again?", true).await? {
                continue;
            }
            return Err(kept("the policy is not valid", &draft));
        }
        let ended = save(stand, group, &text, &mut shown, &draft, person).await?;
        return ended.ok_or_else(|| kept("somebody else has edited the policy", &draft));
    }
}

/// Saves the draft over what was shown; none when somebody else was first and keeps it so.
async fn save<S, P: PolicyDesk, F, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    text: &str,
    shown: &mut Option<String>,
    draft: &Path,
    person: &mut impl Editing,
) -> Result<Option<Ended>, Failure> {
    loop {
        let over = shown.as_deref().map(Revision::of);
        match put(stand, group, text, over.as_ref()).await {
            Ok(written) => {
                forget(draft);
                return Ok(Some(Ended::Saved(written)));
            }
            Err(SteerError::Put(PutError::LostUpdate { found })) => {
                let theirs = found.map(|PolicyText { text, .. }| text);
                let changed = changes(shown.as_deref().unwrap_or("{}"), theirs.as_deref().unwrap_or("{}"));
                person.show(&format!(
                    "Somebody else has edited the policy meanwhile, {}",
                    told_changes(&changed, "what you were shown")
                ));
                if !person.ask("Write yours over theirs?", false).await? {
                    return Ok(None);
                }
                *shown = theirs;
            }
            Err(error) => {
                let failed = unsteered(format!("the policy of {group} is not written"))(error);
                return Err(Failure::Run(format!("{failed}. The draft is kept: {}", draft.display())));
            }
        }
    }
}

fn kept(why: &str, draft: &Path) -> Failure {
    let draft = draft.display();
    Failure::Run(format!("{why}, and nothing was written. Go on with: muster policy edit --draft {draft}"))
}

/// A file for the draft, which stays.
fn begin(group: &GroupName, text: &str) -> Result<PathBuf, Failure> {
    let failed = |error: &dyn std::error::Error| Failure::run("the draft cannot be written", error);
    let prefix = format!("muster-policy-{group}-");
    let file = tempfile::Builder::new().prefix(&prefix).suffix(".json").tempfile().map_err(|error| failed(&error))?;
    let (mut file, path) = file.keep().map_err(|error| failed(&error))?;
    file.write_all(text.as_bytes()).map_err(|error| failed(&error))?;
    Ok(path)
}

/// What has been saved or was never changed is no draft any more.
fn forget(draft: &Path) {
    let _gone = std::fs::remove_file(draft);
}

/// The operator at his terminal.
struct Person {
    editor: OsString,
    /// From now on Ctrl-C does not end this process: while the editor runs it is the editor's, at a question it is asked for.
    _heard: Signal,
}

impl Person {
    fn new() -> Result<Self, Failure> {
        let named = |name| std::env::var_os(name).filter(|editor| !editor.is_empty());
        let editor = named("VISUAL").or_else(|| named("EDITOR")).unwrap_or_else(|| USUAL_EDITOR.into());
        Ok(Self { editor, _heard: interrupts()? })
    }
}

/// The interrupts from now on.
fn interrupts() -> Result<Signal, Failure> {
    signal(SignalKind::interrupt()).map_err(|error| Failure::run("Ctrl-C cannot be heard", &error))
}

impl Editing for Person {
    async fn open(&mut self, draft: &Path) -> Result<(), Failure> {
        // As git does it: the variable may hold options.
        let mut command = process::Command::new("sh");
        let mut script = self.editor.clone();
        script.push(" \"$1\"");
        command.arg("-c").arg(script).arg("sh").arg(draft);
        let status = command.status().await;
        let editor = self.editor.display();
        let failed =
            |how: String| Failure::Run(format!("the editor {editor} {how}. The draft is kept: {}", draft.display()));
        match status {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(failed(format!("has ended with {status}"))),
            Err(error) => Err(failed(format!("cannot be started: {error}"))),
        }
    }

    fn show(&mut self, text: &str) {
        eprintln!("{text}");
    }

    async fn ask(&mut self, question: &str, usual: bool) -> Result<bool, Failure> {
        eprint!("{question} {} ", if usual { "[Y/n]" } else { "[y/N]" });
        let mut interrupt = interrupts()?;
        let (tell, told) = tokio::sync::oneshot::channel();
        // A thread of its own: nobody waits for it when Ctrl-C comes instead of an answer.
        std::thread::spawn(move || {
            let mut line = String::new();
            let read = std::io::stdin().read_line(&mut line);
            let _gone = tell.send(read.map(|_| line));
        });
        tokio::select! {
            _ = interrupt.recv() => Err(Failure::Interrupted("interrupted: the draft is kept".into())),
            told = told => match told {
                Ok(Ok(line)) if line.is_empty() => Ok(false),
                Ok(Ok(line)) => Ok(match line.trim().chars().next() {
                    None => usual,
                    Some(first) => first.eq_ignore_ascii_case(&'y'),
                }),
                Ok(Err(_)) | Err(_) => Ok(false),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use muster_control::ports::PolicySource;

    use super::*;
    use crate::lived::{Lived, TestStand, group, policy, story};

    /// Somebody who types `texts`, one each time the editor opens, and answers `answers`.
    #[derive(Default)]
    struct Script<'a> {
        texts: VecDeque<String>,
        answers: VecDeque<bool>,
        shown: Vec<String>,
        draft: PathBuf,
        /// Somebody else's edit, while the editor is open.
        other: Option<(&'a TestStand, String)>,
    }

    impl Editing for Script<'_> {
        async fn open(&mut self, draft: &Path) -> Result<(), Failure> {
            self.draft = draft.to_owned();
            if let Some(text) = self.texts.pop_front() {
                std::fs::write(draft, text).expect("the draft");
            }
            if let Some((stand, text)) = self.other.take() {
                stand.policies.set(Some(&text));
            }
            Ok(())
        }

        fn show(&mut self, text: &str) {
            self.shown.push(text.to_owned());
        }

        async fn ask(&mut self, question: &str, _: bool) -> Result<bool, Failure> {
            self.shown.push(question.to_owned());
            Ok(self.answers.pop_front().expect("an answer"))
        }
    }

    async fn text(stand: &TestStand) -> String {
        stand.policies.fetch(&group()).await.expect("a read").expect("a policy").text
    }

    fn good() -> String {
        policy(serde_json::json!({"max_instances": 8})).to_string()
    }

    #[tokio::test]
    async fn a_draft_is_edited_until_it_is_valid_and_saved() {
        let lived = story().await;
        let mut person = Script {
            texts: ["{\"max_instances\": 70000}".into(), good()].into(),
            answers: [true].into(),
            ..Script::default()
        };
        let ended = edit(&lived.stand, &group(), None, &mut person).await.expect("it is saved");
        crate::golden::check_said("policy-edit", &said(&group(), &ended).expect("plain data"));
        assert_eq!(text(&lived.stand).await, good());
        assert!(person.shown.iter().any(|shown| shown.contains("max_instances is 70000")), "{:?}", person.shown);
        assert!(!person.draft.exists(), "what is saved is no draft");
    }

    #[tokio::test]
    async fn what_is_not_changed_is_not_saved() {
        let lived = Lived::new(&policy(serde_json::json!({})));
        let mut person = Script::default();
        let ended = edit(&lived.stand, &group(), None, &mut person).await.expect("it ends");
        crate::golden::check_said("policy-edit-unchanged", &said(&group(), &ended).expect("plain data"));
        assert!(!person.draft.exists());
    }

    #[tokio::test]
    async fn a_draft_that_is_given_up_stays_and_is_named() {
        let lived = story().await;
        let before = text(&lived.stand).await;
        let mut person = Script { texts: ["{".to_owned()].into(), answers: [false].into(), ..Script::default() };
        let failure = edit(&lived.stand, &group(), None, &mut person).await.expect_err("it is given up").to_string();
        let draft = person.draft.clone();
        assert!(failure.contains(&format!("--draft {}", draft.display())), "{failure}");
        assert_eq!(text(&lived.stand).await, before);
        // He goes on with it.
        let mut person = Script { texts: [good()].into(), ..Script::default() };
        edit(&lived.stand, &group(), Some(&draft), &mut person).await.expect("it is saved");
        assert_eq!((text(&lived.stand).await, person.draft), (good(), draft.clone()));
        assert!(!draft.exists());
    }

    #[tokio::test]
    async fn somebody_elses_edit_is_not_lost_unseen() {
        for (overwrites, kept) in [(true, good()), (false, policy(serde_json::json!({"max_instances": 3})).to_string())]
        {
            let lived = Lived::new(&policy(serde_json::json!({})));
            let theirs = policy(serde_json::json!({"max_instances": 3})).to_string();
            let mut person = Script {
                texts: [good()].into(),
                answers: [overwrites].into(),
                other: Some((&lived.stand, theirs)),
                ..Script::default()
            };
            let ended = edit(&lived.stand, &group(), None, &mut person).await;
            assert!(person.shown.iter().any(|shown| shown.contains("max_instances: 6 -> 3")), "{:?}", person.shown);
            assert_eq!((ended.is_ok(), person.draft.exists()), (overwrites, !overwrites), "{ended:?}");
            assert_eq!(text(&lived.stand).await, kept);
            let _gone = std::fs::remove_file(&person.draft);
        }
    }
}
