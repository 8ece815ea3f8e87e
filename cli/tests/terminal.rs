//! What is drawn on a terminal: `muster up` and `muster top`, each on a pseudo-terminal of its own.

mod support;

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::OwnedFd;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Instant;

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};
use support::{PATIENCE, directory};

/// A command on a terminal of 30 rows of 110 columns.
struct Screen {
    child: Child,
    keys: File,
    drawn: Receiver<String>,
    seen: String,
}

impl Screen {
    fn of(args: &[&str]) -> Self {
        Self::with_editor(args, "false")
    }

    /// The same, where the person's editor is this one.
    fn with_editor(args: &[&str], editor: &str) -> Self {
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master = openpt(flags).expect("a pseudo-terminal");
        grantpt(&master).expect("it is ours");
        unlockpt(&master).expect("it is unlocked");
        let name = ptsname(&master, Vec::new()).expect("its name");
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let terminal: OwnedFd = open(name, flags, Mode::empty()).expect("its other end");
        let size = Winsize { ws_row: 30, ws_col: 110, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&terminal, size).expect("a size");
        let end = || Stdio::from(terminal.try_clone().expect("a descriptor"));
        // util-linux's: what is typed here is heard there, Ctrl-C as a signal.
        let mut command = Command::new("setsid");
        command.args(["--ctty", env!("CARGO_BIN_EXE_muster")]).args(args);
        command
            .env("TERM", "xterm")
            .env_remove("VISUAL")
            .env("EDITOR", editor)
            .stdin(end())
            .stdout(end())
            .stderr(end());
        let child = command.spawn().expect("muster starts");
        let (keys, mut out) = (File::from(master.try_clone().expect("a descriptor")), File::from(master));
        let (tell, drawn) = channel();
        std::thread::spawn(move || {
            let mut bytes = [0; 4096];
            // Reading fails once nobody has the other end open any more.
            while let Ok(n @ 1..) = out.read(&mut bytes) {
                if tell.send(String::from_utf8_lossy(&bytes[..n]).into_owned()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, drawn, seen: String::new() }
    }

    /// Waits until `text` has been drawn.
    fn until(&mut self, text: &str) {
        let deadline = Instant::now() + PATIENCE;
        while !self.seen.contains(text) {
            let more = self.drawn.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            self.seen += &more.unwrap_or_else(|why| panic!("{why}: {text:?} is not in {:?}", self.seen));
        }
    }

    /// Types a key, and reads what is drawn until the command ends well.
    fn ends_at(mut self, key: &[u8]) -> String {
        self.keys.write_all(key).expect("a key");
        let status = self.child.wait().expect("it ends");
        let deadline = Instant::now() + PATIENCE;
        while let Ok(more) = self.drawn.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            self.seen += &more;
        }
        assert!(status.success(), "{status}: {}", self.seen);
        std::mem::take(&mut self.seen)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A test that failed leaves nothing behind either.
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}

/// Into the alternate screen, and back.
const ENTERED: &str = "\u{1b}[?1049h";
const LEFT: &str = "\u{1b}[?1049l";

/// An editor whose person makes a mistake at first.
const EDITOR: &str = r#"
case "$(cat "$1")" in
*70000*) sed -i 's/70000/6/' "$1" ;;
*) sed -i 's/"max_instances": 5/"max_instances": 70000/' "$1" ;;
esac
"#;

#[test]
fn a_world_is_shown_live_until_ctrl_c_and_others_may_look_at_it() {
    let folder = directory();
    let state = folder.path().to_str().expect("UTF-8");
    let mut up = Screen::of(&["up", "--scenario", "calm", "--state", state, "--no-dashboard"]);
    up.until("edit it: the next decision follows");
    up.until(ENTERED);
    up.until("in-service");
    let mut top = Screen::of(&["top", "--state", state]);
    top.until("in-service");
    let drawn = top.ends_at(b"q");
    assert!(drawn.contains(LEFT), "{drawn:?}");
    let script = folder.path().join("editor");
    std::fs::write(&script, EDITOR).expect("an editor");
    let mut edit = Screen::with_editor(&["policy", "edit", "--state", state], &format!("sh {}", script.display()));
    edit.until("Edit it again? [Y/n]");
    let said = edit.ends_at(b"\n");
    assert!(said.contains("max_instances") && said.contains("local has its policy"), "{said:?}");
    let policy = std::fs::read_to_string(folder.path().join("policy.json")).expect("the policy");
    assert!(policy.contains("\"max_instances\": 6"), "{policy}");
    let drawn = up.ends_at(b"\x03");
    let (_, after) = drawn.split_once(LEFT).expect("the terminal is as it was before");
    assert!(after.contains("summary"), "{after:?}");
    assert!(!drawn.contains(" sweep  "), "no line in between: {drawn:?}");
}

#[test]
fn a_world_tells_lines_on_a_terminal_when_it_is_asked_to() {
    let mut up = Screen::of(&["up", "--scenario", "calm", "--no-dashboard", "--lines"]);
    up.until(" sweep ");
    let drawn = up.ends_at(b"\x03");
    assert!(!drawn.contains(ENTERED) && drawn.contains("summary"), "{drawn:?}");
}
