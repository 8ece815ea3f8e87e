//! What the application says to the real agent: over its socket, in a file, and when it is broken or hostile.

mod support;

use std::error::Error;
use std::fs;
use std::path::Path;

use monitor_c::signals::{MAX_CONNECTIONS, MAX_LINE_BYTES, MAX_SIGNALS};
use muster_proto::v1::{GetMetricsRequest, GetMetricsResponse, PingRequest, State, Status, UnregisterRequest};
use tempfile::TempDir;
use tokio::io::AsyncWriteExt;
use tokio::net::UnixStream;

use support::{Agent, Client, Outcome, eventually};

/// Most memory that the agent may ever have held, as under other fire.
const MAX_RESIDENT_KILOBYTES: u64 = 40 << 10;

struct Beside {
    home: TempDir,
    agent: Agent,
    client: Client,
}

impl Beside {
    async fn start() -> Result<Self, Box<dyn Error>> {
        let home = tempfile::tempdir()?;
        let [socket, file] = ["socket", "file"].map(|name| home.path().join(name).display().to_string());
        let signals = ["--signals-socket", &socket, "--signals-file", &file, "--sample-interval", "50ms"];
        let agent = Agent::start(&signals).await?;
        let client = agent.client().await?;
        Ok(Self { home, agent, client })
    }

    fn path(&self, name: &str) -> std::path::PathBuf {
        self.home.path().join(name)
    }

    async fn connect(&self) -> std::io::Result<UnixStream> {
        UnixStream::connect(self.path("socket")).await
    }

    async fn say(&self, lines: &str) -> Outcome {
        Ok(self.connect().await?.write_all(lines.as_bytes()).await?)
    }

    async fn metrics(&self) -> Result<GetMetricsResponse, tonic::Status> {
        Ok(self.client.clone().get_metrics(GetMetricsRequest::default()).await?.into_inner())
    }

    async fn status(&self) -> Result<Status, tonic::Status> {
        Ok(self.client.clone().ping(PingRequest::default()).await?.into_inner().status.unwrap_or_default())
    }

    async fn unregister(&self) -> Result<State, tonic::Status> {
        let request = UnregisterRequest { reason: "load".into(), roster: 1, deadline_ms: 3_600_000 };
        let response = self.client.clone().unregister(request).await?.into_inner();
        Ok(response.status.unwrap_or_default().state())
    }

    /// Waits until the latest value of a signal is `value`; its unit.
    async fn hears(&self, name: &str, value: f64) -> Result<String, Box<dyn Error>> {
        eventually(name, async || {
            let signal = self.metrics().await?.signals.remove(name);
            Ok(signal.filter(|signal| signal.summary.is_some_and(|is| is.latest == value)).map(|signal| signal.unit))
        })
        .await
    }
}

#[tokio::test]
async fn what_the_application_says_over_its_socket_is_told() -> Outcome {
    let beside = Beside::start().await?;
    assert_eq!(beside.metrics().await?.signals.len(), 0);
    let mut application = beside.connect().await?;
    application.write_all(b"rate 123.4 req/s\nqueue_depth 7\n").await?;
    assert_eq!(beside.hears("rate", 123.4).await?, "req/s");
    assert_eq!(beside.hears("queue_depth", 7.0).await?, "");
    application.write_all(b"rate 5 req/s\n").await?;
    beside.hears("rate", 5.0).await?;
    Ok(())
}

#[tokio::test]
async fn d2_d3_the_application_spares_its_instance_and_keeps_a_drain_from_ending() -> Outcome {
    let beside = Beside::start().await?;
    beside.say("protected true\nbusy true\n").await?;
    eventually("protected", async || Ok(beside.status().await?.protected.then_some(()))).await?;
    assert_eq!(beside.unregister().await?, State::Draining, "it is busy");
    assert_eq!(beside.status().await?.state(), State::Draining);
    beside.say("busy false\nprotected false\n").await?;
    eventually("drained", async || Ok((beside.unregister().await? == State::Drained).then_some(()))).await?;
    eventually("not protected", async || Ok((!beside.status().await?.protected).then_some(()))).await?;
    Ok(())
}

#[tokio::test]
async fn a_file_says_the_same() -> Outcome {
    let beside = Beside::start().await?;
    let write = |text: &str| {
        fs::write(beside.path("new"), text)?;
        fs::rename(beside.path("new"), beside.path("file"))
    };
    write("rate 8 req/s\nprotected true\n")?;
    assert_eq!(beside.hears("rate", 8.0).await?, "req/s");
    assert!(beside.status().await?.protected);
    write("rate 9\nrate")?;
    beside.hears("rate", 9.0).await?;
    Ok(())
}

#[tokio::test]
async fn s11_whatever_the_application_sends_the_agent_answers_and_stays_small() -> Outcome {
    let beside = Beside::start().await?;
    let many: String = (0..10_000).map(|n| format!("s{n} {n}\n")).collect();
    let attacks = [
        b"x".repeat(1 << 20),
        (0..=255).cycle().take(1 << 17).collect(),
        b"\n".repeat(1 << 16),
        many.into_bytes(),
        b"busy maybe\nrate\nrate -1\nrate NaN\n".to_vec(),
        b"half 1".to_vec(),
        b"rate 1".repeat(MAX_LINE_BYTES),
    ];
    for attack in attacks {
        // Nobody need read all of it: the agent takes so much a second, and what it answers meanwhile is what counts.
        let mut attacker = beside.connect().await?;
        let writing = tokio::spawn(async move { attacker.write_all(&attack).await });
        for _ in 0..20 {
            let metrics = beside.metrics().await?;
            assert!(metrics.signals.len() <= MAX_SIGNALS && !metrics.signals.contains_key("half"));
        }
        writing.abort();
    }
    let mut connections = Vec::new();
    for _ in 0..3_000 {
        connections.extend(beside.connect().await);
    }
    assert!(connections.len() > MAX_CONNECTIONS);
    beside.status().await?;
    let pid = beside.agent.pid().ok_or("it has ended")?;
    let open = fs::read_dir(Path::new("/proc").join(pid.to_string()).join("fd"))?.count();
    assert!(open < MAX_CONNECTIONS + 32, "{open} descriptors");
    drop(connections);
    // A signal that is known may be said for ever, whoever has used up the room for others.
    eventually("an honest word", async || {
        let said = beside.say("protected true\n").await;
        Ok((said.is_ok() && beside.status().await?.protected).then_some(()))
    })
    .await?;
    let status = fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("status"))?;
    let peak =
        status.lines().find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix(" kB")?.parse::<u64>().ok());
    assert!(peak.is_some_and(|peak| peak < MAX_RESIDENT_KILOBYTES), "{peak:?} kB");
    Ok(())
}
