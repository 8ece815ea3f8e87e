//! The thread that owns the connection.
//!
//! The ports are async and SQLite blocks: mostly for microseconds, but up to the busy timeout when another process
//! writes. On the caller's thread that would stall a sweep's event loop, which then could not tell its own stall from
//! silent agents. A thread of its own, fed by a bounded channel, serves any runtime (also none with blocking threads),
//! keeps one connection with its prepared statements, and gives the calls one order.

use std::io;
use std::thread::{self, JoinHandle};

use muster_control::ports::StoreError;
use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

/// Calls that wait at most; the next caller waits to be let in.
const QUEUE: usize = 64;

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// The connection's thread; dropping it finishes what is queued and closes the file.
#[derive(Debug)]
pub(crate) struct Worker {
    jobs: Option<mpsc::Sender<Job>>,
    thread: Option<JoinHandle<()>>,
}

/// The thread ended in a panic, so whether the call was carried out is not known.
#[derive(Debug, thiserror::Error)]
#[error("the store's thread has ended")]
struct Ended;

impl Worker {
    /// Starts the thread.
    pub(crate) fn start(mut db: Connection) -> io::Result<Self> {
        let (jobs, mut queue) = mpsc::channel::<Job>(QUEUE);
        let serve = move || {
            while let Some(job) = queue.blocking_recv() {
                job(&mut db);
            }
        };
        let thread = thread::Builder::new().name("muster-store".into()).spawn(serve)?;
        Ok(Self { jobs: Some(jobs), thread: Some(thread) })
    }

    /// Carries out `work` on the thread. When the caller gives up waiting, the work is done all the same.
    pub(crate) async fn call<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    {
        let ended = || StoreError::Unavailable(Ended.into());
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |db| {
            // A caller that has gone does not want the answer.
            let _ = reply.send(work(db));
        });
        self.jobs.as_ref().ok_or_else(ended)?.send(job).await.map_err(|_| ended())?;
        answer.await.map_err(|_| ended())?
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        drop(self.jobs.take());
        // After the drop nothing of ours writes; a panic over there has been reported to its caller.
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
