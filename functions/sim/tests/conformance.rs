//! The model of EC2 passes the suite that every fleet must pass, with faults off. The tables are `muster-control`'s own in
//! memory, which pass theirs there.

use muster_control::fleet_conformance;
use muster_sim::CalmFleet;

fleet_conformance!(async { (CalmFleet::default(), ()) });
