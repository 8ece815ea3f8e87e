//! The tables pass the suites that every store must pass.

use muster_control::{store_conformance, store_model};

use crate::emulator::fresh;

store_conformance!(fresh());
store_model!(4, "tests/model.regressions", fresh());
