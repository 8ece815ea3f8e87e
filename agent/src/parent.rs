//! Dies with its parent, where a parent asks for it.
//!
//! The local world runs an agent process for every instance. Were its supervisor killed, they would
//! live on without anybody to steer or end them, so each asks the kernel for SIGKILL at its parent's
//! death. Under systemd the option is not used.
//!
//! For the parent: to Linux the parent is the *thread* that started the agent, and it is that
//! thread's end that counts. Start agents from a thread that lives as long as the process.

use std::io;

use rustix::process::{Pid, Signal, getppid, set_parent_process_death_signal};

/// Why the agent cannot be bound to its parent.
#[derive(Debug, thiserror::Error)]
pub enum ParentError {
    /// The kernel refuses.
    #[error("the parent-death signal cannot be set")]
    Refused(#[source] io::Error),
    /// The parent was gone before the kernel knew what to do then.
    #[error("the parent is not process {expected}: it has ended, or another process was named")]
    Gone {
        /// The process named by `--parent-pid`.
        expected: i32,
    },
}

/// Makes the kernel kill this process when its parent, the process `pid`, ends.
///
/// # Errors
/// When the parent is another one already: it died before this call and would never be noticed.
pub fn die_with(pid: Pid) -> Result<(), ParentError> {
    set_parent_process_death_signal(Some(Signal::KILL)).map_err(|error| ParentError::Refused(error.into()))?;
    if getppid() == Some(pid) { Ok(()) } else { Err(ParentError::Gone { expected: pid.as_raw_nonzero().get() }) }
}
