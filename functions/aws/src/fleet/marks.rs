//! The marks of operators (D2, D8), as tags: with the operator's own rights, or with Dashboard's, whose role may set these two tags and no other.

use aws_sdk_ec2::types::Tag;
use muster_control::ports::{FleetError, Mark, Marks};
use muster_core::group::GroupName;
use muster_core::member::InstanceId;

use super::verdict::verdict;
use super::{Ec2Fleet, pages, within};

/// Operations that a mark may take: a look, and the call.
const MARKING: u32 = 2;

impl Marks for Ec2Fleet {
    async fn mark(&self, group: &GroupName, instance: &InstanceId, mark: Mark, on: bool) -> Result<(), FleetError> {
        within(self.deadline * MARKING, Box::pin(self.tag_one(group, instance, mark, on))).await
    }
}

impl Ec2Fleet {
    /// Looks first, so that neither a foreign instance nor one that EC2 does not list is ever named in a call that changes
    /// something (C1).
    async fn tag_one(&self, group: &GroupName, id: &InstanceId, mark: Mark, on: bool) -> Result<(), FleetError> {
        let known = self.instances(pages::of_ids(std::slice::from_ref(id))).await?;
        if !known.iter().any(|instance| self.is_ours(instance, group)) {
            return Err(FleetError::Refused(format!("{id} does not carry the tags of group {group}").into()));
        }
        let tag = Tag::builder().key(mark.key());
        if on {
            let tag = tag.value(Mark::VALUE).build();
            let told = self.changes.create_tags().resources(&id.0).tags(tag).send().await;
            told.map(|_| ()).map_err(|error| verdict("CreateTags", error))
        } else {
            // Without a value the tag goes whatever it holds.
            let told = self.changes.delete_tags().resources(&id.0).tags(tag.build()).send().await;
            told.map(|_| ()).map_err(|error| verdict("DeleteTags", error))
        }
    }
}
