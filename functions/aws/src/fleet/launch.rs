//! Launching one instance, and finding what a launch has come to.

use aws_sdk_ec2::operation::run_instances::builders::RunInstancesFluentBuilder;
use aws_sdk_ec2::types::{
    Instance, InstanceType, LaunchTemplateSpecification, Placement, ResourceType, Tag, TagSpecification,
};
use muster_control::ports::{FleetError, Found, Launched};
use muster_core::intent::LaunchSpec;
use muster_core::member::InstanceId;

use super::facts::{GROUP, INTENT, STACK, Tags, is_gone};
use super::verdict::{broken, verdict};
use super::{Ec2Fleet, pages};

const CALL: &str = "RunInstances";

/// Whether a template is named by its id, and not by its name.
pub(super) fn is_template_id(template: &str) -> bool {
    template.starts_with("lt-")
}

impl Ec2Fleet {
    /// One call of RunInstances. With the same token every parameter must be the same, or EC2 refuses it: whoever changes what
    /// is sent here makes the launches that are open during the upgrade fail.
    fn request(&self, spec: &LaunchSpec) -> RunInstancesFluentBuilder {
        let template = LaunchTemplateSpecification::builder().version(spec.template_version.to_string());
        let template = match is_template_id(&spec.template) {
            true => template.launch_template_id(&spec.template),
            false => template.launch_template_name(&spec.template),
        };
        let request = self.changes.run_instances().min_count(1).max_count(1);
        let request = request.client_token(&spec.token.0).launch_template(template.build());
        let request = match spec.instance_type.as_str() {
            "" => request,
            named => request.instance_type(InstanceType::from(named)),
        };
        let request = match spec.zone.as_str() {
            "" => request,
            subnet if subnet.starts_with("subnet-") => request.subnet_id(subnet),
            zone => request.placement(Placement::builder().availability_zone(zone).build()),
        };
        // The instance alone: where an instance has no volume, tags for volumes fail its launch. Volumes are the template's.
        // https://docs.aws.amazon.com/AWSEC2/latest/APIReference/API_LaunchTemplateTagSpecificationRequest.html
        let tag = |key: &str, value: String| Tag::builder().key(key).value(value).build();
        let tags = TagSpecification::builder()
            .resource_type(ResourceType::Instance)
            .tags(tag(STACK, self.stack.clone()))
            .tags(tag(GROUP, spec.group.to_string()))
            .tags(tag(INTENT, spec.intent.0.clone()));
        request.tag_specifications(tags.build())
    }

    /// Launches, at most once per token.
    pub(super) async fn run_one(&self, spec: &LaunchSpec) -> Result<Launched, FleetError> {
        if spec.template.is_empty() {
            return Err(FleetError::Refused("the policy names no launch template (launch.template)".into()));
        }
        let answer = self.request(spec).send().await.map_err(|error| verdict(CALL, error))?;
        let [instance] = answer.instances() else { return Err(broken(CALL, "there is not one instance in it")) };
        // The token's answer may be the instance as it is now, and that is not a launch any more.
        if is_gone(instance) {
            let id = instance.instance_id().unwrap_or_default();
            return Err(FleetError::Ended(format!("{id} was launched and has ended").into()));
        }
        match self.launched(instance) {
            Some(launched) => Ok(launched),
            // Whatever is wrong with the look, the launch has been made.
            None => self.looked_up(instance).await.map_err(|error| FleetError::Unavailable(error.into())),
        }
    }

    fn launched(&self, instance: &Instance) -> Option<Launched> {
        let id = instance.instance_id().filter(|id| !id.is_empty())?;
        Some(Launched { id: InstanceId::from(id), endpoint: self.endpoint(instance)? })
    }

    /// One more look at what was launched without an address. When that is too early, the next attempt gets it from the token.
    async fn looked_up(&self, instance: &Instance) -> Result<Launched, FleetError> {
        let id = InstanceId::from(instance.instance_id().unwrap_or_default());
        let known = self.instances(pages::of_ids(std::slice::from_ref(&id))).await?;
        let made = known.iter().find_map(|instance| self.launched(instance));
        made.ok_or_else(|| broken(CALL, format!("{id:?} has no private address")))
    }

    /// What a launch has come to. The token is an attribute of the instance, and outlives EC2's memory of the call. It is a
    /// digest that is nobody else's, so only a tag that names another intent speaks against it: EC2 takes the tags off what has
    /// ended, and shows them late on what is new.
    pub(super) async fn launched_by(&self, spec: &LaunchSpec) -> Result<Found, FleetError> {
        let made = self.instances(pages::of_token(&spec.token.0)).await?;
        let (ended, alive): (Vec<_>, Vec<_>) = made
            .iter()
            .filter(|instance| Tags(instance).intent().is_none_or(|intent| intent == spec.intent))
            .partition(|instance| is_gone(instance));
        if let Some(instance) = alive.first() {
            let launched = self.launched(instance);
            return launched.map(Found::Running).ok_or_else(|| broken(CALL, "what it has launched has no address"));
        }
        let ended = ended.first().and_then(|instance| instance.instance_id());
        Ok(ended.map_or(Found::Nothing, |id| Found::Ended(InstanceId::from(id))))
    }
}
