//! What the fuzz targets share: a mutator that changes JSON as a document.
//!
//! libFuzzer changes bytes, and most of what it makes of a JSON text is none any more. Every second change is made here: the
//! result parses, so that what is behind the parser is tried, too.

use std::ops::Range;

use serde_json::{Map, Value, json};

/// Changes the JSON text in `data[..size]`, and says how long it is then. `fuzz_mutator!` takes it.
pub fn mutate(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    mutate_as(data, size, max_size, seed, |text| serde_json::from_slice(text).ok(), Value::to_string)
}

/// The same for a text of which each line is JSON.
pub fn mutate_lines(data: &mut [u8], size: usize, max_size: usize, seed: u32) -> usize {
    let read = |text: &[u8]| {
        let lines = std::str::from_utf8(text).ok()?.lines();
        lines.map(|line| serde_json::from_str(line).ok()).collect::<Option<Vec<Value>>>().map(Value::Array)
    };
    let write = |document: &Value| {
        let lines = document.as_array().into_iter().flatten();
        lines.map(|line| format!("{line}\n")).collect()
    };
    mutate_as(data, size, max_size, seed, read, write)
}

fn mutate_as(
    data: &mut [u8],
    size: usize,
    max_size: usize,
    seed: u32,
    read: impl Fn(&[u8]) -> Option<Value>,
    write: impl Fn(&Value) -> String,
) -> usize {
    let mut dice = Dice(u64::from(seed) << 1 | 1);
    if dice.roll(0..2) == 1
        && let Some(mut document) = read(&data[..size])
    {
        for _ in 0..dice.roll(1..4) {
            change(&mut document, &mut dice);
        }
        let text = write(&document);
        if text.len() <= max_size.min(data.len()) {
            data[..text.len()].copy_from_slice(text.as_bytes());
            return text.len();
        }
    }
    libfuzzer_sys::fuzzer_mutate(data, size, max_size)
}

fn change(document: &mut Value, dice: &mut Dice) {
    let count = count(document);
    let other = nth(document, &mut dice.roll(0..count)).cloned().unwrap_or_default();
    let Some(place) = nth(document, &mut dice.roll(0..count)) else { return };
    match (place, dice.roll(0..3)) {
        (Value::Array(list), 0) if !list.is_empty() => drop(list.remove(dice.roll(0..list.len()))),
        (Value::Array(list), _) if !list.is_empty() => {
            let mut copy = list[dice.roll(0..list.len())].clone();
            if let Some(id) = copy.get_mut("id") {
                *id = json!(format!("i-{}", dice.roll(0..1_000)));
            }
            list.push(copy);
        }
        (Value::Object(fields), 0) if !fields.is_empty() => drop(fields.remove(&key(fields, dice))),
        (Value::Object(fields), _) if other.is_object() => {
            fields.extend(other.as_object().cloned().unwrap_or_default())
        }
        (place, 0) => *place = other,
        (place, 1) if place.is_number() => {
            *place = json!(place.as_f64().unwrap_or_default() + dice.roll(0..21) as f64 - 10.0)
        }
        (place, _) => *place = scalar(dice),
    }
}

fn scalar(dice: &mut Dice) -> Value {
    match dice.roll(0..9) {
        0 => Value::Null,
        1 => json!(dice.roll(0..2) == 1),
        2 => json!(u64::MAX),
        3 => json!(u32::MAX),
        4 => json!(-1),
        5 => json!(dice.roll(0..1_001) as f64 / 10.0),
        // Within the seeds' last hour and a half.
        6 | 7 => json!(1_795_341_600_000_u64 - 1_000 * dice.roll(0..5_400) as u64),
        _ => json!(dice.roll(0..20)),
    }
}

fn key(fields: &Map<String, Value>, dice: &mut Dice) -> String {
    fields.keys().nth(dice.roll(0..fields.len())).cloned().unwrap_or_default()
}

/// Values in the document, itself included.
fn count(value: &Value) -> usize {
    match value {
        Value::Array(list) => 1 + list.iter().map(count).sum::<usize>(),
        Value::Object(fields) => 1 + fields.values().map(count).sum::<usize>(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 1,
    }
}

/// The value that `left` others stand before.
fn nth<'a>(value: &'a mut Value, left: &mut usize) -> Option<&'a mut Value> {
    if *left == 0 {
        return Some(value);
    }
    *left -= 1;
    match value {
        Value::Array(list) => list.iter_mut().find_map(|inner| nth(inner, left)),
        Value::Object(fields) => fields.values_mut().find_map(|inner| nth(inner, left)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

/// A small random generator: libFuzzer's seed decides everything.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, range: Range<usize>) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        range.start + (self.0 >> 33) as usize % (range.end - range.start).max(1)
    }
}
