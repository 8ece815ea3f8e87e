//! The binary: it says where it listens, and ends when it is told.

use std::process::Stdio;

use rustix::process::{Pid, Signal, kill_process};
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::time::timeout;

use super::{Outcome, PATIENCE, form, post};

/// Starts it with `arguments`; it, and the URL that it says.
pub(crate) async fn spawn(arguments: &[&str]) -> Result<(Child, String), Box<dyn std::error::Error>> {
    let mut child = Command::new(env!("CARGO_BIN_EXE_muster-fake-ec2"))
        .args(["--listen", "127.0.0.1:0"])
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut line = String::new();
    let stdout = child.stdout.take().ok_or("no standard output")?;
    timeout(PATIENCE, BufReader::new(stdout).read_line(&mut line)).await??;
    let address = line.trim().strip_prefix("listening ").ok_or_else(|| format!("it said {line:?}"))?;
    Ok((child, format!("http://{address}")))
}

#[tokio::test]
async fn it_ends_on_sigterm() -> Outcome {
    let template = "web=ami-0123456789abcdef0:t3.micro";
    let zones = "zone-a,zone-b=subnet-0000000000000000b";
    let (mut child, url) = spawn(&["--zones", zones, "--template", template, "--boot", "1h"]).await?;
    let client = super::client()?;
    let launch = [
        ("LaunchTemplate.LaunchTemplateName", "web"),
        ("SubnetId", "subnet-0000000000000000b"),
        ("MinCount", "1"),
        ("MaxCount", "1"),
    ];
    let (status, text) = post(&client, &url, form("RunInstances", &launch)).await?;
    assert_eq!(status, 200, "{text}");
    assert!(text.contains("<availabilityZone>zone-b</availabilityZone>"), "{text}");
    assert!(text.contains("<name>pending</name>"), "{text}");
    let pid = i32::try_from(child.id().ok_or("it has ended")?)?;
    kill_process(Pid::from_raw(pid).ok_or("no process id")?, Signal::TERM)?;
    assert!(timeout(PATIENCE, child.wait()).await??.success());
    Ok(())
}

#[tokio::test]
async fn it_ends_with_its_standard_input_when_told_to() -> Outcome {
    let (mut child, _) = spawn(&["--end-with-stdin"]).await?;
    drop(child.stdin.take());
    assert!(timeout(PATIENCE, child.wait()).await??.success());
    Ok(())
}

#[tokio::test]
async fn it_says_what_is_wrong_with_its_arguments() -> Outcome {
    let cases = [
        ["--zones", "=subnet-1"],
        ["--template", "web"],
        ["--network", "10.0.0.0"],
        ["--network", "127.0.0.0"],
        ["--boot", "5 bananas"],
    ];
    for arguments in cases {
        let output = Command::new(env!("CARGO_BIN_EXE_muster-fake-ec2")).args(arguments).output().await?;
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(String::from_utf8(output.stderr)?.contains(arguments[0]), "{arguments:?}");
    }
    Ok(())
}
