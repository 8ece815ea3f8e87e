//! A stack as the commands see it: its tables to read, its policies' parameters, and its instances to mark.

use muster_aws::parameters::Parameters;
use muster_aws::tables::Tables;
use muster_control::ports::{FleetError, Mark, Marks};
use muster_core::group::GroupName;
use muster_core::member::InstanceId;
use muster_web::stand::Stand;

use super::Cloud;
use crate::failure::Failure;
use crate::local::clock::SystemClock;

/// A stack, over the ports.
pub(crate) type StackStand = Stand<Tables, Parameters, StackFleet, SystemClock>;

/// The instances of a stack, to mark them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct StackFleet;

impl Marks for StackFleet {
    async fn mark(&self, _: &GroupName, instance: &InstanceId, mark: Mark, _: bool) -> Result<(), FleetError> {
        let tag = match mark {
            Mark::Protected => "muster:protected",
            Mark::Drain => "muster:drain",
        };
        Err(FleetError::Refused(
            format!("set the tag {tag} of {instance} in EC2's console: this command does not know how yet").into(),
        ))
    }
}

/// The stack of that name, with the operator's own credentials.
pub(crate) async fn stand(name: &str) -> Result<StackStand, Failure> {
    let Cloud { stack, tables, policies, connection: _ } = Cloud::of(name).await?;
    Ok(Stand { store: tables, policies, fleet: StackFleet, clock: SystemClock, place: format!("stack {stack}") })
}
