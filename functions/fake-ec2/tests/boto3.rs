//! AWS's own client speaks to this EC2: boto3, with its shapes, its paginators and its waiters.
//!
//! Needs `python3` with `venv` and `pip`; the packages, pinned, come from PyPI once and are kept beside the build.

use std::error::Error;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use muster_fake_ec2::{Config, FakeEc2, Settings};

const REQUIREMENTS: &str = include_str!("boto3/requirements.txt");

/// Runs `command` to its end and returns its standard output.
fn run(command: &mut Command) -> Result<String, String> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    if output.status.success() {
        return Ok(out.into_owned());
    }
    Err(format!("{command:?} failed ({}):\n{out}{err}", output.status))
}

/// The Python of an environment that holds the requirements; made once for each set of them.
fn python() -> Result<PathBuf, Box<dyn Error>> {
    let version = run(Command::new("python3").arg("--version")).map_err(|error| {
        format!("this test needs python3 with venv and pip (see the README's prerequisites): {error}")
    })?;
    let mut hasher = DefaultHasher::new();
    (REQUIREMENTS, version).hash(&mut hasher);
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("boto3-{:016x}", hasher.finish()));
    // Two test runs at once share the directory: one installs, the other waits.
    let lock = File::create(home.with_extension("lock"))?;
    lock.lock()?;
    let (python, installed) = (home.join("bin/python"), home.join("installed"));
    if !installed.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boto3/requirements.txt");
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r"])
            .arg(requirements))?;
        fs::write(installed, "")?;
    }
    Ok(python)
}

#[tokio::test]
async fn boto3_finds_an_ec2() -> Result<(), Box<dyn Error>> {
    let python = python()?;
    let spans = Duration::from_millis(100);
    let settings = Settings { boot: spans, shutdown: spans, ..Settings::default() };
    let running = FakeEc2::start(Config { settings, ..Config::default() }, "127.0.0.1:0".parse()?).await?;
    let mut client = Command::new(python);
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boto3/client.py");
    // Nothing of the machine's own AWS settings may play a part.
    client
        .arg(script)
        .arg(running.url())
        .env("AWS_CONFIG_FILE", "/dev/null")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
    for name in ["AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EC2", "HTTP_PROXY", "http_proxy"] {
        client.env_remove(name);
    }
    let said = tokio::task::spawn_blocking(move || run(&mut client)).await??;
    let checked: Vec<String> = serde_json::from_str(&said)?;
    assert_eq!(checked.len(), 13, "{checked:?}");
    Ok(())
}
