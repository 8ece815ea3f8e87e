//! A seeded world in virtual time over the very use cases of the control plane: `sweep`, `reconcile`, `execute`.
//!
//! One number makes a [`Schedule`]: EC2, DynamoDB, Lambda, the agents, the clocks and the operators, with everything that
//! goes wrong with them. [`run`] plays it, checks the safety invariants S1-S8, S11, O1 and D2 after every step, S9 and S10
//! (the same decision taken again with other input) at one of twelve decisions, and the liveness rules V1-V6 once faults have
//! stopped, and tells which faults changed an outcome. Equal seeds give equal runs, to the bit.
//!
//! What must never be in here: a wall clock, a thread inside a schedule, an unordered collection, a second version of
//! anything that `muster-control` does. Start reading at [`schedule`](Schedule), then `world`, `port`, `safety`.

mod agents;
mod cloud;
mod decisions;
mod dice;
mod ec2;
mod fate;
mod fault;
mod field;
mod history;
mod kept;
mod lambda;
mod ledger;
mod liveness;
mod many;
mod port;
mod safety;
mod schedule;
mod shrink;
mod sim;
mod story;
mod tables;
mod weak;
mod world;

pub use ec2::CalmFleet;
pub use fault::{Fault, Tally};
pub use history::{Deed, Done, History, Size};
pub use kept::kept;
pub use many::{Failure, Summary, simulate};
pub use schedule::{Demand, Happening, START, Schedule};
pub use shrink::shrink;
pub use sim::{Outcome, run, run_weak, tell};
pub use story::Violation;
pub use weak::Weakness;
