//! `muster --stack NAME ...`: a stack in the operator's own AWS account, read and steered with the operator's own credentials.
//!
//! It works on the same tables and the same parameter as the Lambdas, through the same ports; [`group`] makes and deletes a group's
//! stack of CloudFormation, too. It must never launch or terminate: that is the controller's, under its leases.

mod dashboard;
mod facts;
pub mod group;
mod record;
mod stand;
mod sweep;

use muster_aws::clients::Connection;
use muster_aws::parameters::Parameters;
use muster_aws::tables::Tables;
use muster_control::ports::Groups as _;
use muster_core::group::GroupName;

pub use dashboard::{DashboardArgs, dashboard};
pub(crate) use facts::facts;
pub(crate) use record::recorded;
pub(crate) use stand::stand;
pub use sweep::{SweepArgs, sweep};

use crate::failure::Failure;
pub use crate::place::StackArgs;
use crate::place::blocking as run;

impl StackArgs {
    /// The stack's name.
    fn name(&self) -> Result<&str, Failure> {
        self.named().ok_or_else(|| Failure::Input("which stack? Say --stack NAME or set MUSTER_STACK".into()))
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
        Self::of(stack.name()?).await
    }

    async fn of(stack: &str) -> Result<Self, Failure> {
        let stack = stack.to_owned();
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
