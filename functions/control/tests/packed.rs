//! Packed sweeps: whatever goes in comes out equal, and whatever else is read is an error.
//!
//! The cases are the same in every run. One that fails is written to `packed.regressions` and committed.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use flate2::Compression;
use flate2::write::DeflateEncoder;
use muster_control::packed::{self, BASE_LIFE, Base, PackedError, Standing};
use muster_core::group::{GroupName, Shard};
use muster_core::health::{AgentState, Answer, Application, Health, Load, Observation, Seen};
use muster_core::member::InstanceId;
use muster_core::signals::Signals;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use proptest::test_runner::{FileFailurePersistence, RngSeed};

const START: u64 = 1_800_000_000_000;
const INTERVAL: Duration = Duration::from_secs(10);

fn config() -> ProptestConfig {
    ProptestConfig {
        rng_seed: RngSeed::Fixed(20_261_122),
        failure_persistence: Some(Box::new(FileFailurePersistence::Direct("tests/packed.regressions"))),
        ..ProptestConfig::default()
    }
}

type Members = BTreeMap<InstanceId, Health>;

fn at(ms: u64) -> Timestamp {
    Timestamp::from_millis(ms)
}

/// Mostly near the sweep, sometimes at the ends of time.
fn times() -> impl Strategy<Value = Timestamp> {
    prop_oneof![
        8 => (0_u64..100_000).prop_map(|ago| at(START - ago)),
        1 => (0_u64..100_000).prop_map(|after| at(START + after)),
        1 => Just(Timestamp::EPOCH),
        1 => Just(at(u64::MAX)),
    ]
}

fn counts() -> impl Strategy<Value = u32> {
    prop_oneof![4 => Just(0_u32), 4 => 0_u32..20, 1 => 65_530_u32..65_540, 1 => Just(u32::MAX)]
}

fn cursors() -> impl Strategy<Value = u64> {
    prop_oneof![8 => 1_000_u64..1_200, 1 => 0_u64..70_000, 1 => Just(u64::MAX)]
}

fn loads() -> impl Strategy<Value = Option<Load>> {
    let hundredths = (0_u32..=10_000).prop_map(|n| Load::new(f64::from(n) / 100.0));
    prop_oneof![4 => hundredths, 1 => (0.0..100.0_f64).prop_map(Load::new), 1 => Just(None)]
}

fn texts() -> impl Strategy<Value = String> {
    prop_oneof![6 => Just(String::new()), 2 => Just("boot".to_owned()), 1 => any::<String>()]
}

fn agents() -> impl Strategy<Value = Option<AgentState>> {
    let rare = vec![AgentState::Starting, AgentState::Draining, AgentState::Drained, AgentState::Leaving];
    prop_oneof![4 => Just(Some(AgentState::Serving)), 1 => Just(None), 1 => prop::sample::select(rare).prop_map(Some)]
}

fn signals() -> impl Strategy<Value = Signals> {
    let named = btree_map(prop::sample::select(vec!["memory", "rate", "queue_depth"]), 0.0..2e12_f64, 0..3);
    let named = named.prop_map(|named| named.into_iter().map(|(name, value)| (name.to_owned(), value)).collect());
    prop_oneof![2 => Just(Signals::default()), 1 => named.prop_map(|named| Signals::of(&named))]
}

prop_compose! {
    fn healths()(
        seen in prop::sample::select(vec![Seen::Answered, Seen::Answered, Seen::Silent, Seen::Unknown]),
        when in [option::of(times()), option::of(times()), option::of(times()), option::of(times())],
        sampled in prop_oneof![3 => Just(None), 1 => option::of(times()).prop_map(Some)],
        unregistered_at in option::weighted(0.1, times()),
        numbers in (counts(), counts(), loads(), cursors()),
        texts in (texts(), texts(), texts()),
        agent in agents(),
        (protected, signals) in (any::<bool>(), signals()),
    ) -> Health {
        let [first_answer, last_answer, silent_since, failing_since] = when;
        let (silent_sweeps, failing_sweeps, load, cursor) = numbers;
        let (boot_id, version, detail) = texts;
        let sampled_at = sampled.unwrap_or(last_answer);
        Health { seen, first_answer, last_answer, silent_since, silent_sweeps, failing_since, failing_sweeps, load,
                 sampled_at, agent, boot_id, version, cursor, unregistered_at, protected, detail, signals }
    }
}

fn members() -> impl Strategy<Value = Members> {
    let ids = prop_oneof![8 => "i-[0-9]", 1 => any::<String>()].prop_map(InstanceId);
    btree_map(ids, healths(), 0..8)
}

/// What one agent does in one sweep.
fn observations() -> impl Strategy<Value = Option<Doing>> {
    let answers = || (0_u64..1_500, 0_u32..=10_000).prop_map(|(age, load)| Doing::Well { age, load });
    prop_oneof![
        16 => answers().prop_map(Some),
        2 => Just(Some(Doing::Silent)),
        1 => Just(Some(Doing::Failing)),
        1 => Just(Some(Doing::Restarted)),
        1 => Just(Some(Doing::Unknown)),
        1 => Just(None),
    ]
}

#[derive(Clone, Copy, Debug)]
enum Doing {
    Well { age: u64, load: u32 },
    Silent,
    Failing,
    Restarted,
    Unknown,
}

fn observed(seen: Doing, finished_at: Timestamp) -> Observation {
    let answer = |age: u64, load: f64| Answer {
        received_at: finished_at.minus(Duration::from_millis(age)),
        boot_id: "boot".into(),
        version: "0.1.0".into(),
        state: AgentState::Serving,
        application: Application::NotProbed,
        load: Some(load),
        cursor: finished_at.as_millis() / 1000 - START / 1000,
        unregistered: false,
        protected: false,
        signals: Default::default(),
    };
    match seen {
        Doing::Well { age, load } => Observation::Answered(answer(age, f64::from(load) / 97.0 % 100.0)),
        Doing::Silent => Observation::Unreachable { detail: "no answer within 1 s".into() },
        Doing::Failing => {
            let application = Application::Failing { detail: "503".into() };
            Observation::Answered(Answer { application, ..answer(0, 1.0) })
        }
        Doing::Restarted => {
            let (boot_id, version) = ("again".into(), "0.2.0".into());
            Observation::Answered(Answer { boot_id, version, cursor: 0, ..answer(0, 1.0) })
        }
        Doing::Unknown => Observation::Unknown,
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn whatever_is_packed_on_whatever_base_comes_out_equal(before in members(), after in members()) {
        let base = Base::of(&before).expect("a base");
        let bytes = packed::pack(&base, &after, at(START)).expect("packed members");
        let cold = Base::from_bytes(base.as_bytes()).expect("the base");
        prop_assert_eq!(packed::unpack(&cold, &bytes, at(START)).expect("the members"), after);
    }

    #[test]
    fn a_chain_of_sweeps_comes_out_equal_and_names_a_base_that_was_written(
        sweeps in vec(vec(observations(), 6), 1..24),
    ) {
        let mut bases: BTreeMap<Timestamp, Vec<u8>> = BTreeMap::new();
        let (mut last, mut standing): (Option<Sweep>, Option<Standing>) = (None, None);
        for (n, seen) in (1_u32..).zip(sweeps) {
            let slot = at(START).plus(INTERVAL * n);
            let finished_at = slot.plus(Duration::from_millis(1_500));
            let ids = (0..).map(|n: u32| InstanceId(format!("i-{n}")));
            let seen = ids.zip(seen).filter_map(|(id, seen)| Some((id, observed(seen?, finished_at)))).collect();
            let group = GroupName::default();
            let sweep = Sweep::fold(&group, Shard(0), slot, None, last.as_ref(), &seen, None, finished_at, INTERVAL);
            let base = standing.map(|s| (s, Base::from_bytes(&bases[&s.base]).expect("a base")));
            let before = base.as_ref().map(|(standing, base)| (*standing, base));
            let packed = packed::next(before, &sweep.members, slot, finished_at).expect("packed members");
            if let Some(new) = packed.new_base {
                bases.insert(packed.standing.base, new.as_bytes().to_vec());
            }
            let base = Base::from_bytes(&bases[&packed.standing.base]).expect("a base");
            let members = packed::unpack(&base, &packed.bytes, finished_at).expect("the members");
            prop_assert_eq!(&members, &sweep.members);
            (last, standing) = (Some(sweep), Some(packed.standing));
        }
    }

    #[test]
    fn s11_bytes_that_are_not_ours_are_an_error_or_some_members(
        before in members(), after in members(), at_byte in any::<prop::sample::Index>(), flip in 1_u8..,
        noise in vec(any::<u8>(), 0..64),
    ) {
        let base = Base::of(&before).expect("a base");
        let mut bytes = packed::pack(&base, &after, at(START)).expect("packed members");
        let place = at_byte.index(bytes.len());
        bytes[place] ^= flip;
        drop(packed::unpack(&base, &bytes, at(START)));
        drop(packed::unpack(&base, &noise, at(START)));
        drop(Base::from_bytes(&noise));
        // The plain columns in disguise: they inflate, and say whatever they like.
        let mut disguised = vec![1];
        disguised.extend(deflated(&noise));
        drop(packed::unpack(&base, &disguised, at(START)));
    }
}

fn deflated(plain: &[u8]) -> Vec<u8> {
    let mut encoder = DeflateEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(plain).expect("it is memory");
    encoder.finish().expect("it is memory")
}

fn well(ms: u64) -> Health {
    let load = Load::new(50.0);
    let (last_answer, sampled_at) = (Some(at(ms)), Some(at(ms)));
    Health { first_answer: Some(at(1)), last_answer, sampled_at, load, ..Health::default() }
}

fn shard(ms: u64) -> Members {
    (0..100).map(|n| (InstanceId(format!("i-{n:03}")), well(ms))).collect()
}

#[test]
fn s11_a_small_stream_that_inflates_to_much_is_refused() {
    let bomb = deflated(&vec![b' '; 64 << 20]);
    assert!(bomb.len() < 100_000);
    assert!(matches!(Base::from_bytes(&bomb), Err(PackedError::TooLarge)));
    let bytes = [&[1], bomb.as_slice()].concat();
    let base = Base::of(&Members::new()).expect("a base");
    assert!(matches!(packed::unpack(&base, &bytes, at(1)), Err(PackedError::TooLarge)));
}

#[test]
fn what_does_not_fit_is_refused_and_not_cut() {
    let long = Health { detail: "x".repeat(3 << 20), ..Health::default() };
    let members = Members::from([(InstanceId::from("i-1"), long)]);
    assert!(matches!(packed::next(None, &members, at(1), at(1)), Err(PackedError::TooLarge)));
}

#[test]
fn another_base_and_another_format_are_told() {
    let base = Base::of(&shard(START)).expect("a base");
    let mut bytes = packed::pack(&base, &shard(START), at(START)).expect("packed members");
    let other = Base::of(&(0..200).map(|n| (InstanceId(n.to_string()), well(1))).collect()).expect("a base");
    assert!(packed::unpack(&other, &bytes, at(START)).is_err());
    bytes[0] = 9;
    let newer = packed::unpack(&base, &bytes, at(START)).expect_err("another version's");
    assert_eq!(newer.to_string(), "the packed members have format 9, this program knows format 1");
}

#[test]
fn z4_signals_cost_bytes_only_where_there_are_any_and_what_was_written_before_them_is_read() {
    let base = Base::of(&shard(START)).expect("a base");
    let pack = |members: &Members| packed::pack(&base, members, at(START)).expect("packed members");
    let plain = pack(&shard(START));
    assert_eq!(plain[0], 1, "the format of always");
    let mut told = shard(START);
    for (n, health) in (0_u32..).zip(told.values_mut()) {
        let rate = f64::from(n.wrapping_mul(7_919) % 100_000) / 100.0;
        health.signals = Signals::of(&[("rate".to_owned(), rate)].into());
    }
    let with_one = pack(&told);
    assert_eq!(packed::unpack(&base, &with_one, at(START)).expect("the members"), told);
    let each = (with_one.len() - plain.len()) / told.len();
    assert!(each < 5, "{each} bytes a member for one signal");
    // A member that the base knows with signals and that has none any more.
    let with_signals = Base::of(&told).expect("a base");
    let bytes = packed::pack(&with_signals, &shard(START), at(START)).expect("packed members");
    assert_eq!(packed::unpack(&with_signals, &bytes, at(START)).expect("the members"), shard(START));
    // A base as it was written before there were signals.
    let text =
        r#"{"i-1":{"seen":"answered","load":50.0,"agent":"serving","boot_id":"b","cursor":7,"protected":false}}"#;
    let old = Base::from_bytes(&deflated(text.as_bytes())).expect("an old base");
    assert_eq!(old.len(), 1);
}

#[test]
fn a_base_serves_until_it_is_old_or_has_cost_as_much_as_a_new_one() {
    let first = packed::next(None, &shard(START), at(START), at(START)).expect("the first");
    let base = first.new_base.expect("it has a base of its own");
    let next = |standing: Standing, members: &Members, ms: u64| {
        packed::next(Some((standing, &base)), members, at(ms), at(ms)).expect("the next")
    };
    let day = u64::try_from(BASE_LIFE.as_millis()).expect("a day");
    let same = next(first.standing, &shard(START + 10_000), START + 10_000);
    assert_eq!((same.standing, same.new_base), (first.standing, None));
    assert_eq!(next(first.standing, &shard(START + day), START + day).new_base, None);
    assert_ne!(next(first.standing, &shard(START + day + 1), START + day + 1).new_base, None, "it is a day old");
    // Half of the members are told in words from now on, each in its own.
    let mut changed = shard(START + 10_000);
    for (n, health) in (0_u64..).zip(changed.values_mut().step_by(2)) {
        health.boot_id = format!("{:016x}", n.wrapping_mul(0x9e37_79b9_7f4a_7c15));
    }
    let mut standing = first.standing;
    let until = (0..1_000).find(|_| {
        let packed = next(standing, &changed, START + 10_000);
        standing = packed.standing;
        packed.new_base.is_some()
    });
    assert!(matches!(until, Some(1..)), "one odd sweep is no reason for a new base, many are: {until:?}");
}
