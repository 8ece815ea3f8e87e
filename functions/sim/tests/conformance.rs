//! The model of EC2 passes the suite that every fleet must pass, with faults off. The tables are `muster-control`'s own in
//! memory, which pass theirs there.

use muster_control::{fleet_conformance, fleet_model};
use muster_sim::CalmFleet;

fleet_conformance!(async { (CalmFleet::default(), ()) });
fleet_model!(32, "tests/model.regressions", async { (CalmFleet::default(), ()) });
