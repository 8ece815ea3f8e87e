//! Marks on instances: stands in until the port's own implementation is here.

use muster_control::ports::{FleetError, Mark, Marks};
use muster_core::group::GroupName;
use muster_core::member::InstanceId;

use super::Ec2Fleet;

impl Marks for Ec2Fleet {
    async fn mark(&self, _: &GroupName, _: &InstanceId, _: Mark, _: bool) -> Result<(), FleetError> {
        Err(FleetError::Refused("marks are not set yet".into()))
    }
}
