//! Where a command looks: a stack of an AWS account, or a world on this machine. Each command is written once, over the ports.

use std::path::PathBuf;

use clap::Args;
use muster_control::ports::{Clock, Marks, PolicyDesk};
use muster_core::group::GroupName;
use muster_web::read::ReadError;
use muster_web::stand::{Stand, Store};
use muster_web::steer::SteerError;

use crate::failure::{Failure, PolicyReport};

/// Which stack.
#[derive(Clone, Debug, Default, Args)]
pub struct StackArgs {
    /// The stack's name: its tables are NAME-control, NAME-sweeps and NAME-activity. Region and credentials come from the usual
    /// places: AWS_PROFILE, AWS_REGION, `aws login` ... Without it: the world that runs on this machine.
    #[arg(long, env = "MUSTER_STACK", value_name = "NAME", global = true)]
    pub stack: Option<String>,
}

impl StackArgs {
    /// The stack that is named; an empty name is none.
    pub fn named(&self) -> Option<&str> {
        self.stack.as_deref().filter(|name| !name.is_empty())
    }
}

/// Where to look, and at what.
#[derive(Clone, Debug, Default, Args)]
pub struct PlaceArgs {
    /// The folder of a `muster up --state DIR`, whether it runs or not. Default: the world that runs.
    #[arg(long, value_name = "DIR")]
    pub state: Option<PathBuf>,
    /// The group; needed where there are several.
    #[arg(long)]
    pub group: Option<GroupName>,
}

/// A command over the ports, wherever they lead.
pub trait Command {
    /// What it gives.
    type Output;

    /// Does it.
    fn run<S: Store, P: PolicyDesk, F: Marks, C: Clock>(
        &self,
        stand: &Stand<S, P, F, C>,
    ) -> impl Future<Output = Result<Self::Output, Failure>>;
}

/// Runs `command` where `stack` or `place` leads to.
pub fn at<T: Command>(stack: &StackArgs, place: &PlaceArgs, command: &T) -> Result<T::Output, Failure> {
    match (&place.state, stack.named()) {
        (None, Some(name)) => in_stack(name, command),
        (state, _) => blocking(async {
            let stand = crate::local::stand::open(state.as_deref())?;
            command.run(&stand).await
        }),
    }
}

#[cfg(feature = "aws")]
fn in_stack<T: Command>(name: &str, command: &T) -> Result<T::Output, Failure> {
    blocking(async {
        let stand = crate::stack::stand(name).await?;
        command.run(&stand).await
    })
}

#[cfg(not(feature = "aws"))]
fn in_stack<T: Command>(name: &str, _: &T) -> Result<T::Output, Failure> {
    Err(without_aws(name))
}

/// The stack that this program cannot reach.
#[cfg(not(feature = "aws"))]
pub(crate) fn without_aws(name: &str) -> Failure {
    Failure::Input(format!(
        "--stack {name}: this muster knows no AWS: build one with `cargo build --release --package muster --features aws`"
    ))
}

/// Runs what waits for others to its end.
pub fn blocking<T>(work: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run("the command cannot be started", &error))?;
    runtime.block_on(work)
}

/// The group that is meant: the one that is named, or the only one.
pub async fn group_of<S: Store, P, F, C>(
    stand: &Stand<S, P, F, C>,
    named: Option<&GroupName>,
) -> Result<GroupName, Failure> {
    if let Some(group) = named {
        return Ok(group.clone());
    }
    let place = &stand.place;
    let failed = |error| Failure::run(&format!("the groups of {place} cannot be read"), &error);
    match stand.store.groups().await.map_err(failed)?.as_slice() {
        [one] => Ok(one.clone()),
        [] => Err(Failure::Input(format!("{place} has no group yet: name one with --group"))),
        many => {
            let names: Vec<String> = many.iter().map(ToString::to_string).collect();
            Err(Failure::Input(format!("which group of {place}? Say --group with one of {}", names.join(", "))))
        }
    }
}

/// What a question that was not answered means for the command.
pub fn unread(what: impl Into<String>) -> impl Fn(ReadError) -> Failure {
    let what = what.into();
    move |error| match error {
        ReadError::NotFound(_) | ReadError::BadRequest(_) => Failure::input(&what, &error),
        ReadError::Store(_) | ReadError::Policy(_) => Failure::run(&what, &error),
    }
}

/// What a change that was not made means for the command.
pub fn unsteered(what: impl Into<String>) -> impl Fn(SteerError) -> Failure {
    let what = what.into();
    move |error| match error {
        SteerError::Read(error) => unread(what.as_str())(error),
        SteerError::Invalid(error) => PolicyReport::new("the policy".into(), error).into(),
        error => Failure::run(&what, &error),
    }
}
