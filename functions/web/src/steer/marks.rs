//! Marks on instances: who must stay, and who is to be drained.

use muster_control::ports::{GroupStore, Mark, Marks};
use muster_core::group::GroupName;
use muster_core::member::InstanceId;

use super::SteerError;
use crate::read::ReadError;
use crate::stand::Stand;

/// Sets or removes a mark on a member of the group. The controller learns of it when it lists the instances next.
pub async fn mark<S: GroupStore, P, F: Marks, C>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    instance: &InstanceId,
    mark: Mark,
    on: bool,
) -> Result<(), SteerError> {
    let state = stand.store.read(group).await.map_err(ReadError::from)?.ok_or_else(|| ReadError::no_group(group))?;
    if !state.members.iter().any(|member| member.id == *instance) {
        let id: String = instance.0.chars().take(80).collect();
        return Err(ReadError::NotFound(format!("member {id:?} of group {group}")).into());
    }
    Ok(stand.fleet.mark(group, instance, mark, on).await?)
}
