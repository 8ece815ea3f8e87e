//! `muster-fake-ec2`: an EC2 of our own on a loopback address, for emulator runs. The library says what it does.

use std::io::Read;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use muster_fake_ec2::{AgentSettings, Config, FakeEc2, Settings, TemplateSeed, Zone};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

/// An EC2 of our own: the Query protocol on `/`, a control API under `/_fake/`, and real agents if told where they are.
///
/// On start it prints one line on standard output, "listening ADDRESS:PORT". It ends on SIGTERM and SIGINT.
#[derive(Debug, Parser)]
#[command(version)]
struct Arguments {
    /// Address and port to listen on; port 0 lets the system choose.
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.9:7790")]
    listen: SocketAddr,
    /// The region's name.
    #[arg(long, default_value = "us-east-1")]
    region: String,
    /// Zones, 1-16, each NAME or NAME=SUBNET-ID, separated by commas.
    #[arg(long, value_name = "ZONES", value_delimiter = ',', value_parser = zone)]
    zones: Vec<Zone>,
    /// A launch template that is there from the beginning: NAME=IMAGE:TYPE, as in web=ami-0123456789abcdef0:t3.micro.
    #[arg(long = "template", value_name = "TEMPLATE", value_parser = template)]
    templates: Vec<TemplateSeed>,
    /// The instance types that exist, separated by commas. Without it any does.
    #[arg(long, value_name = "TYPES", value_delimiter = ',')]
    instance_types: Vec<String>,
    /// The network of private addresses: its first two bytes count; 127.1.0.0 to 127.255.0.0.
    #[arg(long, value_name = "NETWORK", default_value = "127.77.0.0", value_parser = network)]
    network: Ipv4Addr,
    /// The monitor-c binary. Without it no agents are started.
    #[arg(long, value_name = "PATH")]
    agent: Option<PathBuf>,
    /// The port that every agent listens on, at its instance's private address.
    #[arg(long, value_name = "PORT", default_value_t = 7717)]
    agent_port: u16,
    /// How long a drain keeps an agent busy.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    agent_drain: Duration,
    /// How long an instance is pending. Durations are written 500ms, 10s, 5m or 1h.
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    boot: Duration,
    /// How long an instance is shutting down, or stopping.
    #[arg(long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    shutdown: Duration,
    /// How far behind the truth describing calls are.
    #[arg(long, value_name = "DURATION", default_value = "0s", value_parser = duration)]
    lag: Duration,
    /// How long client tokens are remembered. Without it they are for ever.
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    token_memory: Option<Duration>,
    /// The most instances that live at once.
    #[arg(long, value_name = "NUMBER", default_value_t = 2000)]
    max_instances: u32,
    /// The load that the running instances share from the beginning, in per cent of one.
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    demand: f64,
    /// Seed of ids.
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    seed: u64,
    /// End when standard input does.
    #[arg(long)]
    end_with_stdin: bool,
}

fn zone(text: &str) -> Result<Zone, String> {
    let (name, subnet) = text.split_once('=').map_or((text, None), |(name, subnet)| (name, Some(subnet)));
    if name.is_empty() || subnet.is_some_and(|subnet| !subnet.starts_with("subnet-")) {
        return Err("expected NAME or NAME=subnet-...".into());
    }
    Ok(Zone { name: name.into(), subnet: subnet.map(Into::into) })
}

fn template(text: &str) -> Result<TemplateSeed, String> {
    let parts = text.split_once('=').and_then(|(name, rest)| Some((name, rest.split_once(':')?)));
    let (name, (image, instance_type)) = parts.ok_or("expected NAME=IMAGE:TYPE")?;
    Ok(TemplateSeed { name: name.into(), id: None, image: image.into(), instance_type: instance_type.into() })
}

fn network(text: &str) -> Result<Ipv4Addr, String> {
    let address: Ipv4Addr = text.parse().map_err(|_| "expected an IPv4 address")?;
    match address.octets() {
        [127, 1..=255, 0, 0] => Ok(address),
        _ => Err("expected 127.1.0.0 to 127.255.0.0".into()),
    }
}

fn duration(text: &str) -> Result<Duration, String> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(split);
    let number: u32 = number.parse().map_err(|_| "expected a duration such as 500ms, 10s, 5m or 1h")?;
    let one = match unit {
        "ms" => Duration::from_millis(1),
        "s" => Duration::from_secs(1),
        "m" => Duration::from_secs(60),
        "h" => Duration::from_secs(3600),
        _ => return Err("expected a duration such as 500ms, 10s, 5m or 1h".into()),
    };
    Ok(one * number)
}

impl Arguments {
    fn config(&self) -> Config {
        let default = Config::default();
        let agents = self.agent.clone().map(|binary| AgentSettings {
            port: self.agent_port,
            drain: self.agent_drain,
            ..AgentSettings::new(binary)
        });
        Config {
            region: self.region.clone(),
            zones: if self.zones.is_empty() { default.zones.clone() } else { self.zones.clone() },
            network: self.network,
            instance_types: self.instance_types.clone(),
            templates: self.templates.clone(),
            seed: self.seed,
            agents,
            settings: Settings {
                boot: self.boot,
                shutdown: self.shutdown,
                lag: self.lag,
                token_memory_ms: self.token_memory.map(|span| u64::try_from(span.as_millis()).unwrap_or(u64::MAX)),
                max_instances: self.max_instances,
                ..Settings::default()
            },
            ..default
        }
    }
}

/// Ends when standard input does; never, if that was not asked for.
async fn stdin_ends(asked: bool) {
    if !asked {
        return std::future::pending().await;
    }
    let (ended, hears) = oneshot::channel();
    // A thread of its own: the runtime would wait for its reading at the end of `main`, the process does not.
    std::thread::spawn(move || {
        let mut buffer = [0; 64];
        while std::io::stdin().read(&mut buffer).is_ok_and(|read| read > 0) {}
        // Nobody hears it when the process ends already.
        let _ending = ended.send(());
    });
    let _ended = hears.await;
}

// Agents die with the thread that started them, which has to be this one.
#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments = Arguments::parse();
    let mut terminated = signal(SignalKind::terminate())?;
    let mut interrupted = signal(SignalKind::interrupt())?;
    let listener = TcpListener::bind(arguments.listen)
        .await
        .map_err(|error| format!("cannot listen on {}: {error}", arguments.listen))?;
    let ec2 = FakeEc2::new(arguments.config());
    ec2.set_demand(arguments.demand);
    let running = ec2.serve(listener)?;
    println!("listening {}", running.address);
    tokio::select! {
        _ = terminated.recv() => {}
        _ = interrupted.recv() => {}
        () = stdin_ends(arguments.end_with_stdin) => {}
    }
    Ok(())
}
