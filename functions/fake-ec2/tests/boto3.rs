//! AWS's own client speaks to this EC2: boto3, with its shapes, its paginators and its waiters.

use std::error::Error;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use muster_fake_ec2::{Config, FakeEc2, Settings};
use muster_venv::{python, run};

#[tokio::test]
async fn boto3_finds_an_ec2() -> Result<(), Box<dyn Error>> {
    let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/boto3");
    let python = python(env!("CARGO_TARGET_TMPDIR"), &scripts.join("requirements.txt"))?;
    let spans = Duration::from_millis(100);
    let settings = Settings { boot: spans, shutdown: spans, ..Settings::default() };
    let running = FakeEc2::start(Config { settings, ..Config::default() }, "127.0.0.1:0".parse()?).await?;
    let mut client = Command::new(python);
    // Nothing of the machine's own AWS settings may play a part.
    client
        .arg(scripts.join("client.py"))
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
