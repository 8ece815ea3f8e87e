//! The memory ports pass the suites that every port must pass.

use muster_control::memory::{MemoryFleet, MemoryStore};
use muster_control::{fleet_conformance, store_conformance};

mod store {
    use super::*;
    store_conformance!(async { (MemoryStore::default(), ()) });
}

mod fleet {
    use super::*;
    fleet_conformance!(async { (MemoryFleet::default(), ()) });
}
