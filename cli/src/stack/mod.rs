//! `muster --stack NAME ...`: a stack in the operator's own AWS account, read and steered with the operator's own credentials.
//!
//! It works on the same tables and the same parameter as the Lambdas, through the same ports; [`group`] makes and deletes a group's
//! stack of CloudFormation, too. It must never launch or terminate: that is the controller's, under its leases.

mod dashboard;
pub mod group;
mod policy;
mod record;
mod status;
mod sweep;

use clap::Args;
use muster_aws::clients::Connection;
use muster_aws::parameters::Parameters;
use muster_aws::tables::Tables;
use muster_control::ports::Groups as _;
use muster_core::group::GroupName;

pub use dashboard::{DashboardArgs, dashboard};
pub use policy::{GetArgs, SetArgs, get, set};
pub(crate) use record::recorded;
pub use status::{StatusArgs, status};
pub use sweep::{SweepArgs, sweep};

use crate::failure::Failure;

/// Which stack.
#[derive(Clone, Debug, Args)]
pub struct StackArgs {
    /// The stack's name: its tables are NAME-control, NAME-sweeps and NAME-activity. Region and credentials come from the usual
    /// places: AWS_PROFILE, AWS_REGION, `aws login` ...
    #[arg(long, env = "MUSTER_STACK", value_name = "NAME", global = true)]
    pub stack: Option<String>,
}

impl StackArgs {
    /// The stack's name.
    fn name(&self) -> Result<&str, Failure> {
        let named = self.stack.as_deref().filter(|name| !name.is_empty());
        named.ok_or_else(|| Failure::Input("which stack? Say --stack NAME or set MUSTER_STACK".into()))
    }
}

/// What a command needs of AWS.
struct Cloud {
    stack: String,
    tables: Tables,
    policies: Parameters,
    connection: Connection,
}

impl Cloud {
    async fn open(stack: &StackArgs) -> Result<Self, Failure> {
        let stack = stack.name()?.to_owned();
        let connection =
            Connection::open().await.map_err(|error| Failure::run("the AWS account cannot be reached", &error))?;
        let tables = Tables::new(connection.dynamodb(), &stack);
        Ok(Self { stack, tables, policies: Parameters::new(&connection), connection })
    }

    /// The group of that name, or the only one of the stack.
    async fn one_group(&self, named: Option<&GroupName>) -> Result<GroupName, Failure> {
        if let Some(group) = named {
            return Ok(group.clone());
        }
        let groups = self.groups().await?;
        match groups.as_slice() {
            [one] => Ok(one.clone()),
            [] => Err(Failure::Input(format!("stack {} has no group yet: name one with --group", self.stack))),
            many => {
                let names: Vec<String> = many.iter().map(ToString::to_string).collect();
                Err(Failure::Input(format!("which group? Say --group with one of {}", names.join(", "))))
            }
        }
    }

    async fn groups(&self) -> Result<Vec<GroupName>, Failure> {
        let failed = |error| Failure::run(&format!("the groups of stack {} cannot be read", self.stack), &error);
        self.tables.groups().await.map_err(failed)
    }
}

/// Runs a command to its end.
fn run<T>(command: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::run("the command cannot be started", &error))?;
    runtime.block_on(command)
}
