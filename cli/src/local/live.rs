//! What `muster up` shows on a terminal: the view of `muster top`, drawn by a thread of its own, so that nobody who looks keeps the world from
//! hearing a signal. While it is up nothing else may be written to the terminal: the world holds its lines back, and what its processes
//! say of their own goes to a file.

use std::fs::File;
use std::io::{IsTerminal, Read, Seek, SeekFrom};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use muster_core::group::GroupName;
use tokio::sync::oneshot;

use crate::failure::Failure;
use crate::top;

/// Bytes of what the processes have said that are told at the end.
const TOLD: u64 = 8 << 10;

/// Whether there is a terminal to draw on, and somebody who types.
pub fn is_on_terminal() -> bool {
    std::io::stdin().is_terminal() && std::io::stdout().is_terminal()
}

/// The view, as long as this is there.
#[derive(Debug)]
pub struct Live {
    over: Arc<AtomicBool>,
    ended: oneshot::Receiver<Result<(), Failure>>,
    thread: Option<JoinHandle<()>>,
}

impl Live {
    /// Begins to show the group of the world in `state`, as soon as anything has been decided for it.
    pub fn start(state: PathBuf, group: GroupName) -> Self {
        let over = Arc::new(AtomicBool::new(false));
        let (tell, ended) = oneshot::channel();
        let stop = Arc::clone(&over);
        let thread = std::thread::spawn(move || {
            // Nobody waits for it when the world has ended first.
            let _unheard = tell.send(top::live(&state, &group, &stop));
        });
        Self { over, ended, thread: Some(thread) }
    }

    /// Waits until who looks has had enough, or nothing can be drawn any more.
    pub async fn ended(&mut self) -> Result<(), Failure> {
        (&mut self.ended).await.unwrap_or(Ok(()))
    }
}

impl Drop for Live {
    /// The terminal is as it was before anybody else writes to it.
    fn drop(&mut self) {
        self.over.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            // Whoever panicked there has said so.
            let _panicked = thread.join();
        }
    }
}

/// What the processes write to their standard error meanwhile.
#[derive(Debug)]
pub struct Stderr(File);

impl Stderr {
    /// A file that nobody else sees, and that goes with this.
    pub fn new() -> Result<Self, Failure> {
        tempfile::tempfile().map(Self).map_err(|error| Failure::run("no temporary file can be made", &error))
    }

    /// Where a process writes to.
    pub fn writer(&self) -> Result<File, Failure> {
        self.0.try_clone().map_err(|error| Failure::run("the file cannot be handed on", &error))
    }

    /// The end of it.
    pub fn tail(mut self) -> String {
        let mut text = Vec::new();
        let from = self.0.seek(SeekFrom::End(0)).map_or(0, |end| end.saturating_sub(TOLD));
        // What cannot be read is not worth an error at the very end.
        let _read = self.0.seek(SeekFrom::Start(from)).and_then(|_| self.0.read_to_end(&mut text));
        String::from_utf8_lossy(&text).into_owned()
    }
}
