//! The local world: the whole loop on one machine, with no AWS account.
//!
//! `muster up` ([`up`]) supervises four processes of its own binary: the *fleet* ([`fleet`]), which owns the ledger of
//! instances and their agents and stands in for EC2; the *monitor* ([`monitor`]) and the *controller* ([`controller`]),
//! which run the very use cases of the Lambdas over one SQLite store; and the *dashboard* ([`dashboard`]), without which the others go on.
//! They speak by [`wire`]; [`worlds`] tells other commands where a world is. What must never be in here: a decision about size or health.

pub mod agents;
pub mod clock;
pub mod controller;
pub mod crash;
pub mod dashboard;
pub mod faults;
pub mod fleet;
pub mod fleet_client;
pub mod kills;
pub mod ledger;
pub mod line;
pub mod live;
pub mod mishaps;
pub mod monitor;
pub mod output;
pub mod paths;
pub mod policy_file;
pub mod process;
pub mod scenario;
pub mod stand;
pub mod summary;
pub mod supervisor;
pub mod up;
pub mod wire;
pub mod worlds;

use clap::Subcommand;

use crate::failure::Failure;

/// The processes that `muster up` starts.
#[derive(Debug, Subcommand)]
pub enum LocalCommand {
    /// Owns the instances.
    Fleet(fleet::FleetArgs),
    /// Sweeps the agents.
    Monitor(monitor::MonitorArgs),
    /// Decides and acts.
    Controller(controller::ControllerArgs),
    /// Shows what the others do; its listener is standard input.
    Dashboard(dashboard::DashboardArgs),
}

/// Runs one of the processes until it is told to end.
pub fn run(command: &LocalCommand) -> Result<(), Failure> {
    match command {
        LocalCommand::Fleet(args) => process::run(&args.place, |end| fleet::serve(args, end)),
        LocalCommand::Monitor(args) => process::run(&args.place, |end| monitor::serve(args, end)),
        LocalCommand::Controller(args) => process::run(&args.place, |end| controller::serve(args, end)),
        LocalCommand::Dashboard(args) => process::run(&args.place, |end| dashboard::serve(args, end)),
    }
}
