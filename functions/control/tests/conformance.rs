//! The memory ports pass the suites that every port must pass, also through a schedule without faults.

use muster_control::faulty::{Call, Fate, Faulty};
use muster_control::memory::{ManualClock, MemoryFleet, MemoryStore};
use muster_control::{
    fleet_conformance, fleet_fencing_conformance, fleet_fencing_model, store_conformance, store_model,
};
use muster_core::time::Timestamp;

/// A port on which nothing is injected.
fn spared<P>(inner: P) -> Faulty<P, impl Fn(Call) -> Fate, ManualClock> {
    Faulty { inner, schedule: |_| Fate::GOES, clock: ManualClock::at(Timestamp::EPOCH) }
}

mod store {
    use super::*;
    store_conformance!(async { (MemoryStore::default(), ()) });
    store_model!(256, "tests/model.regressions", async { (MemoryStore::default(), ()) });
}

mod fleet {
    use super::*;
    fleet_conformance!(async { (MemoryFleet::default(), ()) });
    fleet_fencing_conformance!(async { (MemoryFleet::default(), ()) });
    fleet_fencing_model!(256, "tests/model.regressions", async { (MemoryFleet::default(), ()) });
}

mod spared_store {
    use super::*;
    store_conformance!(async { (spared(MemoryStore::default()), ()) });
}

mod spared_fleet {
    use super::*;
    fleet_conformance!(async { (spared(MemoryFleet::default()), ()) });
    fleet_fencing_conformance!(async { (spared(MemoryFleet::default()), ()) });
}
