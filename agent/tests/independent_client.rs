//! Another implementation of gRPC reads the contract: Python's grpcio, by reflection alone.

mod support;

use std::path::Path;
use std::process::Command;

use muster_venv::{python, run};
use support::{Agent, Outcome};

#[tokio::test]
async fn python_reads_the_agent_by_reflection() -> Outcome {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/independent_client");
    let python = python(env!("CARGO_TARGET_TMPDIR"), &scripts.join("requirements.txt"))?;
    let agent = Agent::start(&["--initial-load", "37.5", "--noise", "0"]).await?;
    let mut client = Command::new(python);
    client.arg(scripts.join("client.py")).arg(&agent.address);
    let answers: serde_json::Value =
        serde_json::from_str(&tokio::task::spawn_blocking(move || run(&mut client)).await??)?;

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
