//! A group's serialised state: the conditions of `muster_control::ports::GroupStore` inside one transaction each.

use muster_control::ports::{Claim, GroupState, LeaseRequest, Release, Settlement, StoreError, StoredPolicy};
use muster_core::group::{GroupName, Head, PolicyVersion, Roster, RosterNumber, Shard};
use muster_core::intent::{Intent, IntentId, Lease};
use muster_core::member::MemberRecord;
use rusqlite::Transaction;

use crate::activity;
use crate::failure::{Failure, conflict, corrupt};
use crate::rows::{all, encode, number, one, run};

pub(crate) fn head(work: &Transaction<'_>, group: &str) -> Result<Option<Head>, Failure> {
    one(work, "SELECT doc FROM heads WHERE grp = ?1", [group])
}

/// The groups that have a HEAD, by name.
pub(crate) fn all_groups(work: &Transaction<'_>) -> Result<Vec<GroupName>, Failure> {
    let mut statement = work.prepare_cached("SELECT grp FROM heads ORDER BY grp")?;
    let names: Vec<String> = statement.query_map([], |row| row.get(0))?.collect::<Result<_, _>>()?;
    names.into_iter().map(|name| name.parse().map_err(corrupt)).collect()
}

pub(crate) fn read(work: &Transaction<'_>, group: &str) -> Result<Option<GroupState>, Failure> {
    let Some(head) = head(work, group)? else { return Ok(None) };
    let members = all(work, "SELECT doc FROM members WHERE grp = ?1 ORDER BY id", [group])?;
    let intents = intents(work, group)?;
    let stored = head.auto.stored_at.is_some();
    // What cannot be read is learnt again.
    let learnt = if stored { one(work, "SELECT doc FROM learnt WHERE grp = ?1", [group]) } else { Ok(None) };
    let learnt = match learnt {
        Err(Failure::Store(StoreError::Corrupt(_))) => None,
        read => read?,
    };
    Ok(Some(GroupState { head, members, intents, learnt }))
}

pub(crate) fn intents(work: &Transaction<'_>, group: &str) -> Result<Vec<Intent>, Failure> {
    all(work, "SELECT doc FROM intents WHERE grp = ?1 ORDER BY id", [group])
}

pub(crate) fn claim(work: &Transaction<'_>, claim: &Claim) -> Result<(), Failure> {
    let group = claim.head.group.to_string();
    if head(work, &group)?.map(|head| head.version) != claim.expected {
        return Err(conflict());
    }
    for id in &claim.cancel_intents {
        if intent(work, &group, id)?.is_none_or(|intent| intent.attempt != 0) {
            return Err(conflict());
        }
    }
    put_head(work, &group, &claim.head)?;
    put_members(work, &group, &claim.put_members)?;
    for id in &claim.delete_members {
        run(work, "DELETE FROM members WHERE grp = ?1 AND id = ?2", (&group, &id.0))?;
    }
    for intent in &claim.put_intents {
        put_intent(work, &group, intent)?;
    }
    for id in &claim.cancel_intents {
        delete_intent(work, &group, id)?;
    }
    for roster in &claim.put_rosters {
        put_roster(work, &group, roster)?;
    }
    if let Some(policy) = &claim.put_policy {
        let row = (&group, number(policy.version.0)?, encode(policy)?);
        run(work, "INSERT OR REPLACE INTO policies (grp, version, doc) VALUES (?1, ?2, ?3)", row)?;
    }
    if let Some(learnt) = &claim.put_learnt {
        run(work, "INSERT OR REPLACE INTO learnt (grp, doc) VALUES (?1, ?2)", (&group, encode(learnt)?))?;
    }
    activity::log(work, &group, &claim.activity)
}

pub(crate) fn lease(work: &Transaction<'_>, request: &LeaseRequest) -> Result<u32, Failure> {
    let group = request.group.to_string();
    let mut intent = intent(work, &group, &request.intent)?.ok_or_else(conflict)?;
    let held = intent.lease.as_ref().is_some_and(|lease| lease.until > request.now);
    if held || intent.attempt != request.attempt {
        return Err(conflict());
    }
    intent.attempt = intent.attempt.saturating_add(1);
    intent.lease = Some(Lease { owner: request.owner.clone(), until: request.until });
    intent.first_leased_at = intent.first_leased_at.or(Some(request.now));
    put_intent(work, &group, &intent)?;
    Ok(intent.attempt)
}

pub(crate) fn release(work: &Transaction<'_>, release: &Release) -> Result<(), Failure> {
    let group = release.group.to_string();
    let found = intent(work, &group, &release.intent)?.filter(|intent| intent.attempt == release.attempt);
    let mut intent = found.ok_or_else(conflict)?;
    intent.lease = intent.lease.map(|lease| Lease { until: release.until, ..lease });
    put_intent(work, &group, &intent)
}

pub(crate) fn settle(work: &Transaction<'_>, settlement: &Settlement) -> Result<(), Failure> {
    let group = settlement.group.to_string();
    for (id, attempt) in &settlement.settled {
        if intent(work, &group, id)?.is_none_or(|intent| intent.attempt != *attempt) {
            return Err(conflict());
        }
    }
    let mut head = head(work, &group)?.ok_or_else(conflict)?;
    if head.rosters.get(&settlement.shard).copied() != settlement.roster_seen {
        return Err(conflict());
    }
    head.version = head.version.saturating_add(1);
    head.outcomes.extend(settlement.outcomes.iter().cloned());
    if let Some(roster) = &settlement.roster {
        head.rosters.insert(roster.shard, roster.number);
        put_roster(work, &group, roster)?;
    }
    put_head(work, &group, &head)?;
    put_members(work, &group, &settlement.put_members)?;
    for (id, _) in &settlement.settled {
        delete_intent(work, &group, id)?;
    }
    activity::log(work, &group, &settlement.activity)
}

pub(crate) fn roster(
    work: &Transaction<'_>,
    group: &str,
    shard: Shard,
    wanted: RosterNumber,
) -> Result<Option<Roster>, Failure> {
    let key = (group, shard.0, number(wanted.0)?);
    one(work, "SELECT doc FROM rosters WHERE grp = ?1 AND shard = ?2 AND number = ?3", key)
}

pub(crate) fn policy(
    work: &Transaction<'_>,
    group: &str,
    version: PolicyVersion,
) -> Result<Option<StoredPolicy>, Failure> {
    one(work, "SELECT doc FROM policies WHERE grp = ?1 AND version = ?2", (group, number(version.0)?))
}

fn intent(work: &Transaction<'_>, group: &str, id: &IntentId) -> Result<Option<Intent>, Failure> {
    one(work, "SELECT doc FROM intents WHERE grp = ?1 AND id = ?2", (group, &id.0))
}

fn put_head(work: &Transaction<'_>, group: &str, head: &Head) -> Result<(), Failure> {
    run(work, "INSERT OR REPLACE INTO heads (grp, doc) VALUES (?1, ?2)", (group, encode(head)?))?;
    Ok(())
}

fn put_members(work: &Transaction<'_>, group: &str, members: &[MemberRecord]) -> Result<(), Failure> {
    for member in members {
        let row = (group, &member.id.0, encode(member)?);
        run(work, "INSERT OR REPLACE INTO members (grp, id, doc) VALUES (?1, ?2, ?3)", row)?;
    }
    Ok(())
}

fn put_intent(work: &Transaction<'_>, group: &str, intent: &Intent) -> Result<(), Failure> {
    let row = (group, &intent.id.0, encode(intent)?);
    run(work, "INSERT OR REPLACE INTO intents (grp, id, doc) VALUES (?1, ?2, ?3)", row)?;
    Ok(())
}

fn delete_intent(work: &Transaction<'_>, group: &str, id: &IntentId) -> Result<(), Failure> {
    run(work, "DELETE FROM intents WHERE grp = ?1 AND id = ?2", (group, &id.0))?;
    Ok(())
}

fn put_roster(work: &Transaction<'_>, group: &str, roster: &Roster) -> Result<(), Failure> {
    let row = (group, roster.shard.0, number(roster.number.0)?, encode(roster)?);
    run(work, "INSERT OR REPLACE INTO rosters (grp, shard, number, doc) VALUES (?1, ?2, ?3, ?4)", row)?;
    Ok(())
}
