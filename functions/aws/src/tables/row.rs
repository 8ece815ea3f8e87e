//! A sweep as its item holds it: readable up to fifty members, packed above.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_sdk_dynamodb::operation::query::builders::QueryFluentBuilder;
use aws_sdk_dynamodb::primitives::Blob;
use aws_sdk_dynamodb::types::AttributeValue;
use muster_control::packed::{self, BASE_LIFE, Base, Standing};
use muster_control::ports::{Cause, StoreError};
use muster_core::group::{GroupName, RosterNumber, Shard};
use muster_core::health::Health;
use muster_core::member::InstanceId;
use muster_core::sweep::{Sweep, SweepCounts, SweepFigures};
use muster_core::time::Timestamp;
use serde::{Deserialize, Serialize};

use super::failure::{corrupt, unsent};
use super::items::{Item, Key, SWEEPS, decode, encode, expiry, key_of};
use super::schema::{EXPIRES_AT, SORT_KEY};

/// Members up to which a sweep is a map that a person can read.
pub(super) const READABLE: usize = 50;
/// How long sweeps are kept.
const SWEEPS_KEPT: Duration = Duration::from_secs(30 * 24 * 3600);
/// How much longer a base is kept than the last sweep that may name it: DynamoDB deletes in no order.
const BASES_KEPT_LONGER: Duration = Duration::from_secs(24 * 3600);
/// Bases remembered; one of 500 members has 150 kB.
const BASES_REMEMBERED: usize = 8;
/// The attribute that holds what is packed.
const PACKED: &str = "packed";

/// The plain attributes of a sweep. Its group and slot are in its key.
#[derive(Debug, Serialize, Deserialize)]
struct Row {
    shard: Shard,
    roster: Option<RosterNumber>,
    finished_at: Timestamp,
    period_ms: u64,
    gaps_ms: Vec<u64>,
    blind: Option<String>,
    /// Members on the roster.
    swept: u32,
    answered: u32,
    silent: u32,
    unknown: u32,
    mean: Option<f64>,
    p90: Option<f64>,
    /// Older items have none.
    #[serde(skip_serializing_if = "Option::is_none")]
    rate: Option<f64>,
    /// Up to [`READABLE`] members.
    members: Option<BTreeMap<InstanceId, Health>>,
    /// Of more: on which base they are packed.
    #[serde(flatten)]
    standing: Option<StandingRow>,
}

/// The base of a packed sweep.
#[derive(Clone, Copy, Debug, Serialize, Deserialize)]
pub(super) struct StandingRow {
    base: Timestamp,
    excess: u64,
}

/// What one sweep writes.
pub(super) struct Written {
    pub(super) key: Key,
    pub(super) item: Item,
    /// The base, when it is a new one.
    pub(super) base: Option<(Key, Item)>,
    /// What the next one stands on.
    pub(super) next: Option<(Standing, Arc<Base>)>,
}

/// What a sweep writes, given the base of the shard's latest.
pub(super) fn write(sweep: &Sweep, before: Option<(Standing, Arc<Base>)>) -> Result<Written, StoreError> {
    let (group, shard, slot) = (&sweep.group, sweep.shard, sweep.slot);
    let key = Key::sweep(group, shard, slot);
    if sweep.members.len() <= READABLE {
        let item = finish(&key, &row(sweep, Some(sweep.members.clone()), None), slot)?;
        return Ok(Written { key, item, base: None, next: None });
    }
    let on = before.as_ref().map(|(standing, base)| (*standing, base.as_ref()));
    let packed = packed::next(on, &sweep.members, slot, sweep.finished_at).map_err(unsent)?;
    let standing = StandingRow { base: packed.standing.base, excess: packed.standing.excess };
    let mut item = finish(&key, &row(sweep, None, Some(standing)), slot)?;
    item.insert(PACKED.into(), AttributeValue::B(Blob::new(packed.bytes)));
    let new_base = packed.new_base.map(Arc::new);
    let base = new_base.as_ref().map(|base| {
        let key = Key::base(group, shard, slot);
        let mut item = key.item();
        item.insert(PACKED.into(), AttributeValue::B(Blob::new(base.as_bytes())));
        let last_named = slot.plus(BASE_LIFE).plus(SWEEPS_KEPT);
        item.insert(EXPIRES_AT.into(), expiry(last_named.plus(BASES_KEPT_LONGER)));
        (key, item)
    });
    let next = new_base.or(before.map(|(_, base)| base)).map(|base| (packed.standing, base));
    Ok(Written { key, item, base, next })
}

fn finish(key: &Key, row: &Row, slot: Timestamp) -> Result<Item, StoreError> {
    let mut item = encode(key, row)?;
    item.insert(EXPIRES_AT.into(), expiry(slot.plus(SWEEPS_KEPT)));
    Ok(item)
}

fn row(sweep: &Sweep, members: Option<BTreeMap<InstanceId, Health>>, standing: Option<StandingRow>) -> Row {
    let SweepCounts { members: swept, answered, silent, unknown, mean, p90, rate } = sweep.counts;
    Row {
        shard: sweep.shard,
        roster: sweep.roster,
        finished_at: sweep.finished_at,
        period_ms: sweep.period_ms,
        gaps_ms: sweep.gaps_ms.clone(),
        blind: sweep.blind.clone(),
        swept,
        answered,
        silent,
        unknown,
        mean,
        p90,
        rate,
        members,
        standing,
    }
}

/// A sweep whose members may be still packed.
pub(super) struct Read {
    key: String,
    sweep: Sweep,
    packed: Option<(Standing, Vec<u8>)>,
}

/// What a sweep's item holds.
pub(super) fn read(table: &str, group: &GroupName, mut item: Item) -> Result<Read, StoreError> {
    let key = key_of(&item);
    let bad = |cause: &str| corrupt::<Sweep>(table, key.clone(), cause);
    let slot = item.get(SORT_KEY).and_then(slot_of).ok_or_else(|| bad("the key names no slot"))?;
    let bytes = bytes_of(&mut item);
    let row: Row = decode(table, item)?;
    let standing = row.standing.map(|row| Standing { base: row.base, excess: row.excess });
    if row.members.is_none() && (standing.is_none() || bytes.is_none()) {
        return Err(bad("it has no members, neither readable nor packed"));
    }
    let Row { shard, roster, finished_at, period_ms, gaps_ms, blind, swept, answered, silent, unknown, .. } = row;
    let counts =
        SweepCounts { members: swept, answered, silent, unknown, mean: row.mean, p90: row.p90, rate: row.rate };
    let packed = if row.members.is_some() { None } else { standing.zip(bytes) };
    let members = row.members.unwrap_or_default();
    let group = group.clone();
    let sweep = Sweep { group, shard, slot, roster, finished_at, period_ms, gaps_ms, blind, counts, members };
    Ok(Read { key, sweep, packed })
}

impl Read {
    /// On which base the members are packed.
    pub(super) fn standing(&self) -> Option<Standing> {
        self.packed.as_ref().map(|(standing, _)| *standing)
    }

    /// The sweep, with its members unpacked on their base.
    pub(super) fn whole(self, table: &str, base: Option<Arc<Base>>) -> Result<Sweep, StoreError> {
        let Some((standing, bytes)) = self.packed else { return Ok(self.sweep) };
        let bad = |cause: Cause| corrupt::<Sweep>(table, self.key.clone(), cause);
        let base = base.ok_or_else(|| bad(format!("the base of {} is not there", standing.base).into()))?;
        let members = packed::unpack(&base, &bytes, self.sweep.finished_at).map_err(|error| bad(error.into()))?;
        Ok(Sweep { members, ..self.sweep })
    }
}

/// The query with what [`figures`] needs, and nothing else.
pub(super) fn figures_only(mut query: QueryFluentBuilder) -> QueryFluentBuilder {
    const PLAIN: [&str; 9] = ["shard", "blind", "swept", "answered", "silent", "unknown", "mean", "p90", "rate"];
    query = query.expression_attribute_names("#sk", SORT_KEY);
    for name in PLAIN {
        query = query.expression_attribute_names(format!("#{name}"), name);
    }
    query.projection_expression(format!("#pk, #sk, #{}", PLAIN.join(", #")))
}

/// What a sweep's item holds but for its members.
pub(super) fn figures(table: &str, item: Item) -> Result<SweepFigures, StoreError> {
    #[derive(Deserialize)]
    struct Part {
        shard: Shard,
        blind: Option<String>,
        swept: u32,
        answered: u32,
        silent: u32,
        unknown: u32,
        mean: Option<f64>,
        p90: Option<f64>,
        rate: Option<f64>,
    }
    let slot = item.get(SORT_KEY).and_then(slot_of);
    let slot = slot.ok_or_else(|| corrupt::<SweepFigures>(table, key_of(&item), "the key names no slot"))?;
    let Part { shard, blind, swept, answered, silent, unknown, mean, p90, rate } = decode(table, item)?;
    let counts = SweepCounts { members: swept, answered, silent, unknown, mean, p90, rate };
    Ok(SweepFigures { slot, shard, blind, counts })
}

/// The base that an item holds.
pub(super) fn read_base(table: &str, mut item: Item) -> Result<Base, StoreError> {
    let bytes = bytes_of(&mut item).unwrap_or_default();
    Base::from_bytes(&bytes).map_err(|error| corrupt::<Base>(table, key_of(&item), error))
}

/// The base of a sweep of which only that was read.
pub(super) fn read_standing(table: &str, item: Item) -> Result<Option<Standing>, StoreError> {
    #[derive(Deserialize)]
    struct Part {
        #[serde(flatten)]
        standing: Option<StandingRow>,
    }
    let part: Part = decode(table, item)?;
    Ok(part.standing.map(|row| Standing { base: row.base, excess: row.excess }))
}

fn bytes_of(item: &mut Item) -> Option<Vec<u8>> {
    match item.remove(PACKED) {
        Some(AttributeValue::B(bytes)) => Some(bytes.into_inner()),
        _ => None,
    }
}

fn slot_of(key: &AttributeValue) -> Option<Timestamp> {
    let digits = key.as_s().ok()?.strip_prefix(SWEEPS)?.split('#').next()?;
    digits.parse().ok().map(Timestamp::from_millis)
}

/// The bases used last. What never changes may be remembered: a warm process differs from a cold one in what it pays.
#[derive(Debug, Default)]
pub(super) struct Bases(Mutex<Vec<(Key, Arc<Base>)>>);

impl Bases {
    pub(super) fn get(&self, key: &Key) -> Option<Arc<Base>> {
        let mut bases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let at = bases.iter().position(|(known, _)| known == key)?;
        let found = bases.remove(at);
        let base = Arc::clone(&found.1);
        bases.push(found);
        Some(base)
    }

    pub(super) fn remember(&self, key: Key, base: &Arc<Base>) {
        let mut bases = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        bases.retain(|(known, _)| *known != key);
        let excess = (bases.len() + 1).saturating_sub(BASES_REMEMBERED);
        bases.drain(..excess);
        bases.push((key, Arc::clone(base)));
    }
}
