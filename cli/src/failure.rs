//! How a command fails: what it says, and the exit code.

use miette::Diagnostic;
use muster_control::chain::chain;
use muster_core::policy::PolicyError;

/// Why a command failed.
#[derive(Debug, thiserror::Error, Diagnostic)]
pub enum Failure {
    /// The input was wrong; exit code 2.
    #[error("{0}")]
    Input(String),
    /// The policy was wrong; exit code 2.
    #[error(transparent)]
    #[diagnostic(transparent)]
    Policy(#[from] PolicyReport),
    /// Something went wrong on the way; exit code 1.
    #[error("{0}")]
    Run(String),
    /// The command has done its work, and what it found is not well; exit code 3.
    #[error("{0}")]
    Unhealthy(String),
    /// Somebody pressed Ctrl-C before it was done; exit code 130, as of a process that the signal ends.
    #[error("{0}")]
    Interrupted(String),
}

/// A refused policy, with the name of its file.
#[derive(Debug, thiserror::Error)]
#[error("{name} is refused: {error}")]
pub struct PolicyReport {
    name: String,
    error: PolicyError,
}

impl PolicyReport {
    /// The refusal of the policy in `name`.
    pub const fn new(name: String, error: PolicyError) -> Self {
        Self { name, error }
    }
}

impl Diagnostic for PolicyReport {
    fn help<'a>(&'a self) -> Option<Box<dyn std::fmt::Display + 'a>> {
        self.error.help()
    }

    fn source_code(&self) -> Option<&dyn miette::SourceCode> {
        self.error.source_code()
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = miette::LabeledSpan> + '_>> {
        self.error.labels()
    }
}

impl Failure {
    /// The input was wrong: `what` says where, `error` says how.
    pub fn input(what: &str, error: &dyn std::error::Error) -> Self {
        Self::Input(format!("{what}: {}", chain(error)))
    }

    /// Something went wrong: `what` was being done.
    pub fn run(what: &str, error: &dyn std::error::Error) -> Self {
        Self::Run(format!("{what}: {}", chain(error)))
    }

    /// The exit code.
    pub const fn exit_code(&self) -> u8 {
        match self {
            Self::Input(_) | Self::Policy(_) => 2,
            Self::Run(_) => 1,
            Self::Unhealthy(_) => 3,
            Self::Interrupted(_) => 130,
        }
    }
}
