//! The agent's settings: flags, or the environment where a flag is absent.
//!
//! Read once at the start. An error names the flag, the variable, the value and the range.

use std::ffi::OsString;
use std::net::{IpAddr, SocketAddr};
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{ArgMatches, CommandFactory, FromArgMatches, Parser, ValueEnum};
use jiff::SignedDuration;
use rustix::process::Pid;
use tracing::level_filters::LevelFilter;
use url::Url;

use crate::application::Probe;

/// Longest text that a body can be asked to contain, in bytes.
const MAX_EXPECTED_BYTES: usize = 1024;

/// Where samples come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum SourceKind {
    /// This machine, from /proc.
    Proc,
    /// A load that its parent steers.
    Simulated,
}

/// MonitorC, the agent of Muster: measures this machine and answers for it over gRPC.
///
/// It samples the processor every second, probes the application beside it if told to, and answers
/// muster.v1.MonitorC, grpc.health.v1.Health and server reflection. On start it prints one line on
/// standard output, "listening ADDRESS:PORT"; the log goes to standard error.
///
/// Signals: SIGTERM and SIGINT make it say "restarting" and end with code 0; SIGUSR1 makes it say
/// "leaving", which is for a machine about to go. Durations are written 500ms, 10s, 5m or 1h30m.
#[derive(Clone, Debug, Parser)]
#[command(name = "monitor-c", version)]
pub struct Config {
    /// Address and port to listen on; port 0 lets the system choose.
    #[arg(long, env = "MUSTER_AGENT_LISTEN", default_value = "0.0.0.0:7717",
        value_name = "ADDRESS:PORT", value_parser = parser("MUSTER_AGENT_LISTEN", listen))]
    pub listen: SocketAddr,

    /// Where samples come from: proc is this machine, simulated a load that moves towards the targets on
    /// standard input, one "target LOAD" a line (0-100), by at most 10 points a second.
    #[arg(long, env = "MUSTER_AGENT_SOURCE", default_value = "proc",
        value_name = "SOURCE", value_parser = parser("MUSTER_AGENT_SOURCE", source))]
    pub source: SourceKind,

    /// Time between two samples, 50ms-10s. Anything but 1s is for tests.
    #[arg(long, env = "MUSTER_AGENT_SAMPLE_INTERVAL", default_value = "1s", value_name = "DURATION",
        value_parser = duration("MUSTER_AGENT_SAMPLE_INTERVAL", 50..=10_000))]
    pub sample_interval: Duration,

    /// Simulated source: seed of its noise, 0-18446744073709551615.
    #[arg(long, env = "MUSTER_AGENT_SEED", default_value = "0", value_name = "NUMBER",
        value_parser = parser("MUSTER_AGENT_SEED", seed))]
    pub seed: u64,

    /// Simulated source: load of the first sample and the first target, 0-100 %.
    #[arg(long, env = "MUSTER_AGENT_INITIAL_LOAD", default_value = "0", value_name = "PERCENT",
        value_parser = points("MUSTER_AGENT_INITIAL_LOAD", 100.0))]
    pub initial_load: f64,

    /// Simulated source: largest distance of a sample from the load, 0-1 percentage points.
    #[arg(long, env = "MUSTER_AGENT_NOISE", default_value = "1", value_name = "POINTS",
        value_parser = points("MUSTER_AGENT_NOISE", 1.0))]
    pub noise: f64,

    /// How long a drain keeps the agent busy, 0s-48h. Anything but 0s is for the local world.
    #[arg(long, env = "MUSTER_AGENT_DRAIN_TIME", default_value = "0s", value_name = "DURATION",
        value_parser = duration("MUSTER_AGENT_DRAIN_TIME", 0..=48 * 3_600_000))]
    pub drain_time: Duration,

    /// Program that each drain runs: an absolute path, without arguments or a shell. The agent is busy until it has ended, well
    /// or not. It gets SIGTERM, and 5s later SIGKILL, when the drain's deadline has passed, the drain is taken back, or the
    /// agent ends. MUSTER_DRAIN_REASON says why, MUSTER_DRAIN_DEADLINE_SECONDS how many whole seconds it has; its output
    /// goes to the log. It must bear being run again: a drain that begins anew runs it anew.
    #[arg(long, env = "MUSTER_AGENT_DRAIN_HOOK", value_name = "PATH",
        value_parser = parser("MUSTER_AGENT_DRAIN_HOOK", path))]
    pub drain_hook: Option<PathBuf>,

    /// While this file exists, the agent says that its instance is protected from scale-in: an absolute path. A file that
    /// cannot be looked at counts as there.
    #[arg(long, env = "MUSTER_AGENT_PROTECTED_FILE", value_name = "PATH",
        value_parser = parser("MUSTER_AGENT_PROTECTED_FILE", path))]
    pub protected_file: Option<PathBuf>,

    /// Socket that the agent makes for the application beside it: an absolute path. The application writes lines, "NAME VALUE"
    /// or "NAME VALUE UNIT": a name has 1-32 characters of a-z, 0-9 and _ (rate, queue_depth), a value is a number of 0 to 1e12.
    /// "busy true" keeps a drain from ending, "protected true" spares the instance from scale-in. What is not said again
    /// within 60s is forgotten. At most 16 signals, 128 bytes a line, 16 connections. Everybody may write to it who may
    /// enter its directory.
    #[arg(long, env = "MUSTER_AGENT_SIGNALS_SOCKET", value_name = "PATH",
        value_parser = parser("MUSTER_AGENT_SIGNALS_SOCKET", path))]
    pub signals_socket: Option<PathBuf>,

    /// File with the same lines, for an application that would rather write one: an absolute path to a regular file of at
    /// most 4096 bytes, read with each sample. What was written 60s ago is forgotten. Write another and rename it.
    #[arg(long, env = "MUSTER_AGENT_SIGNALS_FILE", value_name = "PATH",
        value_parser = parser("MUSTER_AGENT_SIGNALS_FILE", path))]
    pub signals_file: Option<PathBuf>,

    /// How long the agent goes on answering "restarting" after SIGTERM, 0s-1m.
    #[arg(long, env = "MUSTER_AGENT_RESTART_TIME", default_value = "1s", value_name = "DURATION",
        value_parser = duration("MUSTER_AGENT_RESTART_TIME", 0..=60_000))]
    pub restart_time: Duration,

    /// Application to probe: http:// and a literal IP address. Without it nothing is probed.
    #[arg(long, env = "MUSTER_AGENT_APPLICATION_URL", value_name = "URL",
        value_parser = parser("MUSTER_AGENT_APPLICATION_URL", url))]
    pub application_url: Option<Url>,

    /// How long one probe may take, 10ms-1m, and no longer than the interval.
    #[arg(long, env = "MUSTER_AGENT_APPLICATION_DEADLINE", default_value = "2s",
        value_name = "DURATION",
        value_parser = duration("MUSTER_AGENT_APPLICATION_DEADLINE", 10..=60_000))]
    pub application_deadline: Duration,

    /// Time from one probe to the next, 100ms-1h.
    #[arg(long, env = "MUSTER_AGENT_APPLICATION_INTERVAL", default_value = "5s",
        value_name = "DURATION",
        value_parser = duration("MUSTER_AGENT_APPLICATION_INTERVAL", 100..=3_600_000))]
    pub application_interval: Duration,

    /// Good status codes: one, or a range, within 100-599. Redirects are not followed.
    #[arg(long, env = "MUSTER_AGENT_APPLICATION_STATUS", default_value = "200-399",
        value_name = "CODES", value_parser = parser("MUSTER_AGENT_APPLICATION_STATUS", status))]
    pub application_status: RangeInclusive<u16>,

    /// Text that the first 64 KiB of a good body contain, 1-1024 bytes. Without it the body is not read.
    #[arg(long, env = "MUSTER_AGENT_APPLICATION_BODY", value_name = "TEXT",
        value_parser = parser("MUSTER_AGENT_APPLICATION_BODY", body))]
    pub application_body: Option<String>,

    /// Die when this process, which must be the parent, does. For the local world.
    #[arg(long, env = "MUSTER_AGENT_PARENT_PID", value_name = "PID",
        value_parser = parser("MUSTER_AGENT_PARENT_PID", pid))]
    pub parent_pid: Option<Pid>,

    /// What to log: off, error, warn, info, debug or trace.
    #[arg(long, env = "MUSTER_AGENT_LOG", default_value = "info", value_name = "LEVEL",
        value_parser = parser("MUSTER_AGENT_LOG", log))]
    pub log: LevelFilter,
}

impl Config {
    /// Reads the settings from `arguments`, the program's name first, and from the environment.
    ///
    /// # Errors
    /// What is wrong with a setting, or the text that `--help` and `--version` ask for.
    pub fn read<T: Into<OsString> + Clone>(arguments: impl IntoIterator<Item = T>) -> Result<Self, clap::Error> {
        let matches = Self::command().try_get_matches_from(arguments)?;
        let config = Self::from_arg_matches(&matches).map_err(|error| error.format(&mut Self::command()))?;
        if config.application_url.is_none()
            && let Some(message) = idle_setting(&matches)
        {
            return Err(Self::command().error(ErrorKind::ValueValidation, message));
        }
        let (deadline, interval) = (config.application_deadline, config.application_interval);
        if deadline > interval {
            let message = format!(
                "invalid value '{deadline:?}' for '--application-deadline': longer than \
                 '--application-interval', which is {interval:?} (environment: \
                 MUSTER_AGENT_APPLICATION_DEADLINE, MUSTER_AGENT_APPLICATION_INTERVAL)"
            );
            return Err(Self::command().error(ErrorKind::ValueValidation, message));
        }
        Ok(config)
    }

    /// The probe of the application, if there is one to make.
    #[must_use]
    pub fn probe(&self) -> Option<Probe> {
        Some(Probe {
            url: self.application_url.clone()?,
            deadline: self.application_deadline,
            interval: self.application_interval,
            status: self.application_status.clone(),
            body: self.application_body.clone(),
        })
    }
}

/// What is said of a setting of the application's probe that somebody has given where there is no application to probe:
/// whoever gives it believes that something is probed.
fn idle_setting(matches: &ArgMatches) -> Option<String> {
    let command = Config::command();
    let mut arguments =
        command.get_arguments().filter(|argument| argument.get_id().as_str().starts_with("application_"));
    let given = arguments.find(|argument| {
        let source = matches.value_source(argument.get_id().as_str());
        matches!(source, Some(ValueSource::CommandLine | ValueSource::EnvVariable))
    })?;
    let value = matches.get_raw(given.get_id().as_str())?.next()?.to_string_lossy();
    let (flag, variable) = (given.get_long()?, given.get_env()?.to_string_lossy());
    Some(format!(
        "invalid value '{value}' for '--{flag}': nothing is probed without '--application-url' (environment: \
         {variable}, MUSTER_AGENT_APPLICATION_URL)"
    ))
}

/// `parse`, with errors that say what is expected and name the `variable`; clap adds flag and value.
fn parser<T>(
    variable: &'static str,
    parse: impl Fn(&str) -> Result<T, String> + Clone,
) -> impl Fn(&str) -> Result<T, String> + Clone {
    move |value| parse(value).map_err(|expected| format!("expected {expected} (environment: {variable})"))
}

fn duration(
    variable: &'static str,
    range_ms: RangeInclusive<u64>,
) -> impl Fn(&str) -> Result<Duration, String> + Clone {
    let range = Duration::from_millis(*range_ms.start())..=Duration::from_millis(*range_ms.end());
    parser(variable, move |value| {
        let parsed = value.parse::<SignedDuration>().ok();
        parsed.and_then(|parsed| parsed.try_into().ok()).filter(|it| range.contains(it)).ok_or_else(|| {
            let [from, to] = [range.start(), range.end()]
                .map(|end| format!("{:#}", SignedDuration::try_from(*end).unwrap_or(SignedDuration::MAX)));
            format!("a duration of {from} to {to}, such as 500ms, 10s or 5m")
        })
    })
}

fn points(variable: &'static str, max: f64) -> impl Fn(&str) -> Result<f64, String> + Clone {
    parser(variable, move |value| {
        let parsed = value.parse().ok().filter(|points| (0.0..=max).contains(points));
        parsed.ok_or_else(|| format!("a number of 0 to {max}"))
    })
}

fn listen(value: &str) -> Result<SocketAddr, String> {
    value.parse().map_err(|_| "an IP address and a port of 0 to 65535, such as 0.0.0.0:7717".into())
}

fn path(value: &str) -> Result<PathBuf, String> {
    let absolute = Path::new(value).is_absolute();
    absolute.then(|| value.into()).ok_or_else(|| "an absolute path, such as /etc/muster/drain".into())
}

fn source(value: &str) -> Result<SourceKind, String> {
    SourceKind::from_str(value, false).map_err(|_| "proc or simulated".into())
}

fn seed(value: &str) -> Result<u64, String> {
    value.parse().map_err(|_| format!("a whole number of 0 to {}", u64::MAX))
}

fn url(value: &str) -> Result<Url, String> {
    let literal = |url: &Url| {
        let host = url.host_str().unwrap_or_default();
        host.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>().is_ok()
    };
    let anonymous = |url: &Url| url.username().is_empty() && url.password().is_none();
    let parsed = Url::parse(value).ok();
    parsed
        .filter(|url| url.scheme() == "http" && literal(url) && anonymous(url))
        .ok_or_else(|| "http://, a literal IP address and no password, such as http://127.0.0.1:8080/health".into())
}

fn status(value: &str) -> Result<RangeInclusive<u16>, String> {
    let (from, to) = value.split_once('-').unwrap_or((value, value));
    match (from.parse(), to.parse()) {
        (Ok(from), Ok(to)) if 100 <= from && from <= to && to <= 599 => Ok(from..=to),
        _ => Err("a status code or a range of them within 100-599, such as 200 or 200-399".into()),
    }
}

fn body(value: &str) -> Result<String, String> {
    let fits = (1..=MAX_EXPECTED_BYTES).contains(&value.len());
    fits.then(|| value.to_owned()).ok_or_else(|| format!("a text of 1 to {MAX_EXPECTED_BYTES} bytes"))
}

fn pid(value: &str) -> Result<Pid, String> {
    let parsed = value.parse().ok().filter(|pid: &i32| *pid > 0).and_then(Pid::from_raw);
    parsed.ok_or_else(|| format!("a process id of 1 to {}", i32::MAX))
}

fn log(value: &str) -> Result<LevelFilter, String> {
    let levels = ["off", "error", "warn", "info", "debug", "trace"];
    let parsed = value.parse().ok().filter(|_| levels.contains(&value));
    parsed.ok_or_else(|| "off, error, warn, info, debug or trace".into())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Result<Config, clap::Error> {
        Config::read(std::iter::once("monitor-c").chain(arguments.iter().copied()))
    }

    #[test]
    fn defaults() -> Result<(), clap::Error> {
        let config = read(&[])?;
        assert_eq!(config.listen.to_string(), "0.0.0.0:7717");
        assert_eq!(config.source, SourceKind::Proc);
        assert_eq!(config.sample_interval, Duration::from_secs(1));
        assert_eq!(config.drain_time, Duration::ZERO);
        assert_eq!(config.parent_pid, None);
        assert!(config.probe().is_none());
        Ok(())
    }

    #[test]
    fn a_probe_takes_its_settings() -> Result<(), clap::Error> {
        let probe = read(&[
            "--application-url",
            "http://[::1]:8080/health?deep=1",
            "--application-deadline",
            "500ms",
            "--application-interval",
            "1m",
            "--application-status",
            "204",
            "--application-body",
            "ok",
        ])?
        .probe()
        .expect("a URL was given");
        assert_eq!(probe.url.as_str(), "http://[::1]:8080/health?deep=1");
        assert_eq!(probe.deadline, Duration::from_millis(500));
        assert_eq!(probe.interval, Duration::from_secs(60));
        assert_eq!((probe.status, probe.body), (204..=204, Some("ok".into())));
        Ok(())
    }

    #[test]
    fn errors_name_flag_variable_value_and_range() {
        // flag, values, what the error says of the range
        let cases: &[(&str, &[&str], &str)] = &[
            ("--listen", &["7717", "localhost:7717", "0.0.0.0:65536", ""], "a port of 0 to 65535"),
            ("--source", &["disk", "Proc", ""], "proc or simulated"),
            ("--sample-interval", &["49ms", "10001ms", "1", "soon"], "50ms to 10s"),
            ("--seed", &["-1", "18446744073709551616", "x"], "0 to 18446744073709551615"),
            ("--initial-load", &["-0.1", "100.1", "NaN", "inf", "50%"], "a number of 0 to 100"),
            ("--noise", &["1.01", "-1", "NaN"], "a number of 0 to 1"),
            ("--drain-time", &["-1s", "49h", "1 fortnight", ""], "0s to 48h"),
            ("--drain-hook", &["drain", "./drain", "sh -c drain", ""], "an absolute path"),
            ("--protected-file", &["protected", ""], "an absolute path"),
            ("--signals-socket", &["signals.sock", ""], "an absolute path"),
            ("--signals-file", &["./signals", ""], "an absolute path"),
            ("--restart-time", &["61s", "-1ms"], "0s to 1m"),
            (
                "--application-url",
                &[
                    "https://127.0.0.1/",
                    "http://localhost/",
                    "http://169.254.169.254.nip.io/",
                    "127.0.0.1:80",
                    "http://me:secret@127.0.0.1/",
                    "file:///etc/passwd",
                    "",
                ],
                "http://, a literal IP address",
            ),
            ("--application-deadline", &["9ms", "61s"], "10ms to 1m"),
            ("--application-interval", &["99ms", "2h"], "100ms to 1h"),
            ("--application-status", &["99", "600", "399-200", "2xx", "200-", ""], "within 100-599"),
            ("--application-body", &[""], "1 to 1024 bytes"),
            ("--parent-pid", &["0", "-1", "2147483648", "x"], "1 to 2147483647"),
            ("--log", &["loud", "3", ""], "off, error, warn, info, debug or trace"),
        ];
        for (flag, values, range) in cases {
            for value in *values {
                let error = read(&[&format!("{flag}={value}")]).expect_err(flag);
                let variable = flag.trim_start_matches('-').replace('-', "_").to_uppercase();
                let variable = format!("MUSTER_AGENT_{variable}");
                let text = error.to_string();
                assert_eq!(error.exit_code(), 2, "{text}");
                for part in [*flag, *range, &variable, &format!("'{value}'")] {
                    assert!(text.contains(part), "{flag}={value}: {part} is not in: {text}");
                }
            }
        }
    }

    #[test]
    fn a_probe_must_end_before_the_next() {
        let url = "--application-url=http://127.0.0.1/";
        let error = read(&[url, "--application-interval", "1s"]).expect_err("the deadline is 2s");
        let text = error.to_string();
        assert_eq!(error.exit_code(), 2);
        for part in ["--application-deadline", "--application-interval", "'2s'", "is 1s"] {
            assert!(text.contains(part), "{part} is not in: {text}");
        }
    }

    #[test]
    fn a_probes_setting_without_an_application_is_refused() {
        for (flag, value) in [
            ("--application-deadline", "1s"),
            ("--application-interval", "5s"),
            ("--application-status", "200-399"),
            ("--application-body", "ok"),
        ] {
            let error = read(&[flag, value]).expect_err("there is no URL");
            let text = error.to_string();
            assert_eq!(error.exit_code(), 2);
            let variable = format!("MUSTER_AGENT_{}", flag.trim_start_matches('-').replace('-', "_").to_uppercase());
            for part in [flag, &format!("'{value}'"), &variable, "--application-url"] {
                assert!(text.contains(part), "{part} is not in: {text}");
            }
            assert!(read(&["--application-url=http://127.0.0.1/", flag, value]).is_ok(), "{flag}");
        }
    }

    #[test]
    fn every_setting_has_a_variable_of_its_name() {
        for argument in Config::command().get_arguments() {
            let long = argument.get_long().unwrap_or_default();
            let variable = format!("MUSTER_AGENT_{}", long.replace('-', "_").to_uppercase());
            assert_eq!(argument.get_env(), Some(OsString::from(variable).as_os_str()), "--{long}");
        }
    }
}
