//! Another implementation of gRPC reads the contract: Python's grpcio, by reflection alone.
//!
//! Needs `python3` with `venv` and `pip`; the packages, pinned, come from PyPI once and are kept
//! beside the build.

mod support;

use std::error::Error;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::Command;

use support::{Agent, Outcome};

const REQUIREMENTS: &str = include_str!("independent_client/requirements.txt");

/// Runs `command` to its end and returns its standard output.
fn run(command: &mut Command) -> Result<String, Box<dyn Error>> {
    let output = command.output().map_err(|error| format!("cannot run {command:?}: {error}"))?;
    if output.status.success() {
        return Ok(String::from_utf8(output.stdout)?);
    }
    let (out, err) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    Err(format!("{command:?} failed ({}):\n{out}{err}", output.status).into())
}

/// The Python of an environment that holds the requirements; made once for each set of them.
fn python() -> Result<PathBuf, Box<dyn Error>> {
    let version = run(Command::new("python3").arg("--version")).map_err(|error| {
        format!("this test needs python3 with venv and pip (see the README's prerequisites): {error}")
    })?;
    let mut hasher = DefaultHasher::new();
    (REQUIREMENTS, version).hash(&mut hasher);
    let home = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("independent-client-{:016x}", hasher.finish()));
    // Two test runs at once share the directory: one installs, the other waits.
    let lock = File::create(home.with_extension("lock"))?;
    lock.lock()?;
    let (python, installed) = (home.join("bin/python"), home.join("installed"));
    if !installed.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&home))?;
        let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent_client/requirements.txt");
        run(Command::new(&python)
            .args(["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "-r"])
            .arg(requirements))?;
        fs::write(installed, "")?;
    }
    Ok(python)
}

#[tokio::test]
async fn python_reads_the_agent_by_reflection() -> Outcome {
    let python = python()?;
    let agent = Agent::start(&["--initial-load", "37.5", "--noise", "0"]).await?;
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent_client/client.py");
    let mut client = Command::new(python);
    client.arg(script).arg(&agent.address);
    let answers: serde_json::Value = serde_json::from_str(
        &tokio::task::spawn_blocking(move || run(&mut client).map_err(|error| error.to_string())).await??,
    )?;

    let services = answers["services"].as_array().ok_or("no services")?;
    for service in ["muster.v1.MonitorC", "grpc.health.v1.Health"] {
        assert!(services.iter().any(|name| name == service), "{services:?}");
    }
    let methods = serde_json::json!(["GetMetrics", "Ping", "Register", "Unregister"]);
    assert_eq!(answers["methods"], methods);
    let serving = serde_json::json!({ "": "SERVING", "muster.v1.MonitorC": "SERVING" });
    assert_eq!(answers["health"], serving);

    let (ping, metrics) = (&answers["ping"], &answers["metrics"]);
    assert_eq!(ping["sequence"], "42");
    assert_eq!(ping["status"]["state"], "STATE_SERVING");
    assert_eq!(ping["status"]["version"], env!("CARGO_PKG_VERSION"));
    assert_eq!(ping["status"]["boot_id"], metrics["status"]["boot_id"]);
    let load = serde_json::json!({ "mean": 37.5, "max": 37.5, "p90": 37.5, "latest": 37.5 });
    assert_eq!((&metrics["load"], &metrics["cpu"]), (&load, &load));
    assert_eq!(metrics["cursor"], metrics["samples"].to_string());
    assert!(metrics.get("pressure").is_none(), "{metrics}");
    Ok(())
}
