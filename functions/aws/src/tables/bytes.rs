//! What a sweep costs: DynamoDB charges by the byte, written and read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use muster_control::packed::{Base, Standing};
use muster_core::group::{GroupName, RosterNumber, Shard};
use muster_core::health::{AgentState, Answer, Application, Observation};
use muster_core::member::InstanceId;
use muster_core::sweep::Sweep;
use muster_core::time::Timestamp;
use muster_web::read::sampling::{BUDGET, MOST_POINTS, cost, points};

use super::items::item_size;
use super::row;

const SHARDS: u16 = 2;
const MEMBERS: u64 = 500;
const INTERVAL: Duration = Duration::from_secs(10);

/// One shard and its agents, which are healthy unless all are cut off.
struct World {
    dice: fastrand::Rng,
    shard: Shard,
    now: Timestamp,
    loads: Vec<f64>,
    last: Option<Sweep>,
    before: Option<(Standing, Arc<Base>)>,
}

impl World {
    fn new(shard: u16) -> Self {
        let mut dice = fastrand::Rng::with_seed(u64::from(shard) + 1);
        let loads = (0..MEMBERS).map(|_| 20.0 + 60.0 * dice.f64()).collect();
        let now = Timestamp::from_millis(1_800_000_000_000);
        Self { dice, shard: Shard(shard), now, loads, last: None, before: None }
    }

    fn answer(&mut self, n: u64) -> Observation {
        // Most answer within some milliseconds of the sweep's last second.
        let age = Duration::from_millis(self.dice.u64(0..1_200));
        let load = &mut self.loads[usize::try_from(n).expect("small")];
        *load = (*load + 8.0 * self.dice.f64() - 4.0).clamp(0.0, 100.0);
        let load = Some(*load);
        let received_at = self.now.minus(age);
        let boot_id = format!("{:032x}", fastrand::Rng::with_seed(n * 2 + u64::from(self.shard.0)).u128(..));
        // Each was started at another moment, and a busy one samples late at times.
        let cursor = (received_at.as_millis() - 1_790_000_000_000 - n * 977) / 1000 - u64::from(self.dice.u8(..) < 8);
        let (state, application) = (AgentState::Serving, Application::Healthy);
        Observation::Answered(Answer {
            received_at,
            boot_id,
            version: "0.1.0".into(),
            state,
            application,
            load,
            cursor,
            unregistered: false,
            protected: false,
            signals: BTreeMap::new(),
        })
    }

    /// The next sweep: the bytes that are written for it, its base's too if it has a new one.
    fn sweep(&mut self, cut_off: bool) -> usize {
        let (item, base) = self.items(MEMBERS, cut_off);
        item + base
    }

    /// The next sweep of so many members: the bytes of its item, and of its base's if it has a new one.
    fn items(&mut self, members: u64, cut_off: bool) -> (usize, usize) {
        self.now = self.now.plus(INTERVAL);
        let observations: BTreeMap<InstanceId, Observation> = (0..members)
            .map(|n| {
                let id = InstanceId(format!("i-{:017x}", fastrand::Rng::with_seed(n * 2 + 1).u64(..)));
                let silent = || Observation::Unreachable { detail: "no answer within 1 s".into() };
                (id, if cut_off { silent() } else { self.answer(n) })
            })
            .collect();
        let slot = self.now.round_down(INTERVAL);
        let group = GroupName::default();
        let roster = Some(RosterNumber(12));
        let last = self.last.as_ref();
        let sweep = Sweep::fold(&group, self.shard, slot, roster, last, &observations, None, self.now, INTERVAL);
        let written = row::write(&sweep, self.before.take()).expect("a sweep");
        let base = written.base.as_ref().map_or(0, |(_, item)| item_size(item));
        self.before = written.next;
        self.last = Some(sweep);
        (item_size(&written.item), base)
    }

    fn sweeps(&mut self, count: u32, cut_off: bool) -> f64 {
        let written: usize = (0..count).map(|_| self.sweep(cut_off)).sum();
        written as f64 / f64::from(count) / MEMBERS as f64
    }
}

/// Bytes a member and sweep, over all shards.
fn over_all(worlds: &mut [World], sweeps: u32, cut_off: bool) -> f64 {
    worlds.iter_mut().map(|world| world.sweeps(sweeps, cut_off)).sum::<f64>() / f64::from(SHARDS)
}

#[test]
fn a_thousand_members_cost_under_eight_bytes_each_and_sweep() {
    let mut worlds: Vec<World> = (0..SHARDS).map(World::new).collect();
    let healthy = over_all(&mut worlds, 100, false);
    let first_dark = over_all(&mut worlds, 1, true);
    let dark = over_all(&mut worlds, 20, true);
    let first_light = over_all(&mut worlds, 1, false);
    let after = over_all(&mut worlds, 100, false);
    println!(
        "bytes a member and sweep: {healthy:.2} in 100 healthy sweeps with their base, {first_dark:.1} when all fall silent,"
    );
    println!("{dark:.2} while they are, {first_light:.1} when they are back, {after:.2} in the 100 sweeps after that");
    assert!(healthy < 8.0, "{healthy}");
    assert!(dark < 8.0, "{dark}");
    assert!(after < 8.0, "{after}");
    // Once for each change of everything at once; written whole, each costs 60.
    assert!(first_dark < 120.0 && first_light < 120.0, "{first_dark} {first_light}");
}

#[test]
fn a_day_of_a_thousand_members_is_read_with_a_megabyte() {
    // The decisions beside the sweeps, and the marks' own: 110 records of some 2 kB.
    const ACTIVITIES: u64 = 250_000;
    for (members, shards) in [(3, 1), (10, 1), (50, 1), (51, 1), (200, 1), (500, 1), (1_000, 2)] {
        let mut world = World::new(0);
        let each = members / shards;
        let (mut items, mut bases) = (0, 0);
        for _ in 0..60 {
            let (item, base) = world.items(each, false);
            (items, bases) = (items + item, bases.max(base));
        }
        let (item, base) = (items as u64 / 60, bases as u64);
        let group = (u32::try_from(members).expect("small"), u32::try_from(shards).expect("small"));
        let told = cost(group.0, group.1) / shards;
        assert!(item <= told, "{members} members: an item has {item} bytes, {told} are counted for it");
        // A base is read for each shard, and is named for a day at most: a day names two.
        let points = u64::from(points(group.0, group.1, MOST_POINTS, BUDGET));
        let read = points * item * shards + 2 * shards * base + ACTIVITIES;
        println!("{members} members: {points} points of {item} bytes a shard, bases of {base}: {read} bytes");
        assert!(read <= 1_000_000, "{members} members: {read} bytes are read");
    }
}
