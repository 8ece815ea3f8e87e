//! What wakes a function: a schedule's input, a rule's event, a batch of the stream, a URL's request, a direct call, or anything else. A batch is
//! never refused (V5), each of its records counts for itself, and what is refused is told in a few words (S11).
#![no_main]

use libfuzzer_sys::{fuzz_mutator, fuzz_target};
use muster_core::group::GroupName;
use muster_lambda::events::{Batch, Doorbell, SweepOrder};
use muster_lambda::url::UrlRequest;
use serde_json::{Value, json};

/// An error goes into a log, and to whoever has called.
const LONGEST_REFUSAL: usize = 1_500;

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    muster_fuzz::mutate(data, size, max_size, seed)
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(event) = serde_json::from_slice::<Value>(bytes) else { return };
    match SweepOrder::read(&event) {
        Ok(order) => is_a_name(&order.group),
        Err(refusal) => assert!(refusal.to_string().len() <= LONGEST_REFUSAL, "{refusal}"),
    }
    match UrlRequest::read(&event) {
        Ok(request) => assert_eq!(event["rawPath"], request.path.as_str()),
        Err(refusal) => assert!(refusal.to_string().len() <= LONGEST_REFUSAL, "{refusal}"),
    }
    match Doorbell::read(&event) {
        Ok(Doorbell::Batch(batch)) => is_the_sum(&event["Records"], &batch),
        Ok(Doorbell::Groups(groups)) => groups.iter().for_each(is_a_name),
        Ok(Doorbell::All) => assert!(event.get("Records").is_none()),
        Err(refusal) => {
            assert!(event.get("Records").is_none(), "V5: {refusal}");
            assert!(refusal.to_string().len() <= LONGEST_REFUSAL, "{refusal}");
        }
    }
});

/// A name goes into keys, tags and parameter names.
fn is_a_name(group: &GroupName) {
    let name = group.to_string();
    assert!((1..=64).contains(&name.len()) && name.is_ascii() && !name.contains(['#', '/', ' ']), "{name:?}");
}

/// A batch is what its records are, each read alone, in any order.
fn is_the_sum(records: &Value, batch: &Batch) {
    batch.groups.iter().for_each(is_a_name);
    let Some(records) = records.as_array() else {
        assert!(batch.groups.is_empty() && batch.ignored.values().sum::<u32>() == 1);
        return;
    };
    let mut sum = Batch::default();
    for record in records.iter().rev() {
        let Ok(Doorbell::Batch(one)) = Doorbell::read(&json!({ "Records": [record] })) else { panic!("V5: {record}") };
        assert_eq!(one.groups.len() + one.ignored.values().sum::<u32>() as usize, 1);
        sum.groups.extend(one.groups);
        for (reason, records) in one.ignored {
            *sum.ignored.entry(reason).or_default() += records;
        }
    }
    assert_eq!(sum, *batch);
}
