//! Standard output, written by a thread of its own: a reader that pauses must not keep anybody from hearing a signal.

use std::io::Write;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::line::{Line, readable};
use crate::failure::Failure;

/// Lines that wait for a slow reader.
const WAITING: usize = 1_024;
/// Room that is kept for what one event leads to.
const ROOM: usize = 16;

/// Where the world is told.
#[derive(Debug)]
pub struct Output {
    json: bool,
    /// Whether nothing is told for now.
    hushed: bool,
    lines: mpsc::Sender<String>,
    written: oneshot::Receiver<()>,
}

impl Output {
    /// Starts the writer: JSON lines, or lines for people.
    pub fn start(json: bool) -> Self {
        let (lines, mut waiting) = mpsc::channel::<String>(WAITING);
        let (done, written) = oneshot::channel();
        std::thread::spawn(move || {
            while let Some(line) = waiting.blocking_recv() {
                if writeln!(std::io::stdout().lock(), "{line}").is_err() {
                    return;
                }
            }
            // Nobody waits when the world ended on an error.
            let _unheard = done.send(());
        });
        Self { json, hushed: false, lines, written }
    }

    /// Whether nothing is to be told from now on: somebody else draws on the terminal.
    pub const fn hush(&mut self, hushed: bool) {
        self.hushed = hushed;
    }

    /// Whether one more event may be told; otherwise wait for [`Self::room`].
    pub fn has_room(&self) -> bool {
        self.lines.capacity() >= ROOM
    }

    /// Ends once there is room, or nobody reads any more.
    pub async fn room(&self) {
        let _gone = self.lines.reserve_many(ROOM).await;
    }

    /// Tells a line, `elapsed` after the start. Nobody left to read it is an error; a reader that only pauses loses lines at
    /// the very end of the world alone, when nothing waits for it any more.
    pub fn tell(&self, line: &Line, elapsed: Duration) -> Result<(), Failure> {
        if self.hushed {
            return Ok(());
        }
        let text = if self.json {
            serde_json::to_string(line).map_err(|error| Failure::run("a line cannot be written", &error))?
        } else if matches!(line, Line::Decision { count, .. } if *count > 1) {
            // Nothing but time has passed: a person has read it.
            return Ok(());
        } else {
            readable(line, elapsed.as_secs_f64())
        };
        match self.lines.try_send(text) {
            Ok(()) | Err(mpsc::error::TrySendError::Full(_)) => Ok(()),
            Err(mpsc::error::TrySendError::Closed(_)) => Err(Failure::Run("nobody reads any more".into())),
        }
    }

    /// Waits until all is written, `most` at the longest.
    pub async fn finish(self, most: Duration) -> Result<(), Failure> {
        drop(self.lines);
        match tokio::time::timeout(most, self.written).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) | Err(_) => Err(Failure::Run("nobody reads any more".into())),
        }
    }
}
