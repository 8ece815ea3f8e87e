//! An operator with `muster` in his hands.

use std::io::Write;
use std::process::{Output, Stdio};

use muster_e2e::{World, binary};
use serde_json::Value;
use tokio::process::Command;

/// `muster` in the world's environment, with the operator's own region and credentials.
pub(crate) fn command(world: &World, arguments: &[&str]) -> Command {
    let own = [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")];
    let mut command = Command::new(binary("muster"));
    command.env_clear().envs(world.environment()).envs(own).args(arguments).stdin(Stdio::null());
    command
}

/// Runs it to its end.
pub(crate) async fn muster(world: &World, arguments: &[&str]) -> Output {
    command(world, arguments).output().await.expect("muster runs")
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) async fn json(world: &World, arguments: &[&str]) -> Value {
    let output = muster(world, arguments).await;
    assert!(output.status.success(), "{arguments:?}: {}", err(&output));
    serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{arguments:?}: {error}: {}", out(&output)))
}

pub(crate) fn policy_file(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(text.as_bytes()).expect("a policy");
    file
}
