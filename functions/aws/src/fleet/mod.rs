//! EC2 behind the [`Fleet`] port.
//!
//! An instance is ours when its tags name our stack and our group, and nothing else makes it so. What changes EC2 is called
//! once, with a deadline, and never repeated here: whether it is repeated is decided under a lease, with the same token.

mod facts;
mod launch;
mod marks;
mod pages;
mod verdict;
pub(crate) mod whole;

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use aws_sdk_ec2::Client;
use aws_sdk_ec2::types::Instance;
use muster_control::ports::{Fleet, FleetError, Found, Launched};
use muster_core::group::GroupName;
use muster_core::intent::{IntentId, LaunchSpec};
use muster_core::member::InstanceId;
use muster_core::snapshot::FleetInstance;

use self::facts::{Tags, is_gone};
use self::verdict::{broken, verdict};
use crate::clients::Connection;

/// Operations that a listing may take: a thousand instances are a page, and EC2 needs a second or two for it.
const LISTING: u32 = 3;

/// The instances of a stack's groups.
#[derive(Clone, Debug)]
pub struct Ec2Fleet {
    /// For what changes nothing: repeated by the SDK.
    reads: Client,
    /// For what changes something: called once.
    changes: Client,
    stack: String,
    agent_port: u16,
    deadline: Duration,
}

impl Ec2Fleet {
    /// The instances of `stack`, whose agents listen on `agent_port`.
    pub fn new(connection: &Connection, stack: &str, agent_port: u16) -> Self {
        Self {
            reads: connection.ec2(),
            changes: connection.ec2_once(),
            stack: stack.to_owned(),
            agent_port,
            deadline: connection.deadlines().operation,
        }
    }

    /// Where the agent of `instance` listens; none while EC2 has given it no address. In a subnet of IPv6 alone there is no other.
    fn endpoint(&self, instance: &Instance) -> Option<String> {
        let port = self.agent_port;
        let known = |address: &&str| !address.is_empty();
        let v4 = instance.private_ip_address().filter(known).map(|address| format!("{address}:{port}"));
        v4.or_else(|| instance.ipv6_address().filter(known).map(|address| format!("[{address}]:{port}")))
    }

    fn is_ours(&self, instance: &Instance, group: &GroupName) -> bool {
        Tags(instance).name(&self.stack, group)
    }
}

/// What a call does. On the heap: the SDK's futures are large, and would lie on the stack of whatever use case they are in.
type Call<'a, T> = Pin<Box<dyn Future<Output = Result<T, FleetError>> + Send + 'a>>;

/// The port's promise: every call ends within a deadline, whatever it is made of.
async fn within<T>(deadline: Duration, call: Call<'_, T>) -> Result<T, FleetError> {
    let late = |_| Err(FleetError::Unavailable(format!("no answer within {} ms", deadline.as_millis()).into()));
    tokio::time::timeout(deadline, call).await.unwrap_or_else(late)
}

impl Fleet for Ec2Fleet {
    async fn list(&self, group: &GroupName) -> Result<Vec<FleetInstance>, FleetError> {
        let filters = pages::of_group(&self.stack, group);
        within(self.deadline * LISTING, Box::pin(self.facts(group, filters))).await
    }

    async fn describe(&self, group: &GroupName, ids: &[InstanceId]) -> Result<Vec<FleetInstance>, FleetError> {
        within(self.deadline * LISTING, Box::pin(self.facts(group, pages::of_ids(ids)))).await
    }

    async fn template_version(&self, template: &str) -> Result<u64, FleetError> {
        within(self.deadline, Box::pin(self.default_version(template))).await
    }

    /// EC2 knows no attempts: it fences by the token alone.
    async fn launch(&self, spec: &LaunchSpec, _attempt: u32) -> Result<Launched, FleetError> {
        within(self.deadline, Box::pin(self.run_one(spec))).await
    }

    async fn find(&self, spec: &LaunchSpec) -> Result<Found, FleetError> {
        within(self.deadline, Box::pin(self.launched_by(spec))).await
    }

    async fn terminate(
        &self,
        group: &GroupName,
        instance: &InstanceId,
        _intent: &IntentId,
        _attempt: u32,
    ) -> Result<(), FleetError> {
        within(self.deadline, Box::pin(self.end_one(group, instance))).await
    }
}

impl Ec2Fleet {
    async fn default_version(&self, template: &str) -> Result<u64, FleetError> {
        const CALL: &str = "DescribeLaunchTemplates";
        let asked = self.reads.describe_launch_templates();
        let asked = match launch::is_template_id(template) {
            true => asked.launch_template_ids(template),
            false => asked.launch_template_names(template),
        };
        let answer = asked.send().await.map_err(|error| verdict(CALL, error))?;
        let found = answer.launch_templates().first().and_then(|template| template.default_version_number());
        let version = found.and_then(|version| u64::try_from(version).ok());
        version.ok_or_else(|| broken(CALL, "there is no default version in it"))
    }

    /// Looks first, so that a foreign instance is never named in a call that ends something (C1). That EC2 does not list it
    /// yet proves nothing: then the call is made, and it is IAM's condition on the stack's tag that spares a foreign one. Such a
    /// condition also refuses what EC2 has forgotten, since that has no tags: there `Refused` says that there is nothing to end,
    /// the intent is given up, and the record ends when the listings have proved the absence (H7).
    async fn end_one(&self, group: &GroupName, id: &InstanceId) -> Result<(), FleetError> {
        const CALL: &str = "TerminateInstances";
        let known = self.instances(pages::of_ids(std::slice::from_ref(id))).await?;
        if let Some(instance) = known.first() {
            let ended = is_gone(instance);
            // EC2 takes the tags off what has ended: without any, it is nobody's any more.
            let nobodys = ended && Tags(instance).are_none();
            if !self.is_ours(instance, group) && !nobodys {
                return Err(FleetError::Refused(format!("{id} does not carry the tags of group {group}").into()));
            }
            if ended {
                return Ok(());
            }
        }
        match self.changes.terminate_instances().instance_ids(&id.0).send().await {
            Ok(answer) => {
                let told = answer.terminating_instances().iter().find(|told| told.instance_id() == Some(&id.0));
                told.map(|_| ()).ok_or_else(|| broken(CALL, "the instance is not in it"))
            }
            Err(error) => match verdict::unless_unknown(CALL, error) {
                // It has ended, so long ago that EC2 has forgotten it (D6).
                None => Ok(()),
                Some(error) => Err(error),
            },
        }
    }
}
