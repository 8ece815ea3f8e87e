//! Marks on instances: who must stay, and who is to be drained.

use muster_control::ports::{Clock, Mark, Marks};
use muster_core::group::GroupName;
use muster_core::member::InstanceId;

use super::SteerError;
use crate::read::{Looked, ReadError};
use crate::stand::{Stand, Store};

/// Who protects a member, as it was before a mark was set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Protection {
    /// Its tag.
    pub tag: bool,
    /// Its own agent, by its last answer.
    pub agent: bool,
}

/// Sets or removes a mark on a member of the group. The controller learns of it when it lists the instances next.
pub async fn mark<S: Store, P, F: Marks, C: Clock>(
    stand: &Stand<S, P, F, C>,
    group: &GroupName,
    instance: &InstanceId,
    mark: Mark,
    on: bool,
) -> Result<Protection, SteerError> {
    let state = stand.store.read(group).await.map_err(ReadError::from)?.ok_or_else(|| ReadError::no_group(group))?;
    let member = state.members.iter().find(|member| member.id == *instance);
    let member = member.ok_or_else(|| ReadError::no_member(group, instance))?;
    let tag = state.head.protected.contains(instance);
    let looked = Looked::with(stand, state.head).await?;
    let agent = looked.health(member).is_some_and(|health| health.protected);
    stand.fleet.mark(group, instance, mark, on).await?;
    Ok(Protection { tag, agent })
}
