//! A stack as the commands see it: its tables to read, its policies' parameters, and its instances to mark.

use muster_aws::fleet::Ec2Fleet;
use muster_aws::parameters::Parameters;
use muster_aws::tables::Tables;
use muster_web::stand::Stand;

use super::Cloud;
use crate::failure::Failure;
use crate::local::clock::SystemClock;

/// The agent's own port: no agent is asked here.
pub(super) const AGENT_PORT: u16 = 7717;

/// A stack, over the ports.
pub(crate) type StackStand = Stand<Tables, Parameters, Ec2Fleet, SystemClock>;

/// The stack of that name, with the operator's own credentials.
pub(crate) async fn stand(name: &str) -> Result<StackStand, Failure> {
    Ok(Cloud::of(name).await?.stand())
}

impl Cloud {
    /// What the read model stands on.
    pub(super) fn stand(self) -> StackStand {
        let fleet = Ec2Fleet::new(&self.connection, &self.stack, AGENT_PORT);
        let place = format!("stack {}", self.stack);
        Stand { store: self.tables, policies: self.policies, fleet, clock: SystemClock, place }
    }
}
