//! The real agent on loopback, driven by a tonic client.

mod support;

use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};

use muster_proto::v1::{
    AgentSettings, ApplicationHealth, GetMetricsRequest, GetMetricsResponse, PingRequest, RegisterRequest, State,
    Status, UnregisterRequest,
};
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{TcpListener, TcpStream};
use tokio::process::Command;
use tokio::time::timeout;
use tonic::Code;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_check_response::ServingStatus;
use tonic_health::pb::health_client::HealthClient;

use support::{Agent, Client, Outcome, PATIENCE, command, eventually};

const QUICK: [&str; 4] = ["--sample-interval", "50ms", "--noise", "0"];

async fn ping(client: &Client) -> Result<Status, tonic::Status> {
    let response = client.clone().ping(PingRequest { sequence: 1 }).await?.into_inner();
    response.status.ok_or_else(|| tonic::Status::internal("no status"))
}

async fn metrics(client: &Client, cursor: u64, boot_id: &str) -> Result<GetMetricsResponse, tonic::Status> {
    let request = GetMetricsRequest { cursor, boot_id: boot_id.to_owned() };
    Ok(client.clone().get_metrics(request).await?.into_inner())
}

async fn register(client: &Client, roster: u64) -> Result<(bool, Status), tonic::Status> {
    let request = RegisterRequest {
        monitor: "test".into(),
        group: "web".into(),
        roster,
        lease_ms: 60_000,
        settings: Some(AgentSettings { sweep_interval_ms: 10_000 }),
    };
    let response = client.clone().register(request).await?.into_inner();
    Ok((response.accepted, response.status.unwrap_or_default()))
}

/// Accepted, the state, and what is left of a deadline of an hour.
async fn unregister(client: &Client, roster: u64) -> Result<(bool, State, u64), tonic::Status> {
    let request = UnregisterRequest { reason: "scale in".into(), roster, deadline_ms: 3_600_000 };
    let response = client.clone().unregister(request).await?.into_inner();
    let state = response.status.unwrap_or_default().state();
    Ok((response.accepted, state, response.deadline_remaining_ms))
}

async fn health(agent: &Agent, service: &str) -> Result<ServingStatus, Box<dyn std::error::Error>> {
    let request = HealthCheckRequest { service: service.to_owned() };
    let response = HealthClient::new(agent.channel().await?).check(request).await?;
    Ok(response.into_inner().status())
}

#[tokio::test]
async fn ping_tells_who_answers() -> Outcome {
    let agent = Agent::start(&[]).await?;
    let mut client = agent.client().await?;
    let response = client.ping(PingRequest { sequence: 42 }).await?.into_inner();
    let first = response.status.ok_or("no status")?;
    assert_eq!(response.sequence, 42);
    assert_eq!(first.sequence, 1);
    assert_eq!(first.state(), State::Serving);
    assert_eq!(first.application(), ApplicationHealth::Unspecified);
    assert_eq!((first.roster, first.lease_remaining_ms), (0, 0));
    assert_eq!(first.version, env!("CARGO_PKG_VERSION"));
    let second = ping(&client).await?;
    assert_eq!((second.sequence, &second.boot_id), (2, &first.boot_id));
    assert!(second.uptime_ms >= first.uptime_ms);

    let other = Agent::start(&[]).await?;
    assert_ne!(ping(&other.client().await?).await?.boot_id, first.boot_id);
    Ok(())
}

#[tokio::test]
async fn metrics_follow_the_target_and_the_cursor() -> Outcome {
    let mut agent = Agent::start(&[&QUICK[..], &["--initial-load", "30"]].concat()).await?;
    let client = agent.client().await?;
    let first = eventually("a first sample", async || {
        Ok(Some(metrics(&client, 0, "").await?).filter(|answer| answer.samples > 0))
    })
    .await?;
    let boot_id = first.status.clone().unwrap_or_default().boot_id;
    assert_eq!(first.load, first.cpu);
    assert_eq!(first.load.map(|load| load.mean), Some(30.0));
    assert_eq!(first.pressure, None, "the simulated kernel does not tell");
    assert!(first.signals.is_empty());

    agent.steer("nonsense").await?;
    agent.steer("target 32").await?;
    let mut cursor = first.cursor;
    eventually("the target", async || {
        let next = metrics(&client, cursor, &boot_id).await?;
        assert_eq!(next.cursor - cursor, u64::from(next.samples), "no sample lost or repeated");
        cursor = next.cursor;
        if let Some(load) = next.load {
            // Two samples are at most half a point apart at this interval.
            assert!(load.max - load.mean <= 0.5 * f64::from(next.samples), "{load:?}");
        }
        Ok(next.load.filter(|load| load.latest == 32.0))
    })
    .await?;

    let whole = metrics(&client, cursor, "another boot").await?;
    assert_eq!(u64::from(whole.samples), whole.cursor, "the ring holds all since the start");
    let cpu = whole.cpu.ok_or("no load")?;
    assert!(30.0 < cpu.mean && cpu.mean < cpu.max && cpu.max == 32.0, "{cpu:?}");
    assert!(whole.load.is_some_and(|load| load.mean > cpu.mean), "the load has risen: {whole:?}");
    assert!(whole.window_ms >= whole.latest_age_ms);
    let ahead = metrics(&client, u64::MAX, &boot_id).await?;
    assert_eq!(u64::from(ahead.samples), ahead.cursor, "a cursor that was never given out");
    Ok(())
}

#[tokio::test]
async fn an_empty_window_has_no_summary() -> Outcome {
    let agent = Agent::start(&["--sample-interval", "10s"]).await?;
    let client = agent.client().await?;
    let boot_id = ping(&client).await?.boot_id;
    let mut cursor = 0;
    let empty = eventually("no news since the cursor", async || {
        let answer = metrics(&client, cursor, &boot_id).await?;
        cursor = answer.cursor;
        Ok(Some(answer).filter(|answer| answer.samples == 0 && answer.cursor > 0))
    })
    .await?;
    assert_eq!((empty.load, empty.cpu, empty.memory), (None, None, None));
    assert_eq!((empty.pressure, empty.steal, empty.window_ms), (None, None, 0));
    Ok(())
}

#[tokio::test]
async fn rosters_leases_and_drains() -> Outcome {
    let agent = Agent::start(&["--drain-time", "1h"]).await?;
    let client = agent.client().await?;

    let (accepted, status) = register(&client, 5).await?;
    assert!(accepted && status.roster == 5);
    assert!((1..=60_000).contains(&status.lease_remaining_ms), "{status:?}");
    assert_eq!(unregister(&client, 4).await?, (false, State::Serving, 0));
    assert!(!register(&client, 4).await?.0);

    let (accepted, state, first) = unregister(&client, 6).await?;
    assert_eq!((accepted, state), (true, State::Draining));
    eventually("a deadline that runs from the first request", async || {
        let (_, state, remaining) = unregister(&client, 6).await?;
        assert_eq!(state, State::Draining);
        Ok((remaining < first).then_some(()))
    })
    .await?;
    let (accepted, status) = register(&client, 5).await?;
    assert!(!accepted && status.state() == State::Draining && status.roster == 6);
    let (accepted, status) = register(&client, 6).await?;
    assert!(accepted && status.state() == State::Serving);
    Ok(())
}

#[tokio::test]
async fn a_drain_ends() -> Outcome {
    let at_once = Agent::start(&[]).await?;
    let client = at_once.client().await?;
    let (accepted, state, _) = unregister(&client, 1).await?;
    assert_eq!((accepted, state), (true, State::Drained));

    let slow = Agent::start(&["--drain-time", "100ms"]).await?;
    let client = slow.client().await?;
    eventually("drained", async || {
        let (_, state, _) = unregister(&client, 1).await?;
        assert!(matches!(state, State::Draining | State::Drained), "{state:?}");
        Ok((state == State::Drained).then_some(()))
    })
    .await
}

#[tokio::test]
async fn numbers_out_of_range_are_refused_and_change_nothing() -> Outcome {
    let agent = Agent::start(&[]).await?;
    let mut client = agent.client().await?;
    let good = RegisterRequest { roster: 9, lease_ms: 1_000, ..RegisterRequest::default() };
    let settings = |sweep_interval_ms| Some(AgentSettings { sweep_interval_ms });
    for (field, request) in [
        ("lease_ms is 999", RegisterRequest { lease_ms: 999, ..good.clone() }),
        ("lease_ms is 3600001", RegisterRequest { lease_ms: 3_600_001, ..good.clone() }),
        ("settings.sweep_interval_ms is 1,", RegisterRequest { settings: settings(1), ..good }),
    ] {
        let error = client.register(request).await.expect_err(field);
        assert_eq!(error.code(), Code::InvalidArgument);
        assert!(error.message().contains(field), "{error}");
    }
    let request = UnregisterRequest { roster: 9, deadline_ms: u64::MAX, ..Default::default() };
    let error = client.unregister(request).await.expect_err("a deadline beyond 48 h");
    assert!(error.message().contains("not within 0-172800000"), "{error}");
    let status = ping(&client).await?;
    assert_eq!((status.roster, status.state()), (0, State::Serving));
    Ok(())
}

#[tokio::test]
async fn health_is_serving() -> Outcome {
    let agent = Agent::start(&[]).await?;
    for service in ["", "muster.v1.MonitorC"] {
        assert_eq!(health(&agent, service).await?, ServingStatus::Serving, "{service:?}");
    }
    Ok(())
}

#[tokio::test]
async fn sigterm_says_restarting_and_ends_well() -> Outcome {
    let mut agent = Agent::start(&["--restart-time", "1m"]).await?;
    let client = agent.client().await?;
    ping(&client).await?;
    agent.signal(Signal::TERM)?;
    eventually("restarting", async || Ok((ping(&client).await?.state() == State::Restarting).then_some(()))).await?;
    for service in ["", "muster.v1.MonitorC"] {
        assert_eq!(health(&agent, service).await?, ServingStatus::NotServing, "{service:?}");
    }
    // Told twice, it does not wait for its time to be up.
    agent.signal(Signal::INT)?;
    assert_eq!(agent.ended().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn an_open_stream_does_not_hold_up_the_end() -> Outcome {
    let mut agent = Agent::start(&["--restart-time", "0s"]).await?;
    let mut watcher = HealthClient::new(agent.channel().await?);
    let mut watch = watcher.watch(HealthCheckRequest::default()).await?.into_inner();
    assert!(watch.message().await?.is_some());
    agent.signal(Signal::TERM)?;
    assert_eq!(agent.ended().await?.code(), Some(0));
    Ok(())
}

#[tokio::test]
async fn a_machine_about_to_go_is_leaving() -> Outcome {
    let mut agent = Agent::start(&["--restart-time", "1m"]).await?;
    let client = agent.client().await?;
    for signal in [Signal::USR1, Signal::TERM] {
        agent.signal(signal)?;
        eventually("leaving", async || Ok((ping(&client).await?.state() == State::Leaving).then_some(()))).await?;
    }
    agent.signal(Signal::KILL)?;
    agent.ended().await?;
    Ok(())
}

#[tokio::test]
async fn the_death_of_the_parent_kills_the_agent() -> Outcome {
    let script = r#""$0" --listen 127.0.0.1:0 --source simulated --parent-pid $$ & wait"#;
    let mut parent = Command::new("sh")
        .args(["-c", script, env!("CARGO_BIN_EXE_monitor-c")])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .kill_on_drop(true)
        .spawn()?;
    let mut output = BufReader::new(parent.stdout.take().ok_or("no standard output")?);
    let mut line = String::new();
    timeout(PATIENCE, output.read_line(&mut line)).await??;
    assert!(line.starts_with("listening "), "{line}");
    parent.kill().await?;
    // The pipe ends once nobody holds its other side: the agent is gone too.
    timeout(PATIENCE, output.read_line(&mut line)).await??;
    let address = line.trim_end().trim_start_matches("listening ");
    assert!(TcpStream::connect(address).await.is_err(), "somebody listens on {address}");
    Ok(())
}

#[tokio::test]
async fn another_parent_is_refused() -> Outcome {
    let mut command = command(&["--listen", "127.0.0.1:0", "--parent-pid", "2147483647"]);
    let output = timeout(PATIENCE, command.stderr(Stdio::piped()).output()).await??;
    assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
    let error = String::from_utf8(output.stderr)?;
    assert!(error.contains("the parent is not process 2147483647"), "{error}");
    Ok(())
}

#[tokio::test]
async fn settings_come_from_the_environment_and_flags_win() -> Outcome {
    let mut bad = command(&[]);
    bad.env("MUSTER_AGENT_DRAIN_TIME", "3d").stderr(Stdio::piped());
    let output = timeout(PATIENCE, bad.output()).await??;
    let error = String::from_utf8(output.stderr)?;
    assert_eq!(output.status.code(), Some(2), "{error}");
    for part in ["--drain-time", "MUSTER_AGENT_DRAIN_TIME", "'3d'", "0s to 48h"] {
        assert!(error.contains(part), "{part} is not in: {error}");
    }
    let mut flag = command(&["--listen", "127.0.0.1:0"]);
    flag.env("MUSTER_AGENT_LISTEN", "192.0.2.1:1").env("MUSTER_AGENT_SOURCE", "simulated");
    let mut child = flag.spawn()?;
    let mut line = String::new();
    let output = child.stdout.take().ok_or("no standard output")?;
    timeout(PATIENCE, BufReader::new(output).read_line(&mut line)).await??;
    assert!(line.starts_with("listening 127.0.0.1:"), "{line}");
    Ok(())
}

#[tokio::test]
async fn an_oversized_message_is_refused_and_the_next_answered() -> Outcome {
    let agent = Agent::start(&[]).await?;
    let mut client = agent.client().await?;
    let request =
        RegisterRequest { monitor: "x".repeat(100 * 1024), roster: 9, lease_ms: 1_000, ..RegisterRequest::default() };
    let error = client.register(request).await.expect_err("more than 16 KiB");
    assert_eq!(error.code(), Code::OutOfRange, "{error}");
    assert_eq!(ping(&client).await?.roster, 0);
    Ok(())
}

#[tokio::test]
async fn garbage_and_silence_keep_nobody_out() -> Outcome {
    let agent = Agent::start(&QUICK).await?;
    let kept = agent.client().await?;
    let boot_id = ping(&kept).await?.boot_id;
    for garbage in [&b"GET / HTTP/1.1\r\nHost: x\r\n\r\n"[..], &[0xff; 512]] {
        let mut stream = TcpStream::connect(&agent.address).await?;
        stream.write_all(garbage).await?;
        // With an error or without: what counts is that the agent closes it.
        let _ = timeout(PATIENCE, stream.read_to_end(&mut Vec::new())).await?;
    }
    let mut half_a_preface = TcpStream::connect(&agent.address).await?;
    half_a_preface.write_all(b"PRI * HTTP/2.0").await?;
    // More silent connections than may be open: the oldest ones go.
    let mut silent = Vec::new();
    for _ in 0..300 {
        silent.push(TcpStream::connect(&agent.address).await?);
    }
    let fresh = agent.client().await?;
    assert_eq!(ping(&fresh).await?.boot_id, boot_id);
    let first = silent.first_mut().ok_or("none was opened")?;
    let _ = timeout(PATIENCE, first.read_to_end(&mut Vec::new())).await?;
    let before = metrics(&fresh, 0, "").await?.cursor;
    eventually("the next sample", async || Ok((metrics(&fresh, before, &boot_id).await?.samples > 0).then_some(())))
        .await
}

#[tokio::test]
async fn the_application_makes_the_agent_serve() -> Outcome {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let url = format!("http://{}/health", listener.local_addr()?);
    let status = Arc::new(AtomicU16::new(503));
    let answer = Arc::clone(&status);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut request = [0; 1024];
            let _ = stream.read(&mut request).await;
            let status = answer.load(Ordering::SeqCst);
            let head = format!("HTTP/1.1 {status} X\r\nContent-Length: 0\r\n\r\n");
            let _ = stream.write_all(head.as_bytes()).await;
        }
    });
    let probe = ["--application-interval", "100ms", "--application-deadline", "100ms"];
    let agent = Agent::start(&[&probe[..], &["--application-url", &url]].concat()).await?;
    let client = agent.client().await?;
    assert_eq!(ping(&client).await?.state(), State::Starting);
    let failing = async || {
        let status = ping(&client).await?;
        Ok(Some(status).filter(|status| status.application_detail == "status 503"))
    };
    let early = eventually("failing before it was ever healthy", failing).await?;
    assert_eq!(early.state(), State::Starting);
    assert_eq!(early.application(), ApplicationHealth::Failing);
    status.store(200, Ordering::SeqCst);
    eventually("healthy", async || {
        let status = ping(&client).await?;
        let healthy = status.application() == ApplicationHealth::Healthy;
        assert!(!healthy || status.application_detail.is_empty());
        Ok((healthy && status.state() == State::Serving).then_some(()))
    })
    .await?;
    status.store(503, Ordering::SeqCst);
    let late = eventually("failing again", failing).await?;
    assert_eq!(late.state(), State::Serving, "it has been healthy once");
    Ok(())
}
