//! Somebody else's reading of the description: Schemathesis makes requests of it, right ones and wrong ones, and holds the answers to it. The same
//! requests every time.

mod world;

use std::error::Error;
use std::path::Path;
use std::process::Command;

use muster_venv::{python, run};
use muster_web::api::{Guards, router, serve};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use world::World;

/// What each answer is held to.
const CHECKS: &str = "not_a_server_error,response_schema_conformance,status_code_conformance,content_type_conformance";
/// Requests for each operation and kind of test, at most.
const EXAMPLES: &str = "15";

#[tokio::test]
async fn every_operation_answers_as_the_description_says_whatever_is_asked() -> Result<(), Box<dyn Error>> {
    let requirements = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/schemathesis/requirements.txt");
    let tool = python(env!("CARGO_TARGET_TMPDIR"), &requirements)?.with_file_name("schemathesis");
    let world = World::grown(json!({})).await;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    let router = router(world.stand().await, Guards::loopback(address.port()));
    let (end, ended) = oneshot::channel::<()>();
    let server = tokio::spawn(serve(listener, router, async {
        let _either = ended.await;
    }));
    let folder = tempfile::tempdir()?;
    let mut command = Command::new(tool);
    // A page of the same origin asks: nobody else may write.
    command.args([
        "run",
        &format!("http://{address}/api/openapi.json"),
        "--header",
        &format!("Origin: http://{address}"),
    ]);
    command.args(["--checks", CHECKS, "--max-examples", EXAMPLES, "--generation-deterministic", "--no-color"]);
    command.args(["--request-timeout", "20", "--report-json-path"]).arg(folder.path().join("report.json"));
    command.current_dir(folder.path());
    let said = tokio::task::spawn_blocking(move || run(&mut command)).await??;
    let _gone = end.send(());
    server.await?;
    println!("{said}");
    let line = said.lines().find_map(|line| line.trim().strip_prefix("Operations:")).unwrap_or_default();
    let counts: Vec<usize> = line.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(matches!(counts[..], [selected, total] if selected == total && total >= 19), "all were asked: {line:?}");
    Ok(())
}
