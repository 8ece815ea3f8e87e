//! What the doctor looks at: facts as they were gathered, without a judgement.

use muster_control::ports::Rejected;
use muster_core::group::{GroupName, Head};
use muster_core::sweep::{Sweep, SweepCounts};
use muster_core::time::Timestamp;

/// An answer, or why there is none; none at all when it was not asked, because something before it failed.
pub type Asked<T> = Option<Result<T, String>>;

/// Everything that was found out of a stack or a local world.
#[derive(Clone, Debug)]
pub struct Facts {
    /// This machine's clock.
    pub now: Timestamp,
    /// Where it runs.
    pub home: Home,
    /// What the sweeps' stream brought that was no sweep; none when it never did.
    pub rejected: Asked<Option<Rejected>>,
    /// Its groups.
    pub groups: Asked<Vec<GroupFacts>>,
}

/// Where the control plane runs.
#[derive(Clone, Debug)]
pub enum Home {
    /// In an AWS account.
    Account(Account),
    /// On this machine.
    World(World),
}

/// An account and region, as a stack of it is seen.
#[derive(Clone, Debug)]
pub struct Account {
    /// The stack.
    pub stack: String,
    /// The region, or why there is none.
    pub region: Result<String, String>,
    /// The stack's tables. That they were told at all means that the credentials are good.
    pub tables: Asked<Vec<TableFacts>>,
    /// What CloudFormation says of the stack's own stacks.
    pub stacks: Asked<Vec<StackSaid>>,
}

/// A stack of CloudFormation: its name, its status, and why it has that.
pub type StackSaid = (String, String, Option<String>);

/// A table, as DynamoDB describes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFacts {
    /// Its name.
    pub name: String,
    /// Its status, such as `ACTIVE`; none when there is no such table.
    pub status: Option<String>,
    /// Whether its stream, which rings the doorbell, is on; none for a table that needs none.
    pub stream: Option<bool>,
}

/// A local world.
#[derive(Clone, Debug)]
pub struct World {
    /// Its folder.
    pub state: String,
    /// Whether somebody may write into the folder, or why not.
    pub writable: Result<(), String>,
    /// Bytes that are free there.
    pub free_bytes: Asked<u64>,
    /// Whether a `muster up` runs on it.
    pub runs: Asked<bool>,
    /// Whether the store can be read.
    pub store: Asked<()>,
    /// Of a running world: where its page is, and whether it answers.
    pub page: Asked<String>,
}

/// A group.
#[derive(Clone, Debug)]
pub struct GroupFacts {
    /// Its name.
    pub group: GroupName,
    /// Where its policy is written: the parameter's name, or the file's.
    pub policy_at: String,
    /// The newest text of its policy; none when there is none.
    pub policy: Asked<Option<String>>,
    /// HEAD; none before the first decision.
    pub head: Asked<Option<Head>>,
    /// The latest sweep of each shard.
    pub sweeps: Asked<Vec<SweepSeen>>,
    /// Intents that are not settled: their ids, and when they were committed.
    pub intents: Vec<(String, Timestamp)>,
    /// How many instances EC2 lists for the group.
    pub instances: Asked<u32>,
}

/// A sweep without its members.
#[derive(Clone, Debug, PartialEq)]
pub struct SweepSeen {
    /// Its slot.
    pub slot: Timestamp,
    /// When its last answer was in, by the monitor's clock.
    pub finished_at: Timestamp,
    /// The effective period.
    pub period_ms: u64,
    /// Why the monitor could not trust its own eyes.
    pub blind: Option<String>,
    /// How many answered.
    pub counts: SweepCounts,
}

impl From<&Sweep> for SweepSeen {
    fn from(sweep: &Sweep) -> Self {
        let Sweep { slot, finished_at, period_ms, blind, counts, .. } = sweep;
        let (blind, counts) = (blind.clone(), counts.clone());
        Self { slot: *slot, finished_at: *finished_at, period_ms: *period_ms, blind, counts }
    }
}
