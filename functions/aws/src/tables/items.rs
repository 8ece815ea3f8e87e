//! Items: plain attributes, and the keys beside them.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use muster_control::ports::StoreError;
use muster_core::group::{GroupName, PolicyVersion, RosterNumber, Shard};
use muster_core::intent::IntentId;
use muster_core::member::InstanceId;
use muster_core::time::Timestamp;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::failure::{Unwritable, corrupt, unsent};
use super::schema::{EXPIRES_AT, PARTITION_KEY, SORT_KEY};

/// What DynamoDB takes as one item.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Constraints.html>
const ITEM_MAX: usize = 400 * 1024;
/// DynamoDB takes no empty name in a map, and a zone may have one. Stands before it, and before each that begins so itself.
const NAMED: &str = "()";
/// The partition that lists the groups.
pub(super) const GROUPS: &str = "GROUPS";
/// When a lease ends, in milliseconds: the lease's own time is as people read it.
pub(super) const LEASED_UNTIL: &str = "leased_until";
/// Where the sort keys of members begin.
pub(super) const MEMBERS: &str = "MEMBER#";
/// Where the sort keys of intents begin.
pub(super) const INTENTS: &str = "INTENT#";
/// Where the sort keys of policies begin.
pub(super) const POLICIES: &str = "POLICY#";
/// Where the sort keys of sweeps begin. The stream's filter knows it, too.
pub(super) const SWEEPS: &str = "S#";

/// An item.
pub(super) type Item = HashMap<String, AttributeValue>;

/// What names an item in its table.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    pub(super) pk: String,
    pub(super) sk: String,
}

impl Key {
    fn of(group: &GroupName, sk: String) -> Self {
        Self { pk: partition(group), sk }
    }

    pub(super) fn head(group: &GroupName) -> Self {
        Self::of(group, "HEAD".into())
    }

    pub(super) fn member(group: &GroupName, id: &InstanceId) -> Self {
        Self::of(group, format!("{MEMBERS}{id}"))
    }

    pub(super) fn intent(group: &GroupName, id: &IntentId) -> Self {
        Self::of(group, format!("{INTENTS}{id}"))
    }

    pub(super) fn roster(group: &GroupName, shard: Shard, number: RosterNumber) -> Self {
        Self::of(group, format!("ROSTER#{:05}#{:012}", shard.0, number.0))
    }

    pub(super) fn policy(group: &GroupName, version: PolicyVersion) -> Self {
        Self::of(group, format!("{POLICIES}{:012}", version.0))
    }

    pub(super) fn learnt(group: &GroupName) -> Self {
        Self::of(group, "AUTO".into())
    }

    pub(super) fn lock(group: &GroupName, shard: Shard) -> Self {
        Self::of(group, format!("LOCK#sweep#{shard}"))
    }

    pub(super) fn listed(group: &GroupName) -> Self {
        Self { pk: GROUPS.into(), sk: group.to_string() }
    }

    /// Of no group: what the stack as a whole has.
    pub(super) fn rejections() -> Self {
        Self { pk: "STACK".into(), sk: "REJECTED".into() }
    }

    pub(super) fn sweep(group: &GroupName, shard: Shard, slot: Timestamp) -> Self {
        Self::of(group, format!("{SWEEPS}{:013}#{:05}", slot.as_millis(), shard.0))
    }

    pub(super) fn base(group: &GroupName, shard: Shard, slot: Timestamp) -> Self {
        Self::of(group, format!("B#{:013}#{:05}", slot.as_millis(), shard.0))
    }

    pub(super) fn activity(group: &GroupName, at: Timestamp, id: &str) -> Self {
        Self::of(group, format!("{}#{id}", time_key(at)))
    }

    /// The key as an item of its own.
    pub(super) fn item(&self) -> Item {
        let text = |text: &String| AttributeValue::S(text.clone());
        HashMap::from([(PARTITION_KEY.to_owned(), text(&self.pk)), (SORT_KEY.to_owned(), text(&self.sk))])
    }
}

/// The partition that holds everything of a group.
pub(super) fn partition(group: &GroupName) -> String {
    format!("GROUP#{group}")
}

/// A time as sort keys hold it.
pub(super) fn time_key(at: Timestamp) -> String {
    format!("{:013}", at.as_millis())
}

pub(super) fn number(value: impl Into<u64>) -> AttributeValue {
    AttributeValue::N(value.into().to_string())
}

pub(super) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// When an item may be deleted, as DynamoDB reads it.
pub(super) fn expiry(at: Timestamp) -> AttributeValue {
    number(at.as_millis() / 1000)
}

/// What is to be stored under `key`. What is none has no attribute, so that conditions may ask for it.
pub(super) fn encode<T: Serialize>(key: &Key, value: &T) -> Result<Item, StoreError> {
    let mut item: Item = serde_dynamo::to_item(value).map_err(unsent)?;
    item.retain(|_, value| !value.is_null());
    let mut item: Item = item.into_iter().map(|(name, value)| (name, renamed(value, &named))).collect();
    item.extend(key.item());
    Ok(item)
}

/// Fails for what DynamoDB would refuse, before anything is sent.
pub(super) fn checked(item: Item) -> Result<Item, StoreError> {
    let bytes = item_size(&item);
    if bytes <= ITEM_MAX {
        Ok(item)
    } else {
        Err(unsent(Unwritable::LargeItem { key: key_of(&item), bytes, max: ITEM_MAX }))
    }
}

/// What is stored in `table` as `item`.
pub(super) fn decode<T: DeserializeOwned>(table: &str, mut item: Item) -> Result<T, StoreError> {
    let key = key_of(&item);
    for beside in [PARTITION_KEY, SORT_KEY, EXPIRES_AT, LEASED_UNTIL] {
        item.remove(beside);
    }
    let item: Item = item.into_iter().map(|(name, value)| (name, renamed(value, &unnamed))).collect();
    serde_dynamo::from_item(item).map_err(|error| corrupt::<T>(table, key, error))
}

/// The key that an item has, if it has one.
pub(super) fn key_in(item: &Item) -> Option<Key> {
    let part = |name| item.get(name).and_then(|part| part.as_s().ok()).cloned();
    Some(Key { pk: part(PARTITION_KEY)?, sk: part(SORT_KEY)? })
}

/// The group that an item of the list names.
pub(super) fn group_listed(table: &str, item: &Item) -> Result<GroupName, StoreError> {
    let name = item.get(SORT_KEY).and_then(|name| name.as_s().ok()).map_or("", String::as_str);
    name.parse().map_err(|error: muster_core::group::GroupNameError| corrupt::<GroupName>(table, key_of(item), error))
}

/// An item's key, for people.
pub(super) fn key_of(item: &Item) -> String {
    let part = |name| item.get(name).and_then(|part| part.as_s().ok()).map_or("?", String::as_str);
    format!("{} {}", part(PARTITION_KEY), part(SORT_KEY))
}

fn named(name: String) -> String {
    if name.is_empty() || name.starts_with(NAMED) { format!("{NAMED}{name}") } else { name }
}

fn unnamed(name: String) -> String {
    name.strip_prefix(NAMED).map(str::to_owned).unwrap_or(name)
}

/// The value with the names in all its maps changed.
fn renamed(value: AttributeValue, rename: &dyn Fn(String) -> String) -> AttributeValue {
    match value {
        AttributeValue::M(map) => {
            let entry = |(name, value)| (rename(name), renamed(value, rename));
            AttributeValue::M(map.into_iter().map(entry).collect())
        }
        AttributeValue::L(list) => AttributeValue::L(list.into_iter().map(|value| renamed(value, rename)).collect()),
        plain => plain,
    }
}

/// What DynamoDB counts, and charges, an item as, in bytes; of numbers the most that it may be.
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>
pub(super) fn item_size(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + value_size(value)).sum()
}

fn value_size(value: &AttributeValue) -> usize {
    match value {
        AttributeValue::S(text) => text.len(),
        AttributeValue::N(digits) => digits.len().div_ceil(2) + 1,
        AttributeValue::B(bytes) => bytes.as_ref().len(),
        AttributeValue::L(list) => 3 + list.iter().map(|value| 1 + value_size(value)).sum::<usize>(),
        AttributeValue::M(map) => 3 + map.iter().map(|(name, value)| 1 + name.len() + value_size(value)).sum::<usize>(),
        // Booleans and nothing; we write no sets.
        _ => 1,
    }
}
