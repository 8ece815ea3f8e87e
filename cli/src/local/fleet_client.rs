//! The fleet's port: what the controller calls where it would call EC2.

use std::path::PathBuf;

use muster_control::ports::{Fleet, FleetError, Launched};
use muster_core::group::GroupName;
use muster_core::intent::LaunchSpec;
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;

use super::wire::{Request, Response, call};

/// The fleet process, behind its socket.
#[derive(Clone, Debug)]
pub struct FleetClient(pub PathBuf);

impl FleetClient {
    async fn ask(&self, request: Request) -> Result<Response, FleetError> {
        match call(&self.0, &request).await {
            Ok(Response::Superseded) => Err(FleetError::Superseded),
            Ok(Response::Refused(why)) => Err(FleetError::Refused(why.into())),
            Ok(Response::Failed(why)) => Err(FleetError::Unavailable(why.into())),
            Ok(response @ (Response::Listed(_) | Response::Launched(_) | Response::Terminated)) => Ok(response),
            Err(error) => Err(FleetError::Unavailable(error.into())),
        }
    }
}

fn misfit(response: &Response) -> FleetError {
    FleetError::Unavailable(format!("the fleet answered something else: {response:?}").into())
}

impl Fleet for FleetClient {
    async fn list(&self, group: &GroupName) -> Result<Vec<FleetInstance>, FleetError> {
        match self.ask(Request::List { group: group.clone() }).await? {
            Response::Listed(instances) => Ok(instances),
            other => Err(misfit(&other)),
        }
    }

    async fn launch(&self, spec: &LaunchSpec, attempt: u32) -> Result<Launched, FleetError> {
        match self.ask(Request::Launch { spec: spec.clone(), attempt }).await? {
            Response::Launched(made) => Ok(made),
            other => Err(misfit(&other)),
        }
    }

    async fn terminate(&self, group: &GroupName, instance: &InstanceId, attempt: u32) -> Result<(), FleetError> {
        let request = Request::Terminate { group: group.clone(), instance: instance.clone(), attempt };
        match self.ask(request).await? {
            Response::Terminated => Ok(()),
            other => Err(misfit(&other)),
        }
    }
}
