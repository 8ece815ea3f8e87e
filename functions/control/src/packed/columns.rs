//! What has become of all members, as columns: the numbers of a column are alike, so they deflate well.

use std::collections::{BTreeMap, BTreeSet};

use muster_core::health::Health;
use muster_core::member::InstanceId;
use muster_core::signals::Signals;
use muster_core::time::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::PackedError;
use super::base::{Base, deflate, inflate};
use super::kind::{Kind, Reading};

/// The number of this format, the first byte of all.
pub(super) const FORMAT: u8 = 1;
/// The same with columns of signals before the rest: their number in one byte, and eight for each member in each of them. What
/// has no signals is written as it always was.
const WITH_SIGNALS: u8 = 2;

/// Stands where a member has no such signal.
const NO_SIGNAL: u64 = u64::MAX;

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
    /// For each name in `rest` the signal of each member of the base, in hundredths, or [`NO_SIGNAL`].
    signals: Vec<Vec<u64>>,
    rest: Rest,
}

/// What no number tells.
#[derive(Debug, Default, Serialize, Deserialize)]
struct Rest {
    /// For each [`Kind::Changed`], the fields of its health that differ from the base's.
    changed: Vec<Map<String, Value>>,
    /// Members that the base lacks.
    added: BTreeMap<InstanceId, Health>,
    /// The names of the signals that members of the base have.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    signals: Vec<String>,
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
            let (before, truth) = (bare(before), members.get(id).map(bare));
            let kind = truth.as_ref().map_or(Kind::Absent, |truth| Kind::of(&before, truth, finished_at));
            if let (Kind::Changed, Some(truth)) = (kind, truth) {
                rest.changed.push(difference(&before, &truth)?);
            }
            kinds.push(kind);
        }
        let known = || base.members().keys().map(|id| members.get(id));
        let names: BTreeSet<&str> =
            known().flatten().flat_map(|health| health.signals.iter().map(|(name, _)| name)).collect();
        let column =
            |name: &&str| known().map(|health| hundredths(health.and_then(|health| health.signal(name)))).collect();
        let signals = names.iter().map(column).collect();
        rest.signals = names.into_iter().map(str::to_owned).collect();
        let unknown = members.iter().filter(|(id, _)| !base.members().contains_key(id));
        rest.added = unknown.map(|(id, health)| (id.clone(), health.clone())).collect();
        Ok(Self { kinds, signals, rest })
    }

    /// The members that they describe.
    pub(super) fn members(
        self,
        base: &Base,
        finished_at: Timestamp,
    ) -> Result<BTreeMap<InstanceId, Health>, PackedError> {
        let mut members = self.rest.added;
        let mut changed = self.rest.changed.into_iter();
        for (place, ((id, before), kind)) in base.members().iter().zip(self.kinds).enumerate() {
            let before = bare(before);
            let health = match kind {
                Kind::Absent => continue,
                Kind::Changed => patched(&before, changed.next().ok_or(PackedError::OtherBase)?)?,
                kind => kind.health(&before, finished_at).ok_or(PackedError::OtherBase)?,
            };
            let columns = self.rest.signals.iter().zip(&self.signals);
            let value = |column: &Vec<u64>| column.get(place).copied().filter(|value| *value != NO_SIGNAL);
            let told = columns.filter_map(|(name, column)| Some((name.clone(), value(column)? as f64 / 100.0)));
            let signals = Signals::of(&told.collect());
            members.insert(id.clone(), Health { signals, ..health });
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
        let mut bytes = vec![FORMAT];
        if !self.signals.is_empty() {
            bytes = vec![WITH_SIGNALS];
            plain.push(u8::try_from(self.signals.len()).map_err(|_| PackedError::TooLarge)?);
            for column in &self.signals {
                write(&mut plain, column.iter().map(|value| value.to_be_bytes()));
            }
        }
        serde_json::to_writer(&mut plain, &self.rest).map_err(PackedError::NotOurs)?;
        bytes.extend(deflate(&plain)?);
        Ok(bytes)
    }

    /// The columns of a base of `length` members.
    pub(super) fn inflated(bytes: &[u8], length: usize) -> Result<Self, PackedError> {
        let (format, stream) = match bytes.split_first() {
            Some((&format @ (FORMAT | WITH_SIGNALS), stream)) => (format, stream),
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
        let mut signals = Vec::new();
        if format == WITH_SIGNALS {
            let (&columns, after) = rest.split_first().ok_or(PackedError::OtherBase)?;
            rest = after;
            for _ in 0..columns {
                signals.push(take(&mut rest, length)?.map(u64::from_be_bytes).collect());
            }
        }
        let rest: Rest = serde_json::from_slice(rest).map_err(PackedError::NotOurs)?;
        if rest.signals.len() != signals.len() {
            return Err(PackedError::OtherBase);
        }
        Ok(Self { kinds, signals, rest })
    }
}

/// A column of numbers: all first bytes, which are nearly the same, then all second ones, and so on.
fn write<const BYTES: usize>(plain: &mut Vec<u8>, column: impl Iterator<Item = [u8; BYTES]>) {
    let numbers: Vec<[u8; BYTES]> = column.collect();
    for byte in 0..BYTES {
        plain.extend(numbers.iter().filter_map(|number| number.get(byte)));
    }
}

/// The column of `length` numbers that `rest` begins with.
fn take<'a, const BYTES: usize>(
    rest: &mut &'a [u8],
    length: usize,
) -> Result<impl Iterator<Item = [u8; BYTES]> + use<'a, BYTES>, PackedError> {
    let mut planes = [[].as_slice(); BYTES];
    for plane in &mut planes {
        (*plane, *rest) = rest.split_at_checked(length).ok_or(PackedError::OtherBase)?;
    }
    Ok((0..length).map(move |place| planes.map(|plane| plane.get(place).copied().unwrap_or_default())))
}

/// A member without its signals, which are told in columns of their own.
fn bare(health: &Health) -> Health {
    Health { signals: Signals::default(), ..health.clone() }
}

/// A signal in whole hundredths, as it is kept.
fn hundredths(value: Option<f64>) -> u64 {
    value.map_or(NO_SIGNAL, |value| (value * 100.0).round() as u64)
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
