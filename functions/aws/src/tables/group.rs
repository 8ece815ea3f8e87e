//! A group's serialised state: each condition of `muster_control::ports::GroupStore` as a condition of DynamoDB's.

use std::time::Duration;

use aws_sdk_dynamodb::types::AttributeValue;
use muster_control::activity::Activity;
use muster_control::ports::{
    Claim, GroupState, GroupStore, LeaseRequest, Release, Settlement, StoreError, StoredPolicy,
};
use muster_core::auto::Learnt;
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::intent::{Intent, Lease};
use muster_core::member::MemberRecord;
use serde::{Deserialize, Serialize};

use super::failure::{failure, unsent};
use super::items::{INTENTS, Key, LEASED_UNTIL, MEMBERS, decode, encode, expiry, number, partition, text};
use super::schema::EXPIRES_AT;
use super::transaction::{Expression, Transaction, absent};
use super::{Tables, activity, once};

/// How long a roster is kept after the next one has taken its place: as long as the sweeps that name it.
const ROSTERS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);

/// A group in the list of groups.
#[derive(Serialize)]
struct Listed<'a> {
    group: &'a GroupName,
}

/// What the rule `auto` knows: one text, because thousands of numbers as attributes would be larger, and nobody reads them.
#[derive(Serialize, Deserialize)]
struct LearntRow {
    doc: String,
}

impl Tables {
    /// What the rule `auto` knew last; what cannot be read is learnt again.
    async fn learnt(&self, group: &GroupName) -> Result<Option<Box<Learnt>>, StoreError> {
        match self.one::<LearntRow>(&self.names.control, &Key::learnt(group)).await {
            Err(StoreError::Corrupt(_)) => Ok(None),
            read => Ok(read?.and_then(|row| serde_json::from_str(&row.doc).ok())),
        }
    }
}

impl GroupStore for Tables {
    async fn head(&self, group: &GroupName) -> Result<Option<Head>, StoreError> {
        self.one(&self.names.control, &Key::head(group)).await
    }

    async fn read(&self, group: &GroupName) -> Result<Option<GroupState>, StoreError> {
        let (table, pk) = (&self.names.control, partition(group));
        let Some(head) = self.head(group).await? else { return Ok(None) };
        let intents = self.documents(table, &pk, INTENTS).await?;
        let members = self.documents(table, &pk, MEMBERS).await?;
        let learnt = if head.auto.stored_at.is_some() { self.learnt(group).await? } else { None };
        Ok(Some(GroupState { head, members, intents, learnt }))
    }

    async fn claim(&self, claim: &Claim) -> Result<(), StoreError> {
        let (table, group) = (self.names.control.as_str(), &claim.head.group);
        let mut work = Transaction::default();
        let condition = match claim.expected {
            Some(version) => {
                Expression::new("#version = :version").name("#version", "version").value(":version", number(version))
            }
            None => absent(),
        };
        let key = Key::head(group);
        let head = encode(&key, &claim.head)?;
        work.put_if(table, key, head, condition);
        if claim.expected.is_none() {
            put(&mut work, table, Key::listed(group), &Listed { group })?;
        }
        put_members(&mut work, table, group, &claim.put_members)?;
        for id in &claim.delete_members {
            work.delete(table, Key::member(group, id));
        }
        for intent in &claim.put_intents {
            put_intent(&mut work, table, group, intent)?;
        }
        for id in &claim.cancel_intents {
            work.delete_if(table, Key::intent(group, id), on_attempt(0));
        }
        if let Some(policy) = &claim.put_policy {
            put(&mut work, table, Key::policy(group, policy.version), policy)?;
        }
        if let Some(learnt) = &claim.put_learnt {
            let doc = serde_json::to_string(learnt).map_err(unsent)?;
            put(&mut work, table, Key::learnt(group), &LearntRow { doc })?;
        }
        activity::log(&mut work, &self.names.activity, group, &claim.activity)?;
        for roster in &claim.put_rosters {
            put(&mut work, table, Key::roster(group, roster.shard, roster.number), roster)?;
        }
        for roster in &claim.put_rosters {
            let before = roster.number.0.checked_sub(1).filter(|before| *before > 0).map(RosterNumber);
            supersede(&mut work, table, group, (roster.shard, before), &claim.activity);
        }
        work.send(self, table).await
    }

    async fn lease(&self, request: &LeaseRequest) -> Result<u32, StoreError> {
        let attempt = request.attempt.saturating_add(1);
        let lease = Lease { owner: request.owner.clone(), until: request.until };
        let lease: AttributeValue = serde_dynamo::to_attribute_value(lease).map_err(unsent)?;
        let update = Expression::new(
            "SET #attempt = :next, #lease = :lease, #until = :until, #first = if_not_exists(#first, :at)",
        );
        let update = update
            .name("#attempt", "attempt")
            .name("#lease", "lease")
            .name("#until", LEASED_UNTIL)
            .name("#first", "first_leased_at")
            .value(":attempt", number(request.attempt))
            .value(":next", number(attempt))
            .value(":lease", lease)
            .value(":until", number(request.until.as_millis()))
            .value(":at", text(request.now.to_string()))
            .value(":now", number(request.now.as_millis()));
        let free = "#attempt = :attempt AND (attribute_not_exists(#until) OR #until <= :now)";
        self.update_once(&Key::intent(&request.group, &request.intent), &update, free).await?;
        Ok(attempt)
    }

    async fn release(&self, release: &Release) -> Result<(), StoreError> {
        let key = Key::intent(&release.group, &release.intent);
        if release.attempt == 0 {
            // What nobody has leased has nothing to give back.
            let intent: Option<Intent> = self.one(&self.names.control, &key).await?;
            return intent.filter(|intent| intent.attempt == 0).map(|_| ()).ok_or(StoreError::Conflict);
        }
        let update = Expression::new("SET #lease.#end = :text, #until = :until")
            .name("#attempt", "attempt")
            .name("#lease", "lease")
            .name("#end", "until")
            .name("#until", LEASED_UNTIL)
            .value(":attempt", number(release.attempt))
            .value(":text", text(release.until.to_string()))
            .value(":until", number(release.until.as_millis()));
        self.update_once(&key, &update, "#attempt = :attempt").await
    }

    async fn settle(&self, settlement: &Settlement) -> Result<(), StoreError> {
        let (table, group) = (self.names.control.as_str(), &settlement.group);
        let mut work = Transaction::default();
        let (update, condition) = settled_head(settlement)?;
        work.update_if(table, Key::head(group), update, condition);
        put_members(&mut work, table, group, &settlement.put_members)?;
        for (id, attempt) in &settlement.settled {
            work.delete_if(table, Key::intent(group, id), on_attempt(*attempt));
        }
        activity::log(&mut work, &self.names.activity, group, &settlement.activity)?;
        if let Some(roster) = &settlement.roster {
            put(&mut work, table, Key::roster(group, roster.shard, roster.number), roster)?;
            supersede(&mut work, table, group, (settlement.shard, settlement.roster_seen), &settlement.activity);
        }
        work.send(self, table).await
    }

    async fn roster(
        &self,
        group: &GroupName,
        shard: Shard,
        number: RosterNumber,
    ) -> Result<Option<Roster>, StoreError> {
        let table = &self.names.control;
        let item = self.item(table, &Key::roster(group, shard, number)).await?;
        // A superseded roster that somebody has deleted is left as its expiry alone.
        item.filter(|item| item.contains_key("entries")).map(|item| decode(table, item)).transpose()
    }

    async fn policy(&self, group: &GroupName, version: PolicyVersion) -> Result<Option<StoredPolicy>, StoreError> {
        self.one(&self.names.control, &Key::policy(group, version)).await
    }
}

impl Tables {
    /// Changes one item of the control table, once.
    pub(super) async fn update_once(&self, key: &Key, update: &Expression, condition: &str) -> Result<(), StoreError> {
        let table = &self.names.control;
        let request = self
            .client
            .update_item()
            .table_name(table)
            .set_key(Some(key.item()))
            .update_expression(&update.text)
            .condition_expression(condition)
            .set_expression_attribute_names(update.names())
            .set_expression_attribute_values(update.values());
        let answer = request.customize().config_override(once()).send().await;
        answer.map_err(|error| failure("UpdateItem", table, error))?;
        Ok(())
    }
}

/// HEAD after a settlement, changed where it is: a claim that comes between only meets another version.
fn settled_head(settlement: &Settlement) -> Result<(Expression, String), StoreError> {
    let mut set = vec!["#version = #version + :one"];
    let mut update = Expression::default()
        .name("#version", "version")
        .name("#rosters", "rosters")
        .name("#shard", settlement.shard.to_string())
        .value(":one", number(1_u64));
    if !settlement.outcomes.is_empty() {
        set.push("#outcomes = list_append(if_not_exists(#outcomes, :none), :outcomes)");
        let outcomes: AttributeValue = serde_dynamo::to_attribute_value(&settlement.outcomes).map_err(unsent)?;
        update = update.name("#outcomes", "outcomes").value(":outcomes", outcomes);
        update = update.value(":none", AttributeValue::L(Vec::new()));
    }
    if let Some(roster) = &settlement.roster {
        set.push("#rosters.#shard = :roster");
        update = update.value(":roster", number(roster.number.0));
    }
    update.text = format!("SET {}", set.join(", "));
    let condition = match settlement.roster_seen {
        Some(seen) => {
            update = update.value(":seen", number(seen.0));
            "#rosters.#shard = :seen"
        }
        None => "attribute_exists(#version) AND attribute_not_exists(#rosters.#shard)",
    };
    Ok((update, condition.to_owned()))
}

fn on_attempt(attempt: u32) -> Expression {
    Expression::new("#attempt = :attempt").name("#attempt", "attempt").value(":attempt", number(attempt))
}

fn put<'a, T: Serialize>(work: &mut Transaction<'a>, table: &'a str, key: Key, value: &T) -> Result<(), StoreError> {
    let item = encode(&key, value)?;
    work.put(table, key, item);
    Ok(())
}

fn put_members<'a>(
    work: &mut Transaction<'a>,
    table: &'a str,
    group: &GroupName,
    members: &[MemberRecord],
) -> Result<(), StoreError> {
    members.iter().try_for_each(|member| put(work, table, Key::member(group, &member.id), member))
}

fn put_intent<'a>(
    work: &mut Transaction<'a>,
    table: &'a str,
    group: &GroupName,
    intent: &Intent,
) -> Result<(), StoreError> {
    let key = Key::intent(group, &intent.id);
    let mut item = encode(&key, intent)?;
    item.extend(intent.lease.iter().map(|lease| (LEASED_UNTIL.to_owned(), number(lease.until.as_millis()))));
    work.put(table, key, item);
    Ok(())
}

/// Has the roster that another one takes the place of expire, counted from what the same transaction writes down.
fn supersede<'a>(
    work: &mut Transaction<'a>,
    table: &'a str,
    group: &GroupName,
    (shard, before): (Shard, Option<RosterNumber>),
    activity: &[Activity],
) {
    let now = activity.iter().map(|activity| activity.at).max();
    let (Some(now), Some(before)) = (now, before) else { return };
    let update = Expression::new("SET #expires = :expires");
    let update = update.name("#expires", EXPIRES_AT).value(":expires", expiry(now.plus(ROSTERS_KEPT)));
    work.update_if_it_fits(table, Key::roster(group, shard, before), update);
}
