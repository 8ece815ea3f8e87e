//! Where the local world keeps its files.

use std::path::PathBuf;

/// The files of one world: state that outlives a run, and sockets that do not.
#[derive(Clone, Debug)]
pub struct Paths {
    /// Store, ledger and, unless the operator names another, policy.
    pub state: PathBuf,
    /// Sockets; a short path, since a socket's name has at most 107 bytes.
    pub run: PathBuf,
}

impl Paths {
    /// The control plane's tables.
    pub fn store(&self) -> PathBuf {
        self.state.join("store.sqlite")
    }

    /// The fleet's instances.
    pub fn ledger(&self) -> PathBuf {
        self.state.join("ledger.json")
    }

    /// The demo policy.
    pub fn policy(&self) -> PathBuf {
        self.state.join("policy.json")
    }

    /// Held locked by the `muster up` that uses the state.
    pub fn lock(&self) -> PathBuf {
        self.state.join("lock")
    }

    /// Where the fleet listens.
    pub fn fleet_socket(&self) -> PathBuf {
        self.run.join("fleet.sock")
    }

    /// Where the controller hears the doorbell.
    pub fn doorbell_socket(&self) -> PathBuf {
        self.run.join("doorbell.sock")
    }
}
