//! What the application says of itself: numbers that a group may be scaled by, and whether it is busy or protected.
//!
//! One line protocol, over a Unix socket or in a file: `NAME VALUE` or `NAME VALUE UNIT`, each line ended by a newline.
//!
//! ```text
//! rate 123.4 req/s
//! queue_depth 7
//! busy true
//! protected false
//! ```
//!
//! What is not said again within [`LIFE`] is forgotten, so that a dead application's last word does not stay. Nothing that the
//! application does can grow the agent or stop the sampling: every line, name and unit has a bound, and so have the signals,
//! the connections, what a connection is read of in a second, and the log. A line that is not understood changes nothing.

use std::collections::{BTreeMap, VecDeque};
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use rustix::fs::OFlags;
use tokio::net::{UnixListener, UnixStream};
use tokio::task::AbortHandle;
use tokio::time::{MissedTickBehavior, interval, sleep};
use tracing::warn;

use crate::agent::Agent;

/// How long a word of the application holds: it repeats each that still holds within this time.
pub const LIFE: Duration = Duration::from_secs(60);

/// Signals at once. One more is refused until another is forgotten.
pub const MAX_SIGNALS: usize = 16;

/// Longest line, without its newline; what is longer is thrown away up to its end.
pub const MAX_LINE_BYTES: usize = 128;

/// Largest file that is read.
pub const MAX_FILE_BYTES: usize = 4096;

/// Connections open at once; the oldest gives way to one more.
pub const MAX_CONNECTIONS: usize = 16;

/// Longest name and unit.
const MAX_NAME_BYTES: usize = 32;
const MAX_UNIT_BYTES: usize = 16;

/// The largest value: far beyond any honest one, and a sum of many is still finite.
const MAX_VALUE: f64 = 1e12;

/// The agent's own words.
const RESERVED: [&str; 5] = ["cpu", "load", "memory", "pressure", "steal"];

/// What a connection is read of at a time, and the rest after it: 40 kB a second.
const READ_BYTES: usize = 4096;
const READ_REST: Duration = Duration::from_millis(100);

/// The rest after a connection was accepted: whoever opens thousands waits for his turn.
const ACCEPT_REST: Duration = Duration::from_millis(1);

/// The rest between two complaints in the log.
const COMPLAINT_REST: Duration = Duration::from_secs(60);

/// The name of a signal.
pub type Name = Arc<str>;

/// What a line says.
#[derive(Clone, Debug, PartialEq)]
pub enum Said {
    /// A signal's value, and its unit or nothing.
    Value(String, f64, String),
    /// Whether the application has work that it must finish before its instance goes.
    Busy(bool),
    /// Whether the instance is to be spared by scale-in.
    Protected(bool),
}

/// Why a line, or a file, changes nothing.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum LineError {
    /// It has no end in sight.
    #[error("a line is longer than {MAX_LINE_BYTES} bytes")]
    Long,
    /// It is not `NAME VALUE` or `NAME VALUE UNIT`.
    #[error("{0:?} is not \"NAME VALUE\" or \"NAME VALUE UNIT\"")]
    Shape(String),
    /// The name is none.
    #[error(
        "{0:?} is no name: 1-{MAX_NAME_BYTES} characters of a-z, 0-9 and _, the first a letter, and none of the agent's own"
    )]
    Name(String),
    /// The value is none.
    #[error("{0:?} is no value: a number of 0 to {MAX_VALUE}; of busy and protected true or false")]
    Value(String),
    /// The unit is none.
    #[error("{0:?} is no unit: at most {MAX_UNIT_BYTES} printable characters of ASCII")]
    Unit(String),
    /// There are too many signals.
    #[error("{0:?} would be one signal more than {MAX_SIGNALS}")]
    Many(String),
    /// The file is too large.
    #[error("the file is longer than {MAX_FILE_BYTES} bytes")]
    Large,
}

/// What a line, without its newline, says; nothing when it is empty.
///
/// # Errors
/// When it is not understood.
pub fn parse(line: &[u8]) -> Result<Option<Said>, LineError> {
    let text = String::from_utf8_lossy(line);
    let shown = |text: &str| text.chars().take(40).collect::<String>();
    let mut words = text.split_ascii_whitespace();
    let Some(name) = words.next() else { return Ok(None) };
    let (value, unit, rest) = (words.next(), words.next(), words.next());
    let Some(value) = value.filter(|_| rest.is_none()) else { return Err(LineError::Shape(shown(&text))) };
    let switch = || match (value, unit) {
        ("true", None) => Ok(true),
        ("false", None) => Ok(false),
        _ => Err(LineError::Value(shown(value))),
    };
    match name {
        "busy" => return Ok(Some(Said::Busy(switch()?))),
        "protected" => return Ok(Some(Said::Protected(switch()?))),
        _ => {}
    }
    let plain = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    let starts = name.starts_with(|first: char| first.is_ascii_lowercase());
    if !plain || !starts || name.len() > MAX_NAME_BYTES || RESERVED.contains(&name) {
        return Err(LineError::Name(shown(name)));
    }
    let unit = unit.unwrap_or_default();
    if unit.len() > MAX_UNIT_BYTES || !unit.bytes().all(|b| b.is_ascii_graphic()) {
        return Err(LineError::Unit(shown(unit)));
    }
    let number = value.parse().ok().filter(|number| (0.0..=MAX_VALUE).contains(number));
    let number = number.ok_or_else(|| LineError::Value(shown(value)))?;
    Ok(Some(Said::Value(name.to_owned(), number, unit.to_owned())))
}

/// Makes lines of bytes as they come, and never holds more than one.
#[derive(Debug, Default)]
struct Lines {
    line: Vec<u8>,
    /// Whether the rest of a long line is being thrown away.
    skips: bool,
}

impl Lines {
    /// What the lines say that end in `bytes`. One without an end says nothing: it may be half a number.
    fn feed(&mut self, bytes: &[u8]) -> Vec<Result<Said, LineError>> {
        let mut said = Vec::new();
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (piece, ends) = piece.strip_suffix(b"\n").map_or((piece, false), |piece| (piece, true));
            self.skips |= self.line.len() + piece.len() > MAX_LINE_BYTES;
            if !self.skips {
                self.line.extend_from_slice(piece);
            }
            if ends {
                said.extend(if self.skips { Some(Err(LineError::Long)) } else { parse(&self.line).transpose() });
                self.skips = false;
            }
            if ends || self.skips {
                self.line.clear();
            }
        }
        said
    }
}

#[derive(Clone, Debug)]
struct Told {
    value: f64,
    unit: String,
    at: Duration,
}

/// What the application has said, and when, since the agent's start.
#[derive(Debug, Default)]
pub struct Signals {
    values: BTreeMap<Name, Told>,
    busy: Option<Duration>,
    protected: Option<Duration>,
    complained: Option<Duration>,
}

impl Signals {
    /// Takes in what was said at `at`. What was said later stays.
    ///
    /// # Errors
    /// When it would be one signal too many.
    pub fn hear(&mut self, at: Duration, said: Said) -> Result<(), LineError> {
        let switch =
            |known: &mut Option<Duration>, on: bool| *known = on.then(|| known.map_or(at, |known| known.max(at)));
        match said {
            Said::Busy(on) => switch(&mut self.busy, on),
            Said::Protected(on) => switch(&mut self.protected, on),
            Said::Value(name, value, unit) => {
                self.values.retain(|_, told| lives(told.at, at));
                let full = self.values.len() >= MAX_SIGNALS;
                match self.values.get_mut(name.as_str()) {
                    Some(told) if told.at > at => {}
                    Some(told) => *told = Told { value, unit, at },
                    None if full => return Err(LineError::Many(name)),
                    None => drop(self.values.insert(name.into(), Told { value, unit, at })),
                }
            }
        }
        Ok(())
    }

    /// The values that hold at `now`, for a sample.
    #[must_use]
    pub fn sample(&self, now: Duration) -> Vec<(Name, f64)> {
        let live = self.values.iter().filter(|(_, told)| lives(told.at, now));
        live.map(|(name, told)| (Arc::clone(name), told.value)).collect()
    }

    /// The unit that a signal was last said in; empty when it has none.
    #[must_use]
    pub fn unit(&self, name: &str) -> String {
        self.values.get(name).map(|told| told.unit.clone()).unwrap_or_default()
    }

    /// Whether the application has work to finish.
    #[must_use]
    pub fn is_busy(&self, now: Duration) -> bool {
        self.busy.is_some_and(|at| lives(at, now))
    }

    /// Whether the application asks for its instance to be spared.
    #[must_use]
    pub fn is_protected(&self, now: Duration) -> bool {
        self.protected.is_some_and(|at| lives(at, now))
    }

    /// Takes in all that was said, and complains of what was not understood, now and then.
    fn hear_all(&mut self, now: Duration, at: Duration, said: Vec<Result<Said, LineError>>) {
        for line in said {
            if let Err(error) = line.and_then(|said| self.hear(at, said)) {
                self.complain(now, &error);
            }
        }
    }

    /// One complaint a minute, however much there is to complain of.
    fn complain(&mut self, now: Duration, error: &(dyn std::error::Error + 'static)) {
        if self.complained.is_none_or(|before| now.saturating_sub(before) >= COMPLAINT_REST) {
            self.complained = Some(now);
            warn!(error, "Ignored what the application says.");
        }
    }
}

fn lives(at: Duration, now: Duration) -> bool {
    now.saturating_sub(at) < LIFE
}

/// A socket at `path` that everybody may write to who may enter its directory. One that an earlier agent has left is replaced,
/// and nothing else is.
///
/// # Errors
/// When something else is there, or the socket cannot be made.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match fs::symlink_metadata(path) {
        Ok(found) if found.file_type().is_socket() => fs::remove_file(path)?,
        Ok(_) => return Err(io::Error::new(io::ErrorKind::AlreadyExists, "something is there that is no socket")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(error),
    }
    let listener = UnixListener::bind(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o666))?;
    Ok(listener)
}

/// Hears what comes over `listener`, for ever.
pub async fn listen(listener: UnixListener, agent: Arc<Agent>) {
    let mut open: VecDeque<AbortHandle> = VecDeque::new();
    loop {
        match listener.accept().await {
            Ok((stream, _)) => {
                open.retain(|connection| !connection.is_finished());
                if open.len() >= MAX_CONNECTIONS
                    && let Some(oldest) = open.pop_front()
                {
                    oldest.abort();
                }
                open.push_back(tokio::spawn(hear(stream, Arc::clone(&agent))).abort_handle());
            }
            Err(error) => agent.facts().signals.complain(agent.now(), &error),
        }
        sleep(ACCEPT_REST).await;
    }
}

async fn hear(stream: UnixStream, agent: Arc<Agent>) {
    let mut lines = Lines::default();
    let mut bytes = vec![0; READ_BYTES];
    loop {
        if stream.readable().await.is_err() {
            return;
        }
        match stream.try_read(&mut bytes) {
            Ok(0) => return,
            Ok(read) => {
                let said = lines.feed(bytes.get(..read).unwrap_or_default());
                let now = agent.now();
                agent.facts().signals.hear_all(now, now, said);
                sleep(READ_REST).await;
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return,
        }
    }
}

/// Reads the file at `path` every `every`, for ever: it says what a connection that sends its lines would have said when the
/// file was last written.
pub async fn watch(path: PathBuf, every: Duration, agent: Arc<Agent>) {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let now = agent.now();
        match read(&path) {
            Ok(None) => {}
            // What is said before the agent's start is as old as it, which is young enough.
            Ok(Some((age, bytes))) => {
                let said = Lines::default().feed(&bytes);
                agent.facts().signals.hear_all(now, now.saturating_sub(age), said);
            }
            Err(error) => agent.facts().signals.complain(now, &error),
        }
    }
}

/// The file's age and what it holds; nothing when it is not there, or too old.
fn read(path: &Path) -> io::Result<Option<(Duration, Vec<u8>)>> {
    // A link could point anywhere, and a pipe would keep us waiting.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits();
    let opened = OpenOptions::new().read(true).custom_flags(i32::try_from(flags).map_err(io::Error::other)?).open(path);
    let file: File = match opened {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let metadata = file.metadata()?;
    if !metadata.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    // A clock that was set back makes a file younger than nothing: it is as far from now as it says.
    let (written, now) = (metadata.modified()?, SystemTime::now());
    let age = now.duration_since(written).unwrap_or_else(|ahead| ahead.duration());
    if age >= LIFE {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE_BYTES { Err(io::Error::other(LineError::Large)) } else { Ok(Some((age, bytes))) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn value(name: &str, value: f64, unit: &str) -> Said {
        Said::Value(name.to_owned(), value, unit.to_owned())
    }

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn lines_that_say_something() {
        let longest = "a".repeat(MAX_NAME_BYTES);
        let cases = [
            ("rate 123.4 req/s", value("rate", 123.4, "req/s")),
            ("queue_depth 7", value("queue_depth", 7.0, "")),
            (" q2\t0 \r", value("q2", 0.0, "")),
            ("rate 1e12", value("rate", 1e12, "")),
            (&format!("{longest} 1"), value(&longest, 1.0, "")),
            ("busy true", Said::Busy(true)),
            ("protected false", Said::Protected(false)),
        ];
        for (line, said) in cases {
            assert_eq!(parse(line.as_bytes()), Ok(Some(said)), "{line:?}");
        }
        assert_eq!((parse(b""), parse(b" \r")), (Ok(None), Ok(None)));
    }

    #[test]
    fn lines_that_do_not() {
        let long = format!("a{} 1", "a".repeat(MAX_NAME_BYTES));
        for (line, says) in [
            ("rate", "is not \"NAME VALUE\""),
            ("rate 1 req/s x", "is not \"NAME VALUE\""),
            ("Rate 1", "is no name"),
            ("2q 1", "is no name"),
            ("_q 1", "is no name"),
            ("r\u{e4}te 1", "is no name"),
            ("cpu 1", "none of the agent's own"),
            ("memory 1", "none of the agent's own"),
            (&long, "is no name"),
            ("rate x", "a number of 0 to 1000000000000"),
            ("rate -1", "is no value"),
            ("rate NaN", "is no value"),
            ("rate inf", "is no value"),
            ("rate 1.1e12", "is no value"),
            ("busy 1", "true or false"),
            ("busy true now", "true or false"),
            ("protected yes", "true or false"),
            ("rate 1 r\u{e4}te", "is no unit"),
            ("rate 1 12345678901234567", "is no unit"),
        ] {
            let error = parse(line.as_bytes()).expect_err(line).to_string();
            assert!(error.contains(says), "{line:?}: {error}");
            assert!(error.len() < 300, "{error}");
        }
    }

    #[test]
    fn s11_a_long_line_is_discarded_whole_and_half_a_line_says_nothing() {
        let fits = format!("rate 1{}\n", " ".repeat(MAX_LINE_BYTES - 6));
        let long = format!("rate 1{}rate 9\n", " ".repeat(1 << 20));
        let mut lines = Lines::default();
        assert_eq!(lines.feed(fits.as_bytes()), [Ok(value("rate", 1.0, ""))]);
        assert_eq!(lines.feed(long.as_bytes()), [Err(LineError::Long)]);
        assert_eq!(lines.feed(b"rate 12"), []);
        assert_eq!(lines.feed(b"3\nrate 4"), [Ok(value("rate", 123.0, ""))]);
        assert!(lines.line.capacity() <= 2 * MAX_LINE_BYTES);
    }

    proptest! {
        #[test]
        fn s11_no_bytes_are_too_much_however_they_are_cut(
            bytes in proptest::collection::vec(any::<u8>(), 0..2_000), cuts in proptest::collection::vec(1_usize..300, 1..20),
        ) {
            let (mut whole, mut pieces) = (Lines::default(), Lines::default());
            let mut said = Vec::new();
            let mut rest = bytes.as_slice();
            for cut in cuts.iter().cycle() {
                let (piece, after) = rest.split_at(rest.len().min(*cut));
                said.extend(pieces.feed(piece));
                prop_assert!(pieces.line.len() <= MAX_LINE_BYTES);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            prop_assert_eq!(said, whole.feed(&bytes));
            let end = [b"\n".as_slice(), b"rate 42\n"].concat();
            prop_assert_eq!(whole.feed(&end).pop(), Some(Ok(value("rate", 42.0, ""))));
        }
    }

    #[test]
    fn what_is_not_said_again_is_forgotten() {
        let mut signals = Signals::default();
        for said in [value("rate", 5.0, "req/s"), Said::Busy(true), Said::Protected(true)] {
            signals.hear(seconds(1), said).expect("there is room");
        }
        let known =
            |signals: &Signals, at: Duration| (signals.sample(at).len(), signals.is_busy(at), signals.is_protected(at));
        assert_eq!(known(&signals, seconds(61) - Duration::from_millis(1)), (1, true, true));
        assert_eq!(known(&signals, seconds(61)), (0, false, false));
        signals.hear(seconds(31), Said::Busy(true)).expect("it is no signal");
        assert_eq!(known(&signals, seconds(61)), (0, true, false));
        signals.hear(seconds(61), Said::Busy(false)).expect("it is no signal");
        assert!(!signals.is_busy(seconds(61)), "by its own word at once");
        // A file that was written before says nothing against a later word.
        signals.hear(seconds(62), value("rate", 7.0, "")).expect("there is room");
        signals.hear(seconds(50), value("rate", 6.0, "")).expect("there is room");
        assert_eq!(signals.sample(seconds(63)), [(Name::from("rate"), 7.0)]);
    }

    #[test]
    fn s11_there_are_so_many_signals_and_no_more() {
        let mut signals = Signals::default();
        let hear = |signals: &mut Signals, at, n: usize| signals.hear(seconds(at), value(&format!("s{n}"), 1.0, ""));
        for n in 0..MAX_SIGNALS {
            hear(&mut signals, 1, n).expect("there is room");
        }
        assert_eq!(hear(&mut signals, 2, 99), Err(LineError::Many("s99".to_owned())));
        hear(&mut signals, 30, 0).expect("it is known");
        hear(&mut signals, 61, 99).expect("the others are forgotten");
        assert_eq!(signals.sample(seconds(61)).len(), 2);
    }

    #[tokio::test]
    async fn a_socket_takes_the_place_of_an_old_one_and_of_nothing_else() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let path = home.path().join("signals.sock");
        for _ in 0..2 {
            drop(bind(&path)?);
            assert_eq!(fs::metadata(&path)?.permissions().mode() & 0o777, 0o666);
        }
        let (file, link) = (home.path().join("file"), home.path().join("link"));
        fs::write(&file, "precious")?;
        std::os::unix::fs::symlink(&path, &link)?;
        for there in [&file, &link] {
            assert_eq!(bind(there).expect_err("it is no socket").kind(), io::ErrorKind::AlreadyExists);
        }
        assert_eq!(fs::read_to_string(&file)?, "precious");
        Ok(())
    }

    #[test]
    fn a_file_is_regular_small_and_young() -> io::Result<()> {
        let home = tempfile::tempdir()?;
        let path = |name: &str| home.path().join(name);
        assert_eq!(read(&path("none"))?, None);
        fs::write(path("good"), "rate 5\n")?;
        assert!(matches!(read(&path("good"))?, Some((age, bytes)) if age < LIFE && bytes == b"rate 5\n"));
        std::os::unix::fs::symlink(path("good"), path("link"))?;
        fs::write(path("large"), vec![b'\n'; MAX_FILE_BYTES + 1])?;
        rustix::fs::mkfifoat(rustix::fs::CWD, path("pipe"), rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR)?;
        for bad in ["link", "large", "pipe", "."] {
            assert!(read(&path(bad)).is_err(), "{bad}");
        }
        for ahead in [false, true] {
            let by = |time: SystemTime| if ahead { time + LIFE + seconds(1) } else { time - LIFE };
            File::options().write(true).open(path("good"))?.set_modified(by(SystemTime::now()))?;
            assert_eq!(read(&path("good"))?, None, "ahead: {ahead}");
        }
        Ok(())
    }
}
