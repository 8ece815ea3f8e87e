//! What has become of all members, as columns: the numbers of a column are alike, so they deflate well.

use std::collections::BTreeMap;

use muster_core::health::Health;
use muster_core::member::InstanceId;
use muster_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::PackedError;
use super::base::{Base, deflate, inflate};
use super::kind::{Kind, Reading};

/// The number of this format, the first byte of all.
pub(super) const FORMAT: u8 = 1;

const SAME: u8 = 0;
const USUAL: u8 = 1;
const FAILING: u8 = 2;
const SILENT: u8 = 3;
const UNKNOWN: u8 = 4;
const ABSENT: u8 = 5;
const CHANGED: u8 = 6;

/// What has become of each member of the base, in its order; and what the base does not know.
#[derive(Debug)]
pub(super) struct Columns {
    kinds: Vec<Kind>,
    rest: Rest,
}

/// What no number tells.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rest {
    /// For each [`Kind::Changed`], the fields of its health that differ from the base's.
    changed: Vec<Map<String, Value>>,
    /// Members that the base lacks.
    added: BTreeMap<InstanceId, Health>,
}

impl Columns {
    /// What has become of `base` in `members`.
    pub(super) fn of(
        base: &Base,
        members: &BTreeMap<InstanceId, Health>,
        finished_at: Timestamp,
    ) -> Result<Self, PackedError> {
        let mut rest = Rest::default();
        let mut kinds = Vec::with_capacity(base.len());
        for (id, before) in base.members() {
            let kind = members.get(id).map_or(Kind::Absent, |truth| Kind::of(before, truth, finished_at));
            if let (Kind::Changed, Some(truth)) = (kind, members.get(id)) {
                rest.changed.push(difference(before, truth)?);
            }
            kinds.push(kind);
        }
        let unknown = members.iter().filter(|(id, _)| !base.members().contains_key(id));
        rest.added = unknown.map(|(id, health)| (id.clone(), health.clone())).collect();
        Ok(Self { kinds, rest })
    }

    /// The members that they describe.
    pub(super) fn members(
        self,
        base: &Base,
        finished_at: Timestamp,
    ) -> Result<BTreeMap<InstanceId, Health>, PackedError> {
        let mut members = self.rest.added;
        let mut changed = self.rest.changed.into_iter();
        for ((id, before), kind) in base.members().iter().zip(self.kinds) {
            let health = match kind {
                Kind::Absent => continue,
                Kind::Changed => patched(before, changed.next().ok_or(PackedError::OtherBase)?)?,
                kind => kind.health(before, finished_at).ok_or(PackedError::OtherBase)?,
            };
            members.insert(id.clone(), health);
        }
        Ok(members)
    }

    /// The columns one after the other: the kinds, each number of the readings, the counts, the rest as JSON.
    pub(super) fn deflated(&self) -> Result<Vec<u8>, PackedError> {
        let (mut readings, mut counts) = (Vec::new(), Vec::new());
        let mut plain: Vec<u8> = Vec::new();
        for kind in &self.kinds {
            plain.push(match *kind {
                Kind::Same => SAME,
                Kind::Usual(reading) => {
                    readings.push(reading);
                    USUAL
                }
                Kind::Failing(reading, sweeps) => {
                    readings.push(reading);
                    counts.push(sweeps);
                    FAILING
                }
                Kind::Silent(sweeps) => {
                    counts.push(sweeps);
                    SILENT
                }
                Kind::Unknown => UNKNOWN,
                Kind::Absent => ABSENT,
                Kind::Changed => CHANGED,
            });
        }
        write(&mut plain, readings.iter().map(|reading| reading.age_ms.to_be_bytes()));
        write(&mut plain, readings.iter().map(|reading| reading.load.to_be_bytes()));
        write(&mut plain, readings.iter().map(|reading| reading.cursor.to_be_bytes()));
        write(&mut plain, counts.iter().map(|count| count.to_be_bytes()));
        serde_json::to_writer(&mut plain, &self.rest).map_err(PackedError::NotOurs)?;
        let mut bytes = vec![FORMAT];
        bytes.extend(deflate(&plain)?);
        Ok(bytes)
    }

    /// The columns of a base of `length` members.
    pub(super) fn inflated(bytes: &[u8], length: usize) -> Result<Self, PackedError> {
        let stream = match bytes.split_first() {
            Some((&FORMAT, stream)) => stream,
            Some((&found, _)) => return Err(PackedError::OtherFormat { found }),
            None => return Err(PackedError::OtherBase),
        };
        let plain = inflate(stream)?;
        let (codes, mut rest) = plain.split_at_checked(length).ok_or(PackedError::OtherBase)?;
        let count = |wanted: &[u8]| codes.iter().filter(|code| wanted.contains(code)).count();
        let read = count(&[USUAL, FAILING]);
        let [ages, loads, cursors] = [take(&mut rest, read)?, take(&mut rest, read)?, take(&mut rest, read)?];
        let mut readings = ages.zip(loads).zip(cursors).map(|((age, load), cursor)| Reading {
            age_ms: u16::from_be_bytes(age),
            load: u16::from_be_bytes(load),
            cursor: i16::from_be_bytes(cursor),
        });
        let mut counts = take(&mut rest, count(&[FAILING, SILENT]))?.map(u16::from_be_bytes);
        let mut kind = |code: &u8| {
            Some(match *code {
                SAME => Kind::Same,
                USUAL => Kind::Usual(readings.next()?),
                FAILING => Kind::Failing(readings.next()?, counts.next()?),
                SILENT => Kind::Silent(counts.next()?),
                UNKNOWN => Kind::Unknown,
                ABSENT => Kind::Absent,
                CHANGED => Kind::Changed,
                _ => return None,
            })
        };
        let kinds = codes.iter().map(|code| kind(code).ok_or(PackedError::OtherBase)).collect::<Result<_, _>>()?;
        let rest = serde_json::from_slice(rest).map_err(PackedError::NotOurs)?;
        Ok(Self { kinds, rest })
    }
}

/// A column of two-byte numbers: all first bytes, which are nearly the same, then all second ones.
fn write(plain: &mut Vec<u8>, column: impl Iterator<Item = [u8; 2]> + Clone) {
    plain.extend(column.clone().map(|[first, _]| first));
    plain.extend(column.map(|[_, second]| second));
}

/// The column of `length` numbers that `rest` begins with.
fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<impl Iterator<Item = [u8; 2]> + use<'a>, PackedError> {
    let (firsts, after) = rest.split_at_checked(length).ok_or(PackedError::OtherBase)?;
    let (seconds, after) = after.split_at_checked(length).ok_or(PackedError::OtherBase)?;
    *rest = after;
    Ok(firsts.iter().zip(seconds).map(|(first, second)| [*first, *second]))
}

/// The fields of `truth` that differ from the base's.
fn difference(before: &Health, truth: &Health) -> Result<Map<String, Value>, PackedError> {
    let (before, mut truth) = (fields(before)?, fields(truth)?);
    truth.retain(|name, value| before.get(name) != Some(value));
    Ok(truth)
}

/// The base's health with the fields that differ.
fn patched(before: &Health, difference: Map<String, Value>) -> Result<Health, PackedError> {
    let mut fields = fields(before)?;
    fields.extend(difference);
    serde_json::from_value(Value::Object(fields)).map_err(PackedError::NotOurs)
}

fn fields(health: &Health) -> Result<Map<String, Value>, PackedError> {
    match serde_json::to_value(health).map_err(PackedError::NotOurs)? {
        Value::Object(fields) => Ok(fields),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Array(_) => {
            Err(PackedError::OtherBase)
        }
    }
}
