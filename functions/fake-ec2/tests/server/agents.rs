//! Agents that really run: `monitor-c`, as it was built beside this test.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use muster_fake_ec2::{AgentDeed, AgentRecord, AgentSettings, Config, Deed, InstanceRecord, Running};
use tokio::net::TcpStream;

use super::{Outcome, PATIENCE, anywhere, launch, prompt, start};

/// The agent's binary: `MUSTER_AGENT`, or `monitor-c` in the folder of this build. It is never left out silently.
fn agent() -> Result<PathBuf, String> {
    let beside = || PathBuf::from(env!("CARGO_BIN_EXE_muster-fake-ec2")).with_file_name("monitor-c");
    let path = std::env::var_os("MUSTER_AGENT").map_or_else(beside, PathBuf::from);
    let missing = || format!("{} is not there: cargo build -p monitor-c, or set MUSTER_AGENT", path.display());
    path.is_file().then(|| path.clone()).ok_or_else(missing)
}

/// An EC2 with agents on addresses that nobody else in this machine's tests has: the network comes from the process.
async fn with_agents() -> Result<(Running, reqwest::Client), Box<dyn std::error::Error>> {
    let network = Ipv4Addr::new(127, 100 + u8::try_from(std::process::id() % 100)?, 0, 0);
    let port = TcpListener::bind(anywhere())?.local_addr()?.port();
    let agents = Some(AgentSettings { port, ..AgentSettings::new(agent()?) });
    start(Config { network, agents, settings: prompt(), ..Config::default() }).await
}

/// Waits until the one instance is as wanted.
async fn until(running: &Running, wanted: impl Fn(&InstanceRecord) -> bool) -> Result<InstanceRecord, String> {
    let began = Instant::now();
    loop {
        let ledger = running.ec2.ledger();
        let [instance] = &ledger.instances[..] else { return Err("not one instance".into()) };
        if wanted(instance) {
            return Ok(instance.clone());
        }
        if began.elapsed() > PATIENCE {
            return Err(format!("still {instance:?}"));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn listening(instance: &InstanceRecord) -> Option<&AgentRecord> {
    instance.agent.as_ref().filter(|agent| agent.listening)
}

#[tokio::test]
async fn a_running_instance_has_an_agent_that_listens() -> Outcome {
    let (running, client) = with_agents().await?;
    client.post(running.url()).body(launch()).send().await?;
    let first = until(&running, |instance| listening(instance).is_some()).await?;
    let record = listening(&first).ok_or("no agent")?;
    let endpoint: SocketAddr = record.endpoint.parse()?;
    assert_eq!(endpoint.ip(), first.address);
    TcpStream::connect(endpoint).await?;

    running.ec2.agent(&first.id, AgentDeed::Kill)?;
    let dead = until(&running, |i| i.agent.as_ref().is_some_and(|agent| agent.ended.is_some())).await?;
    assert!(TcpStream::connect(endpoint).await.is_err(), "{dead:?}");
    running.ec2.agent(&first.id, AgentDeed::Start)?;
    let again = until(&running, |instance| listening(instance).is_some()).await?;
    assert_ne!(listening(&again).and_then(|agent| agent.pid), record.pid);
    TcpStream::connect(endpoint).await?;

    running.ec2.deed(&first.id, Deed::Terminate)?;
    until(&running, |instance| instance.agent.is_none()).await?;
    let began = Instant::now();
    while TcpStream::connect(endpoint).await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "the agent outlives its instance");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

/// The demand is shared by what runs; an instance with a load of its own is told that.
#[tokio::test]
async fn agents_are_told_their_loads() -> Outcome {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("listener-{}", std::process::id()));
    fs::create_dir_all(&folder)?;
    let binary = folder.join("agent");
    symlink(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/server/listener.sh"), &binary)?;
    let agents = Some(AgentSettings::new(binary));
    let (running, client) = start(Config { agents, settings: prompt(), ..Config::default() }).await?;
    running.ec2.set_demand(150.0);
    for _ in 0..2 {
        client.post(running.url()).body(launch()).send().await?;
    }
    let ledger = running.ec2.ledger();
    let [first, second] = &ledger.instances[..] else { return Err("not two instances".into()) };
    running.ec2.set_load(&second.id, Some(12.5))?;
    for (instance, line) in [(first, "target 75.00"), (second, "target 12.50")] {
        let file = folder.join(format!("agent.{}:7717", instance.address));
        let began = Instant::now();
        while fs::read_to_string(&file).unwrap_or_default().lines().last() != Some(line) {
            assert!(began.elapsed() < PATIENCE, "{}: {:?}", instance.id, fs::read_to_string(&file));
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    drop(running);
    Ok(fs::remove_dir_all(folder)?)
}

/// Killed, the binary cannot end its agents: they see to it themselves.
#[tokio::test]
async fn agents_end_with_a_killed_binary() -> Outcome {
    let port = TcpListener::bind(anywhere())?.local_addr()?.port().to_string();
    let network = format!("127.{}.0.0", 100 + (std::process::id() + 1) % 100);
    let path = agent()?;
    let path = path.to_str().ok_or("the agent's path is no text")?;
    let arguments = ["--agent", path, "--agent-port", &port, "--network", &network, "--boot", "0s"];
    let (mut child, url) = super::binary::spawn(&arguments).await?;
    let client = super::client()?;
    client.post(&url).body(launch()).send().await?;
    let began = Instant::now();
    let endpoint: SocketAddr = loop {
        let text = client.get(format!("{url}/_fake/ledger")).send().await?.text().await?;
        let ledger: serde_json::Value = serde_json::from_str(&text)?;
        let agent = &ledger["instances"][0]["agent"];
        if agent["listening"] == true {
            break agent["endpoint"].as_str().ok_or("no endpoint")?.parse()?;
        }
        assert!(began.elapsed() < PATIENCE, "{ledger}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    TcpStream::connect(endpoint).await?;
    child.kill().await?;
    while TcpStream::connect(endpoint).await.is_ok() {
        assert!(began.elapsed() < PATIENCE, "the agent outlives its parent");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    Ok(())
}

#[tokio::test]
async fn an_agent_that_cannot_be_started_is_told_of() -> Outcome {
    let agents = Some(AgentSettings::new("/nothing/here".into()));
    let (running, client) = start(Config { agents, settings: prompt(), ..Config::default() }).await?;
    client.post(running.url()).body(launch()).send().await?;
    let instance = until(&running, |i| i.agent.as_ref().is_some_and(|agent| agent.ended.is_some())).await?;
    let said = instance.agent.and_then(|agent| agent.ended).unwrap_or_default();
    assert!(said.contains("/nothing/here"), "{said}");
    Ok(())
}
