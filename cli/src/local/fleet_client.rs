//! The fleet's port: what the controller calls where it would call EC2.

use std::path::PathBuf;

use muster_control::ports::{Fleet, FleetError, Found, Launched, Mark, Marks};
use muster_core::group::GroupName;
use muster_core::intent::{IntentId, LaunchSpec};
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
            Ok(Response::NoCapacity(why)) => Err(FleetError::NoCapacity(why.into())),
            Ok(Response::Refused(why)) => Err(FleetError::Refused(why.into())),
            Ok(Response::Ended(why)) => Err(FleetError::Ended(why.into())),
            Ok(Response::Failed(why)) => Err(FleetError::Unavailable(why.into())),
            Ok(answer) => Ok(answer),
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

    async fn describe(&self, group: &GroupName, ids: &[InstanceId]) -> Result<Vec<FleetInstance>, FleetError> {
        match self.ask(Request::Describe { group: group.clone(), ids: ids.to_vec() }).await? {
            Response::Listed(instances) => Ok(instances),
            other => Err(misfit(&other)),
        }
    }

    async fn template_version(&self, template: &str) -> Result<u64, FleetError> {
        match self.ask(Request::TemplateVersion { template: template.to_owned() }).await? {
            Response::Version(version) => Ok(version),
            other => Err(misfit(&other)),
        }
    }

    async fn find(&self, spec: &LaunchSpec) -> Result<Found, FleetError> {
        match self.ask(Request::Find { spec: spec.clone() }).await? {
            Response::Found(found) => Ok(found),
            other => Err(misfit(&other)),
        }
    }

    async fn launch(&self, spec: &LaunchSpec, attempt: u32) -> Result<Launched, FleetError> {
        match self.ask(Request::Launch { spec: spec.clone(), attempt }).await? {
            Response::Launched(made) => Ok(made),
            other => Err(misfit(&other)),
        }
    }

    async fn terminate(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        intent: &IntentId,
        attempt: u32,
    ) -> Result<(), FleetError> {
        let (group, instance, intent) = (group.clone(), instance.clone(), intent.clone());
        let request = Request::Terminate { group, instance, intent, attempt };
        match self.ask(request).await? {
            Response::Terminated => Ok(()),
            other => Err(misfit(&other)),
        }
    }
}

impl Marks for FleetClient {
    async fn mark(&self, _: &GroupName, _: &InstanceId, _: Mark, _: bool) -> Result<(), FleetError> {
        Err(FleetError::Refused("the fleet knows no marks yet".into()))
    }
}
